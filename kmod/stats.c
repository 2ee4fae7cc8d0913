// SPDX-License-Identifier: GPL-2.0-only
#include <linux/log2.h>
#include <linux/minmax.h>

#include "stats.h"

static void raise_max(atomic64_t *max, s64 value)
{
	s64 old = atomic64_read(max);

	while (old < value && !atomic64_try_cmpxchg(max, &old, value))
		;
}

void cbt_stats_record(struct cbt_stats *stats, enum cbt_stats_attr which, u64 value)
{
	struct cbt_stats_histogram *h = &stats->histogram[which - CBT_STATS_A_FIRST_HISTOGRAM];
	u32 bucket = value ? min_t(u32, ilog2(value), CBT_HISTOGRAM_BUCKETS - 1) : 0;

	atomic64_inc(&h->bucket[bucket]);
	atomic64_add(value, &h->sum);
	raise_max(&h->max, value);
}

void cbt_stats_read(const struct cbt_stats *stats, enum cbt_stats_attr which,
		    struct cbt_histogram *ret)
{
	const struct cbt_stats_histogram *h =
		&stats->histogram[which - CBT_STATS_A_FIRST_HISTOGRAM];
	u32 i;

	ret->sum = atomic64_read(&h->sum);
	ret->max = atomic64_read(&h->max);
	for (i = 0; i < CBT_HISTOGRAM_BUCKETS; i++)
		ret->bucket[i] = atomic64_read(&h->bucket[i]);
}
