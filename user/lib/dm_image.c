// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/dm_image.h"

#include <errno.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include <libdevmapper.h>

#include "base/cleanup.h"
#include "lib/devid.h"

/* No links to what is on it, no look at what is on it: it is a part of a disk, for one reader. */
#define UDEV_FLAGS                                                                        \
	(DM_UDEV_DISABLE_DISK_RULES_FLAG | DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG |         \
	 DM_UDEV_DISABLE_OTHER_RULES_FLAG)

/* Without this the library prints to standard error by itself. */
static void swallow(int level, const char *file, int line, int error, const char *fmt, ...)
	printf_like(5, 6);

static void swallow(int level, const char *file, int line, int error, const char *fmt, ...)
{
	(void)level;
	(void)file;
	(void)line;
	(void)error;
	(void)fmt;
}

static void destroy_task_at(struct dm_task **task)
{
	if (*task)
		dm_task_destroy(*task);
}

/* Run, and wait until udev has seen it. */
static int run(struct dm_task *task)
{
	uint32_t cookie = 0;
	int ok = dm_task_set_cookie(task, &cookie, UDEV_FLAGS) && dm_task_run(task);

	if (cookie)
		(void)dm_udev_wait(cookie);
	dm_task_update_nodes();
	return ok;
}

int dm_image_create(const char *name, const struct uuid *tracker, const struct uuid *epoch,
		    uint64_t sectors, char ret_path[PATH_MAX], struct failure *f)
{
	_cleanup_(destroy_task_at) struct dm_task *task = NULL;
	char params[2 * (UUID_TEXT_LEN + 1)];
	char tracker_text[UUID_TEXT_LEN + 1];
	char epoch_text[UUID_TEXT_LEN + 1];
	struct dm_info info;
	int rc;

	dm_log_with_errno_init(swallow);
	(void)snprintf(params, sizeof(params), "%s %s", uuid_format(tracker, tracker_text),
		       uuid_format(epoch, epoch_text));
	task = dm_task_create(DM_DEVICE_CREATE);
	if (!task || !dm_task_set_name(task, name) || !dm_task_set_ro(task) ||
	    !dm_task_set_mode(task, 0600) ||
	    !dm_task_add_target(task, 0, sectors, "cbt-image", params) || !run(task) ||
	    !dm_task_get_info(task, &info) || !info.exists)
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
	_cleanup_(destroy_task_at) struct dm_task *look = NULL;
	_cleanup_(destroy_task_at) struct dm_task *task = NULL;
	struct dm_info info;

	dm_log_with_errno_init(swallow);
	look = dm_task_create(DM_DEVICE_INFO);
	if (look && dm_task_set_name(look, name) && dm_task_run(look) &&
	    dm_task_get_info(look, &info) && !info.exists)
		return 0;
	task = dm_task_create(DM_DEVICE_REMOVE);
	if (!task || !dm_task_set_name(task, name) || !dm_task_deferred_remove(task) || !run(task))
		return failure_set(f, CODE_FAILED, -EIO,
				   "The mapped device %s cannot be removed; see `dmesg`.", name);
	return 0;
}
