// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copy-before-write. Two maps say what is left to do: a block needs a copy while it is in the
 * frozen map and not in `done`. A bit of `done` only ever comes, so a write that waits makes
 * progress however it is cut to pieces, and the write path asks without a lock.
 *
 * The index says where the old contents of a block are: a buffer, a slot of the diff area, or, for
 * a block that is not in it, the origin if the block is not done, and nowhere if it is: then it
 * was released. A copy goes through
 *
 *	READING -> HELD -> READY -> WRITING -> a slot, the buffer is free again
 *
 * and its block becomes done, and may be overwritten, at READY. It stays HELD while image reads of
 * the origin overlap it; those that come later are served from the buffer, so this ends. A read
 * that comes while the copy is READING goes to the origin like the copy itself: what it could
 * race with is a write of the block, and that waits until the block is done.
 *
 * A released block, an ended or a broken epoch need no such care. The writes that they let go may
 * race with image reads and slots may be used again under them, but a read looks again when it is
 * done, under the lock under which the release, the end or the break was noted before the first
 * of those writes could go; it then fails.
 *
 * What is in flight when its block is released or its epoch ends is left alone and dropped when
 * it completes: a buffer and a slot belong to the I/O until then, also across epochs.
 *
 * Buffers drain lazily, from half of the pool down to a quarter, or when a write waits for room:
 * what is released soon never costs a write.
 *
 * Three work items: copying, draining and watching each have a queue of their own, so that a
 * device that takes no more I/O blocks only what needs it, and the watch finds out.
 */
#include <linux/jiffies.h>
#include <linux/module.h>

#include "cow_state.h"

#define ERASE_BATCH	1024	/* entries of the index that are dropped in one go */

static unsigned int copy_pool_kib = 16384;
module_param(copy_pool_kib, uint, 0644);
MODULE_PARM_DESC(copy_pool_kib, "RAM for copies of one tracker, KiB; counts from the next table on");

static unsigned int copy_stall_ms = 200;
module_param(copy_stall_ms, uint, 0644);
MODULE_PARM_DESC(copy_stall_ms, "longest time without progress that writes wait for copies, ms");

struct workqueue_struct *cbt_copy_queue;
struct workqueue_struct *cbt_drain_queue;
static struct workqueue_struct *watch_queue;	/* also frees what ended */

/*--------------------------------------------------------------------------------------------------
 * Epochs
 */

static void index_erase(struct cow_epoch *e)
{
	unsigned long block, nr = 0;
	void *entry;

	/* Not xa_destroy() alone: that keeps interrupts off for all of it. */
	xa_for_each(&e->index, block, entry) {
		xa_erase_irq(&e->index, block);
		if (++nr % ERASE_BATCH == 0)
			cond_resched();
	}
	/* Nodes without an entry, which are left where there was no memory for the ones below them. */
	xa_destroy(&e->index);
}

static void epoch_free(struct cow_epoch *e)
{
	if (!e)
		return;
	index_erase(e);
	cbt_map_exit(&e->done);
	kvfree(e->slots);
	kfree(e);
}

static void epoch_free_work(struct work_struct *work)
{
	epoch_free(container_of(to_rcu_work(work), struct cow_epoch, free));
}

static u64 nr_blocks(const struct cbt_cow *cow)
{
	return DIV_ROUND_UP_ULL(cow->params.size_sectors, 1U << cow->params.block_shift);
}

static struct cow_epoch *epoch_new(const struct cbt_cow *cow)
{
	struct cow_epoch *e = kzalloc(sizeof(*e), GFP_KERNEL);

	if (!e)
		return NULL;
	xa_init(&e->index);
	INIT_RCU_WORK(&e->free, epoch_free_work);
	e->nr_slots_free = cow->params.nr_slots;
	e->slots = kvcalloc(BITS_TO_LONGS(cow->params.nr_slots + 1), sizeof(*e->slots), GFP_KERNEL);
	if (!e->slots || cbt_map_init(&e->done, nr_blocks(cow))) {
		epoch_free(e);
		return NULL;
	}
	return e;
}

static bool somebody_waits(const struct cbt_cow *cow)
{
	return !list_empty(&cow->waiting) || !list_empty(&cow->arriving);
}

void cbt_cow_break_epoch(struct cbt_cow *cow, enum cbt_broken why, struct list_head *resume)
{
	if (!cow->epoch || cow->epoch->broken)
		return;
	cow->epoch->broken = why;
	/* ORDER: image reads find it broken, under the lock, before the first write is let go. */
	RCU_INIT_POINTER(cow->copying, NULL);
	list_splice_tail_init(&cow->waiting, resume);
	list_splice_tail_init(&cow->arriving, resume);
	queue_work(watch_queue, &cow->broken_work);
}

void cbt_cow_resume(struct cbt_cow *cow, struct list_head *resume)
{
	if (!list_empty(resume))
		cow->params.ops->resume(cow->params.owner, resume);
}

static void broken_step(struct work_struct *work)
{
	struct cbt_cow *cow = container_of(work, struct cbt_cow, broken_work);
	enum cbt_broken why = CBT_BROKEN_NOT;
	unsigned long flags;
	uuid_t uuid;

	spin_lock_irqsave(&cow->lock, flags);
	if (cow->epoch) {
		why = cow->epoch->broken;
		uuid = cow->epoch->uuid;
	}
	spin_unlock_irqrestore(&cow->lock, flags);
	if (why)
		cow->params.ops->broken(cow->params.owner, &uuid, why);
}

/*--------------------------------------------------------------------------------------------------
 * Buffers; all under the lock
 */

void cbt_cow_buffer_recycle(struct cbt_cow *cow, struct cbt_buffer *buffer)
{
	LIST_HEAD(unused);

	cbt_pool_put(&cow->pool, buffer);
	cow->progress = jiffies;
	/* Of one that is prepared the reserve is there. */
	if (cow->epoch || cow->prepared)
		return;
	cbt_pool_detach(&cow->pool, &unused);
	cbt_buffers_free(&cow->pool, &unused);
}

void cbt_cow_buffer_drop(struct cbt_cow *cow, struct cbt_buffer *buffer)
{
	if (buffer->nr_readers)
		buffer->state = CBT_BUFFER_FORGOTTEN;
	else
		cbt_cow_buffer_recycle(cow, buffer);
}

/* Its block is released. */
static void buffer_forget(struct cbt_cow *cow, struct cbt_buffer *buffer)
{
	switch (buffer->state) {
	case CBT_BUFFER_READING:
	case CBT_BUFFER_WRITING:
		buffer->epoch = 0;
		return;
	case CBT_BUFFER_READY:
		cow->nr_ready--;
		fallthrough;
	case CBT_BUFFER_HELD:
		list_del(&buffer->link);
		cbt_cow_buffer_drop(cow, buffer);
		return;
	case CBT_BUFFER_FORGOTTEN:
		WARN_ON_ONCE(true);
	}
}

/*--------------------------------------------------------------------------------------------------
 * Watching (invariant I8)
 */

/* Of what began at @since: copies were begun long after that, and have ended. */
static bool is_overtaken(const struct cbt_cow *cow, ktime_t since)
{
	return ktime_ms_delta(cow->newest, since) > 10LL * READ_ONCE(copy_stall_ms);
}

/*
 * A copy that hangs, however others fare: its read does, or one of the image. Not by the clock:
 * in the queue of a slow disk all wait for long.
 */
static bool is_copy_late(const struct cbt_cow *cow)
{
	const struct cbt_buffer *buffer;
	const struct cow_io *io;

	list_for_each_entry(io, &cow->reading, link) {
		if (!is_overtaken(cow, io->started))
			break;
		list_for_each_entry(buffer, &io->buffers, link)
			if (!is_stale(cow, buffer))
				return true;
	}
	list_for_each_entry(buffer, &cow->held, link)
		if (is_overtaken(cow, buffer->held))
			return true;
	return false;
}

static void watch_step(struct work_struct *work)
{
	struct cbt_cow *cow = container_of(to_delayed_work(work), struct cbt_cow, watch_work);
	unsigned long stall = msecs_to_jiffies(READ_ONCE(copy_stall_ms));
	unsigned long flags, now = jiffies;
	LIST_HEAD(resume);

	spin_lock_irqsave(&cow->lock, flags);
	if (somebody_waits(cow)) {
		if (!time_before(now, cow->progress + stall))
			cbt_cow_break_epoch(cow, CBT_BROKEN_OVERFLOW, &resume);
		else if (is_copy_late(cow))
			cbt_cow_break_epoch(cow, CBT_BROKEN_COPY_READ, &resume);
		else
			queue_delayed_work(watch_queue, &cow->watch_work,
					   cow->progress + stall - now);
	}
	spin_unlock_irqrestore(&cow->lock, flags);
	cbt_cow_resume(cow, &resume);
}

/*--------------------------------------------------------------------------------------------------
 * Life
 */

static void gathered(struct cbt_gather *gather)
{
	queue_work(cbt_copy_queue, &container_of(gather, struct cbt_cow, gather)->copy_work);
}

struct cbt_cow *cbt_cow_new(const struct cbt_cow_params *params)
{
	struct cbt_cow *cow = kzalloc(sizeof(*cow), GFP_KERNEL);

	if (!cow)
		return NULL;
	kref_init(&cow->ref);
	cow->params = *params;
	spin_lock_init(&cow->lock);
	cbt_pool_init(&cow->pool, SECTOR_SIZE << params->block_shift,
		      (u64)READ_ONCE(copy_pool_kib) << 10);
	INIT_LIST_HEAD(&cow->waiting);
	INIT_LIST_HEAD(&cow->arriving);
	cbt_gather_init(&cow->gather, gathered);
	INIT_LIST_HEAD(&cow->reads);
	INIT_LIST_HEAD(&cow->reading);
	INIT_LIST_HEAD(&cow->held);
	INIT_LIST_HEAD(&cow->ready);
	INIT_LIST_HEAD(&cow->copied);
	INIT_LIST_HEAD(&cow->writing);
	INIT_LIST_HEAD(&cow->written);
	init_waitqueue_head(&cow->idle);
	INIT_WORK(&cow->copy_work, cbt_cow_copy_step);
	INIT_WORK(&cow->drain_work, cbt_cow_drain_step);
	INIT_WORK(&cow->broken_work, broken_step);
	INIT_DELAYED_WORK(&cow->watch_work, watch_step);
	if (bioset_init(&cow->read_bios, 2, offsetof(struct cow_io, bio), BIOSET_NEED_BVECS) ||
	    bioset_init(&cow->write_bios, 2, offsetof(struct cow_io, bio), BIOSET_NEED_BVECS)) {
		cbt_cow_put(cow);
		return NULL;
	}
	return cow;
}

struct cbt_cow *cbt_cow_get(struct cbt_cow *cow)
{
	kref_get(&cow->ref);
	return cow;
}

static void cow_free(struct kref *ref)
{
	struct cbt_cow *cow = container_of(ref, struct cbt_cow, ref);

	WARN_ON_ONCE(cow->pool.nr);
	epoch_free(cow->prepared);
	cbt_spares_drop(&cow->spares);
	bioset_exit(&cow->read_bios);
	bioset_exit(&cow->write_bios);
	kfree(cow);
}

void cbt_cow_put(struct cbt_cow *cow)
{
	if (cow)
		kref_put(&cow->ref, cow_free);
}

static bool is_idle(struct cbt_cow *cow)
{
	unsigned long flags;
	bool idle;

	spin_lock_irqsave(&cow->lock, flags);
	idle = !cow->nr_copying && !cow->nr_writing;
	spin_unlock_irqrestore(&cow->lock, flags);
	return idle;
}

void cbt_cow_stop(struct cbt_cow *cow)
{
	if (!cow)
		return;
	cbt_cow_end(cow);
	wait_event(cow->idle, is_idle(cow));
	cbt_gather_exit(&cow->gather);
	flush_work(&cow->copy_work);
	flush_work(&cow->drain_work);
	cancel_delayed_work_sync(&cow->watch_work);
	cancel_work_sync(&cow->broken_work);
}

/*--------------------------------------------------------------------------------------------------
 * For the tracker
 */

int cbt_cow_prepare(struct cbt_cow *cow)
{
	struct cbt_buffer *reserve;
	struct cow_epoch *e;
	unsigned long flags;

	if (!cow)
		return 0;
	e = epoch_new(cow);
	reserve = cbt_buffer_new(&cow->pool, GFP_KERNEL);
	if (!e || !reserve) {
		epoch_free(e);
		cbt_buffer_free(&cow->pool, reserve);
		return -ENOMEM;
	}
	spin_lock_irqsave(&cow->lock, flags);
	swap(cow->prepared, e);
	cbt_pool_add(&cow->pool, reserve);
	spin_unlock_irqrestore(&cow->lock, flags);
	epoch_free(e);
	return 0;
}

void cbt_cow_cancel(struct cbt_cow *cow)
{
	struct cow_epoch *e = NULL;
	LIST_HEAD(unused);
	unsigned long flags;

	if (!cow)
		return;
	spin_lock_irqsave(&cow->lock, flags);
	swap(cow->prepared, e);
	if (!cow->epoch)
		cbt_pool_detach(&cow->pool, &unused);
	spin_unlock_irqrestore(&cow->lock, flags);
	epoch_free(e);
	cbt_buffers_free(&cow->pool, &unused);
}

/* Slots that writes of epochs before are still in flight to are in use. */
static void slots_inherit(struct cbt_cow *cow, struct list_head *ios)
{
	struct cow_io *io;

	list_for_each_entry(io, ios, link)
		slots_mark(cow->epoch, io->slot, io->nr_buffers);
}

void cbt_cow_grow(struct cbt_cow *cow, u64 size_sectors)
{
	unsigned long flags;

	if (!cow)
		return;
	spin_lock_irqsave(&cow->lock, flags);
	cow->params.size_sectors = size_sectors;
	spin_unlock_irqrestore(&cow->lock, flags);
}

void cbt_cow_begin(struct cbt_cow *cow, const struct cbt_map *frozen, u64 number,
		   const uuid_t *uuid)
{
	struct cow_epoch *e;
	unsigned long flags;

	if (!cow)
		return;
	spin_lock_irqsave(&cow->lock, flags);
	WARN_ON_ONCE(!cow->pool.nr_free);
	e = cow->prepared;
	cow->prepared = NULL;
	e->frozen = frozen;
	e->number = number;
	e->uuid = *uuid;
	cow->epoch = e;
	cow->starved = false;
	cow->draining = false;
	slots_inherit(cow, &cow->writing);
	slots_inherit(cow, &cow->written);
	rcu_assign_pointer(cow->copying, e);
	spin_unlock_irqrestore(&cow->lock, flags);
}

static void buffers_drop(struct cbt_cow *cow, struct list_head *list)
{
	struct cbt_buffer *buffer, *next;

	list_for_each_entry_safe(buffer, next, list, link) {
		list_del(&buffer->link);
		if (buffer->nr_readers)
			buffer->state = CBT_BUFFER_FORGOTTEN;
		else
			cbt_pool_put(&cow->pool, buffer);
	}
}

void cbt_cow_end(struct cbt_cow *cow)
{
	struct cow_epoch *e;
	unsigned long flags;
	LIST_HEAD(resume);
	LIST_HEAD(unused);

	if (!cow)
		return;
	spin_lock_irqsave(&cow->lock, flags);
	e = cow->epoch;
	/* ORDER: image reads find the epoch gone before the first write is let go. */
	cow->epoch = NULL;
	RCU_INIT_POINTER(cow->copying, NULL);
	list_splice_tail_init(&cow->waiting, &resume);
	list_splice_tail_init(&cow->arriving, &resume);
	buffers_drop(cow, &cow->held);
	buffers_drop(cow, &cow->ready);
	cow->nr_ready = 0;
	cow->starved = false;
	cbt_pool_detach(&cow->pool, &unused);
	spin_unlock_irqrestore(&cow->lock, flags);

	cbt_cow_resume(cow, &resume);
	cbt_buffers_free(&cow->pool, &unused);
	if (e)
		queue_rcu_work(watch_queue, &e->free);
}

bool cbt_cow_blocks(struct cbt_cow *cow, u64 first, u64 last)
{
	struct cow_epoch *e;
	bool blocks = false;

	rcu_read_lock();
	e = rcu_dereference(cow->copying);
	if (e)
		blocks = cbt_map_find(e->frozen, &e->done, first, last) <= last;
	rcu_read_unlock();
	return blocks;
}

void cbt_cow_wait(struct cbt_cow *cow, struct cbt_cow_wait *wait)
{
	unsigned long flags;
	LIST_HEAD(resume);

	wait->started = wait->first;
	spin_lock_irqsave(&cow->lock, flags);
	if (!cow->epoch || cow->epoch->broken) {
		list_add_tail(&wait->link, &resume);
	} else {
		if (!somebody_waits(cow))
			cow->progress = jiffies;
		list_add_tail(&wait->link, &cow->arriving);
		if (cbt_gather_come(&cow->gather))
			cow_wake_copy(cow);
		queue_delayed_work(watch_queue, &cow->watch_work,
				   msecs_to_jiffies(READ_ONCE(copy_stall_ms)));
	}
	spin_unlock_irqrestore(&cow->lock, flags);
	cbt_cow_resume(cow, &resume);
}

void cbt_cow_break(struct cbt_cow *cow, enum cbt_broken why)
{
	unsigned long flags;
	LIST_HEAD(resume);

	spin_lock_irqsave(&cow->lock, flags);
	cbt_cow_break_epoch(cow, why, &resume);
	spin_unlock_irqrestore(&cow->lock, flags);
	cbt_cow_resume(cow, &resume);
}

enum cbt_broken cbt_cow_broken(struct cbt_cow *cow)
{
	enum cbt_broken why = CBT_BROKEN_NOT;
	unsigned long flags;

	if (!cow)
		return why;
	spin_lock_irqsave(&cow->lock, flags);
	if (cow->epoch)
		why = cow->epoch->broken;
	spin_unlock_irqrestore(&cow->lock, flags);
	return why;
}

const char *cbt_broken_text(enum cbt_broken why)
{
	switch (why) {
	case CBT_BROKEN_NOT:
		break;
	case CBT_BROKEN_OVERFLOW:
		return "the epoch is broken: the diff area is full or too slow; abort it";
	case CBT_BROKEN_COPY_READ:
		return "the epoch is broken: a block could not be read for its copy, or not in time; abort it";
	case CBT_BROKEN_SECURE_ERASE:
		return "the epoch is broken: frozen blocks were securely erased; abort it";
	case CBT_BROKEN_NO_MEMORY:
		return "the epoch is broken: no memory for a copy; abort it";
	case CBT_BROKEN_DIFF_WRITE:
		return "the epoch is broken: the diff area could not be written; abort it";
	}
	return NULL;
}

/* The block up to which to go in one go: not too many copies are there. */
static u64 release_end(struct cow_epoch *e, u64 first, u64 last)
{
	unsigned long block, nr = 0;
	void *entry;

	xa_for_each_range(&e->index, block, entry, first, last)
		if (nr++ == ERASE_BATCH)
			return block - 1;
	return last;
}

static void release_copies(struct cbt_cow *cow, u64 first, u64 last)
{
	struct cow_epoch *e = cow->epoch;
	unsigned long block;
	void *entry;

	xa_for_each_range(&e->index, block, entry, first, last) {
		xa_erase(&e->index, block);
		if (xa_is_value(entry))
			slots_free(e, xa_to_value(entry), 1);
		else
			buffer_forget(cow, entry);
	}
}

/* Within one leaf of the map. */
static int release_part(struct cbt_cow *cow, u64 first, u64 last, struct cbt_spares *spares)
{
	unsigned long flags;
	bool done;
	u64 end;

	while (first <= last) {
		spin_lock_irqsave(&cow->lock, flags);
		if (!cow->epoch) {
			spin_unlock_irqrestore(&cow->lock, flags);
			return 0;
		}
		end = release_end(cow->epoch, first, last);
		/*
		 * LOCK: both in one go. Who finds a block done and its copy there takes it for copied,
		 * and who finds neither copies it.
		 */
		done = mark_done(cow->epoch, first, end, spares);
		if (done)
			release_copies(cow, first, end);
		cow->nr_releases++;
		cow_wake_copy(cow);
		spin_unlock_irqrestore(&cow->lock, flags);
		if (!done)
			return -ENOMEM;
		first = end + 1;
		cond_resched();
	}
	return 0;
}

int cbt_cow_release(struct cbt_cow *cow, u64 first, u64 last)
{
	struct cbt_spares spares = { };
	int error = 0;

	while (cow && !error && first <= last) {
		u64 end = min(first | (CBT_LEAF_BLOCKS - 1), last);

		cbt_spares_fill(&spares);
		error = release_part(cow, first, end, &spares);
		first = end + 1;
	}
	cbt_spares_drop(&spares);
	return error;
}

void cbt_cow_stats(struct cbt_cow *cow, struct cbt_cow_stats *stats)
{
	unsigned long flags;

	spin_lock_irqsave(&cow->lock, flags);
	*stats = (struct cbt_cow_stats){
		.nr_copied = cow->nr_copied,
		.nr_spilled = cow->nr_spilled,
		.buffers_used = cow->pool.nr - cow->pool.nr_free,
		.buffers_max = cow->pool.nr_max,
		.slots_used = cow->epoch ? cow->params.nr_slots - cow->epoch->nr_slots_free : 0,
		.slots_max = cow->params.nr_slots,
	};
	spin_unlock_irqrestore(&cow->lock, flags);
}

/*--------------------------------------------------------------------------------------------------
 * Module
 */

int cbt_cow_init(void)
{
	cbt_copy_queue = cbt_queue_new("dm-cbt-copy");
	cbt_drain_queue = cbt_queue_new("dm-cbt-drain");
	watch_queue = cbt_queue_new("dm-cbt-watch");
	if (cbt_copy_queue && cbt_drain_queue && watch_queue)
		return 0;
	cbt_cow_exit();
	return -ENOMEM;
}

void cbt_cow_exit(void)
{
	/* Epochs that wait for their grace period go to the queue first. */
	rcu_barrier();
	cbt_queue_free(&cbt_copy_queue);
	cbt_queue_free(&cbt_drain_queue);
	cbt_queue_free(&watch_queue);
}
