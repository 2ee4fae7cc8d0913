/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a worker tells its parent (worker.h): one JSON object a line. A parent that no longer
 * listens is not an error.
 */
#ifndef FAILBACK_XFER_REPORT_H
#define FAILBACK_XFER_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "lib/session.h"

struct report {
	int fd;
	uint64_t bytes_total;
	uint64_t bytes_compared;
	uint64_t bytes_hashes;
	uint64_t begin_ns;
	uint64_t next_progress_ns;
};

void report_init(struct report *report, int fd);
void report_begin(struct report *report, uint64_t bytes_total);

/** report_compare - a comparison of so much begins. */
void report_compare(struct report *report, uint64_t bytes_total);

/** report_compared - it has ended: for report_done(). */
void report_compared(struct report *report, uint64_t bytes_compared, uint64_t bytes_hashes);

/** report_differ - what a comparison that is all there is found. */
void report_differ(struct report *report, const char *disk, const struct extent *extent);

/**
 * report_progress - at most ten lines a second are written; call it as often as there is something
 * new.
 * @name: "progress", "comparing"
 */
void report_progress(struct report *report, const char *name, uint64_t bytes_done,
		     uint64_t bytes_sent);

/** report_durable - the delta is acknowledged, and about to be applied. */
void report_durable(struct report *report);

/** report_applied - done, without a transfer: what the disks hold now; nil when that is not known. */
void report_applied(struct report *report, const struct uuid *epoch);

void report_done(struct report *report, const struct session_tally *tally, const char *engine,
		 bool direct);
void report_failed(struct report *report, const struct failure *f);

#endif
