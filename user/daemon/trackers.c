// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/trackers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/macro.h"
#include "daemon/fence.h"
#include "daemon/relationship.h"
#include "lib/devid.h"
#include "lib/dm.h"
#include "lib/dm_table.h"
#include "lib/nl_control.h"

#define SECTOR_BYTES 512U

static uint64_t block_bytes(const struct tracker_info *info)
{
	return (uint64_t)info->block_sectors * SECTOR_BYTES;
}

/* The names that the trackers have now, in the order of the disks. */
struct names {
	char (*texts)[FENCE_NAME_MAX];
	const char **list;
};

static void names_clear(struct names *names)
{
	free(names->texts);
	free(names->list);
}

static int check_named(const struct relationship_record *r, const struct disk_record *disk,
		       struct failure *f)
{
	if (disk->tracker[0])
		return 0;
	return failure_set(f, CODE_INVALID_PARAMETER, -ENOENT,
			   "Disk %s of VM %.64s has no tracker; name one with `failback apply`.",
			   disk->name, r->name);
}

/* Refuses a disk without a tracker. */
static int names_of(const struct relationship_record *r, struct names *names, struct failure *f)
{
	int rc = 0;

	names->list = calloc(max_of(r->nr_disks, (size_t)1), sizeof(*names->list));
	names->texts = calloc(max_of(r->nr_disks, (size_t)1), sizeof(*names->texts));
	if (!names->list || !names->texts)
		return failure_no_memory(f);
	for (size_t i = 0; !rc && i < r->nr_disks; i++) {
		rc = check_named(r, &r->disks[i], f);
		names->list[i] = fence_name(&r->disks[i], names->texts[i]);
	}
	return rc;
}

static int get_one(struct nl *nl, const struct relationship_record *r,
		   const struct disk_record *disk, struct tracker_info *ret, struct failure *f)
{
	char name[FENCE_NAME_MAX];
	struct failure why;
	int rc = nl_tracker_get(nl, fence_name(disk, name), ret, &why);

	/* Where a VM may not run, nobody is told to put its device in sight. */
	if (rc == -ENODEV)
		return failure_set(f, CODE_NOT_AVAILABLE, rc,
				   "Disk %s of VM %.64s has no tracker %s%s: put the disk under a cbt target "
				   "of that name (`cbtctl activate`, or dmsetup), or name another one with "
				   "`failback apply`.",
				   disk->name, r->name, disk->tracker,
				   strcmp(name, disk->tracker) != 0 ||
						   (r->mode == MODE_REPLICA && !dm_exists(name)) ?
					   FENCE_SUFFIX :
					   "");
	if (rc)
		return failure_set(f, (enum code)why.code, rc, "%s", why.text);
	return 0;
}

int trackers_get(const struct relationship_record *r, struct tracker_info *ret, struct failure *f)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	int rc = 0;

	for (size_t i = 0; !rc && i < r->nr_disks; i++)
		rc = check_named(r, &r->disks[i], f);
	if (!rc)
		rc = nl_open(&nl, f);
	for (size_t i = 0; !rc && i < r->nr_disks; i++)
		rc = get_one(nl, r, &r->disks[i], &ret[i], f);
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
	if (info->state == CBT_STATE_LOST || info->state == CBT_STATE_BYPASSED)
		return false;
	if (!uuid_is_nil(&disk->tracker_uuid))
		return is_noted(disk, info) && !disk->map_lost;
	if (r->mode != MODE_PRIMARY || uuid_is_nil(&r->base))
		return true;
	return info->has_base && uuid_equal(&info->base_uuid, &r->base);
}

static int check_size(const struct relationship_record *r, const struct disk_record *disk,
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
	return 0;
}

static int check_map(const struct relationship_record *r, const struct disk_record *disk,
		     const struct tracker_info *info, struct failure *f)
{
	if (reaches_back(r, disk, info))
		return 0;
	return failure_set(f, CODE_INVALID_STATE, -ENODATA,
			   "The map of tracker %s was started anew or is another disk's, and does not "
			   "reach back to the last replication of disk %s: a resynchronisation is "
			   "needed (`failback resync %.64s`).",
			   disk->tracker, disk->name, r->name);
}

int trackers_check_sizes(const struct relationship_record *r, const struct tracker_info *infos,
			 struct failure *f)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < r->nr_disks; i++)
		rc = check_size(r, &r->disks[i], &infos[i], f);
	return rc;
}

int trackers_check(const struct relationship_record *r, const struct tracker_info *infos,
		   const bool *all, struct failure *f)
{
	int rc = trackers_check_sizes(r, infos, f);

	for (size_t i = 0; !rc && i < r->nr_disks; i++) {
		if (!all || !all[i])
			rc = check_map(r, &r->disks[i], &infos[i], f);
	}
	return rc;
}

void trackers_note(struct disk_record *disks, size_t nr, const struct tracker_info *infos,
		   const bool *all)
{
	for (size_t i = 0; i < nr; i++) {
		disks[i].map_lost = infos[i].state == CBT_STATE_LOST ||
				    (trackers_is_noted_lost(&disks[i], &infos[i]) &&
				     !(all && all[i]));
		disks[i].tracker_uuid = infos[i].uuid;
		disks[i].tracker_generation = infos[i].generation;
	}
}

/* No tracker has that UUID: whichever comes proves nothing of what was written before. */
static int note_missing(struct disk_record *disk, struct failure *f)
{
	int rc = uuid_new(&disk->tracker_uuid);

	if (rc)
		return failure_set(f, CODE_FAILED, rc, "No UUID can be made: %s.", strerror(-rc));
	disk->tracker_generation = 0;
	disk->map_lost = true;
	return 0;
}

/* Nobody asks, where device-mapper does not answer: that would be no failover either. */
static bool has_device(const struct disk_record *disk)
{
	char name[FENCE_NAME_MAX];

	return disk->tracker[0] && dm_exists(fence_name(disk, name));
}

int trackers_note_here(const struct relationship_record *r, bool force, struct disk_record *disks,
		       struct failure *f)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	struct failure closed;
	int no_module = nl_open(&nl, &closed);

	for (size_t i = 0; i < r->nr_disks; i++) {
		const struct disk_record *disk = &r->disks[i];
		struct tracker_info info;
		int rc = check_named(r, disk, f);

		if (rc)
			return rc;
		if (no_module)
			rc = failure_set(f, (enum code)closed.code, no_module, "%s", closed.text);
		else
			rc = get_one(nl, r, disk, &info, f);
		if (rc && !(force && has_device(disk)))
			return rc;
		if (!rc)
			trackers_note(&disks[i], 1, &info, NULL);
		else if (note_missing(&disks[i], f))
			return -EIO;
	}
	return 0;
}

int trackers_check_recording(const struct relationship_record *r, struct failure *f)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	int rc = nl_open(&nl, f);

	for (size_t i = 0; !rc && i < r->nr_disks; i++) {
		const struct disk_record *disk = &r->disks[i];
		struct tracker_info info = { 0 };

		if (disk->tracker[0])
			rc = get_one(nl, r, disk, &info, f);
		if (!rc && info.state == CBT_STATE_BYPASSED)
			rc = failure_set(f, CODE_NOT_AVAILABLE, -ENODEV,
					 "Tracker %s of disk %s is bypassed: `cbtctl activate`.", info.name,
					 disk->name);
	}
	/* Who has no memory for the question has no answer either. */
	return rc == -ENOMEM ? 0 : rc;
}

/* Of a disk for which another tracker was noted, this one's map proves nothing anyway. */
void trackers_note_lost(struct disk_record *disk, const struct tracker_info *info)
{
	if (!uuid_is_nil(&disk->tracker_uuid) && !is_noted(disk, info))
		return;
	disk->tracker_uuid = info->uuid;
	disk->tracker_generation = info->generation;
	disk->map_lost = true;
}

bool trackers_is_noted_lost(const struct disk_record *disk, const struct tracker_info *info)
{
	return disk->map_lost && is_noted(disk, info);
}

/* A disk may be slow for a moment, which a delta that is waited for should not end with. */
static int freeze(struct nl *nl, const struct names *names, size_t nr, const struct uuid *epoch,
		  struct tracker_info *ret, struct failure *f)
{
	static const struct timespec pause = { .tv_nsec = 200000000 };
	int rc = nl_freeze(nl, names->list, nr, epoch, ret, f);

	for (unsigned int again = 0; rc == -ETIMEDOUT && again < 2; again++) {
		(void)nanosleep(&pause, NULL);
		rc = nl_freeze(nl, names->list, nr, epoch, ret, f);
	}
	return rc;
}

int trackers_freeze(const struct relationship_record *r, const struct uuid *epoch,
		    struct tracker_info *ret, struct failure *f)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	_cleanup_(names_clear) struct names names = { 0 };
	int rc = names_of(r, &names, f);

	if (!rc)
		rc = nl_open(&nl, f);
	return rc ? rc : freeze(nl, &names, r->nr_disks, epoch, ret, f);
}

typedef int (*end_fn)(struct nl *nl, const char *const *trackers, size_t nr,
		      const struct uuid *epoch, struct tracker_info *ret, struct failure *f);

/* What the kernel says of a tracker that is gone, or that is another one. */
static bool nothing_is_frozen(int error)
{
	return error == -ENODEV || error == -ENOENT;
}

/* One by one: the kernel ends an epoch on all trackers that are named, or on none. */
static int end_on_each(end_fn end, const struct relationship_record *r, const struct uuid *epoch,
		       struct failure *f)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	_cleanup_(names_clear) struct names names = { 0 };
	struct failure why;
	int rc = names_of(r, &names, f);

	if (rc)
		return rc;
	rc = nl_open(&nl, f);
	if (rc)
		return rc == -ENOPROTOOPT ? 0 : rc; /* no module, no epochs */
	for (size_t i = 0; i < r->nr_disks; i++) {
		int one = end(nl, &names.list[i], 1, epoch, NULL, &why);

		if (!one || nothing_is_frozen(one))
			continue;
		rc = failure_set(f, (enum code)why.code, one, "%s", why.text);
	}
	return rc;
}

/*
 * One that broke after all of it had been read, or whose disk failed to flush it, stays frozen at a commit. The replica has it all the same; what
 * is frozen joins what the next delta sends, with which it arrives once more.
 */
static int commit_or_merge(struct nl *nl, const char *const *trackers, size_t nr,
			   const struct uuid *epoch, struct tracker_info *ret, struct failure *f)
{
	int rc = nl_commit(nl, trackers, nr, epoch, ret, f);

	if (rc != -ECANCELED)
		return rc;
	log_warning("%s What was sent is sent again with the next delta.", f->text);
	return nl_abort(nl, trackers, nr, epoch, ret, f);
}

int trackers_commit(const struct relationship_record *r, const struct uuid *epoch,
		    struct failure *f)
{
	return end_on_each(commit_or_merge, r, epoch, f);
}

int trackers_abort(const struct relationship_record *r, const struct uuid *epoch, struct failure *f)
{
	return end_on_each(nl_abort, r, epoch, f);
}

bool trackers_broken(const struct relationship_record *r, char ret[NL_REASON_LEN + 1])
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;

	for (size_t i = 0; i < r->nr_disks; i++) {
		char name[FENCE_NAME_MAX];
		struct tracker_info info;

		if ((!nl && nl_open(&nl, NULL)) ||
		    nl_tracker_get(nl, fence_name(&r->disks[i], name), &info, NULL) ||
		    !info.broken[0] || !uuid_equal(&info.frozen_uuid, &r->epoch))
			continue;
		memcpy(ret, info.broken, sizeof(info.broken));
		return true;
	}
	return false;
}

bool trackers_is_over(const struct disk_record *disk, const struct tracker_info *info)
{
	struct stat origin;

	return stat(disk->path, &origin) == 0 && origin.st_rdev == info->origin_dev;
}

static bool is_over_disk(const struct disk_record *disk, const char *name)
{
	char path[sizeof("/dev/mapper/") + FENCE_NAME_MAX];
	bool same = false;

	(void)snprintf(path, sizeof(path), "/dev/mapper/%s", name);
	return !devid_overlap(disk->path, path, &same, NULL) && same;
}

/* As `cbtctl` makes one where it cannot have the tracker, and no other: what is written to it arrives as it is. */
static bool stands_in(const struct disk_record *disk, const char *name)
{
	unsigned long long offset;
	unsigned int numbers[2];
	struct dm_table table;
	struct stat origin;

	return stat(disk->path, &origin) == 0 && dm_table_read(name, &table, NULL) == 0 &&
	       strcmp(table.type, "linear") == 0 &&
	       sscanf(table.params, "%u:%u %llu", &numbers[0], &numbers[1], &offset) == 3 && !offset &&
	       origin.st_rdev == makedev(numbers[0], numbers[1]);
}

/*
 * Is what the name of its tracker stands for the disk's, if it is there? -ENODEV: it is, but tracks nothing, as
 * without the module or the store; -EEXIST: it is something else.
 */
static int check_own(const struct disk_record *disk, struct failure *f)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	char name[FENCE_NAME_MAX];
	struct tracker_info info;
	struct failure why;
	unsigned int count;
	int rc;

	if (strchr(disk->tracker, '/'))
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "%.128s is no name of a tracker: it must not have a '/'.", disk->tracker);
	if (fence_check_tracker(disk, f))
		return -EINVAL;
	if (!disk->tracker[0])
		return 0;
	rc = dm_open_count(fence_name(disk, name), &count, f);
	if (rc)
		return rc == -ENXIO ? 0 : rc;
	rc = nl_open(&nl, &why);
	if (!rc)
		rc = nl_tracker_get(nl, name, &info, &why);
	if (!rc && trackers_is_over(disk, &info))
		return 0;
	if (rc && stands_in(disk, name))
		return failure_set(f, CODE_NOT_AVAILABLE, -ENODEV,
				   "Disk %s is there as %s, but not tracked. %.300s `cbtctl activate %s` puts its "
				   "tracker back.",
				   disk->name, name, why.text, disk->tracker);
	return failure_set(f, CODE_INVALID_PARAMETER, -EEXIST,
			   "The mapped device %s is not the tracker of disk %s, over %.128s: name another "
			   "tracker, or put that disk under it.",
			   name, disk->name, disk->path);
}

int trackers_check_all_own(const struct relationship_record *r, struct failure *f)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < r->nr_disks; i++)
		rc = check_own(&r->disks[i], f);
	return rc;
}

bool trackers_has_strange(const struct relationship_record *r)
{
	for (size_t i = 0; i < r->nr_disks; i++) {
		char name[FENCE_NAME_MAX];

		if (check_own(&r->disks[i], NULL) == -EEXIST &&
		    !is_over_disk(&r->disks[i], fence_name(&r->disks[i], name)))
			return true;
	}
	return false;
}

int trackers_check_closed(const struct relationship_record *r, struct failure *f)
{
	for (size_t i = 0; i < r->nr_disks; i++) {
		char name[FENCE_NAME_MAX];
		unsigned int count;
		int rc = dm_open_count(fence_name(&r->disks[i], name), &count, f);

		if (rc)
			return rc;
		if (count)
			return failure_set(
				f, CODE_IN_USE, -EBUSY,
				"Disk %s of VM %.64s is open (/dev/mapper/%s): shut the VM down "
				"first.",
				r->disks[i].name, r->name, name);
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
		char name[FENCE_NAME_MAX];

		if (uuid_is_nil(&disk->tracker_uuid) ||
		    nl_tracker_get(nl, fence_name(disk, name), &info, NULL) || !is_noted(disk, &info) ||
		    !(info.dirty_active + info.dirty_frozen))
			continue;
		return failure_set(
			f, CODE_INVALID_STATE, -ESTALE,
			"Disk %s of VM %.64s was written to (tracker %s) after its last delta: make a new "
			"plan.",
			disk->name, r->name, disk->tracker);
	}
	return 0;
}

void trackers_facts(const struct relationship_record *r, const struct disk_record *disk,
		    bool *ret_reaches_back, uint64_t *ret_dirty_bytes)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	char name[FENCE_NAME_MAX];
	struct tracker_info info;

	*ret_reaches_back = false;
	*ret_dirty_bytes = 0;
	if (!disk->tracker[0] || nl_open(&nl, NULL) ||
	    nl_tracker_get(nl, fence_name(disk, name), &info, NULL) || !reaches_back(r, disk, &info))
		return;
	*ret_reaches_back = true;
	*ret_dirty_bytes = (info.dirty_active + info.dirty_frozen) * info.block_sectors *
			   SECTOR_BYTES;
}

int trackers_mark(const struct relationship_record *r, size_t i, const struct extent *extents,
		  size_t nr, struct failure *f)
{
	cleanup_free struct cbt_blocks *ranges = calloc(max_of(nr, (size_t)1), sizeof(*ranges));
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	char name[FENCE_NAME_MAX];
	struct tracker_info info;
	int rc;

	if (!ranges)
		return failure_no_memory(f);
	rc = nl_open(&nl, f);
	if (!rc)
		rc = nl_tracker_get(nl, fence_name(&r->disks[i], name), &info, f);
	for (size_t n = 0; !rc && n < nr; n++) {
		uint64_t end = extents[n].offset + extents[n].length;
		uint64_t bytes = block_bytes(&info);

		if (end > info.size_sectors * SECTOR_BYTES)
			return failure_set(f, CODE_INVALID_PARAMETER, -ERANGE,
					   "The peer's map of disk %s reaches beyond its end.",
					   r->disks[i].name);
		ranges[n].start = extents[n].offset / bytes;
		ranges[n].nr = (end + bytes - 1) / bytes - ranges[n].start;
	}
	return rc || !nr ? rc : nl_mark(nl, name, ranges, nr, f);
}

struct map_reader {
	struct tracker_map *map;
	uint64_t block_bytes;
	uint64_t region_bytes;
	uint64_t disk_bytes; /* the last block, or region, may be a part of one */
};

static struct extent unit_extent(const struct map_reader *reader, uint64_t first, uint64_t nr,
				 uint64_t bytes)
{
	uint64_t start = first * bytes;

	return (struct extent){ start, min_of(start + nr * bytes, reader->disk_bytes) - start };
}

static int take_range(void *context, uint64_t first_block, uint64_t nr_blocks)
{
	struct map_reader *reader = context;
	struct tracker_map *map = reader->map;
	struct extent extent = unit_extent(reader, first_block, nr_blocks, reader->block_bytes);

	if (map->nr_dirty == map->max) {
		map->next = extent.offset;
		return -EXFULL;
	}
	map->dirty[map->nr_dirty++] = extent;
	return 0;
}

static int take_guess(void *context, uint64_t first_region, uint64_t nr_regions)
{
	struct map_reader *reader = context;
	struct tracker_map *map = reader->map;

	if (map->nr_guessed < map->max)
		map->guessed[map->nr_guessed++] =
			unit_extent(reader, first_region, nr_regions, reader->region_bytes);
	return 0;
}

int trackers_map(const struct relationship_record *r, size_t i, uint64_t start,
		 struct tracker_map *map, struct failure *f)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	struct map_reader reader = { .map = map };
	struct nl_map_want want = { .which = CBT_MAP_ACTIVE | CBT_MAP_FROZEN,
				    .fn = take_range,
				    .suspect_fn = start ? NULL : take_guess,
				    .context = &reader };
	char name[FENCE_NAME_MAX];
	struct tracker_info info;
	int rc = nl_open(&nl, f);

	if (!rc)
		rc = nl_tracker_get(nl, fence_name(&r->disks[i], name), &info, f);
	if (rc)
		return rc;
	if (!is_noted(&r->disks[i], &info) || r->disks[i].map_lost ||
	    info.state == CBT_STATE_LOST || info.state == CBT_STATE_BYPASSED)
		return failure_set(f, CODE_INVALID_STATE, -ENODATA,
				   "The map of tracker %s was started anew, and does not say what was "
				   "written to disk %s.",
				   name, r->disks[i].name);
	reader.block_bytes = block_bytes(&info);
	reader.region_bytes = info.region_sectors * (uint64_t)SECTOR_BYTES;
	reader.disk_bytes = info.size_sectors * SECTOR_BYTES;
	want.start = start / reader.block_bytes;
	map->nr_dirty = 0;
	map->nr_guessed = 0;
	map->next = 0;
	rc = nl_map_read(nl, name, &want, NULL, f);
	return rc && !map->next ? rc : 0;
}

/* Blocks of a disk that are frozen, and that the delta does not speak for. */
struct strays {
	trackers_covered_fn covered;
	void *context;
	size_t disk;
	uint64_t block_bytes;
	struct extent_list list; /* in blocks */
};

static int take_strays(void *context, uint64_t first_block, uint64_t nr_blocks)
{
	struct strays *strays = context;
	uint64_t bytes = strays->block_bytes;
	uint64_t end = (first_block + nr_blocks) * bytes;
	uint64_t at = first_block * bytes;
	bool is_covered;
	int rc = 0;

	while (!rc && at < end) {
		uint64_t next = strays->covered(strays->context, strays->disk, at, end, &is_covered);
		uint64_t whole = round_down_to(next, bytes);

		if (!is_covered && whole > at)
			rc = extent_push(&strays->list, at / bytes, (whole - at) / bytes);
		/* A block that is covered in part is covered. */
		at = round_up_to(next, bytes);
	}
	return rc;
}

static int mark_blocks(struct nl *nl, const char *tracker, const struct extent_list *list,
		       struct failure *f)
{
	cleanup_free struct cbt_blocks *blocks = calloc(list->nr, sizeof(*blocks));

	if (!blocks)
		return failure_no_memory(f);
	for (size_t i = 0; i < list->nr; i++)
		blocks[i] = (struct cbt_blocks){ .start = list->extents[i].offset,
						 .nr = list->extents[i].length };
	return nl_mark(nl, tracker, blocks, list->nr, f);
}

static int keep_strays(struct nl *nl, const struct tracker_info *info, const struct uuid *epoch,
		       struct strays *strays, uint64_t *ret_stray, struct failure *f)
{
	int rc;

	strays->block_bytes = block_bytes(info);
	rc = nl_map_get(nl, info->name, CBT_MAP_FROZEN, epoch, 0, take_strays, strays, NULL, f);
	if (!rc && strays->list.nr)
		rc = mark_blocks(nl, info->name, &strays->list, f);
	*ret_stray = strays->list.total * strays->block_bytes;
	extent_list_free(&strays->list);
	return rc;
}

static int keep_all_strays(const struct relationship_record *r, const struct tracker_info *infos,
			   const struct uuid *epoch, trackers_covered_fn covered, void *context,
			   uint64_t *ret_stray, struct failure *f)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	int rc = nl_open(&nl, f);

	for (size_t i = 0; !rc && i < r->nr_disks; i++) {
		struct strays strays = { .covered = covered, .context = context, .disk = i };

		rc = keep_strays(nl, &infos[i], epoch, &strays, &ret_stray[i], f);
	}
	return rc;
}

static int end_left(const struct relationship_record *r, const struct tracker_info *info, struct failure *f)
{
	log_warning("VM %s: tracker %s holds a frozen epoch that is nobody's any more: it is merged", r->name,
		    info->name);
	return trackers_abort(r, &info->frozen_uuid, f);
}

int trackers_end_others(const struct relationship_record *r, const struct tracker_info *infos,
			const struct uuid *epoch, struct failure *f)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < r->nr_disks; i++) {
		if (infos[i].has_frozen && !uuid_equal(&infos[i].frozen_uuid, epoch))
			rc = end_left(r, &infos[i], f);
	}
	return rc;
}

void trackers_end_left(const struct relationship_record *r)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	struct failure why;

	if (nl_open(&nl, NULL))
		return;
	for (size_t i = 0; i < r->nr_disks; i++) {
		struct tracker_info info;
		char name[FENCE_NAME_MAX];

		if (nl_tracker_get(nl, fence_name(&r->disks[i], name), &info, NULL) == 0 && info.has_frozen &&
		    end_left(r, &info, &why))
			log_warning("VM %s: %s", r->name, why.text);
	}
}

int trackers_check_unfrozen(const struct relationship_record *r, const struct tracker_info *infos, struct failure *f)
{
	char epoch[UUID_TEXT_LEN + 1];

	for (size_t i = 0; i < r->nr_disks; i++) {
		if (!infos[i].has_frozen)
			continue;
		return failure_set(f, CODE_IN_USE, -EBUSY,
				   "Tracker %s of disk %s holds a frozen epoch that is not failbackd's: somebody reads it, "
				   "or it was left. When nobody does, `cbtctl abort --epoch %s %s` has the next delta "
				   "cover it.",
				   infos[i].name, r->disks[i].name, uuid_format(&infos[i].frozen_uuid, epoch),
				   infos[i].name);
	}
	return 0;
}

int trackers_note_received(const struct relationship_record *r, const struct uuid *epoch,
			   trackers_covered_fn covered, void *context, uint64_t *ret_stray,
			   struct failure *f)
{
	cleanup_free struct tracker_info *infos =
		calloc(max_of(r->nr_disks, (size_t)1), sizeof(*infos));
	int rc;

	memset(ret_stray, 0, r->nr_disks * sizeof(*ret_stray));
	if (!infos)
		return failure_no_memory(f);
	rc = trackers_get(r, infos, f);
	/*
	 * CRASH: this host went down, or the daemon, between the freeze and the end of a delta before.
	 * Whether it had arrived or not, what it covered is not known any more: all of that stays dirty.
	 */
	if (!rc)
		rc = trackers_end_others(r, infos, epoch, f);
	if (!rc)
		rc = trackers_freeze(r, epoch, infos, f);
	if (rc)
		return rc;
	if (!covered) {
		for (size_t i = 0; i < r->nr_disks; i++)
			ret_stray[i] = trackers_frozen_bytes(&infos[i]);
		return trackers_abort(r, epoch, f);
	}
	rc = keep_all_strays(r, infos, epoch, covered, context, ret_stray, f);
	/* ORDER: they are dirty again, durably, before they are let go. */
	if (!rc)
		return trackers_commit(r, epoch, f);
	(void)trackers_abort(r, epoch, NULL);
	return rc;
}

void trackers_device(const struct disk_record *disk, char ret[PATH_MAX])
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	char name[FENCE_NAME_MAX];
	struct tracker_info info;

	ret[0] = '\0';
	if (!disk->tracker[0] || nl_open(&nl, NULL) ||
	    nl_tracker_get(nl, fence_name(disk, name), &info, NULL))
		return;
	/* The name may be another disk's. */
	if (disk->path[0] && !trackers_is_over(disk, &info))
		return;
	if (devid_path(info.dev, ret, NULL))
		ret[0] = '\0';
}

int trackers_open_target(const struct disk_record *disk, uint64_t need_bytes, int *ret,
			 struct failure *f)
{
	char device[PATH_MAX];
	char name[FENCE_NAME_MAX];
	struct stat st;
	int rc;

	/* Never around a tracker: what is not below it may be a disk that only has the path by now. */
	rc = stat(disk->path, &st) == 0 && S_ISBLK(st.st_mode) ? check_own(disk, f) : 0;
	if (rc && rc != -ENODEV)
		return rc;
	/* Nor beside what stands in its place; whoever made that noted that the map knows nothing from then on. */
	if (rc)
		(void)snprintf(device, sizeof(device), "/dev/mapper/%s", fence_name(disk, name));
	else
		trackers_device(disk, device);
	if (!device[0] && !disk->path[0])
		return failure_set(f, CODE_FILE_NOT_FOUND, -ENOENT,
				   "Disk %s has no path to receive into on this host; name one with "
				   "`failback apply`.",
				   disk->name);
	return devid_open_target(disk->name, device[0] ? device : disk->path, need_bytes, ret, f);
}

uint64_t trackers_frozen_bytes(const struct tracker_info *info)
{
	return info->dirty_frozen * block_bytes(info);
}

int trackers_written_bytes(const struct relationship_record *r, uint64_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < r->nr_disks; i++) {
		bool reaches_back;
		uint64_t dirty;

		trackers_facts(r, &r->disks[i], &reaches_back, &dirty);
		if (!reaches_back)
			return -ENODATA;
		*ret += dirty;
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
		return failure_no_memory(f);
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
