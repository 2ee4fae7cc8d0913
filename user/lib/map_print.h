/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A map on standard output while it is read: any number of extents in constant memory.
 *
 *   people, scripts   a line "START LENGTH" for each extent (in bytes, what the send worker
 *                     takes), or a table of sums
 *   programs          {"schema":1,"tracker":{...},"which":"both","start":0,"unit":"blocks",
 *                     "extents":[[0,5],...],"ranges":1,"blocks":5,"bytes":20480}; with totals
 *                     neither unit nor extents
 *
 * Nothing is printed before the first extent. When the map cannot be read to its end,
 * map_print_end() is not called and the end of the object is missing: a part of a map must not pass
 * for a map.
 */
#ifndef FAILBACK_LIB_MAP_PRINT_H
#define FAILBACK_LIB_MAP_PRINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "lib/nl.h"

struct map_print {
	bool json;
	bool totals; /* the sums only */
	bool in_bytes; /* extents; else in blocks */
	uint32_t which; /* enum cbt_map_which */
	uint64_t start; /* block */
	struct tracker_info info; /* full state */

	/* sums so far, from 0 */
	uint64_t nr_ranges;
	uint64_t nr_blocks;
	uint64_t nr_bytes;
};

/** map_print_range - an nl_range_fn whose context is the map_print. */
int map_print_range(void *context, uint64_t first_block, uint64_t nr_blocks);

/** map_print_end - the rest, when the whole map was read. */
int map_print_end(const struct map_print *m, struct failure *f);

#endif
