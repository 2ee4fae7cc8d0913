/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trackers that are lost. A store that failed may not be able to say so itself, and after a crash
 * would give back a map that lacks what was written since. So the module holds the writes that it
 * cannot record for a while (uapi/linux/dm-cbt.h, CBT_EVENT_LOST), until somebody else has
 * written it down: failbackd, for the disks of its relationships.
 */
#ifndef FAILBACK_DAEMON_LOSSES_H
#define FAILBACK_DAEMON_LOSSES_H

#include "daemon/daemon.h"

/** losses_start - listen, now or as soon as the module is loaded, and whenever it is again. */
int losses_start(struct daemon *d, struct failure *f);
void losses_stop(struct daemon *d);

#endif
