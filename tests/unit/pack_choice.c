// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/lib/pack_choice.c on simulated links: packing where the link is the slow part, and next to no time
 * lost where it is not.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/macro.h"
#include "lib/pack_choice.h"

#include "kselftest_harness.h"

#define RECORD_BYTES (512U << 10)
#define MB_PER_S(n)  ((double)(n) / 1000) /* bytes per ns */

/* The processor's part of a record and the link's go on side by side: the longer one counts. */
struct link {
	double wire; /* bytes of wire per ns */
	double raw; /* bytes of disk per ns that the processors do without packing */
	double packing; /* the same with */
	double shrinks_to; /* a part of 1; 1: not at all */
};

struct outcome {
	double bytes_per_ns;
	double packed; /* a part of 1 */
	double tried;
};

static struct outcome run(struct pack_choice *c, const struct link *link, uint64_t *now_ns, unsigned int seconds)
{
	uint64_t begin_ns = *now_ns;
	uint64_t end_ns = begin_ns + seconds * NS_PER_S;
	double nr = 0;
	double nr_packed = 0;
	double nr_tried = 0;

	while (*now_ns < end_ns) {
		bool tries = pack_choice_tries(c);
		bool shrinks = link->shrinks_to < 0.875;
		double wire_bytes = RECORD_BYTES * (tries && shrinks ? link->shrinks_to : 1);
		double processor_ns = RECORD_BYTES / (tries ? link->packing : link->raw);
		double link_ns = wire_bytes / link->wire;

		if (tries)
			pack_choice_tried(c, shrinks);
		*now_ns += (uint64_t)max_of(processor_ns, link_ns);
		pack_choice_sent(c, RECORD_BYTES, *now_ns);
		nr++;
		nr_tried += tries;
		nr_packed += tries && shrinks;
	}
	return (struct outcome){
		.bytes_per_ns = nr * RECORD_BYTES / (double)(*now_ns - begin_ns),
		.packed = nr_packed / nr,
		.tried = nr_tried / nr,
	};
}

static struct outcome run_once(const struct link *link, unsigned int seconds)
{
	struct pack_choice c;
	uint64_t now_ns = 1000;

	pack_choice_init(&c, now_ns);
	return run(&c, link, &now_ns, seconds);
}

static const struct link gigabit = { MB_PER_S(117), MB_PER_S(2000), MB_PER_S(500), 0.4 };
static const struct link dsl = { MB_PER_S(1.2), MB_PER_S(2000), MB_PER_S(500), 0.4 };
static const struct link fast = { MB_PER_S(3000), MB_PER_S(2000), MB_PER_S(500), 0.4 };

TEST(a_slow_link_is_packed_for)
{
	struct outcome outcome = run_once(&gigabit, 20);

	EXPECT_LT(0.9, outcome.packed);
	EXPECT_LT(0.95 * MB_PER_S(117) / 0.4, outcome.bytes_per_ns);
}

TEST(a_very_slow_link_is_packed_for)
{
	EXPECT_LT(0.9 * MB_PER_S(1.2) / 0.4, run_once(&dsl, 1000).bytes_per_ns);
}

TEST(a_small_delta_over_a_slow_link_is_packed)
{
	EXPECT_LT(0.99, run_once(&dsl, 2).packed);
}

TEST(a_fast_link_loses_next_to_nothing)
{
	struct outcome outcome = run_once(&fast, 20);

	EXPECT_LT(0.95 * MB_PER_S(2000), outcome.bytes_per_ns);
	EXPECT_GT(0.05, outcome.packed);
}

TEST(a_fast_link_loses_little_in_its_first_second)
{
	EXPECT_LT(0.85 * MB_PER_S(2000), run_once(&fast, 1).bytes_per_ns);
}

TEST(a_link_that_becomes_slow_is_packed_for_soon)
{
	struct pack_choice c;
	uint64_t now_ns = 0;

	pack_choice_init(&c, now_ns);
	(void)run(&c, &fast, &now_ns, 30);
	(void)run(&c, &gigabit, &now_ns, 10);
	EXPECT_LT(0.9, run(&c, &gigabit, &now_ns, 10).packed);
}

TEST(a_link_that_becomes_fast_is_not_packed_for_soon)
{
	struct pack_choice c;
	uint64_t now_ns = 0;

	pack_choice_init(&c, now_ns);
	(void)run(&c, &gigabit, &now_ns, 30);
	(void)run(&c, &fast, &now_ns, 10);
	EXPECT_GT(0.1, run(&c, &fast, &now_ns, 10).packed);
}

TEST(data_that_does_not_shrink_is_hardly_ever_tried)
{
	struct link link = gigabit;

	link.shrinks_to = 1;
	EXPECT_GT(0.1, run_once(&link, 20).tried);
}

TEST(records_behind_one_that_does_not_shrink_are_not_all_tried)
{
	struct pack_choice c;
	unsigned int nr_tried = 0;

	pack_choice_init(&c, 0);
	for (int i = 0; i < 100; i++) {
		bool tries = pack_choice_tries(&c);

		nr_tried += tries;
		if (tries)
			pack_choice_tried(&c, false);
	}
	EXPECT_LE(5, nr_tried);
	EXPECT_GE(12, nr_tried);
}

TEST(data_that_shrinks_again_is_packed_again)
{
	struct pack_choice c;

	pack_choice_init(&c, 0);
	for (int i = 0; i < 100; i++)
		if (pack_choice_tries(&c))
			pack_choice_tried(&c, false);
	for (int i = 0; i < 16; i++)
		if (pack_choice_tries(&c))
			pack_choice_tried(&c, true);
	EXPECT_TRUE(pack_choice_tries(&c));
}

TEST_HARNESS_MAIN
