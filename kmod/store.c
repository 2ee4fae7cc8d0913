// SPDX-License-Identifier: GPL-2.0-only
/*
 * Life of a store, its superblock, and its failure.
 *
 * The superblock is written by whoever wants its contents durable taking a ticket; one write at a
 * time, so what comes meanwhile goes together. The slots are used in turn. A slot is left only
 * when its write succeeded: a failed one is repeated in the same slot and then read back, so that
 * the other slot, the last that is known to be good, stays.
 *
 * A store that fails is given up: FAILING. Whoever is covered already goes on; who needs coverage
 * is held until somebody knows durably that the tracker is `lost`: the store itself if it takes
 * one more superblock, or the controller, or at the latest after CBT_STORE_HOLD_MS. Then LOST:
 * writes go without coverage, and nothing that the maps say outlives a crash. A hung store fails
 * at the deadline; its buffers stay the I/O's until it ends.
 *
 * A store that hangs may have no room for one more request, and then holds who submits it. So nobody
 * submits but a work that has nothing else to do, on a queue of the store's own, so that it does not
 * hold other stores' either; a log block tries first whether it can go at once.
 */
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "faults.h"
#include "lost.h"
#include "queue.h"
#include "reader.h"
#include "store.h"

static struct workqueue_struct *workers;
static struct workqueue_struct *watchers;

/*--------------------------------------------------------------------------------------------------
 * I/O
 */

static void io_submit(struct work_struct *work);

int cbt_store_io_init(struct cbt_store_io *io, struct cbt_store *store, u32 buffer_size,
		      void (*done)(struct cbt_store *store))
{
	io->store = store;
	io->done = done;
	io->state = CBT_IO_IDLE;
	io->buffer_size = buffer_size;
	INIT_WORK(&io->submit, io_submit);
	if (!buffer_size)
		return 0;
	io->buffer = alloc_pages_exact(buffer_size, GFP_KERNEL | __GFP_ZERO);
	return io->buffer ? 0 : -ENOMEM;
}

void cbt_store_io_exit(struct cbt_store_io *io)
{
	if (io->buffer)
		free_pages_exact(io->buffer, io->buffer_size);
	io->buffer = NULL;
}

static void io_end(struct bio *bio)
{
	struct cbt_store_io *io = bio->bi_private;
	struct cbt_store *store = io->store;
	void (*done)(struct cbt_store *store) = io->done;

	if (io->opf & REQ_NOWAIT &&
	    (bio->bi_status == BLK_STS_AGAIN || bio->bi_status == BLK_STS_NOTSUPP)) {
		bio_uninit(bio);
		queue_work(store->submitters, &io->submit);
		return;
	}
	cbt_stats_record_since(store->stats, CBT_STATS_A_STORE_WAIT, io->started);
	io->status = bio->bi_status;
	bio_uninit(bio);
	/* ORDER: the buffer is the owner's again. */
	smp_store_release(&io->state, CBT_IO_DONE);
	done(store);
	/* ORDER: the last touch: store_drain() waits for it. */
	atomic_dec_return_release(&store->nr_in_flight);
}

/* The last that is done to @io here: it may have ended when this returns. */
static void io_start(struct cbt_store_io *io)
{
	struct bio *bio = &io->bio;

	bio_init(bio, io->store->bdev, &io->vec, 1, io->opf);
	bio->bi_iter.bi_sector = io->block * CBT_DISK_SECTORS;
	bio->bi_end_io = io_end;
	bio->bi_private = io;
	if (io->nr)
		__bio_add_page(bio, virt_to_page(io->buffer), io->nr * CBT_DISK_BLOCK,
			       offset_in_page(io->buffer));
	if (io->nr || op_is_flush(io->opf))
		submit_bio(bio);
	else
		bio_endio(bio);
}

static void io_submit(struct work_struct *work)
{
	struct cbt_store_io *io = container_of(work, struct cbt_store_io, submit);

	io->opf &= ~REQ_NOWAIT;
	io_start(io);
}

void cbt_store_submit(struct cbt_store_io *io, u64 block, u32 nr, blk_opf_t opf)
{
	struct cbt_store *store = io->store;

	atomic_inc(&store->nr_in_flight);
	io->started = ktime_get();
	WRITE_ONCE(io->state, CBT_IO_BUSY);
	io->block = block;
	io->nr = nr;
	io->opf = opf;
	if (nr && op_is_write(opf)) {
		cbt_stats_inc(store->stats, CBT_STATS_A_STORE_WRITES);
		cbt_stats_add(store->stats, CBT_STATS_A_STORE_BYTES, nr * CBT_DISK_BLOCK);
	}
	if (op_is_flush(opf))
		cbt_stats_inc(store->stats, CBT_STATS_A_STORE_FLUSHES);
	if (opf & REQ_NOWAIT)
		io_start(io);
	else
		queue_work(store->submitters, &io->submit);
}

bool cbt_store_io_done(struct cbt_store_io *io, blk_status_t *ret_status)
{
	if (smp_load_acquire(&io->state) != CBT_IO_DONE)
		return false;
	*ret_status = io->status;
	io->state = CBT_IO_IDLE;
	return true;
}

void cbt_store_kick(struct cbt_store *store)
{
	queue_work(workers, &store->work);
}

/*--------------------------------------------------------------------------------------------------
 * Superblock
 */

u64 cbt_store_save(struct cbt_store *store)
{
	u64 ticket = ++store->super_io.wanted;

	cbt_store_kick(store);
	return ticket;
}

u64 cbt_store_flag(struct cbt_store *store, u32 flag)
{
	u64 ticket;

	spin_lock(&store->lock);
	store->super.flags |= flag;
	ticket = cbt_store_save(store);
	spin_unlock(&store->lock);
	return ticket;
}

static void super_submit(struct cbt_store *store)
{
	struct cbt_super_io *s = &store->super_io;

	cbt_store_submit(&s->io, cbt_super_slot(store->super.sequence), 1,
			 REQ_OP_WRITE | REQ_SYNC | REQ_META | cbt_fault_fua(CBT_FAULT_SUPER_FUA));
}

/* Begin a write when one is wanted. */
static void super_begin(struct cbt_store *store)
{
	struct cbt_super_io *s = &store->super_io;

	if (s->io.state != CBT_IO_IDLE || s->dead || READ_ONCE(store->mode) == CBT_STORE_RAM)
		return;
	spin_lock(&store->lock);
	if (s->wanted == s->durable) {
		spin_unlock(&store->lock);
		return;
	}
	s->writing = s->wanted;
	s->flags_writing = store->super.flags;
	/* A slot whose last write failed is not left for the other one. */
	if (!s->nr_failures)
		store->super.sequence++;
	cbt_super_encode(&store->super, s->io.buffer);
	spin_unlock(&store->lock);
	super_submit(store);
}

/* What must not be forgotten is written twice, so that no damage to one slot brings back the other. */
static void super_is_durable(struct cbt_store *store)
{
	struct cbt_super_io *s = &store->super_io;
	u32 news = s->flags_writing & ~s->flags_durable;

	s->nr_failures = 0;
	s->flags_durable = s->flags_writing;
	WRITE_ONCE(s->durable, s->writing);
	wake_up_all(&store->wait);
	if (!(news & (CBT_DISK_LOST | CBT_DISK_BYPASSED)))
		return;
	spin_lock(&store->lock);
	(void)cbt_store_save(store);
	spin_unlock(&store->lock);
}

static bool super_reads_back(struct cbt_store *store)
{
	struct cbt_super_io *s = &store->super_io;

	return !memcmp(s->io.buffer, s->check.buffer, CBT_DISK_BLOCK);
}

/* Until it is revived, which then has one try. */
static void super_give_up(struct cbt_store *store)
{
	store->super_io.nr_failures = 2;
	WRITE_ONCE(store->super_io.dead, true);
	wake_up_all(&store->wait);
}

static void super_failed(struct cbt_store *store)
{
	struct cbt_super_io *s = &store->super_io;

	if (!READ_ONCE(s->dead) && ++s->nr_failures < 3) {
		super_submit(store);
		return;
	}
	/* What is to tell of the failure gets tries of its own, in the same slot. */
	if (READ_ONCE(store->mode) == CBT_STORE_OPEN)
		s->nr_failures = 1;
	else
		super_give_up(store);
	cbt_store_fail(store, "the store failed to write the superblock");
}

static void super_step(struct cbt_store *store)
{
	struct cbt_super_io *s = &store->super_io;
	blk_status_t status;

	if (cbt_store_io_done(&s->check, &status)) {
		if (!status && super_reads_back(store))
			super_is_durable(store);
		else
			super_failed(store);
	}
	if (s->check.state == CBT_IO_IDLE && cbt_store_io_done(&s->io, &status)) {
		if (status)
			super_failed(store);
		else if (s->nr_failures)
			cbt_store_submit(&s->check, cbt_super_slot(store->super.sequence), 1,
					 REQ_OP_READ | REQ_SYNC | REQ_META);
		else
			super_is_durable(store);
	}
	if (s->check.state == CBT_IO_IDLE)
		super_begin(store);
}

int cbt_store_wait_saved(struct cbt_store *store, u64 ticket, unsigned long deadline)
{
	wait_event_timeout(store->wait,
			   cbt_store_is_saved(store, ticket) || store->mode == CBT_STORE_LOST,
			   max(1L, (long)(deadline - jiffies)));
	if (cbt_store_is_saved(store, ticket))
		return 0;
	return store->mode == CBT_STORE_LOST ? -EIO : -EINPROGRESS;
}

int cbt_store_wait_lost(struct cbt_store *store)
{
	wait_event_timeout(store->wait, READ_ONCE(store->mode) == CBT_STORE_LOST,
			   msecs_to_jiffies(2 * CBT_STORE_HOLD_MS));
	return READ_ONCE(store->mode) == CBT_STORE_LOST ? 0 : -EIO;
}

/*--------------------------------------------------------------------------------------------------
 * Failure
 */

static void become_lost(struct cbt_store *store)
{
	bool changed;

	spin_lock(&store->lock);
	changed = store->mode == CBT_STORE_FAILING;
	if (changed)
		WRITE_ONCE(store->mode, CBT_STORE_LOST);
	spin_unlock(&store->lock);
	if (!changed)
		return;
	wake_up_all(&store->wait);
	store->client->failed(store);
	store->client->wake(store);
}

void cbt_store_fail(struct cbt_store *store, const char *why)
{
	bool changed;

	spin_lock(&store->lock);
	changed = store->mode == CBT_STORE_OPEN;
	if (changed) {
		store->failure = why;
		store->failing_since = jiffies;
		/* Before the first write could go, what the store says is as true as ever. */
		if (store->settled) {
			store->super.flags |= CBT_DISK_LOST;
			WRITE_ONCE(store->lost_ticket, cbt_store_save(store));
		}
		/* ORDER: who sees the mode sees the ticket of what tells of it. */
		smp_store_release(&store->mode, CBT_STORE_FAILING);
	}
	spin_unlock(&store->lock);
	if (!changed)
		return;
	store->client->failed(store);
	wake_up_all(&store->wait);
	mod_delayed_work(watchers, &store->watch, 0);
}

/* What is lost and could not say so tries again, in the slot that failed. */
static void super_revive(struct cbt_store *store)
{
	if (!READ_ONCE(store->super_io.dead) || !store->settled || READ_ONCE(store->closing))
		return;
	WRITE_ONCE(store->super_io.dead, false);
	cbt_store_kick(store);
}

bool cbt_store_tell_lost(struct cbt_store *store, unsigned long deadline)
{
	if (!store->settled)
		return false;
	super_revive(store);
	wait_event_timeout(store->wait,
			   cbt_store_is_saved(store, store->lost_ticket) ||
				   READ_ONCE(store->super_io.dead),
			   max(1L, (long)(deadline - jiffies)));
	return cbt_store_is_saved(store, store->lost_ticket);
}

void cbt_store_ack_lost(struct cbt_store *store)
{
	if (READ_ONCE(store->mode) == CBT_STORE_FAILING)
		become_lost(store);
}

static bool is_long_ago(ktime_t time)
{
	return ktime_ms_delta(ktime_get(), time) > CBT_STORE_DEADLINE_MS;
}

static bool io_is_late(const struct cbt_store_io *io)
{
	return READ_ONCE(io->state) == CBT_IO_BUSY && is_long_ago(READ_ONCE(io->started));
}

/* Those of a checkpoint wait for each other. */
static bool is_late(const struct cbt_store *store)
{
	bool silent = is_long_ago(READ_ONCE(store->checkpoint.answered));
	u32 i;

	for (i = 0; i < CBT_BATCHES; i++)
		if (silent && io_is_late(&store->checkpoint.batch[i]))
			return true;
	return io_is_late(&store->log.txn.io) || io_is_late(&store->super_io.io) ||
	       io_is_late(&store->super_io.check) || io_is_late(&store->checkpoint.flush);
}

static unsigned long watch_interval(const struct cbt_store *store)
{
	switch (READ_ONCE(store->mode)) {
	case CBT_STORE_FAILING:
		return HZ / 20;
	case CBT_STORE_LOST:
		return msecs_to_jiffies(CBT_STORE_RETRY_MS);
	}
	return HZ / 2;
}

/* Looks after deadlines, old log records, and the time for which writes may be held. */
static void store_watch(struct work_struct *work)
{
	struct cbt_store *store = container_of(to_delayed_work(work), struct cbt_store, watch);
	unsigned long since = READ_ONCE(store->log.since);
	int mode = smp_load_acquire(&store->mode);

	if (mode == CBT_STORE_OPEN && is_late(store))
		cbt_store_fail(store, "the store does not answer");
	else if (mode == CBT_STORE_OPEN && since &&
		 time_after(jiffies, since + msecs_to_jiffies(CBT_CHECKPOINT_MS)))
		cbt_checkpoint_start(store);
	else if (mode == CBT_STORE_FAILING &&
		 (cbt_store_is_saved(store, store->lost_ticket) ||
		  time_after(jiffies, store->failing_since + msecs_to_jiffies(CBT_STORE_HOLD_MS))))
		become_lost(store);
	else if (mode == CBT_STORE_LOST)
		super_revive(store);
	if (mode == CBT_STORE_LOST && cbt_store_is_saved(store, store->lost_ticket))
		return;
	if (!READ_ONCE(store->closing))
		queue_delayed_work(watchers, &store->watch, watch_interval(store));
}

static void store_work(struct work_struct *work)
{
	struct cbt_store *store = container_of(work, struct cbt_store, work);

	super_step(store);
	cbt_checkpoint_step(store);
	/* What the checkpoint wants saved. */
	super_step(store);
	if (smp_load_acquire(&store->mode) == CBT_STORE_FAILING &&
	    cbt_store_is_saved(store, store->lost_ticket))
		become_lost(store);
}

/*--------------------------------------------------------------------------------------------------
 * Opening
 */

static u64 nr_leaves_of(const struct cbt_store *store, u64 size_sectors)
{
	struct cbt_geometry geo = store->super.geo;

	geo.size_sectors = size_sectors;
	return DIV_ROUND_UP(cbt_geometry_nr_blocks(&geo), (u64)CBT_DISK_LEAF_BLOCKS);
}

int cbt_store_has_room(const struct cbt_store *store, u64 size_sectors, const char **why)
{
	if (nr_leaves_of(store, size_sectors) <= store->super.geo.nr_leaves)
		return 0;
	*why = "the origin is larger than what the store was formatted for: format a new one";
	return -ENOSPC;
}

static int check_super(struct cbt_store *store, const struct cbt_opening *o, const char **why)
{
	const struct cbt_geometry *geo = &store->super.geo;

	if (bdev_nr_sectors(store->bdev) / CBT_DISK_SECTORS < geo->store_blocks) {
		*why = "the store device is smaller than the store on it";
		return -EINVAL;
	}
	if (o->block_sectors && o->block_sectors != geo->block_sectors) {
		*why = "the store was formatted with another block size";
		return -EINVAL;
	}
	return cbt_store_has_room(store, o->size_sectors, why);
}

/* Whether what the store says of the origin cannot be relied on. */
static bool continuity_is_broken(struct cbt_store *store, const struct cbt_opening *o)
{
	const struct cbt_super *super = &store->super;

	if (super->flags & (CBT_DISK_LOST | CBT_DISK_BYPASSED) || cbt_lost_generation(super))
		return true;
	if (o->size_sectors < super->geo.size_sectors)
		return true;
	return super->flags & CBT_DISK_CLEAN && super->fingerprint_seed &&
	       o->origin_changed(store, super->fingerprint_seed, super->fingerprint);
}

static void begin_generation(struct cbt_super *super)
{
	super->generation = max(super->generation, cbt_lost_generation(super)) + 1;
	super->id.lineage = super->generation;
	super->frozen_epoch = 0;
	memset(super->base_uuid, 0, sizeof(super->base_uuid));
	memset(super->outcomes, 0, sizeof(super->outcomes));
	super->nr_outcomes = 0;
}

/* Leaves that hold something, all of them: after damage nobody knows what the pages lack. */
static void touch_dirty_leaves(struct cbt_store *store, const struct cbt_map *dirty,
			       unsigned long *stale)
{
	u64 leaf;

	for (leaf = 0; leaf < dirty->nr_leaves; leaf++)
		if (!cbt_map_leaf_is_clean(dirty, leaf))
			__set_bit(leaf, stale);
}

/* The added blocks, and the one that the old size may have cut. Leaf by leaf: see cbt_spares. */
static void mark_growth(struct cbt_map *dirty, u64 start, unsigned long *stale)
{
	struct cbt_spares spares = { };

	while (start < dirty->nr_blocks) {
		u64 next = min((start | (CBT_LEAF_BLOCKS - 1)) + 1, dirty->nr_blocks);

		cbt_spares_fill(&spares);
		(void)cbt_map_mark(dirty, start, next - 1, &spares);
		__set_bit(start >> CBT_LEAF_SHIFT, stale);
		start = next;
	}
	cbt_spares_drop(&spares);
}

static int read_maps(struct cbt_store *store, struct cbt_opening *o, struct cbt_reader *reader)
{
	struct cbt_recovery *r = kzalloc(sizeof(*r), GFP_KERNEL);
	unsigned long *stale = store->log.stale[0];
	u32 block_sectors = store->super.geo.block_sectors;
	int error = 0;

	if (!r)
		return -ENOMEM;
	r->super = store->super;
	r->super.geo.size_sectors = o->size_sectors;
	r->dirty = o->dirty;
	r->suspect = o->suspect;
	r->leaves_stale = stale;
	if (o->broken) {
		r->epoch = store->super.epoch;
		r->log_sequence = store->super.log_sequence;
	}
	/* Also when broken, and into nothing: the numbers of what is live must not come again. */
	error = cbt_recover(r, cbt_reader_read, reader, cbt_reader_blocks(reader),
			    cbt_reader_block(reader));
	if (!error && r->nr_damaged)
		touch_dirty_leaves(store, o->dirty, stale);
	if (!error && o->size_sectors > store->super.geo.size_sectors)
		mark_growth(o->dirty, store->super.geo.size_sectors / block_sectors, stale);
	store->super.epoch = r->epoch + 1;
	store->log.epoch = r->epoch + 1;
	store->log.sequence = r->log_sequence;
	o->nr_records = r->nr_records;
	o->nr_damaged = r->nr_damaged;
	kfree(r);
	return error;
}

static void wait_saved_or_failed(struct cbt_store *store, u64 ticket)
{
	wait_event(store->wait, cbt_store_is_saved(store, ticket) ||
				READ_ONCE(store->mode) != CBT_STORE_OPEN);
}

/*
 * Pages for what only the log says, then the superblock that ends the log: a checkpoint whose old
 * half is all that was found. Both slots are written, so that no damage to one brings back a
 * superblock of before. Until both are, the attach may be refused, and the origin be written without
 * us: that it was stopped in order, how the origin was then, and how large, stays in both.
 */
static int settle(struct cbt_store *store)
{
	struct cbt_checkpoint *c = &store->checkpoint;
	u64 ticket;

	/* Stale leaves were noted in set 0; the sequence decides where they are looked for. */
	c->old = cbt_log_switch(store);
	if (c->old & 1)
		swap(store->log.stale[0], store->log.stale[1]);
	c->started = ktime_get();
	c->answered = c->started;
	c->phase = CBT_CHECKPOINT_PAGES;
	WRITE_ONCE(store->mode, CBT_STORE_OPEN);
	queue_delayed_work(watchers, &store->watch, HZ / 2);
	cbt_store_kick(store);
	wait_event(store->wait, READ_ONCE(c->phase) == CBT_CHECKPOINT_IDLE ||
				store->mode != CBT_STORE_OPEN);
	if (store->mode != CBT_STORE_OPEN)
		return -EIO;
	spin_lock(&store->lock);
	ticket = cbt_store_save(store);
	spin_unlock(&store->lock);
	wait_saved_or_failed(store, ticket);
	spin_lock(&store->lock);
	/* ORDER: under the lock: who fails it from here on notes that it is lost. */
	store->settled = store->mode == CBT_STORE_OPEN;
	spin_unlock(&store->lock);
	return store->settled ? 0 : -EIO;
}

/* CRASH: from here on the attach is not refused any more: what fails now has been lost while it ran. */
static void set_running(struct cbt_store *store, u64 size_sectors)
{
	u64 ticket;

	if (!(store->super.flags & CBT_DISK_CLEAN) && store->super.geo.size_sectors == size_sectors)
		return;
	spin_lock(&store->lock);
	store->super.flags &= ~CBT_DISK_CLEAN;
	store->super.geo.size_sectors = size_sectors;
	ticket = cbt_store_save(store);
	spin_unlock(&store->lock);
	wait_saved_or_failed(store, ticket);
}

static int open_super(struct cbt_store *store, struct cbt_opening *o, struct cbt_reader *reader,
		      const char **why)
{
	const struct cbt_super *super;
	struct cbt_super *slots;
	int error;

	if (bdev_nr_sectors(store->bdev) < CBT_DISK_LOG_START * CBT_DISK_SECTORS) {
		*why = "the store device is too small to hold a store";
		return -EINVAL;
	}
	slots = kcalloc(CBT_DISK_SUPER_SLOTS, sizeof(*slots), GFP_KERNEL);
	if (!slots)
		return -ENOMEM;
	super = cbt_recover_super(slots, cbt_reader_read, reader, cbt_reader_block(reader), &error,
				  why);
	if (super)
		store->super = *super;
	kfree(slots);
	return super ? check_super(store, o, why) : error;
}

static int open_maps(struct cbt_store *store, struct cbt_opening *o, struct cbt_reader *reader,
		     const char **why)
{
	struct cbt_super *super = &store->super;
	int error;

	o->broken = continuity_is_broken(store, o);
	if (super->frozen_epoch && !o->broken)
		cbt_super_add_outcome(super, super->frozen_uuid, super->frozen_epoch,
				      CBT_DISK_ABORTED);
	super->frozen_epoch = 0;
	memset(super->frozen_uuid, 0, sizeof(super->frozen_uuid));
	if (o->broken) {
		begin_generation(super);
		super->geo.size_sectors = o->size_sectors;
	} else if (o->size_sectors > super->geo.size_sectors) {
		super->generation++;
	}
	super->flags = o->broken ? 0 : super->flags & CBT_DISK_CLEAN;
	store->region_shift = ilog2(cbt_geometry_region_blocks(&super->geo));
	store->nr_leaves = nr_leaves_of(store, o->size_sectors);
	error = o->prepare(store, o, why);
	if (error)
		return error;
	*why = "out of memory for the log";
	error = cbt_log_init(store, o->hot_regions);
	if (!error)
		error = cbt_checkpoint_init(store);
	if (error)
		return error;
	*why = "the store cannot be read";
	error = read_maps(store, o, reader);
	if (error)
		return error;
	/* ORDER: before pages are written, which are tagged with the client's epoch. */
	error = o->found(store, why);
	if (error)
		return error;
	error = settle(store);
	if (error)
		*why = store->failure;
	else
		set_running(store, o->size_sectors);
	return error;
}

static void store_setup(struct cbt_store *store)
{
	memset(store, 0, sizeof(*store));
	store->lost_ticket = U64_MAX;
	spin_lock_init(&store->lock);
	init_waitqueue_head(&store->wait);
	INIT_WORK(&store->work, store_work);
	INIT_DELAYED_WORK(&store->watch, store_watch);
}

void cbt_store_init_ram(struct cbt_store *store)
{
	store_setup(store);
	store->mode = CBT_STORE_RAM;
}

static void store_free(struct cbt_store *store)
{
	cbt_checkpoint_exit(store);
	cbt_log_exit(store);
	cbt_store_io_exit(&store->super_io.io);
	cbt_store_io_exit(&store->super_io.check);
	cbt_lost_free(store->lost);
}

bool cbt_store_is_idle(struct cbt_store *store)
{
	return !atomic_read_acquire(&store->nr_in_flight);
}

/* No superblock is written from here on, and no failure is told. */
static void store_still(struct cbt_store *store)
{
	WRITE_ONCE(store->closing, true);
	cancel_delayed_work_sync(&store->watch);
	spin_lock(&store->lock);
	WRITE_ONCE(store->super_io.dead, true);
	WRITE_ONCE(store->mode, CBT_STORE_LOST);
	spin_unlock(&store->lock);
}

/* It is still: until what is under way has ended. */
static void store_drain(struct cbt_store *store)
{
	do {
		while (!cbt_store_is_idle(store))
			msleep(20);
		/* ORDER: the client lets go of the transaction, and then the store's own work. */
		store->client->settle(store);
		cancel_work_sync(&store->work);
		/* The grace period of a checkpoint that was just beginning, which queues it again. */
		rcu_barrier();
		cancel_work_sync(&store->work);
		/* What was just beginning when the mode changed. */
	} while (!cbt_store_is_idle(store));
	/* Asked for by who failed the store meanwhile; it finds nothing to do. */
	cancel_delayed_work_sync(&store->watch);
}

void cbt_store_grow(struct cbt_store *store, u64 size_sectors, u64 generation)
{
	WRITE_ONCE(store->nr_leaves, nr_leaves_of(store, size_sectors));
	/* CRASH: any superblock from now on has it, so that no number comes twice. */
	spin_lock(&store->lock);
	store->super.generation = generation;
	spin_unlock(&store->lock);
}

u64 cbt_store_note_size(struct cbt_store *store, u64 size_sectors, u64 generation)
{
	u64 ticket;

	spin_lock(&store->lock);
	store->super.geo.size_sectors = size_sectors;
	store->super.generation = generation;
	ticket = cbt_store_save(store);
	spin_unlock(&store->lock);
	return ticket;
}

static int store_alloc(struct cbt_store *store)
{
	int error;

	store->lost = cbt_lost_new();
	if (!store->lost)
		return -ENOMEM;
	error = cbt_store_io_init(&store->super_io.io, store, CBT_DISK_BLOCK, cbt_store_kick);
	if (error)
		return error;
	return cbt_store_io_init(&store->super_io.check, store, CBT_DISK_BLOCK, cbt_store_kick);
}

int cbt_store_open(struct cbt_store *store, struct block_device *bdev,
		   const struct cbt_store_client *client, struct cbt_opening *opening,
		   const char **why)
{
	unsigned int noio = memalloc_noio_save();
	struct cbt_reader *reader = cbt_reader_new(bdev, CBT_STORE_DEADLINE_MS);
	int error;

	store_setup(store);
	store->bdev = bdev;
	store->client = client;
	store->stats = opening->stats;
	store->submitters = opening->submitters;
	*why = "out of memory";
	error = reader ? store_alloc(store) : -ENOMEM;
	if (!error)
		error = open_super(store, opening, reader, why);
	if (!error)
		error = open_maps(store, opening, reader, why);
	if (error == -ETIMEDOUT)
		*why = "the store does not answer: it hangs, or it is made of the device itself";
	cbt_reader_put(reader);
	if (error)
		store_still(store);
	memalloc_noio_restore(noio);
	return error;
}

/* The store does not say what it has to: nobody is to believe it. */
static bool is_silent(const struct cbt_store *store, bool lost, u64 note)
{
	return store->settled && (lost || !cbt_store_is_saved(store, note)) &&
	       !cbt_store_is_saved(store, store->lost_ticket);
}

void cbt_store_close(struct cbt_store *store, u64 seed, u64 fingerprint, u64 note)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(2 * CBT_STORE_DEADLINE_MS);
	/* Or ever will be: what fails only now has had all writes covered, as after a crash. */
	bool lost = READ_ONCE(store->mode) == CBT_STORE_LOST;
	u64 ticket;

	if (store->mode == CBT_STORE_RAM)
		return;
	if (seed && !cbt_checkpoint_wait(store, deadline)) {
		spin_lock(&store->lock);
		store->super.flags |= CBT_DISK_CLEAN;
		store->super.fingerprint_seed = seed;
		store->super.fingerprint = fingerprint;
		ticket = cbt_store_save(store);
		spin_unlock(&store->lock);
		(void)cbt_store_wait_saved(store, ticket, deadline);
	}
	if (is_silent(store, lost, note) && READ_ONCE(store->mode) != CBT_STORE_OPEN)
		(void)cbt_store_tell_lost(store, deadline);
	/* Also the second time of what is written twice. */
	wait_event_timeout(store->wait,
			   cbt_store_is_saved(store, READ_ONCE(store->super_io.wanted)) ||
				   READ_ONCE(store->super_io.dead),
			   max(1L, (long)(deadline - jiffies)));
	store_still(store);
	store_drain(store);
	if (is_silent(store, lost, note)) {
		cbt_lost_remember(store->lost, &store->super);
		store->lost = NULL;
	}
	store_free(store);
}

int cbt_store_module_init(void)
{
	/* One each: who hangs with a store keeps nobody from noticing that. */
	workers = cbt_queue_new("dm-cbt-store");
	watchers = cbt_queue_new("dm-cbt-store-watch");
	if (workers && watchers && !cbt_reader_init())
		return 0;
	cbt_store_module_exit();
	return -ENOMEM;
}

void cbt_store_module_exit(void)
{
	cbt_reader_exit();
	cbt_queue_free(&watchers);
	cbt_queue_free(&workers);
	cbt_lost_forget();
}
