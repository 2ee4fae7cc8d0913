/* SPDX-License-Identifier: GPL-2.0-or-later OR MIT */
/*
 * The store's bytes (uapi/cbt-disk.h): encode, decode, and what a store says is dirty.
 *
 * Nothing here does I/O or takes a lock; buffers are store blocks of CBT_DISK_BLOCK bytes, in any
 * alignment of 8. What comes from a device is checked here, once, and nowhere else.
 */
#ifndef CBT_LAYOUT_H
#define CBT_LAYOUT_H

#include <cbt-disk.h>

#include "map.h"

/** struct cbt_geometry - sizes, and where the parts of a store lie, in store blocks. */
struct cbt_geometry {
	u64 size_sectors;
	u32 block_sectors;
	u32 region_sectors;

	u64 store_blocks;
	u64 log_half_blocks;
	u64 index_start;
	u64 index_blocks;
	u64 map_start;
	u64 nr_leaves;			/* capacity of the map area */
	u64 diff_start;
	u64 nr_diff_slots;
};

#define CBT_REGION_SECTORS	8192	/* 4 MiB */
#define CBT_LOG_HALF_BLOCKS	1024	/* 4 MiB */

/** struct cbt_identity - what every block of a store is signed with. */
struct cbt_identity {
	u8 uuid[16];
	u64 lineage;
};

struct cbt_super_outcome {
	u8 epoch_uuid[16];
	u64 epoch;
	u32 result;			/* cbt_disk_result */
};

/** struct cbt_super - a decoded superblock; the meanings are those of cbt_disk_super. */
struct cbt_super {
	struct cbt_identity id;
	struct cbt_geometry geo;
	u64 generation;
	u64 sequence;
	u32 flags;
	u32 nr_outcomes;
	u64 epoch;
	u64 committed;
	u64 log_sequence;
	u64 frozen_epoch;
	u8 frozen_uuid[16];
	u8 base_uuid[16];
	u64 fingerprint_seed;
	u64 fingerprint;
	struct cbt_super_outcome outcomes[CBT_DISK_OUTCOMES];
	u8 label[CBT_DISK_LABEL_LEN];
};

static inline u64 cbt_geometry_nr_blocks(const struct cbt_geometry *geo)
{
	return DIV_ROUND_UP(geo->size_sectors, (u64)geo->block_sectors);
}

static inline u64 cbt_geometry_region_blocks(const struct cbt_geometry *geo)
{
	return geo->region_sectors / geo->block_sectors;
}

static inline u64 cbt_geometry_nr_regions(const struct cbt_geometry *geo)
{
	return DIV_ROUND_UP(geo->size_sectors, (u64)geo->region_sectors);
}

/**
 * cbt_geometry_plan - lay out a store.
 * @geo: in: size_sectors, block_sectors, region_sectors, log_half_blocks, store_blocks, and
 *	nr_leaves, the capacity wanted (0: what the size needs); out: the rest
 * @why: a sentence when it fails
 *
 * Whatever the store has beyond log and map becomes the diff area; there need be none.
 * Return: 0; -EINVAL a parameter is out of range; -EFBIG too many blocks; -ENOSPC the store is too
 * small, and store_blocks is then what it needs at least.
 */
int cbt_geometry_plan(struct cbt_geometry *geo, const char **why);

/** cbt_super_encode - into a block. */
void cbt_super_encode(const struct cbt_super *super, void *block);

/**
 * cbt_super_decode - from a block, checking all of it, the geometry's coherence too.
 * Return: 0; -ENODATA not a superblock; -EBADMSG damaged; -EPROTO of another version; -EINVAL
 * well-signed, but its fields contradict each other. @why is a sentence then, @super undefined.
 */
int cbt_super_decode(struct cbt_super *super, const void *block, const char **why);

/** cbt_super_slot - the block in which the superblock with this sequence is written. */
static inline u64 cbt_super_slot(u64 sequence)
{
	return sequence % CBT_DISK_SUPER_SLOTS * CBT_DISK_SUPER_STRIDE;
}

/** cbt_super_add_outcome - remember how an epoch ended; the last CBT_DISK_OUTCOMES are kept. */
void cbt_super_add_outcome(struct cbt_super *super, const u8 epoch_uuid[16], u64 epoch,
			   u32 result);

/*--------------------------------------------------------------------------------------------------
 * Log
 */

/** cbt_log_begin - an empty log block. */
void cbt_log_begin(struct cbt_disk_log *log, const struct cbt_identity *id, u64 sequence,
		   u32 position, u64 epoch);

/** cbt_log_add - add a record. Return: false when the block is full. */
bool cbt_log_add(struct cbt_disk_log *log, u64 start, u64 nr, bool region);

/** cbt_log_seal - the block will not change any more: sign it. */
void cbt_log_seal(struct cbt_disk_log *log);

/**
 * cbt_log_is_live - whether the block, read from @position of half @half, has records that count.
 */
bool cbt_log_is_live(const struct cbt_disk_log *log, const struct cbt_super *super, u32 half,
		     u32 position);

/*--------------------------------------------------------------------------------------------------
 * Bits: map pages and index
 */

enum cbt_bits_state {
	CBT_BITS_CLEAN,			/* never written, or dead, or of another generation */
	CBT_BITS_LIVE,
	CBT_BITS_DAMAGED,		/* to be taken as all ones, suspect */
};

/** cbt_bits_encode - sign a block whose bits and suspect are set. */
void cbt_bits_encode(struct cbt_disk_bits *block, u32 magic, const struct cbt_identity *id,
		     u64 number, u64 tag);

/** cbt_bits_state - what a block read from place @number is worth. */
enum cbt_bits_state cbt_bits_state(const struct cbt_disk_bits *block, u32 magic,
				   const struct cbt_super *super, u64 number);

/*--------------------------------------------------------------------------------------------------
 * What a store says is dirty
 */

/**
 * struct cbt_recovery - the result of reading a store.
 *
 * The maps belong to the caller and are all clean at the beginning.
 */
struct cbt_recovery {
	struct cbt_super super;
	struct cbt_map *dirty;		/* blocks */
	struct cbt_map *suspect;	/* regions in which dirty blocks are only a guess */
	u64 epoch;			/* highest that was seen anywhere */
	u64 log_sequence;		/* highest that was seen anywhere */
	/* leaves that hold more than their pages do, one bit each; the caller's, zeroed; or NULL */
	unsigned long *leaves_stale;
	u64 nr_records;			/* live ones in the log */
	u64 nr_damaged;			/* map and index blocks */
};

/**
 * cbt_read_fn - read @nr store blocks from block @start into @buffer.
 * Return: 0 or -errno.
 */
typedef int (*cbt_read_fn)(void *context, u64 start, u32 nr, void *buffer);

#define CBT_RECOVER_BLOCKS 64		/* read at once */

/**
 * cbt_recover_super - find the superblock that counts.
 * @slots: room for both
 * @buffer: one store block
 * Return: one of @slots; NULL when neither is valid, with the error of cbt_super_decode() or @read
 * in @ret_error and a sentence in @why.
 */
const struct cbt_super *cbt_recover_super(struct cbt_super slots[CBT_DISK_SUPER_SLOTS],
					  cbt_read_fn read, void *context, void *buffer,
					  int *ret_error, const char **why);

/**
 * cbt_recover - read the maps that a store describes, by r->super, into r->dirty and r->suspect.
 * @buffer: CBT_RECOVER_BLOCKS store blocks
 * @index: one more store block
 *
 * May sleep where @read does, and allocates leaves. Return: 0 or the error of @read.
 */
int cbt_recover(struct cbt_recovery *r, cbt_read_fn read, void *context, void *buffer,
		void *index);

#endif
