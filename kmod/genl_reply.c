// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>

#include "genl_reply.h"

static int put_uuid(struct sk_buff *skb, int type, const uuid_t *uuid)
{
	return nla_put(skb, type, CBT_UUID_LEN, uuid);
}

/* Every family of attributes has its padding at the same place. */
static int put_u64(struct sk_buff *skb, int type, u64 value)
{
	BUILD_BUG_ON((int)CBT_TRACKER_A_PAD != (int)CBT_STATS_A_PAD ||
		     (int)CBT_TRACKER_A_PAD != (int)CBT_A_PAD);
	return nla_put_u64_64bit(skb, type, value, CBT_TRACKER_A_PAD);
}

static int put_text(struct sk_buff *skb, int type, const char *text)
{
	return text ? nla_put_string(skb, type, text) : 0;
}

/*--------------------------------------------------------------------------------------------------
 * Trackers
 */

static u32 region_sectors(const struct cbt_tracker *t)
{
	return 1U << (t->store.region_shift + t->block_shift);
}

static int put_identity(struct sk_buff *skb, const struct cbt_tracker *t)
{
	if (put_uuid(skb, CBT_TRACKER_A_UUID, &t->uuid) ||
	    put_u64(skb, CBT_TRACKER_A_GENERATION, t->generation) ||
	    put_u64(skb, CBT_TRACKER_A_EPOCH, t->epoch) ||
	    put_u64(skb, CBT_TRACKER_A_SIZE_SECTORS, t->size_sectors) ||
	    nla_put_u32(skb, CBT_TRACKER_A_BLOCK_SECTORS, 1U << t->block_shift))
		return -EMSGSIZE;
	return t->store_dev ? nla_put_u32(skb, CBT_TRACKER_A_REGION_SECTORS, region_sectors(t)) : 0;
}

static u64 nr_suspect(struct cbt_tracker *t, const struct cbt_map *map)
{
	return atomic64_read(&cbt_tracker_suspects(t, map)->nr_dirty);
}

static int put_frozen(struct sk_buff *skb, struct cbt_tracker *t)
{
	if (!t->frozen)
		return 0;
	if (put_u64(skb, CBT_TRACKER_A_DIRTY_FROZEN, atomic64_read(&t->frozen->nr_dirty)) ||
	    put_u64(skb, CBT_TRACKER_A_FROZEN_EPOCH, t->frozen_epoch) ||
	    put_uuid(skb, CBT_TRACKER_A_FROZEN_UUID, &t->frozen_uuid) ||
	    put_text(skb, CBT_TRACKER_A_BROKEN, cbt_broken_text(cbt_cow_broken(t->cow))))
		return -EMSGSIZE;
	return t->store_dev ? put_u64(skb, CBT_TRACKER_A_SUSPECT_FROZEN, nr_suspect(t, t->frozen)) :
			      0;
}

static int put_store(struct sk_buff *skb, struct cbt_tracker *t)
{
	struct cbt_cow_stats cow = { };

	if (!t->store_dev)
		return 0;
	if (t->cow)
		cbt_cow_stats(t->cow, &cow);
	return put_u64(skb, CBT_TRACKER_A_STORE_DEV, huge_encode_dev(t->store_dev)) ||
	       put_u64(skb, CBT_TRACKER_A_SUSPECT_ACTIVE, nr_suspect(t, t->active)) ||
	       put_u64(skb, CBT_TRACKER_A_DIFF_SLOTS, cow.slots_max) ||
	       put_u64(skb, CBT_TRACKER_A_DIFF_USED, cow.slots_used) ||
	       put_text(skb, CBT_TRACKER_A_FAILURE, READ_ONCE(t->store.failure));
}

static int put_state(struct sk_buff *skb, struct cbt_tracker *t)
{
	char name[CBT_NAME_LEN + 1];

	if (!t->ops->name(t->owner, name) && nla_put_string(skb, CBT_TRACKER_A_NAME, name))
		return -EMSGSIZE;
	if (!uuid_is_null(&t->base_uuid) && put_uuid(skb, CBT_TRACKER_A_BASE_UUID, &t->base_uuid))
		return -EMSGSIZE;
	return put_u64(skb, CBT_TRACKER_A_DEV, huge_encode_dev(t->ops->dev(t->owner))) ||
	       put_u64(skb, CBT_TRACKER_A_ORIGIN_DEV, huge_encode_dev(t->origin)) ||
	       nla_put_u32(skb, CBT_TRACKER_A_STATE, cbt_tracker_state(t)) ||
	       put_u64(skb, CBT_TRACKER_A_DIRTY_ACTIVE, atomic64_read(&t->active->nr_dirty)) ||
	       put_frozen(skb, t) || put_store(skb, t);
}

int cbt_genl_put_tracker(struct sk_buff *skb, struct cbt_tracker *t, bool state)
{
	struct nlattr *nest = nla_nest_start(skb, CBT_A_TRACKER);

	if (!nest)
		return -EMSGSIZE;
	if (put_identity(skb, t) || (state && put_state(skb, t))) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

int cbt_genl_put_label(struct sk_buff *skb, struct cbt_tracker *t)
{
	u8 label[CBT_LABEL_LEN];

	cbt_label_get(t, label);
	return nla_put(skb, CBT_A_LABEL, sizeof(label), label);
}

/*--------------------------------------------------------------------------------------------------
 * Statistics
 */

/* Some are counted where they happen, and read here. */
static u64 count_of(struct cbt_tracker *t, const struct cbt_cow_stats *cow, u32 which)
{
	switch (which) {
	case CBT_STATS_A_HOT_REGIONS:
		return cbt_hot_count(&t->store.log.hot);
	case CBT_STATS_A_WAITING_WRITES:
		return cbt_tracker_nr_waiting(t);
	case CBT_STATS_A_COPIED_BLOCKS:
		return cow->nr_copied;
	case CBT_STATS_A_COPIED_BYTES:
		return cow->nr_copied << (t->block_shift + SECTOR_SHIFT);
	case CBT_STATS_A_SPILLED_BYTES:
		return cow->nr_spilled << (t->block_shift + SECTOR_SHIFT);
	case CBT_STATS_A_POOL_BYTES:
		return (u64)cow->buffers_used << (t->block_shift + SECTOR_SHIFT);
	default:
		return cbt_stats_count(&t->stats, which);
	}
}

static int put_counts(struct sk_buff *skb, struct cbt_tracker *t)
{
	struct cbt_cow_stats cow = { };
	u32 which;

	if (t->cow)
		cbt_cow_stats(t->cow, &cow);
	for (which = CBT_STATS_A_FIRST_COUNT; which <= CBT_STATS_A_LAST_COUNT; which++)
		if (put_u64(skb, which, count_of(t, &cow, which)))
			return -EMSGSIZE;
	return 0;
}

static int put_histograms(struct sk_buff *skb, struct cbt_tracker *t)
{
	struct cbt_histogram h;
	u32 which;

	for (which = CBT_STATS_A_FIRST_HISTOGRAM; which <= CBT_STATS_A_LAST_HISTOGRAM; which++) {
		cbt_stats_read(&t->stats, which, &h);
		if (nla_put(skb, which, sizeof(h), &h))
			return -EMSGSIZE;
	}
	return 0;
}

int cbt_genl_put_stats(struct sk_buff *skb, struct cbt_tracker *t)
{
	struct nlattr *nest;

	if (cbt_genl_put_tracker(skb, t, false))
		return -EMSGSIZE;
	nest = nla_nest_start(skb, CBT_A_STATS);
	if (!nest)
		return -EMSGSIZE;
	if (put_counts(skb, t) || put_histograms(skb, t)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/*--------------------------------------------------------------------------------------------------
 * Events
 */

static int put_event_tracker(struct sk_buff *skb, const struct cbt_event *event)
{
	struct nlattr *nest = nla_nest_start(skb, CBT_A_TRACKER);

	if (!nest || put_uuid(skb, CBT_TRACKER_A_UUID, &event->tracker) ||
	    put_u64(skb, CBT_TRACKER_A_DEV, huge_encode_dev(event->dev)) ||
	    put_u64(skb, CBT_TRACKER_A_GENERATION, event->generation) ||
	    put_u64(skb, CBT_TRACKER_A_EPOCH, event->epoch) ||
	    nla_put_u32(skb, CBT_TRACKER_A_STATE, event->state))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

int cbt_genl_put_event(struct sk_buff *skb, const struct cbt_event *event, u64 sequence)
{
	if (nla_put_u32(skb, CBT_A_EVENT, event->kind) ||
	    put_u64(skb, CBT_A_SEQUENCE, sequence) || put_event_tracker(skb, event) ||
	    put_text(skb, CBT_A_REASON, event->reason))
		return -EMSGSIZE;
	return uuid_is_null(&event->epoch_uuid) ? 0 :
						  put_uuid(skb, CBT_A_EPOCH_UUID,
							   &event->epoch_uuid);
}
