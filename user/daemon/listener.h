/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where peers connect. What an unknown peer can cost is bounded: connections at once, bytes of a
 * call, time for a handshake and for a call. Nothing of a call is read before the handshake has shown
 * who it is, unless the setting plain names the address. One that is refused is logged once, by its
 * key, or its address where it shows none.
 */
#ifndef FAILBACK_DAEMON_LISTENER_H
#define FAILBACK_DAEMON_LISTENER_H

#include "daemon/daemon.h"

/** listener_start - on d->listen. CODE_IN_USE and so on with a sentence that names the setting. */
int listener_start(struct daemon *d, struct failure *f);
void listener_stop(struct daemon *d); /* closes all connections too */

#endif
