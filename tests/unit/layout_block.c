// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Log blocks, map pages and index blocks (kmod/layout.c): when they are live, and what is damage.
 */
#include "kselftest_harness.h"

#include "stores.h"

TEST(crc32c_is_that_of_rfc_3720)
{
	u8 zeroes[32] = { 0 }, count[32];

	for (u8 i = 0; i < 32; i++)
		count[i] = i;
	EXPECT_EQ(0x8a9136aaU, ~crc32c(~0U, zeroes, 32));
	EXPECT_EQ(0x46dd794eU, ~crc32c(~0U, count, 32));
	EXPECT_EQ(0xe3069283U, ~crc32c(~0U, "123456789", 9));
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

TEST_HARNESS_MAIN
