/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices come and go, and nobody tells the daemon: a linear one in a tracker's place gives no event.
 * So what stands on this host is looked at again and again.
 */
#ifndef FAILBACK_DAEMON_WATCH_H
#define FAILBACK_DAEMON_WATCH_H

#include "daemon/daemon.h"

/**
 * watch_when_due - of every VM, every few seconds: is each device in sight where the VM may run, and only
 * there? And is what is written recorded? While it is not, the VM is Critical where it may run, and there is a
 * warning on its replica (vm_health()). One that could not be started after a boot is tried again.
 */
void watch_when_due(struct daemon *d);

#endif
