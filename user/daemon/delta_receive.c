// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * With a journal (journals.h) a delta is durable in a file before the disks are touched, and is
 * acknowledged then: whatever is cut off, settling the journal brings the disks to the epoch before
 * or to the one that came. What broke before it was whole stays in the journal: the sender goes on with
 * it, or it is dropped when another delta comes or the disks are wanted.
 *
 * Without one it is written in place. CRASH: before the first byte can be written, `inconsistent`
 * and the epoch that comes are recorded: the disks are between two epochs from then on, and are not
 * to be failed over to. Only a complete delta, flushed to the disks, takes the mark away and
 * makes its epoch the base; or the proof that nothing of it was written, which leaves the old one.
 *
 * A delta that was read from disks in use, and not from images of one instant, leaves the mark: what
 * the VM wrote meanwhile may be there in part.
 *
 * The worker acknowledges before this host records the new base. If it dies in between, the
 * sender's next base is the epoch that came last, which proves that it was acknowledged:
 * base_is_covered() knows that case.
 */
#include "daemon/delta_receive.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/macro.h"
#include "base/realtime.h"
#include "daemon/definitions.h"
#include "daemon/job.h"
#include "daemon/joined.h"
#include "daemon/journals.h"
#include "daemon/received.h"
#include "daemon/split_brain.h"
#include "daemon/trackers.h"
#include "daemon/transfer_plan.h"
#include "daemon/worker.h"
#include "lib/blank.h"
#include "lib/gathering.h"
#include "lib/json.h"

#define BLANK_WAIT_MS 2500U
#define UNSETTLED_NS  (60 * UINT64_C(1000000000))
#define AGAIN_US      UINT64_C(2000000)
#define BLOCK_MAX     (UINT64_C(1) << 20) /* of a tracker; the last one of a disk may reach beyond it */

struct receive {
	struct vm *vm;
	struct job *job;
	struct joined *joined; /* its connections, before the worker; NULL: one is all */
	struct worker *worker;
	struct settling *settling; /* after the worker */
	struct call call;
	bool has_journal;
	bool resumes; /* the journal has a part of it already */
	bool was_inconsistent; /* before this one was recorded */
	struct failure why; /* the worker's, while the journal is settled */
	struct uuid base; /* before it is settled */
	bool lost; /* the journal, which the record says already */
	int fds[CALL_DISKS_MAX + 1]; /* of the disks, and the journal; -1 from there on */
	int covered; /* received.h; -1 before the worker was started */
	sd_event_source *again; /* it arrived, and cannot be recorded yet */
	char stray[RECEIVED_TEXT_LEN];
};

static void close_disks(int *disks, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		disks[i] = close_fd(disks[i]);
}

static void receive_free_at(struct receive **at)
{
	struct receive *receive = steal_ptr(*at);

	if (!receive)
		return;
	if (receive->vm && receive->vm->gathering == receive)
		receive->vm->gathering = NULL;
	joined_free_at(&receive->joined);
	worker_free_at(&receive->worker);
	(void)sd_event_source_disable_unref(receive->again);
	settling_free_at(&receive->settling);
	close_disks(receive->fds, ARRAY_SIZE(receive->fds));
	(void)close_fd(receive->covered);
	free(receive);
}

/* --- disks --- */

static const struct disk_record *find_disk(const struct vm *vm, const char *name)
{
	for (size_t i = 0; i < vm->r.nr_disks; i++) {
		if (strcmp(vm->r.disks[i].name, name) == 0)
			return &vm->r.disks[i];
	}
	return NULL;
}

static int check_names(const struct vm *vm, const struct call *call, struct failure *f)
{
	for (size_t i = 0; i < call->nr_disks; i++) {
		for (size_t j = 0; j < i; j++) {
			if (strcmp(call->disks[i].name, call->disks[j].name) == 0)
				return failure_set(f, CODE_INVALID_PARAMETER, -EEXIST,
						   "Disk %s is named twice.", call->disks[i].name);
		}
		if (!find_disk(vm, call->disks[i].name))
			return failure_set(
				f, CODE_INVALID_PARAMETER, -ENOENT,
				"VM %.64s has no disk %s on this host; add it with `failback "
				"apply`.",
				vm->r.name, call->disks[i].name);
	}
	if (call->nr_disks != vm->r.nr_disks)
		return failure_set(
			f, CODE_INVALID_PARAMETER, -EINVAL,
			"VM %.64s has %zu disks on this host and %zu on the peer; make them the "
			"same with "
			"`failback apply`.",
			vm->r.name, vm->r.nr_disks, call->nr_disks);
	return 0;
}

int receive_open_disks(const struct vm *vm, const struct call *call, int *ret, struct failure *f)
{
	int rc = check_names(vm, call, f);

	for (size_t i = 0; !rc && i < call->nr_disks; i++) {
		const struct disk_record *disk = find_disk(vm, call->disks[i].name);

		ret[i] = -1;
		rc = trackers_open_target(disk, call->disks[i].size_bytes, &ret[i], f);
		if (rc)
			close_disks(ret, i);
	}
	return rc;
}

static struct reply_disk *describe_disk(const struct call_disk *disk, struct reply *reply)
{
	struct reply_disk *ret;

	for (size_t i = 0; i < reply->nr_disks; i++) {
		if (strcmp(reply->disks[i].name, disk->name) == 0)
			return &reply->disks[i];
	}
	ret = &reply->disks[reply->nr_disks++];
	memcpy(ret->name, disk->name, sizeof(ret->name));
	ret->size_bytes = disk->size_bytes;
	return ret;
}

static int explain_slow(const struct vm *vm, const char *name, unsigned int ms, struct failure *f)
{
	return failure_set(f, CODE_TIMEOUT, -ETIMEDOUT,
			   "Disk %s (%s) does not answer: a read has not ended after %u ms. Look at its "
			   "storage, and repeat it.",
			   name, find_disk(vm, name)->path, ms);
}

int receive_find_blank(const struct vm *vm, const struct call *call, const int *fds,
		       struct reply *reply, struct failure *f)
{
	/* The caller is to hear of it, and the others not to wait long. */
	unsigned int timeout_ms =
		min_of((unsigned int)vm->daemon->config.call_timeout * 250, BLANK_WAIT_MS);
	struct blank disks[CALL_DISKS_MAX];
	struct reply_disk *told[CALL_DISKS_MAX];
	const char *names[CALL_DISKS_MAX];
	size_t nr = 0;
	size_t slow;

	for (size_t i = 0; i < call->nr_disks; i++) {
		const struct call_disk *disk = &call->disks[i];

		if (call->kind == CALL_RECEIVE && !disk->all)
			continue;
		names[nr] = disk->name;
		told[nr] = describe_disk(disk, reply);
		disks[nr++] = (struct blank){ .fd = fds[i], .size_bytes = disk->size_bytes };
	}
	if (nr && blank_disks_within(disks, nr, timeout_ms, &slow) == -ETIMEDOUT)
		return explain_slow(vm, names[slow], timeout_ms, f);
	for (size_t i = 0; i < nr; i++)
		told[i]->blank = disks[i].is_blank;
	return 0;
}

/* --- the end --- */

/* Frees @receive. */
static void fail(struct receive *receive, const struct failure *why)
{
	_cleanup_(receive_free_at) struct receive *owned = receive;
	struct vm *vm = receive->vm;
	struct relationship_record next = vm->r;
	struct failure store;

	if (!receive->lost) {
		next.health = HEALTH_WARNING;
		memcpy(next.last_error, why->text, sizeof(next.last_error));
	}
	/* The disks are as they were, and perhaps the only ones that the VM can be run from. */
	if (!receive->has_journal && received_nothing(receive->covered))
		next.inconsistent = receive->was_inconsistent;
	if (vm_apply_event(vm, EVENT_RECEIVE_FAILED, &next, &store) || vm_change(vm, &next, &store))
		log_error("VM %s: the failed delta cannot be recorded: %s", vm->r.name, store.text);
	job_end(owned->job, why);
}

static int record_arrived(struct vm *vm, const struct call *call, const char *stray, struct failure *f)
{
	struct relationship_record next = vm->r;
	int rc;

	/* One that was not settled when the base became what it is. */
	definition_settle(vm);
	/* What was suspended since, stays so. */
	(void)vm_apply_event(vm, EVENT_RECEIVED, &next, NULL);
	next.base = call->epoch;
	next.nr_aborted = 0;
	memset(&next.epoch, 0, sizeof(next.epoch));
	next.journal[0] = '\0';
	next.inconsistent = !vm->r.instant;
	next.health = stray[0] ? HEALTH_WARNING : HEALTH_OK;
	(void)snprintf(next.last_error, sizeof(next.last_error), "%s", stray);
	next.last_replication_us = realtime_us();
	rc = vm_change(vm, &next, f);
	if (!rc)
		definition_settle(vm);
	return rc;
}

int receive_record(struct vm *vm, const struct call *call, int covered, struct failure *f)
{
	char stray[RECEIVED_TEXT_LEN];

	received_note(vm, call, covered, stray);
	return record_arrived(vm, call, stray, f);
}

static int on_again(sd_event_source *source, uint64_t usec, void *context);

static bool try_again(struct receive *receive, const struct failure *why)
{
	if (!receive->again)
		log_error("VM %s: that a delta arrived cannot be recorded yet: %s", receive->vm->r.name, why->text);
	receive->job->cancel = NULL;
	job_set_status(receive->job, "recording that it arrived");
	receive->again = sd_event_source_disable_unref(receive->again);
	return sd_event_add_time_relative(receive->vm->daemon->event, &receive->again, CLOCK_MONOTONIC, AGAIN_US, 0,
					  on_again, receive) >= 0;
}

/* All of it is on the disks. Frees @receive, but when it is tried again. */
static void record(struct receive *receive)
{
	char journal[PATH_MAX];
	struct failure why;
	int rc;

	memcpy(journal, receive->vm->r.journal, sizeof(journal));
	rc = record_arrived(receive->vm, &receive->call, receive->stray, &why);
	/* Without a journal nothing else says that the disks hold an instant, which may be the last one. */
	if (rc && !receive->has_journal && try_again(receive, &why))
		return;
	if (!rc)
		journal_remove(journal);
	job_end(receive->job, rc ? &why : NULL);
	receive_free_at(&receive);
}

static int on_again(sd_event_source *source, uint64_t usec, void *context)
{
	(void)source;
	(void)usec;
	record(context);
	return 0;
}

static void succeed(struct receive *receive)
{
	received_note(receive->vm, &receive->call, receive->covered, receive->stray);
	record(receive);
}

/* The worker is gone, and its journal says how far it came. */
static void on_settled(void *context, const struct failure *why)
{
	_cleanup_(receive_free_at) struct receive *receive = context;
	bool arrived = uuid_equal(&receive->vm->r.base, &receive->call.epoch);
	struct failure failure;

	if (!why && arrived) {
		job_end(receive->job, NULL);
		return;
	}
	/* One that was dropped leaves the base. */
	receive->lost = !why && !uuid_equal(&receive->vm->r.base, &receive->base);
	failure = why ? *why : receive->why;
	fail(steal_ptr(receive), &failure);
}

static void settle(struct receive *receive, const struct failure *why)
{
	struct failure failure = *why; /* the worker goes with the operation */

	if (journal_is_partial(receive->vm)) {
		fail(receive, &failure);
		return;
	}
	receive->why = failure;
	receive->base = receive->vm->r.base;
	receive->job->applying = true;
	job_set_status(receive->job, "settling the journal");
	if (journal_settle(receive->vm, on_settled, receive, &receive->settling, &failure))
		fail(receive, &failure);
}

static void on_compare(void *context, uint64_t bytes_total)
{
	struct receive *receive = context;

	job_begin_phase(receive->job, "comparing", bytes_total);
}

static void on_begin(void *context, uint64_t bytes_total)
{
	struct receive *receive = context;

	job_begin_phase(receive->job, "receiving", bytes_total);
}

static void on_progress(void *context, uint64_t bytes_done, uint64_t bytes_sent)
{
	struct receive *receive = context;

	job_add_progress(receive->job, bytes_done, bytes_sent);
}

/*
 * The sender knows that it arrived. CRASH: not to be recorded costs nothing, since the journal says
 * it too.
 */
static void on_durable(void *context)
{
	struct receive *receive = context;
	struct relationship_record next = receive->vm->r;

	next.base = receive->call.epoch;
	(void)vm_change(receive->vm, &next, NULL);
	receive->job->applying = true;
	job_set_status(receive->job, "applying the journal");
}

static void on_end(void *context, const struct failure *why)
{
	struct receive *receive = context;
	struct failure failure;

	if (!why) {
		succeed(receive);
	} else if (receive->has_journal) {
		settle(receive, why);
	} else {
		failure = *why; /* the worker goes with the operation */
		fail(receive, &failure);
	}
}

static const struct worker_events events = {
	.compare = on_compare,
	.begin = on_begin,
	.progress = on_progress,
	.durable = on_durable,
	.end = on_end,
};

static void on_cancel(void *context)
{
	struct receive *receive = context;
	struct failure why;

	if (receive->settling) {
		settling_terminate(receive->settling);
	} else if (receive->worker) {
		worker_terminate(receive->worker);
	} else {
		(void)failure_set(&why, CODE_FAILED, -ECANCELED, "Terminated on request.");
		receive_abandon(receive, &why);
	}
}

/* --- what a crash left --- */

static void on_left_settled(void *context, const struct failure *why)
{
	_cleanup_(receive_free_at) struct receive *receive = context;
	struct relationship_record next = receive->vm->r;

	if (why) {
		next.health = HEALTH_CRITICAL;
		memcpy(next.last_error, why->text, sizeof(next.last_error));
		(void)vm_change(receive->vm, &next, NULL);
	}
	job_end(receive->job, why);
}

void receive_settle(struct vm *vm)
{
	struct receive *receive;
	struct failure why;

	if (!vm->r.journal[0] || vm->job || journal_is_partial(vm))
		return;
	receive = calloc(1, sizeof(*receive));
	if (!receive)
		return;
	memset(receive->fds, -1, sizeof(receive->fds));
	receive->covered = -1;
	receive->vm = vm;
	receive->job = job_start(vm, JOB_RECEIVE, &why);
	if (!receive->job) {
		log_error("VM %s: its journal cannot be settled: %s", vm->r.name, why.text);
		receive_free_at(&receive);
		return;
	}
	receive->job->operation = receive;
	receive->job->cancel = on_cancel;
	receive->job->applying = true;
	job_set_status(receive->job, "settling the journal");
	if (journal_settle(vm, on_left_settled, receive, &receive->settling, &why))
		on_left_settled(receive, &why);
}

/* --- the beginning --- */

/* What came last was acknowledged, so it is whole: the sender's base proves it. */
static bool has_arrived(const struct vm *vm, const struct call *call)
{
	return !uuid_is_nil(&vm->r.epoch) && uuid_equal(&vm->r.epoch, &call->base);
}

/* In state 2: of a disk that is not sent whole, the sender has the map that was kept here. */
static int check_known(const struct vm *vm, const struct call *call, struct failure *f)
{
	for (size_t i = 0; !call->full && i < call->nr_disks; i++) {
		const struct disk_record *disk = find_disk(vm, call->disks[i].name);

		if (call->disks[i].all || (disk && !uuid_is_nil(&disk->tracker_uuid)))
			continue;
		return failure_set(f, CODE_INVALID_STATE, -ENODATA,
				   "What the disks of VM %.64s here hold is not known: only a "
				   "resynchronisation will do.",
				   vm->r.name);
	}
	return 0;
}

/* A disk that grew on one host only; and a delta that is larger than they are would only fill the journal's place. */
static int check_sizes(const struct vm *vm, const struct call *call, struct failure *f)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < call->nr_disks; i++) {
		const struct disk_record *disk = find_disk(vm, call->disks[i].name);

		bytes += call->disks[i].size_bytes + BLOCK_MAX;
		if (!disk || disk->size_bytes == call->disks[i].size_bytes)
			continue;
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "Disk %s of VM %.64s has %" PRIu64 " bytes on this host and %" PRIu64 " on the "
				   "peer: make them the same, and say so with `failback apply`.",
				   disk->name, vm->r.name, disk->size_bytes, call->disks[i].size_bytes);
	}
	if (call->bytes > bytes)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "A delta of %" PRIu64 " bytes is more than the disks of VM %.64s hold.", call->bytes,
				   vm->r.name);
	return 0;
}

/* -ENODATA: only a resynchronisation will do. */
static int check(struct vm *vm, const struct call *call, struct failure *f)
{
	struct relationship_record ignored = vm->r;
	int rc;

	if (vm_swap_host(vm).role == SWAP_FAILED_OVER)
		return split_brain_refuse(vm, &call->history, f);
	rc = vm_apply_event(vm, EVENT_RECEIVE, &ignored, f);
	if (!rc)
		rc = vm_check_idle(vm, f);
	if (!rc && vm->r.state == STATE_WAITING_INITIAL && !has_arrived(vm, call))
		rc = check_known(vm, call, f);
	if (!rc && !call->full &&
	    !base_is_covered(&vm->r.base, &vm->r.epoch, &call->base, call->aborted,
			     call->nr_aborted))
		rc = failure_set(f, CODE_INVALID_STATE, -ENODATA,
				 "The disks of VM %.64s here do not hold what the delta starts "
				 "from: a resynchronisation is needed.",
				 vm->r.name);
	return rc;
}

/*
 * What the delta before left is gone on with, or dropped, or applied first; then the sender comes again. One that
 * cannot be applied is tried once for each delta, which ends with the reason.
 */
static int take_what_is_left(struct receive *receive, struct failure *f)
{
	struct vm *vm = receive->vm;
	/* What was so longer ago may have been mended. */
	bool failed_now = vm->unsettled[0] && clock_ns() - vm->unsettled_ns < UNSETTLED_NS;

	/* Whole disks need nothing of what it holds: that is the way on when nothing can be done with it. */
	if (!vm->r.journal[0] || (receive->call.full && (failed_now || journal_is_away(vm))))
		return 0;
	if (journal_is_partial(vm)) {
		receive->resumes = journal_reopen(vm, &receive->call,
						  &receive->fds[receive->call.nr_disks]);
		return receive->resumes ? 0 : journal_drop(vm, f);
	}
	if (!failed_now || vm->unsettled_told)
		receive_settle(vm);
	if (vm->job || !vm->unsettled[0])
		return failure_set(f, CODE_IN_USE, -EBUSY,
				   "The delta before is still in its journal on the replica of VM %.64s, and "
				   "is applied first.",
				   vm->r.name);
	vm->unsettled_told = true;
	return failure_set(f, CODE_FAILED, -EIO, "%s", vm->unsettled);
}

/* Its acknowledgement was lost. */
static bool holds_already(const struct vm *vm, const struct call *call)
{
	return vm->r.mode == MODE_REPLICA && !vm->job && !vm->r.journal[0] &&
	       uuid_is_nil(&vm->r.epoch) && uuid_equal(&vm->r.base, &call->epoch);
}

static int record_incoming(struct receive *receive, const char *journal, struct failure *f)
{
	struct vm *vm = receive->vm;
	const struct call *call = &receive->call;
	struct relationship_record next = vm->r;
	char given_up[PATH_MAX] = "";
	int rc = vm_apply_event(vm, EVENT_RECEIVE, &next, f);

	if (rc)
		return rc;
	if (has_arrived(vm, call)) {
		next.base = call->base;
		next.inconsistent = !vm->r.instant;
	}
	if (!receive->resumes)
		memcpy(given_up, vm->r.journal, sizeof(given_up));
	/* A journal that is away, or cannot be applied, is given up, and with it what the disks hold. */
	if (given_up[0]) {
		log_warning("VM %s: the journal %s is given up: the disks come whole", vm->r.name, vm->r.journal);
		next.inconsistent = true;
		if (uuid_new(&next.base))
			return failure_set(f, CODE_FAILED, -EIO, "Cannot make a UUID.");
	}
	next.epoch = call->epoch;
	next.instant = call->instant;
	(void)snprintf(next.journal, sizeof(next.journal), "%s",
		       receive->has_journal ? journal : "");
	receive->was_inconsistent = next.inconsistent;
	next.inconsistent |= !receive->has_journal;
	rc = vm_change(vm, &next, f);
	if (!rc && given_up[0] && strcmp(given_up, journal) != 0) {
		journal_remove(given_up);
		vm->unsettled[0] = '\0';
	}
	return rc;
}

/* Nothing was written, but for what a journal held before. */
static void forget_incoming(struct receive *receive)
{
	struct vm *vm = receive->vm;
	struct relationship_record next = vm->r;
	char journal[PATH_MAX];

	if (receive->resumes)
		return;
	memcpy(journal, vm->r.journal, sizeof(journal));
	next.journal[0] = '\0';
	memset(&next.epoch, 0, sizeof(next.epoch));
	next.inconsistent = receive->was_inconsistent;
	if (vm_change(vm, &next, NULL) == 0)
		journal_remove(journal);
}

/* How it is received, and if not with a journal, why not: the result of the job. */
static void tell_mode(struct receive *receive, const struct failure *why)
{
	cleanup_json struct json_object *object = json_object_new_object();

	json_add_uint(object, "schema", 1);
	json_add_text(object, "mode", receive->has_journal ? "journal" : "direct");
	if (!receive->has_journal)
		json_add_text(object, "reason", why->text);
	(void)json_object_object_add(object, "resumed", json_object_new_boolean(receive->resumes));
	receive->job->result = json_text(object);
	job_set_status(receive->job, "answering the peer");
}

static void on_joined(void *context, const struct failure *why);

static int prepare_connections(struct receive *receive, struct reply *reply, struct failure *f)
{
	unsigned int nr = gathering_size(receive->call.connections);
	int rc = 0;

	if (nr > 1)
		rc = joined_new(receive->vm->daemon, nr, on_joined, receive, &receive->joined, f);
	if (rc)
		return rc;
	reply->connections = nr;
	if (nr > 1)
		reply->token = *joined_token(receive->joined);
	return 0;
}

int receive_prepare(struct vm *vm, const struct call *call, struct receive **ret,
		    struct reply *reply, struct failure *f)
{
	_cleanup_(receive_free_at) struct receive *receive = calloc(1, sizeof(*receive));
	char journal[PATH_MAX] = "";
	struct failure direct;
	int rc;

	if (!receive)
		return failure_no_memory(f);
	memset(receive->fds, -1, sizeof(receive->fds));
	receive->covered = -1;
	receive->vm = vm;
	receive->call = *call;
	if (holds_already(vm, call)) {
		reply->code = CODE_COMPLETED;
		return 0;
	}
	rc = check(vm, call, f);
	reply->resync = rc == -ENODATA;
	if (!rc && !call->full)
		rc = check_sizes(vm, call, f);
	if (!rc)
		rc = prepare_connections(receive, reply, f);
	if (!rc)
		rc = take_what_is_left(receive, f);
	if (!rc)
		rc = receive_open_disks(vm, call, receive->fds, f);
	if (!rc)
		rc = receive_find_blank(vm, call, receive->fds, reply, f);
	if (rc)
		return rc;
	if (receive->resumes)
		memcpy(journal, vm->r.journal, sizeof(journal));
	else
		rc = journal_make(vm->daemon, call, journal, &receive->fds[call->nr_disks],
				  &direct);
	receive->has_journal = !rc;
	if (rc && direct.code != CODE_NOT_SUPPORTED)
		log_warning("VM %s: a delta is received in place: %s", vm->r.name, direct.text);
	rc = record_incoming(receive, journal, f);
	if (rc) {
		if (!receive->resumes)
			journal_remove(journal);
		return rc;
	}
	receive->job = job_start(vm, JOB_RECEIVE, f);
	if (!receive->job) {
		forget_incoming(receive);
		return -EIO;
	}
	receive->job->operation = receive;
	tell_mode(receive, &direct);
	reply->code = CODE_JOB_STARTED;
	*ret = steal_ptr(receive);
	return 0;
}

static void start_worker(struct receive *receive, const int *connections, unsigned int nr,
			 enum protection protection)
{
	cleanup_free char *plan = NULL;
	size_t nr_fds = receive->call.nr_disks + receive->has_journal;
	int fds[ARRAY_SIZE(receive->fds) + 1];
	const struct vm *vm = receive->vm;
	struct failure why;
	int rc;

	rc = received_file(&receive->call, &receive->covered, &why);
	if (!rc)
		rc = receive_plan(&receive->call,
				  receive->call.full ? &receive->call.base : &vm->r.base,
				  WORKER_DISK_FD, receive->has_journal, &plan, &why);
	memcpy(fds, receive->fds, nr_fds * sizeof(*fds));
	fds[nr_fds] = receive->covered;
	if (!rc)
		rc = worker_start(vm->daemon, "failback-receive", plan, connections, nr, fds,
				  nr_fds + 1, &events, receive, &receive->worker, &why);
	if (rc) {
		receive_abandon(receive, &why);
		return;
	}
	/* From here on the disks are the worker's. */
	close_disks(receive->fds, nr_fds);
	receive->job->cancel = on_cancel;
	job_set_channel(receive->job, "receiving", protection_name(protection), nr);
}

static void on_joined(void *context, const struct failure *why)
{
	struct receive *receive = context;
	_cleanup_(joined_free_at) struct joined *joined = steal_ptr(receive->joined);
	const int *fds;
	unsigned int nr;

	receive->vm->gathering = NULL;
	if (why) {
		receive_abandon(receive, why);
		return;
	}
	fds = joined_fds(joined, &nr);
	start_worker(receive, fds, nr, joined_protection(joined));
}

void receive_start(struct receive *receive, struct conn **c)
{
	enum protection protection = conn_protection(*c);
	cleanup_fd int fd = -1;
	struct failure why;

	if (!receive->joined) {
		fd = conn_steal_fd(c);
		start_worker(receive, &fd, 1, protection);
	} else if (joined_begin(receive->joined, c, &why)) {
		receive_abandon(receive, &why);
	} else {
		receive->vm->gathering = receive;
		receive->job->cancel = on_cancel;
		job_set_status(receive->job, "waiting for the peer's other connections");
	}
}

int receive_admit(struct vm *vm, const struct conn *c, const struct call_join *join, struct failure *f)
{
	return joined_admit(vm->gathering ? vm->gathering->joined : NULL, c, &join->token, join->number,
			    f);
}

void receive_join(struct daemon *d, const struct call_join *join, struct conn **c)
{
	const struct vm *vm = vm_find(d, &join->vm);

	joined_take(vm && vm->gathering ? vm->gathering->joined : NULL, &join->token, join->number, c);
}

void receive_abandon(struct receive *receive, const struct failure *why)
{
	forget_incoming(receive);
	fail(receive, why);
}
