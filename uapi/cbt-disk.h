/* SPDX-License-Identifier: GPL-2.0-or-later OR MIT */
/*
 * What a tracker keeps on its store device. Written by `cbtctl format` and the module, read by the
 * module and `cbtctl store-dump`, `store-check`.
 *
 *	block 0        8       16            index          map            diff area
 *	+-------+-----+-------+------+------+--------------+--------------+---------------------+
 *	| super | ... | super | log  | log  | a bit a leaf | 2 blocks     | a slot of one       |
 *	| slot 0|     | slot 1| half | half |              | a leaf       | tracking block each |
 *	+-------+-----+-------+------+------+--------------+--------------+---------------------+
 *
 * The unit is a store block of 4096 bytes; integers are little-endian; reserved bytes are zero.
 * Every store block but those of the diff area carries a CRC32C of itself (with the field as
 * zero), so that a torn or damaged one shows.
 *
 * A tracker's epochs are numbered from 1. A leaf is CBT_DISK_LEAF_BLOCKS tracking blocks of the
 * disk. What a store says is dirty is the union of
 *
 *	- the map pages that the index names, and that are *live*: UUID and lineage match and the
 *	  tag (the epoch in which the page was written) is above super.committed;
 *	- the log records that are live: UUID and lineage match, the half's sequence is not below
 *	  super.log_sequence, and the epoch is above super.committed.
 *
 * So one write of the superblock with a new `committed` drops all of an epoch, and nothing else
 * ever takes a bit away. A page or an index block that is damaged counts as all ones, and suspect;
 * a damaged log block as not there: its writer had not been told that it was durable.
 */
#ifndef CBT_DISK_H
#define CBT_DISK_H

#include <linux/types.h>

#define CBT_DISK_BLOCK		4096	/* bytes of a store block */
#define CBT_DISK_SECTORS	8	/* the same in 512-byte sectors */
#define CBT_DISK_VERSION	1

#define CBT_DISK_SUPER_SLOTS	2
#define CBT_DISK_SUPER_STRIDE	8	/* the slots are blocks 0 and 8 */
#define CBT_DISK_LOG_START	16

#define CBT_DISK_LEAF_BLOCKS	32768
#define CBT_DISK_BITS		16384	/* bits in one bits block: half a leaf */

#define CBT_DISK_OUTCOMES	16
#define CBT_DISK_LABEL_LEN	512

/** enum cbt_disk_flags - of the superblock. */
enum cbt_disk_flags {
	/* The tracker was stopped in order: the pages are all, the fingerprint tells the origin. */
	CBT_DISK_CLEAN = 1 << 0,
	/* Writes may have gone untracked: the maps prove nothing, a new generation must begin. */
	CBT_DISK_LOST = 1 << 1,
	/* The same, on purpose: the tracker was taken out from under a running guest. */
	CBT_DISK_BYPASSED = 1 << 2,
};

enum cbt_disk_result {
	CBT_DISK_ABORTED = 1,
	CBT_DISK_COMMITTED = 2,
};

struct cbt_disk_outcome {
	__u8 epoch_uuid[16];
	__le64 epoch;
	__le32 result;			/* cbt_disk_result; 0: unused */
	__le32 reserved;
};

/**
 * struct cbt_disk_super - one slot; the valid one with the higher sequence counts.
 *
 * The slot that does not count is written next, durably, before the other one is touched again.
 */
struct cbt_disk_super {
	__u8 magic[8];			/* CBT_DISK_SUPER_MAGIC, without NUL */
	__le32 version;
	__le32 crc;

	__u8 uuid[16];			/* of the tracker */
	__le64 generation;
	__le64 lineage;			/* blocks are signed with it: the generation that this one
					 * descends from without a break (growing), or itself */
	__le64 sequence;		/* one more each time the superblock is written */

	__le64 size_sectors;		/* of the origin */
	__le32 block_sectors;		/* a tracking block; power of two, 8 to 2048 */
	__le32 region_sectors;		/* power of two, 4 to 16384 tracking blocks */
	__le64 store_blocks;		/* of the store as formatted */
	__le64 log_half_blocks;
	__le64 index_start;
	__le64 index_blocks;
	__le64 map_start;
	__le64 nr_leaves;		/* there is room for; the origin may grow so far */
	__le64 diff_start;
	__le64 nr_diff_slots;

	__le32 flags;			/* cbt_disk_flags */
	__le32 nr_outcomes;		/* ever; the last CBT_DISK_OUTCOMES are kept, the newest at
					 * (nr_outcomes - 1) % CBT_DISK_OUTCOMES */
	__le64 epoch;			/* the running one */
	__le64 committed;		/* epochs up to this one are dead */
	__le64 log_sequence;		/* halves below this one are dead */
	__le64 frozen_epoch;		/* 0: none is frozen */
	__u8 frozen_uuid[16];
	__u8 base_uuid[16];		/* of the epoch committed last; zero: none */
	__le64 fingerprint_seed;	/* 0: no fingerprint */
	__le64 fingerprint;		/* of the origin, when CLEAN */
	struct cbt_disk_outcome outcomes[CBT_DISK_OUTCOMES];

	__u8 label[CBT_DISK_LABEL_LEN];	/* the controller's; the module keeps it */
	__u8 reserved[2848];
};

#define CBT_DISK_SUPER_MAGIC	"DMCBT-S1"

/**
 * struct cbt_disk_record - blocks that may become dirty without further notice.
 *
 * A region record makes its blocks suspect: most of them may never have been written. A range
 * record names blocks of one write.
 */
struct cbt_disk_record {
	__le64 start;			/* first tracking block */
	__le64 nr;			/* number of blocks; CBT_DISK_REGION in the top bit */
};

#define CBT_DISK_REGION		(1ULL << 63)
#define CBT_DISK_RECORDS	252

/** struct cbt_disk_log - a block of the log: one durable write, never written twice in place. */
struct cbt_disk_log {
	__le32 magic;			/* CBT_DISK_LOG_MAGIC */
	__le32 crc;
	__u8 uuid[16];
	__le64 lineage;
	__le64 sequence;		/* of the half; it lies in half sequence % 2 */
	__le64 epoch;			/* all records belong to */
	__le32 position;		/* block within the half */
	__le32 nr_records;		/* 1 to CBT_DISK_RECORDS */
	__u8 reserved[8];
	struct cbt_disk_record records[CBT_DISK_RECORDS];
};

#define CBT_DISK_LOG_MAGIC	0x6c746263	/* "cbtl" */

/**
 * struct cbt_disk_bits - half a leaf of the map, or a part of the index.
 *
 * In the map, block 2 * leaf + half holds the dirty blocks from leaf * 32768 + half * 16384. In the
 * index, block i holds the leaves from i * 16384 whose pages may be live. Bit k is bit k % 8 of
 * byte k / 8. A block of zeroes was never written and is clean.
 */
struct cbt_disk_bits {
	__le32 magic;			/* CBT_DISK_MAP_MAGIC or CBT_DISK_INDEX_MAGIC */
	__le32 crc;
	__u8 uuid[16];
	__le64 lineage;
	__le64 tag;			/* epoch in which it was written */
	__le64 number;			/* block within the map or the index */
	__u8 reserved[16];
	__le64 bits[CBT_DISK_BITS / 64];
	__u8 suspect[512];		/* map: a bit a region, in order; set: a guess after a crash */
	__u8 reserved2[1472];
};

#define CBT_DISK_MAP_MAGIC	0x6d746263	/* "cbtm" */
#define CBT_DISK_INDEX_MAGIC	0x69746263	/* "cbti" */

#endif
