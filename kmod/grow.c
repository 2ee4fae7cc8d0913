// SPDX-License-Identifier: GPL-2.0-only
#include <linux/jiffies.h>
#include <linux/mm.h>

#include "grow.h"

/* Tables for the maps of a larger disk; all or none. */
static int tables_alloc(struct cbt_leaf **tables[4], u64 nr_blocks, u64 nr_regions)
{
	bool all = true;
	u32 i;

	for (i = 0; i < 4; i++) {
		tables[i] = cbt_map_new_table(i < 2 ? nr_blocks : nr_regions);
		all &= !!tables[i];
	}
	for (i = 0; !all && i < 4; i++)
		kvfree(tables[i]);
	return all ? 0 : -ENOMEM;
}

/* Behind the drained gate. The tables become the old ones. */
static void maps_grow(struct cbt_tracker *t, struct cbt_leaf **tables[4], u64 nr_blocks,
		      u64 nr_regions)
{
	u32 i;

	spin_lock(&t->maps_lock);
	for (i = 0; i < 2; i++) {
		tables[i] = cbt_map_grow(&t->maps[i], nr_blocks, tables[i]);
		tables[i + 2] = cbt_map_grow(&t->suspects[i], nr_regions, tables[i + 2]);
	}
	spin_unlock(&t->maps_lock);
}

/* From the block that the old size may have cut on; leaf by leaf, see struct cbt_spares. */
static void mark_added(struct cbt_tracker *t, u64 start)
{
	struct cbt_spares spares = { };

	while (start < t->active->nr_blocks) {
		u64 end = min((start | (CBT_LEAF_BLOCKS - 1)) + 1, t->active->nr_blocks);

		cbt_spares_fill(&spares);
		(void)cbt_map_mark(t->active, start, end - 1, &spares);
		if (cbt_store_limits(&t->store)) {
			spin_lock(&t->store.lock);
			cbt_log_touch_leaf(&t->store, start >> CBT_LEAF_SHIFT);
			spin_unlock(&t->store.lock);
		}
		start = end;
	}
	cbt_spares_drop(&spares);
}

static u64 nr_regions_of(const struct cbt_tracker *t, u64 nr_blocks)
{
	return t->store.mode == CBT_STORE_RAM ? DIV_ROUND_UP_ULL(nr_blocks, CBT_DISK_BITS)
					      : DIV_ROUND_UP_ULL(nr_blocks,
								 1ULL << t->store.region_shift);
}

int cbt_tracker_grow(struct cbt_tracker *t, u64 size_sectors, const char **why)
{
	u64 nr_blocks = DIV_ROUND_UP_ULL(size_sectors, 1U << t->block_shift);
	u64 old_sectors = t->size_sectors;
	struct cbt_leaf **tables[4];
	u32 i;

	*why = "out of memory for the maps of the larger disk";
	if (tables_alloc(tables, nr_blocks, nr_regions_of(t, nr_blocks)))
		return -ENOMEM;
	/* One that was frozen since the table was loaded. */
	cbt_epoch_drop(t);
	maps_grow(t, tables, nr_blocks, nr_regions_of(t, nr_blocks));
	t->size_sectors = size_sectors;
	t->generation++;
	/* ORDER: after the maps, in which a checkpoint looks for as many leaves. */
	if (t->store.mode != CBT_STORE_RAM)
		cbt_store_grow(&t->store, size_sectors, t->generation);
	t->nr_changes++;
	mark_added(t, old_sectors >> t->block_shift);
	cbt_cow_grow(t->cow, size_sectors);
	/* The worker may be looking into the old ones for who writes in sequence. */
	synchronize_rcu();
	for (i = 0; i < 4; i++)
		kvfree(tables[i]);
	cbt_tracker_event(t, CBT_EVENT_GENERATION, NULL, "the disk grew");
	return 0;
}

/*
 * CRASH: first pages for the added blocks, then the size; until both are durable no write goes. Nor
 * while a failed store may not be told yet that its map is lost: bits of whole leaves, marked for
 * want of memory, are permissions that nothing covers.
 */
int cbt_tracker_note_size(struct cbt_tracker *t, u64 size_sectors)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(2 * CBT_STORE_DEADLINE_MS);
	int error = cbt_checkpoint_wait(&t->store, deadline);

	if (!error)
		error = cbt_store_wait_saved(&t->store,
					     cbt_store_note_size(&t->store, size_sectors,
								 t->generation),
					     deadline);
	if (READ_ONCE(t->store.mode) != CBT_STORE_OPEN)
		error = cbt_store_wait_lost(&t->store);
	else if (!error)
		t->store_sectors = size_sectors;
	return error;
}
