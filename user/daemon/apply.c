// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "daemon/admission.h"
#include "daemon/calls.h"
#include "daemon/claims.h"
#include "daemon/delta_end.h"
#include "daemon/delta_receive.h"
#include "daemon/fence.h"
#include "daemon/journals.h"
#include "daemon/labels.h"
#include "daemon/vm.h"
#include "lib/devid.h"
#include "lib/json.h"
#include "lib/settings.h"

#define RELATIONSHIPS_MAX 4096
#define SECTOR_BYTES	  512U

static int out_of_memory(struct failure *f)
{
	return failure_no_memory(f);
}

/* --- reading --- */

static int read_disk(const char *what, struct json_object *item, struct disk_record *ret,
		     struct failure *f)
{
	static const char *const members[] = { "name", "size", "path", "tracker" };
	int rc;

	rc = json_check_members(what, item, members, ARRAY_SIZE(members), f);
	if (!rc)
		rc = json_get_text(what, item, "name", true, ret->name, sizeof(ret->name), f);
	if (!rc)
		rc = json_get_uint(what, item, "size", true, INT64_MAX, &ret->size_bytes, f);
	if (!rc)
		rc = json_get_text(what, item, "path", false, ret->path, sizeof(ret->path), f);
	if (!rc)
		rc = json_get_text(what, item, "tracker", false, ret->tracker, sizeof(ret->tracker),
				   f);
	if (rc)
		return rc;
	if (!ret->name[0] || !ret->size_bytes || ret->size_bytes % SECTOR_BYTES)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "%s: a disk needs a name, and a size that is a multiple of 512.",
				   what);
	if (ret->path[0] && ret->path[0] != '/')
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "%s: the path of disk %s must begin with '/'.", what, ret->name);
	return fence_check_tracker(ret, f);
}

static int read_disks(const char *what, struct json_object *item, struct relationship_record *r,
		      struct failure *f)
{
	struct json_object *array = NULL;
	int rc = json_get_array(what, item, "disks", true, CALL_DISKS_MAX, &array, f);
	size_t nr;

	if (rc)
		return rc;
	nr = json_object_array_length(array);
	r->disks = calloc(nr, sizeof(*r->disks));
	if (!r->disks)
		return out_of_memory(f);
	for (size_t i = 0; i < nr; i++) {
		rc = read_disk(what, json_object_array_get_idx(array, i), &r->disks[i], f);
		if (rc)
			return rc;
		r->nr_disks = i + 1;
		for (size_t j = 0; j < i; j++) {
			if (strcmp(r->disks[i].name, r->disks[j].name) == 0)
				return failure_set(f, CODE_INVALID_PARAMETER, -EEXIST,
						   "%s: two disks are named %s.", what,
						   r->disks[i].name);
		}
	}
	return 0;
}

static int read_settings(const char *what, struct json_object *item, struct relationship_record *r,
			 struct failure *f)
{
	_cleanup_(settings_clear) struct settings settings = { 0 };
	struct json_object *object = NULL;
	int rc;

	if (!json_object_object_get_ex(item, "settings", &object) || !object)
		return 0;
	if (!json_object_is_type(object, json_type_object))
		return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EINVAL,
				   "%s: \"settings\" must be an object.", what);
	rc = settings_parse(json_object_to_json_string(object), &settings, f);
	if (rc)
		return rc;
	r->settings = settings_to_json(&settings);
	return r->settings ? 0 : out_of_memory(f);
}

static int read_role(const char *what, struct json_object *item, struct relationship_record *r,
		     struct failure *f)
{
	struct relationship_role ignored;
	uint64_t mode = MODE_PRIMARY;
	uint64_t state = STATE_REPLICATING;
	int rc;

	rc = json_get_uint(what, item, "mode", false, MODE_REPLICA, &mode, f);
	if (!rc)
		rc = json_get_uint(what, item, "state", false, NR_STATES - 1, &state, f);
	if (!rc)
		rc = json_get_uuid(what, item, "base", false, &r->base, f);
	if (rc)
		return rc;
	r->mode = (unsigned int)mode;
	r->state = (unsigned int)state;
	if (mode == MODE_NONE)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "%s: \"mode\" must be 1 (primary) or 2 (replica).", what);
	/* Which is legal in each role that there is. */
	if (!relationship_step((struct relationship_role){ r->mode, r->state }, EVENT_REMOVE,
			       &ignored))
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "%s: a host that is %s is never in state %u (%s).", what,
				   mode_name(r->mode), r->state, state_name(r->state));
	/* Failed over, and nothing protects the VM until the replication is reversed. */
	r->health = state == STATE_RECOVERED || state == STATE_COMMITTED ? HEALTH_WARNING
									 : HEALTH_OK;
	return 0;
}

static int read_peer(struct json_object *item, const char *what, struct relationship_record *r,
		     struct failure *f)
{
	struct address peer;
	int rc = json_get_text(what, item, "peer", true, r->peer, sizeof(r->peer), f);

	if (!rc)
		rc = address_parse(r->peer, PEER_PORT, &peer, f);
	if (!rc)
		(void)address_format(&peer, r->peer);
	return rc;
}

static int read_relationship(struct json_object *item, struct relationship_record *ret,
			     struct failure *f)
{
	static const char *const members[] = { "vm",	"name", "peer",	    "mode",
					       "state", "base", "settings", "disks" };
	_cleanup_(relationship_record_clear) struct relationship_record r = { 0 };
	char what[96] = "a relationship";
	int rc;

	rc = json_check_members(what, item, members, ARRAY_SIZE(members), f);
	if (!rc)
		rc = json_get_text(what, item, "name", true, r.name, sizeof(r.name), f);
	if (rc)
		return rc;
	(void)snprintf(what, sizeof(what), "relationship \"%.64s\"", r.name);
	rc = json_get_uuid(what, item, "vm", true, &r.vm, f);
	if (!rc && (uuid_is_nil(&r.vm) || !r.name[0]))
		rc = failure_set(f, CODE_INVALID_PARAMETER, -EINVAL, "%s needs a name and a UUID.",
				 what);
	if (!rc)
		rc = read_peer(item, what, &r, f);
	if (!rc)
		rc = read_role(what, item, &r, f);
	if (!rc)
		rc = read_settings(what, item, &r, f);
	if (!rc)
		rc = read_disks(what, item, &r, f);
	if (rc)
		return rc;
	*ret = r;
	memset(&r, 0, sizeof(r));
	return 0;
}

/* --- comparing and changing --- */

static bool same_configuration(const struct relationship_record *a,
			       const struct relationship_record *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->peer, b->peer) == 0 &&
	       strcmp(a->settings ? a->settings : "{}", b->settings ? b->settings : "{}") == 0 &&
	       admission_same_disks(a, b);
}

static const struct disk_record *find_disk(const struct relationship_record *r, const char *name)
{
	for (size_t i = 0; i < r->nr_disks; i++) {
		if (strcmp(r->disks[i].name, name) == 0)
			return &r->disks[i];
	}
	return NULL;
}

/*
 * What was noted belongs to the disk, not to the name of its tracker: another tracker has another
 * map, and is to be noticed.
 */
static void keep_notes(const struct relationship_record *from, struct relationship_record *to)
{
	for (size_t i = 0; i < to->nr_disks; i++) {
		const struct disk_record *disk = find_disk(from, to->disks[i].name);

		if (!disk)
			continue;
		to->disks[i].tracker_uuid = disk->tracker_uuid;
		to->disks[i].tracker_generation = disk->tracker_generation;
		to->disks[i].map_lost = disk->map_lost;
		to->disks[i].send = disk->send;
	}
}

/* One disk under two names? */
static bool is_one_disk(const char *a, const char *b)
{
	struct devid id_a = devid_of(a);
	struct devid id_b = devid_of(b);

	return strcmp(a, b) == 0 || devid_is_same(&id_a, &id_b);
}

/* A primary notices another disk by its tracker; on a replica nothing else tells of one. */
static bool has_another_disk(const struct relationship_record *from,
			     const struct relationship_record *to)
{
	for (size_t i = 0; i < to->nr_disks; i++) {
		const struct disk_record *disk = find_disk(from, to->disks[i].name);

		if (!disk || !is_one_disk(disk->path, to->disks[i].path))
			return true;
	}
	return false;
}

static int change(struct vm *vm, struct relationship_record *r, struct failure *f)
{
	struct relationship_record next = vm->r;
	int rc;

	keep_notes(&vm->r, r);
	if (vm->r.mode == MODE_REPLICA && has_another_disk(&vm->r, r)) {
		/* No delta will do on it: all is compared first. A nil base would cover a nil one. */
		if (uuid_new(&next.base))
			return failure_set(f, CODE_FAILED, -EIO, "Cannot make a UUID.");
		memset(&next.epoch, 0, sizeof(next.epoch));
		next.inconsistent = true;
	}
	memcpy(next.name, r->name, sizeof(next.name));
	memcpy(next.peer, r->peer, sizeof(next.peer));
	next.settings = r->settings;
	next.disks = r->disks;
	next.nr_disks = r->nr_disks;
	vm_forget_guesses(vm);
	rc = vm_change(vm, &next, f);
	if (rc)
		return rc;
	r->settings = NULL;
	r->disks = NULL;
	vm_sync_fence(vm);
	return 0;
}

/*
 * Who applies a relationship asserts what it says, and so also that the VM may run here, if its role
 * allows it: until the next boot.
 */
static int add(struct daemon *d, struct relationship_record *r, struct failure *f)
{
	bool failed_over = r->state == STATE_RECOVERED || r->state == STATE_COMMITTED;
	struct uuid uuid = r->vm;
	int rc;

	r->term = 1;
	r->ceded = r->mode == MODE_PRIMARY && r->state == STATE_PREPARED;
	if (r->mode == MODE_PRIMARY ? !r->ceded : failed_over)
		(void)snprintf(r->boot, sizeof(r->boot), "%s", d->boot);
	rc = vm_add(d, r, f);
	if (!rc)
		vm_sync_fence(vm_find(d, &uuid));
	return rc;
}

struct batch {
	struct relationship_record *records;
	size_t nr;
};

static void batch_clear(struct batch *batch)
{
	for (size_t i = 0; i < batch->nr; i++)
		relationship_record_clear(&batch->records[i]);
	free(batch->records);
}

static int read_batch(const char *json, struct batch *batch, struct failure *f)
{
	static const char *const members[] = { "version", "relationships" };
	static const char what[] = "the text";
	cleanup_json struct json_object *object = NULL;
	struct json_object *array = NULL;
	uint64_t version = 0;
	int rc;

	rc = json_parse_object(what, json, &object, f);
	if (!rc)
		rc = json_check_members(what, object, members, ARRAY_SIZE(members), f);
	if (!rc)
		rc = json_get_uint(what, object, "version", true, UINT32_MAX, &version, f);
	if (!rc && version != 1)
		rc = failure_set(f, CODE_NOT_SUPPORTED, -EPROTONOSUPPORT,
				 "Only \"version\" 1 is known, not %llu.",
				 (unsigned long long)version);
	if (!rc)
		rc = json_get_array(what, object, "relationships", false, RELATIONSHIPS_MAX, &array,
				    f);
	if (rc || !array)
		return rc;
	batch->records =
		calloc(max_of(json_object_array_length(array), (size_t)1), sizeof(*batch->records));
	if (!batch->records)
		return out_of_memory(f);
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		rc = read_relationship(json_object_array_get_idx(array, i), &batch->records[i], f);
		if (rc)
			return rc;
		batch->nr = i + 1;
	}
	return 0;
}

/* A journal is of the disks as they were when its delta came, in their order. */
static bool journal_fits(const struct relationship_record *from,
			 const struct relationship_record *to)
{
	bool fits = from->nr_disks == to->nr_disks;

	for (size_t i = 0; fits && i < to->nr_disks; i++)
		fits = strcmp(from->disks[i].name, to->disks[i].name) == 0 &&
		       from->disks[i].size_bytes == to->disks[i].size_bytes &&
		       is_one_disk(from->disks[i].path, to->disks[i].path);
	return fits;
}

static int check_journal(struct vm *vm, const struct relationship_record *r, struct failure *f)
{
	if (!vm->r.journal[0] || journal_fits(&vm->r, r))
		return 0;
	if (journal_is_partial(vm))
		return journal_drop(vm, f);
	receive_settle(vm);
	return failure_set(f, CODE_IN_USE, -EBUSY,
			   "A delta that arrived is in the journal of VM %.64s, for the disks that it has "
			   "now, and goes there first: repeat this when `failback jobs` shows that it "
			   "did. A disk that has another name meanwhile needs a link under the old one; "
			   "if it is lost, `failback remove %.64s` and apply this half anew.%s%.200s",
			   vm->r.name, vm->r.name, vm->unsettled[0] ? " The last time: " : "", vm->unsettled);
}

static int check_vms(const struct batch *batch, struct failure *f)
{
	for (size_t i = 0; i < batch->nr; i++) {
		for (size_t j = 0; j < i; j++) {
			if (uuid_equal(&batch->records[i].vm, &batch->records[j].vm))
				return failure_set(f, CODE_INVALID_PARAMETER, -EEXIST,
						   "Two relationships are for one VM: \"%.64s\" and "
						   "\"%.64s\".",
						   batch->records[j].name, batch->records[i].name);
		}
	}
	return 0;
}

/* What is in the database goes on as it is. */
static int check_new(const struct daemon *d, const struct vm *vm, const struct relationship_record *r,
		     struct failure *f)
{
	int rc = 0;

	if (!vm || strcmp(vm->r.name, r->name) != 0)
		rc = admission_check_name(r->name, f);
	if (!rc && (!vm || !admission_same_disks(&vm->r, r)))
		rc = admission_check_table(d->config.tracker_table, r, f);
	return rc || vm ? rc : labels_check_free(r, false, f);
}

static int check_batch(struct daemon *d, const struct batch *batch, struct failure *f)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < batch->nr; i++) {
		struct vm *vm = vm_find(d, &batch->records[i].vm);

		rc = check_new(d, vm, &batch->records[i], f);
		if (!rc && vm && !same_configuration(&vm->r, &batch->records[i])) {
			rc = vm_check_readable(vm, f);
			if (!rc)
				rc = vm_check_idle(vm, f);

			/* While its trackers still have the names that it was frozen under. */
			if (!rc)
				rc = delta_settle(vm, f);
			if (!rc)
				rc = check_journal(vm, &batch->records[i], f);
		}
	}
	return rc;
}

static bool changes(struct daemon *d, const struct relationship_record *r)
{
	const struct vm *vm = vm_find(d, &r->vm);

	return !vm || !same_configuration(&vm->r, r);
}

static const struct relationship_record *find_in_batch(const struct batch *batch,
						       const struct uuid *vm)
{
	for (size_t i = 0; i < batch->nr; i++) {
		if (uuid_equal(&batch->records[i].vm, vm))
			return &batch->records[i];
	}
	return NULL;
}

/* What stays as it is first: whoever changes may not take of that, nor of each other. */
static int check_claims(struct daemon *d, const struct batch *batch, struct failure *f)
{
	_cleanup_(claims_clear) struct claims claims = { 0 };
	int rc = 0;

	for (const struct vm *vm = d->vms; !rc && vm; vm = vm->next) {
		const struct relationship_record *r = find_in_batch(batch, &vm->r.vm);

		if (!r || !changes(d, r))
			rc = claims_add(&claims, &vm->r, f);
	}
	for (size_t i = 0; !rc && i < batch->nr; i++) {
		if (changes(d, &batch->records[i]))
			rc = claims_take(&claims, &batch->records[i], f);
	}
	return rc;
}

int apply_relationships(struct daemon *d, const char *json, bool *ret_changed, char *text,
			size_t size, struct failure *f)
{
	_cleanup_(batch_clear) struct batch batch = { 0 };
	size_t nr_added = 0;
	size_t nr_changed = 0;
	int rc;

	rc = read_batch(json, &batch, f);
	if (!rc)
		rc = check_vms(&batch, f);
	if (!rc)
		rc = check_claims(d, &batch, f);
	if (!rc)
		rc = check_batch(d, &batch, f);
	for (size_t i = 0; !rc && i < batch.nr; i++) {
		struct vm *vm = vm_find(d, &batch.records[i].vm);

		if (!vm) {
			rc = add(d, &batch.records[i], f);
			nr_added++;
		} else if (!same_configuration(&vm->r, &batch.records[i])) {
			rc = change(vm, &batch.records[i], f);
			nr_changed++;
		}
	}
	if (rc)
		return rc;
	*ret_changed = nr_added || nr_changed;
	(void)snprintf(text, size, "%zu relationships: %zu added, %zu changed, %zu as they were.",
		       batch.nr, nr_added, nr_changed, batch.nr - nr_added - nr_changed);
	return 0;
}

/* --- writing --- */

static struct json_object *disk_to_json(const struct disk_record *disk)
{
	struct json_object *object = json_object_new_object();

	json_add_text(object, "name", disk->name);
	json_add_uint(object, "size", disk->size_bytes);
	json_add_text(object, "path", disk->path);
	json_add_text(object, "tracker", disk->tracker);
	return object;
}

static struct json_object *relationship_to_json(const struct relationship_record *r)
{
	struct json_object *object = json_object_new_object();
	struct json_object *disks = json_object_new_array();

	json_add_uuid(object, "vm", &r->vm);
	json_add_text(object, "name", r->name);
	json_add_text(object, "peer", r->peer);
	json_add_uint(object, "mode", r->mode);
	json_add_uint(object, "state", r->state);
	json_add_uuid(object, "base", &r->base);
	(void)json_object_object_add(object, "settings",
				     json_tokener_parse(r->settings ? r->settings : "{}"));
	for (size_t i = 0; i < r->nr_disks; i++)
		(void)json_object_array_add(disks, disk_to_json(&r->disks[i]));
	(void)json_object_object_add(object, "disks", disks);
	return object;
}

char *export_relationships(const struct daemon *d)
{
	cleanup_json struct json_object *object = json_object_new_object();
	struct json_object *array = json_object_new_array();
	const char *text;

	json_add_uint(object, "version", 1);
	for (const struct vm *vm = d->vms; vm; vm = vm->next)
		(void)json_object_array_add(array, relationship_to_json(&vm->r));
	(void)json_object_object_add(object, "relationships", array);
	text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
							      JSON_C_TO_STRING_NOSLASHESCAPE);
	return text ? strdup(text) : NULL;
}
