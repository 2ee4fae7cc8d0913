// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/readiness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "daemon/definition_send.h"
#include "daemon/journals.h"
#include "daemon/relationship.h"
#include "daemon/trackers.h"
#include "lib/devid.h"
#include "lib/holder.h"

#define NOT_ASKED 1 /* another point has said why, or there is nothing to be asked */

struct check {
	const struct vm *vm;
	uint64_t bytes;
	struct tracker_info *infos; /* in the order of the disks; NULL: not to be had */
};

/* --- the relationship --- */

static int check_state(struct check *c, struct failure *f)
{
	char role[96];

	if (c->vm->r.state == STATE_REPLICATING)
		return 0;
	relationship_role_text(vm_role(c->vm), role, sizeof(role));
	return failure_set(f, CODE_INVALID_STATE, -EBADE,
			   "The VM is %s. Deltas come and go by themselves in state 3 (Replicating) only; "
			   "`failback help states` says what leads there.",
			   role);
}

static int check_health(struct check *c, struct failure *f)
{
	const struct relationship_record *r = &c->vm->r;

	if (r->health <= HEALTH_OK)
		return 0;
	return failure_set(f, CODE_INVALID_STATE, -EBADE, "%s: %.400s", health_name(r->health),
			   r->last_error[0] ? r->last_error : "the last replication did not end well.");
}

static int check_base(struct check *c, struct failure *f)
{
	const struct relationship_record *r = &c->vm->r;

	if (uuid_is_nil(&r->base))
		return failure_set(f, CODE_INVALID_STATE, -ENODATA,
				   "There is no instant yet that both hosts held: `failback initial "
				   "%.64s`, or `failback resume %.64s`, on the primary sends the first.",
				   r->name, r->name);
	if (r->mode == MODE_REPLICA && r->inconsistent)
		return failure_set(f, CODE_INVALID_STATE, -EBADE,
				   "The disks hold no instant of the VM's now: `failback resume %.64s` on "
				   "the primary brings them to the next one.",
				   r->name);
	return 0;
}

/* --- disks and trackers --- */

/* Below its tracker, where nobody sees it. */
static int check_not_bypassed(const struct disk_record *disk, struct failure *f)
{
	char who[HOLDER_TEXT_MAX];

	if (!disk->tracker[0] || !disk->path[0] || !holder_writer(disk->path, who))
		return 0;
	return failure_set(f, CODE_IN_USE, -EBUSY,
			   "Disk %s (%.128s) is written below its tracker, which does not see it: %s. Only "
			   "/dev/mapper/%s is the VM's; once it has that, `failback suspend` and `failback resync` "
			   "find what was missed.",
			   disk->name, disk->path, who, disk->tracker);
}

static int check_disks(struct check *c, struct failure *f)
{
	const struct relationship_record *r = &c->vm->r;
	int rc = vm_check_disks(c->vm, f);

	for (size_t i = 0; !rc && i < r->nr_disks; i++) {
		const struct disk_record *disk = &r->disks[i];
		uint64_t size_bytes = disk->size_bytes;

		if (disk->path[0])
			rc = devid_size(disk->path, &size_bytes, f);
		if (!rc && size_bytes < disk->size_bytes)
			rc = failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
					 "Disk %s, %.200s, has %llu bytes, and needs %llu: make it larger.",
					 disk->name, disk->path, (unsigned long long)size_bytes,
					 (unsigned long long)disk->size_bytes);
		if (!rc)
			rc = check_not_bypassed(disk, f);
	}
	return rc;
}

static int check_trackers(struct check *c, struct failure *f)
{
	cleanup_free struct tracker_info *infos =
		calloc(max_of(c->vm->r.nr_disks, (size_t)1), sizeof(*infos));
	int rc;

	if (!infos)
		return failure_no_memory(f);
	rc = trackers_get(&c->vm->r, infos, f);
	if (!rc)
		c->infos = steal_ptr(infos);
	return rc;
}

static int check_sizes(struct check *c, struct failure *f)
{
	return c->infos ? trackers_check_sizes(&c->vm->r, c->infos, f) : NOT_ASKED;
}

static int check_store(const struct tracker_info *info, struct failure *f)
{
	if (!info->has_store)
		return failure_set(f, CODE_NOT_AVAILABLE, -ENOENT,
				   "Tracker %s has no store: its map ends with the next boot, and what "
				   "differs is not known then. `cbtctl format` makes one.",
				   info->name);
	if (info->failure[0] || info->state == CBT_STATE_LOST)
		return failure_set(f, CODE_NOT_AVAILABLE, -EIO,
				   "The store of tracker %s failed, what is written is not recorded: give "
				   "it a sound one, then `failback resync`. %s",
				   info->name, info->failure);
	if (info->state == CBT_STATE_BYPASSED)
		return failure_set(f, CODE_NOT_AVAILABLE, -EIO,
				   "Tracker %s is bypassed, what is written is not recorded: `cbtctl "
				   "activate`, then `failback resync`.",
				   info->name);
	return 0;
}

static int check_stores(struct check *c, struct failure *f)
{
	int rc = c->infos ? 0 : NOT_ASKED;

	for (size_t i = 0; !rc && i < c->vm->r.nr_disks; i++)
		rc = check_store(&c->infos[i], f);
	return rc;
}

static int check_maps(struct check *c, struct failure *f)
{
	if (!c->infos || trackers_check_sizes(&c->vm->r, c->infos, NULL))
		return NOT_ASKED;
	return trackers_check(&c->vm->r, c->infos, NULL, f);
}

/* --- the host --- */

static int check_certificate(struct check *c, struct failure *f)
{
	static const char whose[] = "The host's certificate";
	static const char where[] = "on that host"; /* the peer shows it, too */
	const struct host_config *config = &c->vm->daemon->config;
	const struct tls_files files = host_config_tls_files(config);
	struct validity validity;
	struct address peer;
	int rc = address_parse(c->vm->r.peer, PEER_PORT, &peer, f);

	if (!rc && address_is_in_list(&peer, config->plain))
		return NOT_ASKED;
	if (!rc)
		rc = tls_identity_validity(&files, &validity, f);
	if (!rc)
		rc = validity_check(&validity, time(NULL), whose, where, f);
	if (!rc && validity_warning(&validity, time(NULL), whose, where, f))
		rc = -EKEYEXPIRED;
	return rc;
}

static int check_journal(struct check *c, struct failure *f)
{
	struct failure why;
	int rc = journal_check_room(c->vm->daemon, c->bytes, &why);

	if (rc == -EOPNOTSUPP)
		return NOT_ASKED;
	return rc ? failure_set(f, (enum code)why.code, rc,
				"A delta would be received in place, and could not be failed over to while "
				"it is: %.400s. Make room, or see the setting journal-dir.",
				why.text) :
		    0;
}

static int check_definition(struct check *c, struct failure *f)
{
	const struct vm *vm = c->vm;

	if (!definition_is_sent(vm))
		return NOT_ASKED;
	return vm->definition_trouble[0] ?
		       failure_set(f, CODE_NOT_AVAILABLE, -EIO,
				   "The VM's definition does not reach its replica: %.400s",
				   vm->definition_trouble) :
		       0;
}

void readiness_check(const struct vm *vm, uint64_t bytes, struct call_points *ret)
{
	static const struct {
		const char *name;
		int (*check)(struct check *c, struct failure *f);
	} checks[] = {
		{ "state", check_state },	{ "health", check_health },
		{ "base", check_base },		{ "disks", check_disks },
		{ "trackers", check_trackers }, { "sizes", check_sizes },
		{ "stores", check_stores },	{ "maps", check_maps },
		{ "certificate", check_certificate }, { "journal", check_journal },
		{ "definition", check_definition },
	};
	struct check c = { .vm = vm, .bytes = bytes };
	struct failure why;

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		int rc = checks[i].check(&c, &why);

		if (rc <= 0)
			call_points_add(ret, checks[i].name, rc ? &why : NULL);
	}
	free(c.infos);
}

/* --- both --- */

static int compare_roles(const struct vm *vm, const struct reply *peer, struct failure *f)
{
	bool opposite = (vm->r.mode == MODE_PRIMARY && peer->mode == MODE_REPLICA) ||
			(vm->r.mode == MODE_REPLICA && peer->mode == MODE_PRIMARY);

	if (opposite)
		return 0;
	return failure_set(f, CODE_INVALID_STATE, -EBADE,
			   "The VM is %s here and %s on the peer: one has to be the primary, and one the "
			   "replica.",
			   mode_name(vm->r.mode), mode_name(peer->mode));
}

static int compare_disks(const struct vm *vm, const struct reply *peer, struct failure *f)
{
	for (size_t i = 0; i < vm->r.nr_disks; i++) {
		const struct disk_record *disk = &vm->r.disks[i];
		const struct reply_disk *there = reply_find_disk(peer, disk->name);

		if (!there)
			return failure_set(f, CODE_INVALID_PARAMETER, -ENOENT,
					   "The peer has no disk %s of the VM: `failback apply` there adds "
					   "it.",
					   disk->name);
		if (there->size_bytes != disk->size_bytes)
			return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
					   "Disk %s has %llu bytes here and %llu on the peer: correct the "
					   "sizes with `failback apply`.",
					   disk->name, (unsigned long long)disk->size_bytes,
					   (unsigned long long)there->size_bytes);
	}
	if (peer->nr_disks == vm->r.nr_disks)
		return 0;
	return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
			   "The VM has %zu disks here and %zu on the peer: `failback apply` adds those that "
			   "are missing.",
			   vm->r.nr_disks, peer->nr_disks);
}

static int compare_bases(const struct vm *vm, const struct reply *peer, struct failure *f)
{
	static const struct uuid none;
	bool primary = vm->r.mode == MODE_PRIMARY;
	bool covered;

	if (peer->busy || uuid_is_nil(&vm->r.base) || uuid_is_nil(&peer->base))
		return NOT_ASKED;
	covered = primary ? base_is_covered(&peer->base, &none, &vm->r.base, vm->r.aborted,
					    vm->r.nr_aborted) :
			    base_is_covered(&vm->r.base, &none, &peer->base, peer->aborted,
					    peer->nr_aborted);
	if (covered)
		return 0;
	return failure_set(f, CODE_INVALID_STATE, -ESTALE,
			   "The two hosts do not name one instant that both held: `failback resync %.64s` on "
			   "the primary.",
			   vm->r.name);
}

void readiness_compare(const struct vm *vm, const struct reply *peer, struct call_points *ret)
{
	static const struct {
		const char *name;
		int (*compare)(const struct vm *vm, const struct reply *peer, struct failure *f);
	} comparisons[] = {
		{ "roles", compare_roles },
		{ "equal disks", compare_disks },
		{ "common base", compare_bases },
	};
	struct failure why;

	for (size_t i = 0; i < ARRAY_SIZE(comparisons); i++) {
		int rc = comparisons[i].compare(vm, peer, &why);

		if (rc <= 0)
			call_points_add(ret, comparisons[i].name, rc ? &why : NULL);
	}
}

const struct call_point *readiness_wrong(const struct call_points *points)
{
	for (size_t i = 0; i < points->nr; i++) {
		if (points->list[i].text[0])
			return &points->list[i];
	}
	return NULL;
}
