// SPDX-License-Identifier: GPL-2.0-or-later
/* kmod/gather.c: nobody who comes is left waiting, and many who come together wake the worker once. */
#include <linux/hrtimer.h>

#include "gather.h"

#include "kselftest_harness.h"

#define DEPTH 13 /* of the exploration: 621250 steps in all */

static u32 nr_wakes;

static void wake(struct cbt_gather *gather)
{
	(void)gather;
	nr_wakes++;
}

static void come(struct cbt_gather *g)
{
	if (cbt_gather_come(g))
		wake(g);
}

static void expire(struct cbt_gather *g)
{
	g->timer.armed = false;
	(void)g->timer.function(&g->timer);
}

/* The worker runs if he was woken. */
static void work(struct cbt_gather *g)
{
	if (nr_wakes)
		(void)cbt_gather_go(g);
	nr_wakes = 0;
}

/* @nr come, @pace of them in the time that the timer runs; returns how often the worker was woken. */
static u32 convoy(struct cbt_gather *g, u32 nr, u32 pace)
{
	u32 i, since = 0, woken = 0;

	for (i = 0; i < nr; i++) {
		if (g->timer.armed && ++since >= pace) {
			expire(g);
			since = 0;
		}
		come(g);
		if (g->nr_here == 1)
			since = 0;
		woken += !!nr_wakes;
		work(g);
	}
	for (; g->nr_here; work(g)) {
		expire(g);
		woken += !!nr_wakes;
	}
	return woken;
}

FIXTURE(gather)
{
	struct cbt_gather g;
};

FIXTURE_SETUP(gather)
{
	memset(&self->g, 0, sizeof(self->g));
	cbt_gather_init(&self->g, wake);
	nr_wakes = 0;
}

FIXTURE_TEARDOWN(gather)
{
	cbt_gather_exit(&self->g);
}

/* Every sequence of: one comes, the timer expires, the worker runs, woken by whatever. */
static u32 explore(struct cbt_gather before, u32 wakes, u32 depth)
{
	u32 op, nr_left = 0;

	if (before.nr_here && !wakes && !before.timer.armed)
		return 1;
	if (!depth)
		return 0;
	for (op = 0; op < 3; op++) {
		struct cbt_gather g = before;

		nr_wakes = wakes;
		if (op == 0) {
			come(&g);
		} else if (op == 1) {
			if (!g.timer.armed)
				continue;
			expire(&g);
		} else {
			(void)cbt_gather_go(&g);
			nr_wakes = 0;
		}
		nr_left += explore(g, nr_wakes, depth - 1);
	}
	return nr_left;
}

TEST_F(gather, whoever_is_here_has_a_worker_woken_or_a_timer_armed)
{
	EXPECT_EQ(0U, explore(self->g, 0, DEPTH));
	self->g.nr_expected = 4;
	EXPECT_EQ(0U, explore(self->g, 0, DEPTH));
	self->g.calm = 1;
	EXPECT_EQ(0U, explore(self->g, 0, DEPTH));
}

TEST_F(gather, who_comes_alone_is_kept_waiting_ever_more_rarely)
{
	u32 i, nr_kept = 0;

	for (i = 0; i < 100 * CBT_GATHER_CALM_MAX; i++) {
		come(&self->g);
		nr_kept += !nr_wakes;
		while (!nr_wakes)
			expire(&self->g);
		work(&self->g);
	}
	EXPECT_GE(220U, nr_kept);
	EXPECT_LE(180U, nr_kept);
}

TEST_F(gather, who_come_together_wake_the_worker_once_or_little_more)
{
	static const u32 sizes[] = { 2, 3, 5, 8, 24, 32, 48, 100, 200 };
	u32 i, s, woken;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		for (i = 0; i < 20 * CBT_GATHER_CALM_MIN; i++)
			(void)convoy(&self->g, sizes[s], 2 + sizes[s] / 16);
		for (woken = 0, i = 0; i < 100; i++)
			woken += convoy(&self->g, sizes[s], 2 + sizes[s] / 16);
		EXPECT_LE(100U, woken);
		EXPECT_GE(125U, woken)
			TH_LOG("%u came together, 100 times: %u wakes", sizes[s], woken);
	}
}

TEST_F(gather, when_one_comes_where_many_did_it_is_measured_once_how_many_do_now)
{
	self->g.nr_expected = 32;
	EXPECT_EQ(1U, convoy(&self->g, 1, 1));
	EXPECT_EQ((u32)CBT_GATHER_MAX, self->g.nr_expected);
	EXPECT_EQ(1U, convoy(&self->g, 1, 1));
	EXPECT_EQ(1U, self->g.nr_expected);
	come(&self->g);
	EXPECT_EQ(1U, nr_wakes);
}

TEST_F(gather, those_who_come_slowly_wait_for_a_bounded_time)
{
	u32 nr = 0;

	self->g.nr_expected = CBT_GATHER_MAX;
	come(&self->g);
	for (; !nr_wakes; nr++) {
		come(&self->g);
		expire(&self->g);
	}
	EXPECT_EQ((u32)CBT_GATHER_ROUNDS, nr);
}

TEST_F(gather, worker_whom_something_else_wakes_takes_nobody_who_still_gathers)
{
	EXPECT_FALSE(cbt_gather_go(&self->g));
	self->g.nr_expected = 3;
	come(&self->g);
	come(&self->g);
	EXPECT_FALSE(cbt_gather_go(&self->g));
	come(&self->g);
	EXPECT_EQ(1U, nr_wakes);
	EXPECT_TRUE(cbt_gather_go(&self->g));
	EXPECT_EQ(3U, self->g.nr_expected);
}

TEST_F(gather, timer_that_outlives_those_who_started_it_wakes_nobody_and_teaches_nothing)
{
	self->g.nr_expected = 2;
	come(&self->g);
	come(&self->g);
	work(&self->g);
	EXPECT_TRUE(self->g.timer.armed);
	expire(&self->g);
	EXPECT_EQ(0U, nr_wakes);
	EXPECT_FALSE(self->g.timer.armed);
}

TEST_F(gather, a_pause_is_over_when_the_next_one_comes)
{
	self->g.nr_expected = 8;
	(void)convoy(&self->g, 4, 5);
	(void)convoy(&self->g, 4, 5);
	EXPECT_EQ(4U, self->g.nr_expected);
	come(&self->g);
	EXPECT_FALSE(cbt_gather_go(&self->g));
}

TEST_HARNESS_MAIN
