/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fence: the VM's device, /dev/mapper/TRACKER, is there only where the VM may run. Elsewhere the
 * same mapped device is named TRACKER.replica, for root alone. A VM of any kind, started by anyone,
 * cannot open what is not there.
 *
 * Disks without a tracker, on a host where the VM never runs, have nothing to be fenced.
 */
#ifndef FAILBACK_DAEMON_FENCE_H
#define FAILBACK_DAEMON_FENCE_H

#include <stdbool.h>

#include "base/failure.h"
#include "lib/store.h"

#define FENCE_SUFFIX   ".replica"
#define FENCE_NAME_MAX (CBT_NAME_LEN + sizeof(FENCE_SUFFIX))

/**
 * fence_check_tracker - CODE_INVALID_PARAMETER: the name of the disk's tracker ends as one that the fence
 * gives, and may be another VM's.
 */
int fence_check_tracker(const struct disk_record *disk, struct failure *f);

/** fence_name - the name that the disk's mapped device has now; the VM's when it has neither. */
const char *fence_name(const struct disk_record *disk, char buf[FENCE_NAME_MAX]);

/**
 * fence_raise - take the devices out of the VM's sight. Those that are not there are. CODE_IN_USE names
 * one that is open; CODE_NOT_AVAILABLE: device-mapper does not answer. Then all are as they were.
 */
int fence_raise(const struct relationship_record *r, struct failure *f);

/** fence_lower - let the VM see its devices. Devices that are not there are skipped. */
int fence_lower(const struct relationship_record *r, struct failure *f);

#endif
