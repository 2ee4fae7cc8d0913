/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a tracker counts, on standard output. As JSON:
 *
 *   { "schema": 1, "counts": { "cold_misses": 5, ... },
 *     "histograms": { "cold_wait": { "count": 5, "sum": 9, "max": 4, "buckets": [0, 1, 4] }, ... } }
 *
 * with the names of enum cbt_stats_attr; times in nanoseconds, bucket i counts values from 2^i,
 * and those after the last one that is not 0 are left out.
 */
#ifndef FAILBACK_LIB_STATS_PRINT_H
#define FAILBACK_LIB_STATS_PRINT_H

#include <stdbool.h>

#include "lib/nl_control.h"

/** histogram_count, histogram_quantile - the latter as the end of the bucket that it is in. */
uint64_t histogram_count(const struct cbt_histogram *h);
uint64_t histogram_quantile(const struct cbt_histogram *h, unsigned int percent);

/** stats_count_name - of struct tracker_stats.counts[@i], as in JSON. */
const char *stats_count_name(unsigned int i);

/** stats_is_counter - whether that only ever goes up, while the tracker lives. */
bool stats_is_counter(unsigned int i);

int stats_print(const struct tracker_stats *stats, bool json, struct failure *f);

#endif
