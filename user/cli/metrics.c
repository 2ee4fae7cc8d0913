// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/metrics.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/macro.h"
#include "lib/json.h"
#include "lib/stats_print.h"

/* Of the histograms, in powers of two of a nanosecond: 4 us to 69 s. */
#define FIRST_BOUND 12
#define LAST_BOUND  36

/* --- the format --- */

static void begin(FILE *out, const char *name, const char *type, const char *help)
{
	(void)fprintf(out, "# TYPE failback_%s %s\n# HELP failback_%s %s.\n", name, type, name, help);
}

static void put_label(FILE *out, const char *name, const char *value)
{
	(void)fprintf(out, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			(void)fputs("\\n", out);
		else if (*value == '"' || *value == '\\')
			(void)fprintf(out, "\\%c", *value);
		else
			(void)fputc(*value, out);
	}
	(void)fputc('"', out);
}

/* failback_NAME{LABEL="VALUE",LABEL2="VALUE2"...} NUMBER, of labels that are not NULL. */
static void put(FILE *out, const char *name, const char *const (*labels)[2], size_t nr,
		double number)
{
	const char *before = "";

	(void)fprintf(out, "failback_%s{", name);
	for (size_t i = 0; i < nr; i++) {
		if (!labels[i][0])
			continue;
		(void)fputs(before, out);
		put_label(out, labels[i][0], labels[i][1]);
		before = ",";
	}
	(void)fprintf(out, "} %.16g\n", number);
}

/* --- VMs --- */

/* By name, and by UUID since two may have one name. */
static void put_vm(FILE *out, const char *name, const struct client_vm *vm, const char *label,
		   const char *value, double number)
{
	const char *const labels[][2] = { { "vm", vm->name }, { "uuid", vm->id }, { label, value } };

	put(out, name, labels, ARRAY_SIZE(labels), number);
}

static double known(uint64_t number, double unit)
{
	return number == CLIENT_UNKNOWN ? -1 : (double)number * unit;
}

static double time_of(uint64_t us)
{
	return us ? (double)us / 1e6 : -1;
}

static double mode(const struct client_vm *vm)
{
	return vm->mode;
}

static double state(const struct client_vm *vm)
{
	return vm->state;
}

static double health(const struct client_vm *vm)
{
	return vm->health;
}

static double may_run(const struct client_vm *vm)
{
	return vm->may_run;
}

static double consistent(const struct client_vm *vm)
{
	return vm->consistent;
}

static double split_brain(const struct client_vm *vm)
{
	return vm->split_brain[0] != '\0';
}

static double dirty_bytes(const struct client_vm *vm)
{
	return known(vm->dirty_bytes, 1);
}

static double lag(const struct client_vm *vm)
{
	return known(vm->lag_us, 1e-6);
}

static double catch_up(const struct client_vm *vm)
{
	return known(vm->seconds_to_catch_up, 1);
}

static double last_replication(const struct client_vm *vm)
{
	return time_of(vm->last_replication_us);
}

static double peer_seen(const struct client_vm *vm)
{
	return time_of(vm->peer_seen_us);
}

static const struct {
	const char *name;
	const char *help;
	double (*value)(const struct client_vm *vm); /* negative: not known */
} vm_gauges[] = {
	{ "mode", "1 primary, 2 replica", mode },
	{ "state", "ReplicationState: `failback help states`", state },
	{ "health", "1 OK, 2 warning, 3 critical", health },
	{ "may_run", "Whether the VM may run on this host", may_run },
	{ "consistent", "Whether the disks hold one instant of the VM", consistent },
	{ "split_brain", "Whether both hosts ran the VM at once", split_brain },
	{ "dirty_bytes", "Of disk, written since both hosts held the same", dirty_bytes },
	{ "lag_seconds", "How old the replica is", lag },
	{ "catch_up_seconds", "Time to send what is dirty, at the rate of the last delta", catch_up },
	{ "last_replication_timestamp_seconds", "Instant of the last delta that arrived",
	  last_replication },
	{ "peer_seen_timestamp_seconds", "When the peer was heard of last", peer_seen },
};

static void put_vm_gauges(FILE *out, const struct metrics *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(vm_gauges); i++) {
		begin(out, vm_gauges[i].name, "gauge", vm_gauges[i].help);
		for (size_t v = 0; v < m->nr_vms; v++) {
			double value = vm_gauges[i].value(&m->vms[v]);

			if (value >= 0)
				put_vm(out, vm_gauges[i].name, &m->vms[v], NULL, NULL, value);
		}
	}
}

static void put_vm_info(FILE *out, const struct metrics *m)
{
	begin(out, "relationship", "info", "The peer of a VM");
	for (size_t v = 0; v < m->nr_vms; v++)
		put_vm(out, "relationship_info", &m->vms[v], "peer", m->vms[v].peer, 1);
}

/* Msvm_ReplicationStatistics; a window, no counters (daemon/statistics.h). */
static const struct {
	const char *name;
	const char *result; /* NULL: no such label */
	const char *member;
	const char *help; /* NULL: of the family that goes on */
} statistics[] = {
	{ "deltas", "arrived", "ReplicationSuccessCount", "Of the last 12 hours, by result" },
	{ "deltas", "missed", "ReplicationMissCount", NULL },
	{ "deltas", "network", "NetworkFailureCount", NULL },
	{ "deltas", "failed", "ReplicationFailureCount", NULL },
	{ "delta_bytes", NULL, "ReplicationSize", "Of disk, that deltas of the last 12 hours covered" },
	{ "network_bytes", NULL, "NetworkBytes", "Sent over the wire for them" },
};

static void put_statistics(FILE *out, const struct metrics *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(statistics); i++) {
		if (statistics[i].help)
			begin(out, statistics[i].name, "gauge", statistics[i].help);
		for (size_t v = 0; v < m->nr_vms; v++) {
			cleanup_json struct json_object *object =
				m->statistics[v] ? json_tokener_parse(m->statistics[v]) : NULL;
			uint64_t number;

			if (!object || json_get_uint("", object, statistics[i].member, true,
						     INT64_MAX, &number, NULL))
				continue;
			put_vm(out, statistics[i].name, &m->vms[v],
			       statistics[i].result ? "result" : NULL, statistics[i].result,
			       (double)number);
		}
	}
}

/* --- trackers --- */

static void put_tracker(FILE *out, const char *name, const char *tracker, const char *reason,
			double number)
{
	const char *const labels[][2] = { { "tracker", tracker },
					  { reason ? "reason" : NULL, reason } };

	put(out, name, labels, ARRAY_SIZE(labels), number);
}

static double block_bytes(const struct tracker_info *info, uint64_t nr)
{
	return (double)nr * info->block_sectors * 512;
}

static double active_bytes(const struct tracker_info *info)
{
	return block_bytes(info, info->dirty_active);
}

static double frozen_bytes(const struct tracker_info *info)
{
	return block_bytes(info, info->dirty_frozen);
}

static double suspect_bytes(const struct tracker_info *info)
{
	return (double)info->suspect_active * info->region_sectors * 512;
}

static double diff_used(const struct tracker_info *info)
{
	return info->has_store ? block_bytes(info, info->diff_used) : -1;
}

static double diff_size(const struct tracker_info *info)
{
	return info->has_store ? block_bytes(info, info->diff_slots) : -1;
}

static double lost(const struct tracker_info *info)
{
	return info->state == CBT_STATE_LOST;
}

static double broken(const struct tracker_info *info)
{
	return info->broken[0] != '\0';
}

static double generation(const struct tracker_info *info)
{
	return (double)info->generation;
}

static const struct {
	const char *name;
	const char *help;
	double (*value)(const struct tracker_info *info); /* negative: there is none */
} tracker_gauges[] = {
	{ "tracker_dirty_bytes", "Of disk, written in the running epoch", active_bytes },
	{ "tracker_frozen_bytes", "Of disk, in the epoch that is being sent", frozen_bytes },
	{ "tracker_suspect_bytes", "Of disk, dirty only by guess after a crash", suspect_bytes },
	{ "tracker_diff_used_bytes", "Old contents held in the diff area", diff_used },
	{ "tracker_diff_size_bytes", "Size of the diff area", diff_size },
	{ "tracker_lost", "Whether the store failed: writes go untracked", lost },
	{ "tracker_broken", "Whether the epoch that is being sent can only be aborted", broken },
	{ "tracker_generation", "Goes up when history is broken: what was dirty before is not known",
	  generation },
};

static void put_tracker_gauges(FILE *out, const struct metrics *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(tracker_gauges); i++) {
		begin(out, tracker_gauges[i].name, "gauge", tracker_gauges[i].help);
		for (size_t t = 0; t < m->nr_trackers; t++) {
			const struct tracker_info *info = &m->trackers[t].info;
			double value = tracker_gauges[i].value(info);

			if (value >= 0)
				put_tracker(out, tracker_gauges[i].name, info->name, NULL, value);
		}
	}
}

static void put_counts(FILE *out, const struct metrics *m)
{
	for (unsigned int i = 0; i < NL_NR_COUNTS; i++) {
		bool is_counter = stats_is_counter(i);
		char name[64];

		(void)snprintf(name, sizeof(name), "tracker_%s", stats_count_name(i));
		begin(out, name, is_counter ? "counter" : "gauge", "See `man cbtctl`, stats");
		(void)snprintf(name, sizeof(name), "tracker_%s%s", stats_count_name(i),
			       is_counter ? "_total" : "");
		for (size_t t = 0; t < m->nr_trackers; t++)
			put_tracker(out, name, m->trackers[t].info.name, NULL,
				    (double)m->trackers[t].stats.counts[i]);
	}
}

static void put_histogram(FILE *out, const char *name, const char *tracker, const char *reason,
			  const struct cbt_histogram *h)
{
	uint64_t count = 0;
	char sample[64];

	for (unsigned int i = 0; i < CBT_HISTOGRAM_BUCKETS; i++) {
		count += h->bucket[i];
		if (i + 1 < FIRST_BOUND || i + 1 > LAST_BOUND)
			continue;
		(void)fprintf(out, "failback_%s_bucket{", name);
		put_label(out, "tracker", tracker);
		(void)fprintf(out, ",reason=\"%s\",le=\"%.16g\"} %" PRIu64 "\n", reason,
			      (double)(UINT64_C(1) << (i + 1)) / 1e9, count);
	}
	(void)fprintf(out, "failback_%s_bucket{", name);
	put_label(out, "tracker", tracker);
	(void)fprintf(out, ",reason=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", reason, count);
	(void)snprintf(sample, sizeof(sample), "%s_count", name);
	put_tracker(out, sample, tracker, reason, (double)count);
	(void)snprintf(sample, sizeof(sample), "%s_sum", name);
	put_tracker(out, sample, tracker, reason, (double)h->sum / 1e9);
}

static void put_waits(FILE *out, const struct metrics *m)
{
	static const struct {
		const char *reason;
		unsigned int histogram;
	} waits[] = {
		{ "coverage", CBT_STATS_A_COLD_WAIT },
		{ "copy", CBT_STATS_A_COPY_WAIT },
		{ "freeze", CBT_STATS_A_GATE_WAIT },
	};

	begin(out, "tracker_write_wait_seconds", "histogram",
	      "Writes of the VM that could not go at once: how long, and for what");
	for (size_t t = 0; t < m->nr_trackers; t++) {
		for (size_t i = 0; i < ARRAY_SIZE(waits); i++)
			put_histogram(out, "tracker_write_wait_seconds", m->trackers[t].info.name,
				      waits[i].reason,
				      &m->trackers[t].stats.histograms[waits[i].histogram -
								       CBT_STATS_A_FIRST_HISTOGRAM]);
	}
}

/* --- all --- */

void metrics_print(FILE *out, const struct metrics *m)
{
	begin(out, "up", "gauge", "Whether failbackd answers");
	(void)fprintf(out, "failback_up %d\n", m->up);
	begin(out, "tracking", "gauge", "Whether the kernel module answers");
	(void)fprintf(out, "failback_tracking %d\n", m->tracking);
	put_vm_info(out, m);
	put_vm_gauges(out, m);
	put_statistics(out, m);
	put_tracker_gauges(out, m);
	put_counts(out, m);
	put_waits(out, m);
	(void)fputs("# EOF\n", out);
}

void metrics_free(struct metrics *m)
{
	for (size_t v = 0; v < m->nr_vms; v++)
		free(m->statistics[v]);
	free(m->statistics);
	free(m->vms);
	free(m->trackers);
}
