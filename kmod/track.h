/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A tracked device: cover, mark, then let the write go.
 *
 * A tracker owns two maps. The active one collects what the running epoch writes. A freeze ends
 * the epoch: its map becomes the frozen one, the delta to be sent, and an empty one becomes
 * active. Commit drops the frozen map, abort merges it back. In every state the union of both
 * covers every block that may differ from the base (invariant I1).
 *
 * The registry owns trackers, at most one per origin; targets and the netlink family only point
 * to them. One lock, cbt_control_lock(), serialises everything but the write path: look-ups,
 * epochs, reading maps. It is held for at most about half a second, by a freeze.
 */
#ifndef CBT_TRACK_H
#define CBT_TRACK_H

#include <linux/dm-cbt.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/uuid.h>
#include <linux/workqueue.h>

#include "cow.h"
#include "gate.h"
#include "map.h"

#define CBT_FREEZE_TIMEOUT_MS	500
#define CBT_OUTCOMES		16	/* remembered, so that COMMIT and ABORT can be repeated */

/** enum cbt_write_kind - what becomes of a write to frozen blocks that have no copy yet. */
enum cbt_write_kind {
	CBT_WRITE_DATA,			/* it waits for the copies */
	CBT_WRITE_DISCARD,		/* it is marked, and needs not go down */
	CBT_WRITE_ERASE,		/* it must go down: the epoch is broken */
};

/**
 * struct cbt_write - a write on its way through a tracker; embedded in the caller's per-I/O data.
 * @first, @last: blocks, both inclusive, set by the caller, and @kind
 */
struct cbt_write {
	u64 first;
	u64 last;
	enum cbt_write_kind kind;
	struct list_head link;		/* while it waits */
	struct cbt_cow_wait copy;	/* while it waits for copies */
};

/** enum cbt_admission - what may be done with a write now. */
enum cbt_admission {
	CBT_ADMITTED,			/* marked and counted in: submit it */
	CBT_NEEDLESS,			/* marked: complete it as well done */
	CBT_MUST_WAIT,			/* for a gate or a leaf */
	CBT_MUST_COPY,			/* for copies of frozen blocks */
};

/** struct cbt_owner_ops - what a tracker needs of the mapped device that it belongs to. */
struct cbt_owner_ops {
	/* The write may go now; it was counted in. Called from a worker. */
	void (*go)(struct cbt_write *write);
	/* The write is well done without going down; not counted in. Called from a worker. */
	void (*drop)(struct cbt_write *write);
	/* Write the device's name; -errno when it has none. Called under the control lock. */
	int (*name)(void *owner, char name[CBT_NAME_LEN + 1]);
	dev_t (*dev)(void *owner);
};

struct cbt_outcome {
	uuid_t epoch;
	bool committed;			/* or aborted */
};

struct cbt_tracker {
	/* Fixed. */
	uuid_t uuid;
	u64 generation;
	dev_t origin;
	void *owner;
	const struct cbt_owner_ops *ops;
	u64 size_sectors;
	u32 block_shift;		/* 512-byte sectors per block, as a power of two */

	/* The write path. @active changes only behind the drained gate. */
	struct cbt_gate gate;
	struct cbt_map *active;
	spinlock_t waiting_lock;
	struct list_head waiting;	/* LOCK: waiting_lock */
	struct work_struct work;
	struct cbt_cow *cow;		/* NULL: no diff area, no images */

	/* LOCK: the control lock */
	struct list_head link;
	u32 nr_users;
	bool started;			/* its device was resumed: the writes come through here */
	struct cbt_map maps[2];
	struct cbt_map *frozen;		/* NULL when no epoch is frozen */
	u64 epoch;			/* the running one */
	u64 frozen_epoch;
	uuid_t frozen_uuid;
	uuid_t base_uuid;		/* nil before the first commit */
	u64 nr_changes;			/* of epochs: a reader of maps must start again */
	struct cbt_outcome outcomes[CBT_OUTCOMES];
	u32 nr_outcomes;		/* ever; the last ones are kept */
};

struct cbt_tracker_params {
	dev_t origin;
	void *owner;
	const struct cbt_owner_ops *ops;
	u64 size_sectors;
	u32 block_sectors;		/* power of two, 8 to 2048 */
	/* For copy-before-write; NULL when there is no diff area. */
	struct block_device *origin_bdev;
	struct block_device *diff;
	sector_t diff_start;
	unsigned long nr_diff_slots;
};

/**
 * struct cbt_refusal - why, for the one who asked.
 * @text: a sentence
 * @index: which of the trackers that were passed in
 */
struct cbt_refusal {
	const char *text;
	u32 index;
};

int cbt_track_init(void);
void cbt_track_exit(void);

/*--------------------------------------------------------------------------------------------------
 * For targets
 */

/**
 * cbt_tracker_get - the tracker of an origin, made when there is none.
 *
 * The same owner gets the same tracker again, with its maps, as when its table is reloaded.
 * Context: may sleep; takes the control lock.
 *
 * Return: a tracker, to be given back with cbt_tracker_put(); or an error and a sentence in @why:
 * -EBUSY the origin belongs to another owner, the owner has a tracker on another origin, or the
 * origin or the device is part of another tracker; -EFBIG more than CBT_MAP_BLOCKS_MAX blocks;
 * -EINVAL size or block size differ from the running tracker's; -ENOMEM.
 */
struct cbt_tracker *cbt_tracker_get(const struct cbt_tracker_params *params, const char **why);

/**
 * cbt_tracker_start - the mapped device is about to let I/O through the tracker; may be repeated.
 *
 * Until then another table may be live, whose writes nobody sees, so the tracker is not told to
 * anyone who looks for it and has no epochs.
 * Context: may sleep; takes the control lock.
 */
void cbt_tracker_start(struct cbt_tracker *tracker);

/** cbt_tracker_put - no write of the caller is on its way. The last put frees. May sleep. */
void cbt_tracker_put(struct cbt_tracker *tracker);

/**
 * cbt_write_try - mark a write's blocks and count it in, if that needs no waiting.
 * Context: any; does not sleep or allocate.
 *
 * Return: CBT_ADMITTED: cbt_write_end() must follow when it is done. With all others nothing is
 * held, and what must wait is queued or failed by the caller.
 */
enum cbt_admission cbt_write_try(struct cbt_tracker *tracker, struct cbt_write *write);

/**
 * cbt_write_queue - let a write wait as @admission says; ops->go() follows when it is marked and
 * counted in, or ops->drop() when it needs not go down.
 */
void cbt_write_queue(struct cbt_tracker *tracker, struct cbt_write *write,
		     enum cbt_admission admission);

/** cbt_write_end - a write that was counted in is done. Context: any, also interrupts. */
void cbt_write_end(struct cbt_tracker *tracker);

/*--------------------------------------------------------------------------------------------------
 * For images
 */

/**
 * cbt_tracker_image - what serves the image of a frozen epoch; to be given back with cbt_cow_put().
 * @ret_epoch: the epoch's number
 *
 * It outlives the epoch and the tracker; then reads fail. Context: may sleep; takes the control
 * lock.
 *
 * Return: an error and a sentence in @why: -ENODEV no such tracker; -EOPNOTSUPP it has no diff
 * area; -ENOENT another epoch is frozen, or none; -ECANCELED the epoch is broken.
 */
struct cbt_cow *cbt_tracker_image(const uuid_t *tracker, const uuid_t *epoch, u64 *ret_epoch,
				  const char **why);

/*--------------------------------------------------------------------------------------------------
 * For control; all under the control lock, which may be waited for and under which they may sleep
 */

void cbt_control_lock(void);
void cbt_control_unlock(void);

/** cbt_tracker_by_uuid, cbt_tracker_by_name - of those that were started; NULL when there is none. */
struct cbt_tracker *cbt_tracker_by_uuid(const uuid_t *uuid);
struct cbt_tracker *cbt_tracker_by_name(const char *name);

/** cbt_tracker_at - the one at @index of those that were started, NULL past their end. */
struct cbt_tracker *cbt_tracker_at(u32 index);

/** cbt_registry_sequence - another number, never 0, whenever a tracker came or went. */
u32 cbt_registry_sequence(void);

/**
 * cbt_freeze - end the running epoch of @nr trackers in one instant and call it @epoch.
 * cbt_commit - the receiver holds @epoch durably: it becomes the base, and the frozen maps are
 * dropped. cbt_abort - merge the frozen maps of @epoch back.
 *
 * Semantics, idempotence and errors as in uapi/linux/dm-cbt.h. All trackers are checked before one
 * is changed, so a refusal changes nothing; a tracker given twice is refused with -EINVAL.
 */
int cbt_freeze(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch,
	       struct cbt_refusal *why);
int cbt_commit(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch,
	       struct cbt_refusal *why);
int cbt_abort(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch,
	      struct cbt_refusal *why);

/**
 * cbt_release - blocks @first to @last of the frozen @epoch are with the receiver: they need no
 * copy any more and their image is gone. They stay in the frozen map, for an abort.
 *
 * Return: -ENOENT the epoch is not the frozen one; -ERANGE a block past the end, or @first after
 * @last; -ECANCELED the epoch is broken; -ENOMEM: some may be released, it can be repeated.
 */
int cbt_release(struct cbt_tracker *tracker, const uuid_t *epoch, u64 first, u64 last,
		struct cbt_refusal *why);

#endif
