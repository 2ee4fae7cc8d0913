// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/dm.h"

#include <errno.h>
#include <string.h>

#include <libdevmapper.h>

#include "base/cleanup.h"
#include "lib/dm_request.h"

int dm_open_count(const char *name, unsigned int *ret, struct failure *f)
{
	_cleanup_(dm_request_free_at) struct dm_task *task = dm_request_new(DM_DEVICE_INFO, name);
	struct dm_info info;

	if (!task || !dm_task_run(task) || !dm_task_get_info(task, &info))
		return failure_set(
			f, CODE_NOT_AVAILABLE, -EIO,
			"Device-mapper does not answer for mapped device %s; is the kernel's dm "
			"loaded?",
			name);
	if (!info.exists)
		return failure_set(f, CODE_NOT_AVAILABLE, -ENXIO, "There is no mapped device %s.",
				   name);
	*ret = (unsigned int)info.open_count;
	return 0;
}

bool dm_exists(const char *name)
{
	unsigned int count;

	return dm_open_count(name, &count, NULL) == 0;
}

int dm_rename(const char *name, const char *new_name, struct failure *f)
{
	_cleanup_(dm_request_free_at) struct dm_task *task = dm_request_new(DM_DEVICE_RENAME, name);

	if (!task || !dm_task_set_newname(task, new_name) || !dm_request_run_with_udev(task, 0))
		return failure_set(f, CODE_FAILED, -EIO,
				   "Mapped device %s cannot be renamed to %s; see `dmesg`.", name,
				   new_name);
	return 0;
}

int dm_remove(const char *name, struct failure *f)
{
	_cleanup_(dm_request_free_at) struct dm_task *task = NULL;
	unsigned int count = 0;
	int rc = dm_open_count(name, &count, f);

	if (rc)
		return rc == -ENXIO ? 0 : rc;
	task = dm_request_new(DM_DEVICE_REMOVE, name);
	if (task && !count && dm_request_run_with_udev(task, 0))
		return 0;
	if (count || (!dm_open_count(name, &count, NULL) && count))
		return failure_set(f, CODE_IN_USE, -EBUSY, "Mapped device %s is open.", name);
	return failure_set(f, CODE_FAILED, -EIO, "Mapped device %s cannot be removed; see `dmesg`.", name);
}
