// SPDX-License-Identifier: GPL-2.0-only
/*
 * Draining: from buffers to the diff area. All functions but the work itself are called under the
 * lock.
 */
#include <linux/jiffies.h>

#include "cow_state.h"

#define DRAINS_MAX	8	/* writes to the diff area in flight */

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

/* Writes that ended: the index names the slots, the buffers are free. Return: whether any did. */
static bool drains_collect(struct cbt_cow *cow, struct list_head *resume)
{
	struct cbt_buffer *buffer, *next;
	bool any = false;
	struct cow_io *io;

	while ((io = list_first_entry_or_null(&cow->written, struct cow_io, link))) {
		unsigned long slot = io->slot;

		list_for_each_entry_safe(buffer, next, &io->buffers, link) {
			list_del(&buffer->link);
			if (!is_stale(cow, buffer)) {
				if (io->bio.bi_status)
					cbt_cow_break_epoch(cow, CBT_BROKEN_DIFF_WRITE, resume);
				/* In place of the buffer: this allocates nothing. */
				xa_store(&cow->epoch->index, buffer->block, xa_mk_value(slot),
					 GFP_NOWAIT);
				cow->nr_spilled++;
			} else if (cow->epoch) {
				slots_free(cow->epoch, slot, 1);
			}
			cbt_cow_buffer_drop(cow, buffer);
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
	io = cbt_cow_io_new(cow, nr, true);
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

void cbt_cow_drain_step(struct work_struct *work)
{
	struct cbt_cow *cow = container_of(work, struct cbt_cow, drain_work);
	struct bio_list bios = BIO_EMPTY_LIST;
	unsigned long flags;
	LIST_HEAD(resume);
	uuid_t uuid;
	bool tell;

	spin_lock_irqsave(&cow->lock, flags);
	if (drains_collect(cow, &resume) && cow->starved)
		cow_wake_copy(cow);
	if (cow->epoch && !cow->epoch->broken)
		while (wants_drain(cow) && drain_start(cow, &bios))
			;
	tell = crosses_watermark(cow);
	if (tell)
		uuid = cow->epoch->uuid;
	if (!cow->nr_writing)
		wake_up(&cow->idle);
	spin_unlock_irqrestore(&cow->lock, flags);

	if (tell)
		cow->params.ops->watermark(cow->params.owner, &uuid);
	cbt_cow_resume(cow, &resume);
	cbt_cow_bios_submit(&bios);
}
