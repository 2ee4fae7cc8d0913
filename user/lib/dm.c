// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/dm.h"

#include <errno.h>
#include <string.h>

#include <libdevmapper.h>

#include "base/cleanup.h"

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

int dm_open_count(const char *name, unsigned int *ret, struct failure *f)
{
	_cleanup_(destroy_task_at) struct dm_task *task = NULL;
	struct dm_info info;

	dm_log_with_errno_init(swallow);
	task = dm_task_create(DM_DEVICE_INFO);
	if (!task || !dm_task_set_name(task, name) || !dm_task_run(task) ||
	    !dm_task_get_info(task, &info))
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

/* Without udev the library makes the node itself; with it, the name is there when this returns. */
int dm_rename(const char *name, const char *new_name, struct failure *f)
{
	_cleanup_(destroy_task_at) struct dm_task *task = NULL;
	uint32_t cookie = 0;
	int ok;

	dm_log_with_errno_init(swallow);
	task = dm_task_create(DM_DEVICE_RENAME);
	ok = task && dm_task_set_name(task, name) && dm_task_set_newname(task, new_name) &&
	     dm_task_set_cookie(task, &cookie, 0) && dm_task_run(task);
	if (cookie)
		(void)dm_udev_wait(cookie);
	dm_task_update_nodes();
	if (!ok)
		return failure_set(f, CODE_FAILED, -EIO,
				   "Mapped device %s cannot be renamed to %s; see `dmesg`.", name,
				   new_name);
	return 0;
}
