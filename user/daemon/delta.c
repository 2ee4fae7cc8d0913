// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One epoch's way, each arrow a turn of the event loop:
 *
 *	connect
 *	-> after an unplanned failover, CALL map: what the old primary wrote is marked here
 *	-> record the epoch, freeze, CALL definition, if the hypervisor has one; CALL receive
 *	-> REPLY 4096: hand the connection to failback-send
 *	-> done: record "durable", commit, the epoch is the base
 *
 * With the setting connections, REPLY 4096 says how many more may join (join.h), and the worker gets them together.
 *
 * The peer is connected first, so that an unreachable one costs no epoch. The epoch is recorded
 * before it is frozen, and its acknowledgement before it is committed: whatever is interrupted,
 * delta_settle() knows which of the two ends (delta_end.h) is right.
 *
 * An acknowledgement may be lost. From the moment the workers have the connection until one
 * arrives, the epoch is among `aborted`: epochs that the peer may hold although they were merged
 * into the next delta. The peer's answer to the next CALL says which base it holds, and with that
 * all others are struck off: there are never more than two.
 *
 * A connection that breaks, or a worker that dies, after the peer took the delta, costs no epoch: while
 * it stands, and for the setting resume-for, it is offered again, and gone on with where the peer's journal
 * has it. So it is while the peer still applies the one before.
 *
 * Every other end of the epoch is an abort, which loses nothing.
 */
#include "daemon/delta.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cbt-wire.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/macro.h"
#include "base/text.h"
#include "daemon/calls.h"
#include "daemon/definition_send.h"
#include "daemon/delta_end.h"
#include "daemon/images.h"
#include "daemon/join.h"
#include "daemon/map_import.h"
#include "daemon/peer.h"
#include "daemon/retry.h"
#include "daemon/schedule.h"
#include "daemon/trackers.h"
#include "daemon/transfer_plan.h"
#include "daemon/vm_control.h"
#include "daemon/worker.h"
#include "lib/json.h"

/* Less is over before it has its speed. */
#define RATE_MIN_BYTES (UINT64_C(64) << 10)

struct delta {
	struct daemon *daemon;
	struct vm *vm;
	struct job *job;
	struct conn *conn;
	uint64_t connections; /* that are asked for */
	unsigned int nr_connections; /* that the peer takes */
	struct join *join; /* of the others, before the worker has them; NULL: none are made */
	char *plan; /* of the worker */
	struct worker *worker;
	struct tracker_info *infos; /* as of the freeze, in the order of the disks */
	struct vm_control *stopping; /* of the VM, before it connects */
	struct map_import *import; /* before the freeze */
	struct definition_send *definition; /* after it */
	bool *all; /* of which disks: what the peer's hold is not known */
	bool *compare; /* of these, which: something is there */
	bool full; /* of every disk */
	bool compared; /* something was, on the way */
	bool handed_over; /* the workers had the connection once */
	bool peer_busy; /* it said so */
	bool stale; /* a map here, or the peer, says that no delta will do */
	bool vm_runs; /* it could not be shut down: nobody said no to the delta */
	struct retry retry;
	uint64_t compared_to; /* byte that any attempt came to as it compared */
	uint64_t sent_to; /* ... and as it sent */
	uint64_t *furthest; /* the one of them that is now */
};

static void delta_free_at(struct delta **at)
{
	struct delta *delta = steal_ptr(*at);

	if (!delta)
		return;
	join_free_at(&delta->join);
	conn_free_at(&delta->conn);
	worker_free_at(&delta->worker);
	free(delta->plan);
	vm_control_free_at(&delta->stopping);
	map_import_free_at(&delta->import);
	definition_send_free_at(&delta->definition);
	retry_clear(&delta->retry);
	free(delta->all);
	free(delta->compare);
	free(delta->infos);
	free(delta);
}

/* Does each disk have room for an image? */
static bool has_stores(const struct delta *delta)
{
	for (size_t i = 0; i < delta->vm->r.nr_disks; i++) {
		if (!delta->infos[i].has_store)
			return false;
	}
	return true;
}

/* --- the end --- */

/* Of every delta that did not arrive. Frees @delta. */
static void give_up(struct delta *delta, const struct failure *why)
{
	_cleanup_(delta_free_at) struct delta *owned = delta;
	struct failure told;

	delta_abort(owned->vm, why, owned->vm_runs, owned->stale, &told);
	job_end(owned->job, &told);
}

static bool sent_live(const struct delta *delta)
{
	bool live = false;

	for (size_t i = 0; i < delta->vm->r.nr_disks; i++)
		live |= delta->all[i];
	return live;
}

/* What a transfer of some size tells about the next one. */
static void note_rate(struct delta *delta)
{
	uint64_t us = job_elapsed_us(delta->job);
	uint64_t bytes = delta->job->progress.bytes_total;

	if (bytes >= RATE_MIN_BYTES && us && !delta->compared)
		delta->vm->bytes_per_second = bytes * 1000000 / us;
}

static void succeed(struct delta *delta)
{
	_cleanup_(delta_free_at) struct delta *owned = delta;
	struct failure why;
	int rc;

	note_rate(delta);
	rc = delta_commit(delta->vm, &why);
	if (!rc && delta->job->r.type == JOB_PREPARE)
		rc = delta_cede(delta->vm, delta->infos, &why);
	else if (!rc && sent_live(delta) && has_stores(delta))
		schedule_now(delta->vm); /* until then the peer cannot be failed over to */
	job_end(owned->job, rc ? &why : NULL);
}

/* --- going on --- */

static bool may_go_on(struct delta *delta, const struct failure *why)
{
	const struct relationship_record *r = &delta->vm->r;
	bool broke = why->code == CODE_NOT_AVAILABLE || why->code == CODE_TIMEOUT;
	char reason[NL_REASON_LEN + 1];

	return (delta->peer_busy || (delta->handed_over && broke)) && !delta->job->terminating &&
	       !uuid_is_nil(&r->epoch) && !r->epoch_durable && !trackers_broken(r, reason) &&
	       retry_may(delta->daemon, &delta->retry);
}

static void record_pause(struct vm *vm, const struct failure *why)
{
	struct relationship_record next = vm->r;

	log_warning("VM %s: the delta is to be gone on with: %s", vm->r.name, why->text);
	next.health = HEALTH_WARNING;
	(void)snprintf(next.last_error, sizeof(next.last_error),
		       "%.380s%s The delta is gone on with as soon as it can be.", why->text,
		       text_full_stop(why->text));
	(void)vm_change(vm, &next, NULL);
}

static int on_time_to_go_on(sd_event_source *source, uint64_t usec, void *context);

static int pause_delta(struct delta *delta, const struct failure *why, struct failure *f)
{
	unsigned int seconds;
	int rc;

	retry_failed(&delta->retry, delta->worker || delta->join);
	join_free_at(&delta->join);
	conn_free_at(&delta->conn);
	worker_free_at(&delta->worker);
	delta->job->pausing = true;
	rc = retry_wait(delta->daemon, &delta->retry, on_time_to_go_on, delta, &seconds, f);
	if (rc)
		return rc;
	if (delta->peer_busy)
		job_set_status(delta->job, "waiting until the replica has applied its journal");
	else
		job_set_status(delta->job, "the connection broke (%u in a row): again in %u s",
			       delta->retry.failures, seconds);
	if (!delta->peer_busy)
		record_pause(delta->vm, why);
	delta->peer_busy = false;
	return 0;
}

/* What did not arrive: kept frozen, or the next delta's. May free @delta. */
static void fail(struct delta *delta, const struct failure *why)
{
	struct failure failure;

	if (!may_go_on(delta, why))
		give_up(delta, why);
	else if (pause_delta(delta, why, &failure))
		give_up(delta, &failure);
}

/* --- the transfer --- */

static void on_compare(void *context, uint64_t bytes_total)
{
	struct delta *delta = context;

	delta->compared = true;
	delta->furthest = &delta->compared_to;
	job_begin_phase(delta->job, "comparing", bytes_total);
}

static void on_begin(void *context, uint64_t bytes_total)
{
	struct delta *delta = context;

	delta->furthest = &delta->sent_to;
	job_begin_phase(delta->job, "sending", bytes_total);
}

static void on_progress(void *context, uint64_t bytes_done, uint64_t bytes_sent)
{
	struct delta *delta = context;

	if (delta->furthest && bytes_done > *delta->furthest) {
		*delta->furthest = bytes_done;
		retry_gained(&delta->retry);
	}
	job_add_progress(delta->job, bytes_done, bytes_sent);
}

/* The result of the job, which the history does not keep. */
static void on_compared(void *context, uint64_t bytes_compared, uint64_t bytes_hashes,
			uint64_t bytes_sent)
{
	cleanup_json struct json_object *object = json_object_new_object();
	struct delta *delta = context;

	json_add_uint(object, "schema", 1);
	json_add_uint(object, "bytes_compared", bytes_compared);
	json_add_uint(object, "bytes_hashes", bytes_hashes);
	json_add_uint(object, "bytes_sent", bytes_sent);
	free(delta->job->result);
	delta->job->result = json_text(object);
	log_info("VM %s: %" PRIu64 " bytes were compared by %" PRIu64 " bytes of hashes, and %" PRIu64
		 " bytes of data sent",
		 delta->vm->r.name, bytes_compared, bytes_hashes, bytes_sent);
}

static void on_end(void *context, const struct failure *why)
{
	struct failure copy;

	if (!why) {
		succeed(context);
		return;
	}
	copy = *why; /* the worker goes with the delta */
	fail(context, &copy);
}

static const struct worker_events events = {
	.compare = on_compare,
	.begin = on_begin,
	.progress = on_progress,
	.compared = on_compared,
	.end = on_end,
};

/*
 * The peer's base decides which of the epochs in doubt it can still hold; from now on this one is
 * in doubt too. A base to which no map reaches back is none of them.
 */
static int note_handover(const struct delta *delta, const struct uuid *peer_base, struct failure *f)
{
	struct vm *vm = delta->vm;
	struct relationship_record next = vm->r;

	next.nr_aborted = 0;
	if (!delta->full && !uuid_is_nil(peer_base) && !uuid_equal(peer_base, &next.base))
		next.aborted[next.nr_aborted++] = *peer_base;
	next.aborted[next.nr_aborted++] = next.epoch;
	return vm_change(vm, &next, f);
}

/* What is not there yet is sent without asking. */
static void choose_compare(struct delta *delta, const struct reply *reply)
{
	for (size_t i = 0; i < delta->vm->r.nr_disks; i++) {
		const struct reply_disk *disk =
			reply_find_disk(reply, delta->vm->r.disks[i].name);

		delta->compare[i] = delta->all[i] && !(disk && disk->blank);
	}
}

static int start_worker(struct delta *delta, struct failure *f)
{
	enum protection protection = conn_protection(delta->conn);
	unsigned int nr = delta->nr_connections;
	int fds[CBT_WIRE_CONNECTIONS_MAX];
	int rc;

	/* the join compares with the first */
	if (nr > 1)
		join_steal(delta->join, &fds[1]);
	join_free_at(&delta->join);
	fds[0] = conn_steal_fd(&delta->conn);
	rc = worker_start(delta->daemon, "failback-send", delta->plan, fds, nr, NULL, 0, &events, delta,
			  &delta->worker, f);
	for (unsigned int i = 0; i < nr; i++)
		(void)close_fd(fds[i]);
	if (rc)
		return rc;
	job_set_channel(delta->job, "sending", protection_name(protection), nr);
	peer_log_protection(delta->daemon, protection);
	return 0;
}

static void on_joined(void *context, const struct failure *why)
{
	struct delta *delta = context;
	struct failure failure;
	int rc = -EIO;

	if (why)
		failure = *why; /* goes with the join */
	else
		rc = start_worker(delta, &failure);
	if (rc)
		fail(delta, &failure);
}

/* CRASH: from here on the peer may come to hold all of it, which is recorded before a worker can begin. */
static int hand_over(struct delta *delta, const struct reply *reply, struct failure *f)
{
	int rc;

	choose_compare(delta, reply);
	free(steal_ptr(delta->plan));
	rc = reply_connections(reply, delta->connections, &delta->nr_connections, f);
	if (!rc)
		rc = send_plan(&delta->vm->r, delta->infos, delta->all, delta->compare,
			       delta->vm->guessed, delta->daemon->config.send_rate, &delta->plan, f);
	if (!rc)
		rc = note_handover(delta, &reply->base, f);
	if (rc)
		return rc;
	delta->handed_over = true;
	if (delta->nr_connections == 1)
		return start_worker(delta, f);
	job_set_status(delta->job, "making %u more connections", delta->nr_connections - 1);
	return join_start(delta->vm, delta->conn, &reply->token, delta->nr_connections, on_joined, delta,
			  &delta->join, f);
}

/* It knows of one connection only, and has done nothing but say no. */
static bool wants_one(const struct delta *delta, const struct reply *reply)
{
	return delta->connections > 1 && !reply->connections && reply->code >= CODE_FAILED;
}

static void offer(struct delta *delta);

static void on_reply(void *context, int error, const struct failure *why, const char *text)
{
	struct delta *delta = context;
	struct failure failure;
	struct reply reply;
	int rc = error;

	if (error)
		failure = *why;
	else
		rc = reply_decode(text, &reply, &failure);
	if (!rc)
		vm_note_peer(delta->vm, &reply);
	if (!rc && reply.code == CODE_COMPLETED && uuid_equal(&reply.base, &delta->vm->r.epoch)) {
		succeed(delta); /* its acknowledgement was lost */
		return;
	}
	if (!rc && wants_one(delta, &reply)) {
		delta->connections = 1;
		offer(delta);
		return;
	}
	delta->peer_busy = !rc && reply.busy;
	delta->stale = !rc && reply.resync;
	if (!rc && reply.code != CODE_JOB_STARTED)
		rc = failure_set(&failure, (enum code)reply.code, -EREMOTEIO,
				 "Peer %s refuses the delta: %.400s", delta->vm->r.peer,
				 reply.text);
	if (!rc)
		rc = hand_over(delta, &reply, &failure);
	if (rc)
		fail(delta, &failure);
}

/* --- the beginning --- */

static int freeze(struct delta *delta, struct failure *f)
{
	struct relationship_record next = delta->vm->r;
	int rc;

	rc = trackers_check_unfrozen(&delta->vm->r, delta->infos, f);
	if (rc)
		return rc;
	rc = uuid_new(&next.epoch);
	if (rc)
		return failure_set(f, CODE_FAILED, rc, "Cannot make a UUID: %s.", strerror(-rc));
	next.epoch_durable = false;
	rc = vm_copy_disks(delta->vm, &next.disks, f);
	if (rc)
		return rc;
	trackers_note(next.disks, next.nr_disks, delta->infos, delta->all);
	rc = vm_change(delta->vm, &next, f);
	if (rc) {
		free(next.disks);
		return rc;
	}
	rc = trackers_freeze(&delta->vm->r, &delta->vm->r.epoch, delta->infos, f);
	/* One may have been started anew, with an empty map, since the checks. */
	return rc ? rc : trackers_check(&delta->vm->r, delta->infos, delta->all, f);
}

static void describe_delta(const struct delta *delta, struct call *call)
{
	const struct relationship_record *r = &delta->vm->r;

	call->full = delta->full;
	call->instant = has_stores(delta);
	for (size_t i = 0; i < call->nr_disks; i++) {
		call->disks[i].all = delta->all[i];
		call->instant &= !delta->all[i];
		call->bytes += delta->all[i] ? r->disks[i].size_bytes :
					       trackers_frozen_bytes(&delta->infos[i]);
	}
	if (delta->full)
		memset(&call->base, 0, sizeof(call->base));
}

static int call_receive(struct delta *delta, struct failure *f)
{
	cleanup_free char *text = NULL;
	struct call call;

	call_of_relationship(CALL_RECEIVE, &delta->vm->r, &call);
	describe_delta(delta, &call);
	call.connections = delta->connections;
	call.history = vm_history(delta->vm);
	text = call_encode(&call);
	if (!text)
		return failure_no_memory(f);
	return conn_call(delta->conn, text, peer_timeout_us(delta->daemon), on_reply, delta, f);
}

static void offer(struct delta *delta)
{
	struct failure why;

	if (call_receive(delta, &why))
		fail(delta, &why);
	else
		job_set_status(delta->job, "waiting for the peer to open its disks");
}

/* The connection is there, and idle. */
static void on_way_free(void *context, int error, const struct failure *why, const char *text)
{
	struct delta *delta = context;
	struct failure failure;

	(void)text;
	if (error)
		failure = *why; /* the connection goes */
	definition_send_free_at(&delta->definition);
	if (error)
		fail(delta, &failure);
	else
		offer(delta);
}

/* What the peer's maps say is dirty here by now. */
static void begin(struct delta *delta)
{
	struct failure why;
	int rc = freeze(delta, &why);

	delta->stale = rc == -ENODATA;
	if (rc)
		fail(delta, &why);
	else if (definition_send_start(delta->vm, delta->conn, on_way_free, delta, &delta->definition))
		job_set_status(delta->job, "sending the VM's definition");
	else
		offer(delta);
}

static int on_time_to_go_on(sd_event_source *source, uint64_t usec, void *context)
{
	struct delta *delta = context;
	struct daemon *d = delta->daemon;
	struct failure why;

	(void)usec;
	if (!schedule_has_room(d)) {
		(void)sd_event_source_set_time_relative(source, d->config.second_ms * 1000);
		(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
		return 0;
	}
	delta->job->pausing = false;
	images_remove(&delta->vm->r); /* the worker that read from them is gone */
	job_set_status(delta->job, "connecting to %s", delta->vm->r.peer);
	if (peer_connect(d, delta->vm->r.peer, on_way_free, delta, &delta->conn, &why))
		fail(delta, &why);
	return 0;
}

static void on_imported(void *context, int error, const struct failure *why)
{
	struct delta *delta = context;
	struct failure copy;

	map_import_free_at(&delta->import);
	if (!error) {
		begin(delta);
		return;
	}
	delta->stale = error == -ENODATA;
	copy = *why;
	fail(delta, &copy);
}

static void on_connected(void *context, int error, const struct failure *why, const char *text)
{
	struct delta *delta = context;
	struct failure failure;

	(void)text;
	if (error) {
		failure = *why;
		fail(delta, &failure);
	} else if (!map_import_needed(delta->vm)) {
		begin(delta);
	} else {
		job_set_status(delta->job, "taking over the peer's map");
		if (map_import_start(delta->vm, delta->conn, on_imported, delta, &delta->import,
				     &failure))
			fail(delta, &failure);
	}
}

static void connect_peer(struct delta *delta)
{
	struct failure why;

	job_set_status(delta->job, "connecting to %s", delta->vm->r.peer);
	if (peer_connect(delta->daemon, delta->vm->r.peer, on_connected, delta, &delta->conn, &why))
		fail(delta, &why);
}

/* Nothing has the disks open that are to be sent for the last time. */
static void connect_if_closed(struct delta *delta)
{
	struct failure why;

	if (trackers_check_closed(&delta->vm->r, &why))
		fail(delta, &why);
	else
		connect_peer(delta);
}

static void fail_to_stop(struct delta *delta, const struct failure *why)
{
	delta->vm_runs = true;
	fail(delta, why);
}

static void on_vm_stopped(void *context, const struct failure *why)
{
	struct delta *delta = context;
	struct failure copy;

	if (why)
		copy = *why;
	vm_control_free_at(&delta->stopping);
	if (why)
		fail_to_stop(delta, &copy);
	else
		connect_if_closed(delta);
}

static void stop_vm(struct delta *delta)
{
	struct failure why;
	int rc = vm_control_stop(delta->vm, on_vm_stopped, delta, &delta->stopping, &why);

	if (rc < 0)
		fail_to_stop(delta, &why);
	else if (rc)
		connect_if_closed(delta);
	else
		job_set_status(delta->job, "shutting the VM down");
}

/* Before the workers run, the end is near anyway: the calls have a time-out. */
static void on_cancel(void *context)
{
	struct delta *delta = context;
	struct failure why;

	if (delta->worker) {
		worker_terminate(delta->worker);
		return;
	}
	(void)failure_set(&why, CODE_FAILED, -ECANCELED, "Terminated on request.");
	fail(delta, &why);
}

static enum relationship_event event_of_type(enum job_type type)
{
	switch (type) {
	case JOB_PREPARE:
		return EVENT_PREPARED;
	case JOB_RESYNCHRONIZE:
		return EVENT_RESYNCHRONIZE;
	case JOB_SEND_INITIAL:
		return EVENT_START;
	default:
		return EVENT_RESUME;
	}
}

static bool begins_anew(enum job_type type)
{
	return type == JOB_RESYNCHRONIZE || type == JOB_SEND_INITIAL;
}

static void choose_all(struct delta *delta, enum job_type type)
{
	const struct vm *vm = delta->vm;

	delta->full = true;
	for (size_t i = 0; i < vm->r.nr_disks; i++) {
		enum disk_send send = vm->r.disks[i].send;

		delta->all[i] = begins_anew(type) || send == SEND_ALL ||
				(vm_sends_all(vm) && send == SEND_USUAL);
		delta->full &= delta->all[i];
	}
}

static int check(struct delta *delta, enum job_type type, struct failure *f)
{
	struct vm *vm = delta->vm;
	struct relationship_record next = vm->r;
	int rc;

	rc = vm_apply_event(vm, event_of_type(type), &next, f);
	if (!rc && vm->r.ceded && vm->r.state == STATE_CRITICAL)
		rc = failure_set(f, CODE_INVALID_STATE, -EBADE,
				 "VM %.64s has yielded to its peer: reverse it there, or, if it was reverted "
				 "there, `failback resume %.64s` here.",
				 vm->r.name, vm->r.name);
	else if (!rc && vm->r.ceded)
		rc = failure_set(f, CODE_INVALID_STATE, -EBADE,
				 "VM %.64s was given to its peer, which may have failed it over: reverse "
				 "it there, or `failback resume %.64s` here asks whether it goes on.",
				 vm->r.name, vm->r.name);
	if (!rc)
		rc = vm_check_idle(vm, f);
	if (!rc)
		rc = delta_settle(vm, f);
	if (!rc)
		rc = trackers_get(&vm->r, delta->infos, f);
	choose_all(delta, type);
	if (!rc)
		rc = trackers_check(&vm->r, delta->infos, delta->all, f);
	/* Else it is stopped first. */
	if (!rc && type == JOB_PREPARE && !vm_control_can_tell(vm))
		rc = trackers_check_closed(&vm->r, f);
	return rc;
}

/* CRASH: before a tracker is noted that does not reach back to the base. */
static int begin_sending_all(struct vm *vm, enum job_type type, struct failure *f)
{
	struct relationship_record next = vm->r;
	int rc;

	if (!begins_anew(type))
		return 0;
	rc = vm_apply_event(vm, event_of_type(type), &next, f);
	return rc ? rc : vm_change_send(vm, &next, SEND_ALL, f);
}

struct job *delta_start(struct vm *vm, enum job_type type, struct failure *f)
{
	_cleanup_(delta_free_at) struct delta *delta = calloc(1, sizeof(*delta));
	struct failure why;
	struct job *job;
	int rc;

	if (delta) {
		delta->infos = calloc(vm->r.nr_disks, sizeof(*delta->infos));
		delta->all = calloc(max_of(vm->r.nr_disks, (size_t)1), sizeof(*delta->all));
		delta->compare = calloc(max_of(vm->r.nr_disks, (size_t)1), sizeof(*delta->compare));
	}
	if (!delta || !delta->infos || !delta->all || !delta->compare) {
		(void)failure_no_memory(f);
		return NULL;
	}
	delta->daemon = vm->daemon;
	delta->vm = vm;
	delta->connections = vm->daemon->config.connections;
	rc = check(delta, type, &why);
	if (rc) {
		if (rc == -ENODATA)
			delta_note_stale(vm, &why);
		(void)failure_set(f, (enum code)why.code, -EINVAL, "%s", why.text);
		return NULL;
	}
	if (begin_sending_all(vm, type, f))
		return NULL;
	job = job_start(vm, type, f);
	if (!job)
		return NULL;
	job->operation = delta;
	job->cancel = on_cancel;
	delta->job = job;
	if (type == JOB_PREPARE)
		stop_vm(steal_ptr(delta));
	else
		connect_peer(steal_ptr(delta));
	return job;
}
