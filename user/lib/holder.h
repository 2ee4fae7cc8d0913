/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who keeps a block device busy, as far as /proc and /sys tell. Only for sentences: the claim itself is the kernel's O_EXCL. */
#ifndef FAILBACK_LIB_HOLDER_H
#define FAILBACK_LIB_HOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * holder_describe - "mounted on /srv", "held by dm-3 (vm1-disk0)", or "in use by another program or through one of its
 * partitions".
 *
 * Returns whether a culprit was found; @buf is filled either way.
 */
bool holder_describe(dev_t dev, char *buf, size_t room);

#endif
