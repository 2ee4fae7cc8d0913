// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/job.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/macro.h"
#include "base/realtime.h"
#include "daemon/objects.h"
#include "daemon/vm.h"

/*
 * Refusals make jobs too, and anyone may be refused: beyond this many ended jobs the oldest refusal
 * goes early, and only then the oldest job that ran.
 */
#define ENDED_MAX   512
#define ANNOUNCE_NS (NS_PER_S / 4)

static const struct {
	unsigned int type;
	const char *name;
} type_names[] = {
	{ JOB_CREATE, "creating a relationship" },
	{ JOB_MODIFY, "changing settings" },
	{ JOB_REMOVE, "removing a relationship" },
	{ JOB_START, "starting the initial replication" },
	{ JOB_STATE_CHANGE, "changing the replication state" },
	{ JOB_FAILOVER, "failing over" },
	{ JOB_REVERT, "reverting a failover" },
	{ JOB_COMMIT, "committing a failover" },
	{ JOB_PREPARE, "preparing a planned failover" },
	{ JOB_CANCEL_PREPARED, "cancelling a planned failover" },
	{ JOB_REVERSE, "reversing the replication" },
	{ JOB_SEND, "sending a delta" },
	{ JOB_RECEIVE, "receiving a delta" },
	{ JOB_RESYNCHRONIZE, "resynchronising" },
	{ JOB_STATISTICS, "reading statistics" },
	{ JOB_TEST_CONNECTION, "testing the connection" },
	{ JOB_SEND_INITIAL, "sending the initial replica" },
	{ JOB_TEST_READINESS, "testing the readiness" },
	{ JOB_PLAN_REVERSE, "planning a reverse" },
};

static const char *const state_names[] = {
	[JOB_NEW] = "new",
	[JOB_STARTING] = "starting",
	[JOB_RUNNING] = "running",
	[JOB_SUSPENDED] = "suspended",
	[JOB_SHUTTING_DOWN] = "shutting down",
	[JOB_COMPLETED] = "completed",
	[JOB_TERMINATED] = "terminated",
	[JOB_KILLED] = "killed",
	[JOB_EXCEPTION] = "failed",
};

const char *job_type_name(unsigned int type)
{
	for (size_t i = 0; i < ARRAY_SIZE(type_names); i++) {
		if (type_names[i].type == type)
			return type_names[i].name;
	}
	return "unknown";
}

const char *job_state_name(unsigned int state)
{
	return state < ARRAY_SIZE(state_names) && state_names[state] ? state_names[state]
								     : "unknown";
}

bool job_has_ended(const struct job *job)
{
	return job->r.ended_us != 0;
}

uint64_t job_elapsed_us(const struct job *job)
{
	return ((job_has_ended(job) ? job->ended_ns : clock_ns()) - job->started_ns) / 1000;
}

struct job *job_find(struct daemon *d, const struct uuid *id)
{
	for (struct job *job = d->jobs; job; job = job->next) {
		if (uuid_equal(&job->r.id, id))
			return job;
	}
	return NULL;
}

/* --- the list --- */

static void job_free(struct job *job)
{
	(void)sd_event_source_disable_unref(job->removal);
	(void)sd_event_source_disable_unref(job->begin_source);
	free(job->result);
	free(job);
}

static void job_remove(struct job *job)
{
	struct daemon *d = job->daemon;
	struct job **at = &d->jobs;

	job_object_removed(job);
	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	d->nr_ended--;
	job_free(job);
}

/* The one that ended first: a long job is still looked at when it ends, however many came since. */
static void remove_one_ended(struct daemon *d)
{
	struct job *oldest = NULL;

	for (struct job *job = d->jobs; job; job = job->next) {
		if (!job_has_ended(job))
			continue;
		if (!oldest || job->refused > oldest->refused ||
		    (job->refused == oldest->refused && job->ended_ns <= oldest->ended_ns))
			oldest = job;
	}
	if (oldest)
		job_remove(oldest);
}

static int on_removal(sd_event_source *source, uint64_t usec, void *context)
{
	(void)source;
	(void)usec;
	job_remove(context);
	return 0;
}

void job_free_all(struct daemon *d)
{
	while (d->jobs) {
		struct job *job = d->jobs;

		d->jobs = job->next;
		job_free(job);
	}
}

static struct job *job_new(struct daemon *d, struct vm *vm, enum job_type type, struct failure *f)
{
	cleanup_free struct job *job = calloc(1, sizeof(*job));
	int rc = job ? uuid_new(&job->r.id) : -ENOMEM;

	if (rc) {
		(void)failure_set(f, code_of_errno(rc), rc, "Cannot make a job: %s.",
				  strerror(-rc));
		return NULL;
	}
	job->daemon = d;
	job->vm = vm;
	if (vm)
		job->r.vm = vm->r.vm;
	job->r.type = type;
	job->r.state = JOB_RUNNING;
	job->r.started_us = realtime_us();
	job->started_ns = clock_ns();
	progress_begin(&job->progress, job->started_ns);
	return steal_ptr(job);
}

static void enlist(struct job *job)
{
	job->next = job->daemon->jobs;
	job->daemon->jobs = job;
	job_object_added(job);
}

/* --- ending --- */

/* Ended jobs go after their time; without a timer, when there are too many of them. */
static void settle(struct job *job, unsigned int state, const struct failure *why)
{
	struct daemon *d = job->daemon;

	job->r.state = state;
	job->r.ended_us = realtime_us();
	job->ended_ns = clock_ns();
	if (why) {
		job->r.code = why->code;
		(void)snprintf(job->r.text, sizeof(job->r.text), "%s", why->text);
	}
	(void)snprintf(job->status, sizeof(job->status), "%s", job_state_name(state));
	(void)sd_event_add_time_relative(d->event, &job->removal, CLOCK_MONOTONIC,
					 d->config.job_retention * 1000000, 0, on_removal, job);
	d->nr_ended++;
}

static void record(struct job *job)
{
	struct failure why;

	job->r.bytes_total = job->progress.bytes_total;
	job->r.bytes_done = job->progress.bytes_done;
	job->r.bytes_sent = job->progress.bytes_sent;
	if (store_put_job(job->daemon->store, &job->r, &why))
		log_error("The history lacks the end of a job: %s", why.text);
}

static void trim(struct daemon *d)
{
	while (d->nr_ended > ENDED_MAX)
		remove_one_ended(d);
}

static int on_begin(sd_event_source *source, void *context)
{
	struct job *job = context;

	(void)source;
	job->begin_source = sd_event_source_unref(job->begin_source);
	job->terminating |= job->daemon->stopping;
	if (job->terminating)
		job->cancel(job->operation);
	else
		job->begin(job->operation);
	return 0;
}

/* Whose operation is being ended still has a word to say: in the next turn. */
static void leave(struct job *job)
{
	struct vm *vm = job->vm;

	if (vm->next_job == job)
		vm->next_job = NULL;
	if (vm->job != job)
		return;
	vm->job = steal_ptr(vm->next_job);
	if (vm->job)
		(void)sd_event_add_defer(job->daemon->event, &vm->job->begin_source, on_begin,
					 vm->job);
}

void job_end(struct job *job, const struct failure *why)
{
	const char *name = job->vm ? job->vm->r.name : "?";

	if (job->vm)
		leave(job);
	job->begin_source = sd_event_source_disable_unref(job->begin_source);
	job->cancel = NULL;
	settle(job, !why ? JOB_COMPLETED : job->terminating ? JOB_TERMINATED : JOB_EXCEPTION, why);
	record(job);
	if (why)
		log_error("VM %s: %s failed (%u, %s): %s", name, job_type_name(job->r.type),
			  why->code, code_name(why->code), why->text);
	else if (job->vm)
		log_info("VM %s: %s completed", name, job_type_name(job->r.type));
	job_object_changed(job);
	service_object_job_removed(job);
	trim(job->daemon);
}

/* --- starting --- */

static struct job *start(struct vm *vm, enum job_type type, struct failure *f)
{
	struct job *job;

	if (vm->daemon->stopping) {
		(void)failure_set(f, CODE_NOT_AVAILABLE, -ESHUTDOWN,
				  "failbackd is being stopped; repeat this when it runs again.");
		return NULL;
	}
	job = job_new(vm->daemon, vm, type, f);
	if (!job)
		return NULL;
	if (store_put_job(vm->daemon->store, &job->r, f)) {
		job_free(job);
		return NULL;
	}
	enlist(job);
	return job;
}

struct job *job_start(struct vm *vm, enum job_type type, struct failure *f)
{
	struct job *job = start(vm, type, f);

	if (job)
		vm->job = job;
	return job;
}

struct job *job_start_behind(struct vm *vm, enum job_type type, void (*begin)(void *operation),
			     struct failure *f)
{
	struct job *job = start(vm, type, f);

	if (!job)
		return NULL;
	job->begin = begin;
	vm->next_job = job;
	return job;
}

struct job *job_refuse(struct daemon *d, struct vm *vm, enum job_type type,
		       const struct failure *why)
{
	struct job *job = job_new(d, vm, type, NULL);

	if (!job)
		return NULL;
	job->refused = true;
	settle(job, JOB_EXCEPTION, why);
	/* ORDER: the only refusal would be the first to go, and the caller is to name it. */
	trim(d);
	enlist(job);
	return job;
}

struct job *job_succeed(struct vm *vm, enum job_type type, struct failure *f)
{
	struct job *job = job_new(vm->daemon, vm, type, f);

	if (!job)
		return NULL;
	settle(job, JOB_COMPLETED, NULL);
	record(job);
	trim(vm->daemon); /* ORDER: as in job_refuse() */
	enlist(job);
	return job;
}

/* --- running --- */

void job_set_status(struct job *job, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(job->status, sizeof(job->status), fmt, ap);
	va_end(ap);
	job_object_changed(job);
}

void job_set_follow_up(struct job *job, const struct job *next)
{
	job->follow_up = next->r.id;
	job_object_changed(job);
}

void job_set_channel(struct job *job, const char *what, const char *protection, unsigned int nr)
{
	if (nr == 1)
		(void)snprintf(job->channel, sizeof(job->channel), "%s", protection);
	else
		(void)snprintf(job->channel, sizeof(job->channel), "%s, %u connections", protection, nr);
	job_set_status(job, "%s (%s)", what, job->channel);
}

void job_begin_phase(struct job *job, const char *what, uint64_t bytes_total)
{
	job->sent_before = job->progress.bytes_sent;
	progress_begin(&job->progress, clock_ns());
	job->progress.bytes_total = bytes_total;
	job->progress.bytes_sent = job->sent_before;
	job_set_status(job, "%s (%s)", what, job->channel);
}

void job_add_progress(struct job *job, uint64_t bytes_done, uint64_t bytes_sent)
{
	uint64_t now = clock_ns();

	progress_add(&job->progress, now, bytes_done, job->sent_before + bytes_sent);
	if (now < job->announced_ns + ANNOUNCE_NS)
		return;
	job->announced_ns = now;
	job_object_changed(job);
}
