// SPDX-License-Identifier: GPL-2.0-or-later
/*
 *	caller (failed over)                 peer (prepared, held, or replica by now)
 *	  | reverse-check  ----------------->  |  role, disks, bases, maps: nothing changes
 *	  | makes the plan                     |
 *	  | reverse  ----------------------->  |  the same checks, then replica, durable
 *	  |  <-------------------------- code 0 |
 *	primary, durable                       |
 *	  | a delta, or all                    |
 *
 * CRASH: the peer's step comes first; after it and before the caller's, repeating the method finds
 * the peer a replica, and completes. See role_swap.h for why nothing else can have happened.
 *
 * A plan that is all deltas leads to (primary, 3), where what differs is in the caller's maps. Any
 * other leads to (primary, 2), with what is to be sent recorded for each disk: it is sent now, or after
 * a crash by the schedule, and until that is done the peer is in state 2: its disks are as they were
 * then, or between that and what is sent, which is no state to fail over to.
 */
#include "daemon/reverse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/macro.h"
#include "base/size.h"
#include "daemon/delta.h"
#include "daemon/reverse_plan.h"
#include "daemon/talk.h"
#include "daemon/trackers.h"
#include "daemon/vm_settings.h"
#include "lib/json.h"

struct reverse {
	struct vm *vm;
	struct job *job;
	struct talk *talk;
	bool plan_only;
	struct vm_settings settings; /* as they will be */
	struct tracker_info *infos;
	struct reverse_plan plan;
	struct swap_call call;
};

static void reverse_free_at(struct reverse **at)
{
	struct reverse *rev = steal_ptr(*at);

	if (!rev)
		return;
	talk_free_at(&rev->talk);
	vm_settings_clear(&rev->settings);
	free(rev->plan.disks);
	free(rev->infos);
	free(rev);
}

static int out_of_memory(struct failure *f)
{
	return failure_no_memory(f);
}

/* --- the plan --- */

static int make_plan(struct reverse *rev, const struct reply *peer, struct failure *f)
{
	const struct relationship_record *r = &rev->vm->r;
	cleanup_free bool *maps = calloc(r->nr_disks, sizeof(*maps));
	cleanup_free uint64_t *dirty = calloc(r->nr_disks, sizeof(*dirty));
	struct plan_facts facts = { .r = r, .map_reaches_back = maps, .dirty_bytes = dirty,
				    .peer = peer };

	if (!maps || !dirty)
		return out_of_memory(f);
	for (size_t i = 0; i < r->nr_disks; i++)
		trackers_facts(r, &r->disks[i], &maps[i], &dirty[i]);
	reverse_plan_make(&facts, &rev->plan);
	return 0;
}

static void add_bytes(struct json_object *object, const char *name, uint64_t bytes)
{
	if (bytes == PLAN_UNKNOWN)
		(void)json_object_object_add(object, name, NULL);
	else
		json_add_uint(object, name, bytes);
}

static char *plan_to_json(const struct reverse *rev)
{
	const struct reverse_plan *plan = &rev->plan;
	cleanup_json struct json_object *object = json_object_new_object();
	struct json_object *disks = json_object_new_array();

	json_add_uint(object, "schema", 1);
	json_add_uuid(object, "vm", &rev->vm->r.vm);
	json_add_text(object, "name", rev->vm->r.name);
	json_add_text(object, "peer", rev->settings.peer);
	json_add_text(object, "digest", plan->digest);
	(void)json_object_object_add(object, "needs_consent",
				     json_object_new_boolean(plan->needs_consent));
	json_add_uint(object, "cost_bytes", plan->cost_bytes);
	add_bytes(object, "lost_bytes", plan->lost_bytes);
	for (size_t i = 0; i < plan->nr_disks; i++) {
		struct json_object *item = json_object_new_object();

		json_add_text(item, "name", plan->disks[i].name);
		json_add_text(item, "method", plan_method_name(plan->disks[i].method));
		json_add_text(item, "reason", plan_reason_code(plan->disks[i].reason));
		json_add_text(item, "text", plan_reason_text(plan->disks[i].reason));
		json_add_uint(item, "cost_bytes", plan->disks[i].cost_bytes);
		add_bytes(item, "lost_bytes", plan->disks[i].lost_bytes);
		(void)json_object_array_add(disks, item);
	}
	(void)json_object_object_add(object, "disks", disks);
	return json_text(object);
}

/* Why something is overwritten; other disks may be no loss. */
static enum plan_reason reason_of_loss(const struct reverse_plan *plan, size_t nr_disks)
{
	for (size_t i = 0; i < nr_disks; i++) {
		if (plan->disks[i].lost_bytes)
			return plan->disks[i].reason;
	}
	return plan->disks[0].reason;
}

static int check_consent(const struct reverse *rev, struct failure *f)
{
	const struct reverse_plan *plan = &rev->plan;
	char lost[SIZE_TEXT_LEN];

	if (!plan->needs_consent)
		return 0;
	if (rev->settings.consent[0] && strcmp(rev->settings.consent, plan->digest) != 0)
		return failure_set(f, CODE_INVALID_STATE, -ESTALE,
				   "The plan that was agreed to does not hold any more: look at the "
				   "new one (`failback plan %.64s`), its digest is %s.",
				   rev->vm->r.name, plan->digest);
	if (rev->settings.consent[0])
		return 0;
	return failure_set(
		f, CODE_INVALID_STATE, -EPERM,
		"The reverse would overwrite %s that only the old primary has (%s). See `failback "
		"plan %.64s`; to agree: `failback reverse --consent %s %.64s`.",
		plan->lost_bytes == PLAN_UNKNOWN ? "an unknown number of bytes" :
						   size_format(plan->lost_bytes, lost),
		plan_reason_text(reason_of_loss(plan, rev->vm->r.nr_disks)), rev->vm->r.name, plan->digest,
		rev->vm->r.name);
}

/* --- the end --- */

static void fail(struct reverse *rev, const struct failure *why)
{
	_cleanup_(reverse_free_at) struct reverse *owned = rev;

	job_end(owned->job, why);
}

/* Where the plan is not all deltas, the state says that all is sent: what is not, is said here. */
static enum disk_send send_of(enum plan_method method)
{
	switch (method) {
	case METHOD_DELTA:
		return SEND_MAP;
	case METHOD_TWO_SIDED:
		return SEND_BOTH;
	default:
		return SEND_USUAL;
	}
}

static int become_primary(struct reverse *rev, const struct reply *reply, struct failure *f)
{
	struct swap_reply agreed = { .term = reply->host.term, .nonce = reply->nonce };
	struct vm *vm = rev->vm;
	struct swap_host host = vm_swap_host(vm);
	struct relationship_record next = vm->r;
	struct swap_host to;
	int rc;

	if (swap_take(&host, &rev->call, &agreed, SWAP_GUARDS_ALL, &to))
		return failure_set(f, CODE_INVALID_STATE, -ESTALE,
				   "VM %.64s has changed here meanwhile: repeat the reverse.",
				   vm->r.name);
	rc = vm_apply_event(vm, rev->plan.planned ? EVENT_REVERSE : EVENT_REVERSE_UNPLANNED, &next,
			    f);
	if (!rc)
		rc = vm_copy_disks(vm, &next.disks, f);
	if (rc)
		return rc;
	trackers_note(next.disks, next.nr_disks, rev->infos, NULL);
	for (size_t i = 0; !rev->plan.planned && i < next.nr_disks; i++)
		next.disks[i].send = send_of(rev->plan.disks[i].method);
	vm_put_swap(vm, &to, &next);
	(void)strcpy(next.peer, rev->settings.peer);
	next.settings = rev->settings.kept;
	next.base = reply->base;
	memset(&next.epoch, 0, sizeof(next.epoch));
	next.epoch_durable = false;
	next.nr_aborted = 0;
	next.health = HEALTH_OK;
	next.last_error[0] = '\0';
	rc = vm_change_role(vm, &next, f);
	if (rc)
		free(next.disks);
	else
		rev->settings.kept = NULL; /* the record owns them now */
	return rc;
}

/* Reversed, but nothing flows: say so where the operator looks. */
static void record_idle(struct vm *vm, const struct failure *why)
{
	struct relationship_record next = vm->r;

	log_error("VM %s: no transfer was started after the reverse: %s", vm->r.name, why->text);
	next.health = HEALTH_WARNING;
	memcpy(next.last_error, why->text, sizeof(next.last_error));
	(void)vm_change(vm, &next, NULL);
}

static void succeed(struct reverse *rev)
{
	_cleanup_(reverse_free_at) struct reverse *owned = rev;
	struct vm *vm = rev->vm;
	struct job *job = rev->job;
	struct failure why;
	struct job *transfer;

	job_end(owned->job, NULL);
	transfer = delta_start(vm, JOB_SEND, &why);
	if (transfer)
		job_set_follow_up(job, transfer);
	else
		record_idle(vm, &why);
}

static void show_plan(struct reverse *rev)
{
	_cleanup_(reverse_free_at) struct reverse *owned = rev;

	owned->job->result = plan_to_json(owned);
	job_end(owned->job, NULL);
}

/* --- the conversation --- */

static int on_looked(void *context, const struct reply *reply, struct call *ret, struct failure *f)
{
	struct reverse *rev = context;
	struct swap_host host = vm_swap_host(rev->vm);
	int rc = make_plan(rev, reply, f);

	if (rc)
		return rc;
	if (rev->plan_only)
		return 1;
	rc = check_consent(rev, f);
	if (rc)
		return rc;
	if (swap_ask(&host, SWAP_REVERSE, &reply->host, &rev->call))
		return failure_set(f, CODE_INVALID_STATE, -EBADE,
				   "VM %.64s is not failed over here any more.", rev->vm->r.name);
	rc = talk_nonce(&rev->call.nonce, f);
	if (rc)
		return rc;
	call_of_relationship(CALL_REVERSE, &rev->vm->r, ret);
	ret->swap = rev->call;
	ret->convert = !rev->plan.planned;
	for (size_t i = 0; i < ret->nr_disks; i++)
		ret->disks[i].all = send_of(rev->plan.disks[i].method) == SEND_USUAL;
	rev->job->cancel = NULL; /* the peer may have agreed already */
	job_set_status(rev->job, "swapping the roles");
	return 0;
}

static void on_end(void *context, const struct failure *why, const struct reply *reply, bool asked)
{
	struct reverse *rev = context;
	struct failure failure;
	int rc = 0;

	if (why && asked)
		rc = failure_set(&failure, (enum code)why->code, -EREMOTEIO,
				 "%.380s The peer may have become the replica already: repeat the "
				 "reverse to complete it.",
				 why->text);
	else if (why)
		rc = failure_set(&failure, (enum code)why->code, -EREMOTEIO, "%s", why->text);
	else if (!rev->plan_only)
		rc = become_primary(rev, reply, &failure);
	if (rc)
		fail(rev, &failure);
	else if (rev->plan_only)
		show_plan(rev);
	else
		succeed(rev);
}

static const struct talk_events events = { on_looked, on_end };

static void on_cancel(void *context)
{
	struct failure why;

	(void)failure_set(&why, CODE_FAILED, -ECANCELED,
			  "Terminated on request, before anything was changed.");
	fail(context, &why);
}

/* --- the beginning --- */

static int check(struct reverse *rev, const char *setting_data, struct failure *f)
{
	struct vm *vm = rev->vm;
	struct relationship_record ignored = vm->r;
	int rc;

	rc = vm_settings_take(&vm->r, setting_data, &rev->settings, f);
	if (!rc)
		rc = vm_apply_event(vm, EVENT_REVERSE, &ignored, f);
	if (!rc)
		rc = vm_check_idle(vm, f);
	if (!rc)
		rc = vm_check_disks(vm, f);
	if (!rc)
		rc = trackers_get(&vm->r, rev->infos, f);
	return rc ? rc : trackers_check_sizes(&vm->r, rev->infos, f);
}

static struct reverse *reverse_new(struct vm *vm, bool plan_only, struct failure *f)
{
	_cleanup_(reverse_free_at) struct reverse *rev = calloc(1, sizeof(*rev));

	if (rev) {
		rev->vm = vm;
		rev->plan_only = plan_only;
		rev->infos = calloc(vm->r.nr_disks, sizeof(*rev->infos));
		rev->plan.disks = calloc(vm->r.nr_disks, sizeof(*rev->plan.disks));
	}
	if (!rev || !rev->infos || !rev->plan.disks) {
		(void)out_of_memory(f);
		return NULL;
	}
	return steal_ptr(rev);
}

struct job *reverse_start(struct vm *vm, const char *setting_data, bool plan_only,
			  struct failure *f)
{
	_cleanup_(reverse_free_at) struct reverse *rev = reverse_new(vm, plan_only, f);
	struct failure why;
	struct call first;
	struct job *job;

	if (!rev || check(rev, setting_data, f))
		return NULL;
	job = job_start(vm, plan_only ? JOB_PLAN_REVERSE : JOB_REVERSE, f);
	if (!job)
		return NULL;
	job->operation = rev;
	job->cancel = on_cancel;
	rev->job = job;
	job_set_status(job, "connecting to %s", rev->settings.peer);
	call_of_relationship(CALL_REVERSE_CHECK, &vm->r, &first);
	if (talk_start(vm, rev->settings.peer, &first, &events, rev, &rev->talk, &why))
		fail(steal_ptr(rev), &why);
	else
		(void)steal_ptr(rev);
	return job;
}
