// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats_print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "lib/json.h"
#include "lib/output.h"
#include "lib/table.h"

#define NUMBER_LEN 32

#define COUNT(name, NAME) [CBT_STATS_A_##NAME - CBT_STATS_A_FIRST_COUNT] = name
static const char *const count_names[NL_NR_COUNTS] = {
	COUNT("queued_writes", QUEUED_WRITES),
	COUNT("cold_misses", COLD_MISSES),
	COUNT("gate_waits", GATE_WAITS),
	COUNT("copy_waits", COPY_WAITS),
	COUNT("store_writes", STORE_WRITES),
	COUNT("store_flushes", STORE_FLUSHES),
	COUNT("store_bytes", STORE_BYTES),
	COUNT("store_errors", STORE_ERRORS),
	COUNT("log_blocks", LOG_BLOCKS),
	COUNT("region_records", REGION_RECORDS),
	COUNT("range_records", RANGE_RECORDS),
	COUNT("checkpoints", CHECKPOINTS),
	COUNT("checkpoint_leaves", CHECKPOINT_LEAVES),
	COUNT("freezes", FREEZES),
	COUNT("commits", COMMITS),
	COUNT("aborts", ABORTS),
	COUNT("broken_epochs", BROKEN_EPOCHS),
	COUNT("copied_blocks", COPIED_BLOCKS),
	COUNT("copied_bytes", COPIED_BYTES),
	COUNT("spilled_bytes", SPILLED_BYTES),
	COUNT("released_blocks", RELEASED_BLOCKS),
	COUNT("hot_regions", HOT_REGIONS),
	COUNT("pool_bytes", POOL_BYTES),
	COUNT("waiting_writes", WAITING_WRITES),
};

#define HISTOGRAM(name, NAME) [CBT_STATS_A_##NAME - CBT_STATS_A_FIRST_HISTOGRAM] = name
static const char *const histogram_names[NL_NR_HISTOGRAMS] = {
	HISTOGRAM("cold_wait", COLD_WAIT),	       HISTOGRAM("copy_wait", COPY_WAIT),
	HISTOGRAM("gate_wait", GATE_WAIT),	       HISTOGRAM("group_size", GROUP_SIZE),
	HISTOGRAM("store_wait", STORE_WAIT),	       HISTOGRAM("freeze_time", FREEZE_TIME),
	HISTOGRAM("checkpoint_time", CHECKPOINT_TIME), HISTOGRAM("commit_time", COMMIT_TIME),
};

const char *stats_count_name(unsigned int i)
{
	return count_names[i];
}

bool stats_is_counter(unsigned int i)
{
	return i + CBT_STATS_A_FIRST_COUNT < CBT_STATS_A_HOT_REGIONS;
}

uint64_t histogram_count(const struct cbt_histogram *h)
{
	uint64_t count = 0;

	for (int i = 0; i < CBT_HISTOGRAM_BUCKETS; i++)
		count += h->bucket[i];
	return count;
}

uint64_t histogram_quantile(const struct cbt_histogram *h, unsigned int percent)
{
	/* Rounded up, so that the last one counts: of three values, the median is the second. */
	uint64_t wanted = (histogram_count(h) * percent + 99) / 100;
	uint64_t seen = 0;

	for (int i = 0; i < CBT_HISTOGRAM_BUCKETS - 1; i++) {
		uint64_t end = (UINT64_C(2) << i) - 1;

		seen += h->bucket[i];
		if (seen >= wanted)
			return end < h->max ? end : h->max;
	}
	return h->max;
}

/* ---- JSON ---- */

static struct json_object *histogram_json(const struct cbt_histogram *h)
{
	struct json_object *o = json_object_new_object();
	struct json_object *buckets = json_object_new_array();
	int nr = CBT_HISTOGRAM_BUCKETS;

	while (nr && !h->bucket[nr - 1])
		nr--;
	for (int i = 0; i < nr; i++)
		(void)json_object_array_add(buckets, json_object_new_uint64(h->bucket[i]));
	json_add_uint(o, "count", histogram_count(h));
	json_add_uint(o, "sum", h->sum);
	json_add_uint(o, "max", h->max);
	(void)json_object_object_add(o, "buckets", buckets);
	return o;
}

static int print_json(const struct tracker_stats *stats, struct failure *f)
{
	cleanup_json struct json_object *document = output_document();
	struct json_object *counts = json_object_new_object();
	struct json_object *histograms = json_object_new_object();

	for (int i = 0; i < NL_NR_COUNTS; i++)
		json_add_uint(counts, count_names[i], stats->counts[i]);
	for (int i = 0; i < NL_NR_HISTOGRAMS; i++)
		(void)json_object_object_add(histograms, histogram_names[i],
					     histogram_json(&stats->histograms[i]));
	(void)json_object_object_add(document, "counts", counts);
	(void)json_object_object_add(document, "histograms", histograms);
	return output_print(document, f);
}

/* ---- tables ---- */

static int add_count(struct table *t, int i, uint64_t count)
{
	char number[NUMBER_LEN];

	(void)snprintf(number, sizeof(number), "%" PRIu64, count);
	return table_add(t, (const char *const[]){ count_names[i], number });
}

static int add_histogram(struct table *t, int i, const struct cbt_histogram *h)
{
	uint64_t count = histogram_count(h);
	const uint64_t values[] = { count, count ? h->sum / count : 0, histogram_quantile(h, 50),
				    histogram_quantile(h, 99), h->max };
	char numbers[ARRAY_SIZE(values)][NUMBER_LEN];
	const char *cells[1 + ARRAY_SIZE(values)] = { histogram_names[i] };

	for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
		(void)snprintf(numbers[v], NUMBER_LEN, "%" PRIu64, values[v]);
		cells[v + 1] = numbers[v];
	}
	return table_add(t, cells);
}

int stats_print(const struct tracker_stats *stats, bool json, struct failure *f)
{
	static const struct table_column count_columns[] = { { "COUNT", false }, { "", true } };
	static const struct table_column histogram_columns[] = {
		{ "HISTOGRAM", false }, { "NUMBER", true }, { "MEAN", true },
		{ "P50", true },	{ "P99", true },    { "MAX", true },
	};
	_cleanup_(table_free_at) struct table *counts = NULL;
	_cleanup_(table_free_at) struct table *histograms = NULL;
	int err;

	if (json)
		return print_json(stats, f);
	err = table_new(count_columns, ARRAY_SIZE(count_columns), &counts);
	if (!err)
		err = table_new(histogram_columns, ARRAY_SIZE(histogram_columns), &histograms);
	for (int i = 0; i < NL_NR_COUNTS && !err; i++)
		err = add_count(counts, i, stats->counts[i]);
	for (int i = 0; i < NL_NR_HISTOGRAMS && !err; i++)
		err = add_histogram(histograms, i, &stats->histograms[i]);
	if (err)
		return failure_no_memory(f);
	table_print(counts, stdout);
	(void)putchar('\n');
	table_print(histograms, stdout);
	return output_flush(f);
}
