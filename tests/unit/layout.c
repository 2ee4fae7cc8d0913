// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The bytes of a store (kmod/layout.c) in user space: what is encoded is decoded, what is damaged
 * is refused, and what a store says is dirty agrees with a stupid model, over random stores.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"

#include "count.h"
#include "layout.h"

#define BLOCK CBT_DISK_BLOCK

static u64 random_below(u64 *state, u64 n)
{
	return next_random(state) % n;
}

static bool one_in(u64 *state, u32 n)
{
	return random_below(state, n) == 0;
}

/* The CRC as uapi/cbt-disk.h says it. */
static void sign(void *block, size_t crc_offset)
{
	__le32 crc = 0;

	memcpy((u8 *)block + crc_offset, &crc, sizeof(crc));
	crc = cpu_to_le32(~crc32c(~0U, block, BLOCK));
	memcpy((u8 *)block + crc_offset, &crc, sizeof(crc));
}

#define SIGN(p) sign(p, offsetof(__typeof__(*(p)), crc))

TEST(crc32c_is_that_of_rfc_3720)
{
	u8 zeroes[32] = { 0 }, count[32];

	for (u8 i = 0; i < 32; i++)
		count[i] = i;
	EXPECT_EQ(0x8a9136aaU, ~crc32c(~0U, zeroes, 32));
	EXPECT_EQ(0x46dd794eU, ~crc32c(~0U, count, 32));
	EXPECT_EQ(0xe3069283U, ~crc32c(~0U, "123456789", 9));
}

/* ---- geometry ---- */

static struct cbt_geometry some_geometry(void)
{
	return (struct cbt_geometry){
		.size_sectors = 1ULL << 31,
		.block_sectors = 8,
		.region_sectors = CBT_REGION_SECTORS,
		.log_half_blocks = CBT_LOG_HALF_BLOCKS,
		.store_blocks = 1ULL << 20,
	};
}

static int plan(struct cbt_geometry geo, struct cbt_geometry *ret)
{
	const char *why = "";
	int error = cbt_geometry_plan(&geo, &why);

	if (ret)
		*ret = geo;
	/* A refusal has a sentence. */
	return error && !*why ? 1 : error;
}

TEST(a_plan_lays_the_parts_out_one_after_the_other)
{
	struct cbt_geometry geo;

	ASSERT_EQ(0, plan(some_geometry(), &geo));
	EXPECT_EQ(CBT_DISK_LOG_START + 2ULL * CBT_LOG_HALF_BLOCKS, geo.index_start);
	EXPECT_EQ(1U, geo.index_blocks);
	EXPECT_EQ(geo.index_start + 1, geo.map_start);
	EXPECT_EQ(8192U, geo.nr_leaves);
	EXPECT_EQ(geo.map_start + 2 * 8192, geo.diff_start);
	EXPECT_EQ((1ULL << 20) - geo.diff_start, geo.nr_diff_slots);
}

TEST(a_store_may_end_with_the_map_and_not_a_block_before)
{
	struct cbt_geometry geo = some_geometry(), least;

	geo.store_blocks = 0;
	EXPECT_EQ(-ENOSPC, plan(geo, &least));
	EXPECT_EQ(16U + 2048 + 1 + 16384, least.store_blocks);
	EXPECT_EQ(0, plan(least, &geo));
	EXPECT_EQ(0U, geo.nr_diff_slots);
	least.store_blocks--;
	EXPECT_EQ(-ENOSPC, plan(least, NULL));
}

TEST(diff_slots_are_tracking_blocks_aligned_to_their_size)
{
	struct cbt_geometry geo = some_geometry();

	for (geo.block_sectors = 8; geo.block_sectors <= 2048; geo.block_sectors *= 2) {
		struct cbt_geometry p;
		u64 slot = geo.block_sectors / 8;

		geo.region_sectors = 4 * geo.block_sectors;
		ASSERT_EQ(0, plan(geo, &p));
		EXPECT_EQ(0U, p.diff_start % slot);
		EXPECT_GE(p.diff_start, p.map_start + 2 * p.nr_leaves);
		EXPECT_LE(p.diff_start + p.nr_diff_slots * slot, p.store_blocks);
		EXPECT_GT(p.diff_start + (p.nr_diff_slots + 1) * slot, p.store_blocks);
	}
}

TEST(capacity_is_room_for_a_larger_disk)
{
	struct cbt_geometry geo = some_geometry();

	geo.nr_leaves = 20000;
	ASSERT_EQ(0, plan(geo, &geo));
	EXPECT_EQ(20000U, geo.nr_leaves);
	EXPECT_EQ(2U, geo.index_blocks);
	geo.nr_leaves = CBT_MAP_BLOCKS_MAX / CBT_DISK_LEAF_BLOCKS + 1;
	EXPECT_EQ(-EFBIG, plan(geo, NULL));
}

TEST(parameters_out_of_range_are_refused)
{
	static const u32 bad_blocks[] = { 0, 1, 4, 7, 9, 12, 2047, 4096, 1U << 31 };
	static const u32 bad_regions[] = { 0, 8, 16, 31, 33, 12288, 8 * 32768, 1U << 31 };
	static const u64 bad_halves[] = { 0, 7, (1ULL << 20) + 1, ~0ULL };
	static const u64 bad_sizes[] = { (CBT_MAP_BLOCKS_MAX * 8) + 1, 1ULL << 63, ~0ULL };

	for (size_t i = 0; i < sizeof(bad_blocks) / 4; i++) {
		struct cbt_geometry geo = some_geometry();

		geo.block_sectors = bad_blocks[i];
		EXPECT_EQ(-EINVAL, plan(geo, NULL));
	}
	for (size_t i = 0; i < sizeof(bad_regions) / 4; i++) {
		struct cbt_geometry geo = some_geometry();

		geo.region_sectors = bad_regions[i];
		EXPECT_EQ(-EINVAL, plan(geo, NULL)) TH_LOG("region of %u", bad_regions[i]);
	}
	for (size_t i = 0; i < sizeof(bad_halves) / 8; i++) {
		struct cbt_geometry geo = some_geometry();

		geo.log_half_blocks = bad_halves[i];
		EXPECT_EQ(-EINVAL, plan(geo, NULL));
	}
	for (size_t i = 0; i < sizeof(bad_sizes) / 8; i++) {
		struct cbt_geometry geo = some_geometry();

		geo.size_sectors = bad_sizes[i];
		EXPECT_EQ(-EFBIG, plan(geo, NULL));
	}
}

TEST(the_limits_themselves_are_taken)
{
	struct cbt_geometry geo = some_geometry(), p;

	geo.region_sectors = 4 * 8;
	geo.log_half_blocks = 8;
	EXPECT_EQ(0, plan(geo, NULL));
	geo.region_sectors = CBT_DISK_BITS * 8;
	geo.log_half_blocks = 1U << 20;
	geo.store_blocks = 1ULL << 30;
	geo.size_sectors = CBT_MAP_BLOCKS_MAX * 8;
	ASSERT_EQ(0, plan(geo, &p));
	EXPECT_EQ(CBT_MAP_BLOCKS_MAX / CBT_DISK_LEAF_BLOCKS, p.nr_leaves);
	geo.size_sectors = 1;
	ASSERT_EQ(0, plan(geo, &p));
	EXPECT_EQ(1U, p.nr_leaves);
	geo.size_sectors = 0;
	EXPECT_EQ(-EINVAL, plan(geo, NULL));
}

/* ---- superblock ---- */

static struct cbt_super some_super(void)
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

FIXTURE(super)
{
	struct cbt_super super, decoded;
	struct cbt_disk_super block;
	const char *why;
};

FIXTURE_SETUP(super)
{
	memset(self, 0, sizeof(*self));
	self->super = some_super();
	cbt_super_encode(&self->super, &self->block);
}

FIXTURE_TEARDOWN(super)
{
}

TEST_F(super, what_is_encoded_is_decoded)
{
	ASSERT_EQ(0, cbt_super_decode(&self->decoded, &self->block, &self->why));
	EXPECT_EQ(0, memcmp(&self->super, &self->decoded, sizeof(self->super)));
}

TEST_F(super, its_bytes_stand_where_the_header_says)
{
	const u8 *b = (const u8 *)&self->block;

	EXPECT_EQ(0, memcmp(b, "DMCBT-S1", 8));
	EXPECT_EQ(1, b[8]);
	EXPECT_EQ(0xa1, b[16]);
	EXPECT_EQ(3, b[32]);
	EXPECT_EQ(2, b[40]);
	EXPECT_EQ(41, b[48]);
	EXPECT_EQ('l', b[736]);
	EXPECT_EQ('l', b[736 + 511]);
	EXPECT_EQ(0, b[BLOCK - 1]);
}

TEST_F(super, every_flipped_bit_is_noticed)
{
	u8 *bytes = (u8 *)&self->block;

	for (u32 bit = 0; bit < 8 * BLOCK; bit++) {
		int error;

		bytes[bit / 8] ^= 1 << bit % 8;
		error = cbt_super_decode(&self->decoded, &self->block, &self->why);
		EXPECT_EQ(bit < 64 ? -ENODATA : -EBADMSG, error);
		bytes[bit / 8] ^= 1 << bit % 8;
	}
}

TEST_F(super, torn_at_any_sector_it_is_one_of_the_two_or_refused)
{
	struct cbt_super next = self->super;
	struct cbt_disk_super old = self->block, new;

	next.sequence += 2;
	next.label[511] = 'n';
	cbt_super_encode(&next, &new);
	for (u32 sectors = 1; sectors < 8; sectors++) {
		self->block = old;
		memcpy(&self->block, &new, sectors * 512);
		if (!memcmp(&self->block, &new, BLOCK))
			continue;
		EXPECT_EQ(-EBADMSG,
			  cbt_super_decode(&self->decoded, &self->block, &self->why));
	}
}

TEST_F(super, another_version_is_not_taken_for_damage)
{
	self->block.version = cpu_to_le32(2);
	SIGN(&self->block);
	EXPECT_EQ(-EPROTO, cbt_super_decode(&self->decoded, &self->block, &self->why));
	EXPECT_NE(NULL, strstr(self->why, "version"));
}

/* Signed, but one field makes no sense. */
#define REFUSED(field, value)                                                                \
	do {                                                                                 \
		__typeof__(self->block.field) was_ = self->block.field;                      \
		self->block.field = value;                                                   \
		SIGN(&self->block);                                                          \
		self->why = NULL;                                                            \
		EXPECT_EQ(-EINVAL, cbt_super_decode(&self->decoded, &self->block, &self->why)) \
			TH_LOG("%s", #field " = " #value);                                   \
		EXPECT_NE(NULL, self->why);                                                  \
		self->block.field = was_;                                                    \
	} while (0)

TEST_F(super, fields_that_contradict_each_other_are_refused)
{
	REFUSED(generation, cpu_to_le64(1));
	REFUSED(generation, cpu_to_le64(1ULL << 62));
	REFUSED(lineage, 0);
	REFUSED(lineage, cpu_to_le64(4));
	REFUSED(epoch, 0);
	REFUSED(epoch, cpu_to_le64(1ULL << 62));
	REFUSED(sequence, cpu_to_le64(1ULL << 62));
	REFUSED(log_sequence, cpu_to_le64(~0ULL));
	REFUSED(committed, cpu_to_le64(12));
	REFUSED(frozen_epoch, cpu_to_le64(12));
	REFUSED(frozen_epoch, cpu_to_le64(9));
	REFUSED(size_sectors, 0);
	REFUSED(size_sectors, cpu_to_le64(1ULL << 62));
	REFUSED(size_sectors, cpu_to_le64(1ULL << 33));
	REFUSED(block_sectors, cpu_to_le32(12));
	REFUSED(block_sectors, cpu_to_le32(4096));
	REFUSED(region_sectors, cpu_to_le32(8));
	REFUSED(store_blocks, 0);
	REFUSED(store_blocks, cpu_to_le64(~0ULL));
	REFUSED(store_blocks, cpu_to_le64((1ULL << 20) + 1));
	REFUSED(log_half_blocks, 0);
	REFUSED(log_half_blocks, cpu_to_le64(CBT_LOG_HALF_BLOCKS + 1));
	REFUSED(index_start, cpu_to_le64(16));
	REFUSED(index_blocks, cpu_to_le64(2));
	REFUSED(map_start, cpu_to_le64(17));
	REFUSED(nr_leaves, cpu_to_le64(8191));
	REFUSED(nr_leaves, cpu_to_le64(8193));
	REFUSED(nr_leaves, cpu_to_le64(~0ULL));
	REFUSED(diff_start, 0);
	REFUSED(nr_diff_slots, 0);
	REFUSED(nr_diff_slots, cpu_to_le64(~0ULL));
	SIGN(&self->block);
	EXPECT_EQ(0, cbt_super_decode(&self->decoded, &self->block, &self->why));
}

TEST_F(super, the_last_sixteen_outcomes_are_remembered)
{
	for (u8 i = 0; i < 20; i++) {
		u8 epoch[16] = { i + 1 };

		EXPECT_EQ(i < 4 ? 0U : 1U + i % 2, cbt_super_find_outcome(&self->super, epoch));
	}
}

static void next_outcome_wraps(struct cbt_super *s, const u8 epoch[16])
{
	s->nr_outcomes = ~0U;
	cbt_super_add_outcome(s, epoch, 1, CBT_DISK_COMMITTED);
}

TEST_F(super, the_count_of_outcomes_may_wrap_around)
{
	const u8 epoch[16] = { 0xee };

	next_outcome_wraps(&self->super, epoch);
	EXPECT_EQ(0U, self->super.nr_outcomes);
	EXPECT_EQ((u32)CBT_DISK_COMMITTED, cbt_super_find_outcome(&self->super, epoch));
}

/* ---- a store in memory ---- */

struct disk {
	u64 nr_blocks;
	u8 **blocks; /* NULL: zeroes */
	u64 nr_reads;
	u64 fail_at; /* the read that fails, from 1 */
	bool outside; /* something was read that is not there */
};

static u8 *disk_block(struct disk *d, u64 at)
{
	if (!d->blocks[at])
		d->blocks[at] = calloc(1, BLOCK);
	return d->blocks[at];
}

static void disk_init(struct disk *d, u64 nr_blocks)
{
	*d = (struct disk){ .nr_blocks = nr_blocks };
	d->blocks = calloc(nr_blocks, sizeof(*d->blocks));
}

static void disk_exit(struct disk *d)
{
	for (u64 i = 0; i < d->nr_blocks; i++)
		free(d->blocks[i]);
	free(d->blocks);
}

static int disk_read(void *context, u64 start, u32 nr, void *buffer)
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

/* ---- which superblock counts ---- */

FIXTURE(slots)
{
	struct disk disk;
	struct cbt_super super, slots[CBT_DISK_SUPER_SLOTS];
	u8 buffer[BLOCK];
	const char *why;
	int error;
};

FIXTURE_SETUP(slots)
{
	memset(self, 0, sizeof(*self));
	disk_init(&self->disk, CBT_DISK_LOG_START);
	self->super = some_super();
	for (u64 sequence = 40; sequence < 42; sequence++) {
		self->super.sequence = sequence;
		cbt_super_encode(&self->super,
				 disk_block(&self->disk, cbt_super_slot(sequence)));
	}
}

FIXTURE_TEARDOWN(slots)
{
	disk_exit(&self->disk);
}

#define RECOVER_SUPER()                                                                \
	cbt_recover_super(self->slots, disk_read, &self->disk, self->buffer, &self->error, \
			  &self->why)

TEST_F(slots, the_higher_sequence_counts)
{
	ASSERT_NE(NULL, RECOVER_SUPER());
	EXPECT_EQ(41U, RECOVER_SUPER()->sequence);
	self->super.sequence = 42;
	cbt_super_encode(&self->super, disk_block(&self->disk, cbt_super_slot(42)));
	EXPECT_EQ(42U, RECOVER_SUPER()->sequence);
}

TEST_F(slots, a_damaged_one_leaves_the_other)
{
	disk_block(&self->disk, cbt_super_slot(41))[100] ^= 1;
	ASSERT_NE(NULL, RECOVER_SUPER());
	EXPECT_EQ(40U, RECOVER_SUPER()->sequence);
}

TEST_F(slots, one_that_cannot_be_read_leaves_the_other)
{
	self->disk.fail_at = 1;
	ASSERT_NE(NULL, RECOVER_SUPER());
	EXPECT_EQ(41U, RECOVER_SUPER()->sequence);
}

TEST_F(slots, the_sentence_is_that_of_the_error)
{
	disk_block(&self->disk, 0)[100] ^= 1;
	memset(disk_block(&self->disk, 8), 0, BLOCK);
	EXPECT_EQ(NULL, RECOVER_SUPER());
	EXPECT_EQ(-EBADMSG, self->error);
	EXPECT_NE(NULL, strstr(self->why, "damaged"));

	memcpy(disk_block(&self->disk, 8), disk_block(&self->disk, 0), BLOCK);
	memset(disk_block(&self->disk, 0), 0, BLOCK);
	EXPECT_EQ(NULL, RECOVER_SUPER());
	EXPECT_EQ(-EBADMSG, self->error);
	EXPECT_NE(NULL, strstr(self->why, "damaged"));

	self->disk.fail_at = self->disk.nr_reads + 1;
	EXPECT_EQ(NULL, RECOVER_SUPER());
	EXPECT_EQ(-EIO, self->error);
	EXPECT_NE(NULL, strstr(self->why, "read"));
}

TEST_F(slots, a_blank_device_holds_no_store)
{
	memset(disk_block(&self->disk, 0), 0, BLOCK);
	memset(disk_block(&self->disk, 8), 0, BLOCK);
	EXPECT_EQ(NULL, RECOVER_SUPER());
	EXPECT_EQ(-ENODATA, self->error);
}

/* ---- log blocks ---- */

FIXTURE(log)
{
	struct cbt_super super;
	struct cbt_disk_log log;
};

FIXTURE_SETUP(log)
{
	self->super = some_super();
	cbt_log_begin(&self->log, &self->super.id, 78, 5, 12);
	EXPECT_TRUE(cbt_log_add(&self->log, 100, 4, false));
	cbt_log_seal(&self->log);
}

FIXTURE_TEARDOWN(log)
{
}

TEST_F(log, is_live_at_its_place_only)
{
	EXPECT_TRUE(cbt_log_is_live(&self->log, &self->super, 0, 5));
	EXPECT_FALSE(cbt_log_is_live(&self->log, &self->super, 1, 5));
	EXPECT_FALSE(cbt_log_is_live(&self->log, &self->super, 0, 4));
}

TEST_F(log, every_flipped_bit_kills_it)
{
	u8 *bytes = (u8 *)&self->log;

	for (u32 bit = 0; bit < 8 * BLOCK; bit++) {
		bytes[bit / 8] ^= 1 << bit % 8;
		EXPECT_FALSE(cbt_log_is_live(&self->log, &self->super, 0, 5));
		bytes[bit / 8] ^= 1 << bit % 8;
	}
}

TEST_F(log, lives_as_long_as_its_epoch_and_its_half)
{
	self->super.committed = 11;
	EXPECT_TRUE(cbt_log_is_live(&self->log, &self->super, 0, 5));
	self->super.committed = 12;
	EXPECT_FALSE(cbt_log_is_live(&self->log, &self->super, 0, 5));
	self->super.committed = 9;
	self->super.log_sequence = 78;
	EXPECT_TRUE(cbt_log_is_live(&self->log, &self->super, 0, 5));
	self->super.log_sequence = 79;
	EXPECT_FALSE(cbt_log_is_live(&self->log, &self->super, 0, 5));
}

TEST_F(log, a_child_generation_keeps_it_alive)
{
	self->super.generation++;
	EXPECT_TRUE(cbt_log_is_live(&self->log, &self->super, 0, 5));
}

TEST_F(log, of_another_tracker_or_lineage_is_dead)
{
	self->super.id.lineage++;
	EXPECT_FALSE(cbt_log_is_live(&self->log, &self->super, 0, 5));
	self->super.id.lineage--;
	self->super.id.uuid[15] ^= 1;
	EXPECT_FALSE(cbt_log_is_live(&self->log, &self->super, 0, 5));
}

TEST_F(log, takes_252_records_and_no_more)
{
	cbt_log_begin(&self->log, &self->super.id, 78, 5, 12);
	for (u32 i = 0; i < CBT_DISK_RECORDS; i++)
		ASSERT_TRUE(cbt_log_add(&self->log, i, 1, true));
	EXPECT_FALSE(cbt_log_add(&self->log, 1, 1, false));
	cbt_log_seal(&self->log);
	EXPECT_TRUE(cbt_log_is_live(&self->log, &self->super, 0, 5));
	self->log.nr_records = cpu_to_le32(CBT_DISK_RECORDS + 1);
	SIGN(&self->log);
	EXPECT_FALSE(cbt_log_is_live(&self->log, &self->super, 0, 5));
}

/* ---- map pages and index blocks ---- */

FIXTURE(bits)
{
	struct cbt_super super;
	struct cbt_disk_bits block;
};

FIXTURE_SETUP(bits)
{
	memset(self, 0, sizeof(*self));
	self->super = some_super();
	self->block.bits[7] = cpu_to_le64(0xf0);
	self->block.suspect[3] = 1;
	cbt_bits_encode(&self->block, CBT_DISK_MAP_MAGIC, &self->super.id, 9, 12);
}

FIXTURE_TEARDOWN(bits)
{
}

#define STATE(magic, number) cbt_bits_state(&self->block, magic, &self->super, number)

TEST_F(bits, a_page_is_live_until_its_epoch_is_committed)
{
	EXPECT_EQ(CBT_BITS_LIVE, STATE(CBT_DISK_MAP_MAGIC, 9));
	self->super.committed = 12;
	EXPECT_EQ(CBT_BITS_CLEAN, STATE(CBT_DISK_MAP_MAGIC, 9));
}

TEST_F(bits, an_index_block_outlives_epochs)
{
	cbt_bits_encode(&self->block, CBT_DISK_INDEX_MAGIC, &self->super.id, 0, 3);
	EXPECT_EQ(CBT_BITS_LIVE, STATE(CBT_DISK_INDEX_MAGIC, 0));
}

TEST_F(bits, of_another_tracker_or_lineage_is_clean)
{
	self->super.id.uuid[0] ^= 1;
	EXPECT_EQ(CBT_BITS_CLEAN, STATE(CBT_DISK_MAP_MAGIC, 9));
	self->super.id.uuid[0] ^= 1;
	self->super.id.lineage = 3;
	EXPECT_EQ(CBT_BITS_CLEAN, STATE(CBT_DISK_MAP_MAGIC, 9));
}

TEST_F(bits, what_is_not_where_it_belongs_is_damage)
{
	EXPECT_EQ(CBT_BITS_DAMAGED, STATE(CBT_DISK_MAP_MAGIC, 8));
	EXPECT_EQ(CBT_BITS_DAMAGED, STATE(CBT_DISK_INDEX_MAGIC, 9));
}

TEST_F(bits, every_flipped_bit_is_damage)
{
	u8 *bytes = (u8 *)&self->block;

	for (u32 bit = 0; bit < 8 * BLOCK; bit++) {
		bytes[bit / 8] ^= 1 << bit % 8;
		EXPECT_EQ(CBT_BITS_DAMAGED, STATE(CBT_DISK_MAP_MAGIC, 9));
		bytes[bit / 8] ^= 1 << bit % 8;
	}
}

TEST_F(bits, a_block_of_zeroes_was_never_written)
{
	memset(&self->block, 0, BLOCK);
	EXPECT_EQ(CBT_BITS_CLEAN, STATE(CBT_DISK_MAP_MAGIC, 9));
	EXPECT_EQ(CBT_BITS_CLEAN, STATE(CBT_DISK_INDEX_MAGIC, 9));
	((u8 *)&self->block)[BLOCK - 1] = 1;
	EXPECT_EQ(CBT_BITS_DAMAGED, STATE(CBT_DISK_MAP_MAGIC, 9));
}

/* ---- what a store says is dirty, against a model ---- */

#define NR_BLOCKS (3 * 32768 - 5000)
#define REGION_BLOCKS 128
#define NR_REGIONS ((NR_BLOCKS + REGION_BLOCKS - 1) / REGION_BLOCKS)
#define NR_LEAVES 3
#define CAPACITY 5 /* leaves */
#define HALF_BLOCKS 70

/* What is to be found, one byte a block, region and leaf. */
struct model {
	u8 dirty[NR_BLOCKS];
	u8 suspect[NR_REGIONS];
	u8 stale[NR_LEAVES];
	u64 epoch, log_sequence, nr_records, nr_damaged;
};

FIXTURE(recovery)
{
	struct disk disk;
	struct cbt_super super;
	struct cbt_map dirty, suspect;
	struct model model;
	u64 seed, state;
	unsigned long stale[1];
	u8 *buffer, *index;
};

static struct cbt_super small_super(void)
{
	struct cbt_super s = some_super();

	s.geo = (struct cbt_geometry){
		.size_sectors = NR_BLOCKS * 8 - 3,
		.block_sectors = 8,
		.region_sectors = REGION_BLOCKS * 8,
		.log_half_blocks = HALF_BLOCKS,
		.nr_leaves = CAPACITY,
		.store_blocks = CBT_DISK_LOG_START + 2 * HALF_BLOCKS + 1 + 2 * CAPACITY,
	};
	(void)plan(s.geo, &s.geo);
	return s;
}

FIXTURE_SETUP(recovery)
{
	memset(self, 0, sizeof(*self));
	self->super = small_super();
	self->seed = self->state = new_seed();
	disk_init(&self->disk, self->super.geo.store_blocks);
	ASSERT_EQ(0, cbt_map_init(&self->dirty, NR_BLOCKS));
	ASSERT_EQ(0, cbt_map_init(&self->suspect, NR_REGIONS));
	self->buffer = malloc(CBT_RECOVER_BLOCKS * BLOCK);
	self->index = malloc(BLOCK);
}

FIXTURE_TEARDOWN(recovery)
{
	disk_exit(&self->disk);
	cbt_map_exit(&self->dirty);
	cbt_map_exit(&self->suspect);
	free(self->buffer);
	free(self->index);
}

static void model_dirty(struct model *m, u64 start, u64 nr)
{
	for (u64 i = start; nr && i < NR_BLOCKS; i++, nr--)
		m->dirty[i] = 1;
}

static void model_suspect(struct model *m, u64 start, u64 nr)
{
	for (u64 i = start; nr && i < NR_BLOCKS; i++, nr--)
		m->suspect[i / REGION_BLOCKS] = 1;
}

static void model_damaged_page(struct model *m, u64 number)
{
	m->nr_damaged++;
	model_dirty(m, number * CBT_DISK_BITS, CBT_DISK_BITS);
	model_suspect(m, number * CBT_DISK_BITS, CBT_DISK_BITS);
	if (number / 2 < NR_LEAVES)
		m->stale[number / 2] = 1;
}

static void model_live_page(struct model *m, const struct cbt_disk_bits *page, u64 number)
{
	u64 start = number * CBT_DISK_BITS;

	m->epoch = max(m->epoch, (u64)le64_to_cpu(page->tag));
	for (u64 i = 0; i < CBT_DISK_BITS; i++)
		if (((const u8 *)page->bits)[i / 8] >> (i % 8) & 1)
			model_dirty(m, start + i, 1);
	for (u64 i = 0; i < CBT_DISK_BITS / REGION_BLOCKS; i++)
		if (page->suspect[i / 8] >> (i % 8) & 1)
			model_suspect(m, start + i * REGION_BLOCKS, REGION_BLOCKS);
}

static void random_bits(u64 *state, struct cbt_disk_bits *page)
{
	u32 density = 1 + random_below(state, 64);

	memset(page, 0, sizeof(*page));
	for (u32 i = 0; i < CBT_DISK_BITS / 64; i++)
		if (one_in(state, density))
			page->bits[i] = cpu_to_le64(next_random(state) | 1ULL << 63);
	for (u32 i = 0; i < 16; i++)
		page->suspect[random_below(state, sizeof(page->suspect))] =
			one_in(state, 2) ? 0 : next_random(state);
}

/* As after a power cut while @new replaced @old: each sector is the one's or the other's. */
static void tear(u64 *state, void *at, const void *old, const void *new)
{
	for (u32 sector = 0; sector < 8; sector++)
		memcpy((u8 *)at + sector * 512,
		       (const u8 *)(one_in(state, 2) ? old : new) + sector * 512, 512);
}

enum page_kind {
	PAGE_ZERO,
	PAGE_LIVE,
	PAGE_COMMITTED,
	PAGE_OTHER_TRACKER,
	PAGE_OTHER_LINEAGE,
	PAGE_FLIPPED,
	PAGE_MISPLACED,
	PAGE_INDEX,
	PAGE_TORN,
	NR_PAGE_KINDS
};

static void page_sign(struct cbt_disk_bits *page, enum page_kind kind, const struct cbt_super *s,
		      u64 number, u64 *state)
{
	struct cbt_identity id = s->id;
	u64 tag = s->committed + 1 + random_below(state, 6);

	if (kind == PAGE_COMMITTED)
		tag = 1 + random_below(state, s->committed);
	if (kind == PAGE_OTHER_TRACKER)
		id.uuid[random_below(state, 16)] ^= 1;
	if (kind == PAGE_OTHER_LINEAGE)
		id.lineage--;
	if (kind == PAGE_MISPLACED)
		number ^= 1 << random_below(state, 3);
	cbt_bits_encode(page, kind == PAGE_INDEX ? CBT_DISK_INDEX_MAGIC : CBT_DISK_MAP_MAGIC, &id,
			number, tag);
}

/* Puts a page of some kind at @at; returns whether it is PAGE_LIVE, _FLIPPED or of no effect. */
static enum page_kind page_make(struct cbt_disk_bits *at, const struct cbt_super *s, u64 number,
				u64 *state)
{
	enum page_kind kind = random_below(state, NR_PAGE_KINDS);
	struct cbt_disk_bits old, new;

	memset(at, 0, BLOCK);
	if (kind == PAGE_ZERO)
		return PAGE_ZERO;
	random_bits(state, at);
	if (kind != PAGE_TORN) {
		page_sign(at, kind, s, number, state);
		if (kind == PAGE_FLIPPED)
			((u8 *)at)[random_below(state, BLOCK)] ^= 1 << random_below(state, 8);
		return kind == PAGE_MISPLACED || kind == PAGE_INDEX ? PAGE_FLIPPED : kind;
	}
	old = new = *at;
	random_bits(state, &new);
	page_sign(&old, PAGE_COMMITTED, s, number, state);
	page_sign(&new, PAGE_LIVE, s, number, state);
	tear(state, at, &old, &new);
	if (!memcmp(at, &new, BLOCK))
		return PAGE_LIVE;
	return memcmp(at, &old, BLOCK) ? PAGE_FLIPPED : PAGE_COMMITTED;
}

/* Map and index. Damage to the index makes every page count, and its absence none. */
static void map_make(struct disk *disk, const struct cbt_super *s, struct model *m, u64 *state)
{
	struct cbt_disk_bits *index = (void *)disk_block(disk, s->geo.index_start);
	u64 named = random_below(state, 1 << CAPACITY);
	u32 fate = random_below(state, 8);

	memset(index, 0, BLOCK);
	if (fate) {
		index->bits[0] = cpu_to_le64(named);
		cbt_bits_encode(index, CBT_DISK_INDEX_MAGIC, &s->id, 0,
				1 + random_below(state, s->epoch));
	} else {
		named = 0;
	}
	if (fate == 1) {
		((u8 *)index)[random_below(state, BLOCK)] ^= 0x10;
		named = ~0ULL;
		m->nr_damaged++;
	}
	for (u64 number = 0; number < 2 * CAPACITY; number++) {
		struct cbt_disk_bits *page = (void *)disk_block(disk, s->geo.map_start + number);
		enum page_kind kind = page_make(page, s, number, state);

		if (!(named >> number / 2 & 1) || number / 2 >= NR_LEAVES)
			continue;
		if (kind == PAGE_LIVE)
			model_live_page(m, page, number);
		else if (kind == PAGE_FLIPPED)
			model_damaged_page(m, number);
	}
}

static void random_record(u64 *state, u64 *start, u64 *nr, bool *region)
{
	static const u64 longest[] = { 1, 2, 40, REGION_BLOCKS, 40000, NR_BLOCKS };

	*start = random_below(state, NR_BLOCKS + NR_BLOCKS / 16);
	*nr = random_below(state, longest[random_below(state, 6)] + 1);
	*region = one_in(state, 2);
	if (*region) {
		*start -= *start % REGION_BLOCKS;
		*nr = REGION_BLOCKS;
	}
	if (one_in(state, 40))
		*nr = CBT_DISK_REGION - 1;
	if (one_in(state, 40))
		*start = ~0ULL - random_below(state, 3);
}

static void model_record(struct model *m, u64 start, u64 nr, bool region)
{
	if (start >= NR_BLOCKS || !nr)
		return;
	nr = min(nr, NR_BLOCKS - start);
	m->nr_records++;
	model_dirty(m, start, nr);
	if (region)
		model_suspect(m, start, nr);
	for (u64 leaf = start / 32768; leaf <= (start + nr - 1) / 32768; leaf++)
		m->stale[leaf] = 1;
}

enum log_kind {
	LOG_ZERO,
	LOG_LIVE,
	LOG_RETIRED,
	LOG_COMMITTED,
	LOG_OTHER_HALF,
	LOG_OTHER_POSITION,
	LOG_OTHER_TRACKER,
	LOG_OTHER_LINEAGE,
	LOG_FLIPPED,
	LOG_TORN,
	NR_LOG_KINDS
};

static void log_begin(struct cbt_disk_log *log, enum log_kind kind, const struct cbt_super *s,
		      u32 half, u32 position, u64 *state)
{
	u64 first = s->log_sequence + ((s->log_sequence ^ half) & 1);
	u64 sequence = first + 2 * random_below(state, 2);
	u64 epoch = s->committed + 1 + random_below(state, 5);
	struct cbt_identity id = s->id;

	if (kind == LOG_RETIRED)
		sequence = first - 2;
	if (kind == LOG_OTHER_HALF)
		sequence++;
	if (kind == LOG_OTHER_POSITION)
		position++;
	if (kind == LOG_COMMITTED)
		epoch = s->committed - random_below(state, 2);
	if (kind == LOG_OTHER_TRACKER)
		id.uuid[random_below(state, 16)] ^= 0x80;
	if (kind == LOG_OTHER_LINEAGE)
		id.lineage++;
	cbt_log_begin(log, &id, sequence, position, epoch);
}

static void log_make(struct cbt_disk_log *at, const struct cbt_super *s, struct model *m, u32 half,
		     u32 position, u64 *state)
{
	enum log_kind kind = random_below(state, NR_LOG_KINDS);
	u32 nr = one_in(state, 16) ? CBT_DISK_RECORDS : random_below(state, 6);
	struct cbt_disk_log old, new;
	bool live = kind == LOG_LIVE;

	memset(at, 0, BLOCK);
	if (kind == LOG_ZERO || one_in(state, 2))
		return;
	log_begin(&new, kind, s, half, position, state);
	log_begin(&old, LOG_RETIRED, s, half, position, state);
	(void)cbt_log_add(&old, random_below(state, NR_BLOCKS), 50, false);
	cbt_log_seal(&old);
	for (u32 i = 0; i < nr; i++) {
		bool region;
		u64 start, blocks;

		random_record(state, &start, &blocks, &region);
		(void)cbt_log_add(&new, start, blocks, region);
	}
	cbt_log_seal(&new);
	memcpy(at, &new, BLOCK);
	if (kind == LOG_FLIPPED)
		((u8 *)at)[random_below(state, BLOCK)] ^= 4;
	if (kind == LOG_TORN) {
		tear(state, at, &old, &new);
		live = !memcmp(at, &new, BLOCK);
	}
	if (!live)
		return;
	m->epoch = max(m->epoch, (u64)le64_to_cpu(new.epoch));
	m->log_sequence = max(m->log_sequence, (u64)le64_to_cpu(new.sequence));
	for (u32 i = 0; i < nr; i++)
		model_record(m, le64_to_cpu(new.records[i].start),
			     le64_to_cpu(new.records[i].nr) & ~CBT_DISK_REGION,
			     le64_to_cpu(new.records[i].nr) >> 63);
}

static void store_make(struct disk *disk, struct cbt_super *s, struct model *m, u64 *state)
{
	memset(m, 0, sizeof(*m));
	s->log_sequence = 10 + random_below(state, 2);
	m->epoch = s->epoch;
	m->log_sequence = s->log_sequence;
	map_make(disk, s, m, state);
	/* Long records hide everything else: most stores have few. */
	if (one_in(state, 3))
		return;
	for (u32 i = 0; i < 2 * HALF_BLOCKS; i++) {
		struct cbt_disk_log *at = (void *)disk_block(disk, CBT_DISK_LOG_START + i);

		memset(at, 0, BLOCK);
		if (one_in(state, 10))
			log_make(at, s, m, i / HALF_BLOCKS, i % HALF_BLOCKS, state);
	}
}

static bool maps_agree(const struct cbt_map *map, const u8 *model, u64 nr)
{
	u64 nr_dirty = 0;

	for (u64 i = 0; i < nr; i++) {
		if (cbt_map_test(map, i) != model[i])
			return false;
		nr_dirty += model[i];
	}
	return nr_dirty == (u64)atomic64_read(&map->nr_dirty);
}

#define RECOVERY()                                                              \
	((struct cbt_recovery){                                                 \
		.super = self->super,                                           \
		.dirty = &self->dirty,                                          \
		.suspect = &self->suspect,                                      \
		.leaves_stale = self->stale,                                    \
	})

TEST_F(recovery, random_stores_agree_with_the_model)
{
	u64 required = required_count(300, 20000), done = 0;

	TH_LOG("seed=%llu", (unsigned long long)self->seed);
	for (; done < required; done++) {
		struct cbt_recovery r = RECOVERY();

		cbt_map_clear(&self->dirty);
		cbt_map_clear(&self->suspect);
		self->stale[0] = 0;
		for (u32 i = 0; i < 2 * HALF_BLOCKS; i++)
			memset(disk_block(&self->disk, CBT_DISK_LOG_START + i), 0, BLOCK);
		store_make(&self->disk, &self->super, &self->model, &self->state);
		r.super = self->super;
		ASSERT_EQ(0, cbt_recover(&r, disk_read, &self->disk, self->buffer, self->index));
		ASSERT_TRUE(maps_agree(&self->dirty, self->model.dirty, NR_BLOCKS));
		ASSERT_TRUE(maps_agree(&self->suspect, self->model.suspect, NR_REGIONS));
		for (u32 leaf = 0; leaf < NR_LEAVES; leaf++)
			ASSERT_EQ(self->model.stale[leaf], self->stale[0] >> leaf & 1);
		ASSERT_EQ(self->model.epoch, r.epoch);
		ASSERT_EQ(self->model.log_sequence, r.log_sequence);
		ASSERT_EQ(self->model.nr_records, r.nr_records);
		ASSERT_EQ(self->model.nr_damaged, r.nr_damaged);
	}
	EXPECT_FALSE(self->disk.outside);
	EXPECT_TRUE(enough_done(self->seed, done, required));
}

TEST_F(recovery, a_read_error_is_forwarded_whichever_read_it_is)
{
	u64 nr_reads;
	struct cbt_recovery r = RECOVERY();

	store_make(&self->disk, &self->super, &self->model, &self->state);
	r.super = self->super;
	ASSERT_EQ(0, cbt_recover(&r, disk_read, &self->disk, self->buffer, self->index));
	nr_reads = self->disk.nr_reads;
	EXPECT_LT(2U, nr_reads);
	for (u64 i = 1; i <= nr_reads; i++) {
		self->disk.nr_reads = 0;
		self->disk.fail_at = i;
		EXPECT_EQ(-EIO,
			  cbt_recover(&r, disk_read, &self->disk, self->buffer, self->index));
	}
}

TEST_F(recovery, of_a_formatted_store_is_clean)
{
	struct cbt_recovery r = RECOVERY();

	ASSERT_EQ(0, cbt_recover(&r, disk_read, &self->disk, self->buffer, self->index));
	EXPECT_EQ(0U, atomic64_read(&self->dirty.nr_dirty));
	EXPECT_EQ(0U, atomic64_read(&self->suspect.nr_dirty));
	EXPECT_EQ(0U, r.nr_damaged);
}

static void damage_all_of_it(struct disk *disk, u64 start, u64 nr)
{
	for (u64 i = 0; i < nr; i++)
		memset(disk_block(disk, start + i), 0x5a, BLOCK);
}

TEST_F(recovery, of_a_map_that_is_all_damaged_is_all_dirty_and_suspect)
{
	struct cbt_recovery r = RECOVERY();

	damage_all_of_it(&self->disk, self->super.geo.index_start, 1 + 2 * CAPACITY);
	ASSERT_EQ(0, cbt_recover(&r, disk_read, &self->disk, self->buffer, self->index));
	EXPECT_EQ((u64)NR_BLOCKS, (u64)atomic64_read(&self->dirty.nr_dirty));
	EXPECT_EQ((u64)NR_REGIONS, (u64)atomic64_read(&self->suspect.nr_dirty));
	EXPECT_EQ(1U + 2 * NR_LEAVES, r.nr_damaged);
	EXPECT_EQ((1U << NR_LEAVES) - 1, self->stale[0]);
}

TEST_F(recovery, does_without_a_list_of_stale_leaves)
{
	struct cbt_recovery r = RECOVERY();

	r.leaves_stale = NULL;
	damage_all_of_it(&self->disk, self->super.geo.index_start, 1 + 2 * CAPACITY);
	EXPECT_EQ(0, cbt_recover(&r, disk_read, &self->disk, self->buffer, self->index));
}

TEST(each_index_block_names_its_own_leaves)
{
	u64 leaf = CBT_DISK_BITS + 100, first = leaf * CBT_LEAF_BLOCKS + CBT_DISK_BITS + 5;
	struct cbt_super s = some_super();
	struct cbt_disk_bits *block;
	struct cbt_map dirty, suspect;
	struct cbt_recovery r = { .dirty = &dirty, .suspect = &suspect };
	u8 *buffer = malloc((CBT_RECOVER_BLOCKS + 1) * BLOCK);
	struct disk disk;

	s.geo.size_sectors = (u64)(CBT_DISK_BITS + 200) * CBT_LEAF_BLOCKS * 8;
	s.geo.nr_leaves = 0;
	ASSERT_EQ(0, plan(s.geo, &s.geo));
	ASSERT_EQ(2U, s.geo.index_blocks);
	r.super = s;
	disk_init(&disk, s.geo.store_blocks);
	ASSERT_EQ(0, cbt_map_init(&dirty, cbt_geometry_nr_blocks(&s.geo)));
	ASSERT_EQ(0, cbt_map_init(&suspect, cbt_geometry_nr_regions(&s.geo)));
	/* Its bits end with its block: what follows them must not be taken for more. */
	block = (void *)disk_block(&disk, s.geo.index_start);
	memset(block->suspect, 0xff, sizeof(block->suspect));
	cbt_bits_encode(block, CBT_DISK_INDEX_MAGIC, &s.id, 0, 12);
	memset(disk_block(&disk, s.geo.map_start + 2 * (leaf + 1)), 0x5a, BLOCK);
	block = (void *)disk_block(&disk, s.geo.index_start + 1);
	block->bits[100 / 64] = cpu_to_le64(1ULL << 100 % 64);
	cbt_bits_encode(block, CBT_DISK_INDEX_MAGIC, &s.id, 1, 12);
	block = (void *)disk_block(&disk, s.geo.map_start + 2 * leaf + 1);
	block->bits[0] = cpu_to_le64(1 << 5);
	cbt_bits_encode(block, CBT_DISK_MAP_MAGIC, &s.id, 2 * leaf + 1, 12);

	EXPECT_EQ(0, cbt_recover(&r, disk_read, &disk, buffer, buffer + CBT_RECOVER_BLOCKS * BLOCK));
	EXPECT_EQ(1U, atomic64_read(&dirty.nr_dirty));
	EXPECT_TRUE(cbt_map_test(&dirty, first));
	EXPECT_EQ(0U, r.nr_damaged);
	cbt_map_exit(&dirty);
	cbt_map_exit(&suspect);
	disk_exit(&disk);
	free(buffer);
}

TEST_HARNESS_MAIN
