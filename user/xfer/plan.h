/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plan that a worker reads on standard input (worker.h): parsed strictly, bounded, every
 * refusal names the member. A plan that is refused gives -EINVAL, CODE_INVALID_PARAMETER or
 * CODE_INCORRECT_DATA_TYPE, and nothing has been touched.
 */
#ifndef FAILBACK_XFER_PLAN_H
#define FAILBACK_XFER_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"
#include "lib/extent.h"
#include "lib/wire.h"

enum plan_role { PLAN_SEND, PLAN_RECEIVE };

enum plan_source {
	SOURCE_NONE, /* receive */
	SOURCE_TRACKER, /* the frozen map of a tracker */
	SOURCE_EXTENTS, /* a file with lines "OFFSET LENGTH" */
	SOURCE_ALL, /* the whole disk */
};

struct plan_disk {
	char *path; /* NULL: fd */
	int fd;
	enum plan_source source;
	char *source_name; /* tracker or file; NULL for SOURCE_ALL */
	bool compare; /* of the source, only what the receiver's disk does not hold */
	struct extent_list guessed; /* SOURCE_TRACKER: the same, here only */
};

struct plan_journal {
	bool used;
	char *path; /* NULL: fd */
	int fd;
	uint64_t mark_interval; /* bytes */
};

struct plan {
	struct wire_begin begin; /* bytes_total 0 */
	bool verify; /* compare only */
	bool compress; /* send only */
	uint64_t rate; /* send only; bytes per second, 0: no limit */
	struct plan_journal journal; /* receive only */
	int covered_fd; /* receive only; -1: nobody wants to know */
	struct plan_disk disks[CBT_WIRE_DISKS_MAX]; /* as begin.disks */
};

/** plan_parse - JSON text. */
int plan_parse(const char *text, enum plan_role role, struct plan **ret, struct failure *f);

/** plan_read - the same from a descriptor, read to its end, at most 1 MiB. */
int plan_read(int fd, enum plan_role role, struct plan **ret, struct failure *f);

void plan_free(struct plan *plan); /* NULL is fine; closes no descriptor */
void plan_free_at(struct plan **plan);

#endif
