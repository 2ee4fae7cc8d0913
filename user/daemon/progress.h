/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How far a transfer is, how fast it goes and how long it will take. PURE: time is passed in. */
#ifndef FAILBACK_DAEMON_PROGRESS_H
#define FAILBACK_DAEMON_PROGRESS_H

#include <stdint.h>

#define PROGRESS_UNKNOWN UINT64_MAX

struct progress {
	uint64_t bytes_total; /* of disk; 0 until it is known */
	uint64_t bytes_done; /* of disk */
	uint64_t bytes_sent; /* of payload on the wire */
	double rate; /* bytes of disk per second, smoothed; negative: not known yet */
	uint64_t measured_ns; /* when rate was brought up to date, and */
	uint64_t measured_done; /* bytes_done then */
};

/** progress_begin - at @now_ns, with nothing known. */
void progress_begin(struct progress *p, uint64_t now_ns);

/** progress_add - what a worker reports. Numbers that go backwards are ignored. */
void progress_add(struct progress *p, uint64_t now_ns, uint64_t bytes_done, uint64_t bytes_sent);

/**
 * progress_percent - 0 to 100, rounded down, so that 100 means all; 0 while the total is unknown.
 */
unsigned int progress_percent(const struct progress *p);

/** progress_rate - bytes of disk per second; 0 while unknown, and when no report came lately. */
uint64_t progress_rate(const struct progress *p, uint64_t now_ns);

/** progress_seconds_left - rounded up; PROGRESS_UNKNOWN while there is no total or no rate. */
uint64_t progress_seconds_left(const struct progress *p, uint64_t now_ns);

#endif
