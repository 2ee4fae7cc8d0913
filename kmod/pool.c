// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers are made of single pages: a tracking block may be 1 MiB, and pages of that order are not
 * to be had without waiting. See pool.h for the rest.
 */
#include <linux/highmem.h>
#include <linux/slab.h>

#include "pool.h"

void cbt_pool_init(struct cbt_pool *pool, u32 block_bytes, u64 max_bytes)
{
	pool->block_bytes = block_bytes;
	pool->nr_pages = DIV_ROUND_UP(block_bytes, PAGE_SIZE);
	/* Two at least: one fills while the other one drains. */
	pool->nr_max = max_t(u64, 2, max_bytes / block_bytes);
	pool->nr = 0;
	pool->nr_free = 0;
	INIT_LIST_HEAD(&pool->free);
}

void cbt_buffer_free(const struct cbt_pool *pool, struct cbt_buffer *buffer)
{
	u32 i;

	if (!buffer)
		return;
	for (i = 0; i < pool->nr_pages && buffer->pages[i]; i++)
		__free_page(buffer->pages[i]);
	kfree(buffer);
}

struct cbt_buffer *cbt_buffer_new(const struct cbt_pool *pool, gfp_t gfp)
{
	struct cbt_buffer *buffer = kzalloc(struct_size(buffer, pages, pool->nr_pages), gfp);
	u32 i;

	if (!buffer)
		return NULL;
	for (i = 0; i < pool->nr_pages; i++) {
		buffer->pages[i] = alloc_page(gfp);
		if (!buffer->pages[i]) {
			cbt_buffer_free(pool, buffer);
			return NULL;
		}
	}
	return buffer;
}

void cbt_pool_add(struct cbt_pool *pool, struct cbt_buffer *buffer)
{
	pool->nr++;
	cbt_pool_put(pool, buffer);
}

struct cbt_buffer *cbt_pool_get(struct cbt_pool *pool)
{
	struct cbt_buffer *buffer = list_first_entry_or_null(&pool->free, struct cbt_buffer, link);

	if (buffer) {
		list_del(&buffer->link);
		pool->nr_free--;
	} else if (pool->nr < pool->nr_max) {
		buffer = cbt_buffer_new(pool, GFP_NOWAIT | __GFP_NOWARN);
		if (buffer)
			pool->nr++;
	}
	return buffer;
}

void cbt_pool_put(struct cbt_pool *pool, struct cbt_buffer *buffer)
{
	list_add(&buffer->link, &pool->free);
	pool->nr_free++;
}

void cbt_pool_detach(struct cbt_pool *pool, struct list_head *list)
{
	list_splice_init(&pool->free, list);
	pool->nr -= pool->nr_free;
	pool->nr_free = 0;
}

void cbt_buffers_free(const struct cbt_pool *pool, struct list_head *list)
{
	struct cbt_buffer *buffer, *next;

	list_for_each_entry_safe(buffer, next, list, link)
		cbt_buffer_free(pool, buffer);
	INIT_LIST_HEAD(list);
}

void cbt_buffer_add_to_bio(struct cbt_buffer *buffer, struct bio *bio, u32 bytes)
{
	u32 i, n;

	for (i = 0; bytes; i++, bytes -= n) {
		n = min_t(u32, bytes, PAGE_SIZE);
		__bio_add_page(bio, buffer->pages[i], n, 0);
	}
}

void cbt_buffer_zero_from(const struct cbt_pool *pool, struct cbt_buffer *buffer, u32 bytes)
{
	u32 i;

	for (i = bytes / PAGE_SIZE; i < pool->nr_pages; i++) {
		u32 from = i == bytes / PAGE_SIZE ? offset_in_page(bytes) : 0;

		memset(page_address(buffer->pages[i]) + from, 0, PAGE_SIZE - from);
	}
}

void cbt_buffer_read(const struct cbt_buffer *buffer, u32 offset, struct bio *bio)
{
	struct bvec_iter iter;
	struct bio_vec bv;

	bio_for_each_segment(bv, bio, iter) {
		char *to = bvec_kmap_local(&bv);
		u32 done, n;

		for (done = 0; done < bv.bv_len; done += n, offset += n) {
			n = min_t(u32, bv.bv_len - done, PAGE_SIZE - offset_in_page(offset));
			memcpy(to + done, page_address(buffer->pages[offset / PAGE_SIZE]) +
			       offset_in_page(offset), n);
		}
		kunmap_local(to);
		flush_dcache_page(bv.bv_page);
	}
}
