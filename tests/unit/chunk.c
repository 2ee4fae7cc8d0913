// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/chunk.c: what a dump's chunks say, and that nothing is taken from those that break the contract. */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/dm-cbt.h>

#include "lib/chunk.h"

#include "kselftest_harness.h"

#define NR_BLOCKS 1000
#define RUNS_MAX (2 * NR_BLOCKS)

struct sink {
	struct {
		uint64_t first;
		uint64_t nr;
	} run[RUNS_MAX];
	size_t nr;
	int result;
};

static int take(void *context, uint64_t first, uint64_t nr)
{
	struct sink *sink = context;

	if (sink->result < 0 || sink->nr == RUNS_MAX)
		return sink->result;
	sink->run[sink->nr].first = first;
	sink->run[sink->nr++].nr = nr;
	return 0;
}

FIXTURE(chunk)
{
	struct sink sink;
	struct chunk_reader reader;
};

FIXTURE_SETUP(chunk)
{
	memset(&self->sink, 0, sizeof(self->sink));
	chunk_reader_init(&self->reader, 0, NR_BLOCKS, take, &self->sink);
}

FIXTURE_TEARDOWN(chunk)
{
}

static int read_all(struct chunk_reader *r, uint64_t start, uint64_t nr)
{
	return chunk_read(r, &(struct chunk){ .start = start, .nr_blocks = nr });
}

static int read_runs(struct chunk_reader *r, uint64_t start, uint64_t nr, const struct cbt_run *runs, size_t nr_runs)
{
	return chunk_read(r, &(struct chunk){ .start = start,
					      .nr_blocks = nr,
					      .runs = runs,
					      .runs_bytes = nr_runs * sizeof(*runs) });
}

static int read_bits(struct chunk_reader *r, uint64_t start, uint64_t nr, const void *bits, size_t bytes)
{
	return chunk_read(r, &(struct chunk){ .start = start, .nr_blocks = nr, .bits = bits, .bits_bytes = bytes });
}

#define EXPECT_RUN(i, want_first, want_nr)                          \
	({                                                          \
		ASSERT_LT(i, self->sink.nr);                        \
		EXPECT_EQ(want_first, self->sink.run[i].first);     \
		EXPECT_EQ(want_nr, self->sink.run[i].nr);           \
	})

/* Refused, and neither the reader nor the sink has noticed. */
#define EXPECT_REFUSED(call)                                                                   \
	({                                                                                     \
		struct chunk_reader before = self->reader;                                     \
		EXPECT_EQ(-EBADMSG, call);                                                     \
		EXPECT_EQ(0, memcmp(&before, &self->reader, sizeof(before)));                  \
		EXPECT_EQ(0U, self->sink.nr);                                                  \
	})

TEST_F(chunk, a_dump_without_chunks_reports_nothing)
{
	EXPECT_EQ(0, chunk_reader_end(&self->reader));
	EXPECT_EQ(0U, self->sink.nr);
}

TEST_F(chunk, with_neither_runs_nor_bits_all_blocks_are_dirty)
{
	EXPECT_EQ(0, read_all(&self->reader, 0, NR_BLOCKS));
	EXPECT_EQ(0, chunk_reader_end(&self->reader));
	ASSERT_EQ(1U, self->sink.nr);
	EXPECT_RUN(0, 0U, NR_BLOCKS);
}

TEST_F(chunk, runs_count_from_the_start_of_their_chunk)
{
	const struct cbt_run runs[] = { { 0, 1 }, { 2, 3 }, { 99, 1 } };

	EXPECT_EQ(0, read_runs(&self->reader, 500, 100, runs, 3));
	EXPECT_EQ(0, chunk_reader_end(&self->reader));
	ASSERT_EQ(3U, self->sink.nr);
	EXPECT_RUN(0, 500U, 1U);
	EXPECT_RUN(1, 502U, 3U);
	EXPECT_RUN(2, 599U, 1U);
}

TEST_F(chunk, bit_i_is_bit_i_mod_8_of_byte_i_div_8)
{
	const uint8_t bits[16] = { [0] = 0x81, [7] = 0x80, [8] = 0x01, [9] = 0x02 };

	EXPECT_EQ(0, read_bits(&self->reader, 64, 74, bits, sizeof(bits)));
	EXPECT_EQ(0, chunk_reader_end(&self->reader));
	ASSERT_EQ(4U, self->sink.nr);
	EXPECT_RUN(0, 64U, 1U);
	EXPECT_RUN(1, 71U, 1U);
	EXPECT_RUN(2, 127U, 2U);
	EXPECT_RUN(3, 137U, 1U);
}

TEST_F(chunk, full_words_of_bits_are_one_run)
{
	uint8_t bits[24];

	memset(bits, 0xff, sizeof(bits));
	EXPECT_EQ(0, read_bits(&self->reader, 0, 192, bits, sizeof(bits)));
	EXPECT_EQ(0, chunk_reader_end(&self->reader));
	ASSERT_EQ(1U, self->sink.nr);
	EXPECT_RUN(0, 0U, 192U);
}

TEST_F(chunk, bits_without_a_dirty_block_report_nothing)
{
	const uint8_t bits[8] = { 0 };

	EXPECT_EQ(0, read_bits(&self->reader, 0, 64, bits, sizeof(bits)));
	EXPECT_EQ(0, chunk_reader_end(&self->reader));
	EXPECT_EQ(0U, self->sink.nr);
}

TEST_F(chunk, a_run_goes_on_across_chunks_of_every_form)
{
	const struct cbt_run runs[] = { { 0, 5 }, { 7, 3 } };
	const uint64_t bits = htole64(0xfULL << 60 | 1);

	EXPECT_EQ(0, read_all(&self->reader, 10, 10));
	EXPECT_EQ(0, read_runs(&self->reader, 20, 10, runs, 2));
	EXPECT_EQ(0, read_bits(&self->reader, 30, 64, &bits, sizeof(bits)));
	EXPECT_EQ(0, read_all(&self->reader, 94, 6));
	EXPECT_EQ(0, chunk_reader_end(&self->reader));
	ASSERT_EQ(3U, self->sink.nr);
	EXPECT_RUN(0, 10U, 15U);
	EXPECT_RUN(1, 27U, 4U);
	EXPECT_RUN(2, 90U, 10U);
}

TEST_F(chunk, runs_on_both_sides_of_a_gap_between_chunks_stay_apart)
{
	EXPECT_EQ(0, read_all(&self->reader, 0, 10));
	EXPECT_EQ(0, read_all(&self->reader, 11, 10));
	EXPECT_EQ(0, chunk_reader_end(&self->reader));
	EXPECT_EQ(2U, self->sink.nr);
}

TEST_F(chunk, a_chunk_of_no_blocks_is_refused)
{
	EXPECT_REFUSED(read_all(&self->reader, 0, 0));
}

TEST_F(chunk, a_chunk_past_the_end_of_the_disk_is_refused)
{
	EXPECT_REFUSED(read_all(&self->reader, 0, NR_BLOCKS + 1));
	EXPECT_REFUSED(read_all(&self->reader, NR_BLOCKS - 1, 2));
	EXPECT_REFUSED(read_all(&self->reader, NR_BLOCKS, 1));
	EXPECT_REFUSED(read_all(&self->reader, UINT64_MAX, 1));
	EXPECT_REFUSED(read_all(&self->reader, 1, UINT64_MAX));
}

TEST_F(chunk, a_chunk_that_does_not_ascend_is_refused)
{
	const struct cbt_run run = { 0, 1 };

	ASSERT_EQ(0, read_runs(&self->reader, 100, 100, &run, 1));
	EXPECT_REFUSED(read_all(&self->reader, 100, 100));
	EXPECT_REFUSED(read_all(&self->reader, 199, 1));
	EXPECT_REFUSED(read_all(&self->reader, 0, 100));
	EXPECT_EQ(0, read_all(&self->reader, 200, 1));
}

TEST_F(chunk, both_runs_and_bits_are_refused)
{
	const struct cbt_run run = { 0, 1 };
	const uint8_t bits[8] = { 1 };

	EXPECT_REFUSED(chunk_read(&self->reader, &(struct chunk){ .nr_blocks = 64,
								  .runs = &run,
								  .runs_bytes = sizeof(run),
								  .bits = bits,
								  .bits_bytes = sizeof(bits) }));
}

TEST_F(chunk, runs_that_break_their_order_are_refused)
{
	const struct cbt_run descending[] = { { 10, 2 }, { 5, 1 } };
	const struct cbt_run overlapping[] = { { 10, 2 }, { 11, 1 } };
	const struct cbt_run adjacent[] = { { 10, 2 }, { 12, 1 } };
	const struct cbt_run repeated[] = { { 10, 2 }, { 10, 2 } };
	const struct cbt_run apart[] = { { 10, 2 }, { 13, 1 } };

	EXPECT_REFUSED(read_runs(&self->reader, 0, 100, descending, 2));
	EXPECT_REFUSED(read_runs(&self->reader, 0, 100, overlapping, 2));
	EXPECT_REFUSED(read_runs(&self->reader, 0, 100, adjacent, 2));
	EXPECT_REFUSED(read_runs(&self->reader, 0, 100, repeated, 2));
	EXPECT_EQ(0, read_runs(&self->reader, 0, 100, apart, 2));
}

TEST_F(chunk, empty_runs_and_no_runs_are_refused)
{
	const struct cbt_run runs[] = { { 0, 1 }, { 5, 0 } };

	EXPECT_REFUSED(read_runs(&self->reader, 0, 100, runs, 2));
	EXPECT_REFUSED(read_runs(&self->reader, 0, 100, runs, 0));
}

TEST_F(chunk, runs_past_the_end_of_their_chunk_are_refused)
{
	const struct cbt_run one_too_far = { 99, 2 };
	const struct cbt_run beyond = { 100, 1 };
	const struct cbt_run overflowing[] = { { 1, 1 }, { UINT32_MAX, UINT32_MAX } };

	EXPECT_REFUSED(read_runs(&self->reader, 0, 100, &one_too_far, 1));
	EXPECT_REFUSED(read_runs(&self->reader, 0, 100, &beyond, 1));
	EXPECT_REFUSED(read_runs(&self->reader, 0, 100, overflowing, 2));
}

TEST_F(chunk, a_part_of_a_run_is_refused)
{
	const struct cbt_run runs[] = { { 0, 1 }, { 5, 1 } };

	for (size_t bytes = 1; bytes < sizeof(runs); bytes++)
		if (bytes % sizeof(runs[0]))
			EXPECT_REFUSED(chunk_read(&self->reader, &(struct chunk){ .nr_blocks = 100,
										  .runs = runs,
										  .runs_bytes = bytes }));
}

TEST_F(chunk, bits_of_any_other_length_are_refused)
{
	const uint8_t bits[40] = { 1 };

	for (size_t bytes = 0; bytes <= sizeof(bits); bytes++)
		if (bytes != 16)
			EXPECT_REFUSED(read_bits(&self->reader, 0, 65, bits, bytes));
	EXPECT_EQ(0, read_bits(&self->reader, 0, 65, bits, 16));
}

TEST_F(chunk, bits_after_the_last_block_are_refused)
{
	uint8_t bits[16] = { [8] = 0x02 };

	EXPECT_REFUSED(read_bits(&self->reader, 0, 65, bits, sizeof(bits)));
	bits[8] = 0x01;
	EXPECT_EQ(0, read_bits(&self->reader, 0, 65, bits, sizeof(bits)));
}

TEST_F(chunk, a_count_of_blocks_near_2_to_the_64_has_no_bits_that_fit)
{
	const uint8_t bits[8] = { 1 };

	chunk_reader_init(&self->reader, 0, UINT64_MAX, take, &self->sink);
	EXPECT_REFUSED(read_bits(&self->reader, 0, UINT64_MAX, bits, sizeof(bits)));
	EXPECT_REFUSED(read_bits(&self->reader, 0, UINT64_MAX, bits, 0));
}

TEST_F(chunk, dirty_blocks_before_the_first_one_asked_for_are_refused)
{
	const struct cbt_run runs[] = { { 49, 2 } };
	const uint8_t bits[16] = { [6] = 0x02 };

	chunk_reader_init(&self->reader, 50, NR_BLOCKS, take, &self->sink);
	EXPECT_REFUSED(read_all(&self->reader, 0, 100));
	EXPECT_REFUSED(read_all(&self->reader, 49, 1));
	EXPECT_REFUSED(read_runs(&self->reader, 0, 100, runs, 1));
	EXPECT_REFUSED(read_bits(&self->reader, 0, 100, bits, sizeof(bits)));
}

TEST_F(chunk, a_chunk_may_begin_before_the_first_block_asked_for)
{
	const uint8_t bits[8] = { [6] = 0x04 };

	chunk_reader_init(&self->reader, 50, NR_BLOCKS, take, &self->sink);
	EXPECT_EQ(0, read_bits(&self->reader, 0, 64, bits, sizeof(bits)));
	EXPECT_EQ(0, chunk_reader_end(&self->reader));
	ASSERT_EQ(1U, self->sink.nr);
	EXPECT_RUN(0, 50U, 1U);
}

TEST_F(chunk, what_the_sink_returns_comes_back)
{
	const struct cbt_run runs[] = { { 0, 1 }, { 2, 1 } };

	self->sink.result = -ENOSPC;
	EXPECT_EQ(-ENOSPC, read_runs(&self->reader, 0, 100, runs, 2));
	chunk_reader_init(&self->reader, 0, NR_BLOCKS, take, &self->sink);
	ASSERT_EQ(0, read_all(&self->reader, 0, 1));
	EXPECT_EQ(-ENOSPC, chunk_reader_end(&self->reader));
}

/* ---- against a model of one byte a block ---- */

static unsigned int new_seed(void)
{
	const char *given = getenv("SEED");
	unsigned int seed = given ? (unsigned int)strtoul(given, NULL, 0) : (unsigned int)time(NULL);

	printf("# seed=%u\n", seed);
	return seed;
}

static void fill_model(unsigned int *seed, uint8_t *model)
{
	unsigned int density = (unsigned int)rand_r(seed) % 5;

	memset(model, density == 4, NR_BLOCKS);
	for (unsigned int i = 0; i < density * density * 10; i++) {
		size_t first = (size_t)rand_r(seed) % NR_BLOCKS;
		size_t nr = 1 + (size_t)rand_r(seed) % (rand_r(seed) % 4 ? 3 : 150);

		for (size_t block = first; block < first + nr && block < NR_BLOCKS; block++)
			model[block] = density != 4;
	}
}

static size_t model_runs(const uint8_t *blocks, size_t nr, struct cbt_run *runs)
{
	size_t nr_runs = 0;

	for (size_t i = 0; i < nr; i++) {
		if (!blocks[i])
			continue;
		if (i && blocks[i - 1])
			runs[nr_runs - 1].nr++;
		else
			runs[nr_runs++] = (struct cbt_run){ (uint32_t)i, 1 };
	}
	return nr_runs;
}

/* The payload ends where its allocation ends and is not aligned, so that a sanitizer sees each stray access. */
static void *unaligned_copy(const void *data, size_t bytes, void **ret_allocation)
{
	char *allocation = malloc(bytes + 1);

	memcpy(allocation + 1, data, bytes);
	*ret_allocation = allocation;
	return allocation + 1;
}

static int read_encoded(struct chunk_reader *r, unsigned int *seed, const uint8_t *model, size_t start, size_t nr)
{
	struct chunk chunk = { .start = start, .nr_blocks = nr };
	size_t bits_bytes = (nr + 63) / 64 * 8;
	struct cbt_run runs[NR_BLOCKS];
	uint8_t bits[NR_BLOCKS / 8 + 8] = { 0 };
	size_t nr_runs = model_runs(model + start, nr, runs);
	void *allocation = NULL;
	int err;

	if (nr_runs == 1 && runs[0].nr == nr && rand_r(seed) % 2)
		return chunk_read(r, &chunk);
	if (nr_runs && rand_r(seed) % 2) {
		chunk.runs_bytes = nr_runs * sizeof(runs[0]);
		chunk.runs = unaligned_copy(runs, chunk.runs_bytes, &allocation);
	} else {
		for (size_t i = 0; i < nr; i++)
			bits[i / 8] = (uint8_t)(bits[i / 8] | (model[start + i] ? 1U << i % 8 : 0));
		chunk.bits_bytes = bits_bytes;
		chunk.bits = unaligned_copy(bits, bits_bytes, &allocation);
	}
	err = chunk_read(r, &chunk);
	free(allocation);
	return err;
}

TEST_F(chunk, random_maps_cut_into_random_chunks_come_back_as_the_longest_runs)
{
	unsigned int seed = new_seed();
	struct cbt_run want[NR_BLOCKS];
	uint8_t model[NR_BLOCKS];

	for (int round = 0; round < 2000; round++) {
		size_t longest = rand_r(&seed) % 2 ? 5 : 300;
		size_t nr_want;

		fill_model(&seed, model);
		memset(&self->sink, 0, sizeof(self->sink));
		chunk_reader_init(&self->reader, 0, NR_BLOCKS, take, &self->sink);
		for (size_t start = 0, nr; start < NR_BLOCKS; start += nr) {
			nr = 1 + (size_t)rand_r(&seed) % longest;
			nr = nr < NR_BLOCKS - start ? nr : NR_BLOCKS - start;
			if (memchr(model + start, 1, nr) || rand_r(&seed) % 4 == 0)
				ASSERT_EQ(0, read_encoded(&self->reader, &seed, model, start, nr));
		}
		ASSERT_EQ(0, chunk_reader_end(&self->reader));
		nr_want = model_runs(model, NR_BLOCKS, want);
		ASSERT_EQ(nr_want, self->sink.nr);
		for (size_t i = 0; i < nr_want; i++) {
			ASSERT_EQ(want[i].start, self->sink.run[i].first);
			ASSERT_EQ(want[i].nr, self->sink.run[i].nr);
		}
	}
}

TEST_F(chunk, random_bytes_are_refused_or_give_ascending_runs_on_the_disk)
{
	unsigned int seed = new_seed();

	for (int round = 0; round < 100000; round++) {
		struct chunk chunk = {
			.start = (uint64_t)rand_r(&seed) % (NR_BLOCKS + 2),
			.nr_blocks = (uint64_t)rand_r(&seed) % (NR_BLOCKS + 2),
		};
		uint8_t payload[32];
		size_t bytes = (size_t)rand_r(&seed) % (sizeof(payload) + 1);
		void *allocation;
		uint64_t end = 0;

		for (size_t i = 0; i < sizeof(payload); i++)
			payload[i] = (uint8_t)(i % 4 > 1 ? 0 : rand_r(&seed) % (i % 4 ? 4 : 256));
		if (rand_r(&seed) % 2) {
			chunk.runs = unaligned_copy(payload, bytes, &allocation);
			chunk.runs_bytes = bytes;
		} else {
			chunk.bits = unaligned_copy(payload, bytes, &allocation);
			chunk.bits_bytes = bytes;
		}
		self->sink.nr = 0;
		chunk_reader_init(&self->reader, 0, NR_BLOCKS, take, &self->sink);
		if (chunk_read(&self->reader, &chunk) == 0) {
			ASSERT_EQ(0, chunk_reader_end(&self->reader));
		} else {
			ASSERT_EQ(0U, self->sink.nr);
		}
		free(allocation);
		for (size_t i = 0; i < self->sink.nr; i++) {
			ASSERT_GT(self->sink.run[i].nr, 0U);
			ASSERT_GE(self->sink.run[i].first, i ? end + 1 : 0);
			end = self->sink.run[i].first + self->sink.run[i].nr;
			ASSERT_LE(end, NR_BLOCKS);
		}
	}
}

TEST_HARNESS_MAIN
