// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CRASH: the order, for each disk, is volume, store, format, line in the table, settled, active. A volume
 * that is new (lib/lvm.h) is nobody's yet and may be formatted, once more, too; with its line in the table
 * its store is formatted, and nothing here writes to it any more.
 */
#include "cli/protect.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/size.h"
#include "daemon/fence.h"
#include "lib/blank.h"
#include "lib/cbt_store_format.h"
#include "lib/contents.h"
#include "lib/devid.h"
#include "lib/dm.h"
#include "lib/holder.h"
#include "lib/nl.h"
#include "lib/run.h"

#define STORE_SUFFIX "-store"
#define SECTOR_BYTES 512U

struct protect_group {
	char name[LVM_NAME_MAX];
	struct lvm_group group;
	uint64_t taken_bytes; /* by what is to be made */
};

static const struct cbt_store_sizes usual_sizes;

/* --- what is asked for --- */

static int take_name(struct protect *p, const char *text, size_t len, struct protect_disk *ret,
		     struct failure *f)
{
	const char *end;

	if (!len || len > DISK_NAME_MAX)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "--disk %.128s: expected NAME=/dev/VG/LV, with a name of at most %d characters.",
				   text, DISK_NAME_MAX);
	memcpy(ret->name, text, len);
	ret->name[len] = '\0';
	if (strlen(p->vm) + 1 + len < sizeof(ret->tracker))
		(void)snprintf(ret->tracker, sizeof(ret->tracker), "%s-%s", p->vm, ret->name);
	end = strrchr(ret->tracker, '.');
	if (!tracker_table_is_name(ret->tracker) || (end && strcmp(end, FENCE_SUFFIX) == 0))
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "%.128s-%s can be no tracker's name, which has at most 99 letters, digits and "
				   "characters of #+-.:=@_, and does not end with " FENCE_SUFFIX ".",
				   p->vm, ret->name);
	return 0;
}

static int take_size(struct protect *p, const char *text, const char *size, uint64_t *ret, struct failure *f)
{
	if (!p->replica && !size)
		return 0;
	if (p->replica && size && size_parse(size, ret) == 0 && *ret && *ret % SECTOR_BYTES == 0)
		return 0;
	return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
			   p->replica ? "--disk %.256s: with --replica expected NAME=/dev/VG/LV:SIZE, a multiple of "
					"512, as `failback protect` prints it on the other host." :
					"--disk %.256s: a size is for --replica only; here the disk has one.",
			   text);
}

static int take_disk(struct protect *p, const char *text, struct protect_disk *ret, struct failure *f)
{
	size_t len = strcspn(text, "=");
	const char *path = text[len] ? text + len + 1 : "";
	size_t path_len = strcspn(path, ":");
	char copy[LVM_PATH_MAX] = "";
	int rc = take_name(p, text, text[len] ? len : 0, ret, f);

	if (!rc)
		rc = take_size(p, text, path[path_len] ? path + path_len + 1 : NULL, &ret->bytes, f);
	if (rc)
		return rc;
	if (path_len < sizeof(copy))
		memcpy(copy, path, path_len);
	rc = lvm_parse(copy, &ret->volume, f);
	if (rc)
		return rc;
	(void)lvm_path(&ret->volume, ret->path);
	if (strlen(ret->path) >= sizeof(ret->entry.origin))
		return failure_set(f, CODE_INVALID_PARAMETER, -ENAMETOOLONG,
				   "Disk %s: a path in %s has at most 255 characters.", ret->name, p->table);
	return 0;
}

static int check_different(const struct protect *p, size_t i, struct failure *f)
{
	for (size_t j = 0; j < i; j++) {
		if (strcmp(p->disks[j].name, p->disks[i].name) == 0)
			return failure_set(f, CODE_INVALID_PARAMETER, -EEXIST, "Two disks are named %s.",
					   p->disks[i].name);
		if (strcmp(p->disks[j].path, p->disks[i].path) == 0)
			return failure_set(f, CODE_INVALID_PARAMETER, -EEXIST, "Disks %s and %s are both %s.",
					   p->disks[j].name, p->disks[i].name, p->disks[i].path);
	}
	return 0;
}

static int take_options(struct protect *p, const struct options *o, struct failure *f)
{
	int rc = 0;

	if (!o->nr_disks)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "Name the disks of VM %.64s: --disk NAME=/dev/VG/LV, once for each.", p->vm);
	if (o->vg && !lvm_is_name(o->vg))
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL, "--vg %.64s names no volume group.", o->vg);
	p->disks = calloc(o->nr_disks, sizeof(*p->disks));
	if (!p->disks)
		return failure_no_memory(f);
	for (size_t i = 0; !rc && i < o->nr_disks; i++) {
		rc = take_disk(p, o->disks[i], &p->disks[i], f);
		p->nr_disks = i + 1;
		if (!rc)
			rc = check_different(p, i, f);
	}
	return rc;
}

/* --- what there is --- */

static int find_group(struct protect *p, const char *name, struct protect_group **ret, struct failure *f)
{
	struct protect_group *groups;

	for (size_t i = 0; i < p->nr_groups; i++) {
		*ret = &p->groups[i];
		if (strcmp(p->groups[i].name, name) == 0)
			return 0;
	}
	groups = reallocarray(p->groups, p->nr_groups + 1, sizeof(*groups));
	if (!groups)
		return failure_no_memory(f);
	p->groups = groups;
	*ret = &groups[p->nr_groups++];
	memset(*ret, 0, sizeof(**ret));
	(void)snprintf((*ret)->name, sizeof((*ret)->name), "%s", name);
	return lvm_read_group(name, &(*ret)->group, f);
}

/* By whichever of its names the origin stands there. */
static const struct tracker_entry *find_line(const struct protect *p, const char *path)
{
	struct devid disk = devid_of(path);

	for (size_t i = 0; i < p->nr_entries; i++) {
		struct devid origin = devid_of(p->entries[i].origin);

		if (strcmp(p->entries[i].origin, path) == 0 || devid_is_same(&disk, &origin))
			return &p->entries[i];
	}
	return NULL;
}

/* What is to be made takes room; @bytes become what it has then. */
static int take_room(struct protect_group *g, const char *path, uint64_t *bytes, struct failure *f)
{
	uint64_t left = g->group.free_bytes - g->taken_bytes;
	uint64_t rounded = lvm_round_up(&g->group, *bytes);
	char need[SIZE_TEXT_LEN];
	char have[SIZE_TEXT_LEN];

	if (!rounded || rounded > left)
		return failure_set(f, CODE_INVALID_PARAMETER, -ENOSPC,
				   "Volume group %s has no room for %s: it needs %s, and %s are free. Extend the group, "
				   "or name another one.",
				   g->name, path, size_format(rounded ? rounded : *bytes, need),
				   size_format(left, have));
	g->taken_bytes += rounded;
	*bytes = rounded;
	return 0;
}

/* The VM's device, whatever it is by now, by either of its names. */
static bool has_device(const char *tracker)
{
	char fenced[FENCE_NAME_MAX];

	(void)snprintf(fenced, sizeof(fenced), "%s" FENCE_SUFFIX, tracker);
	return dm_exists(tracker) || dm_exists(fenced);
}

/* --- a disk that has its line --- */

static int check_line(const struct protect *p, const struct protect_disk *d, struct failure *f)
{
	const struct tracker_entry *e = &d->entry;
	struct failure why;
	int rc;

	if (p->replica && strcmp(e->name, d->tracker) != 0)
		return failure_set(f, CODE_IN_USE, -EEXIST,
				   "%s stands in %s as tracker %s, and would have to be %s for VM %.64s: is it another "
				   "VM's? Take another volume, or correct the line.",
				   d->path, p->table, e->name, d->tracker, p->vm);
	rc = tracker_table_check_fenced(p->table, e, p->vm, f);
	if (rc)
		return rc;
	if (strcmp(e->store, "-") == 0)
		return failure_set(f, CODE_INVALID_STATE, -ENODEV,
				   "Tracker %s has no store in %s, and its map ends with the next boot: give it one "
				   "(`cbtctl format`), and write it into that line.",
				   e->name, p->table);
	if (devid_exists(e->store, &why))
		return failure_set(f, CODE_FILE_NOT_FOUND, -ENOENT,
				   "Tracker %s has the store %s in %s, which is not there: bring it back, or take the "
				   "line out, if the disk is to get a new one.",
				   e->name, e->store, p->table);
	return 0;
}

/* Its store may not be settled yet, where the last call was cut off. */
static int look_at_line(struct protect *p, struct protect_disk *d, struct failure *f)
{
	const struct lvm_volume *volume;
	struct protect_group *g;
	struct lvm_name store;
	int rc = check_line(p, d, f);

	if (rc || lvm_parse(d->entry.store, &store, NULL))
		return rc;
	rc = find_group(p, store.group, &g, f);
	volume = rc ? NULL : lvm_find(&g->group, store.volume);
	if (volume && volume->is_new) {
		d->store = store;
		d->settles_store = true;
	}
	return rc;
}

/* --- the disk itself --- */

static int explain_use(const struct protect *p, const struct protect_disk *d, const struct failure *why,
		       struct failure *f)
{
	if (why->code != CODE_IN_USE)
		return failure_set(f, (enum code)why->code, -EIO, "%s", why->text);
	if (p->replica)
		return failure_set(f, CODE_IN_USE, -EBUSY, "%s A replica needs a volume that nothing else uses.",
				   why->text);
	return failure_set(f, CODE_IN_USE, -EBUSY,
			   "%.250s A disk cannot get under a tracker while it is in use: shut VM %.64s down, repeat "
			   "this, and let it use /dev/mapper/%s from then on.",
			   why->text, p->vm, d->tracker);
}

static int check_unused(const struct protect *p, const struct protect_disk *d, bool blank, struct failure *f)
{
	char what[CONTENTS_TEXT_MAX] = "";
	cleanup_fd int fd = -1;
	struct failure why;
	int rc;

	if (devid_open_target(d->name, d->path, 0, &fd, &why))
		return explain_use(p, d, &why, f);
	if (!blank)
		return 0;
	rc = contents_describe(fd, d->path, what, f);
	if (rc || (!*what && blank_disk(fd, d->bytes)))
		return rc;
	return failure_set(f, CODE_IN_USE, -EEXIST,
			   "%s is there already and holds %s, which a replica would overwrite. Take another volume "
			   "group, or rename it (`lvrename`); or, if it is for this replica, give it a tracker by hand.",
			   d->path, *what ? what : "something");
}

/* The device is there, and who writes to the volume itself goes by it. */
static int check_not_bypassed(const struct protect *p, const struct protect_disk *d, struct failure *f)
{
	char who[HOLDER_TEXT_MAX];

	if (!holder_writer(d->path, who))
		return 0;
	return failure_set(f, CODE_IN_USE, -EBUSY,
			   "Disk %s (%s) is written below its tracker, which does not see it: %s. Shut VM %.64s down, "
			   "and have it use /dev/mapper/%s.",
			   d->name, d->path, who, p->vm, d->entry.name);
}

static int wrong_size(const struct protect_disk *d, uint64_t bytes, struct failure *f)
{
	return failure_set(f, CODE_IN_USE, -EEXIST,
			   "%s is there already and has %" PRIu64 " bytes, where %" PRIu64 " are needed: take another "
			   "volume group, or rename it (`lvrename`).",
			   d->path, bytes, d->bytes);
}

static int cannot_be_so_large(const struct protect_disk *d, const struct protect_group *g, struct failure *f)
{
	char extent[SIZE_TEXT_LEN];

	return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
			   "%s cannot have exactly %" PRIu64 " bytes: volume group %s has extents of %s. Take another "
			   "volume group, or extend the disk of the VM to a multiple of that first.",
			   d->path, d->bytes, g->name, size_format(g->group.extent_bytes, extent));
}

/* Whoever has it open now would go on writing below the tracker. */
static bool gets_device(const struct protect_disk *d)
{
	return d->adds_line || !has_device(d->entry.name);
}

static int look_at_replica(struct protect *p, struct protect_disk *d, struct protect_group *g,
			   const struct lvm_volume *volume, struct failure *f)
{
	if (volume && volume->bytes != d->bytes)
		return wrong_size(d, volume->bytes, f);
	d->settles_volume = volume && volume->is_new;
	if (volume)
		return gets_device(d) ? check_unused(p, d, d->adds_line && !volume->is_new, f) : 0;
	if (!d->adds_line)
		return failure_set(f, CODE_FILE_NOT_FOUND, -ENOENT,
				   "%s stands in %s, and is not there: bring it back, or take the line out, if it is to "
				   "be made anew.",
				   d->path, p->table);
	if (lvm_round_up(&g->group, d->bytes) != d->bytes)
		return cannot_be_so_large(d, g, f);
	d->makes_volume = d->settles_volume = true;
	return take_room(g, d->path, &d->bytes, f);
}

static int look_at_volume(struct protect *p, struct protect_disk *d, struct failure *f)
{
	const struct lvm_volume *volume;
	struct protect_group *g;
	int rc = find_group(p, d->volume.group, &g, f);

	if (rc)
		return rc;
	volume = lvm_find(&g->group, d->volume.volume);
	if (p->replica)
		return look_at_replica(p, d, g, volume, f);
	if (!volume)
		return failure_set(f, CODE_FILE_NOT_FOUND, -ENOENT,
				   "There is no volume %s in volume group %s: `lvs` shows those that there are.",
				   d->volume.volume, d->volume.group);
	d->bytes = volume->bytes;
	return gets_device(d) ? check_unused(p, d, false, f) : check_not_bypassed(p, d, f);
}

/* --- its store --- */

/* One that was formatted for this disk, by hand, and that no tracker ever had. */
static int check_store_is_fresh(const struct protect_disk *d, struct failure *f)
{
	cleanup_cbt_store struct cbt_store store = CBT_STORE_CLOSED;
	struct cbt_super super;
	struct failure why;

	if (cbt_store_open(&store, d->entry.store, CBT_STORE_CHECK, &why))
		return failure_set(f, (enum code)why.code, -EBUSY, "%s is there already, and: %s.", d->entry.store,
				   why.text);
	if (!cbt_store_super(&store, &super, &why) && super.generation == 1 && super.epoch == 1 &&
	    super.flags == CBT_DISK_CLEAN && !super.fingerprint_seed &&
	    super.geo.size_sectors == d->bytes / SECTOR_BYTES)
		return 0;
	return failure_set(f, CODE_IN_USE, -EEXIST,
			   "%s is there already, was not made for this, and is not written to. If it is the store of "
			   "disk %s, give the disk its line in the table of trackers; if it is nothing of worth, remove it "
			   "(`lvremove`) and repeat.",
			   d->entry.store, d->name);
}

static int check_store_apart(const struct protect *p, const struct protect_disk *d, struct failure *f)
{
	const char *other = NULL;

	for (size_t i = 0; !other && i < p->nr_entries; i++) {
		if (strcmp(p->entries[i].store, d->entry.store) == 0 ||
		    strcmp(p->entries[i].origin, d->entry.store) == 0)
			other = p->entries[i].name;
	}
	for (const struct protect_disk *e = p->disks; !other && e < p->disks + p->nr_disks; e++) {
		if (strcmp(e->path, d->entry.store) == 0 ||
		    (e < d && strcmp(e->entry.store, d->entry.store) == 0))
			other = e->tracker;
	}
	if (!other)
		return 0;
	return failure_set(f, CODE_IN_USE, -EEXIST,
			   "The store of disk %s would be %s, which tracker %s has: take another --vg for stores.",
			   d->name, d->entry.store, other);
}

static int name_store(const struct protect *p, const struct options *o, struct protect_disk *d,
		      struct failure *f)
{
	char path[LVM_PATH_MAX];

	(void)strcpy(d->store.group, o->vg ? o->vg : d->volume.group);
	(void)snprintf(d->store.volume, sizeof(d->store.volume), "%.*s" STORE_SUFFIX,
		       (int)(sizeof(d->store.volume) - sizeof(STORE_SUFFIX)), d->volume.volume);
	if (strlen(d->volume.volume) + sizeof(STORE_SUFFIX) > sizeof(d->store.volume) ||
	    strlen(lvm_path(&d->store, path)) >= sizeof(d->entry.store))
		return failure_set(f, CODE_INVALID_PARAMETER, -ENAMETOOLONG,
				   "The name of disk %s is too long for a store beside it.", d->name);
	(void)strcpy(d->entry.store, path);
	return check_store_apart(p, d, f);
}

static int look_at_store(struct protect *p, const struct options *o, struct protect_disk *d,
			 struct failure *f)
{
	const struct lvm_volume *volume;
	struct cbt_store_plan plan;
	struct protect_group *g;
	int rc = name_store(p, o, d, f);

	if (!rc)
		rc = cbt_store_plan(d->bytes, &usual_sizes, &plan, f);
	if (!rc)
		rc = find_group(p, d->store.group, &g, f);
	if (rc)
		return rc;
	d->store_bytes = plan.total;
	volume = lvm_find(&g->group, d->store.volume);
	if (volume && !volume->is_new)
		return check_store_is_fresh(d, f);
	d->formats = d->settles_store = true;
	if (volume && volume->bytes < plan.total)
		return failure_set(f, CODE_IN_USE, -ENOSPC,
				   "%s is there already and too small, it may be of a disk that was smaller: remove it "
				   "(`lvremove`) and repeat.",
				   d->entry.store);
	d->makes_store = !volume;
	return volume ? 0 : take_room(g, d->entry.store, &d->store_bytes, f);
}

/* --- its tracker --- */

static int check_name_is_free(const struct protect *p, const struct protect_disk *d, struct failure *f)
{
	for (size_t i = 0; i < p->nr_entries; i++) {
		if (strcmp(p->entries[i].name, d->tracker) == 0)
			return failure_set(f, CODE_IN_USE, -EEXIST,
					   "Tracker %s stands in %s for another disk, %s: give this disk another name.",
					   d->tracker, p->table, p->entries[i].origin);
		if (strcmp(p->entries[i].store, d->path) == 0)
			return failure_set(f, CODE_IN_USE, -EEXIST, "%s is the store of tracker %s in %s.", d->path,
					   p->entries[i].name, p->table);
	}
	if (!has_device(d->tracker))
		return 0;
	return failure_set(f, CODE_IN_USE, -EEXIST,
			   "There is a mapped device %s already (`dmsetup ls`), which stands in no line of %s: remove it, "
			   "or give this disk another name.",
			   d->tracker, p->table);
}

/* 0: it is there; -ENODEV, and other failures: it is not. */
static int find_tracker(struct nl *nl, const struct protect_disk *d, struct tracker_info *ret,
			struct failure *f)
{
	char fenced[FENCE_NAME_MAX];
	int rc = nl_tracker_get(nl, d->entry.name, ret, f);

	(void)snprintf(fenced, sizeof(fenced), "%s" FENCE_SUFFIX, d->entry.name);
	return rc == -ENODEV ? nl_tracker_get(nl, fenced, ret, f) : rc;
}

static int check_tracker(const struct protect_disk *d, const struct tracker_info *info, struct failure *f)
{
	struct devid disk = devid_of(d->path);

	if (!disk.is_block || disk.dev != info->origin_dev)
		return failure_set(f, CODE_INVALID_STATE, -EXDEV,
				   "Mapped device %s is there, and is not the tracker of %s: `dmsetup table` shows of "
				   "what it is.",
				   info->name, d->path);
	if (!info->has_store || info->state == CBT_STATE_LOST || info->state == CBT_STATE_BYPASSED)
		return failure_set(f, CODE_INVALID_STATE, -EIO,
				   "Tracker %s of %s does not track with its store: `cbtctl show %s` says why.",
				   info->name, d->path, info->name);
	return 0;
}

static int look_at_tracker(struct nl *nl, struct protect_disk *d, struct failure *f)
{
	struct tracker_info info;
	int rc = find_tracker(nl, d, &info, f);

	d->activates = rc == -ENODEV;
	if (rc)
		return d->activates ? 0 : rc;
	d->tracker_uuid = info.uuid;
	return check_tracker(d, &info, f);
}

/* --- all of it --- */

static int look_at_disk(struct protect *p, const struct options *o, struct nl *nl, struct protect_disk *d,
			struct failure *f)
{
	const struct tracker_entry *line = find_line(p, d->path);
	int rc;

	d->adds_line = !line;
	if (line)
		d->entry = *line;
	else
		rc = check_name_is_free(p, d, f);
	if (line)
		rc = look_at_line(p, d, f);
	if (!rc)
		rc = look_at_volume(p, d, f);
	if (!rc && line)
		return look_at_tracker(nl, d, f);
	if (!rc)
		rc = look_at_store(p, o, d, f);
	if (rc)
		return rc;
	(void)strcpy(d->entry.name, d->tracker);
	(void)strcpy(d->entry.origin, d->path);
	d->activates = true;
	return 0;
}

int protect_look(struct protect *p, const struct options *o, struct failure *f)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	int rc;

	memset(p, 0, sizeof(*p));
	p->vm = o->operand;
	p->replica = o->replica;
	p->quiet = o->json;
	p->table = o->table ? o->table : TRACKER_TABLE_FILE;
	rc = take_options(p, o, f);
	if (!rc)
		rc = nl_open(&nl, f);
	if (!rc)
		rc = tracker_table_read(p->table, &p->entries, &p->nr_entries, f);
	for (size_t i = 0; !rc && i < p->nr_disks; i++)
		rc = look_at_disk(p, o, nl, &p->disks[i], f);
	return rc;
}

/* --- doing it --- */

static void say(const struct protect *p, const struct protect_disk *d, const char *done, const char *what)
{
	if (p->quiet)
		return;
	(void)printf("%s: %s %s\n", d->name, done, what);
	(void)fflush(stdout);
}

static int make_volumes(const struct protect *p, const struct protect_disk *d, struct failure *f)
{
	struct cbt_super super;
	int rc = d->makes_volume ? lvm_create(&d->volume, d->bytes, f) : 0;

	if (!rc && d->makes_volume)
		say(p, d, "made", d->path);
	if (!rc && d->makes_store)
		rc = lvm_create(&d->store, d->store_bytes, f);
	if (!rc && d->makes_store)
		say(p, d, "made", d->entry.store);
	/* It holds what its place held before it was made. */
	if (!rc && d->formats)
		rc = cbt_store_format(d->path, d->entry.store, &usual_sizes, true, &super, f);
	if (!rc && d->formats)
		say(p, d, "formatted", d->entry.store);
	return rc;
}

static int settle(const struct protect_disk *d, struct failure *f)
{
	int rc = d->settles_volume ? lvm_settle(&d->volume, f) : 0;

	return rc || !d->settles_store ? rc : lvm_settle(&d->store, f);
}

static int activate(const struct protect *p, struct nl *nl, struct protect_disk *d, struct failure *f)
{
	const char *const argv[] = { "cbtctl", "activate", "--table", p->table, d->entry.name, NULL };
	struct tracker_info info;
	int rc = run_program(argv, "failback", true, NULL, f);

	if (!rc)
		rc = find_tracker(nl, d, &info, f);
	if (!rc)
		rc = check_tracker(d, &info, f);
	if (rc)
		return rc;
	d->tracker_uuid = info.uuid;
	say(p, d, "activated tracker", d->entry.name);
	return 0;
}

static int make_disk(const struct protect *p, struct nl *nl, struct protect_disk *d, struct failure *f)
{
	int rc = make_volumes(p, d, f);

	if (!rc && d->adds_line)
		rc = tracker_table_add(p->table, &d->entry, f);
	if (rc)
		return rc;
	if (d->adds_line)
		say(p, d, "added to", p->table);
	rc = settle(d, f);
	return rc || !d->activates ? rc : activate(p, nl, d, f);
}

/*
 * It finds the trackers active. But only a service that was started is stopped: else the host's first
 * orderly end would be a crash for their maps.
 */
static void start_service(const struct protect *p)
{
	static const char *const argv[] = { "systemctl", "start", "failback-activate.service", NULL };
	struct failure why;

	if (strcmp(p->table, TRACKER_TABLE_FILE) != 0 || access("/run/systemd/system", F_OK))
		return;
	/* It may fail for another disk of the host. */
	if (run_program(argv, "systemd", true, NULL, &why))
		(void)fprintf(stderr, "failback: warning: %s See `systemctl status failback-activate`.\n", why.text);
}

int protect_make(struct protect *p, struct failure *f)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	int rc = nl_open(&nl, f);

	for (size_t i = 0; !rc && i < p->nr_disks; i++)
		rc = make_disk(p, nl, &p->disks[i], f);
	if (!rc)
		start_service(p);
	return rc;
}

void protect_clear(struct protect *p)
{
	for (size_t i = 0; i < p->nr_groups; i++)
		lvm_clear_group(&p->groups[i].group);
	free(p->groups);
	free(p->entries);
	free(p->disks);
	memset(p, 0, sizeof(*p));
}
