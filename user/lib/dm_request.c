// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/dm_request.h"

#include <time.h>

#include <libdevmapper.h>

#include "base/clock.h"
#include "base/macro.h"

#define LOOK_AGAIN_FIRST_MS 1
#define LOOK_AGAIN_MAX_MS   50

static void (*tell_late)(void);

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

void dm_request_tell_late(void (*fn)(void))
{
	tell_late = fn;
}

/*
 * Not dm_udev_wait(), which has no deadline: where storage hangs, workers of udev hang first. What is given up is
 * completed as `dmsetup udevcomplete` does, so that no semaphore is left; when udev comes to it, it finds none.
 */
static void wait_for_udev(uint32_t cookie)
{
	uint64_t deadline = deadline_in_ms(DM_UDEV_WAIT_MS);
	uint64_t pause_ms = LOOK_AGAIN_FIRST_MS;
	int ready = 0;

	while (dm_udev_wait_immediate(cookie, &ready) && !ready) {
		struct timespec pause = { .tv_nsec = (long)(pause_ms * NS_PER_MS) };

		if (!deadline_left_ms(deadline)) {
			(void)dm_udev_complete(cookie);
			(void)dm_udev_wait_immediate(cookie, &ready);
			if (tell_late)
				tell_late();
			return;
		}
		(void)nanosleep(&pause, NULL);
		pause_ms = min_of(2 * pause_ms, (uint64_t)LOOK_AGAIN_MAX_MS);
	}
}

bool dm_request_run_with_udev(struct dm_task *request, uint16_t flags)
{
	uint32_t cookie = 0;
	bool ok = dm_task_set_cookie(request, &cookie, flags) && dm_task_run(request);

	if (cookie)
		wait_for_udev(cookie);
	dm_task_update_nodes();
	return ok;
}
