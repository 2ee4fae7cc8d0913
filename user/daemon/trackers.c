// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/trackers.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "daemon/relationship.h"
#include "lib/dm.h"

#define SECTOR_BYTES 512U

/* Names in the order of the disks; refuses a disk without one. *@ret is malloc()ed. */
static int names_of(const struct relationship_record *r, const char ***ret, struct failure *f)
{
	const char **names = calloc(max_of(r->nr_disks, (size_t)1), sizeof(*names));

	if (!names)
		return failure_set(f, CODE_OUT_OF_MEMORY, -ENOMEM, "Out of memory.");
	for (size_t i = 0; i < r->nr_disks; i++) {
		names[i] = r->disks[i].tracker;
		if (names[i][0])
			continue;
		free(names);
		return failure_set(
			f, CODE_INVALID_PARAMETER, -ENOENT,
			"Disk %s of VM %.64s has no tracker; name one with `failback apply`.",
			r->disks[i].name, r->name);
	}
	*ret = names;
	return 0;
}

int trackers_get(const struct relationship_record *r, struct tracker_info *ret, struct failure *f)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	cleanup_free const char **names = NULL;
	int rc = names_of(r, &names, f);

	if (!rc)
		rc = nl_open(&nl, f);
	for (size_t i = 0; !rc && i < r->nr_disks; i++) {
		struct failure why;

		rc = nl_tracker_get(nl, names[i], &ret[i], &why);
		if (rc == -ENODEV)
			(void)failure_set(
				f, CODE_NOT_AVAILABLE, rc,
				"Disk %s of VM %.64s has no tracker %s: put the disk under a cbt "
				"target of "
				"that name (dmsetup), or name another one with `failback apply`.",
				r->disks[i].name, r->name, names[i]);
		else if (rc)
			(void)failure_set(f, (enum code)why.code, rc, "%s", why.text);
	}
	return rc;
}

static bool is_noted(const struct disk_record *disk, const struct tracker_info *info)
{
	return uuid_equal(&disk->tracker_uuid, &info->uuid) &&
	       disk->tracker_generation == info->generation;
}

/*
 * Does the map say all that was written since the base? None was noted for a disk that is new in
 * the relationship, or when the relationship itself was made anew from an export: then the
 * tracker has to know the base. Without a base, and on a replica, the operator says so.
 */
static bool reaches_back(const struct relationship_record *r, const struct disk_record *disk,
			 const struct tracker_info *info)
{
	if (!uuid_is_nil(&disk->tracker_uuid))
		return is_noted(disk, info);
	if (r->mode != MODE_PRIMARY || uuid_is_nil(&r->base))
		return true;
	return info->has_base && uuid_equal(&info->base_uuid, &r->base);
}

static int check_one(const struct relationship_record *r, const struct disk_record *disk,
		     const struct tracker_info *info, struct failure *f)
{
	uint64_t size_bytes = info->size_sectors * SECTOR_BYTES;

	if (size_bytes != disk->size_bytes)
		return failure_set(
			f, CODE_INVALID_PARAMETER, -EINVAL,
			"Disk %s of VM %.64s has %llu bytes according to its relationship, its "
			"tracker %s "
			"has %llu; correct the size with `failback apply`.",
			disk->name, r->name, (unsigned long long)disk->size_bytes, disk->tracker,
			(unsigned long long)size_bytes);
	if (!reaches_back(r, disk, info))
		return failure_set(
			f, CODE_NOT_SUPPORTED, -ESTALE,
			"The map of tracker %s was started anew or is another disk's, and does not "
			"reach back to the last replication of disk %s: a compare of the disks is "
			"needed, which this version lacks.",
			disk->tracker, disk->name);
	return 0;
}

int trackers_check(const struct relationship_record *r, const struct tracker_info *infos,
		   struct failure *f)
{
	for (size_t i = 0; i < r->nr_disks; i++) {
		int rc = check_one(r, &r->disks[i], &infos[i], f);

		if (rc)
			return rc;
	}
	return 0;
}

void trackers_note(struct disk_record *disks, size_t nr, const struct tracker_info *infos)
{
	for (size_t i = 0; i < nr; i++) {
		disks[i].tracker_uuid = infos[i].uuid;
		disks[i].tracker_generation = infos[i].generation;
	}
}

int trackers_freeze(const struct relationship_record *r, const struct uuid *epoch,
		    struct tracker_info *ret, struct failure *f)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	cleanup_free const char **names = NULL;
	int rc = names_of(r, &names, f);

	if (!rc)
		rc = nl_open(&nl, f);
	return rc ? rc : nl_freeze(nl, names, r->nr_disks, epoch, ret, f);
}

typedef int (*end_fn)(struct nl *nl, const char *const *trackers, size_t nr,
		      const struct uuid *epoch, struct tracker_info *ret, struct failure *f);

/* What the kernel says of a tracker that is gone, that is another one, or that was aborted. */
static bool nothing_is_frozen(int error)
{
	return error == -ENODEV || error == -ENOENT || error == -ECANCELED;
}

/* One by one: the kernel ends an epoch on all trackers that are named, or on none. */
static int end_on_each(end_fn end, const struct relationship_record *r, const struct uuid *epoch,
		       struct failure *f)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	cleanup_free const char **names = NULL;
	struct failure why;
	int rc = names_of(r, &names, f);

	if (rc)
		return rc;
	rc = nl_open(&nl, f);
	if (rc)
		return rc == -ENOPROTOOPT ? 0 : rc; /* no module, no epochs */
	for (size_t i = 0; i < r->nr_disks; i++) {
		int one = end(nl, &names[i], 1, epoch, NULL, &why);

		if (!one || nothing_is_frozen(one))
			continue;
		rc = failure_set(f, (enum code)why.code, one, "%s", why.text);
	}
	return rc;
}

int trackers_commit(const struct relationship_record *r, const struct uuid *epoch,
		    struct failure *f)
{
	return end_on_each(nl_commit, r, epoch, f);
}

int trackers_abort(const struct relationship_record *r, const struct uuid *epoch, struct failure *f)
{
	return end_on_each(nl_abort, r, epoch, f);
}

int trackers_check_closed(const struct relationship_record *r, struct failure *f)
{
	for (size_t i = 0; i < r->nr_disks; i++) {
		unsigned int count;
		int rc = dm_open_count(r->disks[i].tracker, &count, f);

		if (rc)
			return rc;
		if (count)
			return failure_set(
				f, CODE_IN_USE, -EBUSY,
				"Disk %s of VM %.64s is open (/dev/mapper/%s): shut the VM down "
				"first.",
				r->disks[i].name, r->name, r->disks[i].tracker);
	}
	return 0;
}

int trackers_check_unwritten(const struct relationship_record *r, struct failure *f)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;

	if (nl_open(&nl, NULL))
		return 0;
	for (size_t i = 0; i < r->nr_disks; i++) {
		const struct disk_record *disk = &r->disks[i];
		struct tracker_info info;

		if (uuid_is_nil(&disk->tracker_uuid) ||
		    nl_tracker_get(nl, disk->tracker, &info, NULL) || !is_noted(disk, &info) ||
		    !(info.dirty_active + info.dirty_frozen))
			continue;
		return failure_set(
			f, CODE_NOT_SUPPORTED, -ESTALE,
			"Disk %s of VM %.64s was written to (tracker %s) after its last delta: "
			"what was written would be lost without a compare, which this version "
			"lacks.",
			disk->name, r->name, disk->tracker);
	}
	return 0;
}

int trackers_dirty_bytes(const struct relationship_record *r, uint64_t *ret, struct failure *f)
{
	cleanup_free struct tracker_info *infos =
		calloc(max_of(r->nr_disks, (size_t)1), sizeof(*infos));
	uint64_t bytes = 0;
	int rc;

	if (!infos)
		return failure_set(f, CODE_OUT_OF_MEMORY, -ENOMEM, "Out of memory.");
	rc = trackers_get(r, infos, f);
	if (rc)
		return rc;
	/* A block may be in both maps: counted twice for as long as it is. */
	for (size_t i = 0; i < r->nr_disks; i++)
		bytes += (infos[i].dirty_active + infos[i].dirty_frozen) * infos[i].block_sectors *
			 SECTOR_BYTES;
	*ret = bytes;
	return 0;
}
