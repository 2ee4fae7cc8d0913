// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/store.c: what is put is what is loaded, also by the next process. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "lib/store.h"

#include "kselftest_harness.h"

FIXTURE(store)
{
	struct store *store;
	struct failure f;
	char dir[64];
	char path[96];
};

FIXTURE_SETUP(store)
{
	memset(self, 0, sizeof(*self));
	(void)strcpy(self->dir, "/tmp/store-test.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	(void)snprintf(self->path, sizeof(self->path), "%s/db", self->dir);
	ASSERT_EQ(0, store_open(self->path, &self->store, &self->f))
	{
		TH_LOG("%s", self->f.text);
	}
}

FIXTURE_TEARDOWN(store)
{
	char path[112];

	store_close(self->store);
	(void)unlink(self->path);
	(void)snprintf(path, sizeof(path), "%s-wal", self->path);
	(void)unlink(path);
	(void)rmdir(self->dir);
}

static struct relationship_record example(struct disk_record *disks)
{
	struct relationship_record r = {
		.vm = { { 1, 2 } },
		.name = "web'1",
		.mode = 2,
		.state = 5,
		.health = 2,
		.peer = "192.0.2.1:7407",
		.base = { { 3 } },
		.epoch = { { 4 } },
		.epoch_durable = true,
		.term = 7,
		.ceded = true,
		.boot = "this one",
		.inconsistent = true,
		.instant = true,
		.journal = "/var/j",
		.aborted = { { { 5 } }, { { 6 } } },
		.nr_aborted = 2,
		.settings = (char *)"{\"a\":1}",
		.last_replication_us = UINT64_C(1) << 50,
		.role_since_us = UINT64_C(1) << 49,
		.last_error = "it failed",
		.disks = disks,
		.nr_disks = 2,
	};

	memset(disks, 0, 2 * sizeof(*disks));
	(void)strcpy(disks[0].name, "b");
	(void)strcpy(disks[0].path, "/dev/b");
	(void)strcpy(disks[0].tracker, "vm-b");
	disks[0].size_bytes = UINT64_C(1) << 46;
	disks[0].tracker_uuid = (struct uuid){ { 7 } };
	disks[0].tracker_generation = 8;
	disks[0].map_lost = true;
	disks[0].send = SEND_BOTH;
	(void)strcpy(disks[1].name, "a");
	return r;
}

static void reopen(struct store **store, const char *path)
{
	store_close(*store);
	*store = NULL;
	(void)store_open(path, store, NULL);
}

TEST_F(store, a_relationship_is_loaded_as_it_was_put)
{
	struct disk_record disks[2];
	struct relationship_record put = example(disks);
	struct relationship_record *all;
	size_t nr;

	ASSERT_EQ(0, store_put_relationship(self->store, &put, &self->f));
	reopen(&self->store, self->path);
	ASSERT_EQ(0, store_load_relationships(self->store, &all, &nr, &self->f));
	ASSERT_EQ(1, nr);
	EXPECT_TRUE(uuid_equal(&put.vm, &all[0].vm));
	EXPECT_STREQ(put.name, all[0].name);
	EXPECT_EQ(2, all[0].mode);
	EXPECT_EQ(5, all[0].state);
	EXPECT_EQ(2, all[0].health);
	EXPECT_STREQ(put.peer, all[0].peer);
	EXPECT_TRUE(uuid_equal(&put.base, &all[0].base));
	EXPECT_TRUE(uuid_equal(&put.epoch, &all[0].epoch));
	EXPECT_TRUE(all[0].epoch_durable);
	EXPECT_TRUE(all[0].inconsistent);
	EXPECT_TRUE(all[0].instant);
	EXPECT_STREQ(put.journal, all[0].journal);
	ASSERT_EQ(2, all[0].nr_aborted);
	EXPECT_TRUE(uuid_equal(&put.aborted[1], &all[0].aborted[1]));
	EXPECT_STREQ(put.settings, all[0].settings);
	EXPECT_EQ(put.last_replication_us, all[0].last_replication_us);
	EXPECT_EQ(put.role_since_us, all[0].role_since_us);
	EXPECT_STREQ(put.last_error, all[0].last_error);
	ASSERT_EQ(2, all[0].nr_disks);
	EXPECT_EQ(0, memcmp(disks, all[0].disks, sizeof(disks)));
	relationship_record_clear(&all[0]);
	free(all);
}

TEST_F(store, putting_again_replaces)
{
	struct disk_record disks[2];
	struct relationship_record put = example(disks);
	struct relationship_record *all;
	size_t nr;

	ASSERT_EQ(0, store_put_relationship(self->store, &put, &self->f));
	put.state = 6;
	put.nr_disks = 1;
	put.nr_aborted = 0;
	put.settings = NULL;
	ASSERT_EQ(0, store_put_relationship(self->store, &put, &self->f));
	ASSERT_EQ(0, store_load_relationships(self->store, &all, &nr, &self->f));
	ASSERT_EQ(1, nr);
	EXPECT_EQ(6, all[0].state);
	EXPECT_EQ(1, all[0].nr_disks);
	EXPECT_EQ(0, all[0].nr_aborted);
	EXPECT_EQ(NULL, all[0].settings);
	relationship_record_clear(&all[0]);
	free(all);
}

TEST_F(store, a_put_that_fails_changes_nothing)
{
	struct disk_record disks[2];
	struct relationship_record put = example(disks);
	struct relationship_record *all;
	size_t nr;

	ASSERT_EQ(0, store_put_relationship(self->store, &put, &self->f));
	put.state = 6;
	(void)strcpy(disks[1].name, "b");
	EXPECT_NE(0, store_put_relationship(self->store, &put, &self->f));
	EXPECT_EQ(CODE_STATUS_UNKNOWN, self->f.code);
	ASSERT_EQ(0, store_load_relationships(self->store, &all, &nr, &self->f));
	EXPECT_EQ(5, all[0].state);
	EXPECT_EQ(2, all[0].nr_disks);
	relationship_record_clear(&all[0]);
	free(all);
}

TEST_F(store, jobs_that_did_not_end_are_settled_and_others_are_not)
{
	struct job_record running = { .id = { { 1 } }, .type = 105, .state = 4, .started_us = 10 };
	struct job_record ended = {
		.id = { { 2 } }, .type = 104, .state = 7, .started_us = 5, .ended_us = 6
	};
	struct job_record outcome = {
		.state = 10, .code = 32768, .text = "interrupted", .ended_us = 20
	};
	struct job_record *jobs;
	size_t nr;

	ASSERT_EQ(0, store_put_job(self->store, &running, &self->f));
	ASSERT_EQ(0, store_put_job(self->store, &ended, &self->f));
	ASSERT_EQ(0, store_settle_jobs(self->store, &outcome, &nr, &self->f));
	EXPECT_EQ(1, nr);
	ASSERT_EQ(0, store_load_jobs(self->store, 10, &jobs, &nr, &self->f));
	ASSERT_EQ(2, nr);
	EXPECT_EQ(105, jobs[0].type);
	EXPECT_EQ(10, jobs[0].state);
	EXPECT_STREQ("interrupted", jobs[0].text);
	EXPECT_EQ(7, jobs[1].state);
	free(jobs);
	ASSERT_EQ(0, store_load_jobs(self->store, 1, &jobs, &nr, &self->f));
	EXPECT_EQ(1, nr);
	free(jobs);
}

static void note_start(void *context, const struct job_record *job)
{
	uint64_t *seen = context;

	*seen = *seen * 100 + job->started_us;
}

TEST_F(store, jobs_of_one_vm_are_visited_in_the_order_of_their_starts)
{
	static const uint64_t starts[] = { 30, 10, 20, 40 };
	struct uuid one = { { 1 } };
	struct uuid other = { { 2 } };
	uint64_t since = 15;
	uint64_t seen = 0;

	for (unsigned int i = 0; i < 4; i++) {
		struct job_record job = { .id = { { (uint8_t)(i + 1) } }, .vm = i == 3 ? other : one,
					  .started_us = starts[i], .ended_us = 50 };

		ASSERT_EQ(0, store_put_job(self->store, &job, &self->f));
	}
	ASSERT_EQ(0, store_visit_jobs(self->store, &one, &since, note_start, &seen, &self->f));
	EXPECT_EQ(2030, seen);
	EXPECT_EQ(15, since);
	seen = 0;
	since = 3;
	ASSERT_EQ(0, store_visit_jobs(self->store, &one, &since, note_start, &seen, &self->f));
	EXPECT_EQ(102030, seen);
	EXPECT_EQ(10, since); /* the history begins there */
}

TEST_F(store, only_the_newest_jobs_are_kept)
{
	static const char fill[] =
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
		" INSERT INTO jobs SELECT printf('%%08x-0000-0000-0000-000000000000', i),"
		" '00000000-0000-0000-0000-000000000000', 105, 7, 0, '', i, i, 0, 0, 0 FROM n";
	struct job_record job = { .id = { { [15] = 1 } }, .type = 105, .state = 7, .ended_us = 1 };
	struct job_record *jobs;
	char sql[512];
	sqlite3 *db;
	size_t nr;

	store_close(self->store);
	self->store = NULL;
	(void)snprintf(sql, sizeof(sql), fill, JOBS_KEPT + 2);
	ASSERT_EQ(SQLITE_OK, sqlite3_open(self->path, &db));
	ASSERT_EQ(SQLITE_OK, sqlite3_exec(db, sql, NULL, NULL, NULL));
	(void)sqlite3_close(db);
	ASSERT_EQ(0, store_open(self->path, &self->store, &self->f));
	job.started_us = JOBS_KEPT + 3;
	ASSERT_EQ(0, store_put_job(self->store, &job, &self->f));
	ASSERT_EQ(0, store_load_jobs(self->store, 2 * JOBS_KEPT, &jobs, &nr, &self->f));
	EXPECT_EQ(JOBS_KEPT, nr);
	EXPECT_EQ(JOBS_KEPT + 3, jobs[0].started_us);
	EXPECT_EQ(4, jobs[nr - 1].started_us);
	free(jobs);
}

TEST_F(store, a_database_of_a_newer_version_is_refused)
{
	sqlite3 *db;

	store_close(self->store);
	self->store = NULL;
	ASSERT_EQ(SQLITE_OK, sqlite3_open(self->path, &db));
	ASSERT_EQ(SQLITE_OK, sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL));
	(void)sqlite3_close(db);
	EXPECT_EQ(-EPROTONOSUPPORT, store_open(self->path, &self->store, &self->f));
}

TEST_F(store, what_is_no_database_is_refused)
{
	FILE *file;

	store_close(self->store);
	self->store = NULL;
	file = fopen(self->path, "w");
	for (unsigned int i = 0; i < 1000; i++)
		(void)fputs("nonsense", file);
	(void)fclose(file);
	EXPECT_NE(0, store_open(self->path, &self->store, &self->f));
	EXPECT_NE(NULL, strstr(self->f.text, self->path));
}

TEST_F(store, a_record_that_cannot_be_read_is_said_so)
{
	struct disk_record disks[2];
	struct relationship_record put = example(disks);
	struct relationship_record *all;
	sqlite3 *db;
	size_t nr;

	ASSERT_EQ(0, store_put_relationship(self->store, &put, &self->f));
	store_close(self->store);
	ASSERT_EQ(SQLITE_OK, sqlite3_open(self->path, &db));
	(void)sqlite3_exec(db, "UPDATE relationships SET base = 'x'", NULL, NULL, NULL);
	(void)sqlite3_close(db);
	self->store = NULL;
	ASSERT_EQ(0, store_open(self->path, &self->store, &self->f));
	ASSERT_EQ(0, store_load_relationships(self->store, &all, &nr, &self->f));
	ASSERT_EQ(1, nr);
	EXPECT_TRUE(all->unreadable);
	EXPECT_TRUE(uuid_equal(&put.vm, &all->vm));
	EXPECT_STREQ(put.name, all->name);
	EXPECT_EQ(0, all->nr_disks);
	free(all);
}

TEST_HARNESS_MAIN
