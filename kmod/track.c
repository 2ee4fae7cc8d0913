// SPDX-License-Identifier: GPL-2.0-only
/*
 * The write path and the epochs of a tracked device.
 *
 * One gated section serves submitters and the worker alike: count in, mark, submit; the count
 * ends when the write is done. While a write is counted in, no freeze can swap the maps, so the
 * map it marked is the one that its epoch's delta is read from, and the delta's image holds it
 * whole or not at all.
 *
 * What would have to wait or allocate (the gate is closed, a leaf is missing) is queued, holding
 * nothing, and a worker does the same again with spare leaves in hand. The worker itself waits
 * for nothing: at a closed gate it puts its writes back, and whoever opens the gate queues it
 * again.
 *
 * Freeze closes the gates of all its trackers, waits one grace period and until the writes in
 * flight have ended, swaps every tracker's maps, and opens. Between the closing of the last gate
 * and the opening of the first nothing is in flight anywhere: that is the one instant (invariant
 * I4).
 */
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/mutex.h>

#include "faults.h"
#include "track.h"

static DEFINE_MUTEX(control);
static LIST_HEAD(registry);		/* LOCK: control */
static u32 registry_sequence = 1;	/* LOCK: control */
static struct workqueue_struct *workers;

/*--------------------------------------------------------------------------------------------------
 * The write path
 */

/* It is marked and counted in, and frozen blocks of it have no copy yet. */
static enum cbt_admission write_admit_frozen(struct cbt_tracker *t, struct cbt_write *write)
{
	if (write->kind == CBT_WRITE_ERASE) {
		/* What it erases must not be read for a copy, nor be kept in one. */
		cbt_cow_break(t->cow, CBT_BROKEN_SECURE_ERASE);
		return CBT_ADMITTED;
	}
	cbt_gate_leave(&t->gate);
	return write->kind == CBT_WRITE_DISCARD ? CBT_NEEDLESS : CBT_MUST_COPY;
}

/* With spares, only a closed gate and blocks that need a copy refuse. */
static enum cbt_admission write_admit(struct cbt_tracker *t, struct cbt_write *write,
				      struct cbt_spares *spares)
{
	if (!cbt_gate_pass(&t->gate))
		return CBT_MUST_WAIT;
	if (!cbt_fault_mark(t->active, write->first, write->last, spares)) {
		cbt_gate_leave(&t->gate);
		return CBT_MUST_WAIT;
	}
	if (t->cow && cbt_cow_blocks(t->cow, write->first, write->last))
		return write_admit_frozen(t, write);
	return CBT_ADMITTED;
}

enum cbt_admission cbt_write_try(struct cbt_tracker *t, struct cbt_write *write)
{
	return write_admit(t, write, NULL);
}

void cbt_write_end(struct cbt_tracker *t)
{
	cbt_gate_leave(&t->gate);
}

static void write_copy(struct cbt_tracker *t, struct cbt_write *write)
{
	write->copy.first = write->first;
	write->copy.last = write->last;
	cbt_cow_wait(t->cow, &write->copy);
}

void cbt_write_queue(struct cbt_tracker *t, struct cbt_write *write, enum cbt_admission admission)
{
	if (admission == CBT_MUST_COPY) {
		write_copy(t, write);
		return;
	}
	spin_lock(&t->waiting_lock);
	list_add_tail(&write->link, &t->waiting);
	spin_unlock(&t->waiting_lock);
	queue_work(workers, &t->work);
}

/* Copies are done: the writes begin again, since a freeze may have come in between. */
static void copies_resume(void *owner, struct list_head *waits)
{
	struct cbt_cow_wait *wait, *next;
	struct cbt_tracker *t = owner;

	spin_lock(&t->waiting_lock);
	list_for_each_entry_safe(wait, next, waits, link)
		list_add_tail(&container_of(wait, struct cbt_write, copy)->link, &t->waiting);
	spin_unlock(&t->waiting_lock);
	queue_work(workers, &t->work);
}

static void epoch_broken(void *owner, enum cbt_broken why)
{
	struct cbt_tracker *t = owner;

	pr_warn("dm-cbt: tracker %pUb: %s\n", &t->uuid, cbt_broken_text(why));
}

static const struct cbt_cow_ops cow_ops = {
	.resume = copies_resume,
	.broken = epoch_broken,
};

static void writes_resume(struct work_struct *work)
{
	struct cbt_tracker *t = container_of(work, struct cbt_tracker, work);
	struct cbt_spares spares = { };
	struct cbt_write *write;
	LIST_HEAD(writes);

	spin_lock(&t->waiting_lock);
	list_splice_init(&t->waiting, &writes);
	spin_unlock(&t->waiting_lock);

	while ((write = list_first_entry_or_null(&writes, struct cbt_write, link))) {
		enum cbt_admission admission;

		cbt_spares_fill(&spares);
		admission = write_admit(t, write, &spares);
		if (admission == CBT_MUST_WAIT)
			break;
		list_del(&write->link);
		if (admission == CBT_MUST_COPY)
			write_copy(t, write);
		else if (admission == CBT_NEEDLESS)
			t->ops->drop(write);
		else
			t->ops->go(write);
	}
	cbt_spares_drop(&spares);

	/* ORDER: on the list before this work ends: the opener's queue_work() makes it run again. */
	spin_lock(&t->waiting_lock);
	list_splice(&writes, &t->waiting);
	spin_unlock(&t->waiting_lock);
}

/*--------------------------------------------------------------------------------------------------
 * Life
 */

static void tracker_free(struct cbt_tracker *t)
{
	if (!t)
		return;
	cbt_cow_put(t->cow);
	cbt_map_exit(&t->maps[0]);
	cbt_map_exit(&t->maps[1]);
	cbt_gate_exit(&t->gate);
	kfree(t);
}

static u64 params_nr_blocks(const struct cbt_tracker_params *params)
{
	return DIV_ROUND_UP_ULL(params->size_sectors, params->block_sectors);
}

/* Copy-before-write needs a diff area. */
static int tracker_init_cow(struct cbt_tracker *t, const struct cbt_tracker_params *params)
{
	const struct cbt_cow_params cow = {
		.origin = params->origin_bdev,
		.diff = params->diff,
		.diff_start = params->diff_start,
		.nr_slots = params->nr_diff_slots,
		.size_sectors = t->size_sectors,
		.block_shift = t->block_shift,
		.ops = &cow_ops,
		.owner = t,
	};

	if (params->diff)
		t->cow = cbt_cow_new(&cow);
	return params->diff && !t->cow ? -ENOMEM : 0;
}

static struct cbt_tracker *tracker_new(const struct cbt_tracker_params *params)
{
	u64 nr_blocks = params_nr_blocks(params);
	struct cbt_tracker *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return NULL;
	t->origin = params->origin;
	t->owner = params->owner;
	t->ops = params->ops;
	t->size_sectors = params->size_sectors;
	t->block_shift = ilog2(params->block_sectors);
	uuid_gen(&t->uuid);
	t->generation = 1;
	t->epoch = 1;
	t->nr_users = 1;
	spin_lock_init(&t->waiting_lock);
	INIT_LIST_HEAD(&t->waiting);
	INIT_WORK(&t->work, writes_resume);
	t->active = &t->maps[0];
	if (cbt_gate_init(&t->gate) || cbt_map_init(&t->maps[0], nr_blocks) ||
	    cbt_map_init(&t->maps[1], nr_blocks) || tracker_init_cow(t, params)) {
		tracker_free(t);
		return NULL;
	}
	return t;
}

static void registry_changed(void)
{
	registry_sequence += registry_sequence == U32_MAX ? 2 : 1;
}

/* The tracker to share, NULL for a new one, or an error when the running ones do not allow it. */
static struct cbt_tracker *tracker_match(const struct cbt_tracker_params *params, const char **why)
{
	dev_t dev = params->ops->dev(params->owner);
	struct cbt_tracker *t, *found = NULL;

	if (params_nr_blocks(params) > CBT_MAP_BLOCKS_MAX) {
		*why = "the origin has too many blocks: choose a larger block_size";
		return ERR_PTR(-EFBIG);
	}
	list_for_each_entry(t, &registry, link) {
		if (t->ops->dev(t->owner) == params->origin || t->origin == dev) {
			*why = "the origin or the device is part of another tracker: trackers cannot be stacked";
			return ERR_PTR(-EBUSY);
		}
		if (t->origin == params->origin && t->owner != params->owner) {
			*why = "the origin is tracked by another device: remove that one first";
			return ERR_PTR(-EBUSY);
		}
		if (t->origin != params->origin && t->owner == params->owner) {
			*why = "the device tracks another origin: remove it first";
			return ERR_PTR(-EBUSY);
		}
		if (t->origin == params->origin)
			found = t;
	}
	if (found && found->size_sectors != params->size_sectors) {
		*why = "the size differs from the running tracker's: remove the device first";
		return ERR_PTR(-EINVAL);
	}
	if (found && 1U << found->block_shift != params->block_sectors) {
		*why = "the block size differs from the running tracker's: remove the device first";
		return ERR_PTR(-EINVAL);
	}
	return found;
}

struct cbt_tracker *cbt_tracker_get(const struct cbt_tracker_params *params, const char **why)
{
	struct cbt_tracker *t;

	mutex_lock(&control);
	t = tracker_match(params, why);
	if (t && !IS_ERR(t)) {
		t->nr_users++;
	} else if (!t) {
		t = tracker_new(params);
		if (t) {
			list_add_tail(&t->link, &registry);
			registry_changed();
		} else {
			*why = "out of memory for the maps";
			t = ERR_PTR(-ENOMEM);
		}
	}
	mutex_unlock(&control);
	return t;
}

void cbt_tracker_start(struct cbt_tracker *t)
{
	mutex_lock(&control);
	if (!t->started) {
		t->started = true;
		registry_changed();
	}
	mutex_unlock(&control);
}

void cbt_tracker_put(struct cbt_tracker *t)
{
	bool last;

	mutex_lock(&control);
	last = --t->nr_users == 0;
	if (last) {
		list_del(&t->link);
		registry_changed();
	}
	mutex_unlock(&control);
	if (!last)
		return;
	cbt_cow_stop(t->cow);
	flush_work(&t->work);
	WARN_ON_ONCE(!list_empty(&t->waiting));
	tracker_free(t);
}

/*--------------------------------------------------------------------------------------------------
 * Looking up
 */

void cbt_control_lock(void)
{
	mutex_lock(&control);
}

void cbt_control_unlock(void)
{
	mutex_unlock(&control);
}

struct cbt_tracker *cbt_tracker_by_uuid(const uuid_t *uuid)
{
	struct cbt_tracker *t;

	list_for_each_entry(t, &registry, link)
		if (t->started && uuid_equal(&t->uuid, uuid))
			return t;
	return NULL;
}

struct cbt_tracker *cbt_tracker_by_name(const char *name)
{
	char own[CBT_NAME_LEN + 1];
	struct cbt_tracker *t;

	list_for_each_entry(t, &registry, link)
		if (t->started && !t->ops->name(t->owner, own) && !strcmp(own, name))
			return t;
	return NULL;
}

struct cbt_tracker *cbt_tracker_at(u32 index)
{
	struct cbt_tracker *t;

	list_for_each_entry(t, &registry, link)
		if (t->started && index-- == 0)
			return t;
	return NULL;
}

u32 cbt_registry_sequence(void)
{
	return registry_sequence;
}

/*--------------------------------------------------------------------------------------------------
 * Epochs
 */

static int refuse(struct cbt_refusal *why, int error, u32 index, const char *text)
{
	why->index = index;
	why->text = text;
	return error;
}

static bool holds_frozen(const struct cbt_tracker *t, const uuid_t *epoch)
{
	return t->frozen && uuid_equal(&t->frozen_uuid, epoch);
}

static const struct cbt_outcome *outcome_find(const struct cbt_tracker *t, const uuid_t *epoch)
{
	u32 i;

	for (i = 0; i < min_t(u32, t->nr_outcomes, CBT_OUTCOMES); i++)
		if (uuid_equal(&t->outcomes[i].epoch, epoch))
			return &t->outcomes[i];
	return NULL;
}

static void outcome_add(struct cbt_tracker *t, const uuid_t *epoch, bool committed)
{
	struct cbt_outcome *outcome = &t->outcomes[t->nr_outcomes++ % CBT_OUTCOMES];

	outcome->epoch = *epoch;
	outcome->committed = committed;
}

static int check_distinct(struct cbt_tracker *const *trackers, u32 nr, struct cbt_refusal *why)
{
	u32 i, j;

	for (i = 1; i < nr; i++)
		for (j = 0; j < i; j++)
			if (trackers[i] == trackers[j])
				return refuse(why, -EINVAL, i, "this tracker is named twice");
	return 0;
}

/* Return: 0 to go on, 1 when the epoch is frozen already on all of them, or a refusal. */
static int freeze_check(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch,
			struct cbt_refusal *why)
{
	int error = check_distinct(trackers, nr, why);
	u32 i, nr_held = 0;

	if (error)
		return error;
	for (i = 0; i < nr; i++) {
		if (holds_frozen(trackers[i], epoch))
			nr_held++;
		else if (trackers[i]->frozen)
			return refuse(why, -EBUSY, i,
				      "another epoch is frozen here: commit or abort it first");
		else if (outcome_find(trackers[i], epoch))
			return refuse(why, -EEXIST, i,
				      "the epoch's UUID was used before: choose a new one");
	}
	if (nr_held && nr_held < nr)
		return refuse(why, -EEXIST, 0,
			      "the epoch is frozen on some of these trackers only: abort it first");
	return nr_held ? 1 : 0;
}

static bool gates_close(struct cbt_tracker *const *trackers, u32 nr, u32 *ret_busy)
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

static void gates_open(struct cbt_tracker *const *trackers, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		cbt_gate_open(&trackers[i]->gate);
		/* ORDER: after the gate is open, so that no write is left on the list. */
		queue_work(workers, &trackers[i]->work);
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

static void epoch_swap(struct cbt_tracker *t, const uuid_t *epoch)
{
	t->frozen = t->active;
	t->active = &t->maps[t->frozen == &t->maps[0]];
	cbt_cow_begin(t->cow, t->frozen, t->epoch);
	t->frozen_epoch = t->epoch++;
	t->frozen_uuid = *epoch;
	t->nr_changes++;
}

int cbt_freeze(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch,
	       struct cbt_refusal *why)
{
	int error = freeze_check(trackers, nr, epoch, why);
	u32 i, busy;

	if (!error)
		error = copies_prepare(trackers, nr, why);
	if (error)
		return min(error, 0);
	if (!gates_close(trackers, nr, &busy))
		error = refuse(why, -ETIMEDOUT, busy,
			       "its writes in flight did not end in time: nothing was frozen");
	else
		for (i = 0; i < nr; i++)
			epoch_swap(trackers[i], epoch);
	gates_open(trackers, nr);
	if (error)
		copies_cancel(trackers, nr);
	return error;
}

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
			enum cbt_broken broken = cbt_cow_broken(trackers[i]->cow);

			if (commit && broken)
				return refuse(why, -ECANCELED, i, cbt_broken_text(broken));
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

static void tracker_end_epoch(struct cbt_tracker *t, bool commit)
{
	if (commit) {
		cbt_map_clear(t->frozen);
		t->base_uuid = t->frozen_uuid;
	} else {
		/* The active map is not swapped meanwhile: that needs the control lock. */
		cbt_map_merge(t->active, t->frozen);
	}
	t->frozen = NULL;
	t->nr_changes++;
	outcome_add(t, &t->frozen_uuid, commit);
}

static int epoch_end(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch, bool commit,
		     struct cbt_refusal *why)
{
	int error = end_check(trackers, nr, epoch, commit, why);
	u32 i;

	if (error)
		return error;
	for (i = 0; i < nr; i++)
		if (holds_frozen(trackers[i], epoch))
			cbt_cow_end(trackers[i]->cow);
	/* ORDER: a write may still be looking at a frozen map, to see whether it needs a copy. */
	synchronize_rcu_expedited();
	for (i = 0; i < nr; i++)
		if (holds_frozen(trackers[i], epoch))
			tracker_end_epoch(trackers[i], commit);
	return 0;
}

int cbt_commit(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch,
	       struct cbt_refusal *why)
{
	return epoch_end(trackers, nr, epoch, true, why);
}

int cbt_abort(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch,
	      struct cbt_refusal *why)
{
	return epoch_end(trackers, nr, epoch, false, why);
}

int cbt_release(struct cbt_tracker *t, const uuid_t *epoch, u64 first, u64 last,
		struct cbt_refusal *why)
{
	enum cbt_broken broken = cbt_cow_broken(t->cow);

	if (!holds_frozen(t, epoch))
		return refuse(why, -ENOENT, 0, "this epoch is not the frozen one");
	if (first > last || last >= t->frozen->nr_blocks)
		return refuse(why, -ERANGE, 0, "the tracker has no such blocks");
	if (broken)
		return refuse(why, -ECANCELED, 0, cbt_broken_text(broken));
	if (cbt_cow_release(t->cow, first, last))
		return refuse(why, -ENOMEM, 0, "out of memory: release them again");
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

	mutex_lock(&control);
	t = cbt_tracker_by_uuid(tracker);
	error = image_check(t, epoch, why);
	if (error) {
		cow = ERR_PTR(error);
	} else {
		cow = cbt_cow_get(t->cow);
		*ret_epoch = t->frozen_epoch;
	}
	mutex_unlock(&control);
	return cow;
}

/*--------------------------------------------------------------------------------------------------
 * Module
 */

int cbt_track_init(void)
{
	int error = cbt_cow_init();

	if (error)
		return error;
	workers = alloc_workqueue("dm-cbt", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!workers) {
		cbt_cow_exit();
		return -ENOMEM;
	}
	return 0;
}

void cbt_track_exit(void)
{
	destroy_workqueue(workers);
	cbt_cow_exit();
}
