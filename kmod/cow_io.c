// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bios of copy-before-write.
 */
#include <linux/blkdev.h>

#include "cow_state.h"

/* ORDER: all under the lock, so that whoever finds nothing in flight may free the cow. */
static void io_end(struct bio *bio)
{
	struct cow_io *io = container_of(bio, struct cow_io, bio);
	struct cbt_cow *cow = io->cow;
	unsigned long flags;

	spin_lock_irqsave(&cow->lock, flags);
	if (bio_data_dir(bio) == WRITE) {
		list_move_tail(&io->link, &cow->written);
		cow_wake_drain(cow);
	} else {
		list_move_tail(&io->link, &cow->copied);
		cow_wake_copy(cow);
	}
	spin_unlock_irqrestore(&cow->lock, flags);
}

/* NULL: there are enough in flight, and each that ends runs the work again. */
struct cow_io *cbt_cow_io_new(struct cbt_cow *cow, u32 nr_buffers, bool write)
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

void cbt_cow_bios_submit(struct bio_list *bios)
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
