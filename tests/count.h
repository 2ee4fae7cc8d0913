/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often a seeded test goes round, and how it says so. `make check` does few rounds, `make
 * check-long` (CHECK_LONG=1) all that are claimed, the debug kernel (CHECK_SHORT=1) an eighth of
 * the few. Each prints its seed; CHECK_SEED=N repeats a run. In shell: required, new_seed and
 * check_count of tests/lib.sh.
 */
#ifndef FAILBACK_TESTS_COUNT_H
#define FAILBACK_TESTS_COUNT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static inline uint64_t required_count(uint64_t check, uint64_t full)
{
	if (getenv("CHECK_LONG"))
		return full;
	return getenv("CHECK_SHORT") ? (check + 7) / 8 : check;
}

static inline uint64_t new_seed(void)
{
	const char *given = getenv("CHECK_SEED");
	uint64_t seed = 1;

	if (given)
		return strtoull(given, NULL, 0);
	(void)!getrandom(&seed, sizeof(seed), 0);
	return seed >> 16; /* short enough to type */
}

/* The next number of a seeded sequence (splitmix64); *@state starts as the seed. */
static inline uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* Prints what was done, as a comment of TAP; false when it is less than @required. */
static inline bool enough_done(uint64_t seed, uint64_t done, uint64_t required)
{
	printf("# seed=%llu done=%llu/required=%llu\n", (unsigned long long)seed,
	       (unsigned long long)done, (unsigned long long)required);
	return done >= required;
}

#endif
