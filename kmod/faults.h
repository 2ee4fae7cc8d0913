/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Faults on purpose, so that tests can show that they would notice: CONFIG_DM_CBT_FAULTS, never
 * for use.
 */
#ifndef CBT_FAULTS_H
#define CBT_FAULTS_H

#include "map.h"

#ifdef CONFIG_DM_CBT_FAULTS

extern unsigned long long cbt_fault_drop_block;

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

static inline bool cbt_fault_mark(struct cbt_map *map, u64 first, u64 last,
				  struct cbt_spares *spares)
{
	return cbt_map_mark(map, first, last, spares);
}

#endif
#endif
