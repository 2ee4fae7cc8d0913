/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections to peers, and which of them are allowed. */
#ifndef FAILBACK_DAEMON_PEER_H
#define FAILBACK_DAEMON_PEER_H

#include "daemon/daemon.h"
#include "lib/conn.h"

/**
 * peer_tls - the handshake to be had with @peer. *@ret NULL: none, the setting plain names it.
 */
int peer_tls(const struct daemon *d, const struct address *peer, bool listener, struct tls **ret,
	     struct failure *f);

/** peer_log_identity - into the log, for whom starts failbackd: how this host is known to peers. */
void peer_log_identity(const struct daemon *d);

/** peer_log_protection - the first time, and when it is another one than the last time. */
void peer_log_protection(struct daemon *d, enum protection protection);

/** peer_connect - to "ADDRESS:PORT", from the address that this host listens on. */
int peer_connect(struct daemon *d, const char *peer, conn_fn fn, void *context, struct conn **ret,
		 struct failure *f);

/** peer_timeout_us - for one call. */
uint64_t peer_timeout_us(const struct daemon *d);

#endif
