/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A bounded pool of RAM buffers, each of one tracking block, for the old contents of blocks that
 * are about to be overwritten.
 *
 * Buffers are allocated as they are needed, without waiting for memory, and kept for use again
 * until the pool is emptied. One that was reserved beforehand is always there, so that copying
 * goes on, one block after the other, when there is no memory at all.
 *
 * LOCK: none of its own; the caller's lock serialises everything but cbt_buffer_new().
 */
#ifndef CBT_POOL_H
#define CBT_POOL_H

#include <linux/bio.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/types.h>

/** enum cbt_buffer_state - of a buffer that is not free. */
enum cbt_buffer_state {
	CBT_BUFFER_READING,	/* the origin is being read into it */
	CBT_BUFFER_HELD,	/* has the data, but image reads of the origin overlap the block */
	CBT_BUFFER_READY,	/* serves the block; may go to the diff area */
	CBT_BUFFER_WRITING,	/* serves the block; on its way to the diff area */
	CBT_BUFFER_FORGOTTEN,	/* of no use any more but to readers that have begun */
};

/**
 * struct cbt_buffer - the old contents of one block.
 * @epoch: that it belongs to; 0 when the block was released meanwhile
 * @held: since when it is
 * @nr_readers: image reads that are being served from it
 */
struct cbt_buffer {
	struct list_head link;
	u64 block;
	u64 epoch;
	ktime_t held;
	enum cbt_buffer_state state;
	u32 nr_readers;
	struct page *pages[];
};

struct cbt_pool {
	u32 block_bytes;
	u32 nr_pages;		/* of a buffer */
	u32 nr_max;
	u32 nr;			/* buffers in use and free */
	u32 nr_free;
	struct list_head free;
};

/** cbt_pool_init - an empty pool of at most @max_bytes, and at least two buffers. */
void cbt_pool_init(struct cbt_pool *pool, u32 block_bytes, u64 max_bytes);

/** cbt_buffer_new - a buffer to reserve with cbt_pool_add(); may sleep. NULL: no memory. */
struct cbt_buffer *cbt_buffer_new(const struct cbt_pool *pool, gfp_t gfp);
void cbt_buffer_free(const struct cbt_pool *pool, struct cbt_buffer *buffer);

/** cbt_pool_add - give the pool a buffer that was made outside of it. */
void cbt_pool_add(struct cbt_pool *pool, struct cbt_buffer *buffer);

/** cbt_pool_get - a buffer, NULL when none can be had now. Does not sleep. */
struct cbt_buffer *cbt_pool_get(struct cbt_pool *pool);

/** cbt_pool_put - it is free for use again. Context: any. */
void cbt_pool_put(struct cbt_pool *pool, struct cbt_buffer *buffer);

/** cbt_pool_detach - move all buffers that are free from the pool to @list. Context: any. */
void cbt_pool_detach(struct cbt_pool *pool, struct list_head *list);

/** cbt_buffers_free - free all of a list. */
void cbt_buffers_free(const struct cbt_pool *pool, struct list_head *list);

/** cbt_buffer_add_to_bio - as much of the buffer as @bytes says; room was made for it. */
void cbt_buffer_add_to_bio(struct cbt_buffer *buffer, struct bio *bio, u32 bytes);

/** cbt_buffer_zero_from - zero what lies behind the first @bytes. */
void cbt_buffer_zero_from(const struct cbt_pool *pool, struct cbt_buffer *buffer, u32 bytes);

/** cbt_buffer_read - fill all of a read bio with what stands from @offset on. */
void cbt_buffer_read(const struct cbt_buffer *buffer, u32 offset, struct bio *bio);

#endif
