/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Msvm_ReplicationStatistics of a VM, from the history of its jobs: of the last twelve hours, or as far
 * back as the history goes. The fields that exist here only: nothing is known of test failovers and
 * of application-consistent points, which this version lacks.
 */
#ifndef FAILBACK_DAEMON_STATISTICS_H
#define FAILBACK_DAEMON_STATISTICS_H

#include "daemon/vm.h"

#define STATISTICS_SPAN_US (UINT64_C(43200) * 1000000)

struct statistics {
	unsigned int mode; /* a primary's deltas are sent, a replica's received */
	uint64_t interval_us;
	uint64_t start_us; /* 1970, as all times */
	uint32_t successes;
	uint32_t misses; /* intervals that went by without the beginning of a delta that arrived */
	uint32_t network_failures; /* the peer was away, or too slow */
	uint32_t failures; /* any other */
	uint64_t bytes; /* of disk, that deltas covered */
	uint64_t bytes_max;
	uint64_t bytes_sent; /* over the wire, also in vain */
	uint64_t latency_us; /* of all that arrived */
	uint64_t latency_max_us;
	uint64_t last_us; /* when the last one that arrived began; 0: none did */
};

/** statistics_add - PURE: take @job into account; jobs come in the order in which they were started. */
void statistics_add(struct statistics *s, const struct job_record *job);

/** statistics_to_json - of @vm, up to now; malloc()ed. */
int statistics_to_json(const struct vm *vm, char **ret, struct failure *f);

#endif
