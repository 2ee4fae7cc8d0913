/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing the extents of one record to the target's disks, through the ring.
 *
 * Zeroes go the cheapest way that the disk knows, found out by trying: deallocate, zero a range,
 * write. Discarded ranges go the same way; they then read as zeroes on this side, which is one of
 * the contents that they may have.
 */
#ifndef FAILBACK_XFER_WRITER_H
#define FAILBACK_XFER_WRITER_H

#include <stdint.h>

#include "base/failure.h"
#include "lib/extent.h"
#include "lib/ring.h"
#include "lib/wire.h"
#include "xfer/transfer.h"

/* An extent being written. */
struct write_piece {
	struct ring_op op;
	uint64_t next; /* zeroes: where the request after this one starts */
	uint64_t end; /* 0: data */
};

/* A record being written; from its start to its end it belongs to the writer. */
struct write_job {
	unsigned int disk;
	unsigned int nr_writing; /* pieces; 0: nothing is under way */
	uint64_t bytes;
	struct write_piece pieces[CBT_WIRE_EXTENTS_MAX];
};

enum zero_way { ZERO_PUNCH, ZERO_RANGE, ZERO_WRITE };

struct writer {
	struct transfer *t;
	enum zero_way zero_ways[CBT_WIRE_DISKS_MAX];
	struct ring_op flushes[CBT_WIRE_DISKS_MAX];
};

/**
 * writer_start - write a DATA, ZERO or DISCARD record.
 * @body: of DATA; stays the writer's until the job has ended
 */
void writer_start(struct writer *w, struct write_job *job, const struct wire_header *record,
		  const struct extent *extents, uint8_t *body);

/**
 * writer_ended - ring_wait() returned @op, whose owner is a job of this writer. 1: the job has
 * ended; 0: not yet.
 */
int writer_ended(struct writer *w, struct ring_op *op, struct failure *f);

/** writer_flush - flush every disk, and wait for it. Nothing else may be under way. */
int writer_flush(struct writer *w, struct failure *f);

#endif
