/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where peers connect. What an unknown peer can cost is bounded: connections at once, bytes of a
 * call, time for one; those that are not trusted are closed before they are read.
 */
#ifndef FAILBACK_DAEMON_LISTENER_H
#define FAILBACK_DAEMON_LISTENER_H

#include "daemon/daemon.h"

/** listener_start - on d->listen. CODE_IN_USE and so on with a sentence that names the setting. */
int listener_start(struct daemon *d, struct failure *f);
void listener_stop(struct daemon *d); /* closes all connections too */

#endif
