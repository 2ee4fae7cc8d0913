/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A tracked device: cover, mark, then let the write go.
 *
 * A tracker owns two maps. The active one collects what the running epoch writes. A freeze ends
 * the epoch: its map becomes the frozen one, the delta to be sent, and an empty one becomes
 * active. Commit drops the frozen map, abort merges it back. In every state the union of both
 * covers every block that may differ from the base (invariant I1), and with a store (store.h) the
 * same is true of what a crash would leave.
 *
 * The registry owns trackers, at most one per origin and per store; targets and the netlink family
 * only point to them. One lock, cbt_control_lock(), serialises everything but the write path:
 * look-ups, epochs, reading maps. What has to wait for I/O lets go of it, with the tracker pinned.
 *
 *	write.c		the write path
 *	track.c		life, the registry
 *	epoch.c		freeze, commit, abort, and the other commands
 */
#ifndef CBT_TRACK_H
#define CBT_TRACK_H

#include <linux/dm-cbt.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/uuid.h>
#include <linux/workqueue.h>

#include "cow.h"
#include "gate.h"
#include "gather.h"
#include "map.h"
#include "stats.h"
#include "store.h"

#define CBT_FREEZE_TIMEOUT_MS	500
#define CBT_COMMAND_MS		900	/* no command waits longer for the store or the origin */
#define CBT_BLOCK_SECTORS_MIN	8
#define CBT_OUTCOMES		16	/* remembered, so that COMMIT and ABORT can be repeated */

/** enum cbt_write_kind - what becomes of a write to frozen blocks that have no copy yet. */
enum cbt_write_kind {
	CBT_WRITE_DATA,			/* it waits for the copies */
	CBT_WRITE_DISCARD,		/* it is marked, and needs not go down */
	CBT_WRITE_ERASE,		/* it must go down: the epoch is broken */
	CBT_WRITE_MARK,			/* it never goes down: see cbt_mark() */
};

/**
 * struct cbt_write - a write on its way through a tracker; embedded in the caller's per-I/O data.
 * @first, @last: blocks, both inclusive, set by the caller, and @kind
 */
struct cbt_write {
	u64 first;
	u64 last;
	enum cbt_write_kind kind;
	/* while it waits */
	bool whole_leaves;		/* what covers it covers its leaves as a whole */
	bool gated;			/* it waits for the gate */
	ktime_t since;			/* when its present wait began */
	struct list_head link;
	struct cbt_cow_wait copy;	/* for copies */
};

/** enum cbt_admission - what may be done with a write now. */
enum cbt_admission {
	CBT_ADMITTED,			/* marked and counted in: submit it */
	CBT_NEEDLESS,			/* marked: complete it as well done */
	CBT_MUST_PASS,			/* the gate, when it opens */
	CBT_MUST_WAIT,			/* for a leaf */
	CBT_MUST_COVER,			/* for the store */
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
	u64 number;
	bool committed;			/* or aborted */
};

struct cbt_tracker {
	/* Fixed. */
	dev_t origin;
	dev_t store_dev;		/* 0: tracking in RAM only */
	void *owner;
	const struct cbt_owner_ops *ops;

	/* Fixed from the start on, but for a growth behind the drained gate. */
	uuid_t uuid;
	u64 generation;
	u64 size_sectors;
	u32 block_shift;		/* 512-byte sectors per block, as a power of two */

	/* The write path. @active changes only behind the drained gate. */
	struct cbt_gate gate;
	struct cbt_map *active;
	spinlock_t waiting_lock;
	struct list_head waiting;	/* LOCK: waiting_lock */
	struct list_head arriving;	/* LOCK: waiting_lock; they gather */
	struct cbt_gather gather;	/* LOCK: waiting_lock */
	struct list_head covering;	/* in the log's transaction; the worker only */
	u64 nr_left;			/* queued writes that went; written by the worker */
	struct workqueue_struct *workers;
	struct work_struct work;
	struct workqueue_struct *submitters;	/* of the store's I/O; NULL without one */
	struct cbt_store store;
	struct cbt_cow *cow;		/* NULL: no diff area, no images */
	struct cbt_stats stats;

	/*
	 * LOCK: which map is which, their epochs, and leaves on their way from one to the other:
	 * for the checkpoint, which must see the union whole. Also under the control lock.
	 */
	spinlock_t maps_lock;
	struct cbt_map maps[2];
	struct cbt_map suspects[2];	/* regions; a map's suspects have its index */
	struct cbt_map *frozen;		/* NULL when no epoch is frozen */
	u64 epoch;			/* the running one */

	/* LOCK: the control lock */
	struct list_head link;
	struct block_device *origin_bdev;
	u64 store_sectors;		/* the size that the store holds durably */
	u32 nr_users;
	u32 nr_pins;
	bool starting;			/* its store is being read */
	bool started;			/* its device was resumed: the writes come through here */
	bool stopping;			/* nobody finds it, but its devices are still its own */
	bool bypassed;
	u64 frozen_epoch;
	uuid_t frozen_uuid;
	uuid_t base_uuid;		/* nil before the first commit */
	u64 nr_changes;			/* of epochs: a reader of maps must start again */
	struct cbt_outcome outcomes[CBT_OUTCOMES];
	u32 nr_outcomes;		/* ever; the last ones are kept */
	u64 freeze_ticket;		/* the store's, for the frozen epoch's UUID */

	/* A commit under way; see epoch.c. */
	bool committing;
	int commit_error;		/* of the last one that was begun */
	bool origin_failed;		/* to flush, since the last freeze; set from any context */
	struct work_struct commit_work;

	atomic_t nr_marks;		/* requests under way, of MARK */
	wait_queue_head_t wait;		/* for a commit, and for marks */
};

struct cbt_tracker_params {
	dev_t origin;
	struct block_device *origin_bdev;
	struct block_device *store_bdev;	/* NULL: RAM only */
	void *owner;
	const struct cbt_owner_ops *ops;
	u64 size_sectors;
	u32 block_sectors;		/* power of two, 8 to 2048; 0: as the store says, or 8 */
};

/** cbt_tracker_suspects - the suspect regions that go with one of the tracker's maps. */
static inline struct cbt_map *cbt_tracker_suspects(struct cbt_tracker *t, const struct cbt_map *map)
{
	return &t->suspects[map - t->maps];
}

/** cbt_tracker_state - how it is now. */
enum cbt_tracker_state cbt_tracker_state(const struct cbt_tracker *t);

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
 * The same owner gets the same tracker again, with its maps, as when its table is reloaded. A new
 * one has no maps before it is started.
 * Context: may sleep; takes the control lock.
 *
 * Return: a tracker, to be given back with cbt_tracker_put(); or an error and a sentence in @why:
 * -EBUSY the origin or the store belongs to another owner, the owner has a tracker on another
 * origin or store, or the devices are stacked; -EFBIG more than CBT_MAP_BLOCKS_MAX blocks;
 * -EINVAL smaller than the running tracker's origin, or of another block size; -ENOMEM.
 */
struct cbt_tracker *cbt_tracker_get(const struct cbt_tracker_params *params, const char **why);

/**
 * cbt_tracker_start - the mapped device is about to let I/O through the tracker; may be repeated.
 *
 * The first time, the store is read; later ones take over @params, which may be of a new table, and
 * whose size may have grown. Until it is started another table may be live, whose writes nobody
 * sees, so the tracker is not told to anyone who looks for it and has no epochs.
 * No write is on its way. Context: may sleep, waits for I/O, takes the control lock.
 * Return: 0, or an error and a sentence in @why.
 */
int cbt_tracker_start(struct cbt_tracker *tracker, const struct cbt_tracker_params *params,
		      const char **why);

/**
 * cbt_tracker_put - no write of the caller is on its way.
 *
 * The last put stops it: the store says so with a fingerprint of the origin. Waits for I/O.
 */
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
 * counted in, or ops->drop() when it needs not go down. Context: process; does not sleep.
 */
void cbt_write_queue(struct cbt_tracker *tracker, struct cbt_write *write,
		     enum cbt_admission admission);

/**
 * cbt_tracker_flush_failed - the origin failed to flush, for whomever: what the image served may not be on it, and the
 * device says so once. Context: any.
 */
static inline void cbt_tracker_flush_failed(struct cbt_tracker *tracker)
{
	WRITE_ONCE(tracker->origin_failed, true);
}

/** cbt_tracker_dev - the mapped device. */
static inline dev_t cbt_tracker_dev(const struct cbt_tracker *tracker)
{
	return tracker->ops->dev(tracker->owner);
}

/** cbt_tracker_nr_waiting - how many writes are queued now. Context: any. */
u64 cbt_tracker_nr_waiting(const struct cbt_tracker *tracker);

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

/**
 * cbt_tracker_hibernate - the host is about to (or, with false, it is over): no tracker comes into being meanwhile.
 * -EBUSY: there is one, on which a table may be loaded only.
 */
int cbt_tracker_hibernate(bool begins);

/** cbt_registry_sequence - another number, never 0, whenever a tracker came or went. */
u32 cbt_registry_sequence(void);

/** cbt_tracker_pin - keep a tracker while the control lock is let go of for a moment. */
static inline void cbt_tracker_pin(struct cbt_tracker *t)
{
	t->nr_pins++;
}

void cbt_tracker_unpin(struct cbt_tracker *t);

/**
 * cbt_freeze - end the running epoch of @nr trackers in one instant and call it @epoch.
 * cbt_commit - the receiver holds @epoch durably: it becomes the base, and the frozen maps are
 * dropped. cbt_abort - merge the frozen maps of @epoch back.
 *
 * Semantics, idempotence and errors as in uapi/linux/dm-cbt.h. All trackers are checked before one
 * is changed, so a refusal changes nothing; a tracker given twice is refused with -EINVAL. freeze
 * and commit let go of the control lock while they wait for the store; -EINPROGRESS: it is not
 * durable yet, the same call again waits on.
 */
int cbt_freeze(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch,
	       struct cbt_refusal *why);
int cbt_commit(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch,
	       struct cbt_refusal *why);
int cbt_abort(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch,
	      struct cbt_refusal *why);

/** struct cbt_range - blocks @first to @last, both inclusive. */
struct cbt_range {
	u64 first;
	u64 last;
};

/**
 * cbt_release - blocks of the frozen @epoch are with the receiver: they need no copy any more and
 * their image is gone. They stay in the frozen map, for an abort.
 *
 * Return: -ENOENT the epoch is not the frozen one; -ERANGE a block past the end, @first after
 * @last, or more blocks in all than the disk has; -ECANCELED the epoch is broken; -ENOMEM: some may
 * be released, it can be repeated.
 */
int cbt_release(struct cbt_tracker *tracker, const uuid_t *epoch, const struct cbt_range *ranges,
		u32 nr, struct cbt_refusal *why);

/**
 * cbt_mark - dirty blocks that nobody wrote: what is known from elsewhere to differ from the base.
 *
 * Returns when they are covered durably. Lets go of the control lock while it waits.
 * Return: 0; -ERANGE as for cbt_release(), nothing was marked; -ENOMEM; -EINPROGRESS some may be marked:
 * repeat it.
 */
int cbt_mark(struct cbt_tracker *t, const struct cbt_range *ranges, u32 nr,
	     struct cbt_refusal *why);

/**
 * cbt_checkpoint - write what the log covers into the map.
 *
 * Lets go of the control lock while it waits. Return: 0, -EINPROGRESS, -EIO, -ENODEV there is no
 * store.
 */
int cbt_checkpoint(struct cbt_tracker *t, struct cbt_refusal *why);

/**
 * cbt_bypass - note on the store that writes are about to go past the tracker.
 *
 * A new generation begins when the store is used again, and also when it says that it is lost.
 * Lets go of the control lock while it waits.
 * Return: 0; -EINPROGRESS; -EIO it is lost and cannot say so; -ENODEV there is no store.
 */
int cbt_bypass(struct cbt_tracker *t, struct cbt_refusal *why);

/**
 * cbt_label_get, cbt_label_set - what the store keeps for the controller.
 *
 * set returns when it is durable; it lets go of the control lock while it waits.
 * Return: 0, -EINPROGRESS, -EIO, -ENODEV there is no store.
 */
void cbt_label_get(struct cbt_tracker *t, u8 label[CBT_LABEL_LEN]);
int cbt_label_set(struct cbt_tracker *t, const u8 label[CBT_LABEL_LEN], struct cbt_refusal *why);

/** cbt_lost_ack - somebody has noted durably that the tracker is lost: writes may go. */
void cbt_lost_ack(struct cbt_tracker *t);

/*--------------------------------------------------------------------------------------------------
 * Between track.c and epoch.c
 */

/** cbt_gates_close, cbt_gates_open - the instant. May sleep. */
bool cbt_gates_close(struct cbt_tracker *const *trackers, u32 nr, u32 *ret_busy);
void cbt_gates_open(struct cbt_tracker *const *trackers, u32 nr);

/** cbt_epoch_settle - wait until no commit or MARK is under way; lets go of the control lock meanwhile. */
void cbt_epoch_settle(struct cbt_tracker *t);

/**
 * cbt_epoch_drop - merge back what is frozen, as an abort does. Behind the drained gate, when no
 * commit is under way. May sleep.
 */
void cbt_epoch_drop(struct cbt_tracker *t);

/** cbt_mark_done - a write of kind MARK was admitted, and counted in. */
void cbt_mark_done(struct cbt_tracker *t, struct cbt_write *write);

/** cbt_tracker_wake - let the worker look at what waits. Context: any. */
void cbt_tracker_wake(struct cbt_tracker *t);

/** cbt_tracker_save - have the epochs' state written to the store. Return: the store's ticket. */
u64 cbt_tracker_save(struct cbt_tracker *t);

/** cbt_tracker_event - tell it, about @epoch or NULL. */
void cbt_tracker_event(struct cbt_tracker *t, enum cbt_event_kind kind, const uuid_t *epoch,
		       const char *reason);

int cbt_epoch_module_init(void);
void cbt_epoch_module_exit(void);
void cbt_epoch_init(struct cbt_tracker *t);

/** cbt_epoch_exit - until marks and a commit under way have ended. */
void cbt_epoch_exit(struct cbt_tracker *t);

#endif
