/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copy-before-write: keeps the blocks of a frozen epoch readable as they were when it was frozen,
 * while the guest overwrites them (invariants I5 and I8).
 *
 * A block needs a copy when it is frozen and not *done*; done is what was copied, or released. A
 * write to such a block waits, uncounted, until its old contents are in a RAM buffer, and then
 * begins again from the start. The buffers drain to the diff area. Image reads get a block from
 * where it stands: the origin, a buffer, the diff area.
 *
 * What cannot be kept breaks the epoch, never the guest: from then on nothing is copied, every
 * image read fails, also those in flight, and the epoch can only be aborted.
 */
#ifndef CBT_COW_H
#define CBT_COW_H

#include <linux/blk_types.h>
#include <linux/list.h>
#include <linux/types.h>
#include <linux/uuid.h>

#include "map.h"

/** enum cbt_broken - why an epoch is broken. */
enum cbt_broken {
	CBT_BROKEN_NOT,
	CBT_BROKEN_OVERFLOW,		/* diff area full, or no progress for copy_stall_ms */
	CBT_BROKEN_COPY_READ,		/* the origin could not be read, or not in time */
	CBT_BROKEN_SECURE_ERASE,	/* the guest erased blocks that needed a copy */
	CBT_BROKEN_NO_MEMORY,
	CBT_BROKEN_DIFF_WRITE,		/* the diff area could not be written */
};

/** struct cbt_cow_wait - a write that waits for copies; embedded in the caller's per-write data. */
struct cbt_cow_wait {
	u64 first;			/* blocks, both inclusive; set by the caller for each wait */
	u64 last;
	u64 started;			/* copies of what lies before it are on their way */
	struct list_head link;
};

struct cbt_cow_ops {
	/*
	 * The writes on the list need no copy any more, or the epoch has ended or is broken: to be
	 * admitted again from the start. Called from a worker, or from cbt_cow_end() and
	 * cbt_cow_break().
	 */
	void (*resume)(void *owner, struct list_head *waits);
	/* The epoch is broken. Called once for it, from a worker. */
	void (*broken)(void *owner, const uuid_t *epoch, enum cbt_broken why);
	/* Three quarters of the diff area are in use. Called once for an epoch, from a worker. */
	void (*watermark)(void *owner, const uuid_t *epoch);
};

/**
 * struct cbt_cow_params
 * @origin: device below the tracker
 * @diff: device with the diff area, from sector @diff_start on @nr_slots blocks
 * @dev: the mapped device, to trace what happens
 */
struct cbt_cow_params {
	struct block_device *origin;
	struct block_device *diff;
	dev_t origin_dev;		/* their numbers, for who outlives them */
	dev_t diff_dev;
	sector_t diff_start;
	u32 nr_slots;			/* what bitmaps of the kernel count in */
	u64 size_sectors;
	u32 block_shift;		/* sectors per block, as a power of two */
	dev_t dev;
	const struct cbt_cow_ops *ops;
	void *owner;
};

struct cbt_cow_stats {
	u64 nr_copied;			/* blocks, since the tracker began */
	u64 nr_spilled;			/* of those, to the diff area */
	u32 buffers_used;		/* now */
	u32 buffers_max;
	unsigned long slots_used;	/* now */
	unsigned long slots_max;
};

struct cbt_cow;

int cbt_cow_init(void);
void cbt_cow_exit(void);

/*--------------------------------------------------------------------------------------------------
 * For the tracker
 */

/**
 * cbt_cow_new - with one reference, and idle: an idle one holds no buffers. May sleep.
 * Return: NULL when there is no memory.
 */
struct cbt_cow *cbt_cow_new(const struct cbt_cow_params *params);

/** cbt_cow_get, cbt_cow_put - the last put frees. put may sleep. */
struct cbt_cow *cbt_cow_get(struct cbt_cow *cow);
void cbt_cow_put(struct cbt_cow *cow);

/**
 * cbt_cow_stop - end what is frozen and wait until nothing of the cow's own is in flight on origin
 * and diff area. No write waits any more; image reads fail from now on. May sleep. NULL is fine.
 */
void cbt_cow_stop(struct cbt_cow *cow);

/**
 * cbt_cow_prepare - have in hand what an epoch needs. May sleep. NULL is fine, here and below.
 * Return: 0, or -ENOMEM with nothing changed.
 * cbt_cow_cancel - the epoch was not begun.
 */
int cbt_cow_prepare(struct cbt_cow *cow);
void cbt_cow_cancel(struct cbt_cow *cow);

/** cbt_cow_grow - the disk has grown. No epoch is frozen, and none is begun meanwhile. */
void cbt_cow_grow(struct cbt_cow *cow, u64 size_sectors);

/**
 * cbt_cow_begin - from now on keep what is dirty in @frozen.
 * @frozen: stays as it is until cbt_cow_end() and a grace period
 * @epoch: its number, not 0, never used before
 * @uuid: by which others know it
 *
 * To be called behind the drained gate, after cbt_cow_prepare(). Does not sleep.
 */
void cbt_cow_begin(struct cbt_cow *cow, const struct cbt_map *frozen, u64 epoch,
		   const uuid_t *uuid);

/**
 * cbt_cow_end - the epoch ends: its image is no more, nothing needs a copy.
 *
 * Only after a grace period may the frozen map be changed: a write may still be looking at it.
 * What is in flight goes on and is dropped when it is done. Does not sleep.
 */
void cbt_cow_end(struct cbt_cow *cow);

/**
 * cbt_cow_blocks - whether a block from @first to @last needs a copy.
 *
 * To be asked after the write was counted in. While it is counted in, the answer no stays true.
 * Context: any; lock-free.
 */
bool cbt_cow_blocks(struct cbt_cow *cow, u64 first, u64 last);

/** cbt_cow_wait - let a write wait for the copies that it needs; it must not be counted in. */
void cbt_cow_wait(struct cbt_cow *cow, struct cbt_cow_wait *wait);

/** cbt_cow_break - break the epoch, if one is frozen. Context: process; does not sleep. */
void cbt_cow_break(struct cbt_cow *cow, enum cbt_broken why);

/** cbt_cow_broken - why the frozen epoch is broken; CBT_BROKEN_NOT also when none is frozen. */
enum cbt_broken cbt_cow_broken(struct cbt_cow *cow);

/** cbt_broken_text - a sentence, NULL for CBT_BROKEN_NOT. */
const char *cbt_broken_text(enum cbt_broken why);

/**
 * cbt_cow_release - blocks @first to @last of the frozen epoch will not be read any more.
 *
 * They need no copy from now on, and their copies are dropped. Image reads of them fail, also
 * those in flight. May sleep.
 *
 * Return: 0, also when no epoch is frozen; -ENOMEM: some of the range may be released; repeat it.
 */
int cbt_cow_release(struct cbt_cow *cow, u64 first, u64 last);

void cbt_cow_stats(struct cbt_cow *cow, struct cbt_cow_stats *stats);

/*--------------------------------------------------------------------------------------------------
 * For the image
 */

enum cbt_cow_source {
	CBT_SOURCE_NONE,		/* not begun */
	CBT_SOURCE_ORIGIN,
	CBT_SOURCE_BUFFER,
	CBT_SOURCE_DIFF,
};

struct cbt_buffer;

/**
 * struct cbt_cow_read - a read of the image; embedded in the caller's per-I/O data.
 * @epoch, @first, @last: the epoch's number and the blocks, both inclusive, set by the caller
 * @source: where the blocks are to be read from
 * @slot: of the diff area, with CBT_SOURCE_DIFF: of @first; the others follow
 */
struct cbt_cow_read {
	u64 epoch;
	u64 first;
	u64 last;
	enum cbt_cow_source source;
	unsigned long slot;
	struct cbt_buffer *buffer;
	u64 nr_releases;
	struct list_head link;
};

const struct cbt_cow_params *cbt_cow_params(const struct cbt_cow *cow);

/** cbt_cow_state_text - of an epoch: "valid", "broken", or "ended". */
const char *cbt_cow_state_text(struct cbt_cow *cow, u64 epoch);

/**
 * cbt_cow_read_begin - find where blocks are to be read from, and keep them there meanwhile.
 *
 * Shrinks @read->last to what one source has. With CBT_SOURCE_BUFFER that is one block, to be read
 * with cbt_cow_read_buffer(). cbt_cow_read_end() must follow when the data is there. Context: any;
 * does not sleep.
 *
 * Return: false, with nothing held, when the epoch is not the frozen one or is broken, or the
 * first block is not part of it or was released.
 */
bool cbt_cow_read_begin(struct cbt_cow *cow, struct cbt_cow_read *read);

/** cbt_cow_read_buffer - fill @bio, which lies within the block that was begun. */
void cbt_cow_read_buffer(struct cbt_cow *cow, const struct cbt_cow_read *read, struct bio *bio);

/**
 * cbt_cow_read_end - the read is done. Context: any, also interrupts.
 * Return: whether what was read is what was frozen.
 */
bool cbt_cow_read_end(struct cbt_cow *cow, struct cbt_cow_read *read);

#endif
