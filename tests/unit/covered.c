// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/covered.c: what a worker says that its delta covers is read back as it was, or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/covered.h"

#include "kselftest_harness.h"

FIXTURE(covered)
{
	int fd;
	struct covered *out;
	struct extent_list lists[2];
};

FIXTURE_SETUP(covered)
{
	memset(self, 0, sizeof(*self));
	self->fd = memfd_create("covered", MFD_CLOEXEC);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, covered_open(self->fd, &self->out));
}

FIXTURE_TEARDOWN(covered)
{
	covered_close_at(&self->out);
	extent_list_free(&self->lists[0]);
	extent_list_free(&self->lists[1]);
	(void)close(self->fd);
}

static void add(struct covered *out, uint64_t disk, uint64_t offset, uint64_t length)
{
	const struct extent extent = { offset, length };

	covered_add(out, disk, &extent, 1);
}

TEST_F(covered, extents_in_any_order_that_overlap_become_a_list)
{
	add(self->out, 1, 8192, 4096);
	add(self->out, 0, 65536, 512);
	add(self->out, 1, 0, 4096);
	add(self->out, 1, 2048, 8192);
	add(self->out, 1, 4096, 512);
	ASSERT_EQ(0, covered_end(self->out));
	ASSERT_EQ(0, covered_read(self->fd, 2, self->lists));
	ASSERT_EQ(1, self->lists[0].nr);
	EXPECT_EQ(65536, self->lists[0].extents[0].offset);
	EXPECT_EQ(512, self->lists[0].total);
	ASSERT_EQ(1, self->lists[1].nr);
	EXPECT_EQ(0, self->lists[1].extents[0].offset);
	EXPECT_EQ(12288, self->lists[1].total);
}

TEST_F(covered, many_more_than_are_held_back_are_all_written)
{
	for (uint64_t i = 0; i < 5000; i++)
		add(self->out, i % 2, i * 8192, 4096);
	ASSERT_EQ(0, covered_end(self->out));
	ASSERT_EQ(0, covered_read(self->fd, 2, self->lists));
	EXPECT_EQ(2500, self->lists[0].nr);
	EXPECT_EQ(2500, self->lists[1].nr);
	EXPECT_EQ(2500 * 4096, self->lists[1].total);
}

TEST_F(covered, a_delta_of_nothing_covers_nothing)
{
	ASSERT_EQ(0, covered_end(self->out));
	ASSERT_EQ(0, covered_read(self->fd, 2, self->lists));
	EXPECT_EQ(0, self->lists[0].nr + self->lists[1].nr);
}

TEST_F(covered, without_its_end_it_says_nothing)
{
	EXPECT_EQ(-ENODATA, covered_read(self->fd, 2, self->lists));
	for (uint64_t i = 0; i < 1025; i++)
		add(self->out, 0, i * 8192, 4096);
	/* The first thousand are in the file. */
	EXPECT_LT(0, lseek(self->fd, 0, SEEK_CUR));
	EXPECT_EQ(-ENODATA, covered_read(self->fd, 2, self->lists));
	ASSERT_EQ(0, covered_end(self->out));
	ASSERT_EQ(0, ftruncate(self->fd, lseek(self->fd, 0, SEEK_CUR) - 24));
	EXPECT_EQ(-ENODATA, covered_read(self->fd, 2, self->lists));
	EXPECT_EQ(0, self->lists[0].nr);
}

TEST_F(covered, a_disk_or_an_extent_that_cannot_be_is_refused)
{
	add(self->out, 2, 0, 4096);
	ASSERT_EQ(0, covered_end(self->out));
	EXPECT_EQ(-EBADMSG, covered_read(self->fd, 2, self->lists));
}

TEST_F(covered, an_extent_beyond_the_largest_offset_is_refused)
{
	add(self->out, 0, UINT64_MAX - 511, 4096);
	ASSERT_EQ(0, covered_end(self->out));
	EXPECT_EQ(-EBADMSG, covered_read(self->fd, 2, self->lists));
}

TEST_F(covered, what_cannot_be_written_is_told_at_the_end)
{
	(void)close(self->fd);
	self->fd = memfd_create("covered", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	covered_close_at(&self->out);
	ASSERT_EQ(0, covered_open(self->fd, &self->out));
	ASSERT_EQ(0, fcntl(self->fd, F_ADD_SEALS, F_SEAL_WRITE));
	add(self->out, 0, 0, 4096);
	EXPECT_EQ(-EPERM, covered_end(self->out));
	EXPECT_EQ(-ENODATA, covered_read(self->fd, 2, self->lists));
}

TEST_HARNESS_MAIN
