// SPDX-License-Identifier: GPL-2.0-only
/*
 * The write path of a tracked device.
 *
 * One gated section serves submitters and the worker alike: count in, covered?, mark, submit; the
 * count ends when the write is done. While a write is counted in, no freeze can swap the maps, so
 * the map it marked is the one that its epoch's delta is read from, and the delta's image holds it
 * whole or not at all.
 *
 * A bit is set only when its coverage on the store is durable, so a set bit is itself permission
 * to write: rewriting dirty blocks never asks the store. For a clear bit the region must be hot;
 * looking that up and setting the bit are one RCU section, which a checkpoint waits for.
 *
 * What would have to wait or allocate (the gate is closed, a leaf is missing, no coverage) is
 * queued, holding nothing, and a worker does the same again with spare leaves in hand. What lacks
 * coverage he puts into the log's transaction, all that waits into one, and when that is durable
 * he admits them for the epoch that it was written in; whoever was overtaken by a freeze begins
 * again. The worker itself waits for nothing: completions and whoever opens the gate queue him.
 *
 * Without memory for a leaf the whole leaf becomes dirty. Its bits are permissions too, so then the
 * coverage must be of whole leaves.
 */
#include "event.h"
#include "faults.h"
#include "queue.h"
#include "trace.h"
#include "write.h"

/* Leaves may become dirty as a whole, so the store has to cover them as a whole. */
static bool lacks_memory(const struct cbt_spares *spares)
{
	return spares && (!spares->leaf[0] || !spares->leaf[1]);
}

/* Inside the gate and an RCU section. @covered: by a transaction of this epoch. */
static enum cbt_admission write_mark(struct cbt_tracker *t, struct cbt_write *write,
				     struct cbt_spares *spares, bool covered)
{
	if (cbt_map_covers(t->active, write->first, write->last))
		return CBT_ADMITTED;
	if (!covered && !cbt_store_covers(&t->store, write->first, write->last))
		return CBT_MUST_COVER;
	if (lacks_memory(spares) && !(covered && write->whole_leaves) &&
	    cbt_store_limits(&t->store))
		return CBT_MUST_COVER;
	return cbt_fault_mark(t->active, write->first, write->last, spares) ? CBT_ADMITTED
									     : CBT_MUST_WAIT;
}

/* It is marked, and frozen blocks of it have no copy yet. */
static enum cbt_admission write_admit_frozen(struct cbt_tracker *t, const struct cbt_write *write)
{
	switch (write->kind) {
	case CBT_WRITE_DATA:
		return CBT_MUST_COPY;
	case CBT_WRITE_DISCARD:
		return CBT_NEEDLESS;
	case CBT_WRITE_ERASE:
		/* What it erases must not be read for a copy, nor be kept in one. */
		cbt_cow_break(t->cow, CBT_BROKEN_SECURE_ERASE);
		break;
	case CBT_WRITE_MARK:
		break;
	}
	return CBT_ADMITTED;
}

static enum cbt_admission write_admit(struct cbt_tracker *t, struct cbt_write *write,
				      struct cbt_spares *spares, u64 covered_epoch)
{
	enum cbt_admission admission;

	if (!cbt_gate_pass(&t->gate))
		return CBT_MUST_PASS;
	/* ORDER: a checkpoint that makes a region cold waits for who saw it hot to have marked. */
	rcu_read_lock();
	admission = write_mark(t, write, spares, covered_epoch == t->epoch);
	rcu_read_unlock();
	if (admission == CBT_ADMITTED && t->cow && cbt_cow_blocks(t->cow, write->first, write->last))
		admission = write_admit_frozen(t, write);
	if (admission != CBT_ADMITTED)
		cbt_gate_leave(&t->gate);
	return admission;
}

enum cbt_admission cbt_write_try(struct cbt_tracker *t, struct cbt_write *write)
{
	return write_admit(t, write, NULL, 0);
}

void cbt_write_end(struct cbt_tracker *t)
{
	cbt_gate_leave(&t->gate);
}

void cbt_tracker_wake(struct cbt_tracker *t)
{
	queue_work(t->workers, &t->work);
}

static void gathered(struct cbt_gather *gather)
{
	cbt_tracker_wake(container_of(gather, struct cbt_tracker, gather));
}

static void write_copy(struct cbt_tracker *t, struct cbt_write *write)
{
	write->copy.first = write->first;
	write->copy.last = write->last;
	cbt_stats_inc(&t->stats, CBT_STATS_A_COPY_WAITS);
	cbt_cow_wait(t->cow, &write->copy);
}

void cbt_write_queue(struct cbt_tracker *t, struct cbt_write *write, enum cbt_admission admission)
{
	bool wake;

	write->since = ktime_get();
	write->gated = admission == CBT_MUST_PASS;
	cbt_stats_inc(&t->stats, CBT_STATS_A_QUEUED_WRITES);
	if (write->gated)
		cbt_stats_inc(&t->stats, CBT_STATS_A_GATE_WAITS);
	if (admission == CBT_MUST_COPY) {
		write_copy(t, write);
		return;
	}
	spin_lock(&t->waiting_lock);
	list_add_tail(&write->link, &t->arriving);
	wake = cbt_gather_come(&t->gather);
	spin_unlock(&t->waiting_lock);
	if (wake)
		cbt_tracker_wake(t);
}

/* Copies are done: the writes begin again, since a freeze may have come in between. */
static void copies_resume(void *owner, struct list_head *waits)
{
	struct cbt_cow_wait *wait, *next;
	struct cbt_tracker *t = owner;
	ktime_t now = ktime_get();

	spin_lock(&t->waiting_lock);
	list_for_each_entry_safe(wait, next, waits, link) {
		struct cbt_write *write = container_of(wait, struct cbt_write, copy);

		cbt_stats_record(&t->stats, CBT_STATS_A_COPY_WAIT, ktime_sub(now, write->since));
		write->since = now;
		list_add_tail(&write->link, &t->waiting);
	}
	spin_unlock(&t->waiting_lock);
	cbt_tracker_wake(t);
}

static void epoch_broken(void *owner, const uuid_t *epoch, enum cbt_broken why)
{
	struct cbt_tracker *t = owner;

	cbt_stats_inc(&t->stats, CBT_STATS_A_BROKEN_EPOCHS);
	cbt_tracker_event(t, CBT_EVENT_BROKEN, epoch, cbt_broken_text(why));
}

static void diff_watermark(void *owner, const uuid_t *epoch)
{
	struct cbt_tracker *t = owner;

	cbt_tracker_event(t, CBT_EVENT_DIFF_WATERMARK, epoch,
			  "three quarters of the diff area are in use");
}

const struct cbt_cow_ops cbt_write_cow_ops = {
	.resume = copies_resume,
	.broken = epoch_broken,
	.watermark = diff_watermark,
};

/* Wherever it goes, it waits here no more. */
static void write_leave(struct cbt_tracker *t, struct cbt_write *write,
			enum cbt_admission admission)
{
	list_del(&write->link);
	if (admission == CBT_MUST_COPY) {
		write->since = ktime_get();
		write_copy(t, write);
		return;
	}
	/* ORDER: pairs with cbt_tracker_nr_waiting(). */
	smp_store_release(&t->nr_left, t->nr_left + 1);
	if (admission == CBT_NEEDLESS)
		t->ops->drop(write);
	else if (write->kind == CBT_WRITE_MARK)
		cbt_mark_done(t, write);
	else
		t->ops->go(write);
}

u64 cbt_tracker_nr_waiting(const struct cbt_tracker *t)
{
	/* ORDER: who left was queued before, so that the difference is never negative. */
	u64 nr_left = smp_load_acquire(&t->nr_left);

	return cbt_stats_count(&t->stats, CBT_STATS_A_QUEUED_WRITES) - nr_left;
}

/* Into the transaction; false when it has to wait for the next one. */
static bool write_cover(struct cbt_tracker *t, struct cbt_write *write, bool whole_leaves)
{
	u64 first = write->first, last = write->last;
	bool sequential;

	/* A guess only: the map may be another one by now, but its pages are there. */
	rcu_read_lock();
	sequential = first && cbt_map_test(READ_ONCE(t->active), first - 1);
	rcu_read_unlock();
	write->whole_leaves = whole_leaves;
	if (whole_leaves) {
		first &= ~(u64)(CBT_LEAF_BLOCKS - 1);
		last = min(last | (CBT_LEAF_BLOCKS - 1), t->active->nr_blocks - 1);
	}
	if (!cbt_log_cover(&t->store, first, last, sequential))
		return false;
	trace_cbt_cold_miss(cbt_tracker_dev(t), write->first, write->last);
	cbt_stats_inc(&t->stats, CBT_STATS_A_COLD_MISSES);
	list_move_tail(&write->link, &t->covering);
	return true;
}

/* It waited for the gate no longer than until now. */
static void gate_passed(struct cbt_tracker *t, struct cbt_write *write)
{
	if (!write->gated)
		return;
	cbt_stats_record_since(&t->stats, CBT_STATS_A_GATE_WAIT, write->since);
	write->gated = false;
	write->since = ktime_get();
}

/* Those that waited go, and what they lack is put into the transaction. */
static void writes_admit(struct cbt_tracker *t, struct list_head *writes, struct cbt_spares *spares)
{
	struct cbt_write *write, *next;

	list_for_each_entry_safe(write, next, writes, link) {
		enum cbt_admission admission;

		cbt_spares_fill(spares);
		admission = write_admit(t, write, spares, 0);
		if (admission == CBT_MUST_PASS || admission == CBT_MUST_WAIT)
			return;
		gate_passed(t, write);
		if (admission != CBT_MUST_COVER)
			write_leave(t, write, admission);
		else
			(void)write_cover(t, write, lacks_memory(spares));
	}
}

static u64 list_length(const struct list_head *list)
{
	const struct list_head *pos;
	u64 nr = 0;

	list_for_each(pos, list)
		nr++;
	return nr;
}

/* The transaction is durable: admit those that it covers; who is overtaken waits again. */
static void covered_go(struct cbt_tracker *t, struct cbt_spares *spares, struct list_head *writes)
{
	u64 epoch = cbt_log_epoch(&t->store);
	struct cbt_write *write, *next;

	cbt_stats_record(&t->stats, CBT_STATS_A_GROUP_SIZE, list_length(&t->covering));
	list_for_each_entry_safe(write, next, &t->covering, link) {
		enum cbt_admission admission;

		cbt_spares_fill(spares);
		admission = write_admit(t, write, spares, epoch);
		if (admission == CBT_MUST_PASS || admission == CBT_MUST_WAIT ||
		    admission == CBT_MUST_COVER)
			continue;
		cbt_stats_record_since(&t->stats, CBT_STATS_A_COLD_WAIT, write->since);
		write_leave(t, write, admission);
	}
	list_splice_init(&t->covering, writes);
}

/* A transaction that ended. With a store that is lost, nobody waits for one that hangs. */
static void covering_end(struct cbt_tracker *t, struct cbt_spares *spares, struct list_head *writes)
{
	enum cbt_log_result result = cbt_log_result(&t->store);

	if (result != CBT_LOG_BUSY && trace_cbt_group_commit_enabled())
		trace_cbt_group_commit(cbt_tracker_dev(t), list_length(&t->covering),
				       cbt_log_nr_records(&t->store),
				       ktime_to_ns(ktime_sub(ktime_get(), cbt_log_started(&t->store))),
				       result == CBT_LOG_DURABLE ? 0 : -EIO);
	if (result == CBT_LOG_DURABLE)
		covered_go(t, spares, writes);
	else if (result == CBT_LOG_FAILED || READ_ONCE(t->store.mode) == CBT_STORE_LOST)
		list_splice_init(&t->covering, writes);
	if (result != CBT_LOG_BUSY)
		cbt_log_release(&t->store, result == CBT_LOG_DURABLE);
}

static void writes_resume(struct work_struct *work)
{
	struct cbt_tracker *t = container_of(work, struct cbt_tracker, work);
	struct cbt_spares spares = { };
	LIST_HEAD(writes);

	covering_end(t, &spares, &writes);
	spin_lock(&t->waiting_lock);
	list_splice_tail_init(&t->waiting, &writes);
	if (cbt_gather_go(&t->gather))
		list_splice_tail_init(&t->arriving, &writes);
	spin_unlock(&t->waiting_lock);
	writes_admit(t, &writes, &spares);
	cbt_log_commit(&t->store);
	cbt_spares_drop(&spares);

	/* ORDER: on the list before this work ends: whoever changes what they wait for queues it. */
	spin_lock(&t->waiting_lock);
	list_splice(&writes, &t->waiting);
	spin_unlock(&t->waiting_lock);
}

/*--------------------------------------------------------------------------------------------------
 * Life
 */

int cbt_write_init(struct cbt_tracker *t)
{
	spin_lock_init(&t->waiting_lock);
	INIT_LIST_HEAD(&t->waiting);
	INIT_LIST_HEAD(&t->arriving);
	INIT_LIST_HEAD(&t->covering);
	INIT_WORK(&t->work, writes_resume);
	cbt_gather_init(&t->gather, gathered);
	t->workers = cbt_queue_new_for("dm-cbt", cbt_tracker_dev(t));
	return t->workers ? 0 : -ENOMEM;
}

void cbt_write_stop(struct cbt_tracker *t)
{
	cbt_gather_exit(&t->gather);
	flush_work(&t->work);
	WARN_ON_ONCE(!list_empty(&t->waiting) || !list_empty(&t->arriving));
}

void cbt_write_exit(struct cbt_tracker *t)
{
	cbt_queue_free(&t->workers);
}
