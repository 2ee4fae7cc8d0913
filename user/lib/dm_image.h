/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images of frozen epochs (dm target cbt-image) as mapped devices. */
#ifndef FAILBACK_LIB_DM_IMAGE_H
#define FAILBACK_LIB_DM_IMAGE_H

#include <limits.h>
#include <stdint.h>

#include "base/failure.h"
#include "base/uuid.h"

/**
 * dm_image_create - the mapped device @name over the frozen @epoch of @tracker, of @sectors.
 *
 * Read-only, for root only, and out of the way of whatever udev looks for on new disks.
 * @ret_path: what opens it
 */
int dm_image_create(const char *name, const struct uuid *tracker, const struct uuid *epoch,
		    uint64_t sectors, char ret_path[PATH_MAX], struct failure *f);

/**
 * dm_image_remove - as soon as nobody has it open; its name is then free again. No such device: 0.
 */
int dm_image_remove(const char *name, struct failure *f);

#endif
