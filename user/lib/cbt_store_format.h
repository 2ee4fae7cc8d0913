/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making a store: how large its parts are, and writing it. */
#ifndef FAILBACK_LIB_CBT_STORE_FORMAT_H
#define FAILBACK_LIB_CBT_STORE_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/cbt_store.h"

/** struct cbt_store_sizes - as wanted, in bytes; 0: the default. */
struct cbt_store_sizes {
	uint64_t block;
	uint64_t region;
	uint64_t log; /* both halves */
	uint64_t capacity; /* that the origin may grow to */
};

/** struct cbt_store_plan - in bytes. */
struct cbt_store_plan {
	struct cbt_geometry geo; /* of a store without a diff area */
	uint64_t disk;
	uint64_t log;
	uint64_t map; /* with its index */
	uint64_t least; /* a store without a diff area */
	uint64_t diff; /* recommended: a twentieth of the disk, at least 64 MiB, at most all of it */
	uint64_t total;
};

/** cbt_store_plan - for a disk of @disk_bytes. CODE_INVALID_PARAMETER where a size is wrong. */
int cbt_store_plan(uint64_t disk_bytes, const struct cbt_store_sizes *sizes,
		   struct cbt_store_plan *ret, struct failure *f);

/** cbt_store_disk_bytes - the size of a disk or regular file. */
int cbt_store_disk_bytes(const char *path, uint64_t *ret, struct failure *f);

/**
 * cbt_store_format - make @store a new store for @origin: a new UUID, generation 1, epoch 1, clean.
 * @force: even if the store holds something; not when it is in use
 *
 * A store that it is interrupted on is no store. CODE_IN_USE: it is in use, or holds a file system
 * or another store; CODE_INVALID_PARAMETER: too small, or part of the origin.
 */
int cbt_store_format(const char *origin, const char *store, const struct cbt_store_sizes *sizes,
		     bool force, struct cbt_super *ret, struct failure *f);

#endif
