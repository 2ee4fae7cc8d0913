// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/dm_request.h"

#include <libdevmapper.h>

#include "base/macro.h"

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

struct dm_task *dm_request_new(int type, const char *name)
{
	struct dm_task *request;

	dm_log_with_errno_init(swallow);
	request = dm_task_create(type);
	if (request && dm_task_set_name(request, name))
		return request;
	dm_request_free_at(&request);
	return NULL;
}

void dm_request_free_at(struct dm_task **request)
{
	if (*request)
		dm_task_destroy(*request);
}

bool dm_request_run_with_udev(struct dm_task *request, uint16_t flags)
{
	uint32_t cookie = 0;
	bool ok = dm_task_set_cookie(request, &cookie, flags) && dm_task_run(request);

	if (cookie)
		(void)dm_udev_wait(cookie);
	dm_task_update_nodes();
	return ok;
}
