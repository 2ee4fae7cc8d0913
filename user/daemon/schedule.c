// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A tick a second. A delta that fails is tried again after the interval like one that succeeds: what
 * the peer lacks then is in the map, and nothing is gained by hurry.
 */
#include "daemon/schedule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/macro.h"
#include "daemon/delta.h"
#include "daemon/job.h"
#include "daemon/ready.h"
#include "daemon/takeover.h"
#include "daemon/vm.h"
#include "daemon/vm_settings.h"
#include "daemon/watch.h"

#define GUARD_EVERY_S 2

struct schedule {
	sd_event_source *source;
};

static uint64_t second_ns(const struct daemon *d)
{
	return d->config.second_ms * NS_PER_MS;
}

size_t schedule_pick(const uint64_t *due_ns, size_t nr, uint64_t now_ns, size_t nr_running,
		     size_t max_running)
{
	size_t picked = nr;

	if (nr_running >= max_running)
		return nr;
	for (size_t i = 0; i < nr; i++) {
		if (due_ns[i] <= now_ns && (picked == nr || due_ns[i] < due_ns[picked]))
			picked = i;
	}
	return picked;
}

void schedule_later(struct vm *vm)
{
	vm->due_ns = clock_ns() + vm_interval_s(&vm->r) * second_ns(vm->daemon);
}

void schedule_now(struct vm *vm)
{
	vm->due_ns = clock_ns();
}

/* --- deltas --- */

/* Does it send deltas by itself in this state? */
static bool sends(const struct vm *vm)
{
	return vm->r.mode == MODE_PRIMARY && !vm->r.ceded && !vm_is_held(vm) &&
	       (vm->r.state == STATE_WAITING_INITIAL || vm->r.state == STATE_REPLICATING ||
		vm->r.state == STATE_CRITICAL || vm->r.state == STATE_RESYNCHRONIZING);
}

static uint64_t due_of(struct vm *vm)
{
	if (!sends(vm) || vm->job)
		return UINT64_MAX;
	if (!vm->due_ns)
		schedule_later(vm);
	return vm->due_ns;
}

static bool is_transfer(const struct job *job)
{
	return job && !job->pausing && (job->r.type == JOB_SEND || job->r.type == JOB_SEND_INITIAL ||
		       job->r.type == JOB_RESYNCHRONIZE);
}

static size_t count_transfers(const struct daemon *d)
{
	size_t nr = 0;

	for (const struct vm *vm = d->vms; vm; vm = vm->next)
		nr += is_transfer(vm->job);
	return nr;
}

bool schedule_has_room(const struct daemon *d)
{
	return count_transfers(d) < d->config.max_transfers;
}

static void start_delta(struct vm *vm)
{
	struct failure why;

	schedule_later(vm);
	if (!delta_start(vm, JOB_SEND, &why))
		log_warning("VM %s: no delta was started: %s", vm->r.name, why.text);
}

static size_t count_vms(const struct daemon *d)
{
	size_t nr = 0;

	for (const struct vm *vm = d->vms; vm; vm = vm->next)
		nr++;
	return nr;
}

static void send_what_is_due(struct daemon *d)
{
	size_t nr_vms = max_of(count_vms(d), (size_t)1);
	cleanup_free struct vm **vms = calloc(nr_vms, sizeof(*vms));
	cleanup_free uint64_t *due_ns = calloc(nr_vms, sizeof(*due_ns));
	size_t nr_running = count_transfers(d);
	size_t nr = 0;
	size_t picked;

	if (!vms || !due_ns)
		return; /* until the next tick */
	for (struct vm *vm = d->vms; vm; vm = vm->next) {
		vms[nr] = vm;
		due_ns[nr++] = due_of(vm);
	}
	while ((picked = schedule_pick(due_ns, nr, clock_ns(), nr_running,
				       d->config.max_transfers)) < nr) {
		start_delta(vms[picked]);
		due_ns[picked] = UINT64_MAX;
		nr_running += is_transfer(vms[picked]->job);
	}
}

/* --- the guard --- */

/*
 * By policy, and never when the VM may run at the peer by its last word, nor when what is known here of
 * that comes from labels, nor while the peer is being asked: its "no" may be on the way.
 */
static bool may_start(const struct vm *vm, uint64_t now)
{
	const struct daemon *d = vm->daemon;

	return strcmp(d->config.guard_policy, "start") == 0 && !vm->peer_may_face &&
	       !vm->confirming && strcmp(vm->r.boot, BOOT_ADOPTED) != 0 &&
	       strcmp(vm->r.boot, BOOT_AT_PEER) != 0 &&
	       now - vm->silent_since_ns > d->config.guard_timeout * second_ns(d);
}

static void guard(struct vm *vm)
{
	struct daemon *d = vm->daemon;
	uint64_t now = clock_ns();
	struct failure why;

	if (!vm->silent_since_ns)
		vm->silent_since_ns = now;
	if (may_start(vm, now)) {
		log_warning("VM %s: the peer kept silent for %llu s, and guard-policy is start",
			    vm->r.name, (unsigned long long)d->config.guard_timeout);
		if (takeover_release(vm, &why))
			log_error("VM %s cannot be released: %s", vm->r.name, why.text);
		else
			takeover_autostart(vm);
		return;
	}
	if (now < vm->due_ns)
		return;
	vm->due_ns = now + GUARD_EVERY_S * second_ns(d);
	takeover_confirm(vm);
}

/* --- the tick --- */

static int on_tick(sd_event_source *source, uint64_t usec, void *context)
{
	struct daemon *d = context;

	(void)usec;
	if (!d->stopping) {
		watch_when_due(d);
		for (struct vm *vm = d->vms; vm; vm = vm->next) {
			if (vm_is_held(vm))
				guard(vm);
			ready_when_due(vm);
		}
		send_what_is_due(d);
	}
	(void)sd_event_source_set_time_relative(source, d->config.second_ms * 1000);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int schedule_start(struct daemon *d, struct failure *f)
{
	int rc;

	d->schedule = calloc(1, sizeof(*d->schedule));
	if (!d->schedule)
		return failure_no_memory(f);
	rc = sd_event_add_time_relative(d->event, &d->schedule->source, CLOCK_MONOTONIC, 0, 0,
					on_tick, d);
	if (rc < 0)
		return failure_set(f, CODE_FAILED, rc, "The event loop failed: %s.", strerror(-rc));
	return 0;
}

void schedule_stop(struct daemon *d)
{
	if (d->schedule)
		(void)sd_event_source_disable_unref(d->schedule->source);
	free(d->schedule);
	d->schedule = NULL;
}
