// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One table per record. Schema version N is what migrations 1 to N make, counted in PRAGMA
 * user_version; a migration and its new version are one transaction. Migrations are only ever
 * appended.
 *
 * Statements are prepared at each use: the daemon writes a few records an hour.
 */
#include "lib/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "base/cleanup.h"
#include "base/macro.h"

struct store {
	sqlite3 *db;
	char path[PATH_MAX];
};

static const char *const migrations[] = {
	"CREATE TABLE relationships ("
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
	"ALTER TABLE relationships ADD COLUMN term INTEGER NOT NULL DEFAULT 1;"
	"ALTER TABLE relationships ADD COLUMN ceded INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE relationships ADD COLUMN boot TEXT NOT NULL DEFAULT '';"
	"UPDATE relationships SET ceded = 1 WHERE mode = 1 AND state = 4;",
	"ALTER TABLE relationships ADD COLUMN journal TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE relationships ADD COLUMN instant INTEGER NOT NULL DEFAULT 0;",
	"ALTER TABLE disks ADD COLUMN send INTEGER NOT NULL DEFAULT 0;",
	"ALTER TABLE relationships ADD COLUMN role_since_us INTEGER NOT NULL DEFAULT 0;",
	"ALTER TABLE disks ADD COLUMN map_lost INTEGER NOT NULL DEFAULT 0;",
};

/* --- SQLite --- */

/* Only a database that cannot be read is "status unknown"; what room or a lock mends is not. */
static enum code code_of_error(int error, const char **ret_advice)
{
	switch (error) {
	case SQLITE_FULL:
		*ret_advice = "; make room there and repeat.";
		return CODE_FAILED;
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
	case SQLITE_PERM:
	case SQLITE_READONLY:
		*ret_advice = "; see to it that its directory can be read and written.";
		return CODE_FAILED;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		*ret_advice = "; is another failbackd running with it?";
		return CODE_IN_USE;
	case SQLITE_NOMEM:
		*ret_advice = ".";
		return CODE_OUT_OF_MEMORY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		*ret_advice = "; move it away, start failbackd, and `failback adopt` makes the "
			      "relationships from the stores of the disks. (`failback apply` does not "
			      "ask the peers where the VMs run.)";
		return CODE_STATUS_UNKNOWN;
	default:
		*ret_advice = ".";
		return CODE_STATUS_UNKNOWN;
	}
}

static int explain(struct store *store, int error, struct failure *f)
{
	const char *advice;
	enum code code = code_of_error(sqlite3_errcode(store->db) & 0xff, &advice);

	return failure_set(f, code, error, "The database %s failed: %s%s", store->path,
			   sqlite3_errmsg(store->db), advice);
}

static int execute(struct store *store, const char *sql, struct failure *f)
{
	if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return explain(store, -EIO, f);
	return 0;
}

/* All of it is in the log when that is flushed: who opens the log after a crash may find what failed here. */
static int commit(struct store *store, struct failure *f)
{
	int rc = execute(store, "COMMIT", f);
	int error = sqlite3_extended_errcode(store->db);

	return rc && (error == SQLITE_IOERR_FSYNC || error == SQLITE_IOERR_DIR_FSYNC) ? -ENOTRECOVERABLE : rc;
}

static int prepare(struct store *store, const char *sql, sqlite3_stmt **ret, struct failure *f)
{
	if (sqlite3_prepare_v2(store->db, sql, -1, ret, NULL) != SQLITE_OK)
		return explain(store, -EIO, f);
	return 0;
}

static void finalize_at(sqlite3_stmt **stmt)
{
	(void)sqlite3_finalize(*stmt);
}

static int step_to_end(struct store *store, sqlite3_stmt *stmt, struct failure *f)
{
	return sqlite3_step(stmt) == SQLITE_DONE ? 0 : explain(store, -EIO, f);
}

/* A failed bind leaves NULL, which NOT NULL refuses: it need not be checked on its own. */
static void bind_text(sqlite3_stmt *stmt, int i, const char *text)
{
	if (text)
		(void)sqlite3_bind_text(stmt, i, text, -1, SQLITE_TRANSIENT);
	else
		(void)sqlite3_bind_null(stmt, i);
}

static void bind_number(sqlite3_stmt *stmt, int i, uint64_t number)
{
	(void)sqlite3_bind_int64(stmt, i, (sqlite3_int64)number);
}

static void bind_uuid(sqlite3_stmt *stmt, int i, const struct uuid *uuid)
{
	char text[UUID_TEXT_LEN + 1];

	bind_text(stmt, i, uuid_format(uuid, text));
}

static void column_text(sqlite3_stmt *stmt, int i, char *buf, size_t size)
{
	const unsigned char *text = sqlite3_column_text(stmt, i);

	(void)snprintf(buf, size, "%s", text ? (const char *)text : "");
}

static uint64_t column_number(sqlite3_stmt *stmt, int i)
{
	return (uint64_t)sqlite3_column_int64(stmt, i);
}

static int column_uuid(sqlite3_stmt *stmt, int i, struct uuid *ret)
{
	const unsigned char *text = sqlite3_column_text(stmt, i);

	return text ? uuid_parse((const char *)text, ret) : -EINVAL;
}

/* --- opening --- */

static int read_version(struct store *store, uint64_t *ret, struct failure *f)
{
	_cleanup_(finalize_at) sqlite3_stmt *stmt = NULL;
	int rc = prepare(store, "PRAGMA user_version", &stmt, f);

	if (rc)
		return rc;
	if (sqlite3_step(stmt) != SQLITE_ROW)
		return explain(store, -EIO, f);
	*ret = column_number(stmt, 0);
	return 0;
}

static int migrate(struct store *store, struct failure *f)
{
	uint64_t version = 0;
	int rc = read_version(store, &version, f);

	if (rc)
		return rc;
	if (version > ARRAY_SIZE(migrations))
		return failure_set(
			f, CODE_STATUS_UNKNOWN, -EPROTONOSUPPORT,
			"The database %s was written by a newer version of failbackd; install that "
			"version.",
			store->path);
	for (; version < ARRAY_SIZE(migrations); version++) {
		char pragma[64];

		(void)snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %u",
			       (unsigned int)version + 1);
		rc = execute(store, "BEGIN IMMEDIATE", f);
		if (!rc)
			rc = execute(store, migrations[version], f);
		if (!rc)
			rc = execute(store, pragma, f);
		if (!rc)
			rc = commit(store, f);
		if (rc) {
			(void)execute(store, "ROLLBACK", NULL);
			return rc;
		}
	}
	return 0;
}

static void store_close_at(struct store **store)
{
	store_close(*store);
}

int store_open(const char *path, struct store **ret, struct failure *f)
{
	_cleanup_(store_close_at) struct store *store = calloc(1, sizeof(*store));
	int rc;

	if (!store)
		return failure_no_memory(f);
	(void)snprintf(store->path, sizeof(store->path), "%s", path);
	if (sqlite3_open_v2(path, &store->db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW,
			    NULL) != SQLITE_OK)
		return explain(store, -EIO, f);
	(void)sqlite3_extended_result_codes(store->db, 1);
	(void)sqlite3_busy_timeout(store->db, 500);
	rc = execute(store,
		     "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
		     "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
		     f);
	if (!rc)
		rc = migrate(store, f);
	if (rc)
		return rc;
	*ret = steal_ptr(store);
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	(void)sqlite3_close(store->db);
	free(store);
}

/* --- relationships --- */

void relationship_record_clear(struct relationship_record *r)
{
	free(r->settings);
	free(r->disks);
	memset(r, 0, sizeof(*r));
}

/* The list of UUIDs as text, separated by spaces. */
static void aborted_format(const struct relationship_record *r, char *buf)
{
	buf[0] = '\0';
	for (size_t i = 0; i < r->nr_aborted; i++) {
		if (i)
			*buf++ = ' ';
		(void)uuid_format(&r->aborted[i], buf);
		buf += UUID_TEXT_LEN;
	}
}

static int aborted_parse(const char *text, struct relationship_record *r)
{
	char one[UUID_TEXT_LEN + 1];

	r->nr_aborted = 0;
	while (*text) {
		if (r->nr_aborted == ABORTED_MAX)
			return -EINVAL;
		if (strlen(text) < UUID_TEXT_LEN)
			return -EINVAL;
		memcpy(one, text, UUID_TEXT_LEN);
		one[UUID_TEXT_LEN] = '\0';
		if (uuid_parse(one, &r->aborted[r->nr_aborted++]))
			return -EINVAL;
		text += UUID_TEXT_LEN;
		if (*text == ' ')
			text++;
	}
	return 0;
}

static int put_relationship_row(struct store *store, const struct relationship_record *r,
				struct failure *f)
{
	static const char sql[] =
		"INSERT INTO relationships VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,"
		" ?15,?16,?17,?18,?19,?20)"
		" ON CONFLICT (vm) DO UPDATE SET name=?2, mode=?3, state=?4, health=?5, peer=?6, "
		"base=?7,"
		" epoch=?8, epoch_durable=?9, inconsistent=?10, aborted=?11, settings=?12,"
		" last_replication_us=?13, last_error=?14, term=?15, ceded=?16, boot=?17,"
		" journal=?18, instant=?19, role_since_us=?20";
	_cleanup_(finalize_at) sqlite3_stmt *stmt = NULL;
	char aborted[ABORTED_MAX * (UUID_TEXT_LEN + 1) + 1];
	int rc = prepare(store, sql, &stmt, f);

	if (rc)
		return rc;
	aborted_format(r, aborted);
	bind_uuid(stmt, 1, &r->vm);
	bind_text(stmt, 2, r->name);
	bind_number(stmt, 3, r->mode);
	bind_number(stmt, 4, r->state);
	bind_number(stmt, 5, r->health);
	bind_text(stmt, 6, r->peer);
	bind_uuid(stmt, 7, &r->base);
	bind_uuid(stmt, 8, &r->epoch);
	bind_number(stmt, 9, r->epoch_durable);
	bind_number(stmt, 10, r->inconsistent);
	bind_text(stmt, 11, aborted);
	bind_text(stmt, 12, r->settings);
	bind_number(stmt, 13, r->last_replication_us);
	bind_text(stmt, 14, r->last_error);
	bind_number(stmt, 15, r->term);
	bind_number(stmt, 16, r->ceded);
	bind_text(stmt, 17, r->boot);
	bind_text(stmt, 18, r->journal);
	bind_number(stmt, 19, r->instant);
	bind_number(stmt, 20, r->role_since_us);
	return step_to_end(store, stmt, f);
}

static int delete_disks(struct store *store, const struct uuid *vm, struct failure *f)
{
	_cleanup_(finalize_at) sqlite3_stmt *stmt = NULL;
	int rc = prepare(store, "DELETE FROM disks WHERE vm = ?1", &stmt, f);

	if (rc)
		return rc;
	bind_uuid(stmt, 1, vm);
	return step_to_end(store, stmt, f);
}

static int put_disk(struct store *store, const struct uuid *vm, size_t position,
		    const struct disk_record *d, struct failure *f)
{
	_cleanup_(finalize_at) sqlite3_stmt *stmt = NULL;
	int rc = prepare(store, "INSERT INTO disks VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)", &stmt, f);

	if (rc)
		return rc;
	bind_uuid(stmt, 1, vm);
	bind_number(stmt, 2, position);
	bind_text(stmt, 3, d->name);
	bind_text(stmt, 4, d->tracker);
	bind_text(stmt, 5, d->path);
	bind_number(stmt, 6, d->size_bytes);
	bind_uuid(stmt, 7, &d->tracker_uuid);
	bind_number(stmt, 8, d->tracker_generation);
	bind_number(stmt, 9, d->send);
	bind_number(stmt, 10, d->map_lost);
	return step_to_end(store, stmt, f);
}

int store_put_relationship(struct store *store, const struct relationship_record *r,
			   struct failure *f)
{
	int rc = execute(store, "BEGIN IMMEDIATE", f);

	if (rc)
		return rc;
	rc = put_relationship_row(store, r, f);
	if (!rc)
		rc = delete_disks(store, &r->vm, f);
	for (size_t i = 0; !rc && i < r->nr_disks; i++)
		rc = put_disk(store, &r->vm, i, &r->disks[i], f);
	if (!rc)
		rc = commit(store, f);
	if (rc)
		(void)execute(store, "ROLLBACK", NULL);
	return rc;
}

int store_delete_relationship(struct store *store, const struct uuid *vm, struct failure *f)
{
	_cleanup_(finalize_at) sqlite3_stmt *stmt = NULL;
	int rc = prepare(store, "DELETE FROM relationships WHERE vm = ?1", &stmt, f);

	if (rc)
		return rc;
	bind_uuid(stmt, 1, vm);
	return step_to_end(store, stmt, f);
}

static int load_disks(struct store *store, struct relationship_record *r, struct failure *f)
{
	_cleanup_(finalize_at) sqlite3_stmt *stmt = NULL;
	int rc = prepare(store,
			 "SELECT name, tracker, path, size_bytes, tracker_uuid, tracker_generation,"
			 " send, map_lost FROM disks WHERE vm = ?1 ORDER BY position",
			 &stmt, f);

	if (rc)
		return rc;
	bind_uuid(stmt, 1, &r->vm);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct disk_record *grown = reallocarray(r->disks, r->nr_disks + 1, sizeof(*grown));
		struct disk_record *d;

		if (!grown)
			return failure_no_memory(f);
		r->disks = grown;
		d = memset(&grown[r->nr_disks++], 0, sizeof(*d));
		column_text(stmt, 0, d->name, sizeof(d->name));
		column_text(stmt, 1, d->tracker, sizeof(d->tracker));
		column_text(stmt, 2, d->path, sizeof(d->path));
		d->size_bytes = column_number(stmt, 3);
		d->tracker_generation = column_number(stmt, 5);
		d->send = (enum disk_send)column_number(stmt, 6);
		d->map_lost = column_number(stmt, 7) != 0;
		if (column_uuid(stmt, 4, &d->tracker_uuid) || d->send >= NR_DISK_SENDS)
			return failure_set(f, CODE_STATUS_UNKNOWN, -EBADMSG,
					   "The record of disk %s in %s cannot be read.", d->name,
					   store->path);
	}
	return rc == SQLITE_DONE ? 0 : explain(store, -EIO, f);
}

static int load_relationship(struct store *store, sqlite3_stmt *stmt, struct relationship_record *r,
			     struct failure *f)
{
	char aborted[ABORTED_MAX * (UUID_TEXT_LEN + 1) + 1];
	const char *settings = (const char *)sqlite3_column_text(stmt, 11);

	column_text(stmt, 1, r->name, sizeof(r->name));
	r->mode = (unsigned int)column_number(stmt, 2);
	r->state = (unsigned int)column_number(stmt, 3);
	r->health = (unsigned int)column_number(stmt, 4);
	column_text(stmt, 5, r->peer, sizeof(r->peer));
	r->epoch_durable = column_number(stmt, 8) != 0;
	r->inconsistent = column_number(stmt, 9) != 0;
	column_text(stmt, 10, aborted, sizeof(aborted));
	r->last_replication_us = column_number(stmt, 12);
	column_text(stmt, 13, r->last_error, sizeof(r->last_error));
	r->term = column_number(stmt, 14);
	r->ceded = column_number(stmt, 15) != 0;
	column_text(stmt, 16, r->boot, sizeof(r->boot));
	column_text(stmt, 17, r->journal, sizeof(r->journal));
	r->instant = column_number(stmt, 18) != 0;
	r->role_since_us = column_number(stmt, 19);
	if (column_uuid(stmt, 0, &r->vm) || column_uuid(stmt, 6, &r->base) ||
	    column_uuid(stmt, 7, &r->epoch) || aborted_parse(aborted, r))
		return failure_set(f, CODE_STATUS_UNKNOWN, -EBADMSG,
				   "The record of VM \"%.64s\" in %s cannot be read.", r->name,
				   store->path);
	if (settings) {
		r->settings = strdup(settings);
		if (!r->settings)
			return failure_no_memory(f);
	}
	return load_disks(store, r, f);
}

/* What is left of a damaged row: enough to name it, and to remove it. */
static int keep_unreadable(sqlite3_stmt *stmt, struct relationship_record *r, int error)
{
	relationship_record_clear(r);
	if (column_uuid(stmt, 0, &r->vm))
		return error;
	column_text(stmt, 1, r->name, sizeof(r->name));
	r->unreadable = true;
	return 0;
}

static void clear_all(struct relationship_record *r, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		relationship_record_clear(&r[i]);
	free(r);
}

int store_load_relationships(struct store *store, struct relationship_record **ret, size_t *ret_nr,
			     struct failure *f)
{
	_cleanup_(finalize_at) sqlite3_stmt *stmt = NULL;
	struct relationship_record *all = NULL;
	size_t nr = 0;
	int rc = prepare(store, "SELECT * FROM relationships ORDER BY name, vm", &stmt, f);

	if (rc)
		return rc;
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct relationship_record *grown = reallocarray(all, nr + 1, sizeof(*grown));

		if (!grown) {
			rc = failure_no_memory(f);
			break;
		}
		all = grown;
		memset(&all[nr++], 0, sizeof(*all));
		rc = load_relationship(store, stmt, &all[nr - 1], f);
		if (rc == -EBADMSG)
			rc = keep_unreadable(stmt, &all[nr - 1], rc);
		if (rc)
			break;
	}
	if (rc > 0 && rc != SQLITE_DONE)
		rc = explain(store, -EIO, f);
	if (rc < 0) {
		clear_all(all, nr);
		return rc;
	}
	*ret = all;
	*ret_nr = nr;
	return 0;
}

/* --- jobs --- */

static int forget_old_jobs(struct store *store, struct failure *f)
{
	_cleanup_(finalize_at) sqlite3_stmt *stmt = NULL;
	int rc = prepare(store,
			 "DELETE FROM jobs WHERE started_us < (SELECT started_us FROM jobs"
			 " ORDER BY started_us DESC LIMIT 1 OFFSET ?1)",
			 &stmt, f);

	if (rc)
		return rc;
	bind_number(stmt, 1, JOBS_KEPT - 1);
	return step_to_end(store, stmt, f);
}

int store_put_job(struct store *store, const struct job_record *job, struct failure *f)
{
	_cleanup_(finalize_at) sqlite3_stmt *stmt = NULL;
	int rc = prepare(store,
			 "INSERT OR REPLACE INTO jobs VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)",
			 &stmt, f);

	if (rc)
		return rc;
	bind_uuid(stmt, 1, &job->id);
	bind_uuid(stmt, 2, &job->vm);
	bind_number(stmt, 3, job->type);
	bind_number(stmt, 4, job->state);
	bind_number(stmt, 5, job->code);
	bind_text(stmt, 6, job->text);
	bind_number(stmt, 7, job->started_us);
	bind_number(stmt, 8, job->ended_us);
	bind_number(stmt, 9, job->bytes_total);
	bind_number(stmt, 10, job->bytes_done);
	bind_number(stmt, 11, job->bytes_sent);
	rc = step_to_end(store, stmt, f);
	return rc ? rc : forget_old_jobs(store, f);
}

int store_settle_jobs(struct store *store, const struct job_record *outcome, size_t *ret_nr,
		      struct failure *f)
{
	_cleanup_(finalize_at) sqlite3_stmt *stmt = NULL;
	int rc = prepare(store,
			 "UPDATE jobs SET state = ?1, code = ?2, text = ?3, ended_us = ?4"
			 " WHERE ended_us = 0",
			 &stmt, f);

	if (rc)
		return rc;
	bind_number(stmt, 1, outcome->state);
	bind_number(stmt, 2, outcome->code);
	bind_text(stmt, 3, outcome->text);
	bind_number(stmt, 4, outcome->ended_us);
	rc = step_to_end(store, stmt, f);
	if (rc)
		return rc;
	*ret_nr = (size_t)sqlite3_changes(store->db);
	return 0;
}

static int load_job(struct store *store, sqlite3_stmt *stmt, struct job_record *job,
		    struct failure *f)
{
	if (column_uuid(stmt, 0, &job->id) || column_uuid(stmt, 1, &job->vm))
		return failure_set(f, CODE_STATUS_UNKNOWN, -EBADMSG,
				   "A record of a job in %s cannot be read.", store->path);
	job->type = (unsigned int)column_number(stmt, 2);
	job->state = (unsigned int)column_number(stmt, 3);
	job->code = (uint32_t)column_number(stmt, 4);
	column_text(stmt, 5, job->text, sizeof(job->text));
	job->started_us = column_number(stmt, 6);
	job->ended_us = column_number(stmt, 7);
	job->bytes_total = column_number(stmt, 8);
	job->bytes_done = column_number(stmt, 9);
	job->bytes_sent = column_number(stmt, 10);
	return 0;
}

int store_load_jobs(struct store *store, size_t max, struct job_record **ret, size_t *ret_nr,
		    struct failure *f)
{
	_cleanup_(finalize_at) sqlite3_stmt *stmt = NULL;
	cleanup_free struct job_record *jobs = calloc(max, sizeof(*jobs));
	size_t nr = 0;
	int rc;

	if (!jobs)
		return failure_no_memory(f);
	rc = prepare(store, "SELECT * FROM jobs ORDER BY started_us DESC LIMIT ?1", &stmt, f);
	if (rc)
		return rc;
	bind_number(stmt, 1, max);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW && nr < max) {
		rc = load_job(store, stmt, &jobs[nr], f);
		if (rc)
			return rc;
		nr++;
	}
	if (rc != SQLITE_DONE)
		return explain(store, -EIO, f);
	*ret = steal_ptr(jobs);
	*ret_nr = nr;
	return 0;
}

/* When the oldest job was started that is remembered; 0: none is. */
static int find_oldest_job(struct store *store, uint64_t *ret, struct failure *f)
{
	_cleanup_(finalize_at) sqlite3_stmt *stmt = NULL;
	int rc = prepare(store, "SELECT min(started_us) FROM jobs", &stmt, f);

	if (rc)
		return rc;
	if (sqlite3_step(stmt) != SQLITE_ROW)
		return explain(store, -EIO, f);
	*ret = column_number(stmt, 0);
	return 0;
}

int store_visit_jobs(struct store *store, const struct uuid *vm, uint64_t *since_us,
		     store_job_fn fn, void *context, struct failure *f)
{
	_cleanup_(finalize_at) sqlite3_stmt *stmt = NULL;
	uint64_t oldest_us = 0;
	int rc = find_oldest_job(store, &oldest_us, f);

	if (!rc)
		rc = prepare(store,
			     "SELECT * FROM jobs WHERE vm = ?1 AND started_us >= ?2"
			     " ORDER BY started_us",
			     &stmt, f);
	if (rc)
		return rc;
	*since_us = max_of(*since_us, oldest_us);
	bind_uuid(stmt, 1, vm);
	bind_number(stmt, 2, *since_us);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct job_record job = { 0 };

		rc = load_job(store, stmt, &job, f);
		if (rc)
			return rc;
		fn(context, &job);
	}
	return rc == SQLITE_DONE ? 0 : explain(store, -EIO, f);
}
