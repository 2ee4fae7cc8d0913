// SPDX-License-Identifier: GPL-2.0-or-later
/* user/daemon/schedule.c: nobody waits longer than its interval and the transfers before it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/macro.h"
#include "daemon/schedule.h"

#include "kselftest_harness.h"

TEST(who_has_waited_longest_is_next)
{
	uint64_t due[] = { 50, UINT64_MAX, 30, 40 };

	EXPECT_EQ(2, schedule_pick(due, 4, 60, 0, 1));
	EXPECT_EQ(2, schedule_pick(due, 4, 30, 0, 1));
}

TEST(nobody_is_next_before_its_time_or_when_all_transfers_are_taken)
{
	uint64_t due[] = { 50, UINT64_MAX };

	EXPECT_EQ(2, schedule_pick(due, 2, 49, 0, 3));
	EXPECT_EQ(2, schedule_pick(due, 2, 60, 3, 3));
	EXPECT_EQ(0, schedule_pick(due, 2, 60, 2, 3));
	EXPECT_EQ(0, schedule_pick(due, 0, 60, 0, 3));
}

/* 20 relationships with transfers of random length, three at once, over a day of ticks. */
TEST(no_one_waits_longer_than_its_interval_and_the_transfers_before_it)
{
	enum { NR = 20, MAX = 3, INTERVAL = 30, LONGEST = 12 };
	uint64_t due[NR];
	uint64_t ends[NR] = { 0 };
	uint64_t longest_wait = 0;

	srand(1);
	for (unsigned int i = 0; i < NR; i++)
		due[i] = (uint64_t)(rand() % INTERVAL);
	for (uint64_t now = 0; now < 86400; now++) {
		size_t running = 0;
		size_t picked;

		for (unsigned int i = 0; i < NR; i++) {
			if (ends[i] == now)
				ends[i] = 0;
			running += ends[i] != 0;
		}
		for (;;) {
			uint64_t may[NR];

			for (unsigned int i = 0; i < NR; i++)
				may[i] = ends[i] ? UINT64_MAX : due[i];
			picked = schedule_pick(may, NR, now, running, MAX);
			if (picked == NR)
				break;
			longest_wait = max_of(longest_wait, now - due[picked]);
			due[picked] = now + INTERVAL;
			ends[picked] = now + 1 + (uint64_t)(rand() % LONGEST);
			running++;
		}
		ASSERT_GE(MAX, running);
	}
	printf("# longest wait beyond the interval: %llu ticks\n",
	       (unsigned long long)longest_wait);
	EXPECT_GE(NR * LONGEST / MAX, longest_wait);
	EXPECT_LT(0, longest_wait);
}

TEST_HARNESS_MAIN
