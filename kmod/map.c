// SPDX-License-Identifier: GPL-2.0-or-later OR MIT
/*
 * The sparse dirty bitmap: see map.h for what it guarantees.
 *
 * A slot of the table goes NULL -> page or NULL -> LEAF_ALL, by cmpxchg, and then stays until the
 * map is cleared; a bit goes from 0 to 1 and then stays. So a marker never has to look twice:
 * what it saw dirty is dirty, and what it lost a race for was made dirty by the winner or still
 * has a page to mark in. A page that fills up stays a page; readers see that it is full.
 *
 * nr_dirty counts the bits that really changed, so it is exact without a lock, and rewriting
 * dirty blocks does not touch it.
 */
#include "map.h"

#define LEAF_ALL ((struct cbt_leaf *)1UL)

static bool is_page(const struct cbt_leaf *leaf)
{
	return leaf && leaf != LEAF_ALL;
}

static u32 leaf_nr_blocks(const struct cbt_map *map, u64 index)
{
	return min(map->nr_blocks - (index << CBT_LEAF_SHIFT), (u64)CBT_LEAF_BLOCKS);
}

/* Bits @first to @last of a word, both inclusive. */
static u64 word_mask(u32 first, u32 last)
{
	return (~0ULL << first) & (~0ULL >> (63 - last));
}

/*--------------------------------------------------------------------------------------------------
 * Life
 */

static u64 nr_leaves_of(u64 nr_blocks)
{
	return (nr_blocks >> CBT_LEAF_SHIFT) + !!(nr_blocks & (CBT_LEAF_BLOCKS - 1));
}

struct cbt_leaf **cbt_map_new_table(u64 nr_blocks)
{
	return kvcalloc(nr_leaves_of(nr_blocks), sizeof(struct cbt_leaf *), GFP_KERNEL);
}

int cbt_map_init(struct cbt_map *map, u64 nr_blocks)
{
	map->leaves = cbt_map_new_table(nr_blocks);
	if (!map->leaves)
		return -ENOMEM;
	map->nr_blocks = nr_blocks;
	map->nr_leaves = nr_leaves_of(nr_blocks);
	atomic64_set(&map->nr_dirty, 0);
	return 0;
}

struct cbt_leaf **cbt_map_grow(struct cbt_map *map, u64 nr_blocks, struct cbt_leaf **leaves)
{
	struct cbt_leaf **old = map->leaves;
	u64 last = map->nr_leaves - 1;
	u32 nr_last = leaf_nr_blocks(map, last);

	memcpy(leaves, old, map->nr_leaves * sizeof(*leaves));
	map->leaves = leaves;
	map->nr_blocks = nr_blocks;
	map->nr_leaves = nr_leaves_of(nr_blocks);
	/* A wholly dirty last leaf has more blocks now. */
	if (leaves[last] == LEAF_ALL)
		atomic64_add(leaf_nr_blocks(map, last) - nr_last, &map->nr_dirty);
	return old;
}

void cbt_map_clear(struct cbt_map *map)
{
	u64 i;

	for (i = 0; i < map->nr_leaves; i++) {
		if (is_page(map->leaves[i]))
			port_free_page(map->leaves[i]);
		map->leaves[i] = NULL;
		if (!(i & 1023))
			cond_resched();
	}
	atomic64_set(&map->nr_dirty, 0);
}

void cbt_map_exit(struct cbt_map *map)
{
	if (map->leaves)
		cbt_map_clear(map);
	kvfree(map->leaves);
	memset(map, 0, sizeof(*map));
}

void cbt_spares_fill(struct cbt_spares *spares)
{
	u32 i;

	for (i = 0; i < 2; i++)
		if (!spares->leaf[i])
			spares->leaf[i] = port_zeroed_page();
}

void cbt_spares_drop(struct cbt_spares *spares)
{
	u32 i;

	for (i = 0; i < 2; i++) {
		if (spares->leaf[i])
			port_free_page(spares->leaf[i]);
		spares->leaf[i] = NULL;
	}
}

/*--------------------------------------------------------------------------------------------------
 * Marking
 */

/*
 * The bits of a page from @first to @last; returns how many were clean. Tests before it writes, so
 * that rewriting dirty blocks dirties no cache line.
 */
static u64 page_mark(struct cbt_leaf *page, u32 first, u32 last)
{
	u64 nr_new = 0;
	u32 w;

	for (w = first / 64; w <= last / 64; w++) {
		u64 mask = word_mask(w == first / 64 ? first % 64 : 0,
				     w == last / 64 ? last % 64 : 63);
		u64 old = atomic64_read(&page->word[w]);

		if ((old & mask) == mask)
			continue;
		old = atomic64_fetch_or(mask, &page->word[w]);
		nr_new += hweight64(mask & ~old);
	}
	return nr_new;
}

/*
 * Fill an empty slot with a spare page, or without one wholly dirty; returns what stands there in
 * the end, which another marker may have put there.
 */
static struct cbt_leaf *slot_fill(struct cbt_map *map, u64 index, struct cbt_spares *spares)
{
	struct cbt_leaf **spare = spares ? &spares->leaf[!spares->leaf[0]] : NULL;
	struct cbt_leaf *leaf = spare && *spare ? *spare : LEAF_ALL;
	struct cbt_leaf *old = cmpxchg(&map->leaves[index], NULL, leaf);

	if (old)
		return old;
	if (leaf == LEAF_ALL)
		atomic64_add(leaf_nr_blocks(map, index), &map->nr_dirty);
	else
		*spare = NULL;
	return leaf;
}

/* Bits @first to @last of one leaf; false when there is no leaf to mark in. */
static bool leaf_mark(struct cbt_map *map, u64 index, u32 first, u32 last,
		      struct cbt_spares *spares)
{
	struct cbt_leaf *leaf = READ_ONCE(map->leaves[index]);

	if (!leaf) {
		bool whole = first == 0 && last == leaf_nr_blocks(map, index) - 1;

		if (!whole && !spares)
			return false;
		leaf = slot_fill(map, index, whole ? NULL : spares);
	}
	if (is_page(leaf)) {
		u64 nr_new = page_mark(leaf, first, last);

		if (nr_new)
			atomic64_add(nr_new, &map->nr_dirty);
	}
	return true;
}

bool cbt_map_mark(struct cbt_map *map, u64 first, u64 last, struct cbt_spares *spares)
{
	u64 i;

	for (i = first >> CBT_LEAF_SHIFT; i <= last >> CBT_LEAF_SHIFT; i++) {
		u64 start = i << CBT_LEAF_SHIFT;
		u64 end = start + leaf_nr_blocks(map, i) - 1;

		if (!leaf_mark(map, i, max(first, start) - start, min(last, end) - start, spares))
			return false;
	}
	return true;
}

bool cbt_map_test(const struct cbt_map *map, u64 block)
{
	struct cbt_leaf *leaf = READ_ONCE(map->leaves[block >> CBT_LEAF_SHIFT]);
	u32 bit = block & (CBT_LEAF_BLOCKS - 1);

	if (!is_page(leaf))
		return leaf;
	return (u64)atomic64_read(&leaf->word[bit / 64]) >> (bit % 64) & 1;
}

static bool leaf_covers(const struct cbt_leaf *leaf, u32 first, u32 last)
{
	u32 w;

	if (!is_page(leaf))
		return leaf;
	for (w = first / 64; w <= last / 64; w++) {
		u64 mask = word_mask(w == first / 64 ? first % 64 : 0,
				     w == last / 64 ? last % 64 : 63);

		if ((atomic64_read(&leaf->word[w]) & mask) != mask)
			return false;
	}
	return true;
}

bool cbt_map_covers(const struct cbt_map *map, u64 first, u64 last)
{
	u64 i;

	for (i = first >> CBT_LEAF_SHIFT; i <= last >> CBT_LEAF_SHIFT; i++) {
		u64 start = i << CBT_LEAF_SHIFT;

		if (!leaf_covers(READ_ONCE(map->leaves[i]), max(first, start) - start,
				 min(last - start, (u64)CBT_LEAF_BLOCKS - 1)))
			return false;
	}
	return true;
}

/*--------------------------------------------------------------------------------------------------
 * Loading and saving
 */

bool cbt_map_load(struct cbt_map *map, u64 start, const __le64 *bits, u32 nr)
{
	struct cbt_spares spares = { };
	u64 nr_new = 0;
	struct cbt_leaf *leaf;
	u32 w, word = start % CBT_LEAF_BLOCKS / 64;

	for (w = 0; w < nr / 64 && !bits[w]; w++)
		;
	if (w == nr / 64 || start >= map->nr_blocks)
		return true;
	leaf = READ_ONCE(map->leaves[start >> CBT_LEAF_SHIFT]);
	if (!leaf) {
		cbt_spares_fill(&spares);
		leaf = slot_fill(map, start >> CBT_LEAF_SHIFT, &spares);
		cbt_spares_drop(&spares);
	}
	for (w = 0; is_page(leaf) && w < nr / 64; w++) {
		u64 left = map->nr_blocks - min(start + w * 64ULL, map->nr_blocks);
		u64 mask = left ? word_mask(0, min(left, 64ULL) - 1) & le64_to_cpu(bits[w]) : 0;

		if (mask)
			nr_new += hweight64(mask & ~atomic64_fetch_or(mask, &leaf->word[word + w]));
	}
	atomic64_add(nr_new, &map->nr_dirty);
	return is_page(leaf);
}

bool cbt_map_save(const struct cbt_map *map, u64 start, __le64 *bits, u32 nr)
{
	const struct cbt_leaf *leaf = READ_ONCE(map->leaves[start >> CBT_LEAF_SHIFT]);
	u32 w, word = start % CBT_LEAF_BLOCKS / 64;
	bool any = false;

	for (w = 0; leaf && w < nr / 64; w++) {
		u64 left = map->nr_blocks - min(start + w * 64ULL, map->nr_blocks);
		u64 here = left ? word_mask(0, min(left, 64ULL) - 1) : 0;

		if (is_page(leaf))
			here &= atomic64_read(&leaf->word[word + w]);
		bits[w] |= cpu_to_le64(here);
		any |= here;
	}
	return any;
}

/*--------------------------------------------------------------------------------------------------
 * Searching
 */

static u64 leaf_word(const struct cbt_leaf *leaf, u32 w)
{
	if (!is_page(leaf))
		return leaf ? ~0ULL : 0;
	return atomic64_read(&leaf->word[w]);
}

/* The first bit from @first to @last, or CBT_LEAF_BLOCKS. */
static u32 leaf_find(const struct cbt_leaf *leaf, const struct cbt_leaf *minus, u32 first, u32 last)
{
	u32 w;

	for (w = first / 64; w <= last / 64; w++) {
		u64 bits = leaf_word(leaf, w) & ~leaf_word(minus, w) &
			   word_mask(w == first / 64 ? first % 64 : 0,
				     w == last / 64 ? last % 64 : 63);

		if (bits)
			return w * 64 + __ffs64(bits);
	}
	return CBT_LEAF_BLOCKS;
}

u64 cbt_map_find(const struct cbt_map *map, const struct cbt_map *minus, u64 first, u64 last)
{
	u64 i;

	for (i = first >> CBT_LEAF_SHIFT; i <= last >> CBT_LEAF_SHIFT; i++) {
		struct cbt_leaf *leaf = READ_ONCE(map->leaves[i]);
		struct cbt_leaf *without = minus ? READ_ONCE(minus->leaves[i]) : NULL;
		u64 start = i << CBT_LEAF_SHIFT;
		u32 bit;

		if (!leaf || without == LEAF_ALL)
			continue;
		bit = leaf_find(leaf, without, max(first, start) - start,
				min(last - start, (u64)CBT_LEAF_BLOCKS - 1));
		if (bit < CBT_LEAF_BLOCKS)
			return start + bit;
	}
	return last + 1;
}

/*--------------------------------------------------------------------------------------------------
 * Merging
 */

static u64 page_weight(struct cbt_leaf *page)
{
	u64 nr = 0;
	u32 w;

	for (w = 0; w < CBT_LEAF_WORDS; w++)
		nr += hweight64(atomic64_read(&page->word[w]));
	return nr;
}

static u64 page_merge(struct cbt_leaf *into, struct cbt_leaf *from)
{
	u64 nr_new = 0;
	u32 w;

	for (w = 0; w < CBT_LEAF_WORDS; w++) {
		u64 bits = atomic64_read(&from->word[w]);

		if (bits)
			nr_new += hweight64(bits & ~atomic64_fetch_or(bits, &into->word[w]));
	}
	return nr_new;
}

/*
 * Merge a leaf of @nr_dirty blocks that nobody else knows, and consume it; returns how many blocks
 * became dirty. Once it is in the map, others mark in it, and count what they mark.
 */
static u64 leaf_merge(struct cbt_map *into, u64 index, struct cbt_leaf *from, u64 nr_dirty)
{
	struct cbt_leaf *old = cmpxchg(&into->leaves[index], NULL, from);
	u32 nr_blocks = leaf_nr_blocks(into, index);
	u64 nr_new = 0;

	if (!old)
		return nr_dirty;
	if (is_page(old))
		nr_new = from == LEAF_ALL ? page_mark(old, 0, nr_blocks - 1)
					  : page_merge(old, from);
	if (is_page(from))
		port_free_page(from);
	return nr_new;
}

void cbt_map_merge_leaf(struct cbt_map *into, struct cbt_map *from, u64 index)
{
	struct cbt_leaf *leaf = from->leaves[index];
	u64 nr_new, nr_before;

	if (!leaf)
		return;
	nr_before = is_page(leaf) ? page_weight(leaf) : leaf_nr_blocks(from, index);
	from->leaves[index] = NULL;
	nr_new = leaf_merge(into, index, leaf, nr_before);
	atomic64_add(nr_new, &into->nr_dirty);
	atomic64_add(-nr_before, &from->nr_dirty);
}

/*--------------------------------------------------------------------------------------------------
 * Reading
 */

/* A leaf of one map or the union of two, of which blocks before @from count as clean. */
struct leaf_source {
	const struct cbt_leaf *a;
	const struct cbt_leaf *b;	/* a page, or NULL */
	u32 from;
	u32 nr_blocks;
};

static struct leaf_source leaf_source(const struct cbt_map *a, const struct cbt_map *b, u64 index,
				      u64 from)
{
	struct cbt_leaf *la = READ_ONCE(a->leaves[index]);
	struct cbt_leaf *lb = b ? READ_ONCE(b->leaves[index]) : NULL;
	u64 start = index << CBT_LEAF_SHIFT;
	bool one = !la || !lb || lb == LEAF_ALL;

	return (struct leaf_source){
		.a = one && (!la || lb == LEAF_ALL) ? lb : la,
		.b = one ? NULL : lb,
		.from = from > start ? min(from - start, (u64)CBT_LEAF_BLOCKS) : 0,
		.nr_blocks = leaf_nr_blocks(a, index),
	};
}

static u32 nr_words(const struct leaf_source *s)
{
	return DIV_ROUND_UP(s->nr_blocks, 64);
}

static inline u64 source_word(const struct leaf_source *s, u32 w)
{
	u64 bits;

	if (!is_page(s->a))
		bits = s->a ? word_mask(0, min(s->nr_blocks - w * 64, 64U) - 1) : 0;
	else
		bits = atomic64_read(&s->a->word[w]);
	if (s->b)
		bits |= atomic64_read(&s->b->word[w]);
	if (s->from <= w * 64)
		return bits;
	return s->from < (w + 1) * 64 ? bits & ~0ULL << s->from % 64 : 0;
}

/* Most are: then the words are those of one page. */
static bool is_plain(const struct leaf_source *s)
{
	return is_page(s->a) && !s->b && !s->from;
}

/* A run begins at each dirty block whose predecessor is clean. */
static __always_inline u32 nr_begin(u64 word, u64 *before)
{
	u64 begin = word & ~(word << 1 | *before);

	*before = word >> 63;
	return hweight64(begin);
}

/* Stops when there are more than @max. */
static u32 count_runs(const struct leaf_source *s, u32 max)
{
	u32 w, nr = 0, end = nr_words(s);
	u64 before = 0;

	if (is_plain(s))
		for (w = 0; w < end && nr <= max; w++)
			nr += nr_begin(atomic64_read(&s->a->word[w]), &before);
	else
		for (w = 0; w < end && nr <= max; w++)
			nr += nr_begin(source_word(s, w), &before);
	return nr;
}

/* At most @max; returns how many, or @max + 1, since marks may have made more of them meanwhile. */
static u32 find_runs(const struct leaf_source *s, struct cbt_run *runs, u32 max)
{
	bool dirty = false;
	u32 w, nr = 0;

	for (w = 0; w < nr_words(s); w++) {
		u64 word = source_word(s, w);
		u64 change = dirty ? ~word : word;

		for (; change; change = (dirty ? ~word : word) & ~0ULL << __ffs64(change)) {
			u32 at = w * 64 + __ffs64(change);

			dirty = !dirty;
			if (!dirty)
				runs[nr - 1].nr = at - runs[nr - 1].start;
			else if (nr == max)
				return max + 1;
			else
				runs[nr++].start = at;
		}
	}
	if (dirty)
		runs[nr - 1].nr = s->nr_blocks - runs[nr - 1].start;
	return nr;
}

void cbt_map_view(const struct cbt_map *a, const struct cbt_map *b, u64 leaf, u64 from,
		  struct cbt_leaf_view *view)
{
	struct leaf_source s = leaf_source(a, b, leaf, from);
	/* As many as take less room than bits; one, so that ALL is seen. */
	u32 max = max(nr_words(&s) - 1, 1U);

	view->nr_blocks = s.nr_blocks;
	if (!s.a || (s.a == LEAF_ALL && !s.from)) {
		view->form = s.a ? CBT_FORM_ALL : CBT_FORM_CLEAN;
		return;
	}
	/* Counting is cheap, and mostly soon over where there are too many. */
	view->nr_runs = count_runs(&s, max);
	if (view->nr_runs <= max)
		view->nr_runs = find_runs(&s, view->runs, max);

	if (view->nr_runs > max)
		view->form = CBT_FORM_BITS;
	else if (!view->nr_runs)
		view->form = CBT_FORM_CLEAN;
	else
		view->form = view->runs[0].nr == s.nr_blocks ? CBT_FORM_ALL : CBT_FORM_RUNS;
}

void cbt_map_bits(const struct cbt_map *a, const struct cbt_map *b, u64 leaf, u64 from,
		  void *bits)
{
	struct leaf_source s = leaf_source(a, b, leaf, from);
	u8 *to = bits;
	u32 w;

	if (is_plain(&s)) {
		port_copy_bits(bits, s.a->word, nr_words(&s));
		return;
	}
	for (w = 0; w < nr_words(&s); w++) {
		__le64 word = cpu_to_le64(source_word(&s, w));

		memcpy(&to[w * sizeof(word)], &word, sizeof(word));
	}
}
