// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/covered.c: what a worker says that its delta covers is what its daemon reads. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macro.h"
#include "lib/covered.h"

#include "../count.h"
#include "kselftest_harness.h"

#define UNIT  UINT64_C(4096)
#define UNITS 203U

static const uint64_t sizes[] = { 512, UNITS * UNIT - 512, UINT64_C(1) << 40 };

FIXTURE(covered)
{
	int fd;
	struct covered *out; /* the worker's */
	struct covered *in; /* the daemon's */
};

FIXTURE_SETUP(covered)
{
	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, covered_make(sizes, ARRAY_SIZE(sizes), &self->fd));
	ASSERT_EQ(0, covered_open(self->fd, sizes, ARRAY_SIZE(sizes), &self->out));
	ASSERT_EQ(0, covered_open(self->fd, sizes, ARRAY_SIZE(sizes), &self->in));
}

FIXTURE_TEARDOWN(covered)
{
	covered_close_at(&self->out);
	covered_close_at(&self->in);
	(void)close(self->fd);
}

static void add(struct covered *out, size_t disk, uint64_t offset, uint64_t length)
{
	const struct extent extent = { offset, length };

	covered_add(out, disk, &extent, 1);
}

/* Is any unit of these bytes covered? */
static bool covered_has(const struct covered *covered, size_t disk, uint64_t offset, uint64_t length)
{
	bool is_covered;

	return covered_run(covered, disk, offset, offset + length, &is_covered) < offset + length || is_covered;
}

TEST_F(covered, an_extent_covers_every_unit_that_it_touches_and_no_other)
{
	add(self->out, 1, 3 * UNIT - 512, 1024);
	EXPECT_FALSE(covered_has(self->in, 1, 0, 2 * UNIT));
	EXPECT_TRUE(covered_has(self->in, 1, 2 * UNIT, 1));
	EXPECT_TRUE(covered_has(self->in, 1, 3 * UNIT, UNIT));
	EXPECT_FALSE(covered_has(self->in, 1, 4 * UNIT, 100 * UNIT));
	EXPECT_TRUE(covered_has(self->in, 1, 0, 16 * UNIT));
}

TEST_F(covered, it_is_empty_until_something_is_covered)
{
	struct stat file;

	EXPECT_TRUE(covered_is_empty(self->fd));
	ASSERT_EQ(0, fstat(self->fd, &file));
	EXPECT_EQ(0, file.st_blocks); /* to ask takes no memory */
	add(self->out, 2, sizes[2] - UNIT, 512);
	EXPECT_FALSE(covered_is_empty(self->fd));
}

TEST_F(covered, disks_do_not_touch_each_other)
{
	add(self->out, 1, 0, sizes[1]);
	EXPECT_FALSE(covered_has(self->in, 0, 0, sizes[0]));
	EXPECT_FALSE(covered_has(self->in, 2, 0, 1000 * UNIT));
	for (uint64_t i = 0; i < UNITS; i++)
		EXPECT_TRUE(covered_has(self->in, 1, i * UNIT, UNIT));
	EXPECT_FALSE(covered_has(self->in, 1, UNITS * UNIT, 64 * UNIT));
	add(self->out, 2, sizes[2] - UNIT, UNIT);
	EXPECT_TRUE(covered_has(self->in, 2, sizes[2] - UNIT, UNIT));
	EXPECT_FALSE(covered_has(self->in, 2, sizes[2] - 64 * UNIT, 63 * UNIT));
	EXPECT_FALSE(covered_has(self->in, 0, 0, sizes[0]));
}

TEST_F(covered, random_extents_are_as_a_byte_for_each_unit_says)
{
	uint64_t required = required_count(2000, 200000);
	uint64_t seed = new_seed();
	uint64_t random = seed;

	TH_LOG("seed=%llu", (unsigned long long)seed);
	for (uint64_t done = 0; done < required; done++) {
		uint8_t units[UNITS] = { 0 };
		struct covered *out = NULL;
		int fd = -1;

		ASSERT_EQ(0, covered_make(sizes, ARRAY_SIZE(sizes), &fd));
		ASSERT_EQ(0, covered_open(fd, sizes, ARRAY_SIZE(sizes), &out));
		for (uint64_t i = next_random(&random) % 4; i; i--) {
			uint64_t first = next_random(&random) % UNITS;
			uint64_t nr = 1 + next_random(&random) % (UNITS - first);

			memset(units + first, 1, nr);
			add(out, 1, first * UNIT, nr * UNIT);
		}
		for (uint64_t i = 0; i < UNITS; i++)
			ASSERT_EQ(units[i], covered_has(out, 1, i * UNIT, UNIT));
		for (uint64_t i = 0; i < UNITS; i++) {
			uint64_t end = i + 1 + next_random(&random) % (UNITS + 3 - i);
			uint64_t same = i + 1;
			bool is_covered;

			while (same < end && (same < UNITS ? units[same] : 0) == units[i])
				same++;
			ASSERT_EQ(same * UNIT, covered_run(out, 1, i * UNIT, end * UNIT, &is_covered));
			ASSERT_EQ(units[i], is_covered);
		}
		covered_close_at(&out);
		(void)close(fd);
	}
}

TEST_F(covered, a_terabyte_that_is_hardly_covered_takes_hardly_any_memory)
{
	struct stat file;

	for (uint64_t i = 0; i < 8; i++)
		add(self->out, 2, i << 37, UNIT);
	ASSERT_EQ(0, fstat(self->fd, &file));
	EXPECT_LE(sizes[2] / UNIT / 8, (uint64_t)file.st_size);
	EXPECT_GE(9 * 8, file.st_blocks); /* pages of eight sectors */
}

TEST_F(covered, a_file_for_other_disks_is_refused)
{
	struct covered *other = NULL;

	EXPECT_EQ(-EINVAL, covered_open(self->fd, sizes, 2, &other));
	EXPECT_EQ(NULL, other);
}

TEST_F(covered, its_size_cannot_be_changed)
{
	EXPECT_GT(0, ftruncate(self->fd, 0));
	EXPECT_EQ(EPERM, errno);
	EXPECT_GT(0, ftruncate(self->fd, INT64_C(1) << 41));
	EXPECT_EQ(EPERM, errno);
}

TEST_HARNESS_MAIN
