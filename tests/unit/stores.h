/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stores for the tests of kmod/layout.c: a geometry, a superblock, and a device in memory. */
#ifndef FAILBACK_TESTS_UNIT_STORES_H
#define FAILBACK_TESTS_UNIT_STORES_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "count.h"
#include "layout.h"

#define BLOCK CBT_DISK_BLOCK

static inline u64 random_below(u64 *state, u64 n)
{
	return next_random(state) % n;
}

static inline bool one_in(u64 *state, u32 n)
{
	return random_below(state, n) == 0;
}

/* The CRC as uapi/cbt-disk.h says it. */
static inline void sign(void *block, size_t crc_offset)
{
	__le32 crc = 0;

	memcpy((u8 *)block + crc_offset, &crc, sizeof(crc));
	crc = cpu_to_le32(~crc32c(~0U, block, BLOCK));
	memcpy((u8 *)block + crc_offset, &crc, sizeof(crc));
}

#define SIGN(p) sign(p, offsetof(__typeof__(*(p)), crc))

static inline struct cbt_geometry some_geometry(void)
{
	return (struct cbt_geometry){
		.size_sectors = 1ULL << 31,
		.block_sectors = 8,
		.region_sectors = CBT_REGION_SECTORS,
		.log_half_blocks = CBT_LOG_HALF_BLOCKS,
		.store_blocks = 1ULL << 20,
	};
}

static inline int plan(struct cbt_geometry geo, struct cbt_geometry *ret)
{
	const char *why = "";
	int error = cbt_geometry_plan(&geo, &why);

	if (ret)
		*ret = geo;
	/* A refusal has a sentence. */
	return error && !*why ? 1 : error;
}

static inline struct cbt_super some_super(void)
{
	struct cbt_super s = {
		.id = { .lineage = 2 },
		.generation = 3,
		.sequence = 41,
		.flags = CBT_DISK_CLEAN,
		.epoch = 12,
		.committed = 9,
		.log_sequence = 77,
		.frozen_epoch = 11,
		.fingerprint_seed = 5,
		.fingerprint = 0x0123456789abcdefULL,
		.geo = some_geometry(),
	};

	(void)plan(s.geo, &s.geo);
	memset(s.id.uuid, 0xa1, 16);
	memset(s.frozen_uuid, 0xb2, 16);
	memset(s.base_uuid, 0xc3, 16);
	memset(s.label, 'l', sizeof(s.label));
	for (u8 i = 0; i < 20; i++) {
		u8 epoch[16] = { i + 1 };

		cbt_super_add_outcome(&s, epoch, i + 1, 1 + i % 2);
	}
	return s;
}

/* ---- a store in memory ---- */

struct disk {
	u64 nr_blocks;
	u8 **blocks; /* NULL: zeroes */
	u64 nr_reads;
	u64 fail_at; /* the read that fails, from 1 */
	bool outside; /* something was read that is not there */
};

static inline u8 *disk_block(struct disk *d, u64 at)
{
	if (!d->blocks[at])
		d->blocks[at] = calloc(1, BLOCK);
	return d->blocks[at];
}

static inline void disk_init(struct disk *d, u64 nr_blocks)
{
	*d = (struct disk){ .nr_blocks = nr_blocks };
	d->blocks = calloc(nr_blocks, sizeof(*d->blocks));
}

static inline void disk_exit(struct disk *d)
{
	for (u64 i = 0; i < d->nr_blocks; i++)
		free(d->blocks[i]);
	free(d->blocks);
}

static inline int disk_read(void *context, u64 start, u32 nr, void *buffer)
{
	struct disk *d = context;

	if (++d->nr_reads == d->fail_at)
		return -EIO;
	for (u32 i = 0; i < nr; i++) {
		if (start + i >= d->nr_blocks) {
			d->outside = true;
			return -EINVAL;
		}
		if (d->blocks[start + i])
			memcpy((u8 *)buffer + i * BLOCK, d->blocks[start + i], BLOCK);
		else
			memset((u8 *)buffer + i * BLOCK, 0, BLOCK);
	}
	return 0;
}

#endif
