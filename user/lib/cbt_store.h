/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tracker's store (uapi/cbt-disk.h) in user space, as a device or a regular file: open, read,
 * write, flush. What its bytes mean is kmod/layout.h's.
 */
#ifndef FAILBACK_LIB_CBT_STORE_H
#define FAILBACK_LIB_CBT_STORE_H

#include <stdint.h>

#include "base/cleanup.h"
#include "base/failure.h"
#include "layout.h"

struct cbt_store {
	const char *path; /* the caller's */
	int fd; /* -1: not open */
	uint64_t nr_blocks; /* of CBT_DISK_BLOCK bytes */
};

#define CBT_STORE_CLOSED { .fd = -1 }

enum cbt_store_use {
	CBT_STORE_LOOK, /* read only; it may be in use, and what is read is of no one instant */
	CBT_STORE_CHECK, /* read only; nobody else may use it */
	CBT_STORE_FORMAT, /* written, through the page cache; nobody else may use it */
	CBT_STORE_CHANGE, /* read and written as the module does; nobody else may use it */
};

/** cbt_store_open - CODE_IN_USE names who uses it. */
int cbt_store_open(struct cbt_store *ret, const char *path, enum cbt_store_use use,
		   struct failure *f);
void cbt_store_close(struct cbt_store *store);

#define cleanup_cbt_store _cleanup_(cbt_store_close)

/** cbt_store_buffer - for @nr blocks, as reading past the page cache wants it; NULL: no memory. */
void *cbt_store_buffer(uint32_t nr);

/** cbt_store_read - a cbt_read_fn whose context is the store. */
int cbt_store_read(void *store, u64 start, u32 nr, void *buffer);

/** cbt_store_write, cbt_store_zero, cbt_store_flush - 0 or -errno. */
int cbt_store_write(struct cbt_store *store, uint64_t start, const void *block);
int cbt_store_zero(struct cbt_store *store, uint64_t start, uint64_t nr);
int cbt_store_flush(struct cbt_store *store);

/**
 * cbt_store_super - the superblock that counts.
 * Returns -ENODATA with CODE_INVALID_STATE when there is none at all.
 */
int cbt_store_super(struct cbt_store *store, struct cbt_super *ret, struct failure *f);

#endif
