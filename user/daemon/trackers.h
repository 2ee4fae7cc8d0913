/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The trackers of all disks of a VM, as one. Each function opens the netlink family anew: the
 * module may have been loaded, or loaded again, since the last time. Nothing here takes over a
 * second.
 */
#ifndef FAILBACK_DAEMON_TRACKERS_H
#define FAILBACK_DAEMON_TRACKERS_H

#include "base/failure.h"
#include "lib/extent.h"
#include "lib/nl.h"
#include "lib/store.h"

/**
 * trackers_get - the state of all, in the order of the disks; @ret has room for r->nr_disks.
 * CODE_NOT_AVAILABLE.
 */
int trackers_get(const struct relationship_record *r, struct tracker_info *ret, struct failure *f);

/**
 * trackers_check - are they the trackers whose maps start at the base, on disks of the right
 * size? Those that were not noted yet (trackers_note()) are taken as they are.
 * @all: NULL, or of which disks all is sent, whatever the map says
 * -ENODATA, CODE_INVALID_STATE: a map started later; only a compare could tell what differs.
 */
int trackers_check(const struct relationship_record *r, const struct tracker_info *infos,
		   const bool *all, struct failure *f);

/** trackers_check_sizes - are they on disks of the right size? Whatever their maps say. */
int trackers_check_sizes(const struct relationship_record *r, const struct tracker_info *infos,
			 struct failure *f);

/**
 * trackers_note - into @disks: from now on these are the trackers to be found. Of a map that was noted
 * to be lost nothing better is known by that.
 * @all: NULL, or of which disks all is sent: their maps begin anew
 */
void trackers_note(struct disk_record *disks, size_t nr, const struct tracker_info *infos,
		   const bool *all);

/**
 * trackers_note_here - into @disks, the same as r->disks: the VM writes to these from now on.
 * @force: also where there is a mapped device and no tracker. Its map is noted as lost, whichever
 *	tracker it has later
 * Errors are those of trackers_get(), CODE_FAILED.
 */
int trackers_note_here(const struct relationship_record *r, bool force, struct disk_record *disks,
		       struct failure *f);

/**
 * trackers_check_recording - is what is written to the disks recorded? CODE_NOT_AVAILABLE: one has no
 * tracker, or one that is bypassed. A store that failed is not looked for (losses.h).
 */
int trackers_check_recording(const struct relationship_record *r, struct failure *f);

/** trackers_note_lost - into @disk: this tracker's map misses writes, whatever it says itself. */
void trackers_note_lost(struct disk_record *disk, const struct tracker_info *info);
bool trackers_is_noted_lost(const struct disk_record *disk, const struct tracker_info *info);

/** trackers_freeze - all in one instant; @ret: their state then, as trackers_get() gives it. */
int trackers_freeze(const struct relationship_record *r, const struct uuid *epoch,
		    struct tracker_info *ret, struct failure *f);

/**
 * trackers_commit, trackers_abort - end the epoch wherever it is still frozen.
 *
 * A tracker that is gone, that was started anew, or whose epoch someone aborted has nothing left
 * to be ended, and does not keep the others from it.
 */
int trackers_commit(const struct relationship_record *r, const struct uuid *epoch,
		    struct failure *f);
int trackers_abort(const struct relationship_record *r, const struct uuid *epoch,
		   struct failure *f);

/** trackers_end_others - abort what is frozen by @infos, of all disks, and is not @epoch. */
int trackers_end_others(const struct relationship_record *r, const struct tracker_info *infos,
			const struct uuid *epoch, struct failure *f);

/**
 * trackers_end_left - on a replica that is failed over: abort what a delta left frozen, in case that failbackd ended in
 * the midst of recording it.
 */
void trackers_end_left(const struct relationship_record *r);

/**
 * trackers_check_unfrozen - -EBUSY, CODE_IN_USE: by @infos a tracker holds a frozen epoch, though no delta runs. Somebody
 * may read its image: who does, or who knows that nobody does, is told how it is ended.
 */
int trackers_check_unfrozen(const struct relationship_record *r, const struct tracker_info *infos, struct failure *f);

/**
 * trackers_broken - why r->epoch can only be aborted, when it is frozen and so; false: not.
 */
bool trackers_broken(const struct relationship_record *r, char ret[NL_REASON_LEN + 1]);

/**
 * trackers_check_all_own - is each mapped device that a disk names as its tracker one, over that disk?
 * -EEXIST, CODE_INVALID_PARAMETER: it is something else. -ENODEV, CODE_NOT_AVAILABLE: it is made of the disk, but
 * tracks nothing, as without the module or the store. One that is not there passes.
 */
int trackers_check_all_own(const struct relationship_record *r, struct failure *f);

/**
 * trackers_has_strange - is there a mapped device with the name of a disk's tracker that is neither that nor made of
 * the disk? Somebody else uses it under that name.
 */
bool trackers_has_strange(const struct relationship_record *r);

/** trackers_check_closed - CODE_IN_USE names the first tracker that something has open. */
int trackers_check_closed(const struct relationship_record *r, struct failure *f);

/**
 * trackers_check_unwritten - CODE_INVALID_STATE names the first disk that was written since the
 * last delta. Trackers that were not noted, or are not there any more, prove nothing: they pass.
 */
int trackers_check_unwritten(const struct relationship_record *r, struct failure *f);

/**
 * trackers_facts - of one disk: does its map say all that was written since the base, and how much is
 * that? False and 0 when it has no tracker, or none that was noted.
 */
void trackers_facts(const struct relationship_record *r, const struct disk_record *disk,
		    bool *ret_reaches_back, uint64_t *ret_dirty_bytes);

/**
 * trackers_covered_fn - does the delta speak for the bytes of r->disks[@disk] from @offset on? Return: up to
 * where that is so, @end at most.
 */
typedef uint64_t (*trackers_covered_fn)(void *context, size_t disk, uint64_t offset, uint64_t end,
					bool *ret_covered);

/**
 * trackers_note_received - the disks were written through their trackers, up to @epoch: it becomes
 * their base, and what they recorded meanwhile is dropped. But for what was not the delta's: that
 * stays dirty.
 * @covered: NULL: nobody knows what was, and all stays dirty, since the base before
 * @ret_stray: bytes of each disk that stay so
 */
int trackers_note_received(const struct relationship_record *r, const struct uuid *epoch,
			   trackers_covered_fn covered, void *context, uint64_t *ret_stray,
			   struct failure *f);

/**
 * trackers_mark - @extents, bytes of disk @i, are dirty from now on, durably. What lies beyond the disk
 * is refused.
 */
int trackers_mark(const struct relationship_record *r, size_t i, const struct extent *extents,
		  size_t nr, struct failure *f);

/** struct tracker_map - a part of a map, in bytes. The caller says where the lists are and what fits. */
struct tracker_map {
	struct extent *dirty; /* ascending */
	size_t nr_dirty;
	struct extent *guessed; /* where that is so only by guess; of the whole disk */
	size_t nr_guessed;
	size_t max; /* of either; where more is guessed, the rest counts as certain */
	uint64_t next; /* where to go on; 0: that was all */
};

/**
 * trackers_map - what disk @i has dirty, frozen or not, from byte @start on.
 *
 * -ENODATA, CODE_INVALID_STATE: it is no map that was noted.
 */
int trackers_map(const struct relationship_record *r, size_t i, uint64_t start,
		 struct tracker_map *map, struct failure *f);

/** trackers_is_over - is that the tracker of the disk at @disk->path? */
bool trackers_is_over(const struct disk_record *disk, const struct tracker_info *info);

/**
 * trackers_device - the path that opens the mapped device over the disk at @disk->path; "" when the
 * disk is under no tracker of its own.
 */
void trackers_device(const struct disk_record *disk, char ret[PATH_MAX]);

/**
 * trackers_open_target - open a disk that will be overwritten, through its tracker where it has one, or what stands
 * in its place.
 * @need_bytes: it has to have
 *
 * Errors are those of devid_open_target(); -ENOENT, CODE_FILE_NOT_FOUND, also where it has no path.
 */
int trackers_open_target(const struct disk_record *disk, uint64_t need_bytes, int *ret,
			 struct failure *f);

/** trackers_frozen_bytes - of the epoch that is frozen there. */
uint64_t trackers_frozen_bytes(const struct tracker_info *info);

/** trackers_written_bytes - since the base. -ENODATA: a map does not reach back to it. */
int trackers_written_bytes(const struct relationship_record *r, uint64_t *ret);

/** trackers_dirty_bytes - what a delta would cover now. */
int trackers_dirty_bytes(const struct relationship_record *r, uint64_t *ret, struct failure *f);

#endif
