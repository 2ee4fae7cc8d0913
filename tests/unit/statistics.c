// SPDX-License-Identifier: GPL-2.0-or-later
/* user/daemon/statistics.c: which jobs count, and as what. */
#include <string.h>

#include "daemon/job.h"
#include "daemon/statistics.h"

#include "kselftest_harness.h"

#define SECOND UINT64_C(1000000)
#define START  (1000000 * SECOND)

FIXTURE(statistics)
{
	struct statistics s;
};

FIXTURE_SETUP(statistics)
{
	self->s = (struct statistics){ .mode = MODE_PRIMARY, .interval_us = 300 * SECOND };
}

FIXTURE_TEARDOWN(statistics) {}

/* A job that was started @at seconds after the start and took @took. */
static void add(struct statistics *s, unsigned int type, unsigned int state, uint32_t code, uint64_t at,
		uint64_t took)
{
	struct job_record job = { .type = type, .state = state, .code = code,
				  .started_us = START + at * SECOND,
				  .ended_us = START + (at + took) * SECOND,
				  .bytes_total = 100 + at, .bytes_sent = 10 };

	statistics_add(s, &job);
}

TEST_F(statistics, what_arrived_is_counted_with_its_bytes_and_its_time)
{
	add(&self->s, JOB_SEND_INITIAL, JOB_COMPLETED, 0, 0, 40);
	add(&self->s, JOB_SEND, JOB_COMPLETED, 0, 300, 2);
	add(&self->s, JOB_PREPARE, JOB_COMPLETED, 0, 350, 1);
	EXPECT_EQ(3, self->s.successes);
	EXPECT_EQ(100 + 400 + 450, self->s.bytes);
	EXPECT_EQ(450, self->s.bytes_max);
	EXPECT_EQ(43 * SECOND, self->s.latency_us);
	EXPECT_EQ(40 * SECOND, self->s.latency_max_us);
	EXPECT_EQ(0, self->s.misses);
}

TEST_F(statistics, failures_are_told_apart_and_what_was_terminated_is_none)
{
	add(&self->s, JOB_SEND, JOB_EXCEPTION, CODE_NOT_AVAILABLE, 0, 1);
	add(&self->s, JOB_SEND, JOB_EXCEPTION, CODE_TIMEOUT, 1, 1);
	add(&self->s, JOB_RESYNCHRONIZE, JOB_EXCEPTION, CODE_FAILED, 2, 1);
	add(&self->s, JOB_SEND, JOB_TERMINATED, CODE_FAILED, 3, 1);
	EXPECT_EQ(2, self->s.network_failures);
	EXPECT_EQ(1, self->s.failures);
	EXPECT_EQ(0, self->s.successes);
	EXPECT_EQ(0, self->s.bytes);
	EXPECT_EQ(40, self->s.bytes_sent);
}

TEST_F(statistics, an_interval_without_a_delta_that_arrived_is_missed)
{
	add(&self->s, JOB_SEND, JOB_COMPLETED, 0, 0, 1);
	add(&self->s, JOB_SEND, JOB_COMPLETED, 0, 599, 1); /* late, within the next interval */
	EXPECT_EQ(0, self->s.misses);
	add(&self->s, JOB_SEND, JOB_EXCEPTION, CODE_TIMEOUT, 899, 1);
	add(&self->s, JOB_SEND, JOB_COMPLETED, 0, 1200, 1);
	EXPECT_EQ(1, self->s.misses);
	add(&self->s, JOB_SEND, JOB_COMPLETED, 0, 1200 + 4 * 300, 1);
	EXPECT_EQ(4, self->s.misses);
}

TEST_F(statistics, a_replica_counts_what_it_received_and_a_primary_what_it_sent)
{
	add(&self->s, JOB_RECEIVE, JOB_COMPLETED, 0, 0, 1);
	add(&self->s, JOB_REVERSE, JOB_COMPLETED, 0, 1, 1);
	EXPECT_EQ(0, self->s.successes);
	self->s.mode = MODE_REPLICA;
	add(&self->s, JOB_RECEIVE, JOB_COMPLETED, 0, 2, 1);
	add(&self->s, JOB_SEND, JOB_COMPLETED, 0, 3, 1);
	EXPECT_EQ(1, self->s.successes);
}

TEST_F(statistics, what_still_runs_does_not_count)
{
	struct job_record job = { .type = JOB_SEND, .state = JOB_RUNNING, .started_us = START };

	statistics_add(&self->s, &job);
	EXPECT_EQ(0, self->s.successes + self->s.failures + self->s.network_failures);
}

TEST_HARNESS_MAIN
