// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/create.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/macro.h"
#include "daemon/admission.h"
#include "daemon/claims.h"
#include "daemon/delta_end.h"
#include "daemon/fence.h"
#include "daemon/labels.h"
#include "daemon/replica_paths.h"
#include "daemon/takeover.h"
#include "daemon/talk.h"
#include "daemon/trackers.h"
#include "daemon/vm_settings.h"
#include "lib/json.h"

#define SECTOR_BYTES 512U

struct create {
	struct vm *vm;
	struct job *job;
	struct talk *talk;
};

static int out_of_memory(struct failure *f)
{
	return failure_no_memory(f);
}

/* --- reading --- */

static const char what[] = "the relationship";

static int read_size(const struct disk_record *disk, uint64_t *ret, struct failure *f)
{
	cleanup_fd int fd = open(disk->path, O_RDONLY | O_CLOEXEC);
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

	if (end < 0)
		return failure_set(f, code_of_errno(errno), -errno, "Cannot tell the size of %s: %s.",
				   disk->path, strerror(errno));
	*ret = (uint64_t)end;
	return 0;
}

static int read_disk(struct json_object *item, struct disk_record *ret, struct call_disk *ret_peer,
		     struct failure *f)
{
	static const char *const members[] = { "name",	  "size",      "path",
					       "tracker", "peer_path", "peer_tracker" };
	int rc;

	rc = json_check_members(what, item, members, ARRAY_SIZE(members), f);
	if (!rc)
		rc = json_get_text(what, item, "name", true, ret->name, sizeof(ret->name), f);
	if (!rc)
		rc = json_get_text(what, item, "path", true, ret->path, sizeof(ret_peer->path), f);
	if (!rc)
		rc = json_get_text(what, item, "tracker", true, ret->tracker, sizeof(ret->tracker),
				   f);
	if (!rc)
		rc = json_get_uint(what, item, "size", false, INT64_MAX, &ret->size_bytes, f);
	if (!rc && !ret->size_bytes)
		rc = read_size(ret, &ret->size_bytes, f);
	if (rc)
		return rc;
	if (!ret->name[0] || !ret->tracker[0] || !ret->size_bytes ||
	    ret->size_bytes % SECTOR_BYTES)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "A disk needs a name, a tracker, and a size that is a multiple of "
				   "512.");
	rc = fence_check_tracker(ret, f);
	if (rc)
		return rc;
	(void)snprintf(ret_peer->name, sizeof(ret_peer->name), "%s", ret->name);
	(void)snprintf(ret_peer->path, sizeof(ret_peer->path), "%.1000s", ret->path);
	(void)snprintf(ret_peer->tracker, sizeof(ret_peer->tracker), "%s", ret->tracker);
	ret_peer->size_bytes = ret->size_bytes;
	rc = json_get_text(what, item, "peer_path", false, ret_peer->path, sizeof(ret_peer->path),
			   f);
	return rc ? rc : json_get_text(what, item, "peer_tracker", false, ret_peer->tracker,
				       sizeof(ret_peer->tracker), f);
}

static int read_disks(struct json_object *object, struct relationship_record *r, struct call *call,
		      struct failure *f)
{
	struct json_object *array = NULL;
	int rc = json_get_array(what, object, "disks", true, CALL_DISKS_MAX, &array, f);

	if (rc)
		return rc;
	r->disks = calloc(json_object_array_length(array), sizeof(*r->disks));
	if (!r->disks)
		return out_of_memory(f);
	for (size_t i = 0; !rc && i < json_object_array_length(array); i++) {
		rc = read_disk(json_object_array_get_idx(array, i), &r->disks[i], &call->disks[i],
			       f);
		r->nr_disks = call->nr_disks = i + 1;
		for (size_t j = 0; !rc && j < i; j++) {
			if (strcmp(r->disks[i].name, r->disks[j].name) == 0)
				rc = failure_set(f, CODE_INVALID_PARAMETER, -EEXIST,
						 "Two disks are named %s.", r->disks[i].name);
		}
	}
	return rc;
}

static int read_all(const char *json, struct relationship_record *r, struct call *call,
		    struct failure *f)
{
	static const char *const members[] = { "vm", "name", "peer", "disks" };
	cleanup_json struct json_object *object = NULL;
	struct address peer;
	int rc;

	rc = json_parse_object(what, json, &object, f);
	if (!rc)
		rc = json_check_members(what, object, members, ARRAY_SIZE(members), f);
	if (!rc)
		rc = json_get_uuid(what, object, "vm", false, &r->vm, f);
	if (!rc)
		rc = json_get_text(what, object, "name", true, r->name, sizeof(r->name), f);
	if (!rc)
		rc = json_get_text(what, object, "peer", true, r->peer, sizeof(r->peer), f);
	if (!rc)
		rc = admission_check_name(r->name, f);
	if (!rc)
		rc = address_parse(r->peer, PEER_PORT, &peer, f);
	if (rc)
		return rc;
	(void)address_format(&peer, r->peer);
	if (uuid_is_nil(&r->vm) && uuid_new(&r->vm))
		return failure_set(f, CODE_FAILED, -EIO, "Cannot make a UUID.");
	return read_disks(object, r, call, f);
}

static int check_claims(const struct daemon *d, const struct relationship_record *r, bool tells_peer,
			struct failure *f)
{
	_cleanup_(claims_clear) struct claims claims = { .tells_peer = tells_peer };
	int rc = 0;

	for (const struct vm *vm = d->vms; !rc && vm; vm = vm->next)
		rc = claims_add(&claims, &vm->r, f);
	return rc ? rc : claims_take(&claims, r, f);
}

/* --- the primary's half --- */

static void create_free_at(struct create **at)
{
	struct create *c = steal_ptr(*at);

	if (!c)
		return;
	talk_free_at(&c->talk);
	free(c);
}

static void finish(struct create *c, const struct failure *why)
{
	_cleanup_(create_free_at) struct create *owned = c;
	struct failure store;

	job_end(owned->job, why);
	if (!why)
		return;
	owned->job->vm = NULL;
	if (vm_remove(owned->vm, &store))
		log_error("VM %s: the relationship that the peer refused stays: %s",
			  owned->vm->r.name, store.text);
}

static void on_end(void *context, const struct failure *why, const struct reply *reply, bool asked)
{
	struct failure copy;

	(void)reply;
	(void)asked;
	if (why)
		copy = *why;
	finish(context, why ? &copy : NULL);
}

static const struct talk_events events = { NULL, on_end };

static void on_cancel(void *context)
{
	struct failure why;

	(void)failure_set(&why, CODE_FAILED, -ECANCELED, "Terminated on request.");
	finish(context, &why);
}

/* The record as it begins: the VM runs here, and may go on. */
static int add_primary(struct daemon *d, struct relationship_record *r, const char *setting_data,
		       struct vm **ret, struct failure *f)
{
	struct vm_settings settings = { 0 };
	struct relationship_role role;
	struct uuid uuid = r->vm;
	int rc;

	if (vm_find(d, &r->vm) || vm_find_by_name(d, r->name, ret, NULL) == 0)
		return failure_set(f, CODE_INVALID_STATE, -EEXIST,
				   "There is a relationship for VM %.64s already; `failback status` "
				   "shows it.",
				   r->name);
	if (!relationship_step(ROLE_NONE, EVENT_CREATE, &role))
		return -EINVAL;
	rc = check_claims(d, r, false, f);
	if (!rc)
		rc = admission_check_table(d->config.tracker_table, r, f);
	if (!rc)
		rc = labels_check_free(r, false, f);
	if (!rc)
		rc = vm_settings_take(r, setting_data, &settings, f);
	if (rc)
		return rc;
	r->settings = settings.kept;
	r->mode = role.mode;
	r->state = role.state;
	r->health = HEALTH_WARNING;
	r->term = 1;
	(void)snprintf(r->boot, sizeof(r->boot), "%s", d->boot);
	rc = vm_add(d, r, f);
	if (!rc)
		*ret = vm_find(d, &uuid);
	return rc;
}

struct job *create_start(struct daemon *d, const char *json, const char *setting_data,
			 struct failure *f)
{
	_cleanup_(relationship_record_clear) struct relationship_record r = { 0 };
	_cleanup_(create_free_at) struct create *c = calloc(1, sizeof(*c));
	cleanup_free struct call *call = calloc(1, sizeof(*call));
	struct failure why;
	struct job *job;

	if (!c || !call) {
		(void)out_of_memory(f);
		return NULL;
	}
	if (read_all(json, &r, call, f) || add_primary(d, &r, setting_data, &c->vm, f))
		return NULL;
	job = c->job = job_start(c->vm, JOB_CREATE, f);
	if (!job) {
		(void)vm_remove(c->vm, NULL);
		return NULL;
	}
	call->kind = CALL_CREATE;
	call->vm = c->vm->r.vm;
	(void)snprintf(call->name, sizeof(call->name), "%s", c->vm->r.name);
	call->port = address_port(&d->listen);
	job->operation = c;
	job->cancel = on_cancel;
	job_set_status(job, "making the replica on %s", c->vm->r.peer);
	vm_sync_fence(c->vm);
	if (talk_start(c->vm, c->vm->r.peer, call, &events, c, &c->talk, &why))
		finish(steal_ptr(c), &why);
	else
		(void)steal_ptr(c);
	return job;
}

/* --- the replica's half --- */

static int check_paths(const struct daemon *d, const struct relationship_record *r,
		       struct failure *f)
{
	for (size_t i = 0; i < r->nr_disks; i++) {
		if (!replica_path_is_allowed(d->config.replica_paths, r->disks[i].path))
			return failure_set(
				f, CODE_ACCESS_DENIED, -EACCES,
				"A peer may not name %.128s as the disk of a replica: add its "
				"directory to `replica-paths` in failbackd.conf here, or make this "
				"half with `failback apply`.",
				r->disks[i].path);
	}
	return 0;
}

static int check_disks(const struct relationship_record *r, struct failure *f)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < r->nr_disks; i++) {
		int fd = -1;

		rc = trackers_open_target(&r->disks[i], r->disks[i].size_bytes, &fd, f);
		if (!rc)
			(void)close_fd(fd);
	}
	return rc;
}

static int fill_replica(const struct address *peer, const struct call *call,
			struct relationship_record *r, struct failure *f)
{
	struct address address = *peer;
	struct relationship_role role;

	if (!relationship_step(ROLE_NONE, EVENT_CREATED_BY_PEER, &role))
		return -EINVAL;
	address_set_port(&address, call->port);
	(void)address_format(&address, r->peer);
	r->vm = call->vm;
	memcpy(r->name, call->name, sizeof(r->name));
	r->mode = role.mode;
	r->state = role.state;
	r->health = HEALTH_WARNING;
	r->term = 1;
	r->disks = calloc(max_of(call->nr_disks, (size_t)1), sizeof(*r->disks));
	if (!r->disks)
		return out_of_memory(f);
	r->nr_disks = call->nr_disks;
	for (size_t i = 0; i < call->nr_disks; i++) {
		memcpy(r->disks[i].name, call->disks[i].name, sizeof(r->disks[i].name));
		(void)snprintf(r->disks[i].path, sizeof(r->disks[i].path), "%s",
			       call->disks[i].path);
		memcpy(r->disks[i].tracker, call->disks[i].tracker, sizeof(r->disks[i].tracker));
		r->disks[i].size_bytes = call->disks[i].size_bytes;
	}
	return 0;
}

/* The answer to the call before may have been lost. What was received since would be overwritten. */
static int check_repeated(const struct relationship_record *there, const struct relationship_record *r,
			  struct failure *f)
{
	if (there->mode != r->mode || there->state != r->state || strcmp(there->peer, r->peer) != 0)
		return failure_set(f, CODE_INVALID_STATE, -EEXIST,
				   "There is a relationship for VM %.64s here already.", r->name);
	if (strcmp(there->name, r->name) == 0 && admission_same_disks(there, r) && uuid_is_nil(&there->base))
		return 0;
	return failure_set(f, CODE_INVALID_STATE, -EEXIST,
			   "VM \"%.64s\" is on that host already, with other disks or another name, or was changed "
			   "there since: `failback remove` it there first.",
			   there->name);
}

int create_for_peer(struct daemon *d, const struct address *peer, const struct call *call,
		    struct failure *f)
{
	_cleanup_(relationship_record_clear) struct relationship_record r = { 0 };
	struct vm *vm = vm_find(d, &call->vm);
	int rc;

	rc = fill_replica(peer, call, &r, f);
	if (rc)
		return rc;
	if (vm)
		return check_repeated(&vm->r, &r, f);
	rc = admission_check_name(r.name, f);
	if (!rc)
		rc = check_paths(d, &r, f);
	if (!rc)
		rc = check_claims(d, &r, true, f);
	if (!rc)
		rc = admission_check_table(d->config.tracker_table, &r, f);
	if (!rc)
		rc = check_disks(&r, f);
	/* A name that two have is of no use to the operator of either. */
	if (!rc && vm_find_by_name(d, r.name, &vm, NULL) != -ENOENT)
		rc = failure_set(f, CODE_INVALID_PARAMETER, -EEXIST,
				 "There is another VM named %.64s on that host already: give this one another "
				 "name, or `failback remove` the other one there, if it is not wanted any "
				 "more.",
				 r.name);
	/* What a peer names is fenced here: no device but the disk's own tracker. */
	if (!rc)
		rc = trackers_check_all_own(&r, f);
	if (!rc)
		rc = labels_check_free(&r, true, f);
	if (!rc)
		rc = vm_add(d, &r, f);
	if (rc)
		return rc;
	vm = vm_find(d, &call->vm);
	vm_sync_fence(vm);
	log_notice("VM %s: this host is the replica of %s, as the peer asked", vm->r.name,
		   vm->r.peer);
	return 0;
}

/* --- the end --- */

struct job *remove_start(struct vm *vm, struct failure *f)
{
	struct relationship_record next = vm->r;
	char name[VM_NAME_MAX + 1];
	struct failure why;
	struct job *job;

	if ((!vm->r.unreadable && vm_apply_event(vm, EVENT_REMOVE, &next, f)) ||
	    vm_check_idle(vm, f) || delta_settle(vm, f))
		return NULL;
	job = job_start(vm, JOB_REMOVE, f);
	if (!job)
		return NULL;
	memcpy(name, vm->r.name, sizeof(name));
	takeover_forget(vm);
	if (vm_remove(vm, &why)) {
		job_end(job, &why);
		return job;
	}
	job_end(job, NULL);
	log_notice("VM %s is not replicated any more, as far as this host goes", name);
	return job;
}
