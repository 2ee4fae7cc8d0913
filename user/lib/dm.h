/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mapped devices, as device-mapper sees them. The only file that knows libdevmapper. */
#ifndef FAILBACK_LIB_DM_H
#define FAILBACK_LIB_DM_H

#include "base/failure.h"

/**
 * dm_open_count - how many openers and holders the mapped device @name has; *@ret 0 means that
 * nothing uses it. -ENXIO: there is no such mapped device.
 */
int dm_open_count(const char *name, unsigned int *ret, struct failure *f);

#endif
