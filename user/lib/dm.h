/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mapped devices, as device-mapper sees them. */
#ifndef FAILBACK_LIB_DM_H
#define FAILBACK_LIB_DM_H

#include <stdbool.h>

#include "base/failure.h"

/**
 * dm_open_count - how many openers and holders the mapped device @name has; *@ret 0 means that
 * nothing uses it. -ENXIO: there is no such mapped device.
 */
int dm_open_count(const char *name, unsigned int *ret, struct failure *f);

/** dm_exists - is there a mapped device of that name? False also when device-mapper does not answer. */
bool dm_exists(const char *name);

/** dm_rename - also its node in /dev/mapper; what has the device open keeps it. */
int dm_rename(const char *name, const char *new_name, struct failure *f);

/** dm_remove - CODE_IN_USE: something has it open. No such device: 0. */
int dm_remove(const char *name, struct failure *f);

#endif
