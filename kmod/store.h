/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A tracker's store: what makes its maps survive a power cut. All I/O on metadata is here.
 *
 * Coverage is what on the store would make a block dirty again after a crash: a live map page or a
 * live log record (uapi/cbt-disk.h). The tracker marks a block only when its coverage is durable.
 *
 *	store.c		life, superblock, and what happens when the store fails
 *	log.c		the write-intent log: transactions that give coverage, and the hot set
 *	checkpoint.c	pages for what a half of the log covers, so that the half can be used again
 *
 * The log has two halves, used in turn under a sequence number. A transaction is one block of the
 * current half, written durably; it *holds* its half until the blocks that it covers are marked. A
 * checkpoint switches to the other half, and retires the old one when pages for everything that it
 * covered are durable.
 *
 * Nothing here waits for I/O but cbt_store_open(), cbt_store_close() and functions that say so.
 * Completions set a state and queue the store's work, or the client's.
 */
#ifndef CBT_STORE_H
#define CBT_STORE_H

#include <linux/bio.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "hot.h"
#include "layout.h"
#include "stats.h"

#define CBT_STORE_DEADLINE_MS	5000	/* I/O that takes longer has failed */
#define CBT_STORE_HOLD_MS	3000	/* `lost` must be known to somebody within, or writes go */
#define CBT_STORE_RETRY_MS	10000	/* a store that could not say that it is lost is tried again */
#define CBT_HOT_REGIONS		1024
#define CBT_CHECKPOINT_MS	30000	/* at most this old becomes what the log covers */
#define CBT_HEAT_AHEAD		4	/* regions that a sequential writer gets at once */

enum cbt_store_mode {
	CBT_STORE_RAM,			/* there is none: tracking in memory only */
	CBT_STORE_OPEN,
	CBT_STORE_FAILING,		/* coverage cannot be had; who needs it is held */
	CBT_STORE_LOST,			/* writes go without coverage */
};

struct cbt_store;
struct cbt_lost;

/**
 * struct cbt_store_client - what a store needs of its tracker.
 *
 * wake: something that a write may wait for has happened; any context.
 * failed: the mode changed to FAILING or LOST; from a worker, under no lock.
 * leaf_is_clean: no block of the leaf is dirty in any map.
 * capture: OR the dirty blocks of half a leaf (@number as in cbt_disk_bits) and its suspect regions
 *	into @block, in one view with the running epoch. Return: that epoch.
 * checkpointed: a checkpoint that began at @started ended, or the store failed during it: @error;
 *	from a worker, under no lock.
 * settle: return when what wake() began has ended; called from cbt_store_close().
 */
struct cbt_store_client {
	void (*wake)(struct cbt_store *store);
	void (*failed)(struct cbt_store *store);
	bool (*leaf_is_clean)(struct cbt_store *store, u64 leaf);
	u64 (*capture)(struct cbt_store *store, u64 number, struct cbt_disk_bits *block);
	void (*checkpointed)(struct cbt_store *store, u64 nr_leaves, ktime_t started, int error);
	void (*settle)(struct cbt_store *store);
};

enum cbt_io_state {
	CBT_IO_IDLE,
	CBT_IO_BUSY,
	CBT_IO_DONE,			/* the result was not looked at yet */
};

/** struct cbt_store_io - one I/O at a time on the store; its buffer is its own until it is done. */
struct cbt_store_io {
	struct cbt_store *store;
	void (*done)(struct cbt_store *store);
	void *buffer;
	u32 buffer_size;
	ktime_t started;		/* while BUSY */
	struct work_struct submit;
	u64 block;
	u32 nr;
	blk_opf_t opf;
	int state;			/* cbt_io_state; released by the completion */
	blk_status_t status;
	struct bio bio;
	struct bio_vec vec;
};

enum cbt_txn_state {
	CBT_TXN_IDLE,
	CBT_TXN_FILLING,
	CBT_TXN_WRITING,
};

/** struct cbt_txn - the transaction; there is one at a time, so what comes meanwhile is grouped. */
struct cbt_txn {
	int state;
	u64 sequence;			/* of the half that it holds */
	u64 epoch;
	u32 stamp;
	u32 nr_regions;			/* of its records */
	struct cbt_store_io io;
};

#define CBT_HISTORY 1024		/* cold misses that are remembered */

struct cbt_log {
	struct cbt_txn txn;		/* the client's worker only */
	u64 history[CBT_HISTORY];	/* regions + 1 that were missed; the client's worker only */
	struct cbt_hot hot;		/* LOCK: store.lock to change */

	/* LOCK: store.lock */
	u64 sequence;			/* the current half's */
	u64 epoch;			/* that records belong to */
	u64 position;			/* next block of the current half */
	u64 nr_regions;			/* region records in the current half */
	unsigned long *stale[2];	/* leaves that a half covers, a bit each */
	unsigned long since;		/* jiffies, of the first record in the current half */
};

enum cbt_checkpoint_phase {
	CBT_CHECKPOINT_IDLE,
	CBT_CHECKPOINT_GRACE,		/* until whoever saw a region hot has marked */
	CBT_CHECKPOINT_HELD,		/* until no transaction holds the old half */
	CBT_CHECKPOINT_PAGES,
	CBT_CHECKPOINT_FLUSH,
	CBT_CHECKPOINT_RETIRE,		/* the superblock is being written */
};

#define CBT_BATCHES		4
#define CBT_BATCH_LEAVES	4

struct cbt_checkpoint {
	int phase;			/* the store's work only, but for IDLE -> GRACE */
	bool wanted;			/* LOCK: store.lock */
	bool grace_over;
	u64 old;			/* the sequence that is being retired */
	ktime_t started;
	u64 nr_leaves;			/* whose pages were written */
	u64 next_leaf;
	u64 next_index;
	u64 ticket;
	u64 nr_done;			/* LOCK: store.lock */
	struct rcu_head rcu;
	struct cbt_store_io *batch;	/* CBT_BATCHES */
	ktime_t answered;		/* the last one of them, or the first was asked */
	struct cbt_store_io flush;
};

struct cbt_super_io {
	struct cbt_store_io io;
	struct cbt_store_io check;	/* reads back what was written at a second attempt */
	u64 wanted;			/* LOCK: store.lock; versions of store.super */
	u64 writing;
	u64 durable;
	u32 flags_writing;		/* CBT_DISK_..., of the superblock that is being written */
	u32 flags_durable;		/* of the one before */
	u32 nr_failures;		/* of the slot that is being written */
	bool dead;
};

struct cbt_store {
	struct block_device *bdev;
	const struct cbt_store_client *client;
	struct cbt_stats *stats;	/* the client's; none without a store */
	int mode;			/* cbt_store_mode */
	const char *failure;		/* a sentence, once it has failed */

	/* Fixed while open, but for a growth with nothing under way. */
	u32 region_shift;		/* blocks */
	u64 nr_leaves;			/* of the disk */

	spinlock_t lock;
	struct cbt_super super;		/* LOCK: lock; as it is to be written next */
	struct cbt_super_io super_io;
	struct cbt_log log;
	struct cbt_checkpoint checkpoint;

	struct workqueue_struct *submitters;	/* the client's */
	struct work_struct work;
	struct delayed_work watch;
	wait_queue_head_t wait;		/* for tickets, checkpoints and modes */
	atomic_t nr_in_flight;		/* I/O, until its completion has let go of the store */
	unsigned long failing_since;
	u64 lost_ticket;		/* of the note that it is lost; before, never saved */
	bool settled;			/* writes may have gone: failure means `lost` */
	struct cbt_lost *lost;	/* to remember it by, should it come to that */
	bool closing;
};

int cbt_store_module_init(void);
void cbt_store_module_exit(void);

/*--------------------------------------------------------------------------------------------------
 * Life
 */

/** cbt_store_init_ram - a store that is none. It needs no cbt_store_close(). */
void cbt_store_init_ram(struct cbt_store *store);

/** struct cbt_opening - what cbt_store_open() is told and what it finds. */
struct cbt_opening {
	u64 size_sectors;		/* of the origin */
	u32 block_sectors;		/* 0: whatever the store says */
	u32 hot_regions;
	struct cbt_stats *stats;	/* outlives the store */
	struct workqueue_struct *submitters;	/* this store's only, and outlives it */
	/* Called when the superblock is known, before the maps are read: make them. */
	int (*prepare)(struct cbt_store *store, struct cbt_opening *opening, const char **why);
	/* Called when the maps are read and the superblock is what it will be: take its epochs. */
	int (*found)(struct cbt_store *store, const char **why);
	/* Called for a store that was stopped in order: was the origin written since? */
	bool (*origin_changed)(struct cbt_store *store, u64 seed, u64 fingerprint);
	struct cbt_map *dirty;		/* set by prepare */
	struct cbt_map *suspect;

	/* result */
	bool broken;			/* continuity was: a new generation began, the maps are clean */
	u64 nr_records;
	u64 nr_damaged;
};

/**
 * cbt_store_open - read a store, bring what it says into the maps, and make it ready for writes.
 *
 * When it returns, pages hold everything, the log is empty, a frozen epoch has been aborted, and
 * the superblock says that the tracker runs. Waits for I/O, though not for a store that hangs, and
 * then what is under way is left behind: also after an error cbt_store_close() must follow, with 0s.
 * CRASH: as long as it may still be refused, the store says what it said of its last stop in order.
 * Return: 0, or an error and a sentence in @why; -ETIMEDOUT: it hangs when it is read.
 */
int cbt_store_open(struct cbt_store *store, struct block_device *bdev,
		   const struct cbt_store_client *client, struct cbt_opening *opening,
		   const char **why);

/**
 * cbt_store_close - the end, when no write is on its way.
 * @fingerprint: of the origin; with @seed 0 the store is left as after a crash
 * @note: ticket of what the store has to say from now on, else it is remembered as lost; 0: nothing
 *
 * Waits for I/O under way, however long it takes.
 */
void cbt_store_close(struct cbt_store *store, u64 seed, u64 fingerprint, u64 note);

/** cbt_store_is_idle - no I/O is under way, for which cbt_store_close() would wait. */
bool cbt_store_is_idle(struct cbt_store *store);

/** cbt_store_has_room - whether a disk of this size fits: 0, or -ENOSPC and a sentence. */
int cbt_store_has_room(const struct cbt_store *store, u64 size_sectors, const char **why);

/**
 * cbt_store_grow - the disk is larger now, which the store has room for; the client's maps are too.
 * @generation: that it begins
 *
 * Called with no write on its way. The client then marks the added blocks, touches their leaves and
 * waits for a checkpoint, notes the size, and only then lets writes go.
 */
void cbt_store_grow(struct cbt_store *store, u64 size_sectors, u64 generation);

/**
 * cbt_store_note_size - have the superblock say the new size and generation.
 *
 * CRASH: only when pages hold the added blocks: until then an attach must see that the disk grew.
 * Return: a ticket.
 */
u64 cbt_store_note_size(struct cbt_store *store, u64 size_sectors, u64 generation);

/*--------------------------------------------------------------------------------------------------
 * Superblock
 */

/**
 * cbt_store_save - have store->super written as it is now. Under store->lock.
 * Return: a ticket for cbt_store_is_saved(). Context: any but interrupts.
 */
u64 cbt_store_save(struct cbt_store *store);

/** cbt_store_flag - have the superblock say @flag (CBT_DISK_...) too. Return: a ticket. */
u64 cbt_store_flag(struct cbt_store *store, u32 flag);

/** cbt_store_is_saved - whether what the ticket stands for is durable. */
static inline bool cbt_store_is_saved(const struct cbt_store *store, u64 ticket)
{
	return READ_ONCE(store->super_io.durable) >= ticket;
}

/**
 * cbt_store_wait_saved - wait for it, at most until @deadline (jiffies).
 * Return: 0; -EINPROGRESS not yet; -EIO the store failed before.
 */
int cbt_store_wait_saved(struct cbt_store *store, u64 ticket, unsigned long deadline);

/*--------------------------------------------------------------------------------------------------
 * Failure
 */

/** cbt_store_fail - give the store up, for a reason. Context: process. */
void cbt_store_fail(struct cbt_store *store, const char *why);

/**
 * cbt_store_wait_lost - wait until a store that failed is lost, and nothing needs coverage any more.
 * Return: 0, or -EIO: it is not, after twice CBT_STORE_HOLD_MS.
 */
int cbt_store_wait_lost(struct cbt_store *store);

/**
 * cbt_store_tell_lost - a store that is lost and could not say so is tried once more.
 *
 * It is also tried every CBT_STORE_RETRY_MS, and when it is closed. Waits for I/O, at most until
 * @deadline (jiffies). Return: whether the store says so durably.
 */
bool cbt_store_tell_lost(struct cbt_store *store, unsigned long deadline);

/** cbt_store_ack_lost - somebody has noted durably that the tracker is lost: writes may go. */
void cbt_store_ack_lost(struct cbt_store *store);

/*--------------------------------------------------------------------------------------------------
 * Coverage; all but cbt_store_covers() for the client's one worker
 */

/** cbt_store_limits - whether coverage is needed at all. */
static inline bool cbt_store_limits(const struct cbt_store *store)
{
	int mode = READ_ONCE(store->mode);

	return mode == CBT_STORE_OPEN || mode == CBT_STORE_FAILING;
}

/**
 * cbt_store_covers - whether blocks may be marked without a transaction.
 *
 * The caller marks in the same RCU section, and in the epoch in which it asked.
 */
static inline bool cbt_store_covers(const struct cbt_store *store, u64 first, u64 last)
{
	u64 region;

	if (!cbt_store_limits(store))
		return true;
	for (region = first >> store->region_shift; region <= last >> store->region_shift; region++)
		if (!cbt_hot_test(&store->log.hot, region))
			return false;
	return true;
}

/**
 * cbt_log_cover - put blocks into the transaction, which begins when there is none.
 * @sequential: the block before @first is dirty
 *
 * Return: whether they are in. Otherwise the transaction is full or being written, the half is
 * full, or the store fails; the client is woken when that changes.
 */
bool cbt_log_cover(struct cbt_store *store, u64 first, u64 last, bool sequential);

/** cbt_log_commit - write the transaction, if there is one. The client is woken when it is done. */
void cbt_log_commit(struct cbt_store *store);

enum cbt_log_result {
	CBT_LOG_BUSY,			/* nothing to report */
	CBT_LOG_DURABLE,
	CBT_LOG_FAILED,			/* nothing is covered; the store has failed */
};

/** cbt_log_result - how the transaction ended; cbt_log_release() must follow both endings. */
enum cbt_log_result cbt_log_result(struct cbt_store *store);

/** cbt_log_epoch - the epoch for which the transaction's coverage counts. */
static inline u64 cbt_log_epoch(const struct cbt_store *store)
{
	return store->log.txn.epoch;
}

/** cbt_log_nr_records, cbt_log_started - of the transaction that cbt_log_result() tells of. */
static inline u32 cbt_log_nr_records(const struct cbt_store *store)
{
	const struct cbt_disk_log *block = store->log.txn.io.buffer;

	return le32_to_cpu(block->nr_records);
}

static inline ktime_t cbt_log_started(const struct cbt_store *store)
{
	return store->log.txn.io.started;
}

/** cbt_log_release - what the transaction covers is marked, or will be covered anew. */
void cbt_log_release(struct cbt_store *store, bool durable);

/**
 * cbt_log_new_epoch - records belong to @epoch from now on, and all regions are cold.
 * Called when no write is counted in.
 */
void cbt_log_new_epoch(struct cbt_store *store, u64 epoch);

/** cbt_log_touch_leaf - have a leaf's page written by the next checkpoint. Under store->lock. */
void cbt_log_touch_leaf(struct cbt_store *store, u64 leaf);

/*--------------------------------------------------------------------------------------------------
 * Checkpoint
 */

/** cbt_checkpoint_start - have one begin soon. Context: any but interrupts. */
void cbt_checkpoint_start(struct cbt_store *store);

/**
 * cbt_checkpoint_request - have one begin that sees all that was marked before.
 * Return: a ticket for cbt_checkpoint_is_done(). Context: any but interrupts.
 */
u64 cbt_checkpoint_request(struct cbt_store *store);

/** cbt_checkpoint_is_done - whether that one is over. */
static inline bool cbt_checkpoint_is_done(const struct cbt_store *store, u64 ticket)
{
	return READ_ONCE(store->checkpoint.nr_done) >= ticket;
}

/**
 * cbt_checkpoint_wait - begin one now and wait until it is over, at most until @deadline (jiffies).
 * Return: 0, -EINPROGRESS or -EIO.
 */
int cbt_checkpoint_wait(struct cbt_store *store, unsigned long deadline);

/*--------------------------------------------------------------------------------------------------
 * Between store.c, log.c and checkpoint.c
 */

int cbt_store_io_init(struct cbt_store_io *io, struct cbt_store *store, u32 buffer_size,
		      void (*done)(struct cbt_store *store));
void cbt_store_io_exit(struct cbt_store_io *io);
void cbt_store_submit(struct cbt_store_io *io, u64 block, u32 nr, blk_opf_t opf);

/** cbt_store_io_done - whether it is; forgets it then. */
bool cbt_store_io_done(struct cbt_store_io *io, blk_status_t *ret_status);

void cbt_store_kick(struct cbt_store *store);

int cbt_log_init(struct cbt_store *store, u32 hot_regions);
void cbt_log_exit(struct cbt_store *store);
bool cbt_log_holds(struct cbt_store *store, u64 sequence);
u64 cbt_log_switch(struct cbt_store *store);

int cbt_checkpoint_init(struct cbt_store *store);
void cbt_checkpoint_exit(struct cbt_store *store);
void cbt_checkpoint_step(struct cbt_store *store);

#endif
