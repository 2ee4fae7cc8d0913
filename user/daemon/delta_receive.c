// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A delta is written in place. CRASH: before the first byte can be written, `inconsistent` and
 * the epoch that comes are recorded: the disks are between two epochs from then on, and are not
 * to be failed over to. Only a complete delta, flushed to the disks, takes the mark away and
 * makes its epoch the base.
 *
 * The worker acknowledges before this host records the new base. If it dies in between, the
 * sender's next base is the epoch that came last, which proves that it was acknowledged:
 * base_is_covered() knows that case.
 */
#include "daemon/delta_receive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/macro.h"
#include "base/realtime.h"
#include "daemon/job.h"
#include "daemon/trackers.h"
#include "daemon/transfer_plan.h"
#include "daemon/worker.h"
#include "lib/devid.h"

struct receive {
	struct vm *vm;
	struct job *job;
	struct worker *worker;
	struct call call;
	int disks[CALL_DISKS_MAX]; /* -1 from nr_disks on */
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
	worker_free_at(&receive->worker);
	close_disks(receive->disks, ARRAY_SIZE(receive->disks));
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
		char device[PATH_MAX];

		ret[i] = -1;
		trackers_device(disk, device);
		if (device[0])
			rc = devid_open_target(disk->name, device, call->disks[i].size_bytes,
					       &ret[i], f);
		else if (!disk->path[0])
			rc = failure_set(
				f, CODE_FILE_NOT_FOUND, -ENOENT,
				"Disk %s of VM %.64s has no path to receive into on this host; "
				"name one with "
				"`failback apply`.",
				disk->name, vm->r.name);
		else
			rc = devid_open_target(disk->name, disk->path, call->disks[i].size_bytes,
					       &ret[i], f);
		if (rc)
			close_disks(ret, i);
	}
	return rc;
}

/* --- the end --- */

/* Frees @receive. */
static void fail(struct receive *receive, const struct failure *why)
{
	_cleanup_(receive_free_at) struct receive *owned = receive;
	struct vm *vm = receive->vm;
	struct relationship_record next = vm->r;
	struct failure store;

	next.health = HEALTH_WARNING;
	memcpy(next.last_error, why->text, sizeof(next.last_error));
	if (vm_apply_event(vm, EVENT_RECEIVE_FAILED, &next, &store) || vm_change(vm, &next, &store))
		log_error("VM %s: the failed delta cannot be recorded: %s", vm->r.name, store.text);
	job_end(owned->job, why);
}

/*
 * Trackers that do not follow keep more than they need: the next reverse sends it in vain, and
 * nothing is missed.
 */
static void note_trackers(const struct vm *vm, const struct uuid *epoch)
{
	struct failure why;

	for (size_t i = 0; i < vm->r.nr_disks; i++) {
		char device[PATH_MAX];

		trackers_device(&vm->r.disks[i], device);
		if (!device[0])
			return;
	}
	if (trackers_note_received(&vm->r, epoch, &why))
		log_warning("VM %s: the trackers of the replica keep what was received as dirty: %s",
			    vm->r.name, why.text);
}

static int record_received(struct receive *receive, struct failure *f)
{
	struct vm *vm = receive->vm;
	struct relationship_record next = vm->r;
	int rc = vm_apply_event(vm, EVENT_RECEIVED, &next, f);

	if (rc)
		return rc;
	note_trackers(vm, &receive->call.epoch);
	next.base = receive->call.epoch;
	memset(&next.epoch, 0, sizeof(next.epoch));
	next.inconsistent = false;
	next.health = HEALTH_OK;
	next.last_error[0] = '\0';
	next.last_replication_us = realtime_us();
	return vm_change(vm, &next, f);
}

static void on_begin(void *context, uint64_t bytes_total)
{
	struct receive *receive = context;

	job_set_total(receive->job, bytes_total);
}

static void on_progress(void *context, uint64_t bytes_done, uint64_t bytes_sent)
{
	struct receive *receive = context;

	job_add_progress(receive->job, bytes_done, bytes_sent);
}

static void on_end(void *context, const struct failure *why)
{
	_cleanup_(receive_free_at) struct receive *receive = context;
	struct failure failure;
	int rc = 0;

	if (why) {
		failure = *why; /* the worker goes with the operation */
		fail(steal_ptr(receive), &failure);
		return;
	}
	rc = record_received(receive, &failure);
	job_end(receive->job, rc ? &failure : NULL);
}

static const struct worker_events events = { on_begin, on_progress, on_end };

static void on_cancel(void *context)
{
	struct receive *receive = context;

	worker_terminate(receive->worker);
}

/* --- the beginning --- */

static int check(const struct vm *vm, const struct call *call, struct failure *f)
{
	struct relationship_record ignored = vm->r;
	int rc;

	if (vm_swap_host(vm).role == SWAP_FAILED_OVER)
		return failure_set(
			f, CODE_INVALID_STATE, -EBADE,
			"Split brain: VM %.64s was failed over to this host, and its primary sends "
			"on. Choose the host whose changes are given up: shut the VM down there, and "
			"`failback yield %.64s` on the primary or `failback revert %.64s` here.",
			vm->r.name, vm->r.name, vm->r.name);
	rc = vm_apply_event(vm, EVENT_RECEIVE, &ignored, f);
	if (!rc)
		rc = vm_check_idle(vm, f);
	if (!rc && !call->full && vm->r.state == STATE_WAITING_INITIAL)
		rc = failure_set(f, CODE_NOT_SUPPORTED, -ESTALE,
				 "What the disks of VM %.64s here hold is not known: only a "
				 "resynchronisation will do.",
				 vm->r.name);
	if (!rc && !call->full &&
	    !base_is_covered(&vm->r.base, &vm->r.epoch, &call->base, call->aborted,
			     call->nr_aborted))
		rc = failure_set(f, CODE_NOT_SUPPORTED, -ESTALE,
				 "The disks of VM %.64s here do not hold what the delta starts "
				 "from: a resynchronisation is needed.",
				 vm->r.name);
	return rc;
}

static int record_incoming(struct vm *vm, const struct call *call, struct failure *f)
{
	struct relationship_record next = vm->r;
	int rc = vm_apply_event(vm, EVENT_RECEIVE, &next, f);

	if (rc)
		return rc;
	if (!uuid_is_nil(&vm->r.epoch) && uuid_equal(&vm->r.epoch, &call->base))
		next.base = call->base;
	next.epoch = call->epoch;
	next.inconsistent = true;
	return vm_change(vm, &next, f);
}

int receive_prepare(struct vm *vm, const struct call *call, struct receive **ret, struct failure *f)
{
	_cleanup_(receive_free_at) struct receive *receive = calloc(1, sizeof(*receive));
	int rc;

	if (!receive)
		return failure_set(f, CODE_OUT_OF_MEMORY, -ENOMEM, "Out of memory.");
	memset(receive->disks, -1, sizeof(receive->disks));
	receive->vm = vm;
	receive->call = *call;
	rc = check(vm, call, f);
	if (!rc)
		rc = receive_open_disks(vm, call, receive->disks, f);
	if (!rc)
		rc = record_incoming(vm, call, f);
	if (rc)
		return rc;
	receive->job = job_start(vm, JOB_RECEIVE, f);
	if (!receive->job)
		return -EIO;
	receive->job->operation = receive;
	job_set_status(receive->job, "answering the peer");
	*ret = steal_ptr(receive);
	return 0;
}

void receive_start(struct receive *receive, int fd, enum protection protection)
{
	cleanup_fd int connection = fd;
	cleanup_free char *plan = NULL;
	struct failure why;
	int rc;

	rc = receive_plan(&receive->call, WORKER_DISK_FD, &plan, &why);
	if (!rc)
		rc = worker_start(receive->vm->daemon, "failback-receive", plan, connection,
				  receive->disks, receive->call.nr_disks, &events, receive,
				  &receive->worker, &why);
	if (rc) {
		fail(receive, &why);
		return;
	}
	/* From here on the disks are the worker's. */
	close_disks(receive->disks, receive->call.nr_disks);
	receive->job->cancel = on_cancel;
	job_set_status(receive->job, "receiving (%s)", protection_name(protection));
}

void receive_abandon(struct receive *receive, const struct failure *why)
{
	fail(receive, why);
}
