// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/dm_image.h"

#include <errno.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include <libdevmapper.h>

#include "base/cleanup.h"
#include "lib/devid.h"
#include "lib/dm.h"
#include "lib/dm_request.h"

/* No links to what is on it, no look at what is on it: it is a part of a disk, for one reader. */
#define UDEV_FLAGS                                                                        \
	(DM_UDEV_DISABLE_DISK_RULES_FLAG | DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG |         \
	 DM_UDEV_DISABLE_OTHER_RULES_FLAG)

int dm_image_create(const char *name, const struct uuid *tracker, const struct uuid *epoch,
		    uint64_t sectors, char ret_path[PATH_MAX], struct failure *f)
{
	_cleanup_(dm_request_free_at) struct dm_task *task = dm_request_new(DM_DEVICE_CREATE, name);
	char params[2 * (UUID_TEXT_LEN + 1)];
	char tracker_text[UUID_TEXT_LEN + 1];
	char epoch_text[UUID_TEXT_LEN + 1];
	struct dm_info info;
	int rc;

	(void)snprintf(params, sizeof(params), "%s %s", uuid_format(tracker, tracker_text),
		       uuid_format(epoch, epoch_text));
	if (!task || !dm_task_set_ro(task) || !dm_task_set_mode(task, 0600) ||
	    !dm_task_add_target(task, 0, sectors, "cbt-image", params) ||
	    !dm_request_run_with_udev(task, UDEV_FLAGS) || !dm_task_get_info(task, &info) || !info.exists)
		return failure_set(f, CODE_FAILED, -EIO,
				   "The image of tracker %s cannot be made (mapped device %s); see "
				   "`dmesg`.",
				   tracker_text, name);
	rc = devid_path(makedev(info.major, info.minor), ret_path, f);
	if (rc)
		(void)dm_image_remove(name, NULL);
	return rc;
}

int dm_image_remove(const char *name, struct failure *f)
{
	_cleanup_(dm_request_free_at) struct dm_task *task = NULL;
	unsigned int count;

	if (dm_open_count(name, &count, NULL) == -ENXIO)
		return 0;
	task = dm_request_new(DM_DEVICE_REMOVE, name);
	if (!task || !dm_task_deferred_remove(task) || !dm_request_run_with_udev(task, UDEV_FLAGS))
		return failure_set(f, CODE_FAILED, -EIO,
				   "The mapped device %s cannot be removed; see `dmesg`.", name);
	return 0;
}
