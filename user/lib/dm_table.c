// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/dm_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <libdevmapper.h>

#include "base/cleanup.h"
#include "lib/dm_request.h"

static int failed(struct failure *f, const char *verb, const char *name)
{
	return failure_set(f, CODE_FAILED, -EIO, "mapped device %s cannot be %s; see `dmesg`", name,
			   verb);
}

int dm_table_read(const char *name, struct dm_table *ret, struct failure *f)
{
	_cleanup_(dm_request_free_at) struct dm_task *task = dm_request_new(DM_DEVICE_TABLE, name);
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

int dm_table_create(const char *name, const char *uuid, const struct dm_table *table, mode_t mode,
		    struct failure *f)
{
	_cleanup_(dm_request_free_at) struct dm_task *task = dm_request_new(DM_DEVICE_CREATE, name);

	if (!task || !dm_task_set_uuid(task, uuid) || !dm_task_set_mode(task, mode) ||
	    !dm_task_add_target(task, 0, table->sectors, table->type, table->params) ||
	    !dm_request_run_with_udev(task, 0))
		return failure_set(f, CODE_FAILED, -EIO,
				   "mapped device %s cannot be made with the table '%s %s'; see `dmesg`",
				   name, table->type, table->params);
	return 0;
}

int dm_table_load(const char *name, const struct dm_table *table, struct failure *f)
{
	_cleanup_(dm_request_free_at) struct dm_task *task = dm_request_new(DM_DEVICE_RELOAD, name);

	if (!task || !dm_task_add_target(task, 0, table->sectors, table->type, table->params) ||
	    !dm_task_run(task))
		return failure_set(f, CODE_FAILED, -EIO,
				   "mapped device %s cannot be given the table '%s %s'; see `dmesg`",
				   name, table->type, table->params);
	return 0;
}

void dm_table_drop(const char *name)
{
	_cleanup_(dm_request_free_at) struct dm_task *task = dm_request_new(DM_DEVICE_CLEAR, name);

	if (task)
		(void)dm_task_run(task);
}

int dm_table_swap(const char *name, struct failure *f)
{
	_cleanup_(dm_request_free_at) struct dm_task *suspend = dm_request_new(DM_DEVICE_SUSPEND, name);
	_cleanup_(dm_request_free_at) struct dm_task *resume = dm_request_new(DM_DEVICE_RESUME, name);

	/* A file system above need not be still: no request is lost. */
	if (!suspend || !resume || !dm_task_skip_lockfs(suspend) || !dm_task_run(suspend))
		return failed(f, "suspended", name);
	return dm_request_run_with_udev(resume, 0) ? 0 : failed(f, "resumed", name);
}
