// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/zero.c: whatever is split, putting it together again gives what was read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "lib/zero.h"

#include "kselftest_harness.h"

#define DISK_BYTES  (1U << 20)
#define EXTENTS_MAX 64U
#define UNIT	    512U
#define ROUNDS	    300U

static uint8_t disk[DISK_BYTES];
static uint8_t body[DISK_BYTES];
static uint8_t rebuilt[DISK_BYTES];

TEST(one_byte_anywhere_is_not_zero)
{
	static const size_t lengths[] = { 0, 1, 15, 16, 17, 512, 4096, 4097 };
	uint8_t buf[4097] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		size_t len = lengths[i];

		EXPECT_TRUE(is_zero(buf, len));
		for (size_t at = 0; at < len; at += 1 + at / 64) {
			buf[at] = 1;
			EXPECT_FALSE(is_zero(buf, len));
			buf[at] = 0;
		}
		if (len) {
			buf[len - 1] = 0x80;
			EXPECT_FALSE(is_zero(buf, len));
			buf[len - 1] = 0;
		}
	}
}

/* Zeroes, bytes, and runs of either that begin with the other. */
static void fill_disk(void)
{
	for (size_t at = 0; at < DISK_BYTES;) {
		size_t len = min_of(DISK_BYTES - at, (size_t)(1 + random() % 100) * UNIT);

		memset(disk + at, random() % 2 ? 0 : 0xa5, len);
		if (random() % 4 == 0)
			disk[at + (size_t)random() % len] ^= 0x10;
		at += len;
	}
}

/* Ascending, not touching; returns their number and gathers their contents in @body. */
static size_t take_extents(struct extent *extents)
{
	uint8_t *to = body;
	uint64_t at = 0;
	size_t nr = 0;

	while (nr < EXTENTS_MAX && nr < 1 + (size_t)random() % EXTENTS_MAX) {
		uint64_t offset = at + (uint64_t)(1 + random() % 40) * UNIT;
		uint64_t length = (uint64_t)(1 + random() % 300) * UNIT;

		if (offset + length > DISK_BYTES)
			break;
		extents[nr++] = (struct extent){ offset, length };
		memcpy(to, disk + offset, length);
		to += length;
		at = offset + length;
	}
	return nr;
}

static bool ascends(const struct extent *extents, size_t nr)
{
	for (size_t i = 1; i < nr; i++)
		if (extents[i].offset <= extents[i - 1].offset + extents[i - 1].length)
			return false;
	return true;
}

/* What a receiver makes of it, on a disk of another content. */
static void rebuild(const struct zero_split *split)
{
	const uint8_t *from = body;

	memset(rebuilt, 0x77, sizeof(rebuilt));
	for (size_t i = 0; i < split->nr_zero; i++)
		memset(rebuilt + split->zero[i].offset, 0, split->zero[i].length);
	for (size_t i = 0; i < split->nr_data; i++) {
		memcpy(rebuilt + split->data[i].offset, from, split->data[i].length);
		from += split->data[i].length;
	}
}

static bool is_rebuilt(const struct extent *extents, size_t nr)
{
	static uint8_t expected[DISK_BYTES];

	memset(expected, 0x77, sizeof(expected));
	for (size_t i = 0; i < nr; i++)
		memcpy(expected + extents[i].offset, disk + extents[i].offset, extents[i].length);
	return memcmp(expected, rebuilt, sizeof(expected)) == 0;
}

TEST(what_is_split_is_whole_again_on_the_other_side)
{
	const char *given = getenv("SEED");
	unsigned int seed = given ? (unsigned int)atoi(given) : (unsigned int)getpid();

	TH_LOG("seed=%u", seed);
	srandom(seed);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct extent extents[EXTENTS_MAX];
		struct extent data[EXTENTS_MAX];
		struct extent zero[EXTENTS_MAX];
		struct zero_split split = { .data = data, .zero = zero };
		size_t nr;

		fill_disk();
		nr = take_extents(extents);
		zero_split(extents, nr, body, max_of(nr, 1 + (size_t)random() % EXTENTS_MAX),
			   &split);
		rebuild(&split);
		ASSERT_TRUE(is_rebuilt(extents, nr));
		ASSERT_TRUE(ascends(data, split.nr_data));
		ASSERT_TRUE(ascends(zero, split.nr_zero));
	}
}

TEST(a_run_of_32_KiB_is_taken_out_and_a_shorter_one_is_not)
{
	static const size_t runs[] = { 32768, 32768 - 4096 };

	for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
		struct extent extents[] = { { 0, 131072 } };
		struct extent data[8];
		struct extent zero[8];
		struct zero_split split = { .data = data, .zero = zero };

		memset(body, 1, 131072);
		memset(body + 4096, 0, runs[i]);
		zero_split(extents, 1, body, ARRAY_SIZE(data), &split);
		EXPECT_EQ(runs[i] == 32768 ? 1 : 0, split.nr_zero);
		EXPECT_EQ(runs[i] == 32768 ? 2 : 1, split.nr_data);
	}
}

TEST_HARNESS_MAIN
