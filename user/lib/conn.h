/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection between two daemons on an event loop: CALL and REPLY records (uapi/cbt-wire.h),
 * one at a time, nothing blocking. On top of sd-event.
 *
 * At most one operation is under way. It ends with one call of its function, in a later turn of
 * the loop; the connection is idle by then, and the function may start the next operation, steal
 * the descriptor or free the connection. Freeing it in the middle of an operation cancels that:
 * the function is not called.
 *
 * With TLS nothing is said or read before both sides have agreed on each other (lib/tls.h). From then
 * on the descriptor is one that carries what is said, as without.
 *
 * Exactly the bytes of a record are read, never more: between two records the descriptor can be
 * handed on. Lengths are bounded before anything is allocated, and an operation has to end within
 * its time.
 */
#ifndef FAILBACK_LIB_CONN_H
#define FAILBACK_LIB_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "base/failure.h"
#include "lib/address.h"
#include "lib/tls.h"

struct conn;

/**
 * conn_fn - how an operation ended.
 * @error: 0, or a negative errno, and then @why says it in a sentence
 * @text: what was received, NUL-terminated, valid during the call; NULL unless something was to
 *	be received
 */
typedef void (*conn_fn)(void *context, int error, const struct failure *why, const char *text);

/**
 * conn_connect - a connection to @peer, from @local unless that is NULL or names no host.
 * @tls: NULL: plain. Else it ends only when both sides have agreed; taken over in any case
 *
 * CODE_NOT_AVAILABLE: nobody listens; CODE_TIMEOUT: no answer in time.
 */
int conn_connect(sd_event *event, const struct address *local, const struct address *peer,
		 struct tls *tls, uint64_t timeout_us, conn_fn fn, void *context,
		 struct conn **ret, struct failure *f);

/** conn_new - of a connected descriptor, which it takes over on success. */
int conn_new(sd_event *event, int fd, const struct address *peer, struct conn **ret,
	     struct failure *f);

/** conn_secure - the listener's half of a TLS handshake. @tls: taken over in any case. */
int conn_secure(struct conn *c, struct tls *tls, uint64_t timeout_us, conn_fn fn, void *context,
		struct failure *f);

/**
 * conn_call - send CALL @text and receive its REPLY. -EREMOTEIO: the peer sent FAILED; the
 * failure is the peer's.
 */
int conn_call(struct conn *c, const char *text, uint64_t timeout_us, conn_fn fn, void *context,
	      struct failure *f);

/**
 * conn_receive_call, conn_send_reply - the listener's half. -ENODATA: the peer closed between two
 * records.
 */
int conn_receive_call(struct conn *c, uint64_t timeout_us, conn_fn fn, void *context,
		      struct failure *f);
int conn_send_reply(struct conn *c, const char *text, uint64_t timeout_us, conn_fn fn,
		    void *context, struct failure *f);

const struct address *conn_peer(const struct conn *c);
enum protection conn_protection(const struct conn *c);

/** conn_fingerprint - of the peer's key, also when it was refused; "" when it showed none. */
const char *conn_fingerprint(const struct conn *c);

/** conn_is_same_peer - the same key, or, where none was shown, the same host. */
bool conn_is_same_peer(const struct conn *a, const struct conn *b);

/**
 * conn_steal_fd - take the descriptor, now blocking, out of an idle connection, or one that waits for a CALL of which
 * nothing has come, and free the rest.
 */
int conn_steal_fd(struct conn **c);

void conn_free_at(struct conn **c); /* *@c may be NULL, and is then */

#endif
