// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kmod/store.c, log.c and checkpoint.c on a simulated device (tests/sim), cut at every step:
 * whatever of the writes that were not durable is lost or torn, the map that cbt_recover() finds
 * covers each block that may differ from what the receiver holds, and from what it held when its last
 * epoch was committed. After some of the cuts work goes on from there.
 *
 * The tracker is a model of kmod/track.c and epoch.c, event by event: writers, the worker that
 * covers and admits, freeze, commit, abort, growth. Only some blocks are written, each of them a
 * version; for each the test knows which versions the origin may hold after a cut.
 *
 * Leaving out any of the flushes of kmod/faults.h, or one of the tracker's own rules, loses a block.
 *
 * unit: long=7200
 */
#include "kselftest_harness.h"

#include "count.h"
#include "sim/kernel.h"

#include "store.h"
#include "faults.h"

unsigned long long cbt_fault_drop_block = ~0ULL;
unsigned int cbt_fault_skip_flush;

#define NR_LEAVES 3
#define NR_BLOCKS ((u64)NR_LEAVES * CBT_LEAF_BLOCKS)
#define NR_BLOCKS_SMALL ((u64)CBT_LEAF_BLOCKS + 10000) /* before the disk grows */
#define NR_PLACES 24 /* blocks that are written one by one */
#define NR_PLACES_SMALL 12 /* of them, before the disk grows */
#define NR_WRITERS 6
#define VERSIONS 32
#define EVENTS_PER_LIFE 1500

/* Rules that the model of the tracker can leave out, to see that it is missed. */
enum rule {
	RULE_NONE,
	RULE_EPOCH_CHECK, /* coverage counts only in the epoch that it was written for */
	RULE_SWAP_COLD, /* a freeze makes all regions cold */
	RULE_CAPTURE_UNION, /* a page holds what either map has */
	RULE_MARK_AFTER_LOG, /* marked only when covered durably */
	RULE_FROZEN_INDEX, /* the index names leaves of either map */
	RULE_SIZE_AFTER, /* the store notes a larger size when pages hold what was added */
	RULE_COMMIT_AFTER, /* the frozen map is dropped only when the commit is durable */
};

enum writer_state {
	WRITER_IDLE,
	WRITER_WAITING, /* for the gate, or the worker */
	WRITER_COVERING, /* in the transaction */
	WRITER_READER, /* saw its region hot, and is about to mark */
	WRITER_DATA, /* in flight to the origin */
};

struct writer {
	enum writer_state state;
	u32 first, last; /* places */
};

enum control {
	CONTROL_IDLE,
	CONTROL_CLOSING, /* the gate, until nothing is in flight */
	CONTROL_GROWING, /* until pages hold what was added */
	CONTROL_NOTING, /* until the store has noted the size */
	CONTROL_FREEZING, /* until the store has noted it */
	CONTROL_FROZEN,
	CONTROL_RECEIVED, /* the receiver has all */
	CONTROL_COMMITTING,
};

static struct tracker {
	struct cbt_store store;
	struct cbt_stats stats;
	struct block_device bdev;
	struct cbt_map maps[2], suspects[2];
	struct cbt_map *active, *frozen;
	u64 epoch, frozen_epoch;
	u64 acknowledged; /* the last commit that was */
	u64 ticket;
	u64 nr_blocks; /* of the origin */
	u32 nr_places; /* that it has */
	u32 events; /* of a life, at most */
	bool gate_closed;
	bool grows; /* when nothing is in flight, instead of a freeze */
	enum control control;
	struct work_struct work;
	struct writer writers[NR_WRITERS];
	/* per place */
	u64 held[NR_PLACES][VERSIONS]; /* that the origin may hold; the last is read */
	u32 nr_held[NR_PLACES];
	u64 image[NR_PLACES], receiver[NR_PLACES];
	u64 base[NR_PLACES], base_epoch; /* what it held, and was committed last */
	u64 found_committed; /* after a cut */
	bool was_frozen[NR_PLACES];
	u64 version;
	enum rule without;
	u64 random;
	u64 weights[3];
} t;

static u64 below(u64 n)
{
	return next_random(&t.random) % n;
}

/* Some in one region, some in others, some at the ends of leaves. */
static u64 place_block(u32 place)
{
	return (u64)(place / 8) * CBT_LEAF_BLOCKS + (place % 8 / 2) * 8192 + place % 2 * 5;
}

/*--------------------------------------------------------------------------------------------------
 * What the store asks of the tracker
 */

static void wake(struct cbt_store *store)
{
	(void)store;
	(void)queue_work(NULL, &t.work);
}

static void failed(struct cbt_store *store)
{
	(void)store;
}

static bool leaf_is_clean(struct cbt_store *store, u64 leaf)
{
	(void)store;
	return cbt_map_leaf_is_clean(t.active, leaf) &&
	       (!t.frozen || t.without == RULE_FROZEN_INDEX || cbt_map_leaf_is_clean(t.frozen, leaf));
}

static u64 capture(struct cbt_store *store, u64 number, struct cbt_disk_bits *block)
{
	(void)store;
	(void)cbt_map_save(t.active, number * CBT_DISK_BITS, block->bits, CBT_DISK_BITS);
	if (t.frozen && t.without != RULE_CAPTURE_UNION)
		(void)cbt_map_save(t.frozen, number * CBT_DISK_BITS, block->bits, CBT_DISK_BITS);
	return t.epoch;
}

static void checkpointed(struct cbt_store *store, u64 nr_leaves, ktime_t started, int error)
{
	(void)store;
	(void)nr_leaves;
	(void)started;
	(void)error;
}

static void settle_worker(struct cbt_store *store)
{
	(void)store;
}

static const struct cbt_store_client client = { wake,	 failed,       leaf_is_clean,
						capture, checkpointed, settle_worker };

/*--------------------------------------------------------------------------------------------------
 * Writes: kmod/track.c
 */

static void mark(struct cbt_map *map, u64 first, u64 last)
{
	struct cbt_spares spares = { };

	while (first <= last) {
		u64 next = min(first | (CBT_LEAF_BLOCKS - 1), last);

		cbt_spares_fill(&spares);
		(void)cbt_map_mark(map, first, next, &spares);
		first = next + 1;
	}
	cbt_spares_drop(&spares);
}

static u64 first_block(const struct writer *w)
{
	return place_block(w->first);
}

static u64 last_block(const struct writer *w)
{
	return place_block(w->last);
}

static void submit(struct writer *w)
{
	w->state = WRITER_DATA;
	for (u32 i = w->first; i <= w->last; i++) {
		/* the oldest are forgotten as if they had been overwritten: fewer to be lost */
		if (t.nr_held[i] == VERSIONS)
			memmove(t.held[i], t.held[i] + 1, --t.nr_held[i] * sizeof(u64));
		t.held[i][t.nr_held[i]++] = ++t.version;
	}
}

static void admit(struct writer *w)
{
	mark(t.active, first_block(w), last_block(w));
	submit(w);
}

/* A write that waits, as submitters and the worker see it; false: it needs coverage. */
static bool try_write(struct writer *w)
{
	if (cbt_map_covers(t.active, first_block(w), last_block(w))) {
		submit(w);
	} else if (cbt_store_covers(&t.store, first_block(w), last_block(w))) {
		w->state = WRITER_READER;
		sim.nr_readers++;
	} else {
		return false;
	}
	return true;
}

static void covering_end(void)
{
	enum cbt_log_result result = cbt_log_result(&t.store);
	u64 epoch = cbt_log_epoch(&t.store);

	if (result == CBT_LOG_BUSY)
		return;
	for (u32 i = 0; i < NR_WRITERS; i++) {
		struct writer *w = &t.writers[i];

		if (w->state != WRITER_COVERING)
			continue;
		w->state = WRITER_WAITING;
		if (!t.gate_closed && (epoch == t.epoch || t.without == RULE_EPOCH_CHECK))
			admit(w);
	}
	cbt_log_release(&t.store, result == CBT_LOG_DURABLE);
}

static void worker(struct work_struct *work)
{
	(void)work;
	covering_end();
	for (u32 i = 0; i < NR_WRITERS && !t.gate_closed; i++) {
		struct writer *w = &t.writers[i];
		u64 first = first_block(w);

		if (w->state != WRITER_WAITING || try_write(w))
			continue;
		if (!cbt_log_cover(&t.store, first, last_block(w),
				   first && cbt_map_test(t.active, first - 1)))
			continue;
		if (t.without == RULE_MARK_AFTER_LOG)
			admit(w);
		else
			w->state = WRITER_COVERING;
	}
	cbt_log_commit(&t.store);
}

static void writer_step(struct writer *w)
{
	switch (w->state) {
	case WRITER_IDLE:
		w->first = below(t.nr_places);
		w->last = below(16) ? w->first : w->first + below(t.nr_places - w->first);
		w->state = WRITER_WAITING;
		if (t.gate_closed || !try_write(w))
			wake(&t.store);
		break;
	case WRITER_READER:
		sim.nr_readers--;
		admit(w);
		break;
	case WRITER_DATA:
		w->state = WRITER_IDLE;
		break;
	case WRITER_WAITING:
	case WRITER_COVERING:
		break;
	}
}

/*--------------------------------------------------------------------------------------------------
 * Epochs: kmod/epoch.c
 */

static u64 save(void)
{
	struct cbt_super *super = &t.store.super;
	bool is_frozen = t.frozen && t.frozen_epoch > super->committed;

	super->epoch = t.epoch;
	super->frozen_epoch = is_frozen ? t.frozen_epoch : 0;
	return cbt_store_save(&t.store);
}

static bool in_flight(void)
{
	for (u32 i = 0; i < NR_WRITERS; i++)
		if (t.writers[i].state == WRITER_READER || t.writers[i].state == WRITER_DATA)
			return true;
	return false;
}

static void swap_maps(void)
{
	t.frozen = t.active;
	t.active = &t.maps[t.frozen == &t.maps[0]];
	t.frozen_epoch = t.epoch++;
	if (t.without == RULE_SWAP_COLD)
		t.store.log.epoch = t.epoch;
	else
		cbt_log_new_epoch(&t.store, t.epoch);
	for (u32 i = 0; i < t.nr_places; i++) {
		t.image[i] = t.held[i][t.nr_held[i] - 1];
		t.was_frozen[i] = cbt_map_test(t.frozen, place_block(i));
	}
	t.gate_closed = false;
	wake(&t.store);
	t.ticket = save();
}

static void map_grow(struct cbt_map *map, u64 nr_blocks)
{
	kvfree(cbt_map_grow(map, nr_blocks, cbt_map_new_table(nr_blocks)));
}

/* kmod/track.c: what was added holds anything, which the receiver has not. */
static void grow(void)
{
	u64 nr_regions = NR_BLOCKS / cbt_geometry_region_blocks(&t.store.super.geo);

	for (u32 i = 0; i < 2; i++) {
		map_grow(&t.maps[i], NR_BLOCKS);
		map_grow(&t.suspects[i], nr_regions);
	}
	cbt_store_grow(&t.store, NR_BLOCKS * 8, t.store.super.generation + 1);
	mark(t.active, t.nr_blocks, NR_BLOCKS - 1);
	for (u64 leaf = t.nr_blocks / CBT_LEAF_BLOCKS; leaf < NR_LEAVES; leaf++)
		cbt_log_touch_leaf(&t.store, leaf);
	for (u32 i = t.nr_places; i < NR_PLACES; i++)
		t.held[i][0] = ++t.version;
	t.nr_blocks = NR_BLOCKS;
	t.nr_places = NR_PLACES;
	t.grows = false;
	t.ticket = cbt_checkpoint_request(&t.store);
}

static void note_size(void)
{
	t.ticket = cbt_store_note_size(&t.store, t.nr_blocks * 8, t.store.super.generation);
}

static void begin_commit(void)
{
	/* The origin is flushed: what was in flight may still be lost. */
	for (u32 i = 0; !cbt_fault_skips(CBT_FAULT_ORIGIN_FLUSH) && i < t.nr_places; i++) {
		bool busy = false;

		for (u32 j = 0; j < NR_WRITERS; j++)
			busy |= t.writers[j].state == WRITER_DATA && t.writers[j].first <= i &&
				t.writers[j].last >= i;
		if (!busy) {
			t.held[i][0] = t.held[i][t.nr_held[i] - 1];
			t.nr_held[i] = 1;
		}
	}
	t.store.super.committed = t.frozen_epoch;
	t.ticket = save();
}

static void set_base(u64 epoch)
{
	memcpy(t.base, t.receiver, sizeof(t.base));
	t.base_epoch = epoch;
}

static void drop_frozen(void)
{
	for (u64 leaf = 0; leaf < t.frozen->nr_leaves; leaf++)
		if (!cbt_map_leaf_is_clean(t.frozen, leaf))
			cbt_log_touch_leaf(&t.store, leaf);
	cbt_map_clear(t.frozen);
	t.frozen = NULL;
}

static void abort_epoch(void)
{
	for (u64 leaf = 0; leaf < t.frozen->nr_leaves; leaf++)
		cbt_map_merge_leaf(t.active, t.frozen, leaf);
	t.frozen = NULL;
	(void)save();
}

static void control_step(void)
{
	switch (t.control) {
	case CONTROL_IDLE:
		if (!below(4))
			cbt_checkpoint_start(&t.store);
		t.gate_closed = true;
		t.grows = t.nr_blocks < NR_BLOCKS && !below(4);
		t.control = CONTROL_CLOSING;
		break;
	case CONTROL_CLOSING:
		if (in_flight())
			return;
		if (t.grows)
			grow();
		else
			swap_maps();
		t.control = t.gate_closed ? CONTROL_GROWING : CONTROL_FREEZING;
		break;
	case CONTROL_GROWING:
		if (!cbt_checkpoint_is_done(&t.store, t.ticket) && t.without != RULE_SIZE_AFTER)
			return;
		note_size();
		t.control = CONTROL_NOTING;
		break;
	case CONTROL_NOTING:
		if (!cbt_store_is_saved(&t.store, t.ticket))
			return;
		t.gate_closed = false;
		wake(&t.store);
		t.control = CONTROL_IDLE;
		break;
	case CONTROL_FREEZING:
		if (cbt_store_is_saved(&t.store, t.ticket))
			t.control = CONTROL_FROZEN;
		break;
	case CONTROL_FROZEN:
		for (u32 i = 0; i < t.nr_places; i++)
			if (t.was_frozen[i])
				t.receiver[i] = t.image[i];
		t.control = CONTROL_RECEIVED;
		break;
	case CONTROL_RECEIVED:
		if (below(4)) {
			begin_commit();
			if (t.without == RULE_COMMIT_AFTER)
				drop_frozen();
			t.control = CONTROL_COMMITTING;
		} else {
			abort_epoch();
			t.control = CONTROL_IDLE;
		}
		break;
	case CONTROL_COMMITTING:
		if (!cbt_store_is_saved(&t.store, t.ticket))
			return;
		t.acknowledged = t.frozen_epoch;
		set_base(t.frozen_epoch);
		if (t.frozen)
			drop_frozen();
		t.control = CONTROL_IDLE;
		break;
	}
}

/*--------------------------------------------------------------------------------------------------
 * Lives
 */

static int prepare(struct cbt_store *store, struct cbt_opening *opening, const char **why)
{
	struct cbt_geometry geo = store->super.geo;

	(void)why;
	geo.size_sectors = opening->size_sectors;
	for (u32 i = 0; i < 2; i++)
		if (cbt_map_init(&t.maps[i], t.nr_blocks) ||
		    cbt_map_init(&t.suspects[i], cbt_geometry_nr_regions(&geo)))
			abort();
	t.active = opening->dirty = &t.maps[0];
	opening->suspect = &t.suspects[0];
	t.frozen = NULL;
	return 0;
}

static int found(struct cbt_store *store, const char **why)
{
	(void)why;
	t.epoch = store->super.epoch;
	return 0;
}

/* @flags: what it says of its last stop */
static void format(u32 flags)
{
	struct cbt_super super = {
		.geo = { .size_sectors = NR_BLOCKS_SMALL * 8, .block_sectors = 8,
			 .nr_leaves = NR_LEAVES,
			 .region_sectors = CBT_REGION_SECTORS, .log_half_blocks = 8,
			 .store_blocks = SIM_BLOCKS },
		.id = { .uuid = { 1, 2, 3 }, .lineage = 1 },
		.generation = 1, .sequence = 2, .epoch = 1, .log_sequence = 1,
		.flags = flags, .fingerprint_seed = flags ? 7 : 0,
	};
	const char *why;

	memset(sim.durable, 0, sizeof(sim.durable));
	if (cbt_geometry_plan(&super.geo, &why))
		abort();
	cbt_super_encode(&super, sim.durable[cbt_super_slot(super.sequence)]);
	memcpy(sim.now, sim.durable, sizeof(sim.now));
	t.acknowledged = t.base_epoch = 0;
	t.nr_blocks = NR_BLOCKS_SMALL;
	t.nr_places = NR_PLACES_SMALL;
	for (u32 i = 0; i < NR_PLACES; i++)
		t.base[i] = t.receiver[i] = t.held[i][0] = 0, t.nr_held[i] = 1;
}

static bool origin_changed(struct cbt_store *store, u64 seed, u64 fingerprint)
{
	(void)store;
	(void)seed;
	(void)fingerprint;
	return false;
}

static int attach(const char **why)
{
	struct cbt_opening opening = { .size_sectors = t.nr_blocks * 8, .hot_regions = 16,
				       .stats = &t.stats, .prepare = prepare, .found = found,
				       .origin_changed = origin_changed };

	for (u32 i = 0; i < 3; i++)
		t.weights[i] = 1 + below(8);
	t.work = (struct work_struct){ .fn = worker };
	t.control = CONTROL_IDLE;
	t.gate_closed = false;
	memset(t.writers, 0, sizeof(t.writers));
	return cbt_store_open(&t.store, &t.bdev, &client, &opening, why);
}

static void begin_life(void)
{
	const char *why = "";

	if (attach(&why)) {
		fprintf(stderr, "the store cannot be opened: %s\n", why);
		abort();
	}
}

static void end_life(void)
{
	sim.detached = true;
	sim.nr_readers = 0;
	t.gate_closed = true;
	for (u32 i = 0; i < NR_WRITERS; i++)
		t.writers[i].state = WRITER_IDLE;
	cbt_store_close(&t.store, 0, 0, 0);
	(void)cancel_work_sync(&t.work);
	for (u32 i = 0; i < 2; i++) {
		cbt_map_exit(&t.maps[i]);
		cbt_map_exit(&t.suspects[i]);
	}
	sim.detached = false;
	sim.nr_writes = 0;
}

/*--------------------------------------------------------------------------------------------------
 * Cuts
 */

static u8 found_store[SIM_BLOCKS][CBT_DISK_BLOCK] __attribute__((aligned(8)));

static int read_found(void *context, u64 start, u32 nr, void *buffer)
{
	u32 there = start < SIM_BLOCKS ? min(nr, SIM_BLOCKS - (u32)start) : 0;

	(void)context;
	memset(buffer, 0, (size_t)nr * CBT_DISK_BLOCK);
	memcpy(buffer, found_store[start], (size_t)there * CBT_DISK_BLOCK);
	return 0;
}

/* From what the receiver holds; and until its epoch is committed, from what it held before. */
static bool may_differ(u32 place, u64 committed)
{
	for (u32 i = 0; i < t.nr_held[place]; i++)
		if (t.held[place][i] != t.receiver[place] ||
		    (committed <= t.base_epoch && t.held[place][i] != t.base[place]))
			return true;
	return false;
}

/* As an attach does when the disk is larger than the store says. */
static void mark_growth(struct cbt_recovery *r)
{
	u64 known = r->super.geo.size_sectors / 8;

	if (known < t.nr_blocks)
		mark(r->dirty, known, t.nr_blocks - 1);
	r->super.geo.size_sectors = t.nr_blocks * 8;
}

/* A sentence about what is wrong after a cut, or NULL. */
static const char *recover(struct cbt_recovery *r)
{
	static u8 blocks[CBT_RECOVER_BLOCKS * CBT_DISK_BLOCK] __attribute__((aligned(8)));
	static u8 block[CBT_DISK_BLOCK] __attribute__((aligned(8)));
	static struct cbt_super slots[CBT_DISK_SUPER_SLOTS];
	const struct cbt_super *super;
	static char text[128];
	const char *why;
	int error;

	super = cbt_recover_super(slots, read_found, NULL, block, &error, &why);
	if (!super)
		return why;
	r->super = *super;
	t.found_committed = super->committed;
	if (super->committed < t.acknowledged)
		return "a commit that was acknowledged is not there";
	if (t.control == CONTROL_FROZEN && super->frozen_epoch != t.frozen_epoch)
		return "a freeze that was acknowledged is not there";
	if (cbt_map_init(r->dirty, t.nr_blocks) || cbt_map_init(r->suspect, t.nr_blocks / 4))
		abort();
	mark_growth(r);
	if (cbt_recover(r, read_found, NULL, blocks, block))
		abort();
	for (u32 i = 0; i < t.nr_places; i++) {
		if (!may_differ(i, super->committed) || cbt_map_test(r->dirty, place_block(i)))
			continue;
		snprintf(text, sizeof(text), "place %u may differ and is not dirty, committed %llu", i,
			 (unsigned long long)super->committed);
		return text;
	}
	return NULL;
}

static const char *check_cut(void)
{
	struct cbt_map dirty = { 0 }, suspect = { 0 };
	struct cbt_recovery r = { .dirty = &dirty, .suspect = &suspect };
	const char *wrong;

	sim_cut(found_store, &t.random);
	wrong = recover(&r);
	cbt_map_exit(&dirty);
	cbt_map_exit(&suspect);
	return wrong;
}

/* The origin comes back with one of the versions that it may hold. */
static void lose_versions(void)
{
	for (u32 i = 0; i < t.nr_places; i++) {
		t.held[i][0] = t.held[i][below(t.nr_held[i])];
		t.nr_held[i] = 1;
	}
}

/* How often writers and the controller have their turn differs from life to life. */
static void step(void)
{
	u64 what = below(t.weights[0] + t.weights[1] + t.weights[2]);

	if (what < t.weights[0])
		writer_step(&t.writers[below(NR_WRITERS)]);
	else if (what < t.weights[0] + t.weights[1])
		control_step();
	else
		(void)sim_step();
}

/*
 * Lives, each cut off and continued from what was found; after each step that wrote to the store,
 * and some others, several cuts are checked. A disk that has grown is given up for a new one now
 * and then. NULL or what was wrong.
 */
static const char *live(u64 seed, u64 nr_cuts, u64 *ret_done)
{
	const char *wrong = NULL;
	u64 submitted = 0;

	t.random = sim.random = seed;
	format(0);
	for (*ret_done = 0; !wrong && *ret_done < nr_cuts;) {
		if (t.nr_blocks == NR_BLOCKS && below(2))
			format(0);
		begin_life();
		for (u32 i = 0; !wrong && i < t.events && *ret_done < nr_cuts; i++) {
			step();
			if (submitted == sim.nr_submitted && below(16))
				continue;
			submitted = sim.nr_submitted;
			for (u32 j = 0; !wrong && j < 3; j++, ++*ret_done)
				wrong = check_cut();
		}
		/* the one to go on from */
		if (!wrong)
			wrong = check_cut();
		end_life();
		if (t.found_committed > t.base_epoch)
			set_base(t.found_committed);
		lose_versions();
		memcpy(sim.durable, found_store, sizeof(sim.durable));
		memcpy(sim.now, found_store, sizeof(sim.now));
	}
	return wrong;
}

FIXTURE(store)
{
	u64 seed;
};

FIXTURE_SETUP(store)
{
	self->seed = new_seed();
	sim.writes = calloc(SIM_WRITES, sizeof(*sim.writes));
	t.without = RULE_NONE;
	t.events = EVENTS_PER_LIFE;
	cbt_fault_skip_flush = 0;
	ASSERT_EQ(cbt_store_module_init(), 0);
}

FIXTURE_TEARDOWN(store)
{
	cbt_store_module_exit();
	free(sim.writes);
}

TEST_F_TIMEOUT(store, what_may_differ_is_dirty_after_every_cut, 3000)
{
	u64 required = required_count(2000, 200000), done;
	const char *wrong = live(self->seed, required, &done);

	ASSERT_EQ(wrong, NULL) {
		TH_LOG("seed=%llu: %s", (unsigned long long)self->seed, wrong);
	}
	ASSERT_TRUE(enough_done(self->seed, done, required));
}

/* Short lives, so that many of them see their disk grow. */
TEST_F_TIMEOUT(store, what_a_disk_grew_by_is_dirty_after_every_cut, 3000)
{
	u64 required = required_count(20000, 200000), done;
	const char *wrong;

	t.events = EVENTS_PER_LIFE / 10;
	wrong = live(self->seed, required, &done);
	ASSERT_EQ(wrong, NULL) {
		TH_LOG("seed=%llu: %s", (unsigned long long)self->seed, wrong);
	}
	ASSERT_TRUE(enough_done(self->seed, done, required));
}

TEST_F_TIMEOUT(store, each_flush_is_missed, 100)
{
	static const unsigned int flushes[] = { CBT_FAULT_LOG_FUA, CBT_FAULT_PAGES_FLUSH,
						CBT_FAULT_SUPER_FUA, CBT_FAULT_ORIGIN_FLUSH };
	u64 done;

	for (u32 i = 0; i < 4; i++) {
		cbt_fault_skip_flush = flushes[i];
		EXPECT_NE(live(self->seed, 100000, &done), NULL) {
			TH_LOG("flush %u is not missed, seed=%llu", flushes[i],
			       (unsigned long long)self->seed);
		}
		TH_LOG("flush %u: missed after %llu cuts", flushes[i], (unsigned long long)done);
	}
}

TEST_F_TIMEOUT(store, each_rule_is_missed, 3000)
{
	u64 done;

	for (t.without = RULE_EPOCH_CHECK; t.without <= RULE_COMMIT_AFTER; t.without++) {
		EXPECT_NE(live(self->seed, 1000000, &done), NULL) {
			TH_LOG("rule %d is not missed, seed=%llu", t.without,
			       (unsigned long long)self->seed);
		}
		TH_LOG("rule %d: missed after %llu cuts", t.without, (unsigned long long)done);
	}
}

/*--------------------------------------------------------------------------------------------------
 * What both slots say
 */

/* Bit i: slot i is one, and has of @mask just @flags. */
static u32 slots_that_say(u32 mask, u32 flags)
{
	struct cbt_super super;
	const char *why;
	u32 slots = 0;

	for (u32 i = 0; i < CBT_DISK_SUPER_SLOTS; i++)
		if (!cbt_super_decode(&super, sim.now[cbt_super_slot(i)], &why) &&
		    (super.flags & mask) == flags)
			slots |= 1U << i;
	return slots;
}

static u32 slots_with(u32 flag)
{
	return slots_that_say(flag, flag);
}

static u32 slots_of_size(u64 nr_blocks)
{
	struct cbt_super super;
	const char *why;
	u32 slots = 0;

	for (u32 i = 0; i < CBT_DISK_SUPER_SLOTS; i++)
		if (!cbt_super_decode(&super, sim.now[cbt_super_slot(i)], &why) &&
		    super.geo.size_sectors == nr_blocks * 8)
			slots |= 1U << i;
	return slots;
}

static void run_until_idle(void)
{
	while (sim_step())
		;
}

/*
 * The device refuses @nr writes of the superblock, from the @from-th one on. @grown: the disk is larger than when it
 * was stopped. Return: of the attach.
 */
static int attach_refusing(u64 seed, u32 from, u32 nr, bool grown)
{
	const char *why = "";

	sim.random = seed;
	sim.nr_super_writes = 0;
	sim.super_errors_from = from;
	sim.nr_super_errors = nr;
	format(CBT_DISK_CLEAN);
	if (grown)
		t.nr_blocks = NR_BLOCKS;
	return attach(&why);
}

/* Of that what it says of the last stop, and the size that its fingerprint is of. */
static u32 refuse_attaches(struct __test_metadata *_metadata, u64 seed, bool grown)
{
	u32 nr_refused = 0;

	for (u32 from = 0; from < 2; from++)
		for (u32 nr = 0; nr < 8; nr++) {
			int error = attach_refusing(seed + nr, from, nr, grown);
			u32 newest = 1U << (t.store.super.sequence & 1);

			if (!error) {
				EXPECT_EQ(t.store.mode, CBT_STORE_OPEN);
				EXPECT_EQ(slots_with(CBT_DISK_CLEAN), newest ^ 3);
				EXPECT_EQ(slots_of_size(t.nr_blocks), grown ? newest : 3);
			} else {
				nr_refused++;
				EXPECT_EQ(slots_that_say(CBT_DISK_CLEAN, 0), 0);
				EXPECT_NE(slots_with(CBT_DISK_CLEAN), 0);
				EXPECT_EQ(slots_of_size(NR_BLOCKS_SMALL), slots_with(CBT_DISK_CLEAN));
			}
			EXPECT_EQ(error != 0, nr >= 3) { TH_LOG("%u errors from %u", nr, from); }
			end_life();
		}
	return nr_refused;
}

TEST_F(store, an_attach_succeeds_with_a_sound_store_or_is_refused_and_changes_nothing)
{
	EXPECT_EQ(refuse_attaches(_metadata, self->seed, false), 10);
}

TEST_F(store, and_so_does_one_to_a_disk_that_grew)
{
	EXPECT_EQ(refuse_attaches(_metadata, self->seed, true), 10);
}

TEST_F(store, that_it_is_lost_stands_in_both_slots)
{
	ASSERT_EQ(attach_refusing(self->seed, 0, 0, false), 0);
	cbt_store_fail(&t.store, "for a test");
	run_until_idle();
	EXPECT_EQ(slots_with(CBT_DISK_LOST), 3);
	end_life();
}

TEST_F(store, that_it_is_bypassed_stands_in_both_slots)
{
	ASSERT_EQ(attach_refusing(self->seed, 0, 0, false), 0);
	(void)cbt_store_flag(&t.store, CBT_DISK_BYPASSED);
	run_until_idle();
	EXPECT_EQ(slots_with(CBT_DISK_BYPASSED), 3);
	end_life();
}

TEST_HARNESS_MAIN
