/* SPDX-License-Identifier: GPL-2.0-or-later OR MIT */
/*
 * A sparse dirty bitmap over the blocks of a disk.
 *
 * A table of leaves; a leaf is one page of bits (32768 blocks, 128 MiB of disk at 4 KiB blocks).
 * A leaf that is not there is clean, and a leaf may be marked wholly dirty without a page, so
 * that memory follows what was written, and a discard of a whole disk costs none.
 *
 * Bits only ever go from clean to dirty until the whole map is cleared. That is what makes
 * marking lock-free: any number of cbt_map_mark() and one cbt_map_merge_leaf() into the map may run at
 * once, from any context, with any reader. Everything else needs the map to itself, as stated.
 */
#ifndef CBT_MAP_H
#define CBT_MAP_H

#include <linux/dm-cbt.h>

#include "port.h"

#define CBT_LEAF_SHIFT		15
#define CBT_LEAF_BLOCKS		(1U << CBT_LEAF_SHIFT)
#define CBT_LEAF_WORDS		(CBT_LEAF_BLOCKS / 64)

/* 4 PiB of disk at 4 KiB blocks, and a table of 256 MiB. */
#define CBT_MAP_BLOCKS_MAX	(1ULL << 40)

struct cbt_leaf {
	atomic64_t word[CBT_LEAF_WORDS];
};

struct cbt_map {
	u64 nr_blocks;
	u64 nr_leaves;
	struct cbt_leaf **leaves;
	atomic64_t nr_dirty;		/* blocks; exact whenever no mark is running */
};

/**
 * struct cbt_spares - leaves for a mark that may not allocate while it runs.
 *
 * A range needs at most two pages, for the leaves that it covers in part; those it covers wholly
 * need none.
 */
struct cbt_spares {
	struct cbt_leaf *leaf[2];
};

/**
 * cbt_map_init - an all-clean map of 1 to CBT_MAP_BLOCKS_MAX blocks. May sleep.
 * Return: 0, or -ENOMEM with nothing to clean up.
 */
int cbt_map_init(struct cbt_map *map, u64 nr_blocks);

/** cbt_map_exit - free everything. Fine on a zeroed map. May sleep; nobody else may use the map. */
void cbt_map_exit(struct cbt_map *map);

/** cbt_map_clear - make every block clean. May sleep; nobody else may use the map. */
void cbt_map_clear(struct cbt_map *map);

/**
 * cbt_map_grow - more blocks, the added ones clean.
 * @leaves: an empty table for the new size, of cbt_map_new_table(); the map takes it
 *
 * Does not sleep or allocate; nobody else may use the map. Return: the old table, to be freed.
 */
struct cbt_leaf **cbt_map_grow(struct cbt_map *map, u64 nr_blocks, struct cbt_leaf **leaves);

/** cbt_map_new_table - for so many blocks; NULL without memory. kvfree() frees it. May sleep. */
struct cbt_leaf **cbt_map_new_table(u64 nr_blocks);

/**
 * cbt_map_mark - make blocks @first to @last (inclusive, inside the map) dirty.
 * @spares: pages to use for missing leaves, or NULL
 *
 * Without @spares, a missing leaf ends the attempt: some of the range may be dirty then, which is
 * harmless, and the caller tries again with spares. With @spares the mark always succeeds: a leaf
 * for which no page is left becomes wholly dirty. Context: any; does not sleep.
 *
 * Return: whether every block of the range is dirty now.
 */
bool cbt_map_mark(struct cbt_map *map, u64 first, u64 last, struct cbt_spares *spares);

/** cbt_map_test - whether @block is dirty. Context: any. */
bool cbt_map_test(const struct cbt_map *map, u64 block);

/** cbt_map_covers - whether every block from @first to @last is dirty. Context: any. */
bool cbt_map_covers(const struct cbt_map *map, u64 first, u64 last);

/**
 * cbt_map_load - dirty what @bits says: bit i stands for block @start + i.
 * @start: a multiple of 64; @nr: also, and within one leaf
 *
 * Blocks past the end of the map are ignored. Return: false when the leaf is dirty as a whole, and
 * not only as @bits say, for want of memory. Context: may run with marks; does not sleep.
 */
bool cbt_map_load(struct cbt_map *map, u64 start, const __le64 *bits, u32 nr);

/**
 * cbt_map_save - the opposite: OR the dirty blocks from @start on into @bits.
 * Return: whether there was a dirty one.
 */
bool cbt_map_save(const struct cbt_map *map, u64 start, __le64 *bits, u32 nr);

/** cbt_map_leaf_is_clean - whether nothing was marked in a leaf. Context: any. */
static inline bool cbt_map_leaf_is_clean(const struct cbt_map *map, u64 leaf)
{
	return !READ_ONCE(map->leaves[leaf]);
}

/**
 * cbt_map_merge_leaf - dirty in a leaf of @into what is dirty in that of @from, and clear that.
 *
 * A page moves where @into has none, so merging allocates nothing. Marks may run on @into
 * meanwhile; @from belongs to the caller. Both maps are of the same size. Does not sleep.
 */
void cbt_map_merge_leaf(struct cbt_map *into, struct cbt_map *from, u64 leaf);

/** cbt_spares_fill - try to have both pages at hand. */
void cbt_spares_fill(struct cbt_spares *spares);

/** cbt_spares_drop - free what is left. */
void cbt_spares_drop(struct cbt_spares *spares);

/**
 * cbt_map_find - the first block from @first to @last that is dirty in @map and clean in @minus.
 * @minus: a map of the same size, or NULL
 *
 * Skips what is clean, or wholly dirty in @minus, a leaf at a time. Marks may run meanwhile on
 * both. Context: any.
 *
 * Return: the block, or @last + 1 when there is none.
 */
u64 cbt_map_find(const struct cbt_map *map, const struct cbt_map *minus, u64 first, u64 last);

/*
 * Reading, a leaf at a time, in the smallest of the forms of a netlink chunk (uapi/linux/dm-cbt.h).
 */
enum cbt_form {
	CBT_FORM_CLEAN,
	CBT_FORM_ALL,
	CBT_FORM_RUNS,
	CBT_FORM_BITS,
};

/** struct cbt_leaf_view - one leaf as a reader gets it. 4 KiB: not for the kernel's stack. */
struct cbt_leaf_view {
	enum cbt_form form;
	u32 nr_blocks;			/* of the leaf; fewer in the last one */
	u32 nr_runs;			/* with CBT_FORM_RUNS */
	struct cbt_run runs[CBT_LEAF_WORDS];
};

/**
 * cbt_map_view - describe the dirty blocks of one leaf of a map, or of the union of two.
 * @a, @b: maps of one size; @b may be NULL
 * @leaf: index, below nr_leaves
 * @from: blocks before it are reported clean
 *
 * Marks may run meanwhile; each block is reported as it stood at some moment of the call. With
 * CBT_FORM_BITS the bits are still to be had.
 */
void cbt_map_view(const struct cbt_map *a, const struct cbt_map *b, u64 leaf, u64 from,
		  struct cbt_leaf_view *view);

/**
 * cbt_map_bits - the same blocks as bits, whatever their form; bit 0 is the leaf's first block.
 * @bits: room for DIV_ROUND_UP(nr_blocks of the leaf, 64) words of 8 bytes; need not be aligned
 */
void cbt_map_bits(const struct cbt_map *a, const struct cbt_map *b, u64 leaf, u64 from,
		  void *bits);

#endif
