/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Faults on purpose, so that tests can show that they would notice: CONFIG_DM_CBT_FAULTS, never
 * for use.
 */
#ifndef CBT_FAULTS_H
#define CBT_FAULTS_H

#include <linux/blk_types.h>

#include "map.h"

/* Each flush and FUA that a crash may show the need of. */
enum cbt_fault_flush {
	CBT_FAULT_LOG_FUA = 1,
	CBT_FAULT_PAGES_FLUSH = 2,
	CBT_FAULT_SUPER_FUA = 4,
	CBT_FAULT_ORIGIN_FLUSH = 8,
	CBT_FAULT_STOP_FLUSH = 16,
};

#ifdef CONFIG_DM_CBT_FAULTS

extern unsigned long long cbt_fault_drop_block;
extern unsigned int cbt_fault_skip_flush;

static inline bool cbt_fault_skips(enum cbt_fault_flush which)
{
	return READ_ONCE(cbt_fault_skip_flush) & which;
}

/* Marks all of the range but the one block whose bit is to be lost. */
static inline bool cbt_fault_mark(struct cbt_map *map, u64 first, u64 last,
				  struct cbt_spares *spares)
{
	u64 drop = READ_ONCE(cbt_fault_drop_block);

	if (drop < first || drop > last)
		return cbt_map_mark(map, first, last, spares);
	if (first < drop && !cbt_map_mark(map, first, drop - 1, spares))
		return false;
	return drop == last || cbt_map_mark(map, drop + 1, last, spares);
}

#else

static inline bool cbt_fault_skips(enum cbt_fault_flush which)
{
	return false;
}

static inline bool cbt_fault_mark(struct cbt_map *map, u64 first, u64 last,
				  struct cbt_spares *spares)
{
	return cbt_map_mark(map, first, last, spares);
}

#endif

static inline blk_opf_t cbt_fault_fua(enum cbt_fault_flush which)
{
	return cbt_fault_skips(which) ? 0 : REQ_FUA;
}

static inline blk_opf_t cbt_fault_flush(enum cbt_fault_flush which)
{
	return cbt_fault_skips(which) ? 0 : REQ_PREFLUSH;
}

#endif
