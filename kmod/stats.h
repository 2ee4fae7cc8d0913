/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a tracker counts, for STATS_GET (enum cbt_stats_attr of uapi/linux/dm-cbt.h).
 *
 * Counters, gauges and histograms are plain atomics, taken on slow paths only: a write whose blocks
 * are dirty already, or a read, touches none. A reader sees each number whole, but not all of them
 * at one instant. Everything may be called from any context, also interrupts, and does not sleep.
 */
#ifndef CBT_STATS_H
#define CBT_STATS_H

#include <linux/atomic.h>
#include <linux/dm-cbt.h>
#include <linux/ktime.h>

#define CBT_NR_COUNTS		(CBT_STATS_A_LAST_COUNT - CBT_STATS_A_FIRST_COUNT + 1)
#define CBT_NR_HISTOGRAMS	(CBT_STATS_A_LAST_HISTOGRAM - CBT_STATS_A_FIRST_HISTOGRAM + 1)

struct cbt_stats_histogram {
	atomic64_t sum;
	atomic64_t max;
	atomic64_t bucket[CBT_HISTOGRAM_BUCKETS];
};

/** struct cbt_stats - embedded in a tracker; zeroed memory is a valid beginning. */
struct cbt_stats {
	atomic64_t count[CBT_NR_COUNTS];
	struct cbt_stats_histogram histogram[CBT_NR_HISTOGRAMS];
};

/** cbt_stats_add - to a counter, or to a gauge, where @n may be negative. */
static inline void cbt_stats_add(struct cbt_stats *stats, enum cbt_stats_attr which, s64 n)
{
	atomic64_add(n, &stats->count[which - CBT_STATS_A_FIRST_COUNT]);
}

static inline void cbt_stats_inc(struct cbt_stats *stats, enum cbt_stats_attr which)
{
	cbt_stats_add(stats, which, 1);
}

static inline u64 cbt_stats_count(const struct cbt_stats *stats, enum cbt_stats_attr which)
{
	return atomic64_read(&stats->count[which - CBT_STATS_A_FIRST_COUNT]);
}

/** cbt_stats_record - one more value of a histogram. */
void cbt_stats_record(struct cbt_stats *stats, enum cbt_stats_attr which, u64 value);

/** cbt_stats_record_since - the time since @start, a ktime_get(), in a histogram of times. */
static inline void cbt_stats_record_since(struct cbt_stats *stats, enum cbt_stats_attr which,
					  ktime_t start)
{
	cbt_stats_record(stats, which, ktime_to_ns(ktime_sub(ktime_get(), start)));
}

/** cbt_stats_read - a histogram in the form of the netlink attribute. */
void cbt_stats_read(const struct cbt_stats *stats, enum cbt_stats_attr which,
		    struct cbt_histogram *ret);

#endif
