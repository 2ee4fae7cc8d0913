// SPDX-License-Identifier: GPL-2.0-only
/*
 * The checkpoint: what half of the log covers is written into map pages, so that the half can be
 * used again.
 *
 *	switch halves, all regions cold        new misses go to the other half
 *	grace period                           who saw a region hot has marked its blocks
 *	until nobody holds the old half        who was covered by it has marked its blocks
 *	write pages of the leaves that it covered, and the index blocks that name them
 *	flush
 *	write the superblock that retires it   from here on its records are dead
 *
 * So at each moment a marked block is covered by a record that is live, or by a page that is
 * durable. A page is the union of active and frozen, taken in one view with the running epoch,
 * and tagged with that: it holds all that lived in the page before, so it may overwrite it in
 * place, and a torn write is no loss while the old half lives.
 *
 * The index names a leaf when a map holds something of it. For a leaf that is clean no page is
 * written: to take its name from the index is enough, since what is left in the page is dead or
 * excess.
 *
 * The whole may span a freeze, a commit or an abort. It runs step by step in the store's work and
 * never waits; completions, the grace period and cbt_log_release() queue the work again.
 */
#include <linux/rcupdate.h>

#include "compat.h"
#include "faults.h"
#include "store.h"

static unsigned long *old_stale(struct cbt_store *store)
{
	return store->log.stale[store->checkpoint.old & 1];
}

/*--------------------------------------------------------------------------------------------------
 * Pages and index
 */

static void capture_page(struct cbt_store *store, u64 number, struct cbt_disk_bits *block)
{
	u64 epoch;

	memset(block, 0, sizeof(*block));
	epoch = store->client->capture(store, number, block);
	cbt_bits_encode(block, CBT_DISK_MAP_MAGIC, &store->super.id, number, epoch);
}

/* Leaves that follow each other, as many as fit; false when there are no more. */
static bool write_leaves(struct cbt_store *store, struct cbt_store_io *io)
{
	struct cbt_checkpoint *c = &store->checkpoint;
	struct cbt_disk_bits *blocks = io->buffer;
	u64 first;
	u32 nr = 0;

again:
	first = find_next_bit(old_stale(store), store->nr_leaves, c->next_leaf);
	if (first >= store->nr_leaves)
		return false;
	while (nr < CBT_BATCH_LEAVES && first + nr < store->nr_leaves &&
	       test_bit(first + nr, old_stale(store)) &&
	       !store->client->leaf_is_clean(store, first + nr)) {
		capture_page(store, 2 * (first + nr), &blocks[2 * nr]);
		capture_page(store, 2 * (first + nr) + 1, &blocks[2 * nr + 1]);
		nr++;
	}
	if (!nr) {
		c->next_leaf = first + 1;
		goto again;
	}
	c->next_leaf = first + nr;
	c->nr_leaves += nr;
	cbt_store_submit(io, store->super.geo.map_start + 2 * first, 2 * nr,
			 REQ_OP_WRITE | REQ_META);
	return true;
}

static bool write_index(struct cbt_store *store, struct cbt_store_io *io)
{
	struct cbt_checkpoint *c = &store->checkpoint;
	struct cbt_disk_bits *block = io->buffer;
	u64 number, leaf, end;

	leaf = find_next_bit(old_stale(store), store->nr_leaves, c->next_index * CBT_DISK_BITS);
	if (leaf >= store->nr_leaves)
		return false;
	number = leaf / CBT_DISK_BITS;
	c->next_index = number + 1;
	end = min((number + 1) * CBT_DISK_BITS, store->nr_leaves);
	memset(block, 0, sizeof(*block));
	for (leaf = number * CBT_DISK_BITS; leaf < end; leaf++)
		if (!store->client->leaf_is_clean(store, leaf))
			block->bits[leaf % CBT_DISK_BITS / 64] |= cpu_to_le64(1ULL << (leaf % 64));
	cbt_bits_encode(block, CBT_DISK_INDEX_MAGIC, &store->super.id, number, 0);
	cbt_store_submit(io, store->super.geo.index_start + number, 1, REQ_OP_WRITE | REQ_META);
	return true;
}

/* Return: whether all is written. */
static bool write_pages(struct cbt_store *store)
{
	bool done = true;
	blk_status_t status;
	u32 i;

	for (i = 0; i < CBT_BATCHES; i++) {
		struct cbt_store_io *io = &store->checkpoint.batch[i];

		if (cbt_store_io_done(io, &status)) {
			WRITE_ONCE(store->checkpoint.answered, ktime_get());
			if (status) {
				cbt_store_fail(store, "the store failed to write a page of the map");
				return false;
			}
		}
		if (io->state != CBT_IO_IDLE || write_leaves(store, io) || write_index(store, io))
			done = false;
	}
	return done;
}

/*--------------------------------------------------------------------------------------------------
 * Steps
 */

static void grace_is_over(struct rcu_head *rcu)
{
	struct cbt_store *store = container_of(rcu, struct cbt_store, checkpoint.rcu);

	/* ORDER: marks of the readers that were waited for come before. */
	smp_store_release(&store->checkpoint.grace_over, true);
	cbt_store_kick(store);
}

static bool begin(struct cbt_store *store)
{
	struct cbt_checkpoint *c = &store->checkpoint;

	spin_lock(&store->lock);
	if (!c->wanted || store->mode != CBT_STORE_OPEN) {
		spin_unlock(&store->lock);
		return false;
	}
	c->wanted = false;
	c->phase = CBT_CHECKPOINT_GRACE;
	spin_unlock(&store->lock);
	c->old = cbt_log_switch(store);
	c->started = ktime_get();
	c->nr_leaves = 0;
	c->next_leaf = 0;
	c->next_index = 0;
	c->grace_over = false;
	cbt_call_rcu_soon(&c->rcu, grace_is_over);
	/* There is room in the new half. */
	store->client->wake(store);
	return true;
}

static void flush(struct cbt_store *store)
{
	struct cbt_checkpoint *c = &store->checkpoint;

	c->phase = CBT_CHECKPOINT_FLUSH;
	cbt_store_submit(&c->flush, 0, 0, REQ_OP_WRITE | cbt_fault_flush(CBT_FAULT_PAGES_FLUSH));
}

/* CRASH: the pages are durable; until the superblock is, the old half is merely excess. */
static void retire(struct cbt_store *store)
{
	struct cbt_checkpoint *c = &store->checkpoint;

	spin_lock(&store->lock);
	bitmap_zero(old_stale(store), store->super.geo.nr_leaves);
	store->super.log_sequence = c->old + 1;
	c->ticket = cbt_store_save(store);
	spin_unlock(&store->lock);
	c->phase = CBT_CHECKPOINT_RETIRE;
}

static void finish(struct cbt_store *store)
{
	struct cbt_checkpoint *c = &store->checkpoint;

	spin_lock(&store->lock);
	c->phase = CBT_CHECKPOINT_IDLE;
	c->nr_done++;
	spin_unlock(&store->lock);
	store->client->checkpointed(store, c->nr_leaves, c->started, 0);
	wake_up_all(&store->wait);
	store->client->wake(store);
}

/* Nothing is retired; who waits for it sees the mode. */
static void give_up(struct cbt_store *store)
{
	struct cbt_checkpoint *c = &store->checkpoint;

	spin_lock(&store->lock);
	c->phase = CBT_CHECKPOINT_IDLE;
	spin_unlock(&store->lock);
	store->client->checkpointed(store, c->nr_leaves, c->started, -EIO);
}

/* Return: whether the next step may be possible at once. */
static bool step(struct cbt_store *store)
{
	struct cbt_checkpoint *c = &store->checkpoint;
	blk_status_t status;

	switch (c->phase) {
	case CBT_CHECKPOINT_IDLE:
		return begin(store);
	case CBT_CHECKPOINT_GRACE:
		if (!smp_load_acquire(&c->grace_over))
			return false;
		c->phase = CBT_CHECKPOINT_HELD;
		return true;
	case CBT_CHECKPOINT_HELD:
		if (cbt_log_holds(store, c->old))
			return false;
		WRITE_ONCE(c->answered, ktime_get());
		c->phase = CBT_CHECKPOINT_PAGES;
		return true;
	case CBT_CHECKPOINT_PAGES:
		if (!write_pages(store))
			return false;
		flush(store);
		return true;
	case CBT_CHECKPOINT_FLUSH:
		if (!cbt_store_io_done(&c->flush, &status))
			return false;
		if (status) {
			cbt_store_fail(store, "the store failed to flush");
			return false;
		}
		retire(store);
		return true;
	case CBT_CHECKPOINT_RETIRE:
		if (!cbt_store_is_saved(store, c->ticket))
			return false;
		finish(store);
		return true;
	}
	return false;
}

void cbt_checkpoint_step(struct cbt_store *store)
{
	struct cbt_checkpoint *c = &store->checkpoint;

	/* A store that failed keeps what it has: nothing more is retired. */
	while (READ_ONCE(store->mode) == CBT_STORE_OPEN && step(store))
		;
	if (READ_ONCE(store->mode) != CBT_STORE_OPEN && c->phase != CBT_CHECKPOINT_IDLE)
		give_up(store);
}

void cbt_checkpoint_start(struct cbt_store *store)
{
	spin_lock(&store->lock);
	store->checkpoint.wanted = true;
	spin_unlock(&store->lock);
	cbt_store_kick(store);
}

u64 cbt_checkpoint_request(struct cbt_store *store)
{
	struct cbt_checkpoint *c = &store->checkpoint;
	u64 ticket;

	spin_lock(&store->lock);
	/* One that is under way began too early for what was marked since. */
	ticket = c->nr_done + (c->phase == CBT_CHECKPOINT_IDLE ? 1 : 2);
	c->wanted = true;
	spin_unlock(&store->lock);
	cbt_store_kick(store);
	return ticket;
}

int cbt_checkpoint_wait(struct cbt_store *store, unsigned long deadline)
{
	u64 ticket = cbt_checkpoint_request(store);

	wait_event_timeout(store->wait,
			   cbt_checkpoint_is_done(store, ticket) || store->mode != CBT_STORE_OPEN,
			   max(1L, (long)(deadline - jiffies)));
	if (cbt_checkpoint_is_done(store, ticket))
		return 0;
	return store->mode == CBT_STORE_OPEN ? -EINPROGRESS : -EIO;
}

/*--------------------------------------------------------------------------------------------------
 * Life
 */

int cbt_checkpoint_init(struct cbt_store *store)
{
	struct cbt_checkpoint *c = &store->checkpoint;
	u32 size = CBT_BATCH_LEAVES * 2 * CBT_DISK_BLOCK;
	int error = cbt_store_io_init(&c->flush, store, 0, cbt_store_kick);
	u32 i;

	c->batch = kcalloc(CBT_BATCHES, sizeof(*c->batch), GFP_KERNEL);
	if (!c->batch)
		return -ENOMEM;
	for (i = 0; !error && i < CBT_BATCHES; i++)
		error = cbt_store_io_init(&c->batch[i], store, size, cbt_store_kick);
	return error;
}

void cbt_checkpoint_exit(struct cbt_store *store)
{
	struct cbt_checkpoint *c = &store->checkpoint;
	u32 i;

	for (i = 0; c->batch && i < CBT_BATCHES; i++)
		cbt_store_io_exit(&c->batch[i]);
	kfree(c->batch);
	c->batch = NULL;
	cbt_store_io_exit(&c->flush);
}
