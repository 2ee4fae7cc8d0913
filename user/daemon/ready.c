// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/ready.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/objects.h"
#include "daemon/readiness.h"
#include "daemon/talk.h"
#include "daemon/trackers.h"
#include "daemon/vm_control.h"
#include "lib/json.h"

#define HYPERVISOR "hypervisor" /* the point */

#define SOONER	 10 /* times, after an answer that was no */
#define AGAIN_NS (10 * NS_PER_S) /* after one that was overtaken */

/* --- what is found, and shown --- */

struct ready {
	struct vm *vm;
	struct job *job; /* NULL: it asks by itself, and stands in nobody's way */
	struct vm_control *hypervisor; /* is asked, and then */
	struct talk *talk; /* the peer */
	struct uuid base; /* of the VM when it was asked */
	struct call_points here;
	struct call_points peer;
};

static void ready_free_at(struct ready **at)
{
	struct ready *ready = steal_ptr(*at);

	if (!ready)
		return;
	if (ready->vm->asking == ready)
		ready->vm->asking = NULL;
	vm_control_free_at(&ready->hypervisor);
	talk_free_at(&ready->talk);
	free(ready);
}

static void add_points(struct json_object *array, const char *where, const struct call_points *points)
{
	for (size_t i = 0; i < points->nr; i++) {
		const struct call_point *point = &points->list[i];
		struct json_object *item = json_object_new_object();

		json_add_text(item, "where", where);
		json_add_text(item, "name", point->name);
		(void)json_object_object_add(item, "ok", json_object_new_boolean(!point->text[0]));
		json_add_text(item, "text", point->text);
		(void)json_object_array_add(array, item);
	}
}

static char *result_of(const struct ready *ready)
{
	bool holds = !readiness_wrong(&ready->here) && !readiness_wrong(&ready->peer);
	cleanup_json struct json_object *object = json_object_new_object();
	struct json_object *array = json_object_new_array();

	json_add_uint(object, "schema", 1);
	json_add_text(object, "vm", ready->vm->r.name);
	json_add_text(object, "peer", ready->vm->r.peer);
	(void)json_object_object_add(object, "ready", json_object_new_boolean(holds));
	add_points(array, "here", &ready->here);
	add_points(array, "peer", &ready->peer);
	(void)json_object_object_add(object, "points", array);
	return json_text(object);
}

static uint64_t interval_ns(const struct vm *vm)
{
	return vm->daemon->config.ready_interval * NS_PER_S;
}

static void set_text(struct vm *vm, const char *text)
{
	if (strcmp(vm->not_ready, text) == 0)
		return;
	(void)snprintf(vm->not_ready, sizeof(vm->not_ready), "%s", text);
	if (text[0])
		log_warning("VM %s: %s", vm->r.name, text);
	relationship_object_changed(vm);
}

static void note_points(const struct ready *ready)
{
	struct vm *vm = ready->vm;
	const struct call_point *wrong = readiness_wrong(&ready->here);
	const char *where = wrong ? "" : "On the peer: ";
	struct failure text = { .text = "" };

	if (!wrong)
		wrong = readiness_wrong(&ready->peer);
	if (wrong)
		(void)failure_set(&text, CODE_INVALID_STATE, -EBADE,
				  "`failback ready %.64s`: %s%.400s", vm->r.name,
				  where, wrong->text);
	vm->ready_due_ns = clock_ns() + interval_ns(vm) / (wrong ? SOONER : 1);
	set_text(vm, text.text);
}

/* --- the caller --- */

/* A host that knows no such question is of another version: its own words are about calls. */
static const struct failure *explain_old(const struct vm *vm, const struct failure *why,
					 struct failure *old)
{
	if (why->code != CODE_NOT_SUPPORTED)
		return why;
	(void)failure_set(old, CODE_NOT_SUPPORTED, -EPROTONOSUPPORT,
			  "Peer %s runs another version of Failback, which cannot say whether it is "
			  "ready: bring both hosts to the same one.",
			  vm->r.peer);
	return old;
}

/* A delta meanwhile: what one host said before it does not go with what the other said after it. */
static bool is_overtaken(const struct ready *ready)
{
	return !ready->job && (ready->vm->job || !uuid_equal(&ready->base, &ready->vm->r.base));
}

static void on_end(void *context, const struct failure *why, const struct reply *reply, bool asked)
{
	_cleanup_(ready_free_at) struct ready *ready = context;
	struct vm *vm = ready->vm;
	struct failure old;

	(void)asked;
	if (is_overtaken(ready)) {
		vm->ready_due_ns = clock_ns() + AGAIN_NS;
		return;
	}
	call_points_add(&ready->here, "connection", why ? explain_old(vm, why, &old) : NULL);
	if (!why) {
		readiness_compare(vm, reply, &ready->here);
		ready->peer = reply->points;
	}
	note_points(ready);
	if (!ready->job)
		return;
	ready->job->result = result_of(ready);
	job_end(ready->job, NULL);
}

static const struct talk_events events = { NULL, on_end };

static void on_cancel(void *context)
{
	_cleanup_(ready_free_at) struct ready *ready = context;
	struct failure why;

	(void)failure_set(&why, CODE_FAILED, -ECANCELED, "Terminated on request.");
	job_end(ready->job, &why);
}

static uint64_t next_delta_bytes(const struct vm *vm)
{
	uint64_t bytes = 0;

	(void)trackers_dirty_bytes(&vm->r, &bytes, NULL);
	return bytes;
}

/* Takes over @ready. */
static void ask_peer(struct ready *ready)
{
	struct vm *vm = ready->vm;
	struct failure why;
	struct call call;

	call_of_relationship(CALL_READY, &vm->r, &call);
	call.bytes = next_delta_bytes(vm);
	if (talk_start(vm, vm->r.peer, &call, &events, ready, &ready->talk, &why))
		on_end(ready, &why, NULL, false);
}

static void on_hypervisor(void *context, const struct failure *why)
{
	struct ready *ready = context;

	vm_control_free_at(&ready->hypervisor);
	call_points_add(&ready->here, HYPERVISOR, why);
	ask_peer(ready);
}

/* Takes over @ready. */
static void ask(struct ready *ready)
{
	struct vm *vm = ready->vm;
	struct failure why;
	int rc;

	ready->base = vm->r.base;
	readiness_check(vm, next_delta_bytes(vm), &ready->here);
	rc = vm_control_ready(vm, on_hypervisor, ready, &ready->hypervisor, &why);
	if (rc < 0)
		on_hypervisor(ready, &why);
	else if (rc)
		ask_peer(ready);
}

struct job *ready_start(struct vm *vm, struct failure *f)
{
	_cleanup_(ready_free_at) struct ready *ready = NULL;
	struct job *job;

	if (vm_check_idle(vm, f))
		return NULL;
	ready = calloc(1, sizeof(*ready));
	if (!ready) {
		(void)failure_no_memory(f);
		return NULL;
	}
	ready->vm = vm;
	ready->job = job = job_start(vm, JOB_TEST_READINESS, f);
	if (!job)
		return NULL;
	job->operation = ready;
	job->cancel = on_cancel;
	job_set_status(job, "asking %s", vm->r.peer);
	ask(steal_ptr(ready));
	return job;
}

static void ask_by_itself(struct vm *vm)
{
	struct ready *ready = calloc(1, sizeof(*ready));

	vm->ready_due_ns = clock_ns() + interval_ns(vm);
	if (!ready)
		return; /* until then */
	ready->vm = vm;
	vm->asking = ready;
	ask(ready);
}

void ready_when_due(struct vm *vm)
{
	uint64_t now = clock_ns();

	if (!interval_ns(vm) || vm->r.unreadable)
		return;
	if (vm->r.state != STATE_REPLICATING) {
		set_text(vm, ""); /* the state itself says more */
		vm->ready_due_ns = 0;
		return;
	}
	if (!vm->ready_due_ns)
		vm->ready_due_ns = now + interval_ns(vm) / SOONER;
	if (now >= vm->ready_due_ns && !vm->job && !vm->asking)
		ask_by_itself(vm);
}

/* --- the callee --- */

struct ready_answer {
	struct vm *vm;
	struct vm_control *hypervisor; /* is asked, and then */
	struct talk *talk; /* the way back */
	struct reply reply;
	void (*done)(void *context, const struct reply *reply);
	void *context;
	struct ready_answer **owner;
};

void ready_answer_free_at(struct ready_answer **at)
{
	struct ready_answer *a = steal_ptr(*at);

	if (!a)
		return;
	a->vm->answering = NULL;
	vm_control_free_at(&a->hypervisor);
	talk_free_at(&a->talk);
	free(a);
}

/* It is gone before its end is told: the owner may ask again. */
static void answer_end(struct ready_answer *a, const struct failure *why)
{
	void (*done)(void *context, const struct reply *reply) = a->done;
	cleanup_free struct reply *reply = malloc(sizeof(*reply));
	void *context = a->context;

	call_points_add(&a->reply.points, "way back", why);
	if (reply)
		*reply = a->reply;
	ready_answer_free_at(a->owner);
	if (reply)
		done(context, reply);
}

static void on_called_back(void *context, const struct failure *why, const struct reply *reply, bool asked)
{
	(void)reply;
	(void)asked;
	answer_end(context, why);
}

static const struct talk_events back_events = { NULL, on_called_back };

static int call_back(struct ready_answer *a, struct failure *f)
{
	struct call look;

	call_of_relationship(CALL_LOOK, &a->vm->r, &look);
	return talk_start(a->vm, a->vm->r.peer, &look, &back_events, a, &a->talk, f);
}

static void on_own_hypervisor(void *context, const struct failure *why)
{
	struct ready_answer *a = context;
	struct failure cannot;

	vm_control_free_at(&a->hypervisor);
	call_points_add(&a->reply.points, HYPERVISOR, why);
	if (call_back(a, &cannot))
		answer_end(a, &cannot);
}

static int refuse(struct reply *reply, enum code code, int error, const char *text)
{
	reply->code = code;
	(void)snprintf(reply->text, sizeof(reply->text), "%s", text);
	return error;
}

int ready_answer_start(struct vm *vm, struct reply *reply,
		       void (*done)(void *context, const struct reply *reply), void *context,
		       struct ready_answer **ret)
{
	_cleanup_(ready_answer_free_at) struct ready_answer *a = NULL;
	struct failure why;
	int rc;

	if (vm->answering)
		return refuse(reply, CODE_IN_USE, -EBUSY,
			      "The question whether the VM is ready is being answered already.");
	a = calloc(1, sizeof(*a));
	if (!a)
		return refuse(reply, CODE_OUT_OF_MEMORY, -ENOMEM, "Out of memory.");
	a->vm = vm;
	a->reply = *reply;
	a->done = done;
	a->context = context;
	a->owner = ret;
	rc = vm_control_ready(vm, on_own_hypervisor, a, &a->hypervisor, &why);
	if (rc < 0)
		call_points_add(&a->reply.points, HYPERVISOR, &why);
	if (rc)
		rc = call_back(a, &why);
	if (rc) {
		call_points_add(&a->reply.points, "way back", &why);
		*reply = a->reply;
		return rc;
	}
	vm->answering = a;
	*ret = steal_ptr(a);
	return 0;
}

void ready_forget(struct vm *vm)
{
	struct failure why;

	ready_free_at(&vm->asking);
	if (!vm->answering)
		return;
	(void)failure_set(&why, CODE_INVALID_STATE, -ENOENT, "The relationship was removed.");
	answer_end(vm->answering, &why);
}
