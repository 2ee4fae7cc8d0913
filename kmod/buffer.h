/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Buffers that are read into, of pages from anywhere: who may not wait for I/O gets no larger piece of memory once
 * that is in fragments.
 */
#ifndef CBT_BUFFER_H
#define CBT_BUFFER_H

#include <linux/bio.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#define CBT_BUFFER_VECS(size) DIV_ROUND_UP(size, PAGE_SIZE)

/* @buffer is of vmalloc(), and begins with a page; @bio has CBT_BUFFER_VECS(size). */
static inline void cbt_bio_add_buffer(struct bio *bio, void *buffer, u32 size)
{
	u32 at;

	for (at = 0; at < size; at += PAGE_SIZE)
		__bio_add_page(bio, vmalloc_to_page(buffer + at), min_t(u32, size - at, PAGE_SIZE), 0);
}

/* Before the CPU looks at what was read. */
static inline void cbt_buffer_was_read(void *buffer, u32 size)
{
	invalidate_kernel_vmap_range(buffer, size);
}

#endif
