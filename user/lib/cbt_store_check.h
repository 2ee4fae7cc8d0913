/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading all of a store: what a crash now would leave, and whether every block is sound. */
#ifndef FAILBACK_LIB_CBT_STORE_CHECK_H
#define FAILBACK_LIB_CBT_STORE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/cbt_store.h"

/** struct cbt_store_slot - a place of the superblock. */
struct cbt_store_slot {
	int error; /* of cbt_super_decode(), or of reading it; 0: valid */
	const char *why;
	uint64_t sequence; /* when valid */
};

struct cbt_store_report {
	struct cbt_super super; /* the one that counts */
	struct cbt_store_slot slots[CBT_DISK_SUPER_SLOTS];
	uint64_t device_blocks;
	bool too_small; /* the device is smaller than the store; nothing more was read */

	/* the maps, as a crash now would leave them */
	struct cbt_map dirty; /* blocks */
	struct cbt_map suspect; /* regions */
	uint64_t nr_dirty;
	uint64_t nr_suspect_regions;

	uint64_t nr_damaged; /* blocks of map and index */
	uint64_t nr_records; /* live */
	uint64_t nr_log_live; /* blocks of the log */
	uint64_t nr_log_torn; /* not blank, and not readable: a write that did not end */
};

/** cbt_store_check - 0 when it could be read, whatever it says. Free the report in any case. */
int cbt_store_check(struct cbt_store *store, struct cbt_store_report *ret, struct failure *f);
void cbt_store_report_free(struct cbt_store_report *report);

/**
 * cbt_store_problem - a sentence about the worst that is wrong, NULL when nothing is.
 *
 * What a power cut may leave is not wrong: one of the two superblocks that is not valid, blocks of
 * the log that are torn.
 */
const char *cbt_store_problem(const struct cbt_store_report *report);

#endif
