// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Three operations ask the peer first, in one shape: look, ask in the terms of role_swap.h, take the
 * agreement, make it durable, move the fence. The others are orders of the operator.
 */
#include "daemon/takeover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/definitions.h"
#include "daemon/fence.h"
#include "daemon/journals.h"
#include "daemon/objects.h"
#include "daemon/talk.h"
#include "daemon/trackers.h"
#include "daemon/vm_control.h"

#define START_AGAIN_S 30

struct takeover {
	struct vm *vm;
	struct job *job; /* NULL: nobody waits for it */
	struct talk *talk;
	struct settling *settling; /* before it talks */
	struct vm_control *starting; /* of the VM, in the end */
	enum swap_ask ask;
	struct swap_call call;
	bool force;
};

static void takeover_free_at(struct takeover **at)
{
	struct takeover *t = steal_ptr(*at);

	if (!t)
		return;
	talk_free_at(&t->talk);
	settling_free_at(&t->settling);
	vm_control_free_at(&t->starting);
	free(t);
}

/* --- records --- */

static int explain_verdict(const struct vm *vm, enum swap_verdict verdict, const char *what,
			   struct failure *f)
{
	struct swap_host host = vm_swap_host(vm);

	return failure_set(f, CODE_INVALID_STATE, -EBADE,
			   "VM %.64s is %s here, term %llu: it cannot %s%s.", vm->r.name,
			   swap_role_name(host.role), (unsigned long long)host.term, what,
			   verdict == SWAP_STALE ? "; something changed meanwhile, repeat it" : "");
}

static bool is_same_map(const struct disk_record *a, const struct disk_record *b)
{
	return uuid_equal(&a->tracker_uuid, &b->tracker_uuid) &&
	       a->tracker_generation == b->tracker_generation;
}

/* Whose map starts at the base, which the disks hold but for it: the VM writes here from now on. */
static int note_trackers(struct vm *vm, bool force, struct relationship_record *next,
			 struct failure *f)
{
	int rc = vm_copy_disks(vm, &next->disks, f);

	if (!rc)
		rc = trackers_note_here(&vm->r, force, next->disks, f);
	if (!rc)
		trackers_end_left(&vm->r);
	/* A map that was not kept since the conversion begins elsewhere than at the base. */
	for (size_t i = 0; !rc && vm->r.state == STATE_WAITING_INITIAL && i < next->nr_disks; i++)
		next->disks[i].map_lost |= !is_same_map(&vm->r.disks[i], &next->disks[i]);
	return rc;
}

/* Nothing leads from what the disks hold now to any base. */
static int forget_trackers(struct vm *vm, struct relationship_record *next, struct failure *f)
{
	int rc = vm_copy_disks(vm, &next->disks, f);

	for (size_t i = 0; !rc && i < next->nr_disks; i++) {
		memset(&next->disks[i].tracker_uuid, 0, sizeof(next->disks[i].tracker_uuid));
		next->disks[i].tracker_generation = 0;
		next->disks[i].map_lost = false;
	}
	return rc;
}

/* As record_unconfirmed() has it. */
static bool says_held(const struct relationship_record *r)
{
	static const char begin[] = "Held since the boot, ";

	return strncmp(r->last_error, begin, sizeof(begin) - 1) == 0;
}

static unsigned int health_of(unsigned int state)
{
	switch (state) {
	case STATE_REPLICATING:
	case STATE_PREPARED:
		return HEALTH_OK;
	case STATE_CRITICAL:
	case STATE_WAITING_RESYNCHRONIZE:
		return HEALTH_CRITICAL;
	default:
		return HEALTH_WARNING;
	}
}

/* What is wrong with the replication is not mended by who may run the VM. */
static void keep_trouble(const struct vm *vm, struct relationship_record *next)
{
	if (!says_held(&vm->r))
		return;
	memcpy(next->last_error, vm->error_before_hold, sizeof(next->last_error));
	next->health = vm->health_before_hold ? vm->health_before_hold : health_of(next->state);
}

/* The event, and what the swap says, durable and in force. */
static int become(struct vm *vm, enum relationship_event event, const struct swap_host *host,
		  const struct uuid *base, bool force, struct failure *f)
{
	struct relationship_record next = vm->r;
	int rc = event == NR_EVENTS ? 0 : vm_apply_event(vm, event, &next, f);

	if (!rc && event == EVENT_FAILOVER)
		rc = note_trackers(vm, force, &next, f);
	else if (!rc && event == EVENT_REVERT_WRITTEN)
		rc = forget_trackers(vm, &next, f);
	if (rc) {
		if (next.disks != vm->r.disks)
			free(next.disks);
		return rc;
	}
	vm_put_swap(vm, host, &next);
	if (base)
		next.base = *base;
	if (event == EVENT_FAILOVER)
		next.inconsistent = false; /* it was not, or the primary proved that it holds the same */
	/* What came last is not what they hold either. */
	if (event == EVENT_REVERT_WRITTEN)
		memset(&next.epoch, 0, sizeof(next.epoch));
	if (next.mode == vm->r.mode && next.state == vm->r.state) {
		keep_trouble(vm, &next);
	} else {
		next.last_error[0] = '\0';
		next.health = health_of(next.state);
	}
	if (event == EVENT_FAILOVER)
		definition_owe(vm, &next.base);
	rc = vm_change_role(vm, &next, f);
	if (rc && next.disks != vm->r.disks)
		free(next.disks);
	return rc;
}

static int obey(struct vm *vm, enum swap_order order, enum relationship_event event,
		const struct uuid *base, struct failure *f)
{
	bool force = order == SWAP_FORCE_FAILOVER;
	struct swap_host host = vm_swap_host(vm);
	struct swap_host next;
	enum swap_verdict verdict = swap_order(&host, order, &next);

	if (verdict)
		return explain_verdict(vm, verdict,
				       event == NR_EVENTS ? "be started" : event_name(event), f);
	return become(vm, event, &next, base, force, f);
}

/* --- the end of what asks --- */

/* NR_EVENTS: the relationship stays as it is, and so may be asked in every state. */
static enum relationship_event event_of_ask(const struct vm *vm, enum swap_ask ask)
{
	struct relationship_role ignored;

	if (ask == SWAP_FAILOVER)
		return EVENT_FAILOVER;
	if (ask != SWAP_RESUME)
		return NR_EVENTS;
	/* What it agreed to while it was held after a boot left its state as it was. */
	return relationship_step(vm_role(vm), EVENT_CANCEL_PREPARED, &ignored) ? EVENT_CANCEL_PREPARED :
										 EVENT_RESUME;
}

static int take(struct takeover *t, const struct reply *reply, struct failure *f)
{
	struct swap_reply agreed = { .term = reply->host.term, .nonce = reply->nonce };
	struct swap_host host = vm_swap_host(t->vm);
	const struct uuid *base = NULL;
	enum swap_verdict verdict;
	struct swap_host next;

	verdict = swap_take(&host, &t->call, &agreed, SWAP_GUARDS_ALL, &next);
	if (verdict)
		return explain_verdict(t->vm, verdict, swap_ask_name(t->ask), f);
	/* The primary's base proves that what came last was acknowledged. */
	if (t->ask == SWAP_FAILOVER && !uuid_is_nil(&t->vm->r.epoch) &&
	    uuid_equal(&t->vm->r.epoch, &reply->base))
		base = &reply->base;
	return become(t->vm, event_of_ask(t->vm, t->ask), &next, base, t->force, f);
}

static int check_consistent(const struct vm *vm, struct failure *f)
{
	if (!vm->r.inconsistent)
		return 0;
	return failure_set(
		f, CODE_INVALID_STATE, -EBADE,
		"The disks of VM %.64s hold no instant of it: a delta stopped half-way, or they were "
		"copied while it wrote. They are no state to run from. Let the primary send a delta "
		"from images first (`failback resume %.64s` there), or prepare the failover there "
		"(`failback prepare %.64s`).",
		vm->r.name, vm->r.name, vm->r.name);
}

/* @reply: NULL: the peer is silent. */
static int check_source(const struct vm *vm, const struct reply *reply, struct failure *f)
{
	static const struct uuid nil;
	struct relationship_role peer = ROLE_NONE;

	if (reply)
		peer = (struct relationship_role){ reply->mode, reply->state };
	if (failover_has_source(vm_role(vm), &vm->r.base, peer, reply ? &reply->base : &nil))
		return 0;
	return failure_set(
		f, CODE_INVALID_STATE, -EBADE,
		"The disks of VM %.64s hold nothing to run from here: all of them is still to be sent, or "
		"was given up by a revert. If peer %s is a replica as well, fail over there (`failback "
		"failover %.64s`); if it is the primary, let it send (`failback initial %.64s`, or `resync`).",
		vm->r.name, vm->r.peer, vm->r.name, vm->r.name);
}

/* Does nobody answer? A refusal is an answer, whatever its code. */
static bool is_silent(const struct failure *why, const struct reply *reply)
{
	return (why->code == CODE_NOT_AVAILABLE || why->code == CODE_TIMEOUT) &&
	       (!reply || reply->code == CODE_COMPLETED);
}

/* No key, or one that is of no use: repeating it does not help. */
static bool is_own_identity(const struct failure *why)
{
	return why->code == CODE_FILE_NOT_FOUND || why->code == CODE_ACCESS_DENIED ||
	       why->code == CODE_INVALID_PARAMETER;
}

/* The primary is dead, says the operator; and it does not say otherwise, or cannot be asked from here. */
static bool may_force(const struct takeover *t, const struct failure *why, const struct reply *reply,
		      bool asked)
{
	return t->force && !asked && (is_silent(why, reply) || (!t->talk && is_own_identity(why)));
}

static void record_unconfirmed(struct vm *vm, const struct failure *why)
{
	struct relationship_record next = vm->r;
	struct failure held;

	if (!says_held(&vm->r)) {
		memcpy(vm->error_before_hold, vm->r.last_error, sizeof(vm->error_before_hold));
		vm->health_before_hold = vm->r.health;
	}
	(void)failure_set(&held, CODE_NOT_AVAILABLE, 0,
			  "Held since the boot, until the peer confirms that it did not take over "
			  "(`failback start --force %.64s` releases the VM): %.300s",
			  vm->r.name, why->text);
	if (strcmp(held.text, vm->r.last_error) == 0)
		return;
	memcpy(next.last_error, held.text, sizeof(next.last_error));
	next.health = HEALTH_CRITICAL;
	log_warning("VM %s: %s", vm->r.name, next.last_error);
	(void)vm_change(vm, &next, NULL);
}

/* Nobody waits for a job that could say so. What does not answer just after a boot may do so later. */
static void record_not_started(struct vm *vm, const struct failure *why)
{
	const struct host_config *config = &vm->daemon->config;

	vm->start_due_ns = 0;
	if (why->code == CODE_NOT_AVAILABLE)
		vm->start_due_ns = clock_ns() + START_AGAIN_S * config->second_ms * NS_PER_MS;
	/* While it is tried, the VM is busy: that is not to be most of the time. */
	else if (why->code == CODE_TIMEOUT)
		vm->start_due_ns = clock_ns() + 10 * config->vm_timeout * NS_PER_S;
	if (strcmp(vm->not_started, why->text) == 0)
		return;
	log_error("%s", why->text);
	(void)snprintf(vm->not_started, sizeof(vm->not_started), "%s", why->text);
	relationship_object_changed(vm);
}

static void forget_not_started(struct vm *vm)
{
	if (!vm->not_started[0])
		return;
	vm->not_started[0] = '\0';
	relationship_object_changed(vm);
}

static void finish(struct takeover *t, const struct failure *why)
{
	_cleanup_(takeover_free_at) struct takeover *owned = t;

	if (owned->job) {
		job_end(owned->job, why);
		return;
	}
	owned->vm->confirming = NULL;
	owned->vm->autostarting = false;
	if (why && vm_is_held(owned->vm))
		record_unconfirmed(owned->vm, why);
	else if (why)
		record_not_started(owned->vm, why);
	else
		forget_not_started(owned->vm);
}

static const char *since_when(const struct takeover *t)
{
	if (t->ask == SWAP_CONFIRM)
		return " was held, and";
	return t->vm->r.mode == MODE_REPLICA ? " is failed over and" : "";
}

static void on_vm_started(void *context, const struct failure *why)
{
	struct takeover *t = context;
	const char *name = t->vm->r.name;
	struct failure told;

	if (why)
		(void)failure_set(&told, (enum code)why->code, 0,
				  "VM %.64s%s may run here, but it was not started: %.280s `failback start --force %.64s` "
				  "repeats that; give it, too, when you have started the VM yourself.",
				  name, since_when(t), why->text, name);
	finish(t, why ? &told : NULL);
}

/*
 * Its device is there; who configured it wants the VM too. One that was held is started where its hypervisor should
 * have done it; a failover that was cut off is completed by the operator only, who knows what became of the VM since.
 */
static void start_vm(struct takeover *t, bool again)
{
	bool owed = definition_is_owed(t->vm);
	struct failure why;
	int rc = 1;

	if (t->ask == SWAP_FAILOVER || (t->ask == SWAP_CONFIRM && t->job && owed))
		rc = vm_control_start(t->vm, again, on_vm_started, t, &t->starting, &why);
	else if (t->ask == SWAP_CONFIRM && owed)
		rc = failure_set(&why, CODE_INVALID_STATE, -EBADE, "its failover was cut off before it was.");
	else if (t->ask == SWAP_CONFIRM)
		rc = vm_control_autostart(t->vm, on_vm_started, t, &t->starting, &why);
	t->vm->autostarting = !rc && !t->job;
	if (rc < 0)
		on_vm_started(t, &why);
	else if (rc)
		finish(t, NULL);
	else if (t->job)
		job_set_status(t->job, "starting the VM");
}

/* What the operator may decide, if he knows that the peer is dead. */
static void tell_way_without_peer(const struct takeover *t, const struct failure *why,
				  struct failure *ret)
{
	const char *name = t->vm->r.name;

	if (t->ask == SWAP_FAILOVER && !t->force)
		(void)failure_set(ret, (enum code)why->code, 0,
				  "%.380s If the primary is dead: `failback failover --force %.64s`.",
				  why->text, name);
	else if (t->ask == SWAP_RESUME)
		(void)failure_set(ret, (enum code)why->code, 0,
				  "%.300s If the peer is dead, and the VM does not run there: `failback "
				  "start --force %.64s`.",
				  why->text, name);
}

/* Who answers there is not, or not any more, the primary; its word is not for this host to guess. */
static void tell_way_without_primary(const struct takeover *t, const struct failure *why,
				     struct failure *ret)
{
	(void)failure_set(ret, (enum code)why->code, 0,
			  "%.300s If %.127s is the right address, and has lost the VM for good: stop failbackd "
			  "there, so that nobody answers, and repeat this.",
			  why->text, t->vm->r.peer);
}

static void on_end(void *context, const struct failure *why, const struct reply *reply, bool asked)
{
	struct takeover *t = context;
	struct failure failure;
	int rc;

	if (why && may_force(t, why, reply, asked)) {
		log_warning("VM %s is failed over by force: %s", t->vm->r.name, why->text);
		t->job->cancel = NULL; /* "before anything was changed" is over */
		rc = check_consistent(t->vm, &failure);
		if (!rc)
			rc = check_source(t->vm, NULL, &failure);
		if (!rc)
			rc = obey(t->vm, SWAP_FORCE_FAILOVER, EVENT_FAILOVER, NULL, &failure);
	} else if (why) {
		failure = *why;
		rc = -EREMOTEIO;
		if (is_silent(why, reply))
			tell_way_without_peer(t, why, &failure);
		else if (t->force && why->code == CODE_ACCESS_DENIED)
			tell_way_without_primary(t, why, &failure);
	} else {
		rc = take(t, reply, &failure);
	}
	if (rc) {
		finish(t, &failure);
		return;
	}
	if (t->ask == SWAP_CONFIRM)
		log_notice("VM %s: the peer confirms that it may run here", t->vm->r.name);
	start_vm(t, false);
}

/* --- the question --- */

/* Has nothing been written there since the delta that is here: do both hold the same? */
static bool is_same(const struct relationship_record *r, const struct reply *reply)
{
	bool same = reply->mode == MODE_PRIMARY && reply->state == STATE_PREPARED &&
		    reply->nr_disks == r->nr_disks &&
		    base_is_covered(&r->base, &r->epoch, &reply->base, NULL, 0);

	for (size_t i = 0; same && i < reply->nr_disks; i++)
		same = reply->disks[i].map_reaches_back && !reply->disks[i].dirty_bytes;
	return same;
}

/* A failover needs more than a free term: the last delta, or the operator's will to lose it. */
static int check_failover(const struct takeover *t, const struct reply *reply, struct failure *f)
{
	const struct relationship_record *r = &t->vm->r;
	bool is_primary = reply->mode == MODE_PRIMARY;
	int rc = check_source(t->vm, reply, f);

	if (rc)
		return rc;
	rc = is_same(r, reply) ? 0 : check_consistent(t->vm, f);
	if (reply->host.facing)
		return failure_set(
			f, CODE_INVALID_STATE, -EBADE,
			"The VM may run on peer %s, which is %s in state %u (%s): shut it down and "
			"prepare the failover there (`failback prepare %.64s`).",
			r->peer, mode_name(reply->mode), reply->state, state_name(reply->state),
			r->name);
	if (rc || t->force || !is_primary)
		return rc;
	if (reply->state != STATE_PREPARED)
		return failure_set(
			f, CODE_INVALID_STATE, -EBADE,
			"Peer %s is Primary in state %u (%s), a planned failover needs state 4: "
			"`failback prepare %.64s` there, or `failback failover --force %.64s` here "
			"to go on without its last writes.",
			r->peer, reply->state, state_name(reply->state), r->name, r->name);
	if (!base_is_covered(&r->base, &r->epoch, &reply->base, NULL, 0))
		return failure_set(f, CODE_INVALID_STATE, -ESTALE,
				   "The last delta of peer %s is not here: `failback resume %.64s` "
				   "and `failback prepare %.64s` there, or --force here.",
				   r->peer, r->name, r->name);
	return 0;
}

static int on_looked(void *context, const struct reply *reply, struct call *ret, struct failure *f)
{
	struct takeover *t = context;
	struct swap_host host = vm_swap_host(t->vm);
	enum swap_verdict verdict;
	int rc = t->ask == SWAP_FAILOVER ? check_failover(t, reply, f) : 0;

	if (rc)
		return rc;
	verdict = swap_ask(&host, t->ask, &reply->host, &t->call);
	if (verdict)
		return explain_verdict(t->vm, verdict, swap_ask_name(t->ask), f);
	rc = talk_nonce(&t->call.nonce, f);
	if (rc)
		return rc;
	call_of_relationship(call_of_ask(t->ask), &t->vm->r, ret);
	ret->swap = t->call;
	if (t->job) {
		t->job->cancel = NULL; /* the peer may have agreed already */
		job_set_status(t->job, "waiting for the peer's word");
	}
	return 0;
}

static const struct talk_events talk_events = { on_looked, on_end };

static void on_cancel(void *context)
{
	struct failure why;

	(void)failure_set(&why, CODE_FAILED, -ECANCELED,
			  "Terminated on request, before anything was changed.");
	finish(context, &why);
}

static int start_talk(struct takeover *t, struct failure *f)
{
	struct call look;

	call_of_relationship(CALL_LOOK, &t->vm->r, &look);
	return talk_start(t->vm, t->vm->r.peer, &look, &talk_events, t, &t->talk, f);
}

static struct takeover *takeover_new(struct vm *vm, enum swap_ask ask, bool force,
				     struct failure *f)
{
	struct takeover *t = calloc(1, sizeof(*t));

	if (!t) {
		(void)failure_no_memory(f);
		return NULL;
	}
	t->vm = vm;
	t->ask = ask;
	t->force = force;
	return t;
}

static void begin_talk(struct takeover *t)
{
	struct failure why;

	t->job->cancel = on_cancel;
	job_set_status(t->job, "connecting to %s", t->vm->r.peer);
	if (start_talk(t, &why))
		on_end(t, &why, NULL, false);
}

static void on_settled(void *context, const struct failure *why)
{
	struct takeover *t = context;
	struct failure copy;

	if (!why) {
		begin_talk(t);
		return;
	}
	copy = *why; /* its worker goes with the operation */
	finish(t, &copy);
}

static void on_cancel_settling(void *context)
{
	struct takeover *t = context;

	settling_terminate(t->settling);
}

/* What a journal holds belongs to the disks that the VM is to run from. */
static void begin(void *context)
{
	struct takeover *t = context;

	struct relationship_record ignored = t->vm->r;
	struct failure why;

	/* It may have had to wait. */
	if (vm_apply_event(t->vm, event_of_ask(t->vm, t->ask), &ignored, &why)) {
		finish(t, &why);
		return;
	}
	if (t->ask != SWAP_FAILOVER || !t->vm->r.journal[0]) {
		begin_talk(t);
		return;
	}
	t->job->cancel = on_cancel_settling;
	job_set_status(t->job, "settling the journal");
	if (journal_settle(t->vm, on_settled, t, &t->settling, &why))
		finish(t, &why);
}

static struct job *start_asking(struct vm *vm, enum job_type type, enum swap_ask ask, bool force,
				struct failure *f)
{
	_cleanup_(takeover_free_at) struct takeover *t = takeover_new(vm, ask, force, f);
	struct job *job;

	if (!t)
		return NULL;
	t->job = job = vm->job ? job_start_behind(vm, type, begin, f) : job_start(vm, type, f);
	if (!job)
		return NULL;
	job->operation = t;
	if (vm->job == job) {
		begin(steal_ptr(t));
		return job;
	}
	job->cancel = on_cancel;
	job_set_status(job, "waiting until the journal is applied");
	(void)steal_ptr(t);
	return job;
}

static int check(struct vm *vm, enum relationship_event event, struct failure *f)
{
	struct relationship_record ignored = vm->r;
	int rc = vm_apply_event(vm, event, &ignored, f);

	return rc ? rc : vm_check_idle(vm, f);
}

struct job *takeover_failover(struct vm *vm, bool force, struct failure *f)
{
	struct relationship_record ignored = vm->r;
	int rc = vm_apply_event(vm, EVENT_FAILOVER, &ignored, f);
	cleanup_free struct disk_record *disks = NULL;

	/* What is being applied ends by itself, and belongs to the disks that the VM is to run from. */
	if (!rc && !(vm->job && vm->job->applying && !vm->next_job))
		rc = vm_check_idle(vm, f);
	if (!rc)
		rc = vm_copy_disks(vm, &disks, f);
	if (!rc)
		rc = trackers_note_here(&vm->r, force, disks, f);
	return rc ? NULL : start_asking(vm, JOB_FAILOVER, SWAP_FAILOVER, force, f);
}

struct job *takeover_cancel(struct vm *vm, struct failure *f)
{
	if (check(vm, event_of_ask(vm, SWAP_RESUME), f))
		return NULL;
	return start_asking(vm, JOB_CANCEL_PREPARED, SWAP_RESUME, false, f);
}

void takeover_confirm(struct vm *vm)
{
	_cleanup_(takeover_free_at) struct takeover *t = NULL;
	struct failure why;

	if (!vm_is_held(vm) || vm->confirming || vm->job)
		return;
	t = takeover_new(vm, SWAP_CONFIRM, false, &why);
	if (!t)
		return;
	if (start_talk(t, &why)) {
		record_unconfirmed(vm, &why);
		return;
	}
	vm->confirming = steal_ptr(t);
}

void takeover_autostart(struct vm *vm)
{
	struct failure why;

	if (vm->confirming)
		return;
	vm->confirming = takeover_new(vm, SWAP_CONFIRM, false, &why);
	if (vm->confirming)
		start_vm(vm->confirming, false);
	else
		log_error("VM %s may run here: %s", vm->r.name, why.text);
}

void takeover_forget(struct vm *vm)
{
	vm->autostarting = false;
	takeover_free_at(&vm->confirming);
}

/* --- orders --- */

/* Do the disks hold anything but the base? Without a map that reaches back to it nobody knows. */
static bool is_written(const struct vm *vm)
{
	uint64_t bytes;

	return trackers_written_bytes(&vm->r, &bytes) || bytes;
}

struct job *takeover_revert(struct vm *vm, struct failure *f)
{
	static const struct uuid nil;
	int rc = check(vm, EVENT_REVERT, f);
	bool written;

	if (rc)
		return NULL;
	/* The fence first: what is written after it was looked at would be missed. */
	rc = fence_raise(&vm->r, f);
	if (rc)
		return NULL;
	written = is_written(vm);
	rc = obey(vm, SWAP_REVERT, written ? EVENT_REVERT_WRITTEN : EVENT_REVERT,
		  written ? &nil : NULL, f);
	if (rc) {
		vm_sync_fence(vm);
		return NULL;
	}
	return job_succeed(vm, JOB_REVERT, f);
}

struct job *takeover_commit(struct vm *vm, struct failure *f)
{
	struct relationship_record next = vm->r;

	if (check(vm, EVENT_COMMIT, f) || vm_apply_event(vm, EVENT_COMMIT, &next, f) ||
	    vm_change(vm, &next, f))
		return NULL;
	return job_succeed(vm, JOB_COMMIT, f);
}

struct job *takeover_yield(struct vm *vm, struct failure *f)
{
	if (check(vm, EVENT_YIELD, f))
		return NULL;
	if (vm_swap_host(vm).role == SWAP_CEDED)
		return job_succeed(vm, JOB_STATE_CHANGE, f);
	if (obey(vm, SWAP_CEDE, EVENT_YIELD, NULL, f))
		return NULL;
	return job_succeed(vm, JOB_STATE_CHANGE, f);
}

/* A ceded primary that was neither prepared nor has yielded goes on in the state that it has. */
static enum relationship_event event_of_start(const struct vm *vm)
{
	struct relationship_role ignored;

	return vm_swap_host(vm).role == SWAP_CEDED &&
			       relationship_step(vm_role(vm), EVENT_CANCEL_PREPARED, &ignored) ?
		       EVENT_CANCEL_PREPARED :
		       NR_EVENTS;
}

/* Of one that is released: @ask is SWAP_CONFIRM. Else what a failover has left to do. */
static struct job *start_job(struct vm *vm, enum swap_ask ask, struct failure *f)
{
	_cleanup_(takeover_free_at) struct takeover *t = takeover_new(vm, ask, true, f);
	struct job *job = t ? job_start(vm, JOB_STATE_CHANGE, f) : NULL;

	if (!job)
		return NULL;
	t->job = job;
	job->operation = t;
	start_vm(steal_ptr(t), true);
	return job;
}

int takeover_release(struct vm *vm, struct failure *f)
{
	enum relationship_event event = event_of_start(vm);
	int rc = vm_check_idle(vm, f);

	if (!rc)
		rc = obey(vm, SWAP_FORCE_START, event, NULL, f);
	if (rc)
		return rc;
	takeover_forget(vm); /* nobody has to agree any more */
	log_warning("VM %s was released by force", vm->r.name);
	return 0;
}

struct job *takeover_start(struct vm *vm, struct failure *f)
{
	if (!vm_swap_host(vm).facing)
		return takeover_release(vm, f) ? NULL : start_job(vm, SWAP_CONFIRM, f);
	return vm_check_idle(vm, f) || fence_lower(&vm->r, f) ? NULL : start_job(vm, SWAP_FAILOVER, f);
}
