// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Superblocks (kmod/layout.c): what is encoded is decoded, what is damaged is refused, and which
 * of the two slots counts.
 */
#include "kselftest_harness.h"

#include "stores.h"

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

/* 0: it is not among them. */
static u32 outcome_of(const struct cbt_super *super, const u8 epoch[16])
{
	for (u32 i = 0; i < CBT_DISK_OUTCOMES; i++)
		if (super->outcomes[i].result && !memcmp(super->outcomes[i].epoch_uuid, epoch, 16))
			return super->outcomes[i].result;
	return 0;
}

TEST_F(super, the_last_sixteen_outcomes_are_remembered)
{
	for (u8 i = 0; i < 20; i++) {
		u8 epoch[16] = { i + 1 };

		EXPECT_EQ(i < 4 ? 0U : 1U + i % 2, outcome_of(&self->super, epoch));
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
	EXPECT_EQ((u32)CBT_DISK_COMMITTED, outcome_of(&self->super, epoch));
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

TEST_HARNESS_MAIN
