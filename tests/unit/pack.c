// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/lib/pack.c: what is packed comes out again; a frame that becomes anything but what was announced
 * is refused, and nothing is written beyond that.
 */
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "lib/pack.h"

#include "kselftest_harness.h"

#define BYTES 65536U

FIXTURE(pack)
{
	struct pack *pack;
	struct unpack *unpack;
	struct failure f;
	unsigned char *from;
	unsigned char *frame; /* pack_room(BYTES) */
	unsigned char *to;
	size_t len;
};

/* Text that shrinks. */
FIXTURE_SETUP(pack)
{
	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, pack_open(&self->pack, &self->f));
	ASSERT_EQ(0, unpack_open(&self->unpack, &self->f));
	self->from = malloc(BYTES);
	self->frame = malloc(pack_room(BYTES));
	self->to = malloc(BYTES);
	for (unsigned int i = 0; i < BYTES; i++)
		self->from[i] = (unsigned char)("block of text "[i % 14] + i / 4096);
	self->len = pack_data(self->pack, self->from, BYTES, self->frame);
	ASSERT_LT(0, self->len);
}

FIXTURE_TEARDOWN(pack)
{
	pack_close_at(&self->pack);
	unpack_close_at(&self->unpack);
	free(self->from);
	free(self->frame);
	free(self->to);
}

typedef FIXTURE_DATA(pack) pack_data_;

/* Memory of just those lengths, so that a byte beyond is found. */
static bool unpacks(pack_data_ *self, const void *frame, size_t len, size_t bytes)
{
	unsigned char *exact = malloc(len ? len : 1);
	unsigned char *to = malloc(bytes ? bytes : 1);
	bool done;

	memcpy(exact, frame, len);
	done = unpack_data(self->unpack, exact, len, to, bytes);
	free(exact);
	free(to);
	return done;
}

TEST_F(pack, what_is_packed_comes_out_again)
{
	EXPECT_GT(BYTES / 10, self->len);
	ASSERT_TRUE(unpack_data(self->unpack, self->frame, self->len, self->to, BYTES));
	EXPECT_EQ(0, memcmp(self->from, self->to, BYTES));
}

TEST_F(pack, a_frame_says_what_it_becomes_and_anything_else_nothing)
{
	EXPECT_EQ(BYTES, unpack_size(self->frame, self->len));
	EXPECT_EQ(0, unpack_size(self->frame, self->len - 1));
	EXPECT_EQ(0, unpack_size(self->from, BYTES));
	EXPECT_EQ(0, unpack_size(self->from, 0));
}

TEST_F(pack, what_does_not_shrink_is_not_packed)
{
	srand(1);
	for (unsigned int i = 0; i < BYTES; i++)
		self->from[i] = (unsigned char)(rand() >> 7);
	EXPECT_EQ(0, pack_data(self->pack, self->from, BYTES, self->frame));
}

TEST_F(pack, the_smallest_body_is_packed)
{
	size_t len = pack_data(self->pack, self->from, 512, self->frame);

	ASSERT_LT(0, len);
	EXPECT_TRUE(unpacks(self, self->frame, len, 512));
}

TEST_F(pack, a_frame_of_more_is_refused)
{
	EXPECT_FALSE(unpacks(self, self->frame, self->len, BYTES - 512));
	EXPECT_FALSE(unpacks(self, self->frame, self->len, 0));
}

TEST_F(pack, a_frame_of_less_is_refused)
{
	EXPECT_FALSE(unpacks(self, self->frame, self->len, BYTES + 512));
}

/* 64 MiB of zeroes in a few KiB, announced as what there is room for. */
TEST_F(pack, a_bomb_is_refused_and_writes_nothing_beyond)
{
	size_t huge = (size_t)64 << 20;
	void *zeroes = calloc(1, huge);
	size_t room = ZSTD_compressBound(huge);
	unsigned char *bomb = malloc(room);
	ZSTD_CCtx *context = ZSTD_createCCtx();
	ZSTD_outBuffer out = { bomb, room, 0 };
	ZSTD_inBuffer in = { zeroes, huge, 0 };
	size_t len = ZSTD_compress(bomb, room, zeroes, huge, 1);

	ASSERT_GT(BYTES, len);
	EXPECT_FALSE(unpacks(self, bomb, len, BYTES));

	/* the same, and it does not say how much it holds */
	while (ZSTD_compressStream2(context, &out, &in, in.pos == in.size ? ZSTD_e_end : ZSTD_e_flush))
		;
	EXPECT_EQ(ZSTD_CONTENTSIZE_UNKNOWN, ZSTD_getFrameContentSize(bomb, out.pos));
	EXPECT_FALSE(unpacks(self, bomb, out.pos, BYTES));

	/* and one that says less than it holds */
	len = ZSTD_compress(bomb, room, zeroes, BYTES + 100, 1);
	ASSERT_EQ(BYTES + 100, ZSTD_getFrameContentSize(bomb, len));
	ASSERT_EQ(0x60, bomb[4]); /* single segment, content size of 2 bytes */
	bomb[5] -= 100;
	EXPECT_EQ(BYTES, ZSTD_getFrameContentSize(bomb, len));
	EXPECT_FALSE(unpacks(self, bomb, len, BYTES));
	ZSTD_freeCCtx(context);
	free(zeroes);
	free(bomb);
}

TEST_F(pack, a_frame_that_is_cut_short_is_refused)
{
	for (size_t len = 0; len < self->len; len++)
		ASSERT_FALSE(unpacks(self, self->frame, len, BYTES));
}

TEST_F(pack, what_follows_a_frame_is_refused)
{
	static const unsigned char skipped[] = { 0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0 };

	self->frame[self->len] = 0;
	EXPECT_FALSE(unpacks(self, self->frame, self->len + 1, BYTES));
	memcpy(self->frame + self->len, skipped, sizeof(skipped));
	EXPECT_FALSE(unpacks(self, self->frame, self->len + sizeof(skipped), BYTES));
}

TEST_F(pack, two_frames_are_refused)
{
	size_t one = pack_data(self->pack, self->from, BYTES / 2, self->frame);
	size_t two = pack_data(self->pack, self->from, BYTES / 2, self->frame + one);

	EXPECT_FALSE(unpacks(self, self->frame, one + two, BYTES));
}

TEST_F(pack, a_frame_to_be_skipped_is_refused)
{
	static const unsigned char skipped[] = { 0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4 };

	EXPECT_FALSE(unpacks(self, skipped, sizeof(skipped), 0));
	EXPECT_FALSE(unpacks(self, skipped, sizeof(skipped), 512));
}

TEST_F(pack, a_frame_of_an_early_version_is_refused)
{
	self->frame[0] = 0x27; /* 0.7 */
	EXPECT_FALSE(unpacks(self, self->frame, self->len, BYTES));
}

/* Every bit of a frame: it is refused, or becomes something of the right length. */
TEST_F(pack, a_damaged_frame_harms_nothing)
{
	unsigned int nr_refused = 0;

	for (size_t bit = 0; bit < self->len * 8; bit++) {
		self->frame[bit / 8] ^= (unsigned char)(1 << bit % 8);
		nr_refused += !unpacks(self, self->frame, self->len, BYTES);
		self->frame[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	EXPECT_LT(self->len * 2, nr_refused);
	EXPECT_TRUE(unpacks(self, self->frame, self->len, BYTES));
}

TEST_HARNESS_MAIN
