// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/chunk.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <linux/dm-cbt.h>

#define WORD_BITS 64

void chunk_reader_init(struct chunk_reader *r, uint64_t first_block, uint64_t nr_blocks,
		       chunk_run_fn fn, void *context)
{
	*r = (struct chunk_reader){
		.first_block = first_block,
		.nr_blocks = nr_blocks,
		.fn = fn,
		.context = context,
	};
}

/* ---- what the payloads say, without aligned access ---- */

static struct cbt_run run_at(const struct chunk *c, size_t i)
{
	struct cbt_run run;

	memcpy(&run, (const char *)c->runs + i * sizeof(run), sizeof(run));
	return run;
}

static uint64_t word_at(const struct chunk *c, size_t i)
{
	uint64_t word;

	memcpy(&word, (const char *)c->bits + i * sizeof(word), sizeof(word));
	return le64toh(word);
}

static uint64_t nr_words(const struct chunk *c)
{
	return c->nr_blocks / WORD_BITS + (c->nr_blocks % WORD_BITS != 0);
}

static bool any_bit_before(const struct chunk *c, uint64_t nr)
{
	for (uint64_t i = 0; i < nr / WORD_BITS; i++)
		if (word_at(c, i))
			return true;
	return nr % WORD_BITS && word_at(c, nr / WORD_BITS) << (WORD_BITS - nr % WORD_BITS);
}

/* ---- checks; @clean: how many blocks at the head of the chunk must be clean ---- */

static bool runs_are_sound(const struct chunk *c, uint64_t clean)
{
	size_t nr = c->runs_bytes / sizeof(struct cbt_run);
	uint64_t end = 0;

	if (!nr || c->runs_bytes % sizeof(struct cbt_run))
		return false;
	for (size_t i = 0; i < nr; i++) {
		struct cbt_run run = run_at(c, i);

		if (!run.nr || run.start < clean || (i && run.start <= end))
			return false;
		end = (uint64_t)run.start + run.nr;
		if (end > c->nr_blocks)
			return false;
	}
	return true;
}

static bool bits_are_sound(const struct chunk *c, uint64_t clean)
{
	if (c->bits_bytes / sizeof(uint64_t) != nr_words(c) || c->bits_bytes % sizeof(uint64_t))
		return false;
	if (any_bit_before(c, clean))
		return false;
	return c->nr_blocks % WORD_BITS == 0 ||
	       word_at(c, nr_words(c) - 1) >> c->nr_blocks % WORD_BITS == 0;
}

static bool chunk_is_sound(const struct chunk_reader *r, const struct chunk *c)
{
	uint64_t clean;

	if (c->start < r->next || c->start >= r->nr_blocks)
		return false;
	if (!c->nr_blocks || c->nr_blocks > r->nr_blocks - c->start)
		return false;
	if (c->runs && c->bits)
		return false;

	clean = c->start < r->first_block ? r->first_block - c->start : 0;
	if (clean > c->nr_blocks)
		clean = c->nr_blocks;
	if (c->runs)
		return runs_are_sound(c, clean);
	if (c->bits)
		return bits_are_sound(c, clean);
	return !clean;
}

/* ---- reporting ---- */

static int add_run(struct chunk_reader *r, uint64_t first, uint64_t nr)
{
	int err;

	if (r->run_blocks && r->run_first + r->run_blocks == first) {
		r->run_blocks += nr;
		return 0;
	}
	err = chunk_reader_end(r);
	r->run_first = first;
	r->run_blocks = nr;
	return err;
}

static int add_runs(struct chunk_reader *r, const struct chunk *c)
{
	for (size_t i = 0; i < c->runs_bytes / sizeof(struct cbt_run); i++) {
		struct cbt_run run = run_at(c, i);
		int err = add_run(r, c->start + run.start, run.nr);

		if (err < 0)
			return err;
	}
	return 0;
}

static int add_word(struct chunk_reader *r, uint64_t start, uint64_t word)
{
	while (word) {
		unsigned int low = (unsigned int)__builtin_ctzll(word);
		uint64_t clear = ~(word >> low);
		unsigned int nr = clear ? (unsigned int)__builtin_ctzll(clear) : WORD_BITS;
		int err = add_run(r, start + low, nr);

		if (err < 0)
			return err;
		if (low + nr >= WORD_BITS)
			return 0;
		word &= UINT64_MAX << (low + nr);
	}
	return 0;
}

static int add_bits(struct chunk_reader *r, const struct chunk *c)
{
	for (uint64_t i = 0; i < nr_words(c); i++) {
		int err = add_word(r, c->start + i * WORD_BITS, word_at(c, i));

		if (err < 0)
			return err;
	}
	return 0;
}

int chunk_read(struct chunk_reader *r, const struct chunk *c)
{
	if (!chunk_is_sound(r, c))
		return -EBADMSG;
	r->next = c->start + c->nr_blocks;
	if (c->runs)
		return add_runs(r, c);
	if (c->bits)
		return add_bits(r, c);
	return add_run(r, c->start, c->nr_blocks);
}

int chunk_reader_end(struct chunk_reader *r)
{
	uint64_t nr = r->run_blocks;

	r->run_blocks = 0;
	return nr ? r->fn(r->context, r->run_first, nr) : 0;
}
