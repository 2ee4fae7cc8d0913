// SPDX-License-Identifier: GPL-2.0-only
/*
 * Epochs: freeze, commit, abort; and the commands that are not epochs.
 *
 * Freeze closes the gates of all its trackers, waits one grace period and until the writes in
 * flight have ended, swaps every tracker's maps, and opens. Between the closing of the last gate
 * and the opening of the first nothing is in flight anywhere: that is the one instant (invariant
 * I4). The epoch's name is written to the store afterwards, and freeze replies when it is durable;
 * a crash before aborts an epoch that nobody was told about.
 *
 * Commit may take as long as the origin and the store do, so a work does it, and who asked waits a
 * while and asks again. From its begin on ABORT is refused: the superblock may be on its way. The
 * frozen map is dropped only after that is durable. If the store fails in between, the outcome is
 * not known before the store is read again, and the tracker stays `committing`.
 *
 * Abort merges in memory. The store needs no help: the pages and records of the frozen epoch are
 * live until a later epoch is committed.
 */
#include <linux/blkdev.h>
#include <linux/jiffies.h>
#include <linux/mm.h>

#include "faults.h"
#include "queue.h"
#include "trace.h"
#include "track.h"

static struct workqueue_struct *workers;

static int refuse(struct cbt_refusal *why, int error, u32 index, const char *text)
{
	why->index = index;
	why->text = text;
	return error;
}

static unsigned long command_deadline(void)
{
	return jiffies + msecs_to_jiffies(CBT_COMMAND_MS);
}

/* Let go of the control lock for what follows, and take it again. */
static void unlock_pinned(struct cbt_tracker *const *trackers, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		cbt_tracker_pin(trackers[i]);
	cbt_control_unlock();
}

static void lock_unpinned(struct cbt_tracker *const *trackers, u32 nr)
{
	u32 i;

	cbt_control_lock();
	for (i = 0; i < nr; i++)
		cbt_tracker_unpin(trackers[i]);
}

static bool holds_frozen(const struct cbt_tracker *t, const uuid_t *epoch)
{
	return t->frozen && uuid_equal(&t->frozen_uuid, epoch);
}

static bool is_lost(const struct cbt_tracker *t)
{
	return t->store.mode == CBT_STORE_FAILING || t->store.mode == CBT_STORE_LOST;
}

/*--------------------------------------------------------------------------------------------------
 * Outcomes, and what the store knows of epochs
 */

static const struct cbt_outcome *outcome_find(const struct cbt_tracker *t, const uuid_t *epoch)
{
	u32 i;

	for (i = 0; i < min_t(u32, t->nr_outcomes, CBT_OUTCOMES); i++)
		if (uuid_equal(&t->outcomes[i].epoch, epoch))
			return &t->outcomes[i];
	return NULL;
}

static void outcome_add(struct cbt_tracker *t, const uuid_t *epoch, u64 number, bool committed)
{
	struct cbt_outcome *outcome = &t->outcomes[t->nr_outcomes++ % CBT_OUTCOMES];

	outcome->epoch = *epoch;
	outcome->number = number;
	outcome->committed = committed;
}

/* Into the superblock, under the store's lock. */
static void fill_super(const struct cbt_tracker *t, struct cbt_super *super)
{
	bool is_frozen = t->frozen && t->frozen_epoch > super->committed;
	u32 i;

	super->epoch = t->epoch;
	super->frozen_epoch = is_frozen ? t->frozen_epoch : 0;
	export_uuid(super->frozen_uuid, is_frozen ? &t->frozen_uuid : &uuid_null);
	export_uuid(super->base_uuid, &t->base_uuid);
	super->nr_outcomes = t->nr_outcomes;
	for (i = 0; i < min_t(u32, t->nr_outcomes, CBT_OUTCOMES); i++) {
		const struct cbt_outcome *o = &t->outcomes[i];

		export_uuid(super->outcomes[i].epoch_uuid, &o->epoch);
		super->outcomes[i].epoch = o->number;
		super->outcomes[i].result = o->committed ? CBT_DISK_COMMITTED : CBT_DISK_ABORTED;
	}
}

u64 cbt_tracker_save(struct cbt_tracker *t)
{
	u64 ticket;

	if (!cbt_store_limits(&t->store))
		return 0;
	spin_lock(&t->store.lock);
	fill_super(t, &t->store.super);
	ticket = cbt_store_save(&t->store);
	spin_unlock(&t->store.lock);
	return ticket;
}

/*--------------------------------------------------------------------------------------------------
 * Freeze
 */

static int check_distinct(struct cbt_tracker *const *trackers, u32 nr, struct cbt_refusal *why)
{
	u32 i, j;

	for (i = 1; i < nr; i++)
		for (j = 0; j < i; j++)
			if (trackers[i] == trackers[j])
				return refuse(why, -EINVAL, i, "this tracker is named twice");
	return 0;
}

static int freeze_check_one(const struct cbt_tracker *t, const uuid_t *epoch, u32 index,
			    struct cbt_refusal *why)
{
	if (t->frozen)
		return refuse(why, -EBUSY, index,
			      "another epoch is frozen here: commit or abort it first");
	if (outcome_find(t, epoch))
		return refuse(why, -EEXIST, index,
			      "the epoch's UUID was used before: choose a new one");
	if (t->bypassed)
		return refuse(why, -EIO, index, "the tracker is bypassed: restore it first");
	if (is_lost(t))
		return refuse(why, -EIO, index,
			      "the store failed, the tracker is lost: attach it anew and compare");
	return 0;
}

/* Return: 0 to go on, 1 when the epoch is frozen already on all of them, or a refusal. */
static int freeze_check(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch,
			struct cbt_refusal *why)
{
	int error = check_distinct(trackers, nr, why);
	u32 i, nr_held = 0;

	for (i = 0; !error && i < nr; i++) {
		if (holds_frozen(trackers[i], epoch))
			nr_held++;
		else
			error = freeze_check_one(trackers[i], epoch, i, why);
	}
	if (error)
		return error;
	if (nr_held && nr_held < nr)
		return refuse(why, -EEXIST, 0,
			      "the epoch is frozen on some of these trackers only: abort it first");
	return nr_held ? 1 : 0;
}

bool cbt_gates_close(struct cbt_tracker *const *trackers, u32 nr, u32 *ret_busy)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(CBT_FREEZE_TIMEOUT_MS);
	u32 i;

	for (i = 0; i < nr; i++)
		cbt_gate_close(&trackers[i]->gate);
	synchronize_rcu_expedited();
	for (i = 0; i < nr; i++) {
		if (!cbt_gate_drain(&trackers[i]->gate, deadline)) {
			*ret_busy = i;
			return false;
		}
	}
	return true;
}

void cbt_gates_open(struct cbt_tracker *const *trackers, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		cbt_gate_open(&trackers[i]->gate);
		/* ORDER: after the gate is open, so that no write is left on the list. */
		cbt_tracker_wake(trackers[i]);
	}
}

static int copies_prepare(struct cbt_tracker *const *trackers, u32 nr, struct cbt_refusal *why)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		if (!cbt_cow_prepare(trackers[i]->cow))
			continue;
		refuse(why, -ENOMEM, i, "out of memory for copies: try again");
		while (i--)
			cbt_cow_cancel(trackers[i]->cow);
		return -ENOMEM;
	}
	return 0;
}

static void copies_cancel(struct cbt_tracker *const *trackers, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		cbt_cow_cancel(trackers[i]->cow);
}

/* Behind the drained gate. */
static void epoch_swap(struct cbt_tracker *t, const uuid_t *epoch)
{
	spin_lock(&t->maps_lock);
	t->frozen = t->active;
	t->active = &t->maps[t->frozen == &t->maps[0]];
	t->frozen_epoch = t->epoch++;
	spin_unlock(&t->maps_lock);
	cbt_cow_begin(t->cow, t->frozen, t->frozen_epoch, epoch);
	t->frozen_uuid = *epoch;
	WRITE_ONCE(t->origin_failed, false);
	t->nr_changes++;
	/* What is hot belongs to the epoch that ended. */
	cbt_log_new_epoch(&t->store, t->epoch);
}

static int freeze_now(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch,
		      struct cbt_refusal *why)
{
	ktime_t start = ktime_get();
	int error = copies_prepare(trackers, nr, why);
	u32 i, busy;

	if (error)
		return error;
	if (!cbt_gates_close(trackers, nr, &busy))
		error = refuse(why, -ETIMEDOUT, busy,
			       "its writes in flight did not end in time: nothing was frozen");
	for (i = 0; !error && i < nr; i++)
		epoch_swap(trackers[i], epoch);
	cbt_gates_open(trackers, nr);
	if (error)
		copies_cancel(trackers, nr);
	trace_cbt_freeze(nr, ktime_to_ns(ktime_sub(ktime_get(), start)), error);
	for (i = 0; !error && i < nr; i++) {
		struct cbt_tracker *t = trackers[i];

		cbt_stats_record_since(&t->stats, CBT_STATS_A_FREEZE_TIME, start);
		cbt_stats_inc(&t->stats, CBT_STATS_A_FREEZES);
		t->freeze_ticket = cbt_tracker_save(t);
		cbt_tracker_event(t, CBT_EVENT_FROZEN, epoch, NULL);
	}
	return error;
}

/* Until the stores hold the epoch's name. */
static int freeze_settle(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch,
			 unsigned long deadline, struct cbt_refusal *why)
{
	int error = 0;
	u32 i;

	unlock_pinned(trackers, nr);
	for (i = 0; !error && i < nr; i++)
		if (trackers[i]->freeze_ticket)
			error = cbt_store_wait_saved(&trackers[i]->store,
						     trackers[i]->freeze_ticket, deadline);
	lock_unpinned(trackers, nr);
	if (error == -EINPROGRESS)
		return refuse(why, error, i - 1,
			      "frozen, but the store has not noted it yet: repeat the request");
	if (error)
		return refuse(why, error, i - 1,
			      "the store failed, the tracker is lost: abort the epoch");
	for (i = 0; i < nr; i++)
		if (!holds_frozen(trackers[i], epoch))
			return refuse(why, -ECANCELED, i, "the epoch was ended meanwhile");
	return 0;
}

int cbt_freeze(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch,
	       struct cbt_refusal *why)
{
	unsigned long deadline = command_deadline();
	int error = freeze_check(trackers, nr, epoch, why);

	if (!error)
		error = freeze_now(trackers, nr, epoch, why);
	return error < 0 ? error : freeze_settle(trackers, nr, epoch, deadline, why);
}

/*--------------------------------------------------------------------------------------------------
 * Commit and abort
 */

static const char origin_failed_text[] =
	"the origin failed to flush what was sent: the epoch stays frozen, abort it";

/* All trackers hold the epoch frozen, or ended it in the way that is asked for. */
static int end_check(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch, bool commit,
		     struct cbt_refusal *why)
{
	int error = check_distinct(trackers, nr, why);
	u32 i;

	if (error)
		return error;
	for (i = 0; i < nr; i++) {
		const struct cbt_outcome *outcome = outcome_find(trackers[i], epoch);

		if (holds_frozen(trackers[i], epoch)) {
			if (!commit && trackers[i]->committing)
				return refuse(why, -EALREADY, i,
					      "the epoch is being committed: repeat the commit");
			/* What breaks once the receiver is said to have it all is no matter. */
			if (commit && !trackers[i]->committing && cbt_cow_broken(trackers[i]->cow))
				return refuse(why, -ECANCELED, i,
					      cbt_broken_text(cbt_cow_broken(trackers[i]->cow)));
			if (commit && !trackers[i]->committing && READ_ONCE(trackers[i]->origin_failed))
				return refuse(why, -ECANCELED, i, origin_failed_text);
			if (commit && is_lost(trackers[i]))
				return refuse(why, -EIO, i,
					      "the store failed, the tracker is lost: attach it anew and compare");
			continue;
		}
		if (!outcome)
			return refuse(why, -ENOENT, i, "this tracker does not know the epoch");
		if (commit && !outcome->committed)
			return refuse(why, -ECANCELED, i,
				      "the epoch was aborted: freeze and send a new one");
		if (!commit && outcome->committed)
			return refuse(why, -EALREADY, i, "the epoch was committed already");
	}
	return 0;
}

static void epoch_ended(struct cbt_tracker *t, bool commit)
{
	t->nr_changes++;
	cbt_stats_inc(&t->stats, commit ? CBT_STATS_A_COMMITS : CBT_STATS_A_ABORTS);
	cbt_tracker_event(t, commit ? CBT_EVENT_COMMITTED : CBT_EVENT_ABORTED, &t->frozen_uuid, NULL);
}

/*
 * ORDER: a write may still be looking at the frozen map, to see whether it needs a copy, and the
 * worker at what was the active one.
 */
static void copies_end(struct cbt_tracker *t)
{
	cbt_cow_end(t->cow);
	synchronize_rcu_expedited();
}

static void frozen_detach(struct cbt_tracker *t)
{
	spin_lock(&t->maps_lock);
	t->frozen = NULL;
	spin_unlock(&t->maps_lock);
}

/*
 * Pages that were written while the epoch was frozen hold its bits, and are live: have them written
 * anew some time.
 */
static void touch_excess(struct cbt_tracker *t, const struct cbt_map *frozen)
{
	u64 leaf;

	if (t->store.mode != CBT_STORE_OPEN)
		return;
	for (leaf = 0; leaf < frozen->nr_leaves; leaf++) {
		if (!(leaf & 1023))
			cond_resched();
		if (cbt_map_leaf_is_clean(frozen, leaf))
			continue;
		spin_lock(&t->store.lock);
		cbt_log_touch_leaf(&t->store, leaf);
		spin_unlock(&t->store.lock);
	}
}

/* CRASH: the epoch is committed on the store, whatever happens from here on. */
static void commit_finish(struct cbt_tracker *t)
{
	struct cbt_map *suspects = cbt_tracker_suspects(t, t->frozen);
	struct cbt_map *frozen = t->frozen;

	outcome_add(t, &t->frozen_uuid, t->frozen_epoch, true);
	t->base_uuid = t->frozen_uuid;
	copies_end(t);
	/* ORDER: in this one, or a checkpoint in between writes the bits once more. */
	frozen_detach(t);
	touch_excess(t, frozen);
	cbt_map_clear(frozen);
	cbt_map_clear(suspects);
	t->committing = false;
	epoch_ended(t, true);
}

/*
 * What the image served must be on the origin before the store says that it need not be sent
 * again: the guest may never have flushed it.
 */
static int commit_origin(struct cbt_tracker *t)
{
	/* CRASH: a device says once that it lost a write, to us or to the guest; the next flush may succeed without it. */
	if (!cbt_fault_skips(CBT_FAULT_ORIGIN_FLUSH) && blkdev_issue_flush(t->origin_bdev))
		cbt_tracker_flush_failed(t);
	return READ_ONCE(t->origin_failed) ? -EIO : 0;
}

/*
 * Under the control lock, but for the wait. The tracker itself has the new base only when this is
 * durable; nobody else fills the superblock while the epoch is `committing`.
 */
static int commit_store(struct cbt_tracker *t)
{
	struct cbt_super *super = &t->store.super;
	u64 ticket;
	int error;

	if (!cbt_store_limits(&t->store))
		return is_lost(t) ? -EIO : 0;
	spin_lock(&t->store.lock);
	super->committed = t->frozen_epoch;
	fill_super(t, super);
	export_uuid(super->base_uuid, &t->frozen_uuid);
	cbt_super_add_outcome(super, super->base_uuid, t->frozen_epoch, CBT_DISK_COMMITTED);
	ticket = cbt_store_save(&t->store);
	spin_unlock(&t->store.lock);
	cbt_control_unlock();
	do
		error = cbt_store_wait_saved(&t->store, ticket, jiffies + HZ);
	while (error == -EINPROGRESS);
	cbt_control_lock();
	return error;
}

static void commit_work(struct work_struct *work)
{
	struct cbt_tracker *t = container_of(work, struct cbt_tracker, commit_work);
	ktime_t start = ktime_get();
	int error = commit_origin(t);

	cbt_control_lock();
	if (error) {
		t->commit_error = error;
		t->committing = false;
	} else {
		error = commit_store(t);
		if (error)
			t->commit_error = error;
		else
			commit_finish(t);
		cbt_stats_record_since(&t->stats, CBT_STATS_A_COMMIT_TIME, start);
	}
	cbt_control_unlock();
	wake_up_all(&t->wait);
}

static bool commit_is_over(const struct cbt_tracker *t)
{
	return !READ_ONCE(t->committing) || READ_ONCE(t->commit_error);
}

static int commit_result(const struct cbt_tracker *t, const uuid_t *epoch, u32 index,
			 struct cbt_refusal *why)
{
	const struct cbt_outcome *outcome = outcome_find(t, epoch);

	if (!holds_frozen(t, epoch) && outcome) {
		if (outcome->committed)
			return 0;
		/* By somebody else. */
		return refuse(why, -ECANCELED, index,
			      "the epoch was aborted meanwhile: freeze and send a new one");
	}
	/* Or the disk grew then. */
	if (!holds_frozen(t, epoch) || (t->committing && t->commit_error))
		return refuse(why, -EIO, index,
			      "the store failed while it committed: attach the tracker anew, it settles then");
	if (t->committing)
		return refuse(why, -EINPROGRESS, index,
			      "the commit is under way: repeat the request");
	return refuse(why, -ECANCELED, index, origin_failed_text);
}

int cbt_commit(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch,
	       struct cbt_refusal *why)
{
	unsigned long deadline = command_deadline();
	int error = end_check(trackers, nr, epoch, true, why);
	u32 i;

	if (error)
		return error;
	for (i = 0; i < nr; i++) {
		struct cbt_tracker *t = trackers[i];

		if (!holds_frozen(t, epoch) || t->committing)
			continue;
		t->committing = true;
		t->commit_error = 0;
		queue_work(workers, &t->commit_work);
	}
	unlock_pinned(trackers, nr);
	for (i = 0; i < nr; i++)
		wait_event_timeout(trackers[i]->wait, commit_is_over(trackers[i]),
				   max(1L, (long)(deadline - jiffies)));
	lock_unpinned(trackers, nr);
	for (i = 0; !error && i < nr; i++)
		error = commit_result(trackers[i], epoch, i, why);
	return error;
}

/* The active map is not swapped meanwhile: that needs the control lock. */
static void frozen_merge(struct cbt_tracker *t)
{
	struct cbt_map *suspects = cbt_tracker_suspects(t, t->frozen);
	u64 leaf;

	copies_end(t);
	/* LOCK: leaf by leaf, so that a checkpoint sees it in one map or in the other. */
	for (leaf = 0; leaf < t->frozen->nr_leaves; leaf++) {
		spin_lock(&t->maps_lock);
		cbt_map_merge_leaf(t->active, t->frozen, leaf);
		spin_unlock(&t->maps_lock);
		if (!(leaf & 1023))
			cond_resched();
	}
	spin_lock(&t->maps_lock);
	for (leaf = 0; leaf < suspects->nr_leaves; leaf++)
		cbt_map_merge_leaf(cbt_tracker_suspects(t, t->active), suspects, leaf);
	spin_unlock(&t->maps_lock);
	frozen_detach(t);
}

static void abort_one(struct cbt_tracker *t)
{
	frozen_merge(t);
	outcome_add(t, &t->frozen_uuid, t->frozen_epoch, false);
	epoch_ended(t, false);
	cbt_tracker_save(t);
}

int cbt_abort(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch,
	      struct cbt_refusal *why)
{
	int error = end_check(trackers, nr, epoch, false, why);
	u32 i;

	for (i = 0; !error && i < nr; i++)
		if (holds_frozen(trackers[i], epoch))
			abort_one(trackers[i]);
	return error;
}

void cbt_epoch_settle(struct cbt_tracker *t)
{
	while ((t->committing && !t->commit_error) || atomic_read(&t->nr_marks)) {
		cbt_control_unlock();
		flush_work(&t->commit_work);
		wait_event(t->wait, !atomic_read(&t->nr_marks));
		cbt_control_lock();
	}
}

void cbt_epoch_drop(struct cbt_tracker *t)
{
	if (!t->frozen)
		return;
	if (!t->committing) {
		abort_one(t);
		return;
	}
	/* The store failed under the commit, and only it knows how that ended: no outcome is told. */
	frozen_merge(t);
	t->committing = false;
}

/*--------------------------------------------------------------------------------------------------
 * Release
 */

/* Once over the disk is as much as one request may take of the control lock, or of the worker. */
static int check_ranges(const struct cbt_tracker *t, const struct cbt_range *ranges, u32 nr,
			struct cbt_refusal *why)
{
	u64 left = t->active->nr_blocks;
	u32 i;

	for (i = 0; i < nr; i++) {
		u64 nr_blocks = ranges[i].last - ranges[i].first + 1;

		if (ranges[i].first > ranges[i].last || ranges[i].last >= t->active->nr_blocks)
			return refuse(why, -ERANGE, 0, "a range is not inside the disk");
		if (nr_blocks > left)
			return refuse(why, -ERANGE, 0, "the ranges overlap: they have more blocks than the disk");
		left -= nr_blocks;
	}
	return 0;
}

int cbt_release(struct cbt_tracker *t, const uuid_t *epoch, const struct cbt_range *ranges, u32 nr,
		struct cbt_refusal *why)
{
	enum cbt_broken broken = cbt_cow_broken(t->cow);
	u32 i;
	int error;

	if (!holds_frozen(t, epoch))
		return refuse(why, -ENOENT, 0, "this epoch is not the frozen one");
	error = check_ranges(t, ranges, nr, why);
	if (error)
		return error;
	if (broken)
		return refuse(why, -ECANCELED, 0, cbt_broken_text(broken));
	for (i = 0; i < nr; i++) {
		if (cbt_cow_release(t->cow, ranges[i].first, ranges[i].last))
			return refuse(why, -ENOMEM, 0, "out of memory: release them again");
		cbt_stats_add(&t->stats, CBT_STATS_A_RELEASED_BLOCKS,
			      ranges[i].last - ranges[i].first + 1);
	}
	return 0;
}

/*--------------------------------------------------------------------------------------------------
 * Images
 */

static int image_check(const struct cbt_tracker *t, const uuid_t *epoch, const char **why)
{
	if (!t) {
		*why = "no such tracker";
		return -ENODEV;
	}
	if (!t->cow) {
		*why = "the tracker has no store, and so no images";
		return -EOPNOTSUPP;
	}
	if (!holds_frozen(t, epoch)) {
		*why = "this epoch is not the frozen one";
		return -ENOENT;
	}
	*why = cbt_broken_text(cbt_cow_broken(t->cow));
	return *why ? -ECANCELED : 0;
}

struct cbt_cow *cbt_tracker_image(const uuid_t *tracker, const uuid_t *epoch, u64 *ret_epoch,
				  const char **why)
{
	struct cbt_tracker *t;
	struct cbt_cow *cow;
	int error;

	cbt_control_lock();
	t = cbt_tracker_by_uuid(tracker);
	error = image_check(t, epoch, why);
	if (error) {
		cow = ERR_PTR(error);
	} else {
		cow = cbt_cow_get(t->cow);
		*ret_epoch = t->frozen_epoch;
	}
	cbt_control_unlock();
	return cow;
}

/*--------------------------------------------------------------------------------------------------
 * Marks that nobody wrote
 */

/* A mark goes the way of a write, up to where that would be submitted. */
struct mark {
	struct cbt_write write;
	struct mark_request *request;
};

struct mark_request {
	struct cbt_tracker *tracker;
	atomic_t nr_left;		/* marks, and who waits */
	struct mark marks[];
};

static void mark_request_put(struct mark_request *request)
{
	struct cbt_tracker *t = request->tracker;

	if (atomic_dec_and_test(&request->nr_left)) {
		kvfree(request);
		atomic_dec(&t->nr_marks);
	}
	wake_up_all(&t->wait);
}

void cbt_mark_done(struct cbt_tracker *t, struct cbt_write *write)
{
	cbt_write_end(t);
	mark_request_put(container_of(write, struct mark, write)->request);
}

int cbt_mark(struct cbt_tracker *t, const struct cbt_range *ranges, u32 nr,
	     struct cbt_refusal *why)
{
	struct mark_request *request;
	bool done;
	u32 i;
	int error;

	error = check_ranges(t, ranges, nr, why);
	if (error)
		return error;
	/* CRASH: until the store has a growth, bits may be set that nothing on it covers; no write goes then either. */
	if (cbt_store_limits(&t->store) && t->store_sectors != t->size_sectors)
		return refuse(why, -EINPROGRESS, 0, "the store has not noted yet that the disk grew: repeat the request");
	request = kvzalloc(struct_size(request, marks, nr), GFP_KERNEL);
	if (!request)
		return refuse(why, -ENOMEM, 0, "out of memory: try again");
	request->tracker = t;
	atomic_inc(&t->nr_marks);
	atomic_set(&request->nr_left, nr + 1);
	for (i = 0; i < nr; i++) {
		request->marks[i].request = request;
		request->marks[i].write.first = ranges[i].first;
		request->marks[i].write.last = ranges[i].last;
		request->marks[i].write.kind = CBT_WRITE_MARK;
		cbt_write_queue(t, &request->marks[i].write, CBT_MUST_COVER);
	}
	unlock_pinned(&t, 1);
	done = wait_event_timeout(t->wait, atomic_read(&request->nr_left) == 1,
				  msecs_to_jiffies(CBT_COMMAND_MS));
	lock_unpinned(&t, 1);
	mark_request_put(request);
	if (!done)
		return refuse(why, -EINPROGRESS, 0, "not all is durable yet: repeat the request");
	return is_lost(t) ? refuse(why, -EIO, 0, "the store failed, the tracker is lost") : 0;
}

/*--------------------------------------------------------------------------------------------------
 * Store
 */

static int check_store(const struct cbt_tracker *t, struct cbt_refusal *why)
{
	if (t->store.mode == CBT_STORE_RAM)
		return refuse(why, -ENODEV, 0, "the tracker has no store");
	if (is_lost(t))
		return refuse(why, -EIO, 0, "the store failed, the tracker is lost");
	return 0;
}

int cbt_checkpoint(struct cbt_tracker *t, struct cbt_refusal *why)
{
	int error = check_store(t, why);

	if (error)
		return error;
	unlock_pinned(&t, 1);
	error = cbt_checkpoint_wait(&t->store, command_deadline());
	lock_unpinned(&t, 1);
	if (error == -EINPROGRESS)
		return refuse(why, error, 0, "the checkpoint is under way: repeat the request");
	return error ? refuse(why, error, 0, "the store failed, the tracker is lost") : 0;
}

/* Wait until a version of the superblock is durable. */
static int wait_saved(struct cbt_tracker *t, u64 ticket, struct cbt_refusal *why)
{
	int error;

	unlock_pinned(&t, 1);
	error = cbt_store_wait_saved(&t->store, ticket, command_deadline());
	lock_unpinned(&t, 1);
	if (error == -EINPROGRESS)
		return refuse(why, error, 0, "the store has not noted it yet: repeat the request");
	return error ? refuse(why, error, 0, "the store failed, the tracker is lost") : 0;
}

/* What is lost begins a generation too, if the store says so. */
static int bypass_lost(struct cbt_tracker *t, struct cbt_refusal *why)
{
	bool told;

	unlock_pinned(&t, 1);
	told = cbt_store_tell_lost(&t->store, command_deadline());
	lock_unpinned(&t, 1);
	if (!told)
		return refuse(why, -EIO, 0,
			      "the store failed and cannot say that its map is lost: format it before it is used again");
	t->bypassed = true;
	cbt_tracker_event(t, CBT_EVENT_STATE, NULL, "bypassed");
	return 0;
}

int cbt_bypass(struct cbt_tracker *t, struct cbt_refusal *why)
{
	int error;

	if (is_lost(t))
		return bypass_lost(t, why);
	error = check_store(t, why);
	if (error)
		return error;
	t->bypassed = true;
	error = wait_saved(t, cbt_store_flag(&t->store, CBT_DISK_BYPASSED), why);
	if (!error)
		cbt_tracker_event(t, CBT_EVENT_STATE, NULL, "bypassed");
	return error;
}

void cbt_label_get(struct cbt_tracker *t, u8 label[CBT_LABEL_LEN])
{
	spin_lock(&t->store.lock);
	memcpy(label, t->store.super.label, CBT_LABEL_LEN);
	spin_unlock(&t->store.lock);
}

int cbt_label_set(struct cbt_tracker *t, const u8 label[CBT_LABEL_LEN], struct cbt_refusal *why)
{
	int error = check_store(t, why);
	u64 ticket;

	BUILD_BUG_ON(CBT_LABEL_LEN != CBT_DISK_LABEL_LEN);
	if (error)
		return error;
	spin_lock(&t->store.lock);
	memcpy(t->store.super.label, label, CBT_LABEL_LEN);
	ticket = cbt_store_save(&t->store);
	spin_unlock(&t->store.lock);
	return wait_saved(t, ticket, why);
}

void cbt_lost_ack(struct cbt_tracker *t)
{
	cbt_store_ack_lost(&t->store);
}

/*--------------------------------------------------------------------------------------------------
 * Life
 */

void cbt_epoch_init(struct cbt_tracker *t)
{
	init_waitqueue_head(&t->wait);
	INIT_WORK(&t->commit_work, commit_work);
}

void cbt_epoch_exit(struct cbt_tracker *t)
{
	wait_event(t->wait, !atomic_read(&t->nr_marks));
	flush_work(&t->commit_work);
}

int cbt_epoch_module_init(void)
{
	workers = cbt_queue_new("dm-cbt-epoch");
	return workers ? 0 : -ENOMEM;
}

void cbt_epoch_module_exit(void)
{
	cbt_queue_free(&workers);
}
