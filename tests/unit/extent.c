// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/extent.c and user/lib/zero.c: lists of extents, and zeroes taken out of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/macro.h"
#include "lib/extent.h"
#include "lib/zero.h"

#include "kselftest_harness.h"

FIXTURE(list)
{
	struct extent_list list;
	struct failure f;
};

FIXTURE_SETUP(list)
{
	memset(self, 0, sizeof(*self));
}

FIXTURE_TEARDOWN(list)
{
	extent_list_free(&self->list);
}

TEST_F(list, adjacent_extents_are_merged)
{
	EXPECT_EQ(0, extent_push(&self->list, 4096, 4096));
	EXPECT_EQ(0, extent_push(&self->list, 8192, 512));
	EXPECT_EQ(0, extent_push(&self->list, 16384, 512));
	ASSERT_EQ(2, self->list.nr);
	EXPECT_EQ(4608, self->list.extents[0].length);
	EXPECT_EQ(5120, self->list.total);
}

TEST_F(list, a_push_that_overlaps_precedes_or_is_empty_changes_nothing)
{
	ASSERT_EQ(0, extent_push(&self->list, 4096, 4096));
	EXPECT_EQ(-EINVAL, extent_push(&self->list, 8191, 1));
	EXPECT_EQ(-EINVAL, extent_push(&self->list, 0, 512));
	EXPECT_EQ(-EINVAL, extent_push(&self->list, 9000, 0));
	EXPECT_EQ(1, self->list.nr);
	EXPECT_EQ(4096, self->list.total);
}

TEST_F(list, a_push_beyond_the_largest_offset_changes_nothing)
{
	EXPECT_EQ(-ERANGE, extent_push(&self->list, UINT64_MAX, 1));
	EXPECT_EQ(-ERANGE, extent_push(&self->list, 1, UINT64_MAX));
	EXPECT_EQ(-ERANGE, extent_push(&self->list, INT64_MAX, 1));
	EXPECT_EQ(0, self->list.nr);
	EXPECT_EQ(0, extent_push(&self->list, INT64_MAX - 1, 1));
}

TEST_F(list, grows_beyond_any_initial_room)
{
	for (uint64_t i = 0; i < 10000; i++)
		ASSERT_EQ(0, extent_push(&self->list, i * 1024, 512));
	EXPECT_EQ(10000, self->list.nr);
	EXPECT_EQ(9999 * 1024, self->list.extents[9999].offset);
}

TEST_F(list, clip_drops_what_lies_beyond)
{
	ASSERT_EQ(0, extent_push(&self->list, 0, 4096));
	ASSERT_EQ(0, extent_push(&self->list, 8192, 4096));
	ASSERT_EQ(0, extent_push(&self->list, 65536, 4096));
	extent_clip(&self->list, 8704);
	ASSERT_EQ(2, self->list.nr);
	EXPECT_EQ(512, self->list.extents[1].length);
	EXPECT_EQ(4608, self->list.total);
	extent_clip(&self->list, 8192);
	EXPECT_EQ(1, self->list.nr);
	extent_clip(&self->list, 0);
	EXPECT_EQ(0, self->list.nr);
	EXPECT_EQ(0, self->list.total);
}

static int parse(const char *text, struct extent_list *list, struct failure *f)
{
	return extent_parse(text, strlen(text), "FILE", list, f);
}

TEST_F(list, lines_comments_and_blanks_are_parsed)
{
	ASSERT_EQ(0, parse("# all\n\n0 512\n  1024\t512 \r\n1536 512", &self->list, &self->f));
	ASSERT_EQ(2, self->list.nr);
	EXPECT_EQ(1024, self->list.extents[1].offset);
	EXPECT_EQ(1024, self->list.extents[1].length);
}

TEST_F(list, each_wrong_line_is_named_by_its_number)
{
	static const struct {
		const char *text;
		const char *sentence;
	} cases[] = {
		{ "x", "line 1 of FILE is not \"OFFSET LENGTH\" in bytes" },
		{ "0 512\n512", "line 2 of FILE is not \"OFFSET LENGTH\" in bytes" },
		{ "0 -512", "line 1 of FILE is not \"OFFSET LENGTH\" in bytes" },
		{ "0x0 512", "line 1 of FILE is not \"OFFSET LENGTH\" in bytes" },
		{ "18446744073709551616 512", "line 1 of FILE is not \"OFFSET LENGTH\" in bytes" },
		{ "\n\n0 512 3", "line 3 of FILE has more than an offset and a length" },
		{ "0 511", "line 1 of FILE is not aligned to 512 bytes" },
		{ "1 512", "line 1 of FILE is not aligned to 512 bytes" },
		{ "512 512\n0 512", "line 2 of FILE overlaps or precedes the extent before it" },
		{ "0 1024\n512 512", "line 2 of FILE overlaps or precedes the extent before it" },
		{ "0 0", "line 1 of FILE has the length 0" },
		{ "9223372036854775296 1024", "line 1 of FILE ends beyond the largest offset" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		extent_list_free(&self->list);
		EXPECT_EQ(-EINVAL, parse(cases[i].text, &self->list, &self->f));
		EXPECT_STREQ(cases[i].sentence, self->f.text);
		EXPECT_EQ(CODE_INVALID_PARAMETER, self->f.code);
	}
}

TEST_F(list, text_need_not_end_in_nul)
{
	static const char text[] = { '0', ' ', '5', '1', '2' };

	EXPECT_EQ(0, extent_parse(text, sizeof(text), "FILE", &self->list, &self->f));
	EXPECT_EQ(512, self->list.total);
}

/* --- zeroes --- */

#define SPLIT_MAX 64

FIXTURE(zeroes)
{
	struct extent data[SPLIT_MAX];
	struct extent zero[SPLIT_MAX];
	struct zero_split split;
	uint8_t *body;
};

FIXTURE_SETUP(zeroes)
{
	self->split = (struct zero_split){ .data = self->data, .zero = self->zero };
	self->body = calloc(1, 1 << 20);
}

FIXTURE_TEARDOWN(zeroes)
{
	free(self->body);
}

TEST(is_zero_sees_a_byte_at_every_place)
{
	uint8_t buf[70] = { 0 };

	for (size_t len = 0; len <= sizeof(buf); len++) {
		EXPECT_TRUE(is_zero(buf, len));
		for (size_t i = 0; i < len; i++) {
			buf[i] = 1;
			EXPECT_FALSE(is_zero(buf, len));
			buf[i] = 0;
		}
	}
}

TEST_F(zeroes, an_extent_that_is_zero_throughout_is_zero_however_small)
{
	static const struct extent extents[] = { { 0, 4096 }, { 8192, 512 }, { 65536, 4096 } };

	self->body[4096 + 512] = 1;
	zero_split(extents, 3, self->body, SPLIT_MAX, &self->split);
	ASSERT_EQ(2, self->split.nr_zero);
	ASSERT_EQ(1, self->split.nr_data);
	EXPECT_EQ(65536, self->data[0].offset);
	EXPECT_EQ(4096, self->split.bytes_data);
	EXPECT_EQ(1, self->body[0]); /* moved to the start */
}

TEST_F(zeroes, a_long_run_inside_an_extent_is_taken_out_and_a_short_one_is_not)
{
	static const struct extent extent = { 1 << 20, 128 << 10 };

	self->body[0] = 1;
	self->body[8 << 10] = 2; /* 4 KiB of zeroes before */
	self->body[(128 << 10) - 1] = 3; /* more than 32 KiB before */
	zero_split(&extent, 1, self->body, SPLIT_MAX, &self->split);
	ASSERT_EQ(1, self->split.nr_zero);
	ASSERT_EQ(2, self->split.nr_data);
	EXPECT_EQ((1 << 20) + (12 << 10), self->zero[0].offset);
	EXPECT_EQ((128 - 4 - 12) << 10, self->zero[0].length);
	EXPECT_EQ(12 << 10, self->data[0].length);
	EXPECT_EQ(3, self->body[(16 << 10) - 1]);
}

/* Apply both lists to a disk of 0xff; what they cover must equal the source. */
TEST_F(zeroes, at_random_both_lists_together_are_the_source)
{
	unsigned int seed = getenv("SEED") ? (unsigned int)atoi(getenv("SEED"))
					   : (unsigned int)time(NULL);
	const int rounds = 300;
	uint8_t *disk = malloc(4 << 20), *want = malloc(4 << 20);
	int done;

	srand(seed);
	for (done = 0; done < rounds; done++) {
		size_t max = 2 + (size_t)rand() % (SPLIT_MAX - 2);
		size_t nr = 1 + (size_t)rand() % max;
		struct extent extents[SPLIT_MAX];
		size_t at = 0, used = 0, from = 0;

		memset(self->body, 0, 1 << 20);
		for (size_t i = 0; i < nr; i++) {
			size_t room = ((1 << 20) - used) / 512 / (nr - i);

			extents[i].offset = at + 512 * ((size_t)rand() % 16 + 1);
			extents[i].length = 512 * (1 + (size_t)rand() % (room ? room : 1));
			at = extents[i].offset + extents[i].length;
			used += extents[i].length;
		}
		for (int i = rand() % 8; i; i--)
			memset(self->body + (size_t)rand() % used, 0x77, 1);
		memset(disk, 0xff, 4 << 20);
		memset(want, 0xff, 4 << 20);
		for (size_t i = 0; i < nr; i++) {
			memcpy(want + extents[i].offset, self->body + from, extents[i].length);
			from += extents[i].length;
		}

		zero_split(extents, nr, self->body, max, &self->split);
		ASSERT_LE(self->split.nr_data, max);
		ASSERT_LE(self->split.nr_zero, max);
		from = 0;
		for (size_t i = 0; i < self->split.nr_data; i++) {
			memcpy(disk + self->data[i].offset, self->body + from,
			       self->data[i].length);
			from += self->data[i].length;
		}
		ASSERT_EQ(self->split.bytes_data, from);
		for (size_t i = 0; i < self->split.nr_zero; i++)
			memset(disk + self->zero[i].offset, 0, self->zero[i].length);
		ASSERT_EQ(0, memcmp(disk, want, 4 << 20)) TH_LOG("seed %u round %d", seed, done);
	}
	printf("# seed=%u done=%d/required=%d\n", seed, done, rounds);
	free(disk);
	free(want);
}

TEST_HARNESS_MAIN
