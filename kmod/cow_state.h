/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of copy-before-write share: kmod/cow.c (epochs, and what the tracker calls),
 * cow_copy.c (origin to buffers), cow_drain.c (buffers to the diff area), cow_image.c (reads of the
 * image), cow_io.c (their bios). The design stands at the top of cow.c. Nobody else includes this.
 */
#ifndef CBT_COW_STATE_H
#define CBT_COW_STATE_H

#include <linux/bio.h>
#include <linux/bitmap.h>
#include <linux/kref.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "cow.h"
#include "gather.h"
#include "pool.h"
#include "queue.h"

/* What is kept of a frozen epoch. */
struct cow_epoch {
	u64 number;
	uuid_t uuid;
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
	struct list_head reading;	/* struct cow_io in flight, the oldest first */
	struct list_head copied;	/* the same: done, to be seen to */
	struct list_head writing;
	struct list_head written;
	u32 nr_copying;			/* struct cow_io in flight, or not yet seen to */
	u32 nr_writing;
	u32 nr_ready;
	bool starved;			/* a write waits for room in the pool */
	bool draining;
	unsigned long progress;		/* jiffies */
	ktime_t newest;			/* when the copy was begun that is the youngest to have ended */
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
	ktime_t started;		/* of reads */
	struct bio bio;			/* last: its vectors follow */
};

/* Where copies and drains are made; of cow.c. */
extern struct workqueue_struct *cbt_copy_queue;
extern struct workqueue_struct *cbt_drain_queue;

/* Bytes of a block on the origin: the last one may be shorter. */
static inline u32 block_bytes(const struct cbt_cow *cow, u64 block)
{
	u64 start = block << cow->params.block_shift;

	return min(cow->params.size_sectors - start, 1ULL << cow->params.block_shift) << SECTOR_SHIFT;
}

static inline bool needs_copy(const struct cow_epoch *e, u64 block)
{
	return cbt_map_test(e->frozen, block) && !cbt_map_test(&e->done, block);
}

/*--------------------------------------------------------------------------------------------------
 * All that follows is for callers under the lock
 */

/* Whether a buffer that was in flight has been overtaken by a release or by the epoch's end. */
static inline bool is_stale(const struct cbt_cow *cow, const struct cbt_buffer *buffer)
{
	return !cow->epoch || buffer->epoch != cow->epoch->number;
}

/* The copy of a block, or NULL when the origin has it. */
static inline void *copy_of(struct cow_epoch *e, u64 block)
{
	void *entry = xa_load(&e->index, block);
	const struct cbt_buffer *buffer = entry;

	if (entry && !xa_is_value(entry) && buffer->state == CBT_BUFFER_READING)
		return NULL;
	return entry;
}

static inline void slots_mark(struct cow_epoch *e, unsigned long slot, u32 nr)
{
	bitmap_set(e->slots, slot, nr);
	e->nr_slots_free -= nr;
}

static inline void slots_free(struct cow_epoch *e, unsigned long slot, u32 nr)
{
	bitmap_clear(e->slots, slot, nr);
	e->nr_slots_free += nr;
}

/* False when a page is needed and none is at hand: a leaf of `done` must never become all ones. */
static inline bool mark_done(struct cow_epoch *e, u64 first, u64 last, struct cbt_spares *spares)
{
	if (cbt_map_mark(&e->done, first, last, NULL))
		return true;
	if (!spares->leaf[0] && !spares->leaf[1])
		return false;
	return cbt_map_mark(&e->done, first, last, spares);
}

static inline u32 io_buffers_max(const struct cbt_cow *cow)
{
	return max_t(u32, 1, BIO_MAX_VECS / cow->pool.nr_pages);
}

static inline void cow_wake_copy(struct cbt_cow *cow)
{
	queue_work(cbt_copy_queue, &cow->copy_work);
}

static inline void cow_wake_drain(struct cbt_cow *cow)
{
	queue_work(cbt_drain_queue, &cow->drain_work);
}

/**
 * cbt_cow_break_epoch - from now on no write waits. The caller gives @resume, to which those that
 * did were added, to cbt_cow_resume() when it has left the lock.
 */
void cbt_cow_break_epoch(struct cbt_cow *cow, enum cbt_broken why, struct list_head *resume);

/** cbt_cow_buffer_drop - of a buffer on no list that is not needed any more. */
void cbt_cow_buffer_drop(struct cbt_cow *cow, struct cbt_buffer *buffer);

/** cbt_cow_buffer_recycle - the same, of a buffer that nobody reads. */
void cbt_cow_buffer_recycle(struct cbt_cow *cow, struct cbt_buffer *buffer);

/**
 * cbt_cow_io_new - room for @nr_buffers buffers, from the origin or, with @write, to the diff area.
 * When it ends it is on the list `copied` or `written`, and the work of that list runs.
 * Return: NULL: there are enough in flight, and each that ends runs the work again.
 */
struct cow_io *cbt_cow_io_new(struct cbt_cow *cow, u32 nr_buffers, bool write);

/*--------------------------------------------------------------------------------------------------
 * Outside of the lock
 */

void cbt_cow_resume(struct cbt_cow *cow, struct list_head *resume);
void cbt_cow_bios_submit(struct bio_list *bios);

/* The works; one item each, which never runs twice at a time. */
void cbt_cow_copy_step(struct work_struct *work);
void cbt_cow_drain_step(struct work_struct *work);

#endif
