/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Client of the netlink family dm_cbt (uapi/linux/dm-cbt.h); nl, nl_exchange and nl_decode are the
 * only files that know libnl.
 *
 * All calls are synchronous and need CAP_SYS_ADMIN. On failure they return a negative errno, leave
 * their outputs untouched and fill the failure with the kernel's own sentence where it gave one
 * (extended ack). A missing module is -ENOPROTOOPT with CODE_NOT_AVAILABLE and a sentence that says
 * to load dm-cbt. A handle belongs to one thread.
 */
#ifndef FAILBACK_LIB_NL_H
#define FAILBACK_LIB_NL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/dm-cbt.h>

#include "base/failure.h"
#include "base/uuid.h"

struct nl;

#define NL_REASON_LEN 159 /* of the kernel's sentences, which are shorter */

struct tracker_info {
	struct uuid uuid;
	char name[CBT_NAME_LEN + 1]; /* "" when the mapped device has none */
	dev_t dev;
	dev_t origin_dev;
	uint64_t generation;
	uint64_t epoch;
	uint64_t size_sectors;
	uint32_t block_sectors;
	uint32_t state; /* enum cbt_tracker_state */
	uint64_t dirty_active; /* blocks */
	bool has_frozen;
	uint64_t dirty_frozen; /* blocks; 0 unless has_frozen */
	uint64_t frozen_epoch;
	struct uuid frozen_uuid;
	bool has_base;
	struct uuid base_uuid;
	char broken[NL_REASON_LEN + 1]; /* why the frozen epoch can only be aborted; "": it can be committed */

	bool has_store; /* the rest is zero without */
	dev_t store_dev;
	uint32_t region_sectors;
	uint64_t suspect_active; /* regions */
	uint64_t suspect_frozen; /* 0 unless has_frozen */
	uint64_t diff_slots; /* blocks */
	uint64_t diff_used;
	char failure[NL_REASON_LEN + 1]; /* of the store; "" */
};

int nl_open(struct nl **ret, struct failure *f);
/**
 * nl_close_at - close *@nl, which may be NULL, and clear it. There is no nl_close(): libnl exports
 * that name.
 */
void nl_close_at(struct nl **nl);

/**
 * nl_tracker_get - @tracker is a mapped device's name or a tracker's UUID in text; a well-formed
 * UUID is taken as such.
 */
int nl_tracker_get(struct nl *nl, const char *tracker, struct tracker_info *ret, struct failure *f);

/** nl_tracker_list - all trackers; *@ret is malloc()ed, *@ret_nr may be 0. */
int nl_tracker_list(struct nl *nl, struct tracker_info **ret, size_t *ret_nr, struct failure *f);

/**
 * nl_freeze, nl_commit, nl_abort - one instant over @nr trackers; semantics and errors as in the
 * uapi header.
 * @ret: NULL, or room for @nr states in the order of @trackers
 */
int nl_freeze(struct nl *nl, const char *const *trackers, size_t nr, const struct uuid *epoch,
	      struct tracker_info *ret, struct failure *f);
int nl_commit(struct nl *nl, const char *const *trackers, size_t nr, const struct uuid *epoch,
	      struct tracker_info *ret, struct failure *f);
int nl_abort(struct nl *nl, const char *const *trackers, size_t nr, const struct uuid *epoch,
	     struct tracker_info *ret, struct failure *f);

/**
 * nl_range_fn - called for each run of dirty blocks, ascending, adjacent runs already joined across
 * chunks. A negative errno ends the dump and is returned by nl_map_get(), with a failure that says
 * no more than the errno.
 */
typedef int (*nl_range_fn)(void *context, uint64_t first_block, uint64_t nr_blocks);

/**
 * nl_map_get - read a map.
 * @which: enum cbt_map_which
 * @epoch: NULL, or the frozen epoch that the caller means
 * @start: first block of interest, 0 for all
 * @ret: NULL, or identity as of the dump: uuid, generation, epoch, size_sectors, block_sectors,
 * region_sectors; the rest zero
 *
 * -ESTALE: the tracker's epochs changed meanwhile; what was reported is worth nothing.
 */
int nl_map_get(struct nl *nl, const char *tracker, uint32_t which, const struct uuid *epoch,
	       uint64_t start, nl_range_fn fn, void *context, struct tracker_info *ret,
	       struct failure *f);

/**
 * struct nl_map_want - the same with the regions in which blocks are dirty only by guess, after a
 * crash.
 * @suspect_fn: NULL, or called for each run of such regions, before @fn is called at all
 */
struct nl_map_want {
	uint32_t which;
	const struct uuid *epoch;
	uint64_t start;
	nl_range_fn fn;
	nl_range_fn suspect_fn;
	void *context;
};

int nl_map_read(struct nl *nl, const char *tracker, const struct nl_map_want *want,
		struct tracker_info *ret, struct failure *f);

#endif
