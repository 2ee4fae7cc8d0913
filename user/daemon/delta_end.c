// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/delta_end.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/realtime.h"
#include "base/text.h"
#include "daemon/fence.h"
#include "daemon/images.h"
#include "daemon/trackers.h"

static int end_epoch(const struct relationship_record *r, struct failure *f)
{
	return r->epoch_durable ? trackers_commit(r, &r->epoch, f)
				: trackers_abort(r, &r->epoch, f);
}

/*
 * Somebody else committed what is not known to have arrived, or the database is older than that: the blocks of that
 * epoch are in no map any more.
 */
static int note_missed(struct vm *vm, struct relationship_record *next, struct failure *f)
{
	int rc = vm_copy_disks(vm, &next->disks, f);

	for (size_t i = 0; !rc && i < next->nr_disks; i++)
		next->disks[i].map_lost = true;
	if (!rc)
		log_error("VM %s: the epoch that was being sent was committed, and not by failbackd: what it held has "
			  "to be compared",
			  vm->r.name);
	return rc;
}

bool delta_is_missed(const struct vm *vm)
{
	for (size_t i = 0; i < vm->r.nr_disks; i++) {
		if (vm->r.disks[i].map_lost)
			return true;
	}
	return false;
}

int delta_settle(struct vm *vm, struct failure *f)
{
	struct relationship_record next = vm->r;
	int rc;

	if (vm->r.mode != MODE_PRIMARY || uuid_is_nil(&vm->r.epoch))
		return 0;
	images_remove(&vm->r);
	rc = end_epoch(&vm->r, f);
	if (rc == -EALREADY)
		rc = note_missed(vm, &next, f);
	if (rc)
		return rc;
	/* Once: while something is compared no block is released, which a diff area may be too small for. */
	vm_forget_guesses(vm);
	if (next.epoch_durable) {
		next.base = next.epoch;
		next.nr_aborted = 0;
	}
	next.epoch_durable = false;
	memset(&next.epoch, 0, sizeof(next.epoch));
	rc = vm_change(vm, &next, f);
	if (rc && next.disks != vm->r.disks)
		free(next.disks);
	return rc;
}

/* --- it did not arrive --- */

/* Does the peer say no to this delta only, or will it to every one until someone acts? */
static bool heals_by_itself(uint32_t code)
{
	switch (code) {
	case CODE_FAILED:
	case CODE_TIMEOUT:
	case CODE_IN_USE:
	case CODE_NOT_AVAILABLE:
	case CODE_OUT_OF_MEMORY:
		return true;
	default:
		return false;
	}
}

/* @heals: another delta may do. @stale: only a resynchronisation will. */
static void record_failure(struct vm *vm, const struct failure *why, bool heals, bool stale)
{
	enum relationship_event event = heals ? EVENT_DELTA_FAILED : EVENT_DELTA_REFUSED;
	struct relationship_record next = vm->r;
	struct failure store;

	if (stale && !vm_sends_all(vm))
		event = EVENT_RESYNC_NEEDED;

	next.health = heals ? HEALTH_WARNING : HEALTH_CRITICAL;
	(void)snprintf(next.last_error, sizeof(next.last_error), "%s", why->text);
	if (vm_apply_event(vm, event, &next, &store) || vm_change(vm, &next, &store))
		log_error("VM %s: the failed delta cannot be recorded: %s", vm->r.name, store.text);
}

/* Why it failed, that nothing is lost by it, and how to go on: no delta replaces a compare. */
static void tell_way_forward(const struct vm *vm, const struct failure *why, bool heals, bool stale,
			     struct failure *ret)
{
	char way[128];

	if (vm->is_split) {
		*ret = *why; /* which says what to do */
		return;
	}
	if (stale && vm->r.state != STATE_RESYNCHRONIZING)
		(void)snprintf(way, sizeof(way), "`failback resync %.64s` compares the disks",
			       vm->r.name);
	else if (heals)
		(void)snprintf(way, sizeof(way),
			       "the next delta covers it; `failback resume %.64s` sends it",
			       vm->r.name);
	else
		(void)snprintf(way, sizeof(way),
			       "when that is mended, `failback resume %.64s` sends it",
			       vm->r.name);
	(void)failure_set(ret, (enum code)why->code, 0, "%.360s%s Nothing is lost: %s.", why->text,
			  text_full_stop(why->text), way);
}

void delta_abort(struct vm *vm, const struct failure *why, bool heals, bool stale,
		 struct failure *ret)
{
	char broken[NL_REASON_LEN + 1];
	struct failure settle;
	struct failure cause;

	/* A read of the image that fails says less than why it does. */
	if (!uuid_is_nil(&vm->r.epoch) && trackers_broken(&vm->r, broken)) {
		(void)failure_set(&cause, CODE_FAILED, -EIO, "The frozen epoch broke: %s.", broken);
		why = &cause;
		stale = false;
	}
	if (delta_settle(vm, &settle))
		log_error("VM %s: the epoch stays frozen for now: %s", vm->r.name, settle.text);
	stale |= delta_is_missed(vm) && !vm_sends_all(vm);
	heals |= heals_by_itself(why->code);
	tell_way_forward(vm, why, heals, stale, ret);
	record_failure(vm, ret, heals, stale);
}

void delta_note_stale(struct vm *vm, const struct failure *why)
{
	record_failure(vm, why, heals_by_itself(why->code), true);
}

/* --- it did --- */

static int commit(struct vm *vm, struct failure *f)
{
	struct relationship_record next = vm->r;
	int rc;

	next.epoch_durable = true;
	rc = vm_change(vm, &next, f);
	if (!rc)
		rc = delta_settle(vm, f);
	if (rc)
		return rc;
	next = vm->r;
	next.health = HEALTH_OK;
	next.last_error[0] = '\0';
	next.last_replication_us = realtime_us();
	rc = vm_apply_event(vm, EVENT_DELTA_SENT, &next, f);
	return rc ? rc : vm_change_send(vm, &next, SEND_USUAL, f);
}

int delta_commit(struct vm *vm, struct failure *f)
{
	int rc = commit(vm, f);

	if (rc)
		record_failure(vm, f, heals_by_itself(f->code), false);
	return rc;
}

/* The fence is up: has nothing been written since the delta, and may the VM go? */
static int cede(struct vm *vm, struct tracker_info *infos, struct failure *f)
{
	struct swap_host host = vm_swap_host(vm);
	struct relationship_record next = vm->r;
	struct swap_host ceded;
	int rc;

	rc = trackers_get(&vm->r, infos, f);
	if (!rc)
		rc = trackers_check(&vm->r, infos, NULL, f);
	if (rc)
		return rc;
	if (trackers_check_unwritten(&vm->r, NULL))
		return failure_set(
			f, CODE_IN_USE, -EBUSY,
			"VM %.64s was written to while its last delta was sent; shut it down and "
			"repeat.",
			vm->r.name);
	if (swap_order(&host, SWAP_CEDE, &ceded))
		return failure_set(f, CODE_INVALID_STATE, -EBADE, "VM %.64s is no primary any more.",
				   vm->r.name);
	rc = vm_apply_event(vm, EVENT_PREPARED, &next, f);
	if (rc)
		return rc;
	vm_put_swap(vm, &ceded, &next);
	return vm_change_role(vm, &next, f);
}

int delta_cede(struct vm *vm, struct tracker_info *infos, struct failure *f)
{
	int rc = fence_raise(&vm->r, f);

	if (!rc)
		rc = cede(vm, infos, f);
	if (rc)
		vm_sync_fence(vm);
	return rc;
}
