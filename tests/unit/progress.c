// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/daemon/progress.c and user/lib/progress_bar.c: percent, rate, time left, and how they
 * look.
 */
#include <string.h>

#include "base/clock.h"
#include "daemon/progress.h"
#include "lib/progress_bar.h"

#include "kselftest_harness.h"

#define MIB (UINT64_C(1) << 20)

TEST(before_the_total_is_known_nothing_is_claimed)
{
	struct progress p;

	progress_begin(&p, NS_PER_S);
	EXPECT_EQ(0, progress_percent(&p));
	EXPECT_EQ(0, progress_rate(&p, 0));
	EXPECT_EQ(PROGRESS_UNKNOWN, progress_seconds_left(&p, 0));
}

TEST(a_steady_transfer_has_its_rate_and_its_time_left)
{
	struct progress p;

	progress_begin(&p, 0);
	p.bytes_total = 100 * MIB;
	for (unsigned int i = 1; i <= 50; i++)
		progress_add(&p, i * NS_PER_S, i * MIB, i * MIB);
	EXPECT_EQ(50, progress_percent(&p));
	EXPECT_EQ(MIB, progress_rate(&p, 51 * NS_PER_S));
	EXPECT_EQ(51, progress_seconds_left(&p, 51 * NS_PER_S));
}

TEST(a_transfer_that_stalls_claims_no_rate_and_no_time_left)
{
	struct progress p;

	progress_begin(&p, 0);
	p.bytes_total = 100 * MIB;
	progress_add(&p, NS_PER_S, MIB, MIB);
	EXPECT_EQ(MIB, progress_rate(&p, 2 * NS_PER_S));
	EXPECT_EQ(0, progress_rate(&p, 60 * NS_PER_S));
	EXPECT_EQ(PROGRESS_UNKNOWN, progress_seconds_left(&p, 60 * NS_PER_S));
}

TEST(only_all_is_100_percent)
{
	struct progress p;

	progress_begin(&p, 0);
	p.bytes_total = 1000000;
	progress_add(&p, 1, 999999, 0);
	EXPECT_EQ(99, progress_percent(&p));
	progress_add(&p, 2, 1000000, 0);
	EXPECT_EQ(100, progress_percent(&p));
	EXPECT_EQ(0, progress_seconds_left(&p, 0));
}

TEST(numbers_that_go_backwards_are_ignored)
{
	struct progress p;

	progress_begin(&p, 0);
	p.bytes_total = 100;
	progress_add(&p, 1, 50, 40);
	progress_add(&p, 2, 10, 10);
	EXPECT_EQ(50, p.bytes_done);
	EXPECT_EQ(40, p.bytes_sent);
}

TEST(a_stalled_transfer_slows_down_and_does_not_divide_by_zero)
{
	struct progress p;

	progress_begin(&p, 0);
	p.bytes_total = 100 * MIB;
	progress_add(&p, NS_PER_S, 10 * MIB, 0);
	for (unsigned int i = 2; i < 300; i++)
		progress_add(&p, i * NS_PER_S, 10 * MIB, 0);
	EXPECT_EQ(0, progress_rate(&p, 0));
	EXPECT_EQ(PROGRESS_UNKNOWN, progress_seconds_left(&p, 0));
}

TEST(a_bar_takes_what_the_terminal_leaves)
{
	struct progress_bar bar = {
		.label = "sending",
		.bytes_total = 4 * MIB,
		.bytes_done = 2 * MIB,
		.bytes_per_second = MIB,
		.seconds_left = 2,
	};
	char line[256];

	progress_bar_format(&bar, 70, line, sizeof(line));
	EXPECT_NE(NULL, strstr(line, "[####"));
	EXPECT_NE(NULL, strstr(line, " 50 %  2 MiB of 4 MiB  1 MiB/s"));
	EXPECT_GE(70, strlen(line));
}

TEST(without_room_there_is_no_bar)
{
	struct progress_bar bar = { .label = "sending",
				    .bytes_total = MIB,
				    .seconds_left = UINT64_MAX };
	char line[256];

	progress_bar_format(&bar, 0, line, sizeof(line));
	EXPECT_STREQ("sending    0 %  0 B of 1 MiB", line);
}

TEST(without_a_total_there_is_the_label)
{
	struct progress_bar bar = { .label = "connecting", .seconds_left = UINT64_MAX };
	char line[256];

	progress_bar_format(&bar, 80, line, sizeof(line));
	EXPECT_STREQ("connecting", line);
}

TEST_HARNESS_MAIN
