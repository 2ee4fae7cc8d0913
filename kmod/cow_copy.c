// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copying: from the origin into buffers, until the writes that wait may go. All functions but the
 * work itself are called under the lock.
 */
#include <linux/blkdev.h>
#include <linux/jiffies.h>

#include "cow_state.h"
#include "trace.h"

static void copy_trace(const struct cbt_cow *cow, const struct cow_io *io)
{
	const struct cbt_buffer *first = list_first_entry(&io->buffers, struct cbt_buffer, link);

	trace_cbt_copy(cow->params.dev, first->block, io->nr_buffers,
		       ktime_to_ns(ktime_sub(ktime_get(), io->started)),
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
		list_for_each_entry_safe(buffer, next, &io->buffers, link) {
			list_del(&buffer->link);
			if (is_stale(cow, buffer)) {
				cbt_cow_buffer_drop(cow, buffer);
			} else if (io->bio.bi_status) {
				cbt_cow_break_epoch(cow, CBT_BROKEN_COPY_READ, resume);
				xa_erase(&cow->epoch->index, buffer->block);
				cbt_cow_buffer_drop(cow, buffer);
			} else {
				buffer->state = CBT_BUFFER_HELD;
				buffer->held = ktime_get();
				list_add_tail(&buffer->link, &cow->held);
			}
		}
		cow->progress = jiffies;
		cow->newest = max(cow->newest, io->started);
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

/* Lets the writes of held blocks go, where no image read is in the way. */
static void copies_finish(struct cbt_cow *cow, bool had_spares, struct list_head *resume)
{
	struct cbt_buffer *buffer, *next;

	list_for_each_entry_safe(buffer, next, &cow->held, link) {
		if (is_being_read(cow, buffer->block))
			continue;
		if (!mark_done(cow->epoch, buffer->block, buffer->block, &cow->spares)) {
			if (had_spares)
				cow_wake_copy(cow);
			else
				cbt_cow_break_epoch(cow, CBT_BROKEN_NO_MEMORY, resume);
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
	struct cow_io *io = cbt_cow_io_new(cow, nr, false);
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
	io->started = ktime_get();
	list_add_tail(&io->link, &cow->reading);
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
		cbt_cow_break_epoch(cow, CBT_BROKEN_OVERFLOW, resume);
	else if (cow->nr_ready)
		cow_wake_drain(cow);
}

static void copies_start(struct cbt_cow *cow, struct bio_list *bios, struct list_head *resume)
{
	struct cbt_cow_wait *wait;

	cow->starved = false;
	list_for_each_entry(wait, &cow->waiting, link) {
		int rc = wait_start(cow, wait, bios);

		if (rc < 0)
			cbt_cow_break_epoch(cow, CBT_BROKEN_NO_MEMORY, resume);
		else if (!rc)
			starve(cow, resume);
		if (rc <= 0)
			return;
	}
	if (cow->nr_ready > cow->pool.nr_max / 2)
		cow_wake_drain(cow);
}

void cbt_cow_copy_step(struct work_struct *work)
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

	cbt_cow_resume(cow, &resume);
	cbt_cow_bios_submit(&bios);
}
