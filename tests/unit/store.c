// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/store.c: what is put is what is loaded, also by the next process. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "lib/store.h"

#include "kselftest_harness.h"

static bool no_flush;

static int flush(long call, int fd)
{
	if (!no_flush)
		return (int)syscall(call, fd);
	errno = EIO;
	return -1;
}

/* What SQLite calls. */
int fdatasync(int fd)
{
	return flush(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	return flush(SYS_fsync, fd);
}

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

TEST_F(store, what_cannot_be_flushed_is_neither_there_nor_not)
{
	struct disk_record disks[2];
	struct relationship_record put = example(disks);
	struct relationship_record *all;
	struct store *after;
	char command[512];
	char path[112];
	size_t nr;

	ASSERT_EQ(0, store_put_relationship(self->store, &put, &self->f));
	put.state = 6;
	no_flush = true;
	EXPECT_EQ(-ENOTRECOVERABLE, store_put_relationship(self->store, &put, &self->f));
	no_flush = false;
	ASSERT_EQ(0, store_load_relationships(self->store, &all, &nr, &self->f));
	EXPECT_EQ(5, all[0].state);
	relationship_record_clear(&all[0]);
	free(all);

	/* A crash now: what the files hold is opened. */
	(void)snprintf(path, sizeof(path), "%s.after", self->path);
	(void)snprintf(command, sizeof(command), "cp %s %s && cp %s-wal %s-wal", self->path, path, self->path, path);
	ASSERT_EQ(0, system(command));
	ASSERT_EQ(0, store_open(path, &after, &self->f));
	ASSERT_EQ(0, store_load_relationships(after, &all, &nr, &self->f));
	EXPECT_EQ(6, all[0].state);
	relationship_record_clear(&all[0]);
	free(all);
	store_close(after);
	(void)unlink(path);
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

/* --- databases of earlier versions --- */

#define NR_VERSIONS 6 /* append what makes a new one, and what it remembers */

/* What made version N of an earlier one, as it was when it came out, and what is put there then. */
static const struct {
	const char *schema;
	const char *contents;
} versions[NR_VERSIONS] = {
	{ "CREATE TABLE relationships ("
	  " vm TEXT PRIMARY KEY, name TEXT NOT NULL, mode INTEGER NOT NULL, state INTEGER NOT NULL,"
	  " health INTEGER NOT NULL, peer TEXT NOT NULL, base TEXT NOT NULL, epoch TEXT NOT NULL,"
	  " epoch_durable INTEGER NOT NULL, inconsistent INTEGER NOT NULL, aborted TEXT NOT NULL,"
	  " settings TEXT, last_replication_us INTEGER NOT NULL, last_error TEXT NOT NULL) STRICT;"
	  "CREATE TABLE disks ("
	  " vm TEXT NOT NULL REFERENCES relationships(vm) ON DELETE CASCADE, position INTEGER NOT "
	  "NULL,"
	  " name TEXT NOT NULL, tracker TEXT NOT NULL, path TEXT NOT NULL, size_bytes INTEGER NOT "
	  "NULL,"
	  " tracker_uuid TEXT NOT NULL, tracker_generation INTEGER NOT NULL,"
	  " PRIMARY KEY (vm, position), UNIQUE (vm, name)) STRICT;"
	  "CREATE TABLE jobs ("
	  " id TEXT PRIMARY KEY, vm TEXT NOT NULL, type INTEGER NOT NULL, state INTEGER NOT NULL,"
	  " code INTEGER NOT NULL, text TEXT NOT NULL, started_us INTEGER NOT NULL,"
	  " ended_us INTEGER NOT NULL, bytes_total INTEGER NOT NULL, bytes_done INTEGER NOT NULL,"
	  " bytes_sent INTEGER NOT NULL) STRICT;"
	  "CREATE INDEX jobs_by_start ON jobs(started_us);",
	  "INSERT INTO relationships SELECT printf('%08x-0000-0000-0000-000000000000', value),"
	  " 'vm' || value, mode, state, 1, '192.0.2.1:7407', '03000000-0000-0000-0000-000000000000',"
	  " '04000000-0000-0000-0000-000000000000', 1, 0, '05000000-0000-0000-0000-000000000000',"
	  " '{\"a\":1}', 11, 'it failed' FROM (SELECT 1 AS value, 1 AS mode, 4 AS state"
	  " UNION SELECT 2, 1, 3 UNION SELECT 3, 2, 4);"
	  "INSERT INTO disks SELECT vm, 0, 'b', 'vm-b', '/dev/b', 4096,"
	  " '07000000-0000-0000-0000-000000000000', 8 FROM relationships;"
	  "INSERT INTO disks SELECT vm, 1, 'a', 'vm-a', '', 8192,"
	  " '00000000-0000-0000-0000-000000000000', 0 FROM relationships;"
	  "INSERT INTO jobs VALUES ('09000000-0000-0000-0000-000000000000',"
	  " '01000000-0000-0000-0000-000000000000', 105, 10, 32768, 'it failed', 5, 6, 3, 2, 1);" },
	{ "ALTER TABLE relationships ADD COLUMN term INTEGER NOT NULL DEFAULT 1;"
	  "ALTER TABLE relationships ADD COLUMN ceded INTEGER NOT NULL DEFAULT 0;"
	  "ALTER TABLE relationships ADD COLUMN boot TEXT NOT NULL DEFAULT '';"
	  "UPDATE relationships SET ceded = 1 WHERE mode = 1 AND state = 4;",
	  "UPDATE relationships SET term = 7, boot = 'this one', ceded = mode = 1 AND state = 4;" },
	{ "ALTER TABLE relationships ADD COLUMN journal TEXT NOT NULL DEFAULT '';"
	  "ALTER TABLE relationships ADD COLUMN instant INTEGER NOT NULL DEFAULT 0;",
	  "UPDATE relationships SET journal = '/var/j', instant = 1;" },
	{ "ALTER TABLE disks ADD COLUMN send INTEGER NOT NULL DEFAULT 0;",
	  "UPDATE disks SET send = 2 WHERE name = 'b';" },
	{ "ALTER TABLE relationships ADD COLUMN role_since_us INTEGER NOT NULL DEFAULT 0;",
	  "UPDATE relationships SET role_since_us = 12;" },
	{ "ALTER TABLE disks ADD COLUMN map_lost INTEGER NOT NULL DEFAULT 0;",
	  "UPDATE disks SET map_lost = 1 WHERE name = 'b';" },
};

static void remove_database(const char *path)
{
	char wal[112];

	(void)snprintf(wal, sizeof(wal), "%s-wal", path);
	(void)unlink(wal);
	(void)unlink(path);
}

/* False: something was refused. */
static bool make_version(const char *path, size_t version)
{
	char pragma[40];
	bool made;
	sqlite3 *db;

	remove_database(path);
	(void)snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %zu", version);
	made = sqlite3_open(path, &db) == SQLITE_OK;
	for (size_t i = 0; made && i < version; i++)
		made = sqlite3_exec(db, versions[i].schema, NULL, NULL, NULL) == SQLITE_OK &&
		       sqlite3_exec(db, versions[i].contents, NULL, NULL, NULL) == SQLITE_OK;
	made = made && sqlite3_exec(db, pragma, NULL, NULL, NULL) == SQLITE_OK;
	return sqlite3_close(db) == SQLITE_OK && made;
}

/* What @r, the @nr-th in a database of @version, is expected to be; @disks: room for two. */
static struct relationship_record expected(size_t version, unsigned int nr, struct disk_record *disks)
{
	struct relationship_record r = example(disks);

	r.vm = (struct uuid){ { [3] = (uint8_t)nr } };
	(void)snprintf(r.name, sizeof(r.name), "vm%u", nr);
	r.mode = nr == 3 ? 2 : 1;
	r.state = nr == 2 ? 3 : 4;
	r.health = 1;
	r.nr_aborted = 1;
	r.inconsistent = false;
	r.last_replication_us = 11;
	r.ceded = nr == 1; /* the primary that was prepared */
	r.term = version >= 2 ? 7 : 1;
	(void)strcpy(r.boot, version >= 2 ? "this one" : "");
	r.instant = version >= 3;
	(void)strcpy(r.journal, version >= 3 ? "/var/j" : "");
	r.role_since_us = version >= 5 ? 12 : 0;
	disks[0].size_bytes = 4096;
	disks[0].send = version >= 4 ? SEND_BOTH : SEND_USUAL;
	disks[0].map_lost = version >= 6;
	(void)strcpy(disks[1].tracker, "vm-a");
	disks[1].size_bytes = 8192;
	return r;
}

static const char *differs(const struct relationship_record *a, const struct relationship_record *b)
{
	if (!uuid_equal(&a->vm, &b->vm) || strcmp(a->name, b->name) != 0 || a->unreadable)
		return "vm";
	if (a->mode != b->mode || a->state != b->state || a->health != b->health)
		return "mode, state, health";
	if (a->ceded != b->ceded)
		return "ceded";
	if (a->term != b->term || strcmp(a->boot, b->boot) != 0)
		return "term, boot";
	if (!uuid_equal(&a->base, &b->base) || !uuid_equal(&a->epoch, &b->epoch) ||
	    a->epoch_durable != b->epoch_durable || a->nr_aborted != b->nr_aborted ||
	    !uuid_equal(&a->aborted[0], &b->aborted[0]))
		return "base, epoch, aborted";
	if (a->inconsistent != b->inconsistent || a->instant != b->instant ||
	    strcmp(a->journal, b->journal) != 0)
		return "inconsistent, instant, journal";
	if (!a->settings || strcmp(a->settings, b->settings) != 0 || strcmp(a->peer, b->peer) != 0)
		return "settings, peer";
	if (a->last_replication_us != b->last_replication_us || a->role_since_us != b->role_since_us ||
	    strcmp(a->last_error, b->last_error) != 0)
		return "times, last_error";
	if (a->nr_disks != b->nr_disks)
		return "number of disks";
	for (size_t i = 0; i < a->nr_disks; i++) {
		if (strcmp(a->disks[i].name, b->disks[i].name) != 0 ||
		    strcmp(a->disks[i].tracker, b->disks[i].tracker) != 0 ||
		    strcmp(a->disks[i].path, b->disks[i].path) != 0 ||
		    a->disks[i].size_bytes != b->disks[i].size_bytes ||
		    !uuid_equal(&a->disks[i].tracker_uuid, &b->disks[i].tracker_uuid) ||
		    a->disks[i].tracker_generation != b->disks[i].tracker_generation)
			return "disk";
		if (a->disks[i].send != b->disks[i].send || a->disks[i].map_lost != b->disks[i].map_lost)
			return "send, map_lost";
	}
	return "";
}

/* "", or what of a database that was made with make_version() is not as it was. */
static const char *find_loss(const char *path, size_t version, struct failure *f)
{
	struct relationship_record *all = NULL;
	struct disk_record disks[2];
	struct job_record *jobs = NULL;
	struct store *store = NULL;
	const char *lost = "";
	size_t nr = 0;

	if (store_open(path, &store, f) || store_load_relationships(store, &all, &nr, f))
		lost = f->text;
	else if (nr != 3)
		lost = "a relationship";
	for (unsigned int i = 0; i < nr; i++) {
		struct relationship_record r = expected(version, i + 1, disks);

		lost = *lost ? lost : differs(&all[i], &r);
		relationship_record_clear(&all[i]);
	}
	free(all);
	nr = 0;
	if (!*lost && store_load_jobs(store, 10, &jobs, &nr, f))
		lost = f->text;
	else if (!*lost && (nr != 1 || jobs->type != 105 || jobs->code != 32768 || jobs->ended_us != 6 ||
			   jobs->bytes_sent != 1 || strcmp(jobs->text, "it failed") != 0))
		lost = "the job";
	free(jobs);
	store_close(store);
	return lost;
}

/* The statements that would make the same tables; malloc()ed by SQLite. */
static char *schema_of(const char *path)
{
	sqlite3_stmt *stmt = NULL;
	char *schema = NULL;
	sqlite3 *db;

	if (sqlite3_open(path, &db) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, "SELECT group_concat(sql, x'0a') FROM (SELECT sql FROM sqlite_schema"
				   " ORDER BY name)", -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW)
		schema = sqlite3_mprintf("%s", sqlite3_column_text(stmt, 0));
	(void)sqlite3_finalize(stmt);
	(void)sqlite3_close(db);
	return schema;
}

TEST_F(store, a_database_of_an_earlier_version_keeps_all_that_it_remembers)
{
	char *schema;

	store_close(self->store);
	self->store = NULL;
	schema = schema_of(self->path);
	ASSERT_NE(NULL, schema);
	for (size_t version = 1; version <= NR_VERSIONS; version++) {
		char *migrated;

		ASSERT_TRUE(make_version(self->path, version));
		ASSERT_STREQ("", find_loss(self->path, version, &self->f))
		{
			TH_LOG("from version %zu", version);
		}
		migrated = schema_of(self->path);
		ASSERT_NE(NULL, migrated);
		EXPECT_STREQ(schema, migrated);
		sqlite3_free(migrated);
	}
	sqlite3_free(schema);
}

static unsigned int statements_left;

static int count_statement(unsigned int type, void *context, void *stmt, void *text)
{
	(void)type;
	(void)context;
	(void)stmt;
	(void)text;
	if (!statements_left--)
		_exit(1);
	return 0;
}

static int count_statements(sqlite3 *db)
{
	return sqlite3_trace_v2(db, SQLITE_TRACE_STMT, count_statement, NULL);
}

/* Opens it, and dies before its statement @nr. False: it came to the end. */
static bool die_opening(const char *path, unsigned int nr)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		struct store *store;

		statements_left = nr;
		(void)sqlite3_auto_extension((void (*)(void))count_statements);
		_exit(store_open(path, &store, NULL) ? 2 : 0);
	}
	(void)waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

TEST_F(store, a_migration_that_is_cut_off_goes_on_at_the_next_start)
{
	unsigned int nr;

	store_close(self->store);
	self->store = NULL;
	for (nr = 0;; nr++) {
		bool died;

		ASSERT_TRUE(make_version(self->path, 1));
		died = die_opening(self->path, nr);
		ASSERT_STREQ("", find_loss(self->path, 1, &self->f))
		{
			TH_LOG("cut off before statement %u", nr);
		}
		if (!died)
			break;
	}
	EXPECT_LT(20, nr); /* begin, alter, count, commit: five times */
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
