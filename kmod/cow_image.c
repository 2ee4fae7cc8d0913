// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the image calls: where a block of the frozen epoch is read from, and whether it was right.
 */
#include "cow_state.h"

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
			cow_wake_copy(cow);
	} else if (read->source == CBT_SOURCE_BUFFER) {
		buffer->nr_readers--;
		if (buffer->state == CBT_BUFFER_FORGOTTEN && !buffer->nr_readers)
			cbt_cow_buffer_recycle(cow, buffer);
		if (cow->starved)
			cow_wake_copy(cow);
	}
	spin_unlock_irqrestore(&cow->lock, flags);
	return valid;
}
