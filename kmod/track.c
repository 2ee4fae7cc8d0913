// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trackers: their maps, their store and their life. The write path is in write.c, epochs in epoch.c.
 */
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/sched/mm.h>

#include "event.h"
#include "faults.h"
#include "fingerprint.h"
#include "grow.h"
#include "queue.h"
#include "trace.h"
#include "write.h"

#define CBT_START_UNDO_MS	1000

static DEFINE_MUTEX(control);
static LIST_HEAD(registry);		/* LOCK: control */
static u32 registry_sequence = 1;	/* LOCK: control */
static u64 nr_trackers_ever;		/* LOCK: control */
static bool hibernates;			/* LOCK: control */
static unsigned int control_noio;	/* LOCK: control */
static DECLARE_WAIT_QUEUE_HEAD(unpinned);

/* Whoever resumes a suspended device waits for it, so its holder's allocations must not wait for I/O. */
void cbt_control_lock(void)
{
	mutex_lock(&control);
	control_noio = memalloc_noio_save();
}

void cbt_control_unlock(void)
{
	memalloc_noio_restore(control_noio);
	mutex_unlock(&control);
}

/*--------------------------------------------------------------------------------------------------
 * What the store asks
 */

static struct cbt_tracker *store_tracker(struct cbt_store *store)
{
	return container_of(store, struct cbt_tracker, store);
}

static void store_wake(struct cbt_store *store)
{
	cbt_tracker_wake(store_tracker(store));
}

static void store_failed(struct cbt_store *store)
{
	struct cbt_tracker *t = store_tracker(store);

	if (READ_ONCE(store->mode) == CBT_STORE_FAILING) {
		cbt_stats_inc(&t->stats, CBT_STATS_A_STORE_ERRORS);
		cbt_tracker_event(t, CBT_EVENT_STORE_ERROR, NULL, store->failure);
		cbt_tracker_event(t, CBT_EVENT_LOST, NULL, store->failure);
	} else {
		cbt_tracker_event(t, CBT_EVENT_STATE, NULL, store->failure);
	}
}

static bool leaf_is_clean(struct cbt_store *store, u64 leaf)
{
	struct cbt_tracker *t = store_tracker(store);
	bool clean;

	spin_lock(&t->maps_lock);
	clean = cbt_map_leaf_is_clean(t->active, leaf) &&
		(!t->frozen || cbt_map_leaf_is_clean(t->frozen, leaf));
	spin_unlock(&t->maps_lock);
	return clean;
}

/* Bit i of @suspect: the i-th region from block @start on is suspect in a map. */
static void capture_suspects(const struct cbt_map *suspects, u32 region_shift, u64 start,
			     u8 *suspect)
{
	u64 region = start >> region_shift;
	u64 i, nr = min(CBT_DISK_BITS >> region_shift, suspects->nr_blocks - region);

	if (!atomic64_read(&suspects->nr_dirty))
		return;
	for (i = 0; i < nr; i++)
		if (cbt_map_test(suspects, region + i))
			suspect[i / 8] |= 1U << (i % 8);
}

static void capture_map(struct cbt_tracker *t, const struct cbt_map *map, u64 start,
			struct cbt_disk_bits *block)
{
	if (start >= map->nr_blocks || !cbt_map_save(map, start, block->bits, CBT_DISK_BITS))
		return;
	capture_suspects(cbt_tracker_suspects(t, map), t->store.region_shift, start,
			 block->suspect);
}

static u64 capture(struct cbt_store *store, u64 number, struct cbt_disk_bits *block)
{
	struct cbt_tracker *t = store_tracker(store);
	u64 epoch;

	spin_lock(&t->maps_lock);
	capture_map(t, t->active, number * CBT_DISK_BITS, block);
	if (t->frozen)
		capture_map(t, t->frozen, number * CBT_DISK_BITS, block);
	epoch = t->epoch;
	spin_unlock(&t->maps_lock);
	return epoch;
}

static void checkpointed(struct cbt_store *store, u64 nr_leaves, ktime_t started, int error)
{
	struct cbt_tracker *t = store_tracker(store);

	trace_cbt_checkpoint(cbt_tracker_dev(t), nr_leaves, ktime_to_ns(ktime_sub(ktime_get(), started)),
			     error);
	if (error)
		return;
	cbt_stats_inc(&t->stats, CBT_STATS_A_CHECKPOINTS);
	cbt_stats_add(&t->stats, CBT_STATS_A_CHECKPOINT_LEAVES, nr_leaves);
	cbt_stats_record_since(&t->stats, CBT_STATS_A_CHECKPOINT_TIME, started);
}

static void store_settle(struct cbt_store *store)
{
	flush_work(&store_tracker(store)->work);
}

static const struct cbt_store_client store_client = {
	.wake = store_wake,
	.failed = store_failed,
	.leaf_is_clean = leaf_is_clean,
	.capture = capture,
	.checkpointed = checkpointed,
	.settle = store_settle,
};

/*--------------------------------------------------------------------------------------------------
 * Life
 */

static void maps_exit(struct cbt_tracker *t)
{
	u32 i;

	for (i = 0; i < 2; i++) {
		cbt_map_exit(&t->maps[i]);
		cbt_map_exit(&t->suspects[i]);
	}
}

static int maps_init(struct cbt_tracker *t, u64 nr_blocks, u64 nr_regions)
{
	int error = 0;
	u32 i;

	for (i = 0; !error && i < 2; i++) {
		error = cbt_map_init(&t->maps[i], nr_blocks);
		if (!error)
			error = cbt_map_init(&t->suspects[i], nr_regions);
	}
	if (error)
		maps_exit(t);
	else
		t->active = &t->maps[0];
	return error;
}

static void tracker_free(struct cbt_tracker *t)
{
	if (!t)
		return;
	cbt_cow_put(t->cow);
	maps_exit(t);
	cbt_gate_exit(&t->gate);
	cbt_write_exit(t);
	cbt_queue_free(&t->submitters);
	kfree(t);
}

/* Not yet registered. Not under the control lock: a thread is made, whose memory may wait for I/O. */
static struct cbt_tracker *tracker_new(const struct cbt_tracker_params *params)
{
	struct cbt_tracker *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return NULL;
	t->origin = params->origin;
	t->store_dev = params->store_bdev ? params->store_bdev->bd_dev : 0;
	t->owner = params->owner;
	t->ops = params->ops;
	t->size_sectors = params->size_sectors;
	t->block_shift = ilog2(params->block_sectors ?: CBT_BLOCK_SECTORS_MIN);
	t->nr_users = 1;
	spin_lock_init(&t->maps_lock);
	cbt_epoch_init(t);
	cbt_store_init_ram(&t->store);
	if (t->store_dev)
		t->submitters = cbt_queue_new_for("dm-cbt-store", cbt_tracker_dev(t));
	if (cbt_write_init(t) || cbt_gate_init(&t->gate) || (t->store_dev && !t->submitters)) {
		tracker_free(t);
		return NULL;
	}
	return t;
}

static void registry_changed(void)
{
	registry_sequence += registry_sequence == U32_MAX ? 2 : 1;
}

static bool is_stacked(const struct cbt_tracker *t, dev_t dev, dev_t origin, dev_t store)
{
	dev_t mapped = cbt_tracker_dev(t);

	return mapped == origin || mapped == store || t->origin == dev || t->store_dev == dev;
}

/* The tracker to share, NULL for a new one, or an error when the running ones do not allow it. */
static struct cbt_tracker *tracker_find(const struct cbt_tracker_params *params, const char **why)
{
	dev_t store = params->store_bdev ? params->store_bdev->bd_dev : 0;
	dev_t dev = params->ops->dev(params->owner);
	struct cbt_tracker *t, *found = NULL;

	list_for_each_entry(t, &registry, link) {
		if (is_stacked(t, dev, params->origin, store)) {
			*why = "the origin, the store or the device is part of another tracker: trackers cannot be stacked";
			return ERR_PTR(-EBUSY);
		}
		if ((store && t->origin == store) || t->store_dev == params->origin) {
			*why = "what is to be the store is an origin, or the other way round";
			return ERR_PTR(-EBUSY);
		}
		if (t->origin == params->origin && t->owner == params->owner &&
		    t->store_dev == store && !t->stopping) {
			found = t;
			continue;
		}
		if (t->origin == params->origin || (store && t->store_dev == store)) {
			*why = t->stopping ? "the origin or the store belongs to a tracker that is being removed: try again" :
					     "the origin or the store belongs to another tracker: remove that one first";
			return ERR_PTR(-EBUSY);
		}
		if (t->owner == params->owner) {
			*why = "the device tracks another origin: remove it first";
			return ERR_PTR(-EBUSY);
		}
	}
	return found;
}

static int check_room(const struct cbt_tracker *t, u64 size_sectors, const char **why)
{
	return t->store.mode == CBT_STORE_RAM ? 0 : cbt_store_has_room(&t->store, size_sectors, why);
}

/* When a table is loaded: a refusal at its resume leaves the device suspended. */
static int check_growth(const struct cbt_tracker *t, u64 size_sectors, const char **why)
{
	if (size_sectors <= t->size_sectors)
		return 0;
	if (t->frozen) {
		*why = "an epoch is frozen, and a larger disk begins a generation: commit or abort it first";
		return -EBUSY;
	}
	return check_room(t, size_sectors, why);
}

static int tracker_check(const struct cbt_tracker_params *params, const struct cbt_tracker *t,
			 const char **why)
{
	u32 block_sectors = params->block_sectors ?: CBT_BLOCK_SECTORS_MIN;

	if (DIV_ROUND_UP_ULL(params->size_sectors, block_sectors) > CBT_MAP_BLOCKS_MAX) {
		*why = "the origin has too many blocks: choose a larger block_size";
		return -EFBIG;
	}
	if (!t)
		return 0;
	if (t->starting) {
		*why = "the tracker is being started, and nobody knows its sizes yet: try again";
		return -EBUSY;
	}
	if (t->size_sectors > params->size_sectors) {
		*why = "the origin is smaller than the running tracker's: remove the device first";
		return -EINVAL;
	}
	if (t->started && params->block_sectors && 1U << t->block_shift != params->block_sectors) {
		*why = "the block size differs from the running tracker's: remove the device first";
		return -EINVAL;
	}
	return t->started ? check_growth(t, params->size_sectors, why) : 0;
}

static void tracker_register(struct cbt_tracker *t)
{
	/* No number comes twice for a UUID, which outlives its trackers. */
	t->nr_changes = ++nr_trackers_ever << 32;
	list_add_tail(&t->link, &registry);
	registry_changed();
}

/* Under the control lock: the one to share, which is one's own then; NULL: there is none yet. */
static struct cbt_tracker *tracker_share(const struct cbt_tracker_params *params, const char **why)
{
	struct cbt_tracker *t = tracker_find(params, why);
	int error = PTR_ERR_OR_ZERO(t);

	if (!error)
		error = tracker_check(params, t, why);
	if (!error && !t && hibernates) {
		*why = "the host is being hibernated: try again";
		error = -EBUSY;
	}
	if (error)
		return ERR_PTR(error);
	if (t)
		t->nr_users++;
	return t;
}

struct cbt_tracker *cbt_tracker_get(const struct cbt_tracker_params *params, const char **why)
{
	struct cbt_tracker *t, *fresh;

	cbt_control_lock();
	t = tracker_share(params, why);
	cbt_control_unlock();
	if (t)
		return t;
	fresh = tracker_new(params);
	if (!fresh) {
		*why = "out of memory for the tracker";
		return ERR_PTR(-ENOMEM);
	}
	cbt_control_lock();
	t = tracker_share(params, why);
	if (!t) {
		tracker_register(fresh);
		swap(t, fresh);
	}
	cbt_control_unlock();
	tracker_free(fresh);
	return t;
}

/*--------------------------------------------------------------------------------------------------
 * Start and stop
 */

static bool origin_changed(struct cbt_store *store, u64 seed, u64 fingerprint)
{
	struct cbt_tracker *t = store_tracker(store);
	u64 now;

	return cbt_fingerprint(t->origin_bdev, store->super.geo.size_sectors, seed, &now) ||
	       now != fingerprint;
}

/* Copies of one store must not run side by side: each would speak for the other. */
static int claim_uuid(struct cbt_tracker *t, const u8 uuid[UUID_SIZE])
{
	struct cbt_tracker *other;
	uuid_t claimed;
	int error = 0;

	import_uuid(&claimed, uuid);
	cbt_control_lock();
	list_for_each_entry(other, &registry, link)
		if (other != t && uuid_equal(&other->uuid, &claimed))
			error = -EEXIST;
	if (!error)
		t->uuid = claimed;
	cbt_control_unlock();
	return error;
}

static int store_prepare(struct cbt_store *store, struct cbt_opening *opening, const char **why)
{
	struct cbt_tracker *t = store_tracker(store);
	/* The size may have grown, which the store notes last. */
	struct cbt_geometry geo = store->super.geo;
	int error;

	geo.size_sectors = opening->size_sectors;
	*why = "a store with the same UUID is in use: one is a copy of the other, format it anew";
	error = claim_uuid(t, store->super.id.uuid);
	if (error)
		return error;
	*why = "out of memory for the maps";
	error = maps_init(t, cbt_geometry_nr_blocks(&geo), cbt_geometry_nr_regions(&geo));
	opening->dirty = &t->maps[0];
	opening->suspect = &t->suspects[0];
	return error;
}

/* What the superblock says of epochs becomes the tracker's. */
static void take_history(struct cbt_store *store)
{
	struct cbt_tracker *t = store_tracker(store);
	const struct cbt_super *super = &store->super;
	u32 i;

	import_uuid(&t->uuid, super->id.uuid);
	t->generation = super->generation;
	t->epoch = super->epoch;
	t->block_shift = ilog2(super->geo.block_sectors);
	import_uuid(&t->base_uuid, super->base_uuid);
	t->nr_outcomes = super->nr_outcomes;
	for (i = 0; i < CBT_OUTCOMES; i++) {
		import_uuid(&t->outcomes[i].epoch, super->outcomes[i].epoch_uuid);
		t->outcomes[i].number = super->outcomes[i].epoch;
		t->outcomes[i].committed = super->outcomes[i].result == CBT_DISK_COMMITTED;
	}
}

/* Copy-before-write needs a diff area; without one there is none. */
static int cow_new(struct cbt_tracker *t, struct block_device *store_bdev)
{
	const struct cbt_geometry *geo = &t->store.super.geo;
	const struct cbt_cow_params params = {
		.origin = t->origin_bdev,
		.diff = store_bdev,
		.origin_dev = t->origin,
		.diff_dev = store_bdev->bd_dev,
		.diff_start = geo->diff_start * CBT_DISK_SECTORS,
		.nr_slots = min_t(u64, geo->nr_diff_slots, INT_MAX),
		.size_sectors = t->size_sectors,
		.block_shift = t->block_shift,
		.dev = cbt_tracker_dev(t),
		.ops = &cbt_write_cow_ops,
		.owner = t,
	};

	if (!geo->nr_diff_slots)
		return 0;
	t->cow = cbt_cow_new(&params);
	return t->cow ? 0 : -ENOMEM;
}

/* CRASH: nothing is written yet, so that a refusal leaves what the store says of its last stop. */
static int store_found(struct cbt_store *store, const char **why)
{
	take_history(store);
	*why = "out of memory for copies";
	return cow_new(store_tracker(store), store->bdev);
}

/* What a start that failed has left. Waits for what its store owes. */
static void start_undo(struct cbt_tracker *t)
{
	cbt_store_close(&t->store, 0, 0, 0);
	cbt_cow_stop(t->cow);
	cbt_cow_put(t->cow);
	t->cow = NULL;
	t->uuid = uuid_null;
	maps_exit(t);
	cbt_store_init_ram(&t->store);
}

/*
 * The same, but whoever resumes does not wait for a store that hangs: it is left to the next start, or
 * to who removes the device.
 */
static bool start_is_undone(struct cbt_tracker *t)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(CBT_START_UNDO_MS);

	while (!cbt_store_is_idle(&t->store)) {
		if (time_after(jiffies, deadline))
			return false;
		msleep(20);
	}
	start_undo(t);
	return true;
}

static int start_with_store(struct cbt_tracker *t, const struct cbt_tracker_params *params,
			    const char **why)
{
	struct cbt_opening opening = {
		.size_sectors = params->size_sectors,
		.block_sectors = params->block_sectors,
		.hot_regions = CBT_HOT_REGIONS,
		.stats = &t->stats,
		.submitters = t->submitters,
		.prepare = store_prepare,
		.found = store_found,
		.origin_changed = origin_changed,
	};
	int error;

	if (!start_is_undone(t)) {
		*why = "the store has not answered yet since the last attempt";
		return -EBUSY;
	}
	error = cbt_store_open(&t->store, params->store_bdev, &store_client, &opening, why);
	if (error) {
		(void)start_is_undone(t);
		return error;
	}
	if (opening.broken)
		cbt_tracker_event(t, CBT_EVENT_GENERATION, NULL,
				  "continuity was broken: the map proves nothing of before");
	return 0;
}

static int start_in_ram(struct cbt_tracker *t, const char **why)
{
	u64 nr_blocks = DIV_ROUND_UP_ULL(t->size_sectors, 1U << t->block_shift);

	*why = "out of memory for the maps";
	uuid_gen(&t->uuid);
	t->generation = 1;
	t->epoch = 1;
	return maps_init(t, nr_blocks, DIV_ROUND_UP_ULL(nr_blocks, CBT_DISK_BITS));
}

static int tracker_start_first(struct cbt_tracker *t, const struct cbt_tracker_params *params,
			       const char **why)
{
	int error;

	cbt_control_lock();
	t->starting = true;
	t->size_sectors = params->size_sectors;
	cbt_control_unlock();
	/* As the table says that is resumed; another one may have been loaded before. */
	t->block_shift = ilog2(params->block_sectors ?: CBT_BLOCK_SECTORS_MIN);
	error = params->store_bdev ? start_with_store(t, params, why) : start_in_ram(t, why);
	t->store_sectors = t->size_sectors;
	cbt_control_lock();
	t->starting = false;
	t->started = !error;
	registry_changed();
	cbt_control_unlock();
	if (error)
		return error;
	cbt_tracker_event(t, CBT_EVENT_ADDED, NULL, NULL);
	return 0;
}

/* The control lock is held, and no commit or MARK under way. */
static int tracker_enlarge(struct cbt_tracker *t, u64 size_sectors, const char **why)
{
	/* Of a table that was loaded while the tracker started nobody has asked. */
	int error = check_room(t, size_sectors, why);
	u32 busy;

	if (error)
		return error;
	if (cbt_gates_close(&t, 1, &busy)) {
		error = cbt_tracker_grow(t, size_sectors, why);
	} else {
		*why = "what is in flight did not end in time";
		error = -ETIMEDOUT;
	}
	cbt_gates_open(&t, 1);
	return error;
}

/* A started tracker under a new table, with nothing on its way but marks that nobody wrote. */
static int tracker_adopt(struct cbt_tracker *t, const struct cbt_tracker_params *params,
			 const char **why)
{
	int error = 0;

	cbt_control_lock();
	t->origin_bdev = params->origin_bdev;
	if (params->size_sectors > t->size_sectors) {
		cbt_epoch_settle(t);
		error = tracker_enlarge(t, params->size_sectors, why);
	}
	cbt_control_unlock();
	if (!error && t->store.mode != CBT_STORE_RAM && params->size_sectors != t->store_sectors) {
		*why = "the store did not take the new size in time";
		error = cbt_tracker_note_size(t, params->size_sectors);
	}
	return error;
}

int cbt_tracker_start(struct cbt_tracker *t, const struct cbt_tracker_params *params,
		      const char **why)
{
	/* The device is suspended: what memory is reclaimed by may wait for it. */
	unsigned int noio = memalloc_noio_save();
	int error;

	if (t->started) {
		error = tracker_adopt(t, params, why);
	} else {
		t->origin_bdev = params->origin_bdev;
		error = tracker_start_first(t, params, why);
	}
	memalloc_noio_restore(noio);
	return error;
}

/* CRASH: an origin that lost what the fingerprint saw would seem to have been written by others. */
static int take_fingerprint(struct cbt_tracker *t, u64 seed, u64 *ret)
{
	int error = cbt_fault_skips(CBT_FAULT_STOP_FLUSH) ? 0 : blkdev_issue_flush(t->origin_bdev);

	return error ? error : cbt_fingerprint(t->origin_bdev, t->size_sectors, seed, ret);
}

/*
 * CRASH: what a few samples of the origin would hardly show is noted, and at once: the writes go on
 * under the other table. Return: a ticket.
 */
static u64 note_bypassed(struct cbt_tracker *t)
{
	return t->started && t->store.mode != CBT_STORE_RAM ?
		       cbt_store_flag(&t->store, CBT_DISK_BYPASSED) : 0;
}

/* @note: of a bypass, 0: none. */
static void tracker_stop(struct cbt_tracker *t, u64 note)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(CBT_STORE_DEADLINE_MS);
	u64 seed = get_random_u64() | 1;
	u64 fingerprint;

	if (note && t->store.mode == CBT_STORE_OPEN)
		(void)cbt_store_wait_saved(&t->store, note, deadline);
	/* Without a fingerprint it is as after a crash, which loses nothing either. */
	if (t->store.mode == CBT_STORE_OPEN && take_fingerprint(t, seed, &fingerprint))
		seed = 0;
	cbt_store_close(&t->store, seed, fingerprint, note);
}

void cbt_tracker_unpin(struct cbt_tracker *t)
{
	t->nr_pins--;
	wake_up_all(&unpinned);
}

/* Whoever was pinning it is done with it when the lock is had again. */
static void wait_for_pins(struct cbt_tracker *t)
{
	cbt_control_lock();
	while (t->nr_pins) {
		cbt_control_unlock();
		wait_event(unpinned, !READ_ONCE(t->nr_pins));
		cbt_control_lock();
	}
	cbt_control_unlock();
}

void cbt_tracker_put(struct cbt_tracker *t)
{
	char name[CBT_NAME_LEN + 1];
	bool last, bypassed;
	u64 note;

	cbt_control_lock();
	last = --t->nr_users == 0;
	/* One that is being removed has no name any more; else it lives on, under another table. */
	bypassed = last && !t->ops->name(t->owner, name);
	if (last) {
		t->stopping = true;
		registry_changed();
	}
	cbt_control_unlock();
	if (!last)
		return;
	note = bypassed ? note_bypassed(t) : 0;
	wait_for_pins(t);
	if (!t->started)
		start_undo(t);
	cbt_epoch_exit(t);
	cbt_cow_stop(t->cow);
	cbt_write_stop(t);
	if (t->started) {
		tracker_stop(t, note);
		cbt_tracker_event(t, CBT_EVENT_REMOVED, NULL, NULL);
	}
	flush_work(&t->work);
	/* ORDER: only now may another one have the origin and the store. */
	cbt_control_lock();
	list_del(&t->link);
	registry_changed();
	cbt_control_unlock();
	tracker_free(t);
}

/*--------------------------------------------------------------------------------------------------
 * Looking up
 */

static bool is_live(const struct cbt_tracker *t)
{
	return t->started && !t->stopping;
}

struct cbt_tracker *cbt_tracker_by_uuid(const uuid_t *uuid)
{
	struct cbt_tracker *t;

	list_for_each_entry(t, &registry, link)
		if (is_live(t) && uuid_equal(&t->uuid, uuid))
			return t;
	return NULL;
}

struct cbt_tracker *cbt_tracker_by_name(const char *name)
{
	char own[CBT_NAME_LEN + 1];
	struct cbt_tracker *t;

	list_for_each_entry(t, &registry, link)
		if (is_live(t) && !t->ops->name(t->owner, own) && !strcmp(own, name))
			return t;
	return NULL;
}

struct cbt_tracker *cbt_tracker_at(u32 index)
{
	struct cbt_tracker *t;

	list_for_each_entry(t, &registry, link)
		if (is_live(t) && index-- == 0)
			return t;
	return NULL;
}

int cbt_tracker_hibernate(bool begins)
{
	int error = 0;

	cbt_control_lock();
	if (begins && !list_empty(&registry))
		error = -EBUSY;
	else
		hibernates = begins;
	cbt_control_unlock();
	return error;
}

u32 cbt_registry_sequence(void)
{
	return registry_sequence;
}

enum cbt_tracker_state cbt_tracker_state(const struct cbt_tracker *t)
{
	if (t->bypassed)
		return CBT_STATE_BYPASSED;
	switch (READ_ONCE(t->store.mode)) {
	case CBT_STORE_RAM:
		return CBT_STATE_VOLATILE;
	case CBT_STORE_OPEN:
		return t->committing ? CBT_STATE_COMMITTING : CBT_STATE_ACTIVE;
	}
	return CBT_STATE_LOST;
}

void cbt_tracker_event(struct cbt_tracker *t, enum cbt_event_kind kind, const uuid_t *epoch,
		       const char *reason)
{
	struct cbt_event event = {
		.kind = kind,
		.state = cbt_tracker_state(t),
		.tracker = t->uuid,
		.dev = cbt_tracker_dev(t),
		.generation = t->generation,
		.epoch = t->epoch,
		.epoch_uuid = epoch ? *epoch : uuid_null,
		.reason = reason,
	};

	cbt_event_post(&event);
}

/*--------------------------------------------------------------------------------------------------
 * Module
 */

int cbt_track_init(void)
{
	int error = cbt_event_init();

	if (error)
		return error;
	error = cbt_store_module_init();
	if (error)
		goto event_exit;
	error = cbt_cow_init();
	if (error)
		goto store_exit;
	error = cbt_epoch_module_init();
	if (error)
		goto cow_exit;
	return 0;

cow_exit:
	cbt_cow_exit();
store_exit:
	cbt_store_module_exit();
event_exit:
	cbt_event_exit();
	return error;
}

void cbt_track_exit(void)
{
	cbt_epoch_module_exit();
	cbt_cow_exit();
	cbt_store_module_exit();
	cbt_event_exit();
}
