/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a reverse has to send of each disk, and why. PURE: no I/O, no globals.
 *
 * Everything is decided before anything is written: a plan is shown to the operator (PlanReverse),
 * and where it overwrites what only the old primary has, its digest is the consent.
 */
#ifndef FAILBACK_DAEMON_REVERSE_PLAN_H
#define FAILBACK_DAEMON_REVERSE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/calls.h"

#define PLAN_UNKNOWN UINT64_MAX

enum plan_method {
	METHOD_DELTA, /* what was written here since the base */
	METHOD_TWO_SIDED, /* and what was written there */
	METHOD_COMPARE, /* what differs, found by hashing both sides */
	METHOD_FULL, /* all of it, where nothing is there yet; zeroes do not cross the wire */
	NR_METHODS
};

enum plan_reason {
	REASON_PLANNED, /* equal at the failover, nothing was written there since */
	REASON_NOT_PREPARED, /* the primary may hold writes that never arrived */
	REASON_WRITTEN, /* it was prepared, and written to after its last delta */
	REASON_OTHER_BASE, /* the hosts do not name one epoch that both held */
	REASON_MAP_LOST, /* the map here does not reach back to the base */
	REASON_PEER_MAP_LOST, /* nor does the one there, which should say what was written there */
	REASON_UNKNOWN_CONTENTS, /* the disks there were given up before: nobody knows what they hold */
	REASON_BLANK, /* no map will do, and there is nothing on the disk there */
	NR_REASONS
};

struct plan_disk {
	char name[DISK_NAME_MAX + 1];
	enum plan_method method;
	enum plan_reason reason;
	uint64_t cost_bytes; /* of disk that have to be sent, or compared */
	uint64_t lost_bytes; /* that only the old primary has; PLAN_UNKNOWN: at most all */
};

struct plan_facts {
	const struct relationship_record *r; /* here */
	const bool *map_reaches_back; /* here, of each disk */
	const uint64_t *dirty_bytes; /* here, of each disk */
	const struct reply *peer;
};

struct reverse_plan {
	struct plan_disk *disks; /* in the order of the relationship's; the caller's room */
	size_t nr_disks;
	bool planned; /* all disks are equal but for our maps */
	bool needs_consent;
	uint64_t cost_bytes;
	uint64_t lost_bytes;
	char digest[17];
};

/** reverse_plan_make - @ret->disks has room for all disks. */
void reverse_plan_make(const struct plan_facts *facts, struct reverse_plan *ret);

const char *plan_method_name(enum plan_method method); /* "delta", "two-sided", ... */
const char *plan_reason_code(enum plan_reason reason); /* "planned", "not-prepared", ... */
const char *plan_reason_text(enum plan_reason reason); /* a sentence */

#endif
