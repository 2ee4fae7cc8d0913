/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections to peers, and which of them are allowed. */
#ifndef FAILBACK_DAEMON_PEER_H
#define FAILBACK_DAEMON_PEER_H

#include "daemon/daemon.h"
#include "lib/conn.h"

/**
 * peer_check_trusted - this version speaks without encryption: with loopback and the addresses in
 * `trusted` only.
 */
int peer_check_trusted(const struct daemon *d, const struct address *peer, struct failure *f);

/** peer_connect - to "ADDRESS:PORT", from the address that this host listens on. */
int peer_connect(struct daemon *d, const char *peer, conn_fn fn, void *context, struct conn **ret,
		 struct failure *f);

/** peer_timeout_us - for one call. */
uint64_t peer_timeout_us(const struct daemon *d);

#endif
