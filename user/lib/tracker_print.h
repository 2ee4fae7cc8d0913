/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trackers and sums of their maps as tables for people, on standard output. For programs, see
 * tracker_json.h.
 */
#ifndef FAILBACK_LIB_TRACKER_PRINT_H
#define FAILBACK_LIB_TRACKER_PRINT_H

#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"
#include "lib/nl.h"

/** tracker_print_list - one line each, under a line of titles. */
int tracker_print_list(const struct tracker_info *infos, size_t nr, struct failure *f);

/** tracker_print - all that is known about one, a line each. */
int tracker_print(const struct tracker_info *info, struct failure *f);

/** tracker_print_totals - the sums over @nr_ranges runs of dirty blocks of @info's disk. */
int tracker_print_totals(const struct tracker_info *info, uint64_t nr_ranges, uint64_t nr_blocks,
			 uint64_t bytes, struct failure *f);

#endif
