// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a store says is dirty (kmod/layout.c) agrees with a stupid model, over random stores.
 */
#include "kselftest_harness.h"

#include "stores.h"

/* ---- what a store says is dirty, against a model ---- */

#define NR_BLOCKS (3 * 32768 - 5000)
#define REGION_BLOCKS 128
#define NR_REGIONS ((NR_BLOCKS + REGION_BLOCKS - 1) / REGION_BLOCKS)
#define NR_LEAVES 3
#define CAPACITY 5 /* leaves */
#define HALF_BLOCKS 70

static u64 pages_left = ~0ULL; /* that may still be had */

void *port_zeroed_page(void)
{
	return pages_left && pages_left-- ? calloc(1, sizeof(struct cbt_leaf)) : NULL;
}

void port_free_page(void *page)
{
	free(page);
}

/* What is to be found, one byte a block, region and leaf. */
struct model {
	u8 dirty[NR_BLOCKS];
	u8 suspect[NR_REGIONS];
	u8 stale[NR_LEAVES];
	u64 epoch, log_sequence, nr_records, nr_damaged;
};

FIXTURE(recovery)
{
	struct disk disk;
	struct cbt_super super;
	struct cbt_map dirty, suspect;
	struct model model;
	u64 seed, state;
	unsigned long stale[1];
	u8 *buffer, *index;
};

static struct cbt_super small_super(void)
{
	struct cbt_super s = some_super();

	s.geo = (struct cbt_geometry){
		.size_sectors = NR_BLOCKS * 8 - 3,
		.block_sectors = 8,
		.region_sectors = REGION_BLOCKS * 8,
		.log_half_blocks = HALF_BLOCKS,
		.nr_leaves = CAPACITY,
		.store_blocks = CBT_DISK_LOG_START + 2 * HALF_BLOCKS + 1 + 2 * CAPACITY,
	};
	(void)plan(s.geo, &s.geo);
	return s;
}

FIXTURE_SETUP(recovery)
{
	memset(self, 0, sizeof(*self));
	self->super = small_super();
	self->seed = self->state = new_seed();
	disk_init(&self->disk, self->super.geo.store_blocks);
	ASSERT_EQ(0, cbt_map_init(&self->dirty, NR_BLOCKS));
	ASSERT_EQ(0, cbt_map_init(&self->suspect, NR_REGIONS));
	self->buffer = malloc(CBT_RECOVER_BLOCKS * BLOCK);
	self->index = malloc(BLOCK);
}

FIXTURE_TEARDOWN(recovery)
{
	disk_exit(&self->disk);
	cbt_map_exit(&self->dirty);
	cbt_map_exit(&self->suspect);
	free(self->buffer);
	free(self->index);
}

static void model_dirty(struct model *m, u64 start, u64 nr)
{
	for (u64 i = start; nr && i < NR_BLOCKS; i++, nr--)
		m->dirty[i] = 1;
}

static void model_suspect(struct model *m, u64 start, u64 nr)
{
	for (u64 i = start; nr && i < NR_BLOCKS; i++, nr--)
		m->suspect[i / REGION_BLOCKS] = 1;
}

static void model_damaged_page(struct model *m, u64 number)
{
	m->nr_damaged++;
	model_dirty(m, number * CBT_DISK_BITS, CBT_DISK_BITS);
	model_suspect(m, number * CBT_DISK_BITS, CBT_DISK_BITS);
	if (number / 2 < NR_LEAVES)
		m->stale[number / 2] = 1;
}

static void model_live_page(struct model *m, const struct cbt_disk_bits *page, u64 number)
{
	u64 start = number * CBT_DISK_BITS;

	m->epoch = max(m->epoch, (u64)le64_to_cpu(page->tag));
	for (u64 i = 0; i < CBT_DISK_BITS; i++)
		if (((const u8 *)page->bits)[i / 8] >> (i % 8) & 1)
			model_dirty(m, start + i, 1);
	for (u64 i = 0; i < CBT_DISK_BITS / REGION_BLOCKS; i++)
		if (page->suspect[i / 8] >> (i % 8) & 1)
			model_suspect(m, start + i * REGION_BLOCKS, REGION_BLOCKS);
}

static void random_bits(u64 *state, struct cbt_disk_bits *page)
{
	u32 density = 1 + random_below(state, 64);

	memset(page, 0, sizeof(*page));
	for (u32 i = 0; i < CBT_DISK_BITS / 64; i++)
		if (one_in(state, density))
			page->bits[i] = cpu_to_le64(next_random(state) | 1ULL << 63);
	for (u32 i = 0; i < 16; i++)
		page->suspect[random_below(state, sizeof(page->suspect))] =
			one_in(state, 2) ? 0 : next_random(state);
}

/* As after a power cut while @new replaced @old: each sector is the one's or the other's. */
static void tear(u64 *state, void *at, const void *old, const void *new)
{
	for (u32 sector = 0; sector < 8; sector++)
		memcpy((u8 *)at + sector * 512,
		       (const u8 *)(one_in(state, 2) ? old : new) + sector * 512, 512);
}

enum page_kind {
	PAGE_ZERO,
	PAGE_LIVE,
	PAGE_COMMITTED,
	PAGE_OTHER_TRACKER,
	PAGE_OTHER_LINEAGE,
	PAGE_FLIPPED,
	PAGE_MISPLACED,
	PAGE_INDEX,
	PAGE_FORGED,
	PAGE_TORN,
	NR_PAGE_KINDS
};

static void page_sign(struct cbt_disk_bits *page, enum page_kind kind, const struct cbt_super *s,
		      u64 number, u64 *state)
{
	struct cbt_identity id = s->id;
	u64 tag = s->committed + 1 + random_below(state, 6);

	if (kind == PAGE_COMMITTED)
		tag = 1 + random_below(state, s->committed);
	if (kind == PAGE_FORGED)
		tag = ~0ULL >> random_below(state, 2);
	if (kind == PAGE_OTHER_TRACKER)
		id.uuid[random_below(state, 16)] ^= 1;
	if (kind == PAGE_OTHER_LINEAGE)
		id.lineage--;
	if (kind == PAGE_MISPLACED)
		number ^= 1 << random_below(state, 3);
	cbt_bits_encode(page, kind == PAGE_INDEX ? CBT_DISK_INDEX_MAGIC : CBT_DISK_MAP_MAGIC, &id,
			number, tag);
}

/* Puts a page of some kind at @at; returns whether it is PAGE_LIVE, _FLIPPED or of no effect. */
static enum page_kind page_make(struct cbt_disk_bits *at, const struct cbt_super *s, u64 number,
				u64 *state)
{
	enum page_kind kind = random_below(state, NR_PAGE_KINDS);
	struct cbt_disk_bits old, new;

	memset(at, 0, BLOCK);
	if (kind == PAGE_ZERO)
		return PAGE_ZERO;
	random_bits(state, at);
	if (kind != PAGE_TORN) {
		page_sign(at, kind, s, number, state);
		if (kind == PAGE_FLIPPED)
			((u8 *)at)[random_below(state, BLOCK)] ^= 1 << random_below(state, 8);
		return kind == PAGE_MISPLACED || kind == PAGE_INDEX || kind == PAGE_FORGED ?
			       PAGE_FLIPPED :
			       kind;
	}
	old = new = *at;
	random_bits(state, &new);
	page_sign(&old, PAGE_COMMITTED, s, number, state);
	page_sign(&new, PAGE_LIVE, s, number, state);
	tear(state, at, &old, &new);
	if (!memcmp(at, &new, BLOCK))
		return PAGE_LIVE;
	return memcmp(at, &old, BLOCK) ? PAGE_FLIPPED : PAGE_COMMITTED;
}

/* Map and index. Damage to the index makes every page count, and its absence none. */
static void map_make(struct disk *disk, const struct cbt_super *s, struct model *m, u64 *state)
{
	struct cbt_disk_bits *index = (void *)disk_block(disk, s->geo.index_start);
	u64 named = random_below(state, 1 << CAPACITY);
	u32 fate = random_below(state, 8);

	memset(index, 0, BLOCK);
	if (fate) {
		index->bits[0] = cpu_to_le64(named);
		cbt_bits_encode(index, CBT_DISK_INDEX_MAGIC, &s->id, 0,
				1 + random_below(state, s->epoch));
	} else {
		named = 0;
	}
	if (fate == 1) {
		((u8 *)index)[random_below(state, BLOCK)] ^= 0x10;
		named = ~0ULL;
		m->nr_damaged++;
	}
	for (u64 number = 0; number < 2 * CAPACITY; number++) {
		struct cbt_disk_bits *page = (void *)disk_block(disk, s->geo.map_start + number);
		enum page_kind kind = page_make(page, s, number, state);

		if (!(named >> number / 2 & 1) || number / 2 >= NR_LEAVES)
			continue;
		if (kind == PAGE_LIVE)
			model_live_page(m, page, number);
		else if (kind == PAGE_FLIPPED)
			model_damaged_page(m, number);
	}
}

static void random_record(u64 *state, u64 *start, u64 *nr, bool *region)
{
	static const u64 longest[] = { 1, 2, 40, REGION_BLOCKS, 40000, NR_BLOCKS };

	*start = random_below(state, NR_BLOCKS + NR_BLOCKS / 16);
	*nr = random_below(state, longest[random_below(state, 6)] + 1);
	*region = one_in(state, 2);
	if (*region) {
		*start -= *start % REGION_BLOCKS;
		*nr = REGION_BLOCKS;
	}
	if (one_in(state, 40))
		*nr = CBT_DISK_REGION - 1;
	if (one_in(state, 40))
		*start = ~0ULL - random_below(state, 3);
}

static void model_record(struct model *m, u64 start, u64 nr, bool region)
{
	if (start >= NR_BLOCKS || !nr)
		return;
	nr = min(nr, NR_BLOCKS - start);
	m->nr_records++;
	model_dirty(m, start, nr);
	if (region)
		model_suspect(m, start, nr);
	for (u64 leaf = start / 32768; leaf <= (start + nr - 1) / 32768; leaf++)
		m->stale[leaf] = 1;
}

enum log_kind {
	LOG_ZERO,
	LOG_LIVE,
	LOG_RETIRED,
	LOG_COMMITTED,
	LOG_OTHER_HALF,
	LOG_OTHER_POSITION,
	LOG_OTHER_TRACKER,
	LOG_OTHER_LINEAGE,
	LOG_FORGED,
	LOG_FLIPPED,
	LOG_TORN,
	NR_LOG_KINDS
};

static void log_begin(struct cbt_disk_log *log, enum log_kind kind, const struct cbt_super *s,
		      u32 half, u32 position, u64 *state)
{
	u64 first = s->log_sequence + ((s->log_sequence ^ half) & 1);
	u64 sequence = first + 2 * random_below(state, 2);
	u64 epoch = s->committed + 1 + random_below(state, 5);
	struct cbt_identity id = s->id;

	if (kind == LOG_RETIRED)
		sequence = first - 2;
	if (kind == LOG_OTHER_HALF)
		sequence++;
	if (kind == LOG_OTHER_POSITION)
		position++;
	if (kind == LOG_COMMITTED)
		epoch = s->committed - random_below(state, 2);
	if (kind == LOG_FORGED && one_in(state, 2))
		epoch = ~0ULL;
	else if (kind == LOG_FORGED)
		sequence = ~1ULL | half;
	if (kind == LOG_OTHER_TRACKER)
		id.uuid[random_below(state, 16)] ^= 0x80;
	if (kind == LOG_OTHER_LINEAGE)
		id.lineage++;
	cbt_log_begin(log, &id, sequence, position, epoch);
}

static void log_make(struct cbt_disk_log *at, const struct cbt_super *s, struct model *m, u32 half,
		     u32 position, u64 *state)
{
	enum log_kind kind = random_below(state, NR_LOG_KINDS);
	u32 nr = one_in(state, 16) ? CBT_DISK_RECORDS : random_below(state, 6);
	struct cbt_disk_log old, new;
	bool live = kind == LOG_LIVE;

	memset(at, 0, BLOCK);
	if (kind == LOG_ZERO || one_in(state, 2))
		return;
	log_begin(&new, kind, s, half, position, state);
	log_begin(&old, LOG_RETIRED, s, half, position, state);
	(void)cbt_log_add(&old, random_below(state, NR_BLOCKS), 50, false);
	cbt_log_seal(&old);
	for (u32 i = 0; i < nr; i++) {
		bool region;
		u64 start, blocks;

		random_record(state, &start, &blocks, &region);
		(void)cbt_log_add(&new, start, blocks, region);
	}
	cbt_log_seal(&new);
	memcpy(at, &new, BLOCK);
	if (kind == LOG_FLIPPED)
		((u8 *)at)[random_below(state, BLOCK)] ^= 4;
	if (kind == LOG_TORN) {
		tear(state, at, &old, &new);
		live = !memcmp(at, &new, BLOCK);
	}
	if (!live)
		return;
	m->epoch = max(m->epoch, (u64)le64_to_cpu(new.epoch));
	m->log_sequence = max(m->log_sequence, (u64)le64_to_cpu(new.sequence));
	for (u32 i = 0; i < nr; i++)
		model_record(m, le64_to_cpu(new.records[i].start),
			     le64_to_cpu(new.records[i].nr) & ~CBT_DISK_REGION,
			     le64_to_cpu(new.records[i].nr) >> 63);
}

static void store_make(struct disk *disk, struct cbt_super *s, struct model *m, u64 *state)
{
	memset(m, 0, sizeof(*m));
	s->log_sequence = 10 + random_below(state, 2);
	m->epoch = s->epoch;
	m->log_sequence = s->log_sequence;
	map_make(disk, s, m, state);
	/* Long records hide everything else: most stores have few. */
	if (one_in(state, 3))
		return;
	for (u32 i = 0; i < 2 * HALF_BLOCKS; i++) {
		struct cbt_disk_log *at = (void *)disk_block(disk, CBT_DISK_LOG_START + i);

		memset(at, 0, BLOCK);
		if (one_in(state, 10))
			log_make(at, s, m, i / HALF_BLOCKS, i % HALF_BLOCKS, state);
	}
}

static bool maps_agree(const struct cbt_map *map, const u8 *model, u64 nr)
{
	u64 nr_dirty = 0;

	for (u64 i = 0; i < nr; i++) {
		if (cbt_map_test(map, i) != model[i])
			return false;
		nr_dirty += model[i];
	}
	return nr_dirty == (u64)atomic64_read(&map->nr_dirty);
}

#define RECOVERY()                                                              \
	((struct cbt_recovery){                                                 \
		.super = self->super,                                           \
		.dirty = &self->dirty,                                          \
		.suspect = &self->suspect,                                      \
		.leaves_stale = self->stale,                                    \
	})

/* Of a new random store, with so many pages of memory. */
static int recover_another(FIXTURE_DATA(recovery) *self, u64 pages, struct cbt_recovery *r)
{
	cbt_map_clear(&self->dirty);
	cbt_map_clear(&self->suspect);
	self->stale[0] = 0;
	for (u32 i = 0; i < 2 * HALF_BLOCKS; i++)
		memset(disk_block(&self->disk, CBT_DISK_LOG_START + i), 0, BLOCK);
	store_make(&self->disk, &self->super, &self->model, &self->state);
	*r = RECOVERY();
	pages_left = pages;
	return cbt_recover(r, disk_read, &self->disk, self->buffer, self->index);
}

TEST_F(recovery, random_stores_agree_with_the_model)
{
	u64 required = required_count(300, 20000), done = 0;

	TH_LOG("seed=%llu", (unsigned long long)self->seed);
	for (; done < required; done++) {
		struct cbt_recovery r;

		ASSERT_EQ(0, recover_another(self, ~0ULL, &r));
		ASSERT_TRUE(maps_agree(&self->dirty, self->model.dirty, NR_BLOCKS));
		ASSERT_TRUE(maps_agree(&self->suspect, self->model.suspect, NR_REGIONS));
		for (u32 leaf = 0; leaf < NR_LEAVES; leaf++)
			ASSERT_EQ(self->model.stale[leaf], self->stale[0] >> leaf & 1);
		ASSERT_EQ(self->model.epoch, r.epoch);
		ASSERT_EQ(self->model.log_sequence, r.log_sequence);
		ASSERT_EQ(self->model.nr_records, r.nr_records);
		ASSERT_EQ(self->model.nr_damaged, r.nr_damaged);
	}
	EXPECT_FALSE(self->disk.outside);
	EXPECT_TRUE(enough_done(self->seed, done, required));
}

/* A dirty bit is a permission to write: what the pages do not say is stale, and written before any write. */
TEST_F(recovery, without_memory_no_leaf_says_more_than_its_pages)
{
	u64 required = required_count(300, 20000), done = 0, nr_short = 0;

	TH_LOG("seed=%llu", (unsigned long long)self->seed);
	for (; done < required; done++) {
		struct cbt_recovery r;

		ASSERT_EQ(0, recover_another(self, random_below(&self->state, 5), &r));
		nr_short += !pages_left;
		for (u64 i = 0; i < NR_BLOCKS; i++) {
			bool dirty = cbt_map_test(&self->dirty, i);

			ASSERT_TRUE(dirty || !self->model.dirty[i]);
			if (!(self->stale[0] >> (i / 32768) & 1))
				ASSERT_EQ(self->model.dirty[i], dirty);
		}
	}
	EXPECT_LT(done / 10, nr_short);
	EXPECT_TRUE(enough_done(self->seed, done, required));
}

TEST_F(recovery, a_read_error_is_forwarded_whichever_read_it_is)
{
	u64 nr_reads;
	struct cbt_recovery r = RECOVERY();

	store_make(&self->disk, &self->super, &self->model, &self->state);
	r.super = self->super;
	ASSERT_EQ(0, cbt_recover(&r, disk_read, &self->disk, self->buffer, self->index));
	nr_reads = self->disk.nr_reads;
	EXPECT_LT(2U, nr_reads);
	for (u64 i = 1; i <= nr_reads; i++) {
		self->disk.nr_reads = 0;
		self->disk.fail_at = i;
		EXPECT_EQ(-EIO,
			  cbt_recover(&r, disk_read, &self->disk, self->buffer, self->index));
	}
}

TEST_F(recovery, of_a_formatted_store_is_clean)
{
	struct cbt_recovery r = RECOVERY();

	ASSERT_EQ(0, cbt_recover(&r, disk_read, &self->disk, self->buffer, self->index));
	EXPECT_EQ(0U, atomic64_read(&self->dirty.nr_dirty));
	EXPECT_EQ(0U, atomic64_read(&self->suspect.nr_dirty));
	EXPECT_EQ(0U, r.nr_damaged);
}

static void damage_all_of_it(struct disk *disk, u64 start, u64 nr)
{
	for (u64 i = 0; i < nr; i++)
		memset(disk_block(disk, start + i), 0x5a, BLOCK);
}

TEST_F(recovery, of_a_map_that_is_all_damaged_is_all_dirty_and_suspect)
{
	struct cbt_recovery r = RECOVERY();

	damage_all_of_it(&self->disk, self->super.geo.index_start, 1 + 2 * CAPACITY);
	ASSERT_EQ(0, cbt_recover(&r, disk_read, &self->disk, self->buffer, self->index));
	EXPECT_EQ((u64)NR_BLOCKS, (u64)atomic64_read(&self->dirty.nr_dirty));
	EXPECT_EQ((u64)NR_REGIONS, (u64)atomic64_read(&self->suspect.nr_dirty));
	EXPECT_EQ(1U + 2 * NR_LEAVES, r.nr_damaged);
	EXPECT_EQ((1U << NR_LEAVES) - 1, self->stale[0]);
}

TEST_F(recovery, does_without_a_list_of_stale_leaves)
{
	struct cbt_recovery r = RECOVERY();

	r.leaves_stale = NULL;
	damage_all_of_it(&self->disk, self->super.geo.index_start, 1 + 2 * CAPACITY);
	EXPECT_EQ(0, cbt_recover(&r, disk_read, &self->disk, self->buffer, self->index));
}

TEST(each_index_block_names_its_own_leaves)
{
	u64 leaf = CBT_DISK_BITS + 100, first = leaf * CBT_LEAF_BLOCKS + CBT_DISK_BITS + 5;
	struct cbt_super s = some_super();
	struct cbt_disk_bits *block;
	struct cbt_map dirty, suspect;
	struct cbt_recovery r = { .dirty = &dirty, .suspect = &suspect };
	u8 *buffer = malloc((CBT_RECOVER_BLOCKS + 1) * BLOCK);
	struct disk disk;

	s.geo.size_sectors = (u64)(CBT_DISK_BITS + 200) * CBT_LEAF_BLOCKS * 8;
	s.geo.nr_leaves = 0;
	ASSERT_EQ(0, plan(s.geo, &s.geo));
	ASSERT_EQ(2U, s.geo.index_blocks);
	r.super = s;
	disk_init(&disk, s.geo.store_blocks);
	ASSERT_EQ(0, cbt_map_init(&dirty, cbt_geometry_nr_blocks(&s.geo)));
	ASSERT_EQ(0, cbt_map_init(&suspect, cbt_geometry_nr_regions(&s.geo)));
	/* Its bits end with its block: what follows them must not be taken for more. */
	block = (void *)disk_block(&disk, s.geo.index_start);
	memset(block->suspect, 0xff, sizeof(block->suspect));
	cbt_bits_encode(block, CBT_DISK_INDEX_MAGIC, &s.id, 0, 12);
	memset(disk_block(&disk, s.geo.map_start + 2 * (leaf + 1)), 0x5a, BLOCK);
	block = (void *)disk_block(&disk, s.geo.index_start + 1);
	block->bits[100 / 64] = cpu_to_le64(1ULL << 100 % 64);
	cbt_bits_encode(block, CBT_DISK_INDEX_MAGIC, &s.id, 1, 12);
	block = (void *)disk_block(&disk, s.geo.map_start + 2 * leaf + 1);
	block->bits[0] = cpu_to_le64(1 << 5);
	cbt_bits_encode(block, CBT_DISK_MAP_MAGIC, &s.id, 2 * leaf + 1, 12);

	EXPECT_EQ(0, cbt_recover(&r, disk_read, &disk, buffer, buffer + CBT_RECOVER_BLOCKS * BLOCK));
	EXPECT_EQ(1U, atomic64_read(&dirty.nr_dirty));
	EXPECT_TRUE(cbt_map_test(&dirty, first));
	EXPECT_EQ(0U, r.nr_damaged);
	cbt_map_exit(&dirty);
	cbt_map_exit(&suspect);
	disk_exit(&disk);
	free(buffer);
}

TEST_HARNESS_MAIN
