/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP connections for tools, which have nothing else to do than to wait for them. A program with an
 * event loop uses conn.h.
 */
#ifndef FAILBACK_LIB_DIAL_H
#define FAILBACK_LIB_DIAL_H

#include <stdint.h>

#include "base/failure.h"
#include "lib/address.h"
#include "lib/tls.h"

/**
 * dial - connect to @peer; the descriptor is non-blocking.
 * @local: from where; NULL, or one that names no host: the system chooses
 *
 * CODE_NOT_AVAILABLE: nobody listens there, or the host cannot be reached; CODE_TIMEOUT: no answer
 * in time.
 */
int dial(const struct address *peer, const struct address *local, uint64_t deadline_ns, int *ret_fd,
	 struct failure *f);

/** dial_shake_hands - tls_step() until it is done; -ETIMEDOUT: the other side does not go on with it. */
int dial_shake_hands(struct tls *t, int fd, uint64_t deadline_ns, struct failure *f);

/**
 * dial_listen - for those who speak first: whoever only connects is not accepted for a minute, and nobody waits
 * behind it meanwhile.
 *
 * CODE_IN_USE: another program listens there.
 */
int dial_listen(const struct address *local, int *ret_fd, struct failure *f);

/** dial_accept - wait for one connection, for ever; -EINTR: a signal came. */
int dial_accept(int listener, int *ret_fd, struct address *ret_peer, struct failure *f);

#endif
