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
#include <linux/bio.h>
#include <linux/bitmap.h>
#include <linux/blkdev.h>
#include <linux/jiffies.h>
#include <linux/kref.h>
#include <linux/module.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "cow.h"
#include "gather.h"
#include "pool.h"
#include "trace.h"

#define DRAINS_MAX	8	/* writes to the diff area in flight */
#define ERASE_BATCH	1024	/* entries of the index that are dropped in one go */

static unsigned int copy_pool_kib = 16384;
module_param(copy_pool_kib, uint, 0644);
MODULE_PARM_DESC(copy_pool_kib, "RAM for copies of one tracker, KiB; counts from the next table on");

static unsigned int copy_stall_ms = 200;
module_param(copy_stall_ms, uint, 0644);
MODULE_PARM_DESC(copy_stall_ms, "longest time without progress that writes wait for copies, ms");

static struct workqueue_struct *copy_queue;
static struct workqueue_struct *drain_queue;
static struct workqueue_struct *watch_queue;	/* also frees what ended */

/* What is kept of a frozen epoch. */
struct cow_epoch {
	u64 number;
	const struct cbt_map *frozen;
	struct cbt_map done;		/* copied or released */
	struct xarray index;		/* block -> struct cbt_buffer, or a slot as a value */
	unsigned long *slots;		/* in use, also by writes of epochs before */
	unsigned long nr_slots_free;
	unsigned long slot_hint;
	enum cbt_broken broken;
	bool watermark_told;
	struct rcu_work free;
};

struct cbt_cow {
	struct kref ref;
	struct cbt_cow_params params;
	struct bio_set read_bios;
	struct bio_set write_bios;

	/* NULL when nothing needs a copy: also when the epoch is broken. */
	struct cow_epoch __rcu *copying;

	spinlock_t lock;		/* all that follows */
	struct cow_epoch *epoch;	/* the frozen one */
	struct cow_epoch *prepared;
	struct cbt_pool pool;
	struct list_head waiting;	/* struct cbt_cow_wait */
	struct list_head arriving;	/* the same, they gather */
	struct cbt_gather gather;
	struct list_head reads;		/* of the image, from the origin: struct cbt_cow_read */
	struct list_head held;		/* struct cbt_buffer */
	struct list_head ready;
	struct list_head copied;	/* struct cow_io: done, to be seen to */
	struct list_head writing;
	struct list_head written;
	u32 nr_copying;			/* struct cow_io in flight, or not yet seen to */
	u32 nr_writing;
	u32 nr_ready;
	bool starved;			/* a write waits for room in the pool */
	bool draining;
	unsigned long progress;		/* jiffies */
	u64 nr_releases;
	u64 nr_copied;
	u64 nr_spilled;

	wait_queue_head_t idle;
	struct cbt_spares spares;	/* of the copy work */
	struct work_struct copy_work;
	struct work_struct drain_work;
	struct work_struct broken_work;
	struct delayed_work watch_work;
};

/* A bio between devices and buffers. */
struct cow_io {
	struct cbt_cow *cow;
	struct list_head link;
	struct list_head buffers;	/* of consecutive blocks, or for consecutive slots */
	unsigned long slot;		/* of the first, when writing */
	u32 nr_buffers;
	ktime_t started;		/* while reads are traced */
	struct bio bio;			/* last: its vectors follow */
};

static u64 nr_blocks(const struct cbt_cow *cow)
{
	return DIV_ROUND_UP_ULL(cow->params.size_sectors, 1U << cow->params.block_shift);
}

/* Bytes of a block on the origin: the last one may be shorter. */
static u32 block_bytes(const struct cbt_cow *cow, u64 block)
{
	u64 start = block << cow->params.block_shift;

	return min(cow->params.size_sectors - start, 1ULL << cow->params.block_shift) << SECTOR_SHIFT;
}

static bool needs_copy(const struct cow_epoch *e, u64 block)
{
	return cbt_map_test(e->frozen, block) && !cbt_map_test(&e->done, block);
}

/*--------------------------------------------------------------------------------------------------
 * Epochs
 */

static void index_erase(struct cow_epoch *e)
{
	unsigned long block, nr = 0;
	void *entry;

	/* Not xa_destroy(): that keeps interrupts off for all of it. */
	xa_for_each(&e->index, block, entry) {
		xa_erase_irq(&e->index, block);
		if (++nr % ERASE_BATCH == 0)
			cond_resched();
	}
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

/* From now on no write waits. The caller gives @resume back when it has left the lock. */
static void epoch_break(struct cbt_cow *cow, enum cbt_broken why, struct list_head *resume)
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

static void waits_resume(struct cbt_cow *cow, struct list_head *resume)
{
	if (!list_empty(resume))
		cow->params.ops->resume(cow->params.owner, resume);
}

static void broken_step(struct work_struct *work)
{
	struct cbt_cow *cow = container_of(work, struct cbt_cow, broken_work);
	enum cbt_broken why = cbt_cow_broken(cow);

	if (why)
		cow->params.ops->broken(cow->params.owner, why);
}

/*--------------------------------------------------------------------------------------------------
 * Buffers and slots; all under the lock
 */

/* Whether a buffer that was in flight has been overtaken by a release or by the epoch's end. */
static bool is_stale(const struct cbt_cow *cow, const struct cbt_buffer *buffer)
{
	return !cow->epoch || buffer->epoch != cow->epoch->number;
}

static void buffer_recycle(struct cbt_cow *cow, struct cbt_buffer *buffer)
{
	LIST_HEAD(unused);

	cbt_pool_put(&cow->pool, buffer);
	cow->progress = jiffies;
	if (cow->epoch)
		return;
	cbt_pool_detach(&cow->pool, &unused);
	cbt_buffers_free(&cow->pool, &unused);
}

/* A buffer on no list is not needed any more. */
static void buffer_drop(struct cbt_cow *cow, struct cbt_buffer *buffer)
{
	if (buffer->nr_readers)
		buffer->state = CBT_BUFFER_FORGOTTEN;
	else
		buffer_recycle(cow, buffer);
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
		buffer_drop(cow, buffer);
		return;
	case CBT_BUFFER_FORGOTTEN:
		WARN_ON_ONCE(true);
	}
}

static void slots_mark(struct cow_epoch *e, unsigned long slot, u32 nr)
{
	bitmap_set(e->slots, slot, nr);
	e->nr_slots_free -= nr;
}

static void slots_free(struct cow_epoch *e, unsigned long slot, u32 nr)
{
	bitmap_clear(e->slots, slot, nr);
	e->nr_slots_free += nr;
}

/* Up to @nr_wanted consecutive slots; returns how many. */
static u32 slots_take(struct cbt_cow *cow, u32 nr_wanted, unsigned long *ret_slot)
{
	struct cow_epoch *e = cow->epoch;
	unsigned long slot, end;

	if (!e->nr_slots_free)
		return 0;
	slot = find_next_zero_bit(e->slots, cow->params.nr_slots, e->slot_hint);
	if (slot >= cow->params.nr_slots)
		slot = find_next_zero_bit(e->slots, cow->params.nr_slots, 0);
	end = find_next_bit(e->slots, min(cow->params.nr_slots, slot + nr_wanted), slot);
	slots_mark(e, slot, end - slot);
	e->slot_hint = end;
	*ret_slot = slot;
	return end - slot;
}

/*--------------------------------------------------------------------------------------------------
 * I/O of the cow's own
 */

/* ORDER: all under the lock, so that whoever finds nothing in flight may free the cow. */
static void io_end(struct bio *bio)
{
	struct cow_io *io = container_of(bio, struct cow_io, bio);
	struct cbt_cow *cow = io->cow;
	unsigned long flags;

	spin_lock_irqsave(&cow->lock, flags);
	if (bio_data_dir(bio) == WRITE) {
		list_move_tail(&io->link, &cow->written);
		queue_work(drain_queue, &cow->drain_work);
	} else {
		list_add_tail(&io->link, &cow->copied);
		queue_work(copy_queue, &cow->copy_work);
	}
	spin_unlock_irqrestore(&cow->lock, flags);
}

/* NULL: there are enough in flight, and each that ends runs the work again. */
static struct cow_io *io_new(struct cbt_cow *cow, u32 nr_buffers, bool write)
{
	u32 nr_vecs = nr_buffers * cow->pool.nr_pages;
	struct cow_io *io;
	struct bio *bio;

	if (write)
		bio = bio_alloc_bioset(cow->params.diff, nr_vecs, REQ_OP_WRITE | REQ_SYNC | REQ_IDLE,
				       GFP_NOWAIT | __GFP_NOWARN, &cow->write_bios);
	else
		bio = bio_alloc_bioset(cow->params.origin, nr_vecs, REQ_OP_READ | REQ_SYNC,
				       GFP_NOWAIT | __GFP_NOWARN, &cow->read_bios);
	if (!bio)
		return NULL;
	bio->bi_end_io = io_end;
	io = container_of(bio, struct cow_io, bio);
	io->cow = cow;
	INIT_LIST_HEAD(&io->buffers);
	return io;
}

static u32 io_buffers_max(const struct cbt_cow *cow)
{
	return max_t(u32, 1, BIO_MAX_VECS / cow->pool.nr_pages);
}

static void bios_submit(struct bio_list *bios)
{
	struct blk_plug plug;
	struct bio *bio;

	if (bio_list_empty(bios))
		return;
	blk_start_plug(&plug);
	while ((bio = bio_list_pop(bios)))
		submit_bio(bio);
	blk_finish_plug(&plug);
}

/*--------------------------------------------------------------------------------------------------
 * Copying; under the lock but for the work itself
 */

static void copy_trace(const struct cbt_cow *cow, const struct cow_io *io)
{
	const struct cbt_buffer *first = list_first_entry(&io->buffers, struct cbt_buffer, link);
	s64 duration_ns = io->started ? ktime_to_ns(ktime_sub(ktime_get(), io->started)) : 0;

	trace_cbt_copy(cow->params.dev, first->block, io->nr_buffers, duration_ns,
		       blk_status_to_errno(io->bio.bi_status));
}

/* Reads that ended: their buffers are held, or dropped. */
static void copies_collect(struct cbt_cow *cow, struct list_head *resume)
{
	struct cbt_buffer *buffer, *next;
	struct cow_io *io;

	while ((io = list_first_entry_or_null(&cow->copied, struct cow_io, link))) {
		if (trace_cbt_copy_enabled())
			copy_trace(cow, io);
		if (io->bio.bi_status)
			epoch_break(cow, CBT_BROKEN_COPY_READ, resume);
		list_for_each_entry_safe(buffer, next, &io->buffers, link) {
			list_del(&buffer->link);
			if (is_stale(cow, buffer)) {
				buffer_drop(cow, buffer);
			} else if (io->bio.bi_status) {
				xa_erase(&cow->epoch->index, buffer->block);
				buffer_drop(cow, buffer);
			} else {
				buffer->state = CBT_BUFFER_HELD;
				list_add_tail(&buffer->link, &cow->held);
			}
		}
		cow->progress = jiffies;
		cow->nr_copying--;
		list_del(&io->link);
		bio_put(&io->bio);
	}
}

static bool is_being_read(const struct cbt_cow *cow, u64 block)
{
	const struct cbt_cow_read *read;

	list_for_each_entry(read, &cow->reads, link)
		if (read->first <= block && block <= read->last)
			return true;
	return false;
}

/* False when a page is needed and none is at hand: a leaf of `done` must never become all ones. */
static bool mark_done(struct cow_epoch *e, u64 first, u64 last, struct cbt_spares *spares)
{
	if (cbt_map_mark(&e->done, first, last, NULL))
		return true;
	if (!spares->leaf[0] && !spares->leaf[1])
		return false;
	return cbt_map_mark(&e->done, first, last, spares);
}

/* Lets the writes of held blocks go, where no image read is in the way. */
static void copies_finish(struct cbt_cow *cow, bool had_spares, struct list_head *resume)
{
	struct cbt_buffer *buffer, *next;

	list_for_each_entry_safe(buffer, next, &cow->held, link) {
		if (is_being_read(cow, buffer->block))
			continue;
		if (!mark_done(cow->epoch, buffer->block, buffer->block, &cow->spares)) {
			if (had_spares)
				queue_work(copy_queue, &cow->copy_work);
			else
				epoch_break(cow, CBT_BROKEN_NO_MEMORY, resume);
			return;
		}
		buffer->state = CBT_BUFFER_READY;
		list_move_tail(&buffer->link, &cow->ready);
		cow->nr_ready++;
		cow->nr_copied++;
		cow->progress = jiffies;
	}
}

static void waits_finish(struct cbt_cow *cow, struct list_head *resume)
{
	struct cbt_cow_wait *wait, *next;
	struct cow_epoch *e = cow->epoch;

	list_for_each_entry_safe(wait, next, &cow->waiting, link) {
		/* What is done stays so until the epoch ends, and then nothing waits. */
		wait->first = cbt_map_find(e->frozen, &e->done, wait->first, wait->last);
		if (wait->first > wait->last)
			list_move_tail(&wait->link, resume);
	}
}

/* How many blocks from @first on, which needs a copy, do and have none on its way. */
static u32 run_length(const struct cbt_cow *cow, u64 first, u64 last)
{
	u32 nr = 1, nr_max = io_buffers_max(cow);

	while (nr < nr_max && first + nr <= last && needs_copy(cow->epoch, first + nr) &&
	       !xa_load(&cow->epoch->index, first + nr))
		nr++;
	return nr;
}

/* Return: 1 when a copy of @block is part of @io now, 0 when there is no room, or -ENOMEM. */
static int copy_add(struct cbt_cow *cow, struct cow_io *io, u64 block)
{
	struct cbt_buffer *buffer = cbt_pool_get(&cow->pool);
	int error;

	if (!buffer)
		return 0;
	error = xa_err(xa_store(&cow->epoch->index, block, buffer, GFP_ATOMIC | __GFP_NOWARN));
	if (error) {
		cbt_pool_put(&cow->pool, buffer);
		return error;
	}
	buffer->block = block;
	buffer->epoch = cow->epoch->number;
	buffer->state = CBT_BUFFER_READING;
	buffer->nr_readers = 0;
	list_add_tail(&buffer->link, &io->buffers);
	cbt_buffer_add_to_bio(buffer, &io->bio, block_bytes(cow, block));
	return 1;
}

/* Return: how many copies were begun from @first on, 0 when there is no room, or -ENOMEM. */
static int run_start(struct cbt_cow *cow, u64 first, u64 last, struct bio_list *bios)
{
	u32 nr = run_length(cow, first, last);
	struct cow_io *io = io_new(cow, nr, false);
	int error = 0;
	u32 i;

	if (!io)
		return 0;
	for (i = 0; i < nr; i++) {
		error = copy_add(cow, io, first + i);
		if (error <= 0)
			break;
	}
	if (!i) {
		bio_put(&io->bio);
		return error;
	}
	io->bio.bi_iter.bi_sector = first << cow->params.block_shift;
	io->nr_buffers = i;
	io->started = trace_cbt_copy_enabled() ? ktime_get() : 0;
	cow->nr_copying++;
	bio_list_add(bios, &io->bio);
	return i;
}

/* Return: 1 when all copies that @wait needs are on their way, 0 when there is no room, -ENOMEM. */
static int wait_start(struct cbt_cow *cow, struct cbt_cow_wait *wait, struct bio_list *bios)
{
	struct cow_epoch *e = cow->epoch;

	while (wait->started <= wait->last) {
		u64 block = cbt_map_find(e->frozen, &e->done, wait->started, wait->last);
		int nr = 1;

		if (block <= wait->last && !xa_load(&e->index, block)) {
			nr = run_start(cow, block, wait->last, bios);
			if (nr <= 0)
				return nr;
		}
		wait->started = block + nr;
	}
	return 1;
}

/* A write waits for room in the pool. Without hope for any, the epoch is broken. */
static void starve(struct cbt_cow *cow, struct list_head *resume)
{
	bool is_full = !cow->epoch->nr_slots_free && !cow->nr_writing && !cow->pool.nr_free;

	cow->starved = true;
	if (is_full)
		epoch_break(cow, CBT_BROKEN_OVERFLOW, resume);
	else if (cow->nr_ready)
		queue_work(drain_queue, &cow->drain_work);
}

static void copies_start(struct cbt_cow *cow, struct bio_list *bios, struct list_head *resume)
{
	struct cbt_cow_wait *wait;

	cow->starved = false;
	list_for_each_entry(wait, &cow->waiting, link) {
		int rc = wait_start(cow, wait, bios);

		if (rc < 0)
			epoch_break(cow, CBT_BROKEN_NO_MEMORY, resume);
		else if (!rc)
			starve(cow, resume);
		if (rc <= 0)
			return;
	}
	if (cow->nr_ready > cow->pool.nr_max / 2)
		queue_work(drain_queue, &cow->drain_work);
}

static void copy_step(struct work_struct *work)
{
	struct cbt_cow *cow = container_of(work, struct cbt_cow, copy_work);
	struct bio_list bios = BIO_EMPTY_LIST;
	unsigned long flags;
	LIST_HEAD(resume);
	bool had_spares;

	cbt_spares_fill(&cow->spares);
	had_spares = cow->spares.leaf[0] || cow->spares.leaf[1];

	spin_lock_irqsave(&cow->lock, flags);
	if (cbt_gather_go(&cow->gather))
		list_splice_tail_init(&cow->arriving, &cow->waiting);
	copies_collect(cow, &resume);
	if (cow->epoch) {
		copies_finish(cow, had_spares, &resume);
		waits_finish(cow, &resume);
		copies_start(cow, &bios, &resume);
	}
	if (!cow->nr_copying)
		wake_up(&cow->idle);
	spin_unlock_irqrestore(&cow->lock, flags);

	waits_resume(cow, &resume);
	bios_submit(&bios);
}

/*--------------------------------------------------------------------------------------------------
 * Draining; under the lock but for the work itself
 */

/* Writes that ended: the index names the slots, the buffers are free. Return: whether any did. */
static bool drains_collect(struct cbt_cow *cow, struct list_head *resume)
{
	struct cbt_buffer *buffer, *next;
	bool any = false;
	struct cow_io *io;

	while ((io = list_first_entry_or_null(&cow->written, struct cow_io, link))) {
		unsigned long slot = io->slot;

		if (io->bio.bi_status)
			epoch_break(cow, CBT_BROKEN_DIFF_WRITE, resume);
		list_for_each_entry_safe(buffer, next, &io->buffers, link) {
			list_del(&buffer->link);
			if (!is_stale(cow, buffer)) {
				/* In place of the buffer: this allocates nothing. */
				xa_store(&cow->epoch->index, buffer->block, xa_mk_value(slot),
					 GFP_NOWAIT);
				cow->nr_spilled++;
			} else if (cow->epoch) {
				slots_free(cow->epoch, slot, 1);
			}
			buffer_drop(cow, buffer);
			slot++;
		}
		cow->nr_writing--;
		list_del(&io->link);
		bio_put(&io->bio);
		any = true;
	}
	return any;
}

static bool drain_start(struct cbt_cow *cow, struct bio_list *bios)
{
	unsigned long slot;
	struct cow_io *io;
	u32 i, nr;

	nr = slots_take(cow, min(cow->nr_ready, io_buffers_max(cow)), &slot);
	if (!nr)
		return false;
	io = io_new(cow, nr, true);
	if (!io) {
		slots_free(cow->epoch, slot, nr);
		return false;
	}
	for (i = 0; i < nr; i++) {
		struct cbt_buffer *buffer = list_first_entry(&cow->ready, struct cbt_buffer, link);

		list_move_tail(&buffer->link, &io->buffers);
		buffer->state = CBT_BUFFER_WRITING;
		/* A whole block also of the last one, which may be shorter than a sector there. */
		cbt_buffer_zero_from(&cow->pool, buffer, block_bytes(cow, buffer->block));
		cbt_buffer_add_to_bio(buffer, &io->bio, cow->pool.block_bytes);
	}
	cow->nr_ready -= nr;
	io->slot = slot;
	io->nr_buffers = nr;
	io->bio.bi_iter.bi_sector = cow->params.diff_start +
				    ((sector_t)slot << cow->params.block_shift);
	list_add_tail(&io->link, &cow->writing);
	cow->nr_writing++;
	bio_list_add(bios, &io->bio);
	return true;
}

static bool wants_drain(struct cbt_cow *cow)
{
	u32 nr_kept = cow->pool.nr_max / (cow->draining ? 4 : 2);

	cow->draining = cow->starved || cow->nr_ready > nr_kept;
	return cow->draining && cow->nr_ready && cow->nr_writing < DRAINS_MAX;
}

static bool crosses_watermark(const struct cbt_cow *cow)
{
	struct cow_epoch *e = cow->epoch;

	if (!e || e->watermark_told || e->nr_slots_free > cow->params.nr_slots / 4)
		return false;
	e->watermark_told = true;
	return true;
}

static void drain_step(struct work_struct *work)
{
	struct cbt_cow *cow = container_of(work, struct cbt_cow, drain_work);
	struct bio_list bios = BIO_EMPTY_LIST;
	unsigned long flags;
	LIST_HEAD(resume);
	bool tell;

	spin_lock_irqsave(&cow->lock, flags);
	if (drains_collect(cow, &resume) && cow->starved)
		queue_work(copy_queue, &cow->copy_work);
	if (cow->epoch && !cow->epoch->broken)
		while (wants_drain(cow) && drain_start(cow, &bios))
			;
	tell = crosses_watermark(cow);
	if (!cow->nr_writing)
		wake_up(&cow->idle);
	spin_unlock_irqrestore(&cow->lock, flags);

	if (tell)
		cow->params.ops->watermark(cow->params.owner);
	waits_resume(cow, &resume);
	bios_submit(&bios);
}

/*--------------------------------------------------------------------------------------------------
 * Watching (invariant I8)
 */

static void watch_step(struct work_struct *work)
{
	struct cbt_cow *cow = container_of(to_delayed_work(work), struct cbt_cow, watch_work);
	unsigned long stall = msecs_to_jiffies(READ_ONCE(copy_stall_ms));
	unsigned long flags, now = jiffies;
	LIST_HEAD(resume);

	spin_lock_irqsave(&cow->lock, flags);
	if (somebody_waits(cow)) {
		if (time_before(now, cow->progress + stall))
			queue_delayed_work(watch_queue, &cow->watch_work,
					   cow->progress + stall - now);
		else
			epoch_break(cow, CBT_BROKEN_OVERFLOW, &resume);
	}
	spin_unlock_irqrestore(&cow->lock, flags);
	waits_resume(cow, &resume);
}

/*--------------------------------------------------------------------------------------------------
 * Life
 */

static void gathered(struct cbt_gather *gather)
{
	queue_work(copy_queue, &container_of(gather, struct cbt_cow, gather)->copy_work);
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
	INIT_LIST_HEAD(&cow->held);
	INIT_LIST_HEAD(&cow->ready);
	INIT_LIST_HEAD(&cow->copied);
	INIT_LIST_HEAD(&cow->writing);
	INIT_LIST_HEAD(&cow->written);
	init_waitqueue_head(&cow->idle);
	INIT_WORK(&cow->copy_work, copy_step);
	INIT_WORK(&cow->drain_work, drain_step);
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

void cbt_cow_begin(struct cbt_cow *cow, const struct cbt_map *frozen, u64 number)
{
	struct cow_epoch *e;
	unsigned long flags;

	if (!cow)
		return;
	spin_lock_irqsave(&cow->lock, flags);
	e = cow->prepared;
	cow->prepared = NULL;
	e->frozen = frozen;
	e->number = number;
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

	waits_resume(cow, &resume);
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
			queue_work(copy_queue, &cow->copy_work);
		queue_delayed_work(watch_queue, &cow->watch_work,
				   msecs_to_jiffies(READ_ONCE(copy_stall_ms)));
	}
	spin_unlock_irqrestore(&cow->lock, flags);
	waits_resume(cow, &resume);
}

void cbt_cow_break(struct cbt_cow *cow, enum cbt_broken why)
{
	unsigned long flags;
	LIST_HEAD(resume);

	spin_lock_irqsave(&cow->lock, flags);
	epoch_break(cow, why, &resume);
	spin_unlock_irqrestore(&cow->lock, flags);
	waits_resume(cow, &resume);
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
		return "the epoch is broken: a block could not be read for its copy; abort it";
	case CBT_BROKEN_SECURE_ERASE:
		return "the epoch is broken: frozen blocks were securely erased; abort it";
	case CBT_BROKEN_NO_MEMORY:
		return "the epoch is broken: no memory for a copy; abort it";
	case CBT_BROKEN_DIFF_WRITE:
		return "the epoch is broken: the diff area could not be written; abort it";
	}
	return NULL;
}

/* Drops copies from @first to @last, some in a go. Return: where to go on, past @last at the end. */
static u64 release_copies(struct cbt_cow *cow, u64 first, u64 last)
{
	struct cow_epoch *e = cow->epoch;
	unsigned long block, nr = 0;
	void *entry;

	xa_for_each_range(&e->index, block, entry, first, last) {
		if (nr++ == ERASE_BATCH)
			return block;
		xa_erase(&e->index, block);
		if (xa_is_value(entry))
			slots_free(e, xa_to_value(entry), 1);
		else
			buffer_forget(cow, entry);
	}
	return last + 1;
}

/* Within one leaf of the map. */
static int release_part(struct cbt_cow *cow, u64 first, u64 last, struct cbt_spares *spares)
{
	unsigned long flags;
	bool done = false;

	while (first <= last) {
		spin_lock_irqsave(&cow->lock, flags);
		if (!cow->epoch) {
			spin_unlock_irqrestore(&cow->lock, flags);
			return 0;
		}
		/* Done before the copies go: in between, no write may take one for missing. */
		done = done || mark_done(cow->epoch, first, last, spares);
		if (done)
			first = release_copies(cow, first, last);
		cow->nr_releases++;
		queue_work(copy_queue, &cow->copy_work);
		spin_unlock_irqrestore(&cow->lock, flags);
		if (!done)
			return -ENOMEM;
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
 * For the image
 */

const struct cbt_cow_params *cbt_cow_params(const struct cbt_cow *cow)
{
	return &cow->params;
}

const char *cbt_cow_state_text(struct cbt_cow *cow, u64 epoch)
{
	const char *text = "ended";
	unsigned long flags;

	spin_lock_irqsave(&cow->lock, flags);
	if (cow->epoch && cow->epoch->number == epoch)
		text = cow->epoch->broken ? "broken" : "valid";
	spin_unlock_irqrestore(&cow->lock, flags);
	return text;
}

static bool is_readable(const struct cbt_cow *cow, u64 epoch)
{
	return cow->epoch && cow->epoch->number == epoch && !cow->epoch->broken;
}

/* The copy of a block, or NULL when the origin has it. */
static void *copy_of(struct cow_epoch *e, u64 block)
{
	void *entry = xa_load(&e->index, block);
	const struct cbt_buffer *buffer = entry;

	if (entry && !xa_is_value(entry) && buffer->state == CBT_BUFFER_READING)
		return NULL;
	return entry;
}

static void read_from_diff(struct cow_epoch *e, struct cbt_cow_read *read, void *entry)
{
	u64 block = read->first;

	read->source = CBT_SOURCE_DIFF;
	read->slot = xa_to_value(entry);
	while (block < read->last &&
	       copy_of(e, block + 1) == xa_mk_value(read->slot + (block + 1 - read->first)))
		block++;
	read->last = block;
}

static void read_from_origin(struct cbt_cow *cow, struct cbt_cow_read *read)
{
	struct cow_epoch *e = cow->epoch;
	u64 block = read->first;

	read->source = CBT_SOURCE_ORIGIN;
	while (block < read->last && needs_copy(e, block + 1) && !copy_of(e, block + 1))
		block++;
	read->last = block;
	list_add_tail(&read->link, &cow->reads);
}

bool cbt_cow_read_begin(struct cbt_cow *cow, struct cbt_cow_read *read)
{
	unsigned long flags;
	void *entry;

	read->source = CBT_SOURCE_NONE;
	spin_lock_irqsave(&cow->lock, flags);
	read->nr_releases = cow->nr_releases;
	if (is_readable(cow, read->epoch) && cbt_map_test(cow->epoch->frozen, read->first)) {
		entry = copy_of(cow->epoch, read->first);
		if (xa_is_value(entry)) {
			read_from_diff(cow->epoch, read, entry);
		} else if (entry) {
			read->source = CBT_SOURCE_BUFFER;
			read->buffer = entry;
			read->buffer->nr_readers++;
			read->last = read->first;
		} else if (!cbt_map_test(&cow->epoch->done, read->first)) {
			read_from_origin(cow, read);
		}
	}
	spin_unlock_irqrestore(&cow->lock, flags);
	return read->source != CBT_SOURCE_NONE;
}

void cbt_cow_read_buffer(struct cbt_cow *cow, const struct cbt_cow_read *read, struct bio *bio)
{
	u64 start = read->first << cow->params.block_shift;

	cbt_buffer_read(read->buffer, (bio->bi_iter.bi_sector - start) << SECTOR_SHIFT, bio);
}

static bool was_released(struct cow_epoch *e, const struct cbt_cow_read *read)
{
	u64 block;

	for (block = read->first; block <= read->last; block++)
		if (cbt_map_test(&e->done, block) && !xa_load(&e->index, block))
			return true;
	return false;
}

bool cbt_cow_read_end(struct cbt_cow *cow, struct cbt_cow_read *read)
{
	struct cbt_buffer *buffer = read->buffer;
	unsigned long flags;
	bool valid;

	spin_lock_irqsave(&cow->lock, flags);
	valid = is_readable(cow, read->epoch) &&
		(read->nr_releases == cow->nr_releases || !was_released(cow->epoch, read));
	if (read->source == CBT_SOURCE_ORIGIN) {
		list_del(&read->link);
		if (!list_empty(&cow->held))
			queue_work(copy_queue, &cow->copy_work);
	} else if (read->source == CBT_SOURCE_BUFFER) {
		buffer->nr_readers--;
		if (buffer->state == CBT_BUFFER_FORGOTTEN && !buffer->nr_readers)
			buffer_recycle(cow, buffer);
		if (cow->starved)
			queue_work(copy_queue, &cow->copy_work);
	}
	spin_unlock_irqrestore(&cow->lock, flags);
	return valid;
}

/*--------------------------------------------------------------------------------------------------
 * Module
 */

int cbt_cow_init(void)
{
	unsigned int flags = WQ_UNBOUND | WQ_MEM_RECLAIM;

	copy_queue = alloc_workqueue("dm-cbt-copy", flags, 0);
	drain_queue = alloc_workqueue("dm-cbt-drain", flags, 0);
	watch_queue = alloc_workqueue("dm-cbt-watch", flags, 0);
	if (copy_queue && drain_queue && watch_queue)
		return 0;
	cbt_cow_exit();
	return -ENOMEM;
}

void cbt_cow_exit(void)
{
	struct workqueue_struct *queues[] = { copy_queue, drain_queue, watch_queue };
	u32 i;

	/* Epochs that wait for their grace period go to the queue first. */
	rcu_barrier();
	for (i = 0; i < ARRAY_SIZE(queues); i++)
		if (queues[i])
			destroy_workqueue(queues[i]);
	copy_queue = drain_queue = watch_queue = NULL;
}
