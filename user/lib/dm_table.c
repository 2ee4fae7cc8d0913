// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/dm_table.h"

#include <errno.h>
#include <stdio.h>
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

static struct dm_task *new_task(int type, const char *name)
{
	struct dm_task *task;

	dm_log_with_errno_init(swallow);
	task = dm_task_create(type);
	if (task && dm_task_set_name(task, name))
		return task;
	if (task)
		dm_task_destroy(task);
	return NULL;
}

static int failed(struct failure *f, const char *verb, const char *name)
{
	return failure_set(f, CODE_FAILED, -EIO, "mapped device %s cannot be %s; see `dmesg`", name,
			   verb);
}

int dm_table_read(const char *name, struct dm_table *ret, struct failure *f)
{
	_cleanup_(destroy_task_at) struct dm_task *task = new_task(DM_DEVICE_TABLE, name);
	struct dm_info info;
	uint64_t start;
	uint64_t sectors;
	char *type = NULL;
	char *params = NULL;
	void *next;

	if (!task || !dm_task_run(task) || !dm_task_get_info(task, &info))
		return failed(f, "looked up", name);
	if (!info.exists)
		return failure_set(f, CODE_INVALID_PARAMETER, -ENXIO,
				   "there is no mapped device %s", name);
	next = dm_get_next_target(task, NULL, &start, &sectors, &type, &params);
	if (next || !type || !params || start || strlen(type) >= sizeof(ret->type) ||
	    strlen(params) >= sizeof(ret->params))
		return failure_set(f, CODE_NOT_SUPPORTED, -EOPNOTSUPP,
				   "mapped device %s does not have one target", name);
	*ret = (struct dm_table){ .sectors = sectors };
	(void)snprintf(ret->type, sizeof(ret->type), "%s", type);
	(void)snprintf(ret->params, sizeof(ret->params), "%s", params);
	return 0;
}

int dm_table_load(const char *name, const struct dm_table *table, struct failure *f)
{
	_cleanup_(destroy_task_at) struct dm_task *task = new_task(DM_DEVICE_RELOAD, name);

	if (!task || !dm_task_add_target(task, 0, table->sectors, table->type, table->params) ||
	    !dm_task_run(task))
		return failure_set(f, CODE_FAILED, -EIO,
				   "mapped device %s cannot be given the table '%s %s'; see `dmesg`",
				   name, table->type, table->params);
	return 0;
}

void dm_table_drop(const char *name)
{
	_cleanup_(destroy_task_at) struct dm_task *task = new_task(DM_DEVICE_CLEAR, name);

	if (task)
		(void)dm_task_run(task);
}

int dm_table_swap(const char *name, struct failure *f)
{
	_cleanup_(destroy_task_at) struct dm_task *suspend = new_task(DM_DEVICE_SUSPEND, name);
	_cleanup_(destroy_task_at) struct dm_task *resume = new_task(DM_DEVICE_RESUME, name);
	uint32_t cookie = 0;
	int ok;

	/* A file system above need not be still: no request is lost. */
	if (!suspend || !resume || !dm_task_skip_lockfs(suspend) || !dm_task_run(suspend))
		return failed(f, "suspended", name);
	ok = dm_task_set_cookie(resume, &cookie, 0) && dm_task_run(resume);
	if (cookie)
		(void)dm_udev_wait(cookie);
	dm_task_update_nodes();
	return ok ? 0 : failed(f, "resumed", name);
}
