// SPDX-License-Identifier: GPL-2.0-only
/*
 * The write-intent log.
 *
 * A record covers either one region (4 MiB by default: it becomes hot, and whatever is written
 * there later needs no further record) or the exact blocks of one write. After a crash a region
 * record makes the whole region dirty, though suspect, so regions are for locality: the second
 * miss in a region, or a writer who comes along in sequence, and that one gets the regions ahead
 * of him too. Scattered misses get a range each, and cost nothing in excess. The number of region
 * records is bounded: half of the hot set for each half of the log.
 *
 * What may be relied on, and why:
 *
 *  - A record lies in the half and belongs to the epoch that were current when its transaction
 *    began. The client compares the epoch when it marks; a checkpoint of the half waits until the
 *    transaction is released.
 *  - A region becomes hot with the stamp of that moment. The stamp changes with each half and each
 *    epoch, so it cannot become hot for a half or an epoch that its record is not in.
 *  - No block is written twice in a half, so a torn write damages only records that nobody was
 *    told about. A half is used again only after the superblock that retires it is durable.
 */
#include <linux/blkdev.h>

#include "faults.h"
#include "store.h"

/* The most records that one write may take. */
#define RECORDS_PER_WRITE (2 + CBT_HEAT_AHEAD)

static u32 log_position_limit(const struct cbt_store *store)
{
	return store->super.geo.log_half_blocks;
}

static u64 region_blocks(const struct cbt_store *store)
{
	return 1ULL << store->region_shift;
}

static u64 nr_regions(const struct cbt_store *store)
{
	return cbt_geometry_nr_regions(&store->super.geo);
}

static u64 regions_limit(const struct cbt_store *store)
{
	return store->log.hot.nr_sets * CBT_HOT_WAYS / 2;
}

static struct cbt_disk_log *txn_block(struct cbt_txn *txn)
{
	return txn->io.buffer;
}

/*--------------------------------------------------------------------------------------------------
 * Which kind of record
 */

/* Whether the region was missed lately; it was now. */
static bool history_test_and_add(struct cbt_log *log, u64 region)
{
	u64 *slot = &log->history[cbt_hot_hash(region) % CBT_HISTORY];
	bool found = *slot == region + 1;

	*slot = region + 1;
	return found;
}

/* Number of regions to record for a write, from that of @first on; 0: a range is better. */
static u64 regions_wanted(struct cbt_store *store, u64 first, u64 last, bool sequential)
{
	u64 offset = first & (region_blocks(store) - 1);
	u64 region = first >> store->region_shift;
	u64 nr = (last >> store->region_shift) - region + 1;
	bool again = history_test_and_add(&store->log, region);

	if (nr > 2 || !(again || sequential))
		return 0;
	/* He comes out of the region before. */
	if (sequential && offset <= last - first)
		nr += CBT_HEAT_AHEAD;
	return min(nr, nr_regions(store) - region);
}

/*--------------------------------------------------------------------------------------------------
 * The transaction
 */

static bool txn_begin(struct cbt_store *store)
{
	struct cbt_log *log = &store->log;
	struct cbt_txn *txn = &log->txn;
	bool nearly_full = false;
	u64 position = 0;
	bool begun;

	spin_lock(&store->lock);
	begun = store->mode == CBT_STORE_OPEN && log->position < log_position_limit(store);
	if (begun) {
		position = log->position++;
		txn->sequence = log->sequence;
		txn->epoch = log->epoch;
		txn->stamp = log->hot.stamp;
		/* ORDER: with the sequence, or a checkpoint would retire a half that is held. */
		txn->state = CBT_TXN_FILLING;
		if (!log->since)
			log->since = jiffies | 1;
	}
	nearly_full = log->position >= log_position_limit(store) / 4 * 3 ||
		      log->nr_regions >= regions_limit(store) / 4 * 3;
	spin_unlock(&store->lock);
	if (nearly_full)
		cbt_checkpoint_start(store);
	if (!begun)
		return false;
	cbt_log_begin(txn_block(txn), &store->super.id, txn->sequence, position, txn->epoch);
	txn->nr_regions = 0;
	return true;
}

static void txn_add(struct cbt_store *store, u64 start, u64 nr, bool region)
{
	unsigned long *stale = store->log.stale[store->log.txn.sequence & 1];
	u64 leaf = start >> CBT_LEAF_SHIFT;
	u64 end = DIV_ROUND_UP(start + nr, (u64)CBT_LEAF_BLOCKS);

	WARN_ON_ONCE(!cbt_log_add(txn_block(&store->log.txn), start, nr, region));
	spin_lock(&store->lock);
	/* Of the disk as it is, also while the store is only being told of its size. */
	for (; leaf < min(end, READ_ONCE(store->nr_leaves)); leaf++)
		__set_bit(leaf, stale);
	store->log.nr_regions += region;
	spin_unlock(&store->lock);
	store->log.txn.nr_regions += region;
}

static bool txn_has_room(struct cbt_store *store)
{
	return le32_to_cpu(txn_block(&store->log.txn)->nr_records) + RECORDS_PER_WRITE <=
	       CBT_DISK_RECORDS;
}

bool cbt_log_cover(struct cbt_store *store, u64 first, u64 last, bool sequential)
{
	struct cbt_txn *txn = &store->log.txn;
	u64 region = first >> store->region_shift;
	u64 nr;

	if (txn->state == CBT_TXN_WRITING)
		return false;
	if (txn->state == CBT_TXN_IDLE && !txn_begin(store))
		return false;
	if (!txn_has_room(store))
		return false;
	nr = regions_wanted(store, first, last, sequential);
	if (!nr || READ_ONCE(store->log.nr_regions) + nr > regions_limit(store)) {
		txn_add(store, first, last - first + 1, false);
		return true;
	}
	for (; nr; nr--, region++)
		txn_add(store, region << store->region_shift, region_blocks(store), true);
	return true;
}

static void txn_count(const struct cbt_store *store)
{
	u32 nr_regions = store->log.txn.nr_regions;

	cbt_stats_inc(store->stats, CBT_STATS_A_LOG_BLOCKS);
	cbt_stats_add(store->stats, CBT_STATS_A_REGION_RECORDS, nr_regions);
	cbt_stats_add(store->stats, CBT_STATS_A_RANGE_RECORDS, cbt_log_nr_records(store) - nr_regions);
}

void cbt_log_commit(struct cbt_store *store)
{
	struct cbt_txn *txn = &store->log.txn;
	blk_opf_t at_once;

	if (txn->state != CBT_TXN_FILLING)
		return;
	at_once = bdev_nowait(store->bdev) ? REQ_NOWAIT : 0;
	cbt_log_seal(txn_block(txn));
	txn->state = CBT_TXN_WRITING;
	txn_count(store);
	cbt_store_submit(&txn->io,
			 CBT_DISK_LOG_START + (txn->sequence & 1) * store->super.geo.log_half_blocks +
				 le32_to_cpu(txn_block(txn)->position),
			 1, REQ_OP_WRITE | REQ_SYNC | REQ_IDLE | REQ_META | at_once |
				    cbt_fault_fua(CBT_FAULT_LOG_FUA));
}

enum cbt_log_result cbt_log_result(struct cbt_store *store)
{
	blk_status_t status;

	if (store->log.txn.state != CBT_TXN_WRITING ||
	    !cbt_store_io_done(&store->log.txn.io, &status))
		return CBT_LOG_BUSY;
	if (!status)
		return CBT_LOG_DURABLE;
	cbt_store_fail(store, "the store failed to write the log");
	return CBT_LOG_FAILED;
}

static void txn_heat(struct cbt_store *store)
{
	struct cbt_txn *txn = &store->log.txn;
	struct cbt_disk_log *block = txn_block(txn);
	u32 i;

	spin_lock(&store->lock);
	for (i = 0; i < le32_to_cpu(block->nr_records); i++)
		if (le64_to_cpu(block->records[i].nr) & CBT_DISK_REGION)
			cbt_hot_add(&store->log.hot,
				    le64_to_cpu(block->records[i].start) >> store->region_shift,
				    txn->stamp);
	spin_unlock(&store->lock);
}

void cbt_log_release(struct cbt_store *store, bool durable)
{
	if (durable)
		txn_heat(store);
	/* ORDER: what was marked is seen by the checkpoint that this lets go on. */
	smp_store_release(&store->log.txn.state, CBT_TXN_IDLE);
	cbt_store_kick(store);
}

/*--------------------------------------------------------------------------------------------------
 * Halves and epochs
 */

bool cbt_log_holds(struct cbt_store *store, u64 sequence)
{
	const struct cbt_txn *txn = &store->log.txn;
	bool holds;

	/*
	 * ORDER: pairs with cbt_log_release(). A transaction that begins after the switch has the
	 * new sequence: both are read and changed under the lock.
	 */
	spin_lock(&store->lock);
	holds = smp_load_acquire(&txn->state) != CBT_TXN_IDLE && txn->sequence <= sequence;
	spin_unlock(&store->lock);
	return holds;
}

u64 cbt_log_switch(struct cbt_store *store)
{
	struct cbt_log *log = &store->log;
	u64 old;

	spin_lock(&store->lock);
	old = log->sequence++;
	log->position = 0;
	log->nr_regions = 0;
	log->since = 0;
	cbt_hot_cool(&log->hot);
	spin_unlock(&store->lock);
	return old;
}

void cbt_log_new_epoch(struct cbt_store *store, u64 epoch)
{
	if (store->mode == CBT_STORE_RAM)
		return;
	spin_lock(&store->lock);
	store->log.epoch = epoch;
	cbt_hot_cool(&store->log.hot);
	spin_unlock(&store->lock);
}

void cbt_log_touch_leaf(struct cbt_store *store, u64 leaf)
{
	__set_bit(leaf, store->log.stale[store->log.sequence & 1]);
	if (!store->log.since)
		store->log.since = jiffies | 1;
}

/*--------------------------------------------------------------------------------------------------
 * Life
 */

int cbt_log_init(struct cbt_store *store, u32 hot_regions)
{
	struct cbt_log *log = &store->log;
	size_t nr_words = BITS_TO_LONGS(store->super.geo.nr_leaves);

	log->stale[0] = kvcalloc(nr_words, sizeof(long), GFP_KERNEL);
	log->stale[1] = kvcalloc(nr_words, sizeof(long), GFP_KERNEL);
	if (!log->stale[0] || !log->stale[1] || cbt_hot_init(&log->hot, hot_regions))
		return -ENOMEM;
	return cbt_store_io_init(&log->txn.io, store, CBT_DISK_BLOCK, store->client->wake);
}

void cbt_log_exit(struct cbt_store *store)
{
	cbt_store_io_exit(&store->log.txn.io);
	cbt_hot_exit(&store->log.hot);
	kvfree(store->log.stale[0]);
	kvfree(store->log.stale[1]);
	store->log.stale[0] = store->log.stale[1] = NULL;
}
