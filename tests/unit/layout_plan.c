// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The parts of a store (kmod/layout.c): where a plan lays them, and what it refuses.
 */
#include "kselftest_harness.h"

#include "stores.h"

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

TEST_HARNESS_MAIN
