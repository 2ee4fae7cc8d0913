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

TEST_HARNESS_MAIN
