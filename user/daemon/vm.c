// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/vm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/macro.h"
#include "base/realtime.h"
#include "base/text.h"
#include "daemon/definitions.h"
#include "daemon/fence.h"
#include "daemon/job.h"
#include "daemon/journals.h"
#include "daemon/labels.h"
#include "daemon/objects.h"
#include "daemon/ready.h"
#include "daemon/split_brain.h"
#include "daemon/trackers.h"
#include "lib/bus.h"
#include "lib/devid.h"

/* CRASH: what D-Bus does not take as text would be there after each start, and no VM be shown. */
static void tidy_last_error(struct relationship_record *r)
{
	char raw[sizeof(r->last_error)];

	memcpy(raw, r->last_error, sizeof(raw));
	text_make_printable(raw, strnlen(raw, sizeof(raw) - 1), r->last_error, sizeof(r->last_error));
}

static int append(struct daemon *d, struct relationship_record *r, struct failure *f)
{
	struct vm **end = &d->vms;
	struct vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return failure_no_memory(f);
	vm->daemon = d;
	vm->r = *r;
	tidy_last_error(&vm->r);
	if (r->unreadable) {
		vm->r.state = STATE_UNKNOWN;
		vm->r.health = HEALTH_CRITICAL;
		log_error("VM %s: its record in the database cannot be read", r->name);
	}
	memset(r, 0, sizeof(*r));
	while (*end)
		end = &(*end)->next;
	*end = vm;
	return 0;
}

int vm_load_all(struct daemon *d, struct failure *f)
{
	cleanup_free struct relationship_record *records = NULL;
	size_t nr = 0;
	int rc;

	rc = store_load_relationships(d->store, &records, &nr, f);
	for (size_t i = 0; i < nr; i++) {
		if (!rc)
			rc = append(d, &records[i], f);
		relationship_record_clear(&records[i]);
	}
	return rc;
}

void vm_free_all(struct daemon *d)
{
	while (d->vms) {
		struct vm *vm = d->vms;

		d->vms = vm->next;
		labels_free(vm);
		definition_drop(vm);
		relationship_record_clear(&vm->r);
		vm_forget_guesses(vm);
		free(vm);
	}
}

static int put(struct daemon *d, const struct relationship_record *r, struct failure *f)
{
	struct failure why;
	int rc = store_put_relationship(d->store, r, &why);

	/* CRASH: the next start finds out whether it is there, as after any other crash. */
	if (rc == -ENOTRECOVERABLE) {
		log_error("VM %s: whether its record changed is not known; failbackd ends, to be started anew: %s",
			  r->name, why.text);
		(void)sd_event_exit(d->event, rc);
	}
	return rc ? failure_set(f, (enum code)why.code, rc, "%s", why.text) : 0;
}

int vm_add(struct daemon *d, struct relationship_record *r, struct failure *f)
{
	struct uuid uuid = r->vm;
	int rc;

	r->role_since_us = realtime_us();
	rc = put(d, r, f);
	if (!rc)
		rc = append(d, r, f);
	if (rc)
		return rc;
	relationship_object_added(vm_find(d, &uuid));
	labels_write(vm_find(d, &uuid));
	return 0;
}

static enum swap_role swap_role(unsigned int mode, unsigned int state, bool ceded)
{
	bool failed_over = state == STATE_RECOVERED || state == STATE_COMMITTED;

	if (mode == MODE_PRIMARY)
		return ceded ? SWAP_CEDED : SWAP_PRIMARY;
	return failed_over ? SWAP_FAILED_OVER : SWAP_REPLICA;
}

static enum swap_role swap_role_of(const struct relationship_record *r)
{
	return swap_role(r->mode, r->state, r->ceded);
}

/* Who looks later is not the one who was told. */
static void set_unstored(struct vm *vm, const char *text)
{
	if (strcmp(vm->unstored, text) == 0)
		return;
	(void)snprintf(vm->unstored, sizeof(vm->unstored), "%s", text);
	relationship_object_changed(vm);
}

int vm_change(struct vm *vm, const struct relationship_record *next, struct failure *f)
{
	struct relationship_record dated = *next;
	bool same_role = swap_role_of(next) == swap_role_of(&vm->r);
	struct failure why;
	int rc;

	if (!same_role)
		dated.role_since_us = realtime_us();
	tidy_last_error(&dated);
	rc = put(vm->daemon, &dated, &why);
	set_unstored(vm, rc ? why.text : "");
	if (rc)
		return failure_set(f, (enum code)why.code, rc, "%s", why.text);
	vm->is_split &= same_role;
	if (next->settings != vm->r.settings)
		free(vm->r.settings);
	if (next->disks != vm->r.disks) {
		labels_clear(&vm->r, &dated);
		free(vm->r.disks);
	}
	vm->r = dated;
	labels_write(vm);
	relationship_object_changed(vm);
	return 0;
}

int vm_change_role(struct vm *vm, const struct relationship_record *next, struct failure *f)
{
	bool faces = next->boot[0] != '\0';
	int rc = faces ? 0 : fence_raise(&vm->r, f);
	struct failure why;

	if (rc)
		return rc;
	rc = vm_change(vm, next, f);
	if (rc) {
		vm_sync_fence(vm);
		return rc;
	}
	if (faces && fence_lower(&vm->r, &why))
		log_error("VM %s may run here, but: %s", vm->r.name, why.text);
	return 0;
}

void vm_sync_fence(struct vm *vm)
{
	bool facing = vm_swap_host(vm).facing;
	struct failure why;
	int rc = facing ? fence_lower(&vm->r, &why) : fence_raise(&vm->r, &why);

	if (!rc)
		why.text[0] = '\0'; /* that some device is not there, perhaps */
	if (rc && strcmp(why.text, vm->fence_trouble) != 0)
		log_error("VM %s %s run here, but: %s", vm->r.name, facing ? "may" : "must not", why.text);
	memcpy(vm->fence_trouble, why.text, sizeof(vm->fence_trouble));
}

void vm_forget_guesses(struct vm *vm)
{
	for (size_t i = 0; i < vm->nr_guessed; i++)
		extent_list_free(&vm->guessed[i]);
	free(vm->guessed);
	vm->guessed = NULL;
	vm->nr_guessed = 0;
}

int vm_remove(struct vm *vm, struct failure *f)
{
	struct daemon *d = vm->daemon;
	struct vm **at = &d->vms;
	int rc = store_delete_relationship(d->store, &vm->r.vm, f);

	if (rc)
		return rc;
	relationship_object_removed(vm);
	while (*at != vm)
		at = &(*at)->next;
	*at = vm->next;
	ready_forget(vm);
	for (struct job *job = d->jobs; job; job = job->next) {
		if (job->vm == vm)
			job->vm = NULL;
	}
	journal_remove(vm->r.journal);
	definition_remove(vm);
	labels_clear(&vm->r, NULL);
	labels_free(vm);
	relationship_record_clear(&vm->r);
	vm_forget_guesses(vm);
	free(vm);
	return 0;
}

struct swap_host vm_swap_host(const struct vm *vm)
{
	struct swap_host host = { .role = swap_role_of(&vm->r),
				  .term = vm->r.term,
				  .session = vm->daemon->session };

	host.facing = swap_may_face(host.role) && strcmp(vm->r.boot, vm->daemon->boot) == 0;
	return host;
}

void vm_put_swap(const struct vm *vm, const struct swap_host *host,
		 struct relationship_record *next)
{
	next->term = host->term;
	next->ceded = host->role == SWAP_CEDED;
	(void)snprintf(next->boot, sizeof(next->boot), "%s", host->facing ? vm->daemon->boot : "");
}

struct history vm_history(const struct vm *vm)
{
	struct history history = { .mode = vm->r.mode,
				   .state = vm->r.state,
				   .facing = vm_swap_host(vm).facing,
				   .since_us = vm->r.role_since_us,
				   .term = vm->r.term,
				   .base = vm->r.base };

	if (trackers_written_bytes(&vm->r, &history.written_bytes))
		history.written_bytes = HISTORY_UNKNOWN;
	return history;
}

/* Who adopted it waits for an agreement, whatever else the peer says. */
static void note_held(struct vm *vm)
{
	const char *boot = vm->peer_may_face ? BOOT_AT_PEER : "";
	struct relationship_record next = vm->r;
	struct failure why;

	if (!vm_is_held(vm) || strcmp(vm->r.boot, BOOT_ADOPTED) == 0 ||
	    (strcmp(vm->r.boot, BOOT_AT_PEER) == 0) == vm->peer_may_face)
		return;
	(void)snprintf(next.boot, sizeof(next.boot), "%s", boot);
	if (vm_change(vm, &next, &why))
		log_error("VM %s: what its peer says cannot be recorded: %s", vm->r.name, why.text);
}

void vm_note_peer(struct vm *vm, const struct reply *reply)
{
	vm->silent_since_ns = clock_ns();
	if (reply->mode == MODE_NONE)
		return;
	vm->peer_may_face = swap_may_face(swap_role(reply->mode, reply->state, reply->ceded));
	vm->peer_mode = reply->mode;
	vm->peer_state = reply->state;
	vm->peer_seen_us = realtime_us();
	note_held(vm);
	split_brain_look(vm, &reply->history);
	relationship_object_changed(vm);
}

bool vm_is_held(const struct vm *vm)
{
	struct swap_host host = vm_swap_host(vm);

	return swap_may_face(host.role) && !host.facing;
}

int vm_copy_disks(const struct vm *vm, struct disk_record **ret, struct failure *f)
{
	struct disk_record *disks = calloc(max_of(vm->r.nr_disks, (size_t)1), sizeof(*disks));

	if (!disks)
		return failure_no_memory(f);
	if (vm->r.nr_disks)
		memcpy(disks, vm->r.disks, vm->r.nr_disks * sizeof(*disks));
	*ret = disks;
	return 0;
}

int vm_change_send(struct vm *vm, struct relationship_record *next, enum disk_send send,
		   struct failure *f)
{
	int rc = vm_copy_disks(vm, &next->disks, f);

	if (rc)
		return rc;
	for (size_t i = 0; i < next->nr_disks; i++)
		next->disks[i].send = send;
	rc = vm_change(vm, next, f);
	if (rc)
		free(next->disks);
	return rc;
}

unsigned int vm_health(const struct vm *vm)
{
	if (vm->unrecorded[0] && vm_swap_host(vm).facing)
		return HEALTH_CRITICAL;
	if (vm->unrecorded[0] || vm->not_ready[0] || vm->unstored[0] || vm->not_started[0])
		return max_of(vm->r.health, (unsigned int)HEALTH_WARNING);
	return vm->r.health;
}

const char *vm_last_error(const struct vm *vm)
{
	if (vm->unrecorded[0] && vm->r.health < HEALTH_CRITICAL)
		return vm->unrecorded;
	if (vm->unstored[0])
		return vm->unstored;
	if (vm->not_started[0])
		return vm->not_started;
	return vm->r.last_error[0] ? vm->r.last_error : vm->not_ready;
}

struct relationship_role vm_role(const struct vm *vm)
{
	return (struct relationship_role){ vm->r.mode, vm->r.state };
}

bool vm_sends_all(const struct vm *vm)
{
	return vm->r.state == STATE_WAITING_INITIAL || vm->r.state == STATE_RESYNCHRONIZING;
}

int vm_apply_event(const struct vm *vm, enum relationship_event event,
		   struct relationship_record *next, struct failure *f)
{
	struct relationship_role to;
	char needs[320];
	char role[96];

	if (!relationship_step(vm_role(vm), event, &to)) {
		relationship_role_text(vm_role(vm), role, sizeof(role));
		relationship_needs(event, needs, sizeof(needs));
		return failure_set(f, CODE_INVALID_STATE, -EBADE, "VM %.64s is %s; %s needs %s.",
				   vm->r.name, role, event_name(event), needs);
	}
	next->mode = to.mode;
	next->state = to.state;
	return 0;
}

struct vm *vm_find(struct daemon *d, const struct uuid *uuid)
{
	for (struct vm *vm = d->vms; vm; vm = vm->next) {
		if (uuid_equal(&vm->r.vm, uuid))
			return vm;
	}
	return NULL;
}

int vm_check_readable(const struct vm *vm, struct failure *f)
{
	if (!vm->r.unreadable)
		return 0;
	return failure_set(f, CODE_STATUS_UNKNOWN, -EBADMSG,
			   "The record of VM %.64s in the database cannot be read: `failback remove "
			   "%.64s`, then `failback adopt %.64s`, which makes it from the stores of its "
			   "disks.",
			   vm->r.name, vm->r.name, vm->r.name);
}

int vm_find_by_path(struct daemon *d, const char *path, struct vm **ret, struct failure *f)
{
	struct vm *vm = NULL;
	struct uuid uuid;

	if (bus_path_uuid(BUS_VM_PREFIX, path, &uuid) == 0)
		vm = vm_find(d, &uuid);
	if (!vm)
		return failure_set(
			f, CODE_INVALID_PARAMETER, -ENOENT,
			"There is no VM %.128s on this host; `failback status` lists them.", path);
	*ret = vm;
	return 0;
}

int vm_find_by_name(struct daemon *d, const char *name, struct vm **ret, struct failure *f)
{
	struct vm *found = NULL;
	struct uuid uuid;
	bool by_uuid;

	by_uuid = uuid_parse(name, &uuid) == 0;
	for (struct vm *vm = d->vms; vm; vm = vm->next) {
		if (by_uuid ? !uuid_equal(&vm->r.vm, &uuid) : strcmp(vm->r.name, name) != 0)
			continue;
		if (found)
			return failure_set(f, CODE_INVALID_PARAMETER, -EEXIST,
					   "Several VMs are named \"%.128s\"; use the UUID.", name);
		found = vm;
	}
	if (!found)
		return failure_set(
			f, CODE_INVALID_PARAMETER, -ENOENT,
			"There is no VM \"%.128s\" on this host; `failback status` lists them.",
			name);
	*ret = found;
	return 0;
}

int vm_check_idle(const struct vm *vm, struct failure *f)
{
	/* Its hypervisor may have the disks open at any moment, under whatever name they have then. */
	if (vm->autostarting)
		return failure_set(f, CODE_IN_USE, -EBUSY,
				   "VM %.64s is just being started, for it is to run when this host does: repeat it "
				   "in a moment.",
				   vm->r.name);
	if (!vm->job)
		return 0;
	return failure_set(
		f, CODE_IN_USE, -EBUSY,
		"VM %.64s has a job already (%s); wait for it or end it with `failback "
		"terminate %.64s`.",
		vm->r.name, job_type_name(vm->job->r.type), vm->r.name);
}

int vm_check_disks(const struct vm *vm, struct failure *f)
{
	for (size_t i = 0; i < vm->r.nr_disks; i++) {
		const struct disk_record *disk = &vm->r.disks[i];
		int rc = disk->path[0] ? devid_exists(disk->path, f) : 0;

		if (rc)
			return rc;
	}
	return 0;
}

const char *vm_path(const struct vm *vm, char *buf)
{
	return bus_path(BUS_VM_PREFIX, &vm->r.vm, buf);
}
