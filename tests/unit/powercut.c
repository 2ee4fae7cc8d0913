// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Images against plain memory, and what a cut may leave against a model of one sector that lists
 * all contents it may have.
 */
#include <err.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/macro.h"
#include "count.h"
#include "powercut/cuts.h"

#include "kselftest_harness.h"

/* --- images --- */

#define SIZE (3 * 512 * IMAGE_PAGE / 2 + 512) /* two tables of pages, the end inside a page */

static int count_page(void *context, uint64_t offset)
{
	(void)offset;
	++*(uint64_t *)context;
	return 0;
}

static uint64_t pages_differing(const unsigned char *a, const unsigned char *b)
{
	uint64_t nr = 0;

	for (uint64_t at = 0; at < SIZE; at += IMAGE_PAGE)
		nr += !!memcmp(a + at, b + at, SIZE - at < IMAGE_PAGE ? SIZE - at : IMAGE_PAGE);
	return nr;
}

TEST(images_and_their_copies_hold_what_plain_memory_holds)
{
	static unsigned char plain[2][SIZE], data[5 * IMAGE_PAGE], got[SIZE];
	struct image *images[2] = { image_new(SIZE), NULL };
	uint64_t seed = new_seed(), random = seed, rounds = required_count(2000, 100000), done, nr;

	images[1] = image_copy(images[0]);
	for (done = 0; done < rounds; done++) {
		unsigned int i = next_random(&random) % 2;
		uint64_t length = next_random(&random) % sizeof(data);
		uint64_t offset = next_random(&random) % (SIZE - length);

		switch (next_random(&random) % 16) {
		case 0: /* the one becomes a copy of the other */
			image_free(images[i]);
			images[i] = image_copy(images[!i]);
			memcpy(plain[i], plain[!i], SIZE);
			break;
		case 1:
			length = next_random(&random) % (SIZE - offset);
			/* fallthrough */
		case 2 ... 6:
			image_zero(images[i], offset, length);
			memset(plain[i] + offset, 0, length);
			break;
		default:
			memset(data, (int)next_random(&random), length);
			image_write(images[i], offset, data, length);
			memcpy(plain[i] + offset, data, length);
		}
		if (done % 16)
			continue;
		image_read(images[i], 0, got, SIZE);
		ASSERT_EQ(0, memcmp(got, plain[i], SIZE));
		nr = 0;
		image_diff(images[0], images[1], count_page, &nr);
		ASSERT_EQ(pages_differing(plain[0], plain[1]), nr);
	}
	EXPECT_TRUE(enough_done(seed, done, rounds));
	image_free(images[0]);
	image_free(images[1]);
}

TEST(a_tebibyte_is_zeroed_and_compared_at_once)
{
	struct image *image = image_new(1ULL << 40), *old;
	uint64_t nr = 0;

	for (uint64_t at = 0; at < 1ULL << 40; at += 1ULL << 32)
		image_write(image, at, "x", 1);
	old = image_copy(image);
	image_zero(image, IMAGE_PAGE, (1ULL << 40) - IMAGE_PAGE);
	image_diff(image, old, count_page, &nr);
	EXPECT_EQ(255U, nr);
	image_free(image);
	image_free(old);
}

/* --- cuts --- */

#define SECTORS 4

FIXTURE(log)
{
	char path[PATH_MAX];
	int fd;
	uint64_t nr;
	struct log log;
};

static void append(FIXTURE_DATA(log) *self, enum log_kind kind, uint32_t device, uint32_t flags,
		   uint64_t offset, uint64_t span, const void *data, uint64_t length)
{
	struct log_record r = { kind, device, flags, offset, span, length };

	if (log_append(self->fd, &r, data) < 0)
		err(1, "%s", self->path);
	self->nr++;
}

/* Sector @sector of @device becomes @value throughout; the number of the record. */
static uint64_t write_sectors(FIXTURE_DATA(log) *self, uint32_t device, uint32_t flags,
			      unsigned int sector, unsigned int nr, unsigned char value)
{
	unsigned char data[SECTORS * 512];

	memset(data, value, sizeof(data));
	append(self, LOG_WRITE, device, flags, sector * 512, nr * 512, data, nr * 512);
	return self->nr - 1;
}

static uint64_t flush(FIXTURE_DATA(log) *self, uint32_t device)
{
	append(self, LOG_FLUSH, device, 0, 0, 0, NULL, 0);
	return self->nr - 1;
}

static void answer(FIXTURE_DATA(log) *self, uint64_t number)
{
	append(self, LOG_END, 0, 0, number, 0, NULL, 0);
}

static void mark(FIXTURE_DATA(log) *self, const char *text)
{
	append(self, LOG_MARK, 0, 0, 0, 0, text, strlen(text));
}

FIXTURE_SETUP(log)
{
	snprintf(self->path, sizeof(self->path), "%s/log.XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	close(mkstemp(self->path));
	self->fd = log_create(self->path);
	ASSERT_LE(0, self->fd);
	append(self, LOG_DEVICE, 0, 0, SECTORS * 512, 0, "a", 1);
	append(self, LOG_DEVICE, 1, 0, SECTORS * 512, 0, "b", 1);
}

FIXTURE_TEARDOWN(log)
{
	close(self->fd);
	unlink(self->path);
	log_close(&self->log);
}

/* The values that sector 0 of @device is found with over many cuts at the end of the log. */
static uint64_t found_values(FIXTURE_DATA(log) *self, unsigned int device,
			     const struct replay_faults *faults)
{
	struct replay *replay;
	uint64_t found = 0;

	log_close(&self->log);
	if (log_open(&self->log, self->path) < 0 || !(replay = replay_new(&self->log, faults)))
		errx(1, "%s: cannot be replayed", self->path);
	while (replay_step(replay))
		;
	for (uint64_t seed = 0; seed < 300; seed++) {
		struct image *image = replay_cut(replay, device, seed);
		unsigned char value;

		image_read(image, 0, &value, 1);
		found |= 1ULL << value;
		image_free(image);
	}
	replay_free(replay);
	return found;
}

static const struct replay_faults none;

#define VALUES(...) values_mask((const int[]){ __VA_ARGS__ }, sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int))

static uint64_t values_mask(const int *values, unsigned int nr)
{
	uint64_t mask = 0;

	for (unsigned int i = 0; i < nr; i++)
		mask |= 1ULL << values[i];
	return mask;
}

TEST_F(log, a_write_that_was_answered_and_not_flushed_may_be_lost)
{
	answer(self, write_sectors(self, 0, 0, 0, 1, 1));
	EXPECT_EQ(VALUES(0, 1), found_values(self, 0, &none));
}

TEST_F(log, a_write_in_flight_may_be_there)
{
	write_sectors(self, 0, LOG_FUA, 0, 1, 1);
	EXPECT_EQ(VALUES(0, 1), found_values(self, 0, &none));
}

TEST_F(log, a_flush_that_was_answered_keeps_what_was_answered_before_it_came)
{
	uint64_t late = write_sectors(self, 0, 0, 0, 1, 1), number;

	number = flush(self, 0);
	answer(self, late);
	answer(self, number);
	EXPECT_EQ(VALUES(0, 1), found_values(self, 0, &none));
	number = flush(self, 0);
	EXPECT_EQ(VALUES(0, 1), found_values(self, 0, &none));
	answer(self, number);
	EXPECT_EQ(VALUES(1), found_values(self, 0, &none));
}

TEST_F(log, a_flush_of_another_disk_keeps_nothing)
{
	answer(self, write_sectors(self, 0, 0, 0, 1, 1));
	answer(self, flush(self, 1));
	EXPECT_EQ(VALUES(0, 1), found_values(self, 0, &none));
}

TEST_F(log, a_write_with_fua_keeps_itself_and_nothing_else)
{
	struct replay_faults no_fua = { .ignore_fua = 1 };

	answer(self, write_sectors(self, 0, 0, 0, 1, 1));
	answer(self, write_sectors(self, 0, LOG_FUA, 1, 1, 9));
	EXPECT_EQ(VALUES(0, 1), found_values(self, 0, &none));
	answer(self, write_sectors(self, 0, LOG_FUA, 0, 1, 2));
	EXPECT_EQ(VALUES(2), found_values(self, 0, &none));
	EXPECT_EQ(VALUES(0, 1, 2), found_values(self, 0, &no_fua));
}

TEST_F(log, an_older_write_never_hides_one_that_is_durable)
{
	answer(self, write_sectors(self, 0, 0, 0, 2, 1));
	answer(self, write_sectors(self, 0, LOG_FUA, 0, 1, 2));
	answer(self, write_sectors(self, 0, 0, 0, 1, 3));
	EXPECT_EQ(VALUES(2, 3), found_values(self, 0, &none));
}

TEST_F(log, a_trim_may_be_lost_and_is_kept_by_a_flush)
{
	answer(self, write_sectors(self, 0, LOG_FUA, 0, 1, 5));
	append(self, LOG_TRIM, 0, 0, 0, SECTORS * 512, NULL, 0);
	answer(self, self->nr - 1);
	EXPECT_EQ(VALUES(0, 5), found_values(self, 0, &none));
	answer(self, flush(self, 0));
	EXPECT_EQ(VALUES(0), found_values(self, 0, &none));
}

TEST_F(log, writes_are_torn_at_sectors_and_disks_are_independent)
{
	static const unsigned char ones[512] = { [0 ... 511] = 1 }, zeroes[512];
	struct replay *replay;
	unsigned int torn = 0, apart = 0;
	unsigned char data[2][SECTORS * 512];

	answer(self, write_sectors(self, 0, 0, 0, SECTORS, 1));
	answer(self, write_sectors(self, 1, 0, 0, SECTORS, 1));
	ASSERT_EQ(0, log_open(&self->log, self->path));
	replay = replay_new(&self->log, &none);
	while (replay_step(replay))
		;
	for (uint64_t seed = 0; seed < 300; seed++) {
		for (unsigned int disk = 0; disk < 2; disk++) {
			struct image *image = replay_cut(replay, disk, seed);

			image_read(image, 0, data[disk], SECTORS * 512);
			image_free(image);
			for (unsigned int i = 0; i < SECTORS; i++)
				ASSERT_TRUE(!memcmp(data[disk] + 512 * i, ones, 512) ||
					    !memcmp(data[disk] + 512 * i, zeroes, 512));
			torn += memcmp(data[disk], data[disk] + 512, (SECTORS - 1) * 512) != 0;
		}
		apart += memcmp(data[0], data[1], SECTORS * 512) != 0;
	}
	EXPECT_LT(10, torn);
	EXPECT_LT(50, apart);
	replay_free(replay);
}

/* What the guest noted as durable must be there: see check_noted(). */
static int check_noted(void *context, const struct cut *cut)
{
	const char *noted = replay_last_mark(cut->replay, "durable ");
	const struct image *base = replay_base(cut->replay, "B");
	unsigned char value;

	++*(uint64_t *)context;
	image_read(cut->disks[0], 0, &value, 1);
	if (base) { /* the base is the disk as it was at its mark */
		unsigned char then;

		image_read(base, 0, &then, 1);
		if (then != 3)
			return 1;
	}
	return noted && value < atoi(noted);
}

TEST_F(log, thousands_of_cuts_of_one_log_find_what_a_missing_flush_loses)
{
	struct cuts cuts = { .log = &self->log, .seed = new_seed(), .required = 2000 };
	uint64_t checked = 0;
	char text[32];

	for (unsigned char value = 1; value < 60; value++) {
		answer(self, write_sectors(self, 0, 0, 0, 2, value));
		answer(self, write_sectors(self, 1, 0, 0, 2, value));
		if (value == 1)
			mark(self, "begin");
		answer(self, flush(self, 0));
		snprintf(text, sizeof(text), "durable %u", value);
		mark(self, text);
		if (value == 3)
			mark(self, "base B a");
	}
	ASSERT_EQ(0, log_open(&self->log, self->path));
	EXPECT_EQ(0, cuts_run(&cuts, check_noted, &checked));
	EXPECT_EQ(2000U, checked);
	cuts.faults.ignore_flush = 1;
	EXPECT_LT(0, cuts_run(&cuts, check_noted, &checked));
}

TEST_F(log, a_log_whose_writer_was_killed_ends_at_its_last_whole_record)
{
	uint64_t before;

	answer(self, write_sectors(self, 0, 0, 0, 1, 1));
	before = self->nr;
	write_sectors(self, 0, 0, 0, 4, 2);
	ASSERT_EQ(0, ftruncate(self->fd, lseek(self->fd, 0, SEEK_END) - 512));
	ASSERT_EQ(0, log_open(&self->log, self->path));
	EXPECT_EQ(before, self->log.nr);
}

TEST_HARNESS_MAIN
