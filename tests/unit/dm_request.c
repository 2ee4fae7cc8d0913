// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/dm_request.c, with a libdevmapper whose udev answers, or does not. */
#include <limits.h>
#include <libdevmapper.h>
#include <unistd.h>

#include "base/clock.h"
#include "lib/dm_request.h"

#include "kselftest_harness.h"

#define COOKIE 0xd4d1234U

static int looks_until_ready; /* INT_MAX: never */
static int nr_looks;
static int nr_completed;
static int nr_told;

/* In front of the library's. */
int dm_task_set_cookie(struct dm_task *task, uint32_t *cookie, uint16_t flags)
{
	(void)task;
	(void)flags;
	*cookie = COOKIE;
	return 1;
}

int dm_task_run(struct dm_task *task)
{
	(void)task;
	return 1;
}

int dm_udev_wait(uint32_t cookie)
{
	(void)cookie;
	(void)pause(); /* the harness ends it */
	return 1;
}

int dm_udev_wait_immediate(uint32_t cookie, int *ready)
{
	nr_looks++;
	*ready = cookie == COOKIE && (nr_completed || nr_looks > looks_until_ready);
	return 1;
}

int dm_udev_complete(uint32_t cookie)
{
	nr_completed += cookie == COOKIE;
	return 1;
}

static void note_late(void)
{
	nr_told++;
}

static bool run(int looks)
{
	struct dm_task *request = dm_request_new(DM_DEVICE_RESUME, "x");
	bool ok;

	looks_until_ready = looks;
	nr_looks = nr_completed = nr_told = 0;
	dm_request_tell_late(note_late);
	ok = request && dm_request_run_with_udev(request, 0);
	dm_request_free_at(&request);
	return ok;
}

TEST(udev_is_waited_for)
{
	EXPECT_TRUE(run(5));
	EXPECT_EQ(6, nr_looks);
	EXPECT_EQ(0, nr_completed);
	EXPECT_EQ(0, nr_told);
}

TEST(a_udev_that_hangs_is_not_waited_for_for_ever)
{
	uint64_t started = clock_ns();

	EXPECT_TRUE(run(INT_MAX));
	EXPECT_LE(DM_UDEV_WAIT_MS * NS_PER_MS, clock_ns() - started);
	EXPECT_EQ(1, nr_completed); /* no semaphore is left */
	EXPECT_EQ(1, nr_told);
}

TEST_HARNESS_MAIN
