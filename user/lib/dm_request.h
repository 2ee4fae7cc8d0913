/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One request to device-mapper: what dm.c, dm_table.c and dm_image.c share of libdevmapper. */
#ifndef FAILBACK_LIB_DM_REQUEST_H
#define FAILBACK_LIB_DM_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

struct dm_task;

/**
 * dm_request_new - of @type, DM_DEVICE_*, for the mapped device @name; the library no longer prints
 * to standard error by itself. NULL: no memory, or a name that device-mapper does not take.
 */
struct dm_task *dm_request_new(int type, const char *name);

/** dm_request_free_at - for _cleanup_. */
void dm_request_free_at(struct dm_task **request);

/**
 * dm_request_run_with_udev - run what makes, renames or removes a device: its nodes are right when
 * this returns, with udev and without; but for a udev that does not answer within DM_UDEV_WAIT_MS, which is
 * not waited for. @flags: DM_UDEV_*. Return: whether device-mapper did it.
 */
bool dm_request_run_with_udev(struct dm_task *request, uint16_t flags);

#define DM_UDEV_WAIT_MS 5000

/** dm_request_tell_late - @fn is called when udev was not waited for any longer; NULL: nobody is told. */
void dm_request_tell_late(void (*fn)(void));

#endif
