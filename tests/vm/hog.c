// SPDX-License-Identifier: GPL-2.0-or-later
/*
 *	hog MIB SEED ROUNDS
 *
 * takes so much memory, and in each round fills it with what the seed says and then checks it. With
 * more of it than the machine has, both go through swap.
 */
#include <err.h>
#include <sys/mman.h>

#include "count.h"

#define PAGE 4096U

static void fill(uint64_t *memory, uint64_t nr_pages, uint64_t seed)
{
	for (uint64_t page = 0; page < nr_pages; page++) {
		uint64_t state = seed + page;

		for (unsigned int i = 0; i < PAGE / 8; i += 64)
			memory[page * (PAGE / 8) + i] = next_random(&state);
	}
}

static void check(const uint64_t *memory, uint64_t nr_pages, uint64_t seed)
{
	for (uint64_t page = 0; page < nr_pages; page++) {
		uint64_t state = seed + page;

		for (unsigned int i = 0; i < PAGE / 8; i += 64)
			if (memory[page * (PAGE / 8) + i] != next_random(&state))
				errx(1, "page %llu is not what was put there",
				     (unsigned long long)page);
	}
}

int main(int argc, char **argv)
{
	uint64_t nr_pages, seed, rounds;
	uint64_t *memory;

	if (argc != 4)
		errx(2, "usage: hog MIB SEED ROUNDS");
	nr_pages = strtoull(argv[1], NULL, 0) * 256;
	seed = strtoull(argv[2], NULL, 0);
	rounds = strtoull(argv[3], NULL, 0);
	memory = mmap(NULL, nr_pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	for (uint64_t round = 0; round < rounds; round++) {
		fill(memory, nr_pages, seed + round * nr_pages);
		check(memory, nr_pages, seed + round * nr_pages);
	}
	return 0;
}
