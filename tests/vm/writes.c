// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Invariant I2: every kind of write marks exactly the blocks that it touches, rounded outwards.
 *
 * vm: disk=1G
 */
#include "tracked.h"

#include "kselftest_harness.h"

#define LEAF 32768ULL /* blocks */

FIXTURE(writes)
{
	struct nl *nl;
	int fd;
	char *buffer;
};

FIXTURE_VARIANT(writes)
{
	const char *options;
	uint64_t block; /* bytes */
};

FIXTURE_VARIANT_ADD(writes, blocks_of_4k)
{
	.options = "", .block = 4096,
};

FIXTURE_VARIANT_ADD(writes, blocks_of_64k)
{
	.options = "2 block_size 128", .block = 65536,
};

FIXTURE_VARIANT_ADD(writes, blocks_of_1m)
{
	.options = "2 block_size 2048", .block = 1 << 20,
};

FIXTURE_SETUP(writes)
{
	track_device("cbt-writes", "/dev/vda", variant->options);
	self->nl = open_netlink();
	self->fd = open_device("cbt-writes", O_RDWR | O_DIRECT);
	self->buffer = new_buffer(1 << 20);
}

FIXTURE_TEARDOWN(writes)
{
	close(self->fd);
	nl_close_at(&self->nl);
	free(self->buffer);
	unmap_device("cbt-writes");
}

/* What the map should say of bytes [offset, offset + length). */
static const char *touched(uint64_t offset, uint64_t length, uint64_t block)
{
	static char text[64];
	uint64_t first = offset / block, last = (offset + length - 1) / block;

	snprintf(text, sizeof(text), "%llu+%llu ", (unsigned long long)first,
		 (unsigned long long)(last - first + 1));
	return text;
}

#define EXPECT_TOUCHED(offset, length)                                                     \
	do {                                                                               \
		EXPECT_STREQ(touched(offset, length, variant->block),                      \
			     map_text(self->nl, "cbt-writes", CBT_MAP_ACTIVE));            \
		forget_epoch(self->nl, "cbt-writes");                                      \
	} while (0)

static const struct piece {
	uint64_t offset;
	uint64_t length;
} pieces[] = {
	{ 0, 4096 },
	{ 7 * 4096, 4096 },
	{ 7 * 4096 + 512, 512 }, /* inside a block */
	{ 7 * 4096 + 3584, 1024 }, /* across a border */
	{ 65536 - 512, 65536 },
	{ 1048576 - 512, 1024 },
	{ LEAF * 4096 - 4096, 8192 }, /* across leaves of 4 KiB blocks */
	{ LEAF * 4096 - 512, 1 << 19 },
	{ (1ULL << 30) - 512, 512 }, /* the end of the disk */
};

TEST_F(writes, a_write_marks_what_it_touches)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(pieces); i++) {
		ASSERT_EQ((ssize_t)pieces[i].length,
			  pwrite(self->fd, self->buffer, pieces[i].length, pieces[i].offset));
		EXPECT_TOUCHED(pieces[i].offset, pieces[i].length);
	}
}

TEST_F(writes, a_synchronous_write_marks_what_it_touches)
{
	int fd = open_device("cbt-writes", O_RDWR | O_DIRECT | O_DSYNC);

	for (unsigned int i = 0; i < ARRAY_SIZE(pieces); i++) {
		EXPECT_EQ((ssize_t)pieces[i].length,
			  pwrite(fd, self->buffer, pieces[i].length, pieces[i].offset));
		EXPECT_TOUCHED(pieces[i].offset, pieces[i].length);
	}
	close(fd);
}

TEST_F(writes, a_flush_and_a_read_mark_nothing)
{
	EXPECT_EQ(0, fsync(self->fd));
	EXPECT_EQ(1 << 20, pread(self->fd, self->buffer, 1 << 20, 0));
	EXPECT_STREQ("", map_text(self->nl, "cbt-writes", CBT_MAP_ACTIVE));
}

static const struct piece long_pieces[] = {
	{ 4096, 8 << 20 }, /* 2048 blocks: dm-era records one */
	{ 512, 1 << 20 },
	{ 100 << 20, 300 << 20 }, /* some leaves wholly, two in part */
	{ 0, LEAF * 4096 }, /* one leaf to the block */
	{ LEAF * 4096 + 4096, 2 * LEAF * 4096 },
	{ 0, 1 << 30 }, /* the whole disk */
};

#define EXPECT_RANGES_TOUCHED(command)                                                       \
	do {                                                                                 \
		for (unsigned int i = 0; i < ARRAY_SIZE(long_pieces); i++) {                 \
			uint64_t range[2] = { long_pieces[i].offset, long_pieces[i].length }; \
                                                                                             \
			ASSERT_EQ(0, ioctl(self->fd, command, range))                        \
			{                                                                    \
				TH_LOG("piece %u: %m", i);                                   \
			}                                                                    \
			EXPECT_TOUCHED(long_pieces[i].offset, long_pieces[i].length);        \
		}                                                                            \
	} while (0)

TEST_F(writes, a_discard_marks_what_it_touches)
{
	EXPECT_RANGES_TOUCHED(BLKDISCARD);
}

TEST_F(writes, write_zeroes_marks_what_it_touches)
{
	EXPECT_RANGES_TOUCHED(BLKZEROOUT);
}

TEST_F(writes, a_secure_erase_marks_what_it_touches)
{
	uint64_t block[2] = { 0, 4096 };

	if (ioctl(self->fd, BLKSECDISCARD, block) < 0 && errno == EOPNOTSUPP)
		SKIP(return, "the device has no secure erase");
	forget_epoch(self->nl, "cbt-writes");
	EXPECT_RANGES_TOUCHED(BLKSECDISCARD);
}

/* A disk whose size is no multiple of the block: 1001 sectors and a bit. */
TEST(the_last_partial_block_counts)
{
	struct nl *nl = open_netlink();
	char *buffer = new_buffer(4096);
	uint64_t range[2] = { 0, 1003 * 512 };
	int fd;

	map_device("odd", "0 1003 linear /dev/vda 0");
	track_device("cbt-odd", "/dev/mapper/odd", "");
	fd = open_device("cbt-odd", O_RDWR | O_DIRECT);
	EXPECT_EQ(512, pwrite(fd, buffer, 512, 1002 * 512));
	EXPECT_STREQ("125+1 ", map_text(nl, "cbt-odd", CBT_MAP_ACTIVE));
	forget_epoch(nl, "cbt-odd");
	EXPECT_EQ(0, ioctl(fd, BLKDISCARD, range));
	EXPECT_STREQ("0+126 ", map_text(nl, "cbt-odd", CBT_MAP_ACTIVE));
	close(fd);
	free(buffer);
	unmap_device("cbt-odd");
	unmap_device("odd");
	nl_close_at(&nl);
}

TEST_HARNESS_MAIN
