// SPDX-License-Identifier: GPL-2.0-or-later
/* The sparse map (kmod/map.c) in user space, against a stupid model: one byte a block. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "kselftest_harness.h"

#include "../../kmod/map.h"

#define NR_BLOCKS (3 * CBT_LEAF_BLOCKS + 777)

static unsigned int pages_in_use;
static unsigned int pages_left; /* that may still be had */

void *port_zeroed_page(void)
{
	if (!__atomic_load_n(&pages_left, __ATOMIC_RELAXED))
		return NULL;
	__atomic_fetch_sub(&pages_left, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&pages_in_use, 1, __ATOMIC_RELAXED);
	return calloc(1, sizeof(struct cbt_leaf));
}

void port_free_page(void *page)
{
	__atomic_fetch_sub(&pages_in_use, 1, __ATOMIC_RELAXED);
	free(page);
}

FIXTURE(map)
{
	struct cbt_map map, other;
	struct cbt_leaf_view view;
	struct cbt_spares spares;
	uint8_t model[NR_BLOCKS];
};

FIXTURE_SETUP(map)
{
	memset(self, 0, sizeof(*self));
	pages_left = 1000000;
	ASSERT_EQ(0, cbt_map_init(&self->map, NR_BLOCKS));
	ASSERT_EQ(0, cbt_map_init(&self->other, NR_BLOCKS));
	cbt_spares_fill(&self->spares);
}

FIXTURE_TEARDOWN(map)
{
	cbt_spares_drop(&self->spares);
	cbt_map_exit(&self->map);
	cbt_map_exit(&self->other);
	EXPECT_EQ(0U, pages_in_use);
}

static void merge(struct cbt_map *into, struct cbt_map *from)
{
	for (u64 leaf = 0; leaf < from->nr_leaves; leaf++)
		cbt_map_merge_leaf(into, from, leaf);
}

static bool mark(struct cbt_map *map, u64 first, u64 last)
{
	struct cbt_spares spares = { 0 };
	bool done;

	cbt_spares_fill(&spares);
	done = cbt_map_mark(map, first, last, &spares);
	cbt_spares_drop(&spares);
	return done;
}

/* Reads a view back into one byte a block; returns the number of dirty blocks, or -1 if the view breaks its contract. */
static long view_read(const struct cbt_leaf_view *v, const uint8_t *bits, uint8_t *blocks)
{
	long nr = 0;
	u32 end = 0;

	memset(blocks, 0, v->nr_blocks);
	switch (v->form) {
	case CBT_FORM_CLEAN:
		return 0;
	case CBT_FORM_ALL:
		memset(blocks, 1, v->nr_blocks);
		return v->nr_blocks;
	case CBT_FORM_RUNS:
		for (u32 i = 0; i < v->nr_runs; i++) {
			if (!v->runs[i].nr || (i && v->runs[i].start <= end) ||
			    v->runs[i].start + v->runs[i].nr > v->nr_blocks)
				return -1;
			end = v->runs[i].start + v->runs[i].nr;
			memset(blocks + v->runs[i].start, 1, v->runs[i].nr);
			nr += v->runs[i].nr;
		}
		return nr;
	case CBT_FORM_BITS:
		for (u32 i = 0; i < v->nr_blocks; i++)
			nr += blocks[i] = bits[i / 8] >> (i % 8) & 1;
		return nr;
	}
	return -1;
}

static bool agrees(struct cbt_map *a, struct cbt_map *b, u64 from, const uint8_t *model,
		   struct cbt_leaf_view *view)
{
	static uint8_t blocks[CBT_LEAF_BLOCKS], expected[CBT_LEAF_BLOCKS], bits[CBT_LEAF_BLOCKS / 8 + 1];

	for (u64 leaf = 0; leaf < a->nr_leaves; leaf++) {
		u64 start = leaf << CBT_LEAF_SHIFT;
		long nr = 0;

		cbt_map_view(a, b, leaf, from, view);
		for (u32 i = 0; i < view->nr_blocks; i++)
			nr += expected[i] = model[start + i] && start + i >= from;
		/* Not aligned, as in a message. */
		memset(bits, 0xa5, sizeof(bits));
		cbt_map_bits(a, b, leaf, from, bits + 1);
		for (u32 i = 0; i < view->nr_blocks; i++)
			if ((bits[1 + i / 8] >> (i % 8) & 1) != expected[i])
				return false;
		if (view_read(view, bits + 1, blocks) != nr || memcmp(blocks, expected, view->nr_blocks))
			return false;
	}
	return true;
}

static long model_mark(uint8_t *model, u64 first, u64 last)
{
	long nr_new = 0;

	for (u64 i = first; i <= last; i++) {
		nr_new += !model[i];
		model[i] = 1;
	}
	return nr_new;
}

TEST_F(map, a_new_map_is_clean)
{
	EXPECT_TRUE(agrees(&self->map, NULL, 0, self->model, &self->view));
	EXPECT_EQ(0U, atomic64_read(&self->map.nr_dirty));
}

TEST_F(map, a_mark_dirties_exactly_its_blocks_across_leaves)
{
	u64 first = CBT_LEAF_BLOCKS - 3, last = 2 * CBT_LEAF_BLOCKS + 64;
	long nr = model_mark(self->model, first, last);

	EXPECT_TRUE(mark(&self->map, first, last));
	EXPECT_TRUE(agrees(&self->map, NULL, 0, self->model, &self->view));
	EXPECT_EQ((u64)nr, atomic64_read(&self->map.nr_dirty));
	EXPECT_FALSE(cbt_map_test(&self->map, first - 1));
	EXPECT_TRUE(cbt_map_test(&self->map, first));
	EXPECT_TRUE(cbt_map_test(&self->map, last));
	EXPECT_FALSE(cbt_map_test(&self->map, last + 1));
}

TEST_F(map, the_last_partial_leaf_ends_at_the_last_block)
{
	long nr = model_mark(self->model, NR_BLOCKS - 777, NR_BLOCKS - 1);

	EXPECT_TRUE(cbt_map_mark(&self->map, NR_BLOCKS - 777, NR_BLOCKS - 1, NULL));
	EXPECT_TRUE(agrees(&self->map, NULL, 0, self->model, &self->view));
	EXPECT_EQ((u64)nr, atomic64_read(&self->map.nr_dirty));
}

TEST_F(map, a_mark_without_a_leaf_is_refused_and_succeeds_with_spares)
{
	EXPECT_FALSE(cbt_map_mark(&self->map, 5, 6, NULL));
	EXPECT_FALSE(cbt_map_test(&self->map, 5));
	EXPECT_TRUE(cbt_map_mark(&self->map, 5, 6, &self->spares));
	EXPECT_TRUE(cbt_map_mark(&self->map, 7, 7, NULL));
	EXPECT_EQ(3U, atomic64_read(&self->map.nr_dirty));
}

TEST_F(map, whole_leaves_need_no_page_and_a_range_at_most_two)
{
	unsigned int before = pages_in_use;

	EXPECT_TRUE(cbt_map_mark(&self->map, CBT_LEAF_BLOCKS, 2 * CBT_LEAF_BLOCKS - 1, NULL));
	EXPECT_TRUE(cbt_map_mark(&self->other, 1, NR_BLOCKS - 2, &self->spares));
	EXPECT_EQ(before, pages_in_use);
	EXPECT_EQ(NULL, self->spares.leaf[0]);
	EXPECT_EQ(NULL, self->spares.leaf[1]);
	EXPECT_EQ(NR_BLOCKS - 2U, atomic64_read(&self->other.nr_dirty));
}

TEST_F(map, without_memory_the_leaf_becomes_wholly_dirty)
{
	struct cbt_spares none = { 0 };

	EXPECT_TRUE(cbt_map_mark(&self->map, 9, 9, &none));
	model_mark(self->model, 0, CBT_LEAF_BLOCKS - 1);
	EXPECT_TRUE(agrees(&self->map, NULL, 0, self->model, &self->view));
	EXPECT_EQ(CBT_LEAF_BLOCKS, atomic64_read(&self->map.nr_dirty));
}

TEST_F(map, marking_again_changes_nothing)
{
	EXPECT_TRUE(mark(&self->map, 100, 300));
	EXPECT_TRUE(cbt_map_mark(&self->map, 100, 300, NULL));
	EXPECT_TRUE(cbt_map_mark(&self->map, 150, 160, NULL));
	EXPECT_EQ(201U, atomic64_read(&self->map.nr_dirty));
}

TEST_F(map, a_view_takes_the_smallest_form)
{
	cbt_map_view(&self->map, NULL, 0, 0, &self->view);
	EXPECT_EQ(CBT_FORM_CLEAN, self->view.form);
	mark(&self->map, 10, 20);
	cbt_map_view(&self->map, NULL, 0, 0, &self->view);
	EXPECT_EQ(CBT_FORM_RUNS, self->view.form);
	EXPECT_EQ(1U, self->view.nr_runs);
	for (u32 i = 0; i < CBT_LEAF_BLOCKS; i += 2)
		mark(&self->map, i, i);
	cbt_map_view(&self->map, NULL, 0, 0, &self->view);
	EXPECT_EQ(CBT_FORM_BITS, self->view.form);
	mark(&self->map, 0, CBT_LEAF_BLOCKS - 1);
	cbt_map_view(&self->map, NULL, 0, 0, &self->view);
	EXPECT_EQ(CBT_FORM_ALL, self->view.form);
}

TEST(views_of_a_map_of_few_blocks)
{
	static struct cbt_leaf_view view;
	static uint8_t model[64];

	pages_left = 1000000;
	for (u32 nr_blocks = 1; nr_blocks <= 64; nr_blocks += 21) {
		struct cbt_map map;

		for (u32 w = 0; w < 64; w++) {
			ASSERT_EQ(0, cbt_map_init(&map, nr_blocks));
			memset(model, 0, sizeof(model));
			for (u32 i = 0; i < nr_blocks; i++)
				if (i % (w + 1) == 0 || w == 63) {
					model[i] = 1;
					mark(&map, i, i);
				}
			ASSERT_TRUE(agrees(&map, NULL, 0, model, &view));
			EXPECT_TRUE(agrees(&map, &map, 1, model, &view));
			if (atomic64_read(&map.nr_dirty) == nr_blocks) {
				cbt_map_view(&map, NULL, 0, 0, &view);
				EXPECT_EQ(CBT_FORM_ALL, view.form);
			}
			cbt_map_exit(&map);
		}
	}
}

TEST_F(map, a_leaf_that_is_wholly_dirty_in_either_map_is_so_in_the_union)
{
	EXPECT_TRUE(mark(&self->map, 7, 9));
	EXPECT_TRUE(cbt_map_mark(&self->other, 0, CBT_LEAF_BLOCKS - 1, NULL));
	model_mark(self->model, 0, CBT_LEAF_BLOCKS - 1);
	EXPECT_TRUE(agrees(&self->map, &self->other, 0, self->model, &self->view));
	EXPECT_TRUE(agrees(&self->map, &self->other, 8, self->model, &self->view));
	EXPECT_TRUE(agrees(&self->other, &self->map, 0, self->model, &self->view));
	EXPECT_TRUE(agrees(&self->other, &self->map, 8, self->model, &self->view));
}

TEST_F(map, a_view_from_inside_a_dirty_last_leaf_ends_at_the_last_block)
{
	u64 from = NR_BLOCKS - 700;

	model_mark(self->model, 3 * CBT_LEAF_BLOCKS, NR_BLOCKS - 1);
	EXPECT_TRUE(cbt_map_mark(&self->map, 3 * CBT_LEAF_BLOCKS, NR_BLOCKS - 1, NULL));
	EXPECT_TRUE(agrees(&self->map, NULL, from, self->model, &self->view));
	EXPECT_EQ(CBT_FORM_RUNS, self->view.form);
	EXPECT_EQ(1U, self->view.nr_runs);
	EXPECT_EQ(700U, self->view.runs[0].nr);
}

TEST_F(map, clearing_frees_every_page)
{
	cbt_spares_drop(&self->spares);
	mark(&self->map, 3, 3);
	mark(&self->map, NR_BLOCKS - 1, NR_BLOCKS - 1);
	cbt_map_clear(&self->map);
	EXPECT_EQ(0U, pages_in_use);
	EXPECT_TRUE(agrees(&self->map, NULL, 0, self->model, &self->view));
	EXPECT_EQ(0U, atomic64_read(&self->map.nr_dirty));
}

static unsigned int new_seed(void)
{
	const char *given = getenv("SEED");
	unsigned int seed = given ? (unsigned int)strtoul(given, NULL, 0) : (unsigned int)time(NULL);

	printf("# seed=%u\n", seed);
	return seed;
}

static void random_range(unsigned int *seed, u64 *first, u64 *last)
{
	static const u32 longest[] = { 1, 8, 100, 2 * CBT_LEAF_BLOCKS + 5 };
	u64 nr = 1 + (u32)rand_r(seed) % longest[rand_r(seed) % 4];

	*first = (u32)rand_r(seed) % NR_BLOCKS;
	*last = min(*first + nr, (u64)NR_BLOCKS) - 1;
	/* Whole leaves are otherwise hardly ever hit to the block. */
	if (rand_r(seed) % 16 == 0) {
		*first &= ~(u64)(CBT_LEAF_BLOCKS - 1);
		*last = min(*last | (CBT_LEAF_BLOCKS - 1), (u64)NR_BLOCKS - 1);
	}
}

TEST_F(map, random_marks_merges_and_clears_agree_with_the_model)
{
	unsigned int seed = new_seed();
	static uint8_t other[NR_BLOCKS], both[NR_BLOCKS];

	memset(other, 0, sizeof(other));
	for (int step = 0; step < 3000; step++) {
		struct cbt_map *map = rand_r(&seed) % 2 ? &self->map : &self->other;
		uint8_t *model = map == &self->map ? self->model : other;
		u64 first, last, nr = 0, from = (u32)rand_r(&seed) % NR_BLOCKS;

		random_range(&seed, &first, &last);
		if (rand_r(&seed) % 200 == 0) {
			merge(&self->map, &self->other);
			for (u32 i = 0; i < NR_BLOCKS; i++)
				self->model[i] |= other[i];
			memset(other, 0, sizeof(other));
		} else if (rand_r(&seed) % 300 == 0) {
			cbt_map_clear(map);
			memset(model, 0, NR_BLOCKS);
		} else if (cbt_map_mark(map, first, last, rand_r(&seed) % 2 ? &self->spares : NULL)) {
			model_mark(model, first, last);
			cbt_spares_fill(&self->spares);
		} else {
			/* Refused: part of it may be dirty, so finish it. */
			ASSERT_TRUE(mark(map, first, last));
			model_mark(model, first, last);
		}
		if (step % 10)
			continue;
		for (u32 i = 0; i < NR_BLOCKS; i++) {
			both[i] = self->model[i] | other[i];
			nr += self->model[i];
		}
		ASSERT_EQ(nr, atomic64_read(&self->map.nr_dirty));
		ASSERT_TRUE(agrees(&self->map, NULL, from, self->model, &self->view));
		ASSERT_TRUE(agrees(&self->map, &self->other, from, both, &self->view));
	}
}

static u64 model_find(const uint8_t *model, const uint8_t *minus, u64 first, u64 last)
{
	while (first <= last && !(model[first] && !(minus && minus[first])))
		first++;
	return first;
}

TEST_F(map, find_gives_the_first_block_of_the_range_that_only_the_first_map_has)
{
	unsigned int seed = new_seed();
	static uint8_t other[NR_BLOCKS];

	memset(other, 0, sizeof(other));
	EXPECT_EQ(10U, cbt_map_find(&self->map, NULL, 3, 9));
	EXPECT_EQ((u64)NR_BLOCKS, cbt_map_find(&self->map, &self->other, 0, NR_BLOCKS - 1));
	for (int step = 0; step < 1500; step++) {
		struct cbt_map *map = rand_r(&seed) % 3 ? &self->map : &self->other;
		u64 first, last;

		if (rand_r(&seed) % 100 == 0) {
			cbt_map_clear(map);
			memset(map == &self->map ? self->model : other, 0, NR_BLOCKS);
		}
		random_range(&seed, &first, &last);
		ASSERT_TRUE(mark(map, first, last));
		model_mark(map == &self->map ? self->model : other, first, last);
		random_range(&seed, &first, &last);
		ASSERT_EQ(model_find(self->model, NULL, first, last),
			  cbt_map_find(&self->map, NULL, first, last));
		ASSERT_EQ(model_find(self->model, other, first, last),
			  cbt_map_find(&self->map, &self->other, first, last));
	}
}

static bool model_covers(const uint8_t *model, u64 first, u64 last)
{
	while (first <= last && model[first])
		first++;
	return first > last;
}

TEST_F(map, covers_wants_every_block_of_the_range)
{
	unsigned int seed = new_seed();

	for (int step = 0; step < 2000; step++) {
		u64 first, last;

		random_range(&seed, &first, &last);
		if (rand_r(&seed) % 4 == 0) {
			ASSERT_TRUE(mark(&self->map, first, last));
			model_mark(self->model, first, last);
		}
		/* Near what is dirty, so that a block more or less decides. */
		first -= min(first, (u64)(rand_r(&seed) % 2));
		last = min(last + rand_r(&seed) % 2, (u64)NR_BLOCKS - 1);
		ASSERT_EQ(model_covers(self->model, first, last),
			  cbt_map_covers(&self->map, first, last));
	}
}

/* Half a leaf, a word, or what is between, as pages of a store hold it. */
static u64 random_stretch(unsigned int *seed, u32 *ret_nr)
{
	static const u32 lengths[] = { 64, 640, CBT_LEAF_BLOCKS / 2, CBT_LEAF_BLOCKS };
	u32 nr = lengths[rand_r(seed) % 4];
	u32 leaf = (u32)rand_r(seed) % 4;

	*ret_nr = nr;
	return leaf * CBT_LEAF_BLOCKS + (u32)rand_r(seed) % (CBT_LEAF_BLOCKS / nr) * nr;
}

static void random_words(unsigned int *seed, __le64 *bits)
{
	int density = 1 + rand_r(seed) % 100;

	for (u32 i = 0; i < CBT_LEAF_WORDS; i++) {
		u64 word = (u64)rand_r(seed) << 40 ^ (u64)rand_r(seed) << 20 ^ (u32)rand_r(seed);

		bits[i] = cpu_to_le64(rand_r(seed) % density ? 0 : word);
	}
}

static bool bit_of(const __le64 *bits, u32 i)
{
	return ((const uint8_t *)bits)[i / 8] >> (i % 8) & 1;
}

TEST_F(map, what_is_loaded_is_dirty_and_is_saved_again)
{
	static __le64 bits[CBT_LEAF_WORDS], saved[CBT_LEAF_WORDS], before[CBT_LEAF_WORDS];
	unsigned int seed = new_seed();

	for (int step = 0; step < 400; step++) {
		bool found = false, any;
		u64 nr_dirty = 0;
		u32 nr;
		u64 start = random_stretch(&seed, &nr);

		if (rand_r(&seed) % 50 == 0) {
			cbt_map_clear(&self->map);
			memset(self->model, 0, NR_BLOCKS);
		}
		if (rand_r(&seed) % 30 == 0) {
			u64 leaf = CBT_LEAF_BLOCKS * (u64)(rand_r(&seed) % 3);

			ASSERT_TRUE(cbt_map_mark(&self->map, leaf, leaf + CBT_LEAF_BLOCKS - 1, NULL));
			model_mark(self->model, leaf, leaf + CBT_LEAF_BLOCKS - 1);
		}
		random_words(&seed, bits);
		cbt_map_load(&self->map, start, bits, nr);
		for (u32 i = 0; i < nr && start + i < NR_BLOCKS; i++)
			self->model[start + i] |= bit_of(bits, i);
		for (u32 i = 0; i < NR_BLOCKS; i++)
			nr_dirty += self->model[i];
		ASSERT_EQ(nr_dirty, atomic64_read(&self->map.nr_dirty));
		ASSERT_TRUE(agrees(&self->map, NULL, 0, self->model, &self->view));

		start = random_stretch(&seed, &nr);
		random_words(&seed, saved);
		memcpy(before, saved, sizeof(saved));
		any = cbt_map_save(&self->map, start, saved, nr);
		for (u32 i = 0; i < CBT_LEAF_BLOCKS; i++) {
			bool here = i < nr && start + i < NR_BLOCKS && self->model[start + i];

			ASSERT_EQ(bit_of(before, i) || here, bit_of(saved, i));
			found |= here;
		}
		ASSERT_EQ(found, any);
	}
}

TEST_F(map, save_says_whether_there_was_a_dirty_block)
{
	static __le64 bits[CBT_LEAF_WORDS];

	mark(&self->map, CBT_LEAF_BLOCKS + 64, CBT_LEAF_BLOCKS + 64);
	EXPECT_FALSE(cbt_map_save(&self->map, 0, bits, CBT_LEAF_BLOCKS));
	EXPECT_FALSE(cbt_map_save(&self->map, CBT_LEAF_BLOCKS, bits, 64));
	EXPECT_EQ(0U, bits[0]);
	EXPECT_TRUE(cbt_map_save(&self->map, CBT_LEAF_BLOCKS + 64, bits, 64));
	EXPECT_EQ(1U, le64_to_cpu(bits[0]));
}

TEST_F(map, loading_without_memory_makes_the_leaf_wholly_dirty)
{
	static __le64 bits[CBT_LEAF_WORDS];

	pages_left = 0;
	cbt_map_load(&self->map, 3 * CBT_LEAF_BLOCKS, bits, CBT_LEAF_BLOCKS / 2);
	EXPECT_EQ(0U, atomic64_read(&self->map.nr_dirty));
	bits[3] = cpu_to_le64(16);
	cbt_map_load(&self->map, 3 * CBT_LEAF_BLOCKS, bits, CBT_LEAF_BLOCKS / 2);
	EXPECT_EQ(777U, atomic64_read(&self->map.nr_dirty));
	EXPECT_TRUE(cbt_map_covers(&self->map, NR_BLOCKS - 777, NR_BLOCKS - 1));
}

struct marker {
	struct cbt_map *map;
	unsigned int seed;
	uint8_t *model;
};

static void *mark_randomly(void *arg)
{
	struct marker *m = arg;

	for (int i = 0; i < 20000; i++) {
		u64 first, last;

		random_range(&m->seed, &first, &last);
		/* Long ranges would leave nothing to race for. */
		last = min(last, first + 3);
		if (!cbt_map_mark(m->map, first, last, NULL))
			mark(m->map, first, last);
		for (u64 b = first; b <= last; b++)
			__atomic_store_n(&m->model[b], 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST_F(map, markers_that_race_each_other_and_a_merge_lose_and_miscount_nothing)
{
	unsigned int seed = new_seed();
	struct marker markers[4];
	pthread_t threads[4];
	u64 nr = 0;

	for (int round = 0; round < 5; round++) {
		struct marker before = { &self->other, seed += 7, self->model };

		mark_randomly(&before);
		for (unsigned int i = 0; i < 4; i++) {
			markers[i] = (struct marker){ &self->map, seed + i * 1000, self->model };
			ASSERT_EQ(0, pthread_create(&threads[i], NULL, mark_randomly, &markers[i]));
		}
		merge(&self->map, &self->other);
		for (unsigned int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
	}
	for (u32 i = 0; i < NR_BLOCKS; i++)
		nr += self->model[i];
	EXPECT_EQ(nr, atomic64_read(&self->map.nr_dirty));
	EXPECT_TRUE(agrees(&self->map, NULL, 0, self->model, &self->view));
}

#define NR_ROUNDS 5000U

/* Both sides leave a round within nanoseconds of each other, which no sleeping barrier manages. */
static void meet(unsigned int *nr_here, unsigned int nr_expected)
{
	__atomic_fetch_add(nr_here, 1, __ATOMIC_SEQ_CST);
	for (u32 i = 0; __atomic_load_n(nr_here, __ATOMIC_SEQ_CST) < nr_expected; i++)
		if (i > 10000)
			sched_yield();
}

static unsigned int nr_met;

static void mark_as_both_meet(struct cbt_map *map, u64 block, u32 round)
{
	struct cbt_spares spares = { 0 };

	cbt_spares_fill(&spares);
	meet(&nr_met, 4 * round + 2);
	cbt_map_mark(map, block, block, &spares);
	cbt_spares_drop(&spares);
	meet(&nr_met, 4 * round + 4);
}

struct racer {
	struct cbt_map *map;
	u64 block;
};

static void *mark_one(void *arg)
{
	const struct racer *racer = arg;

	for (u32 round = 0; round < NR_ROUNDS; round++)
		mark_as_both_meet(racer->map, racer->block, round);
	return NULL;
}

TEST_F(map, markers_that_race_for_an_empty_leaf_share_one_page)
{
	struct racer racer = { &self->map, 1 };
	unsigned int nr_lost = 0;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, mark_one, &racer));
	for (u32 round = 0; round < NR_ROUNDS; round++) {
		cbt_map_clear(&self->map);
		mark_as_both_meet(&self->map, 2, round);
		nr_lost += !cbt_map_test(&self->map, 1) || !cbt_map_test(&self->map, 2) ||
			   atomic64_read(&self->map.nr_dirty) != 2;
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(0U, nr_lost);
}

TEST_F(map, a_marker_that_races_a_merge_into_an_empty_leaf_is_counted_once)
{
	/* Far behind what the merged leaf has, so that it would be counted late. */
	struct racer racer = { &self->map, CBT_LEAF_BLOCKS - 1 };
	unsigned int nr_wrong = 0;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, mark_one, &racer));
	for (u32 round = 0; round < NR_ROUNDS; round++) {
		cbt_map_clear(&self->map);
		ASSERT_TRUE(mark(&self->other, 2, 2));
		meet(&nr_met, 4 * round + 2);
		merge(&self->map, &self->other);
		meet(&nr_met, 4 * round + 4);
		nr_wrong += atomic64_read(&self->map.nr_dirty) != 2;
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(0U, nr_wrong);
}

TEST_HARNESS_MAIN
