// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two CRC32Cs with different beginnings, over everything in order: this is to notice an
 * administrator's mistake, not an attack.
 */
#include <linux/blkdev.h>
#include <linux/crc32c.h>
#include <linux/highmem.h>

#include "buffer.h"
#include "fingerprint.h"

#define NR_SAMPLES	256
#define SAMPLE_SECTORS	8
#define END_SECTORS	2048		/* 1 MiB */
#define CHUNK_SECTORS	128		/* read at once */
#define CHUNK_SIZE	(CHUNK_SECTORS << SECTOR_SHIFT)

struct fingerprint {
	struct block_device *bdev;
	void *buffer;
	struct bio_vec vecs[CBT_BUFFER_VECS(CHUNK_SIZE)];
	u32 low, high;
};

static int take(struct fingerprint *f, u64 sector, u32 nr_sectors)
{
	u32 size = nr_sectors << SECTOR_SHIFT;
	struct bio bio;
	int error;

	bio_init(&bio, f->bdev, f->vecs, ARRAY_SIZE(f->vecs), REQ_OP_READ);
	bio.bi_iter.bi_sector = sector;
	cbt_bio_add_buffer(&bio, f->buffer, size);
	error = submit_bio_wait(&bio);
	bio_uninit(&bio);
	if (error)
		return error;
	cbt_buffer_was_read(f->buffer, size);
	f->low = crc32c(f->low, f->buffer, size);
	f->high = crc32c(f->high, f->buffer, size);
	return 0;
}

static int take_range(struct fingerprint *f, u64 sector, u64 end)
{
	int error = 0;

	for (; !error && sector < end; sector += CHUNK_SECTORS)
		error = take(f, sector, min(end - sector, (u64)CHUNK_SECTORS));
	return error;
}

/* splitmix64: from one number the next, well mixed. */
static u64 next_random(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

int cbt_fingerprint(struct block_device *bdev, u64 nr_sectors, u64 seed, u64 *ret)
{
	struct fingerprint f = { .bdev = bdev, .low = seed, .high = ~(seed >> 32) };
	u64 end = min(nr_sectors, (u64)END_SECTORS);
	u64 nr_places = nr_sectors / SAMPLE_SECTORS;
	int error;
	u32 i;

	f.buffer = __vmalloc(CHUNK_SIZE, GFP_NOIO);
	if (!f.buffer)
		return -ENOMEM;
	error = take_range(&f, 0, end);
	if (!error)
		error = take_range(&f, max(nr_sectors - end, end), nr_sectors);
	for (i = 0; !error && nr_places && i < NR_SAMPLES; i++) {
		u64 place;

		div64_u64_rem(next_random(&seed), nr_places, &place);
		error = take(&f, place * SAMPLE_SECTORS, SAMPLE_SECTORS);
	}
	vfree(f.buffer);
	if (!error)
		*ret = (u64)f.high << 32 | f.low;
	return error;
}
