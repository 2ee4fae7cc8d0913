/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the chunks of a MAP_GET dump (uapi/linux/dm-cbt.h) to runs of dirty blocks. PURE: no I/O, no
 * globals, no allocation.
 *
 * The chunks are not trusted: a chunk is checked as a whole before any of its runs is reported.
 * Runs that meet, in one chunk or across the border of two, are reported as one, so each run that
 * comes out is as long as it can be.
 */
#ifndef FAILBACK_LIB_CHUNK_H
#define FAILBACK_LIB_CHUNK_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct chunk - one CBT_A_CHUNK; @runs and @bits are the attributes' payloads, of any alignment,
 * NULL where absent.
 */
struct chunk {
	uint64_t start; /* block */
	uint64_t nr_blocks;
	const void *runs;
	size_t runs_bytes;
	const void *bits;
	size_t bits_bytes;
};

/** chunk_run_fn - takes one run of dirty blocks; a negative return ends the reading. */
typedef int (*chunk_run_fn)(void *context, uint64_t first_block, uint64_t nr_blocks);

struct chunk_reader {
	uint64_t first_block; /* no dirty block before it */
	uint64_t nr_blocks; /* of the disk */
	uint64_t next; /* end of the last chunk */
	uint64_t run_first; /* the run that may still grow; none when run_blocks is 0 */
	uint64_t run_blocks;
	chunk_run_fn fn;
	void *context;
};

/**
 * chunk_reader_init - for the dump of a disk of @nr_blocks blocks that was asked for from
 * @first_block on.
 */
void chunk_reader_init(struct chunk_reader *r, uint64_t first_block, uint64_t nr_blocks,
		       chunk_run_fn fn, void *context);

/**
 * chunk_read - take the next chunk.
 *
 * -EBADMSG: the chunk breaks the contract (order, bounds, lengths, runs, padding); nothing of it
 * was reported.
 * Any other negative value is @fn's; the reader is then of no further use.
 */
int chunk_read(struct chunk_reader *r, const struct chunk *c);

/** chunk_reader_end - report the last run. 0, or @fn's negative value. */
int chunk_reader_end(struct chunk_reader *r);

#endif
