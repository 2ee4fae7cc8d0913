// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dump of a map holds the control lock for one message at a time, and remembers by UUID and
 * change count what it was reading. Suspect regions come first, so that who gets the blocks knows.
 */
#include <linux/module.h>

#include "genl_map.h"
#include "genl_reply.h"
#include "genl_request.h"

const struct nla_policy cbt_map_get_policy[CBT_A_START + 1] = {
	[CBT_A_TRACKER] = NLA_POLICY_NESTED(cbt_selector_policy),
	[CBT_A_EPOCH_UUID] = NLA_POLICY_EXACT_LEN(CBT_UUID_LEN),
	[CBT_A_WHICH] = NLA_POLICY_RANGE(NLA_U32, CBT_MAP_ACTIVE, CBT_MAP_BOTH),
	[CBT_A_START] = { .type = NLA_U64 },
};

/* What the allocator gives for it has no room left over. */
#define MAP_MESSAGE_SIZE SKB_WITH_OVERHEAD(32768)

/* What a dump is reading, and how far it is. */
struct map_dump {
	uuid_t tracker;
	u64 nr_changes;
	u32 which;
	bool begun;
	bool suspects;			/* are read now, the blocks later */
	u64 start;			/* first block wanted */
	u64 next;			/* first block, or region, not yet reported */
	/* what view is of */
	const struct cbt_map *a;
	const struct cbt_map *b;
	struct cbt_leaf_view view;
};

static int map_dump_check(struct cbt_tracker *t, struct nlattr **attrs,
			  struct netlink_ext_ack *extack)
{
	bool frozen_only = nla_get_u32(attrs[CBT_A_WHICH]) == CBT_MAP_FROZEN;
	bool wants_frozen = nla_get_u32(attrs[CBT_A_WHICH]) & CBT_MAP_FROZEN;
	struct nlattr *attr = attrs[CBT_A_EPOCH_UUID];
	uuid_t epoch;
	int error;

	if (frozen_only && !t->frozen) {
		cbt_genl_refuse(extack, attrs[CBT_A_WHICH], "no epoch is frozen");
		return -ENOENT;
	}
	if (!attr)
		return 0;
	if (!wants_frozen) {
		cbt_genl_refuse(extack, attr, "an epoch's UUID goes with the frozen map only");
		return -EINVAL;
	}
	error = cbt_genl_epoch(attr, &epoch, extack);
	if (error)
		return error;
	if (!t->frozen || !uuid_equal(&t->frozen_uuid, &epoch)) {
		cbt_genl_refuse(extack, attr, "this epoch is not the frozen one");
		return -ENOENT;
	}
	return 0;
}

/* The first call of a dump: parse, look up, remember what is read. Under the control lock. */
static int map_dump_begin(struct map_dump *dump, struct netlink_callback *cb)
{
	struct nlattr *attrs[CBT_A_START + 1];
	struct cbt_tracker *t;
	int error;

	error = nlmsg_parse(cb->nlh, GENL_HDRLEN, attrs, CBT_A_START, cbt_map_get_policy, cb->extack);
	if (error)
		return error;
	if (!attrs[CBT_A_TRACKER] || !attrs[CBT_A_WHICH]) {
		NL_SET_ERR_MSG(cb->extack, "a tracker and the map wanted must be named");
		return -EINVAL;
	}
	t = cbt_genl_find(attrs[CBT_A_TRACKER], cb->extack);
	if (IS_ERR(t))
		return PTR_ERR(t);
	error = map_dump_check(t, attrs, cb->extack);
	if (error)
		return error;
	dump->tracker = t->uuid;
	dump->nr_changes = t->nr_changes;
	dump->which = nla_get_u32(attrs[CBT_A_WHICH]);
	if (attrs[CBT_A_START])
		dump->start = nla_get_u64(attrs[CBT_A_START]);
	dump->suspects = true;
	dump->next = dump->start >> t->store.region_shift;
	return 0;
}

int cbt_genl_map_start(struct netlink_callback *cb)
{
	struct map_dump *dump = kzalloc(sizeof(*dump), GFP_KERNEL);

	if (!dump)
		return -ENOMEM;
	cb->args[0] = (unsigned long)dump;
	/* A whole leaf must fit, and fewer messages are faster. */
	cb->min_dump_alloc = MAP_MESSAGE_SIZE;
	return 0;
}

int cbt_genl_map_done(struct netlink_callback *cb)
{
	kfree((struct map_dump *)cb->args[0]);
	return 0;
}

/* The view of the next leaf that is not clean, at dump->next; false at the end of the map. */
static bool map_dump_view(struct map_dump *dump, const struct cbt_map *a, const struct cbt_map *b)
{
	u64 leaf = dump->next >> CBT_LEAF_SHIFT;

	dump->a = a;
	dump->b = b;
	for (; leaf < a->nr_leaves; leaf++) {
		if (!(leaf & 1023))
			cond_resched();
		if (cbt_map_leaf_is_clean(a, leaf) && (!b || cbt_map_leaf_is_clean(b, leaf)))
			continue;
		dump->next = max(dump->next, leaf << CBT_LEAF_SHIFT);
		cbt_map_view(a, b, leaf, dump->next, &dump->view);
		if (dump->view.form != CBT_FORM_CLEAN)
			return true;
	}
	dump->next = leaf << CBT_LEAF_SHIFT;
	return false;
}

/* The same of suspects and then of blocks. */
static bool map_dump_more(struct map_dump *dump, struct cbt_tracker *t)
{
	const struct cbt_map *a = dump->which & CBT_MAP_ACTIVE ? t->active : t->frozen;
	const struct cbt_map *b = dump->which == CBT_MAP_BOTH ? t->frozen : NULL;

	if (dump->suspects) {
		if (map_dump_view(dump, cbt_tracker_suspects(t, a),
				  b ? cbt_tracker_suspects(t, b) : NULL))
			return true;
		dump->suspects = false;
		dump->next = dump->start;
	}
	return map_dump_view(dump, a, b);
}

static int put_bits(struct sk_buff *skb, const struct map_dump *dump)
{
	struct nlattr *attr = nla_reserve(skb, CBT_CHUNK_A_BITS,
					  DIV_ROUND_UP(dump->view.nr_blocks, 64) * 8);

	if (!attr)
		return -EMSGSIZE;
	cbt_map_bits(dump->a, dump->b, dump->next >> CBT_LEAF_SHIFT, dump->next, nla_data(attr));
	return 0;
}

static int put_chunk(struct sk_buff *skb, const struct map_dump *dump)
{
	const struct cbt_leaf_view *view = &dump->view;
	u64 start = dump->next & ~(u64)(CBT_LEAF_BLOCKS - 1);
	struct nlattr *nest = nla_nest_start(skb, dump->suspects ? CBT_A_SUSPECT : CBT_A_CHUNK);

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_u64_64bit(skb, CBT_CHUNK_A_START, start, CBT_CHUNK_A_PAD) ||
	    nla_put_u64_64bit(skb, CBT_CHUNK_A_BLOCKS, view->nr_blocks, CBT_CHUNK_A_PAD))
		goto cancel;
	if (view->form == CBT_FORM_RUNS &&
	    nla_put(skb, CBT_CHUNK_A_RUNS, view->nr_runs * sizeof(view->runs[0]), view->runs))
		goto cancel;
	if (view->form == CBT_FORM_BITS && put_bits(skb, dump))
		goto cancel;
	nla_nest_end(skb, nest);
	return 0;

cancel:
	nla_nest_cancel(skb, nest);
	return -EMSGSIZE;
}

/* The tracker as it was when the dump began, or NULL. */
static struct cbt_tracker *map_dump_tracker(const struct map_dump *dump)
{
	struct cbt_tracker *t = cbt_tracker_by_uuid(&dump->tracker);

	return t && t->nr_changes == dump->nr_changes ? t : NULL;
}

static int put_map(struct sk_buff *skb, struct netlink_callback *cb, struct map_dump *dump,
		   struct cbt_tracker *t)
{
	bool more = map_dump_more(dump, t);
	void *header;

	/* An empty map is one message too: it says whose map is empty. */
	if (dump->begun && !more)
		return 0;
	header = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, &cbt_genl_family,
			     NLM_F_MULTI, CBT_CMD_MAP_GET);
	if (!header)
		return -EMSGSIZE;
	if (cbt_genl_put_tracker(skb, t, false)) {
		genlmsg_cancel(skb, header);
		return -EMSGSIZE;
	}
	while (more && !put_chunk(skb, dump)) {
		dump->next = ((dump->next >> CBT_LEAF_SHIFT) + 1) << CBT_LEAF_SHIFT;
		more = map_dump_more(dump, t);
	}
	genlmsg_end(skb, header);
	dump->begun = true;
	return 0;
}

int cbt_genl_map_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct map_dump *dump = (struct map_dump *)cb->args[0];
	struct cbt_tracker *t;
	int error = 0;

	/* Before the lock, for which others wait. */
	if (!cbt_genl_may(cb->skb, cb->extack))
		return -EPERM;
	cbt_control_lock();
	if (!dump->begun)
		error = map_dump_begin(dump, cb);
	if (!error) {
		t = map_dump_tracker(dump);
		if (t) {
			error = put_map(skb, cb, dump, t);
		} else {
			NL_SET_ERR_MSG(cb->extack,
				       "the tracker's epochs changed meanwhile: start again");
			error = -ESTALE;
		}
	}
	cbt_control_unlock();
	return error ? error : skb->len;
}
