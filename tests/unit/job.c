// SPDX-License-Identifier: GPL-2.0-or-later
/* user/daemon/job.c without a bus: which jobs are remembered, and which are not begun. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/job.h"
#include "daemon/vm.h"

#include "kselftest_harness.h"

#define MORE_THAN_ARE_KEPT 600

FIXTURE(job)
{
	struct daemon d;
	struct vm vm;
	struct failure f;
	char dir[64];
	char path[96];
};

FIXTURE_SETUP(job)
{
	memset(self, 0, sizeof(*self));
	(void)strcpy(self->dir, "/tmp/job-test.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	(void)snprintf(self->path, sizeof(self->path), "%s/db", self->dir);
	ASSERT_EQ(0, store_open(self->path, &self->d.store, &self->f));
	ASSERT_LE(0, sd_event_new(&self->d.event));
	self->vm.daemon = &self->d;
	self->vm.r.vm = (struct uuid){ { 1 } };
}

FIXTURE_TEARDOWN(job)
{
	char path[112];

	job_free_all(&self->d);
	(void)sd_event_unref(self->d.event);
	store_close(self->d.store);
	(void)unlink(self->path);
	(void)snprintf(path, sizeof(path), "%s-wal", self->path);
	(void)unlink(path);
	(void)rmdir(self->dir);
}

static void refuse_many(struct daemon *d)
{
	const struct failure why = { .code = CODE_INVALID_STATE, .text = "no" };

	for (unsigned int i = 0; i < MORE_THAN_ARE_KEPT; i++)
		(void)job_refuse(d, NULL, JOB_REVERSE, &why);
}

TEST_F(job, refusals_are_forgotten_beyond_a_number)
{
	refuse_many(&self->d);
	EXPECT_GT(MORE_THAN_ARE_KEPT, self->d.nr_ended);
}

TEST_F(job, a_refusal_is_there_for_its_caller_though_the_list_is_full_of_others)
{
	const struct failure why = { .code = CODE_INVALID_STATE, .text = "no" };
	unsigned int full;
	struct job *job;

	for (unsigned int i = 0; i < MORE_THAN_ARE_KEPT; i++)
		ASSERT_NE(NULL, job_succeed(&self->vm, JOB_REVERSE, &self->f));
	full = self->d.nr_ended;
	job = job_refuse(&self->d, &self->vm, JOB_REVERSE, &why);
	ASSERT_NE(NULL, job);
	EXPECT_EQ(job, self->d.jobs);
	EXPECT_EQ(CODE_INVALID_STATE, job->r.code);
	EXPECT_EQ(full, self->d.nr_ended);
}

TEST_F(job, a_job_that_outlasted_many_refusals_is_still_there_when_it_ends)
{
	struct job *job = job_start(&self->vm, JOB_REVERSE, &self->f);
	struct uuid id;

	ASSERT_NE(NULL, job);
	id = job->r.id;
	refuse_many(&self->d);
	job_end(job, NULL);
	EXPECT_EQ(job, job_find(&self->d, &id));
}

TEST_F(job, nothing_starts_while_the_daemon_stops)
{
	self->d.stopping = true;
	EXPECT_EQ(NULL, job_start(&self->vm, JOB_SEND, &self->f));
	EXPECT_EQ(CODE_NOT_AVAILABLE, self->f.code);
	EXPECT_EQ(NULL, self->vm.job);
}

static void note_begin(void *operation)
{
	*(int *)operation = 1;
}

static void note_cancel(void *operation)
{
	*(int *)operation = 2;
}

/* A job that waits behind another; what happened to it stands in @outcome. */
static struct job *start_behind(struct vm *vm, int *outcome, struct failure *f)
{
	struct job *job = job_start_behind(vm, JOB_FAILOVER, note_begin, f);

	*outcome = 0;
	if (job) {
		job->operation = outcome;
		job->cancel = note_cancel;
	}
	return job;
}

TEST_F(job, one_that_waits_begins_in_the_turn_after_the_end_of_the_other)
{
	struct job *first = job_start(&self->vm, JOB_RECEIVE, &self->f);
	int outcome;
	struct job *second = start_behind(&self->vm, &outcome, &self->f);

	ASSERT_NE(NULL, second);
	EXPECT_EQ(first, self->vm.job);
	job_end(first, NULL);
	EXPECT_EQ(second, self->vm.job);
	EXPECT_EQ(NULL, self->vm.next_job);
	EXPECT_EQ(0, outcome);
	EXPECT_LT(0, sd_event_run(self->d.event, 0));
	EXPECT_EQ(1, outcome);
	job_end(second, NULL);
	EXPECT_EQ(NULL, self->vm.job);
}

TEST_F(job, one_that_waits_and_ends_leaves_the_other_alone)
{
	struct job *first = job_start(&self->vm, JOB_RECEIVE, &self->f);
	int outcome;
	struct job *second = start_behind(&self->vm, &outcome, &self->f);

	ASSERT_NE(NULL, second);
	job_end(second, NULL);
	EXPECT_EQ(first, self->vm.job);
	EXPECT_EQ(NULL, self->vm.next_job);
	job_end(first, NULL);
	EXPECT_EQ(NULL, self->vm.job);
}

TEST_F(job, one_that_waits_does_not_begin_while_the_daemon_stops)
{
	struct job *first = job_start(&self->vm, JOB_RECEIVE, &self->f);
	int outcome;
	struct job *second = start_behind(&self->vm, &outcome, &self->f);

	ASSERT_NE(NULL, second);
	self->d.stopping = true;
	job_end(first, NULL);
	EXPECT_LT(0, sd_event_run(self->d.event, 0));
	EXPECT_EQ(2, outcome);
	job_end(second, NULL);
}

TEST_F(job, what_went_in_one_phase_counts_in_the_next)
{
	struct job *job = job_start(&self->vm, JOB_SEND, &self->f);

	job_begin_phase(job, "comparing", 100);
	job_add_progress(job, 100, 7);
	job_begin_phase(job, "sending", 50);
	EXPECT_EQ(0, job->progress.bytes_done);
	EXPECT_EQ(7, job->progress.bytes_sent);
	job_add_progress(job, 50, 30);
	EXPECT_EQ(37, job->progress.bytes_sent);
	job_end(job, NULL);
}

TEST_HARNESS_MAIN
