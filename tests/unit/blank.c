// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/blank.c: is there nothing on a disk yet? */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/blank.h"

#include "kselftest_harness.h"

#define MIB (UINT64_C(1) << 20)

static int new_disk(uint64_t size)
{
	int fd = memfd_create("disk", 0);

	return fd < 0 || ftruncate(fd, (off_t)size) < 0 ? -1 : fd;
}

static bool blank_with_a_byte_at(uint64_t size, uint64_t offset)
{
	cleanup_fd int fd = new_disk(size);

	return pwrite(fd, "x", 1, (off_t)offset) != 1 || blank_disk(fd, size);
}

TEST(zeroes_are_blank_whatever_the_size)
{
	static const uint64_t sizes[] = { 512, 4096, 128 << 10, MIB + 512, 77 * MIB };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		cleanup_fd int fd = new_disk(sizes[i]);

		EXPECT_TRUE(blank_disk(fd, sizes[i]));
	}
}

TEST(a_byte_at_the_beginning_or_the_end_is_found)
{
	EXPECT_FALSE(blank_with_a_byte_at(512, 511));
	EXPECT_FALSE(blank_with_a_byte_at(77 * MIB, 0));
	EXPECT_FALSE(blank_with_a_byte_at(77 * MIB, (128 << 10) - 1));
	EXPECT_FALSE(blank_with_a_byte_at(77 * MIB, 77 * MIB - (128 << 10)));
	EXPECT_FALSE(blank_with_a_byte_at(77 * MIB + 512, 77 * MIB + 511));
}

TEST(data_without_a_mark_at_its_ends_is_found_in_between)
{
	cleanup_fd int fd = new_disk(64 * MIB);
	uint8_t ones[4096] = { [0 ... 4095] = 1 };

	for (uint64_t at = 10 * MIB; at < 40 * MIB; at += sizeof(ones))
		ASSERT_EQ(sizeof(ones), pwrite(fd, ones, sizeof(ones), (off_t)at));
	EXPECT_FALSE(blank_disk(fd, 64 * MIB));
}

TEST(what_cannot_be_read_is_not_blank)
{
	cleanup_fd int fd = new_disk(MIB);

	EXPECT_FALSE(blank_disk(-1, MIB));
	EXPECT_FALSE(blank_disk(fd, 2 * MIB));
}

/* --- several, with a deadline --- */

/* A disk of this descriptor does not answer before it is told to. */
#define NONE 1000000
static atomic_int hanging = NONE;
static atomic_int read_us; /* that a read takes */

ssize_t pread(int fd, void *buf, size_t len, off_t offset)
{
	while (fd == hanging)
		(void)usleep(1000);
	(void)usleep((useconds_t)read_us);
	return syscall(SYS_pread64, fd, buf, len, offset);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

TEST(each_of_several_is_told)
{
	cleanup_fd int zeroes = new_disk(MIB);
	cleanup_fd int ones = new_disk(MIB);
	struct blank disks[] = { { zeroes, MIB, false }, { ones, MIB, true }, { zeroes, MIB / 2, false } };
	size_t slow;

	ASSERT_EQ(1, pwrite(ones, "x", 1, 0));
	ASSERT_EQ(0, blank_disks_within(disks, 3, 10000, &slow));
	EXPECT_TRUE(disks[0].is_blank);
	EXPECT_FALSE(disks[1].is_blank);
	EXPECT_TRUE(disks[2].is_blank);
}

TEST(one_that_does_not_answer_is_named_and_not_waited_for)
{
	cleanup_fd int first = new_disk(MIB);
	cleanup_fd int second = new_disk(MIB);
	struct blank disks[] = { { first, MIB, false }, { second, MIB, false } };
	int copy = second + 2; /* of the second, with the lowest free number */
	size_t slow;

	ASSERT_FALSE(is_open(copy));
	hanging = copy;
	ASSERT_EQ(-ETIMEDOUT, blank_disks_within(disks, 2, 50, &slow));
	EXPECT_EQ(1, slow);
	EXPECT_TRUE(disks[0].is_blank);
	EXPECT_TRUE(is_open(copy));
	/* Whoever asks again is told at once, by the same thread. */
	ASSERT_EQ(-ETIMEDOUT, blank_disks_within(&disks[1], 1, 3600000, &slow));
	EXPECT_EQ(0, slow);
	EXPECT_EQ(0, blank_disks_within(disks, 1, 10000, &slow));
	hanging = NONE;
	for (int i = 0; i < 5000 && is_open(copy); i++)
		(void)usleep(1000);
	EXPECT_FALSE(is_open(copy));
	EXPECT_EQ(0, blank_disks_within(disks, 2, 10000, &slow));
	EXPECT_TRUE(disks[1].is_blank);
}

TEST(those_that_are_not_reached_in_time_are_not_known_to_be_blank)
{
	cleanup_fd int disk = new_disk(MIB);
	struct blank disks[20];
	size_t slow;

	for (size_t i = 0; i < ARRAY_SIZE(disks); i++)
		disks[i] = (struct blank){ disk, MIB, true };
	read_us = 20000;
	EXPECT_EQ(0, blank_disks_within(disks, ARRAY_SIZE(disks), 1000, &slow));
	read_us = 0;
	EXPECT_TRUE(disks[0].is_blank);
	EXPECT_FALSE(disks[ARRAY_SIZE(disks) - 1].is_blank);
}

TEST_HARNESS_MAIN
