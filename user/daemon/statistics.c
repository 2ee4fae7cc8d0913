// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/statistics.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "base/realtime.h"
#include "daemon/job.h"
#include "daemon/trackers.h"
#include "daemon/vm_settings.h"
#include "lib/json.h"

static bool counts(const struct statistics *s, const struct job_record *job)
{
	switch (job->type) {
	case JOB_SEND:
	case JOB_SEND_INITIAL:
	case JOB_RESYNCHRONIZE:
	case JOB_PREPARE:
		return s->mode == MODE_PRIMARY;
	case JOB_RECEIVE:
		return s->mode == MODE_REPLICA;
	default:
		return false;
	}
}

/* One interval is meant to be between two. */
static uint64_t missed(const struct statistics *s, uint64_t started_us)
{
	uint64_t passed = 0;

	if (s->last_us && started_us > s->last_us)
		passed = (started_us - s->last_us) / s->interval_us;
	return passed > 1 ? passed - 1 : 0;
}

static void add_arrived(struct statistics *s, const struct job_record *job)
{
	uint64_t latency = job->ended_us > job->started_us ? job->ended_us - job->started_us : 0;

	s->successes++;
	s->misses += (uint32_t)missed(s, job->started_us);
	s->last_us = job->started_us;
	s->bytes += job->bytes_total;
	s->bytes_max = max_of(s->bytes_max, job->bytes_total);
	s->latency_us += latency;
	s->latency_max_us = max_of(s->latency_max_us, latency);
}

void statistics_add(struct statistics *s, const struct job_record *job)
{
	if (!counts(s, job) || !job->ended_us)
		return;
	s->bytes_sent += job->bytes_sent;
	if (job->state == JOB_COMPLETED)
		add_arrived(s, job);
	else if (job->code == CODE_NOT_AVAILABLE || job->code == CODE_TIMEOUT)
		s->network_failures++;
	else if (job->state != JOB_TERMINATED)
		s->failures++;
}

static void on_job(void *context, const struct job_record *job)
{
	statistics_add(context, job);
}

static char *to_json(const struct vm *vm, const struct statistics *s, uint64_t now)
{
	cleanup_json struct json_object *object = json_object_new_object();
	uint64_t pending;

	json_add_uint(object, "StartStatisticTime", s->start_us);
	json_add_uint(object, "EndStatisticTime", now);
	json_add_uint(object, "ReplicationSuccessCount", s->successes);
	json_add_uint(object, "ReplicationMissCount", s->misses + missed(s, now));
	json_add_uint(object, "NetworkFailureCount", s->network_failures);
	json_add_uint(object, "ReplicationFailureCount", s->failures);
	json_add_uint(object, "ReplicationSize", s->bytes);
	json_add_uint(object, "MaxReplicationSize", s->bytes_max);
	if (vm->r.mode == MODE_PRIMARY && !trackers_dirty_bytes(&vm->r, &pending, NULL))
		json_add_uint(object, "PendingReplicationSize", pending);
	json_add_uint(object, "ReplicationLatency", s->latency_us / 1000000);
	json_add_uint(object, "MaxReplicationLatency", s->latency_max_us / 1000000);
	json_add_uint(object, "ReplicationHealth", vm_health(vm));
	json_add_uint(object, "NetworkBytes", s->bytes_sent);
	return json_text(object);
}

int statistics_to_json(const struct vm *vm, char **ret, struct failure *f)
{
	uint64_t now = realtime_us();
	struct statistics s = { .mode = vm->r.mode,
				.interval_us = vm_interval_s(&vm->r) * 1000000,
				.start_us = now - min_of(now, STATISTICS_SPAN_US) };
	int rc = store_visit_jobs(vm->daemon->store, &vm->r.vm, &s.start_us, on_job, &s, f);

	if (rc)
		return rc;
	*ret = to_json(vm, &s, now);
	return *ret ? 0 : failure_no_memory(f);
}
