// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CRASH: the record names the file from before the first byte of the delta until after the last one
 * was applied, and it says nothing about how far the delta came: that is in the file, where the
 * worker that wrote it left it (lib/journal.h).
 *
 * A directory of journals may be a file system that is not mounted yet. So a file beside the journal, its mark,
 * says of which epoch one is here: where there is no journal, it is gone only if the mark is there. In the
 * state directory none is needed: the database, which names the journal, is there.
 */
#include "daemon/journals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/macro.h"
#include "base/size.h"
#include "daemon/delta_receive.h"
#include "daemon/received.h"
#include "daemon/transfer_plan.h"
#include "daemon/worker.h"
#include "lib/journal.h"
#include "lib/zero.h"

#define SPARE_BYTES (UINT64_C(64) << 20) /* a journal leaves that to whatever else lives there */

/* --- the file --- */

static const char *directory_of(const struct daemon *d)
{
	return d->config.journal_dir[0] ? d->config.journal_dir : d->config.state_dir;
}

static void path_of(const struct daemon *d, const struct uuid *vm, char ret[PATH_MAX])
{
	char text[UUID_TEXT_LEN + 1];

	(void)snprintf(ret, PATH_MAX, "%s/%s.journal", directory_of(d), uuid_format(vm, text));
}

static bool needs_mark(const struct daemon *d, const char *journal)
{
	const char *state_dir = d->config.state_dir;
	size_t len = strlen(state_dir);

	return strncmp(journal, state_dir, len) != 0 || journal[len] != '/' || strchr(journal + len + 1, '/');
}

struct mark_path {
	char text[PATH_MAX + sizeof(".here")];
};

static const char *mark_of(const char *journal, struct mark_path *room)
{
	(void)snprintf(room->text, sizeof(room->text), "%s.here", journal);
	return room->text;
}

/* The name is not durable yet. A positive errno. */
static int make_mark(const char *journal, const struct uuid *epoch)
{
	char text[UUID_TEXT_LEN + 1];
	struct mark_path mark;
	cleanup_fd int fd = open(mark_of(journal, &mark), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
				 0600);

	if (fd < 0)
		return errno;
	errno = EIO; /* a short write sets none */
	if (write(fd, uuid_format(epoch, text), UUID_TEXT_LEN) != UUID_TEXT_LEN || fsync(fd) < 0)
		return errno;
	return 0;
}

enum mark { MARK_NONE, MARK_FITS, MARK_OTHER };

static enum mark read_mark(const char *journal, const struct uuid *epoch)
{
	char text[UUID_TEXT_LEN + 1];
	char found[UUID_TEXT_LEN];
	struct mark_path mark;
	cleanup_fd int fd = open(mark_of(journal, &mark), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return MARK_NONE;
	return read(fd, found, sizeof(found)) == (ssize_t)sizeof(found) &&
			       memcmp(found, uuid_format(epoch, text), sizeof(found)) == 0 ?
		       MARK_FITS :
		       MARK_OTHER;
}

static int explain(const char *directory, int error, struct failure *f)
{
	return failure_set(f, CODE_FAILED, -error, "no journal can be made in %.300s: %s", directory,
			   error == EOPNOTSUPP ? "its file system cannot reserve room for a file; choose "
						 "another `journal-dir`" :
						 strerror(error));
}

static int check_room(const char *directory, uint64_t bytes, struct failure *f)
{
	char needed[SIZE_TEXT_LEN];
	char there[SIZE_TEXT_LEN];
	struct statvfs fs;
	uint64_t room;

	if (statvfs(directory, &fs) < 0)
		return explain(directory, errno, f);
	room = fs.f_bavail * fs.f_frsize;
	if (room >= SPARE_BYTES && room - SPARE_BYTES >= bytes)
		return 0;
	return failure_set(f, CODE_FAILED, -ENOSPC,
			   "a journal of %s, with %u MiB to spare, finds only %s in %.300s",
			   size_format(bytes, needed), (unsigned int)(SPARE_BYTES >> 20),
			   size_format(room, there), directory);
}

/*
 * Not posix_fallocate(): where the file system cannot, that writes to every block of the file, and
 * everybody waits for it. A positive errno.
 */
static int reserve(int fd, uint64_t bytes)
{
	while (fallocate(fd, 0, 0, (off_t)bytes) < 0) {
		if (errno != EINTR)
			return errno;
	}
	return 0;
}

int journal_make(struct daemon *d, const struct call *call, char ret_path[PATH_MAX], int *ret_fd,
		 struct failure *f)
{
	const char *directory = directory_of(d);
	struct wire_begin begin = { .nr_disks = (uint32_t)call->nr_disks,
				    .bytes_total = call->bytes };
	uint64_t bytes = journal_bytes_needed(&begin);
	cleanup_fd int dir_fd = -1;
	cleanup_fd int fd = -1;
	int rc;

	if (call->full || strcmp(d->config.receive_mode, "direct") == 0)
		return failure_set(f, CODE_NOT_SUPPORTED, -EOPNOTSUPP, "%s",
				   call->full ? "whole disks are received" : "receive-mode is direct");
	rc = check_room(directory, bytes, f);
	if (rc)
		return rc;
	path_of(d, &call->vm, ret_path);
	fd = open(ret_path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return explain(directory, errno, f);
	dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = reserve(fd, bytes);
	if (!rc && needs_mark(d, ret_path))
		rc = make_mark(ret_path, &call->epoch);
	/* CRASH: a name that is lost would take a complete delta with it. */
	if (!rc && (dir_fd < 0 || fsync(fd) < 0 || fsync(dir_fd) < 0))
		rc = errno;
	if (rc) {
		journal_remove(ret_path);
		return explain(directory, rc, f);
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

int journal_check_none(const struct daemon *d, const struct uuid *vm, struct failure *f)
{
	char path[PATH_MAX];

	path_of(d, vm, path);
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	return failure_set(f, CODE_INVALID_STATE, -EEXIST,
			   "The journal %s is there, and may hold a delta that is not on the disks yet, though "
			   "the primary knows it to be safe. Put the database back that belongs to it; or "
			   "move the file away and repeat: then that delta is lost, until the primary sends "
			   "the next one.",
			   path);
}

int journal_check_room(const struct daemon *d, uint64_t bytes, struct failure *f)
{
	struct wire_begin begin = { .nr_disks = 1, .bytes_total = bytes };

	if (strcmp(d->config.receive_mode, "direct") == 0)
		return failure_set(f, CODE_NOT_SUPPORTED, -EOPNOTSUPP, "receive-mode is direct");
	return check_room(directory_of(d), journal_bytes_needed(&begin), f);
}

void journal_remove(const char *path)
{
	struct mark_path mark;

	if (!path[0])
		return;
	/* ORDER: a mark alone does no harm, a journal alone would be missed. */
	if (unlink(path) < 0 && errno != ENOENT)
		log_warning("The journal %s cannot be removed: %s", path, strerror(errno));
	else if (unlink(mark_of(path, &mark)) < 0 && errno != ENOENT)
		log_warning("The file %s cannot be removed: %s", mark.text, strerror(errno));
}

/* One that a version before made, which knew of no marks. */
static void mark_found(const struct vm *vm)
{
	const char *journal = vm->r.journal;
	cleanup_fd int dir_fd = -1;
	char directory[PATH_MAX];
	struct mark_path mark;
	int rc;

	if (!needs_mark(vm->daemon, journal) || access(journal, F_OK) < 0 ||
	    access(mark_of(journal, &mark), F_OK) == 0)
		return;
	(void)snprintf(directory, sizeof(directory), "%.*s", (int)(strrchr(journal, '/') - journal), journal);
	dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = make_mark(journal, &vm->r.epoch);
	if (!rc && (dir_fd < 0 || fsync(dir_fd) < 0))
		rc = errno;
	if (rc)
		log_warning("The file %s cannot be made: %s", mark.text, strerror(rc));
}

void journal_sweep(const struct vm *vm)
{
	char path[PATH_MAX];

	/* What a record names that cannot be read, nobody knows. */
	if (vm->r.unreadable)
		return;
	path_of(vm->daemon, &vm->r.vm, path);
	if (vm->r.journal[0])
		mark_found(vm);
	else
		journal_remove(path);
}

/* --- what it holds --- */

enum holds {
	HOLDS_PART, /* nothing of it is on the disks */
	HOLDS_ALL, /* any of it may be */
	HOLDS_PAST, /* all of it is */
	HOLDS_UNKNOWN, /* the file is gone, or what it said */
};

/*
 * CRASH: a cut tears one of the two headers at most, and the first one beside zeroes; both are bad only
 * when the device is.
 */
static enum holds read_headers(const uint8_t *slots, size_t bytes, struct uuid *ret_held,
			       struct wire_begin *ret_begin)
{
	const uint8_t *second = slots + JOURNAL_SLOT_BYTES;
	struct journal_header header = { 0 };

	if (bytes != JOURNAL_DATA_OFFSET)
		return HOLDS_UNKNOWN;
	if (!journal_header_choose(slots, second, &header))
		return is_zero(slots, JOURNAL_SLOT_BYTES) || is_zero(second, JOURNAL_SLOT_BYTES) ?
			       HOLDS_PART :
			       HOLDS_UNKNOWN;
	*ret_begin = header.begin;
	*ret_held = header.state == JOURNAL_EMPTY ? header.begin.epoch : header.begin.base;
	if (header.state == JOURNAL_EMPTY)
		return HOLDS_PAST;
	return header.state == JOURNAL_COMPLETE ? HOLDS_ALL : HOLDS_PART;
}

/*
 * @ret_held: what the disks hold, if it is not HOLDS_ALL.
 * @ret_begin: of the delta, if it is
 */
static int look(const struct relationship_record *r, int fd, enum holds *ret, struct uuid *ret_held,
		struct wire_begin *ret_begin)
{
	uint8_t slots[JOURNAL_DATA_OFFSET];
	ssize_t got = pread(fd, slots, sizeof(slots), 0);

	if (got < 0)
		return -errno;
	memset(ret_held, 0, sizeof(*ret_held));
	*ret = read_headers(slots, (size_t)got, ret_held, ret_begin);
	/* Another delta's may be older than what the disks hold. */
	if (*ret == HOLDS_ALL && !uuid_equal(&ret_begin->epoch, &r->epoch))
		*ret = HOLDS_UNKNOWN;
	/* What was acknowledged is in it, or was. */
	if (*ret != HOLDS_ALL && uuid_equal(&r->base, &r->epoch) && !uuid_equal(ret_held, &r->epoch))
		*ret = HOLDS_UNKNOWN;
	return 0;
}

static int open_journal(const struct vm *vm)
{
	return open(vm->r.journal, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
}

bool journal_is_partial(const struct vm *vm)
{
	cleanup_fd int fd = vm->r.journal[0] ? open_journal(vm) : -1;
	struct wire_begin ignored;
	enum holds holds;
	struct uuid held;

	return fd >= 0 && !journal_is_away(vm) && look(&vm->r, fd, &holds, &held, &ignored) == 0 &&
	       holds == HOLDS_PART;
}

bool journal_is_away(const struct vm *vm)
{
	const char *journal = vm->r.journal;
	enum mark mark;

	if (!journal[0] || !needs_mark(vm->daemon, journal))
		return false;
	mark = read_mark(journal, &vm->r.epoch);
	return mark == MARK_OTHER || (mark == MARK_NONE && access(journal, F_OK) < 0 && errno == ENOENT);
}

bool journal_reopen(const struct vm *vm, const struct call *call, int *ret_fd)
{
	int fd;

	if (!uuid_equal(&vm->r.epoch, &call->epoch) ||
	    strcmp(vm->daemon->config.receive_mode, "direct") == 0)
		return false;
	fd = open_journal(vm);
	if (fd < 0)
		return false;
	*ret_fd = fd;
	return true;
}

/* --- settling --- */

struct settling {
	struct vm *vm;
	void (*done)(void *context, const struct failure *f);
	void *context;
	struct worker *worker;
	sd_event_source *deferred; /* instead of a worker, where none is needed */
	struct call call; /* of the delta, and with the disks in its order */
	struct wire_begin begin;
	enum holds holds;
	struct uuid held; /* what the disks hold afterwards */
	int covered; /* received.h; -1: no worker was needed */
};

void settling_free_at(struct settling **at)
{
	struct settling *s = steal_ptr(*at);

	if (!s)
		return;
	worker_free_at(&s->worker);
	(void)sd_event_source_disable_unref(s->deferred);
	(void)close_fd(s->covered);
	free(s);
}

void settling_terminate(struct settling *s)
{
	if (s->worker)
		worker_terminate(s->worker);
}

/* Nobody can tell what the disks hold: not the base, and perhaps not the epoch either. */
static int record_gone(struct vm *vm, struct failure *f)
{
	static const struct uuid nil;
	struct relationship_record next = vm->r;

	next.journal[0] = '\0';
	next.inconsistent = true;
	if (uuid_new(&next.base)) /* which covers no other; nil covers nil */
		return failure_set(f, CODE_FAILED, -EIO, "Cannot make a UUID.");
	next.epoch = nil;
	next.health = HEALTH_CRITICAL;
	(void)snprintf(next.last_error, sizeof(next.last_error),
		       "The journal %.200s, which may have held a delta that is not on the disks, is "
		       "gone or damaged: `failback resync %.64s` on the primary compares the disks.",
		       vm->r.journal, vm->r.name);
	log_error("VM %s: %s", vm->r.name, next.last_error);
	return vm_change(vm, &next, f);
}

/* The delta is on the disks, or nothing of it. */
static int record_settled(struct vm *vm, const struct uuid *held, const struct call *call, int covered,
			  struct failure *f)
{
	static const struct uuid nil;
	struct relationship_record next = vm->r;
	int rc;

	/* A record that names no epoch has none that could be held. */
	if (call && !uuid_is_nil(held) && uuid_equal(held, &vm->r.epoch))
		return receive_record(vm, call, covered, f);
	next.journal[0] = '\0';
	next.epoch = nil;
	rc = vm_change(vm, &next, f);
	if (!rc)
		log_notice("VM %s: a delta that did not arrive whole was dropped", vm->r.name);
	return rc;
}

int journal_drop(struct vm *vm, struct failure *f)
{
	static const struct uuid nil;
	char path[PATH_MAX];
	int rc;

	memcpy(path, vm->r.journal, sizeof(path));
	rc = record_settled(vm, &nil, NULL, -1, f);
	if (!rc) {
		journal_remove(path);
		vm->unsettled[0] = '\0';
	}
	return rc;
}

/* @why NULL: it is. */
static void note_settled(struct vm *vm, const struct failure *why)
{
	(void)snprintf(vm->unsettled, sizeof(vm->unsettled), "%s", why ? why->text : "");
	vm->unsettled_told = false;
	vm->unsettled_ns = clock_ns();
}

static void on_begin(void *context, uint64_t bytes_total)
{
	(void)context;
	(void)bytes_total;
}

static void on_progress(void *context, uint64_t bytes_done, uint64_t bytes_sent)
{
	(void)context;
	(void)bytes_done;
	(void)bytes_sent;
}

static void on_applied(void *context, const struct uuid *epoch)
{
	struct settling *s = context;

	s->held = *epoch;
}

static void finish(struct settling *s)
{
	struct failure why;
	char path[PATH_MAX];
	int rc;

	memcpy(path, s->vm->r.journal, sizeof(path));
	rc = s->holds == HOLDS_UNKNOWN ? record_gone(s->vm, &why) : record_settled(s->vm, &s->held, &s->call, s->covered, &why);
	if (!rc)
		journal_remove(path);
	note_settled(s->vm, rc ? &why : NULL);
	s->done(s->context, rc ? &why : NULL);
}

static void on_end(void *context, const struct failure *why)
{
	struct settling *s = context;
	struct failure failure;

	if (!why) {
		finish(s);
		return;
	}
	(void)failure_set(&failure, (enum code)why->code, -EIO,
			  "The journal %.200s of VM %.64s cannot be applied: %.200s", s->vm->r.journal,
			  s->vm->r.name, why->text);
	note_settled(s->vm, &failure);
	s->done(s->context, &failure);
}

static int on_deferred(sd_event_source *source, void *context)
{
	(void)source;
	finish(context);
	return 0;
}

static const struct worker_events events = {
	.begin = on_begin,
	.progress = on_progress,
	.applied = on_applied,
	.end = on_end,
};

/*
 * The journal says only by their numbers which disk is meant, and the peer's order need not be ours; nor need their
 * sizes be, where a disk grew on one host.
 */
static void take_disks(struct call *call, const struct wire_begin *begin)
{
	for (size_t i = 0; i < min_of(call->nr_disks, (size_t)begin->nr_disks); i++) {
		for (size_t j = i + 1; j < call->nr_disks; j++) {
			struct call_disk disk = call->disks[j];

			if (strcmp(disk.name, begin->disks[i].name) != 0)
				continue;
			call->disks[j] = call->disks[i];
			call->disks[i] = disk;
		}
		if (strcmp(call->disks[i].name, begin->disks[i].name) == 0)
			call->disks[i].size_bytes = begin->disks[i].size_bytes;
	}
}

static int start_worker(struct settling *s, int journal, struct failure *f)
{
	const struct relationship_record *r = &s->vm->r;
	const struct call *call = &s->call;
	cleanup_free char *plan = NULL;
	int fds[CALL_DISKS_MAX + 2];
	int rc;

	rc = received_file(call, &s->covered, f);
	if (rc)
		return rc;
	rc = receive_open_disks(s->vm, call, fds, f);
	if (rc)
		return rc;
	fds[call->nr_disks] = journal;
	fds[call->nr_disks + 1] = s->covered;
	rc = receive_plan(call, &r->base, WORKER_DISK_FD, true, &plan, f);
	if (!rc)
		rc = worker_start(s->vm->daemon, "failback-receive", plan, NULL, 0, fds,
				  call->nr_disks + 2, &events, s, &s->worker, f);
	for (size_t i = 0; i < call->nr_disks; i++)
		(void)close_fd(fds[i]);
	return rc;
}

static int defer(struct settling *s, struct failure *f)
{
	int rc = sd_event_add_defer(s->vm->daemon->event, &s->deferred, on_deferred, s);

	return rc < 0 ? failure_set(f, CODE_FAILED, rc, "The event loop failed: %s.", strerror(-rc)) :
			0;
}

static int begin_settling(struct vm *vm, void (*done)(void *context, const struct failure *f), void *context,
			  struct settling **ret, struct failure *f)
{
	cleanup_fd int journal = open_journal(vm);
	int error = errno;
	_cleanup_(settling_free_at) struct settling *s = calloc(1, sizeof(*s));
	int rc = 0;

	if (!s)
		return failure_no_memory(f);
	s->covered = -1;
	s->vm = vm;
	s->done = done;
	s->context = context;
	s->holds = HOLDS_UNKNOWN;
	if (journal_is_away(vm))
		return failure_set(f, CODE_FILE_NOT_FOUND, -ENOENT,
				   "The journal %.200s, which may hold a delta that is not on the disks, is not "
				   "there: is its file system mounted, as it was then? See to that, and repeat "
				   "this. If it is lost, `failback resync %.64s` on the primary compares the disks.",
				   vm->r.journal, vm->r.name);
	call_of_relationship(CALL_RECEIVE, &vm->r, &s->call);
	if (journal >= 0)
		rc = look(&vm->r, journal, &s->holds, &s->held, &s->begin);
	else if (error != ENOENT)
		rc = -error;
	if (rc)
		return failure_set(f, CODE_FAILED, rc, "The journal %.300s cannot be read: %s.",
				   vm->r.journal, strerror(-rc));
	take_disks(&s->call, &s->begin);
	if (s->holds == HOLDS_ALL)
		rc = start_worker(s, journal, f);
	else
		rc = defer(s, f);
	if (rc)
		return rc;
	*ret = steal_ptr(s);
	return 0;
}

int journal_settle(struct vm *vm, void (*done)(void *context, const struct failure *f),
		   void *context, struct settling **ret, struct failure *f)
{
	int rc = begin_settling(vm, done, context, ret, f);

	if (rc)
		note_settled(vm, f);
	return rc;
}
