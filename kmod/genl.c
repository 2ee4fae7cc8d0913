// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parse, look up, call track, reply; the manual is uapi/linux/dm-cbt.h.
 *
 * A doit command goes through request_begin() and request_end(), which look up all the trackers
 * that it names and make room for the reply before anything is done. Everything between them runs
 * under the control lock, so what was looked up stays. The dump of a map holds the lock for one
 * message at a time, and remembers by UUID and change count what it was reading.
 */
#include <linux/module.h>
#include <net/genetlink.h>

#include "genl.h"
#include "track.h"

static struct genl_family family;

/*--------------------------------------------------------------------------------------------------
 * Policies
 */

static const struct nla_policy selector_policy[CBT_TRACKER_A_NAME + 1] = {
	[CBT_TRACKER_A_UUID] = NLA_POLICY_EXACT_LEN(CBT_UUID_LEN),
	[CBT_TRACKER_A_NAME] = { .type = NLA_NUL_STRING, .len = CBT_NAME_LEN },
};

static const struct nla_policy tracker_get_policy[CBT_A_TRACKER + 1] = {
	[CBT_A_TRACKER] = NLA_POLICY_NESTED(selector_policy),
};

static const struct nla_policy epoch_policy[CBT_A_EPOCH_UUID + 1] = {
	[CBT_A_TRACKER] = NLA_POLICY_NESTED(selector_policy),
	[CBT_A_EPOCH_UUID] = NLA_POLICY_EXACT_LEN(CBT_UUID_LEN),
};

static const struct nla_policy map_get_policy[CBT_A_START + 1] = {
	[CBT_A_PAD] = { .type = NLA_UNSPEC },
	[CBT_A_TRACKER] = NLA_POLICY_NESTED(selector_policy),
	[CBT_A_EPOCH_UUID] = NLA_POLICY_EXACT_LEN(CBT_UUID_LEN),
	[CBT_A_WHICH] = NLA_POLICY_RANGE(NLA_U32, CBT_MAP_ACTIVE, CBT_MAP_BOTH),
	[CBT_A_START] = { .type = NLA_U64 },
};

/*--------------------------------------------------------------------------------------------------
 * Parsing
 */

/* As NL_SET_ERR_MSG_ATTR(), for a sentence that is chosen at run time. */
static void set_refusal(struct netlink_ext_ack *extack, const struct nlattr *attr, const char *text)
{
	if (!extack)
		return;
	extack->_msg = text;
	NL_SET_BAD_ATTR(extack, attr);
}

static bool is_privileged(struct sk_buff *skb, struct netlink_ext_ack *extack)
{
	if (netlink_capable(skb, CAP_SYS_ADMIN))
		return true;
	NL_SET_ERR_MSG(extack, "CAP_SYS_ADMIN is needed");
	return false;
}

static struct cbt_tracker *find_tracker(struct nlattr *selector, struct netlink_ext_ack *extack)
{
	struct nlattr *tb[CBT_TRACKER_A_NAME + 1];
	struct cbt_tracker *t;
	uuid_t uuid;
	int error;

	error = nla_parse_nested(tb, CBT_TRACKER_A_NAME, selector, selector_policy, extack);
	if (error)
		return ERR_PTR(error);
	if (!tb[CBT_TRACKER_A_UUID] == !tb[CBT_TRACKER_A_NAME]) {
		set_refusal(extack, selector, "select a tracker either by UUID or by name");
		return ERR_PTR(-EINVAL);
	}
	if (tb[CBT_TRACKER_A_UUID]) {
		import_uuid(&uuid, nla_data(tb[CBT_TRACKER_A_UUID]));
		t = cbt_tracker_by_uuid(&uuid);
	} else {
		t = cbt_tracker_by_name(nla_data(tb[CBT_TRACKER_A_NAME]));
	}
	if (!t) {
		set_refusal(extack, selector, "no such tracker");
		return ERR_PTR(-ENODEV);
	}
	return t;
}

static int parse_epoch(const struct nlattr *attr, uuid_t *ret, struct netlink_ext_ack *extack)
{
	uuid_t epoch;

	import_uuid(&epoch, nla_data(attr));
	if (uuid_is_null(&epoch)) {
		set_refusal(extack, attr, "the epoch's UUID must not be all zeroes");
		return -EINVAL;
	}
	*ret = epoch;
	return 0;
}

/*--------------------------------------------------------------------------------------------------
 * Replies
 */

/* All attributes of one tracker, generously. */
#define TRACKER_SPACE (3 * nla_total_size(CBT_UUID_LEN) + nla_total_size(CBT_NAME_LEN + 1) + \
		       9 * nla_total_size_64bit(sizeof(u64)) + 2 * nla_total_size(sizeof(u32)) + \
		       nla_total_size(0))

static int put_uuid(struct sk_buff *skb, int type, const uuid_t *uuid)
{
	return nla_put(skb, type, CBT_UUID_LEN, uuid);
}

static int put_u64(struct sk_buff *skb, int type, u64 value)
{
	return nla_put_u64_64bit(skb, type, value, CBT_TRACKER_A_PAD);
}

static int put_identity(struct sk_buff *skb, const struct cbt_tracker *t)
{
	return put_uuid(skb, CBT_TRACKER_A_UUID, &t->uuid) ||
	       put_u64(skb, CBT_TRACKER_A_GENERATION, t->generation) ||
	       put_u64(skb, CBT_TRACKER_A_EPOCH, t->epoch) ||
	       put_u64(skb, CBT_TRACKER_A_SIZE_SECTORS, t->size_sectors) ||
	       nla_put_u32(skb, CBT_TRACKER_A_BLOCK_SECTORS, 1U << t->block_shift);
}

static int put_frozen(struct sk_buff *skb, const struct cbt_tracker *t)
{
	if (!t->frozen)
		return 0;
	return put_u64(skb, CBT_TRACKER_A_DIRTY_FROZEN, atomic64_read(&t->frozen->nr_dirty)) ||
	       put_u64(skb, CBT_TRACKER_A_FROZEN_EPOCH, t->frozen_epoch) ||
	       put_uuid(skb, CBT_TRACKER_A_FROZEN_UUID, &t->frozen_uuid);
}

static int put_state(struct sk_buff *skb, const struct cbt_tracker *t)
{
	char name[CBT_NAME_LEN + 1];

	if (!t->ops->name(t->owner, name) && nla_put_string(skb, CBT_TRACKER_A_NAME, name))
		return -EMSGSIZE;
	if (!uuid_is_null(&t->base_uuid) && put_uuid(skb, CBT_TRACKER_A_BASE_UUID, &t->base_uuid))
		return -EMSGSIZE;
	return put_u64(skb, CBT_TRACKER_A_DEV, huge_encode_dev(t->ops->dev(t->owner))) ||
	       put_u64(skb, CBT_TRACKER_A_ORIGIN_DEV, huge_encode_dev(t->origin)) ||
	       nla_put_u32(skb, CBT_TRACKER_A_STATE, CBT_STATE_VOLATILE) ||
	       put_u64(skb, CBT_TRACKER_A_DIRTY_ACTIVE, atomic64_read(&t->active->nr_dirty)) ||
	       put_frozen(skb, t);
}

static int put_tracker(struct sk_buff *skb, const struct cbt_tracker *t, bool state)
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

/*--------------------------------------------------------------------------------------------------
 * TRACKER_GET, FREEZE, COMMIT, ABORT
 */

/* The trackers that a message names, and room for their reply. */
struct request {
	u32 nr;
	struct cbt_tracker **trackers;
	struct nlattr **selectors;
	struct sk_buff *reply;
};

#define for_each_selector(pos, info, rem)                                                    \
	nlmsg_for_each_attr(pos, (info)->nlhdr, GENL_HDRLEN, rem)                            \
		if (nla_type(pos) == CBT_A_TRACKER)

static u32 count_selectors(struct genl_info *info)
{
	struct nlattr *pos;
	u32 nr = 0;
	int rem;

	for_each_selector(pos, info, rem)
		nr++;
	return nr;
}

static void request_free(struct request *req)
{
	kvfree(req->trackers);
	kvfree(req->selectors);
	nlmsg_free(req->reply);
}

static int request_alloc(struct request *req, struct genl_info *info, u32 nr_max)
{
	u32 nr = count_selectors(info);

	*req = (struct request){ };
	if (!nr) {
		NL_SET_ERR_MSG(info->extack, "a tracker must be named");
		return -EINVAL;
	}
	if (nr > nr_max) {
		NL_SET_ERR_MSG(info->extack, "too many trackers in one request");
		return -E2BIG;
	}
	req->trackers = kvcalloc(nr, sizeof(*req->trackers), GFP_KERNEL);
	req->selectors = kvcalloc(nr, sizeof(*req->selectors), GFP_KERNEL);
	req->reply = genlmsg_new(nr * TRACKER_SPACE, GFP_KERNEL);
	if (!req->trackers || !req->selectors || !req->reply) {
		request_free(req);
		NL_SET_ERR_MSG(info->extack, "out of memory: try again");
		return -ENOMEM;
	}
	return 0;
}

static int request_find(struct request *req, struct genl_info *info)
{
	struct nlattr *pos;
	int rem;

	for_each_selector(pos, info, rem) {
		struct cbt_tracker *t = find_tracker(pos, info->extack);

		if (IS_ERR(t))
			return PTR_ERR(t);
		req->trackers[req->nr] = t;
		req->selectors[req->nr++] = pos;
	}
	return 0;
}

/* Return: 0 with the control lock held; request_end() must follow. */
static int request_begin(struct request *req, struct sk_buff *skb, struct genl_info *info,
			 u32 nr_max)
{
	int error;

	if (!is_privileged(skb, info->extack))
		return -EPERM;
	error = request_alloc(req, info, nr_max);
	if (error)
		return error;
	cbt_control_lock();
	error = request_find(req, info);
	if (error) {
		cbt_control_unlock();
		request_free(req);
	}
	return error;
}

/* Reply with the states of the trackers, or forward the error. */
static int request_end(struct request *req, struct genl_info *info, int error)
{
	void *header = NULL;
	u32 i;

	if (!error)
		header = genlmsg_put_reply(req->reply, info, &family, 0, info->genlhdr->cmd);
	for (i = 0; header && i < req->nr; i++)
		if (WARN_ON_ONCE(put_tracker(req->reply, req->trackers[i], true)))
			header = NULL;
	cbt_control_unlock();
	if (!error && header) {
		genlmsg_end(req->reply, header);
		error = genlmsg_reply(req->reply, info);
		req->reply = NULL;
	} else if (!error) {
		error = -EMSGSIZE;
	}
	request_free(req);
	return error;
}

static int tracker_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct request req;
	int error = request_begin(&req, skb, info, 1);

	return error ? error : request_end(&req, info, 0);
}

typedef int (*epoch_fn)(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch,
			struct cbt_refusal *why);

static int epoch_doit(struct sk_buff *skb, struct genl_info *info, epoch_fn fn)
{
	struct cbt_refusal why = { };
	struct request req;
	uuid_t epoch;
	int error = request_begin(&req, skb, info, CBT_TRACKERS_MAX);

	if (error)
		return error;
	if (!info->attrs[CBT_A_EPOCH_UUID]) {
		NL_SET_ERR_MSG(info->extack, "the epoch's UUID is missing");
		error = -EINVAL;
	} else {
		error = parse_epoch(info->attrs[CBT_A_EPOCH_UUID], &epoch, info->extack);
	}
	if (!error) {
		error = fn(req.trackers, req.nr, &epoch, &why);
		if (error)
			set_refusal(info->extack, req.selectors[why.index], why.text);
	}
	return request_end(&req, info, error);
}

static int freeze_doit(struct sk_buff *skb, struct genl_info *info)
{
	return epoch_doit(skb, info, cbt_freeze);
}

static int commit_doit(struct sk_buff *skb, struct genl_info *info)
{
	return epoch_doit(skb, info, cbt_commit);
}

static int abort_doit(struct sk_buff *skb, struct genl_info *info)
{
	return epoch_doit(skb, info, cbt_abort);
}

/*
 * Dumps are refused by their first dumpit, not by start: COMPAT(6.1): start has no extack there,
 * and a refusal would come without its sentence.
 */
static int tracker_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct cbt_tracker *t;

	if (!is_privileged(cb->skb, cb->extack))
		return -EPERM;
	cbt_control_lock();
	cb->seq = cbt_registry_sequence();
	while ((t = cbt_tracker_at(cb->args[0]))) {
		void *header = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
					   &family, NLM_F_MULTI, CBT_CMD_TRACKER_GET);

		if (!header)
			break;
		genl_dump_check_consistent(cb, header);
		if (put_tracker(skb, t, true)) {
			genlmsg_cancel(skb, header);
			break;
		}
		genlmsg_end(skb, header);
		cb->args[0]++;
	}
	cbt_control_unlock();
	return skb->len;
}

/*--------------------------------------------------------------------------------------------------
 * MAP_GET
 */

#define MAP_MESSAGE_SIZE 32768

/* What a dump is reading, and how far it is. */
struct map_dump {
	uuid_t tracker;
	u64 nr_changes;
	u32 which;
	bool begun;
	u64 next;			/* first block not yet reported */
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
		set_refusal(extack, attrs[CBT_A_WHICH], "no epoch is frozen");
		return -ENOENT;
	}
	if (!attr)
		return 0;
	if (!wants_frozen) {
		set_refusal(extack, attr, "an epoch's UUID goes with the frozen map only");
		return -EINVAL;
	}
	error = parse_epoch(attr, &epoch, extack);
	if (error)
		return error;
	if (!t->frozen || !uuid_equal(&t->frozen_uuid, &epoch)) {
		set_refusal(extack, attr, "this epoch is not the frozen one");
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

	if (!is_privileged(cb->skb, cb->extack))
		return -EPERM;
	error = nlmsg_parse(cb->nlh, GENL_HDRLEN, attrs, CBT_A_START, map_get_policy, cb->extack);
	if (error)
		return error;
	if (!attrs[CBT_A_TRACKER] || !attrs[CBT_A_WHICH]) {
		NL_SET_ERR_MSG(cb->extack, "a tracker and the map wanted must be named");
		return -EINVAL;
	}
	t = find_tracker(attrs[CBT_A_TRACKER], cb->extack);
	if (IS_ERR(t))
		return PTR_ERR(t);
	error = map_dump_check(t, attrs, cb->extack);
	if (error)
		return error;
	dump->tracker = t->uuid;
	dump->nr_changes = t->nr_changes;
	dump->which = nla_get_u32(attrs[CBT_A_WHICH]);
	if (attrs[CBT_A_START])
		dump->next = nla_get_u64(attrs[CBT_A_START]);
	return 0;
}

static int map_dump_start(struct netlink_callback *cb)
{
	struct map_dump *dump = kzalloc(sizeof(*dump), GFP_KERNEL);

	if (!dump)
		return -ENOMEM;
	cb->args[0] = (unsigned long)dump;
	/* A whole leaf must fit, and fewer messages are faster. */
	cb->min_dump_alloc = MAP_MESSAGE_SIZE;
	return 0;
}

static int map_dump_done(struct netlink_callback *cb)
{
	kfree((struct map_dump *)cb->args[0]);
	return 0;
}

/* The view of the next leaf that is not clean, at dump->next; false at the end of the map. */
static bool map_dump_view(struct map_dump *dump, const struct cbt_map *a, const struct cbt_map *b)
{
	while (dump->next < a->nr_blocks) {
		u64 leaf = dump->next >> CBT_LEAF_SHIFT;

		cbt_map_view(a, b, leaf, dump->next, &dump->view);
		if (dump->view.form != CBT_FORM_CLEAN)
			return true;
		dump->next = (leaf + 1) << CBT_LEAF_SHIFT;
		if (!(leaf & 1023))
			cond_resched();
	}
	return false;
}

static int put_chunk(struct sk_buff *skb, const struct map_dump *dump)
{
	const struct cbt_leaf_view *view = &dump->view;
	u64 start = dump->next & ~(u64)(CBT_LEAF_BLOCKS - 1);
	struct nlattr *nest = nla_nest_start(skb, CBT_A_CHUNK);

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_u64_64bit(skb, CBT_CHUNK_A_START, start, CBT_CHUNK_A_PAD) ||
	    nla_put_u64_64bit(skb, CBT_CHUNK_A_BLOCKS, view->nr_blocks, CBT_CHUNK_A_PAD))
		goto cancel;
	if (view->form == CBT_FORM_RUNS &&
	    nla_put(skb, CBT_CHUNK_A_RUNS, view->nr_runs * sizeof(view->runs[0]), view->runs))
		goto cancel;
	if (view->form == CBT_FORM_BITS &&
	    nla_put(skb, CBT_CHUNK_A_BITS, DIV_ROUND_UP(view->nr_blocks, 64) * 8, view->bits))
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
		   const struct cbt_tracker *t)
{
	const struct cbt_map *a = dump->which & CBT_MAP_ACTIVE ? t->active : t->frozen;
	const struct cbt_map *b = dump->which == CBT_MAP_BOTH ? t->frozen : NULL;
	void *header;

	/* An empty map is one message too: it says whose map is empty. */
	if (dump->begun && !map_dump_view(dump, a, b))
		return 0;
	header = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, &family,
			     NLM_F_MULTI, CBT_CMD_MAP_GET);
	if (!header)
		return -EMSGSIZE;
	if (put_tracker(skb, t, false)) {
		genlmsg_cancel(skb, header);
		return -EMSGSIZE;
	}
	while (map_dump_view(dump, a, b) && !put_chunk(skb, dump))
		dump->next = ((dump->next >> CBT_LEAF_SHIFT) + 1) << CBT_LEAF_SHIFT;
	genlmsg_end(skb, header);
	dump->begun = true;
	return 0;
}

static int map_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct map_dump *dump = (struct map_dump *)cb->args[0];
	struct cbt_tracker *t;
	int error = 0;

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

/*--------------------------------------------------------------------------------------------------
 * Family
 */

#define OP(_cmd, _policy) .cmd = (_cmd), .policy = (_policy), .maxattr = ARRAY_SIZE(_policy) - 1

static const struct genl_ops genl_ops[] = {
	{
		OP(CBT_CMD_TRACKER_GET, tracker_get_policy),
		.doit = tracker_get_doit,
		.dumpit = tracker_dumpit,
	},
	{ OP(CBT_CMD_FREEZE, epoch_policy), .doit = freeze_doit },
	{ OP(CBT_CMD_COMMIT, epoch_policy), .doit = commit_doit },
	{ OP(CBT_CMD_ABORT, epoch_policy), .doit = abort_doit },
	{
		OP(CBT_CMD_MAP_GET, map_get_policy),
		.start = map_dump_start,
		.dumpit = map_dumpit,
		.done = map_dump_done,
	},
};

static struct genl_family family __ro_after_init = {
	.name = CBT_GENL_NAME,
	.version = CBT_GENL_VERSION,
	.maxattr = CBT_A_MAX,
	.module = THIS_MODULE,
	.parallel_ops = true,
	.ops = genl_ops,
	.n_ops = ARRAY_SIZE(genl_ops),
};

MODULE_ALIAS_GENL_FAMILY(CBT_GENL_NAME);

int cbt_genl_init(void)
{
	return genl_register_family(&family);
}

void cbt_genl_exit(void)
{
	genl_unregister_family(&family);
}
