// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands: parse, look up, call track, reply; the manual is uapi/linux/dm-cbt.h.
 *
 *	genl_request	what all commands share in reading a request and answering it
 *	genl_reply	the attributes of answers
 *	genl_map	MAP_GET
 */
#include <linux/module.h>
#include <net/genetlink.h>

#include "event.h"
#include "genl.h"
#include "genl_map.h"
#include "genl_reply.h"
#include "genl_request.h"

/*--------------------------------------------------------------------------------------------------
 * Policies
 */

static const struct nla_policy tracker_policy[CBT_A_TRACKER + 1] = {
	[CBT_A_TRACKER] = NLA_POLICY_NESTED(cbt_selector_policy),
};

static const struct nla_policy epoch_policy[CBT_A_EPOCH_UUID + 1] = {
	[CBT_A_TRACKER] = NLA_POLICY_NESTED(cbt_selector_policy),
	[CBT_A_EPOCH_UUID] = NLA_POLICY_EXACT_LEN(CBT_UUID_LEN),
};

/* Both ends of the array's length are checked where it is parsed, with a sentence. */
static const struct nla_policy release_policy[CBT_A_RANGES + 1] = {
	[CBT_A_TRACKER] = NLA_POLICY_NESTED(cbt_selector_policy),
	[CBT_A_EPOCH_UUID] = NLA_POLICY_EXACT_LEN(CBT_UUID_LEN),
	[CBT_A_RANGES] = { .type = NLA_BINARY },
};

static const struct nla_policy mark_policy[CBT_A_RANGES + 1] = {
	[CBT_A_TRACKER] = NLA_POLICY_NESTED(cbt_selector_policy),
	[CBT_A_RANGES] = { .type = NLA_BINARY },
};

static const struct nla_policy label_set_policy[CBT_A_LABEL + 1] = {
	[CBT_A_TRACKER] = NLA_POLICY_NESTED(cbt_selector_policy),
	[CBT_A_LABEL] = { .type = NLA_BINARY, .len = CBT_LABEL_LEN },
};

/*--------------------------------------------------------------------------------------------------
 * TRACKER_GET, FREEZE, COMMIT, ABORT
 */

static int tracker_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct cbt_genl_request req;
	int error = cbt_genl_begin(&req, skb, info, 1);

	return error ? error : cbt_genl_end(&req, info, 0);
}

typedef int (*epoch_fn)(struct cbt_tracker *const *trackers, u32 nr, const uuid_t *epoch,
			struct cbt_refusal *why);

static int epoch_doit(struct sk_buff *skb, struct genl_info *info, epoch_fn fn)
{
	struct cbt_refusal why = { };
	struct cbt_genl_request req;
	uuid_t epoch;
	int error = cbt_genl_begin(&req, skb, info, CBT_TRACKERS_MAX);

	if (error)
		return error;
	error = cbt_genl_epoch(info->attrs[CBT_A_EPOCH_UUID], &epoch, info->extack);
	if (!error) {
		error = fn(req.trackers, req.nr, &epoch, &why);
		if (error)
			cbt_genl_refuse(info->extack, req.selectors[why.index], why.text);
	}
	return cbt_genl_end(&req, info, error);
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

/*--------------------------------------------------------------------------------------------------
 * RELEASE, MARK
 */

/* Copies the ranges: attributes are aligned to four bytes only. To be freed with kvfree(). */
static int parse_ranges(const struct nlattr *attr, struct cbt_range **ret, u32 *ret_nr,
			struct netlink_ext_ack *extack)
{
	struct cbt_blocks blocks;
	u32 i, nr;

	if (!attr) {
		NL_SET_ERR_MSG(extack, "the ranges are missing");
		return -EINVAL;
	}
	nr = nla_len(attr) / sizeof(blocks);
	if (!nr || nla_len(attr) % sizeof(blocks) || nr > CBT_RANGES_MAX) {
		cbt_genl_refuse(extack, attr, "the ranges are not an array of 1 to 4000");
		return -EINVAL;
	}
	*ret = kvcalloc(nr, sizeof(**ret), GFP_KERNEL);
	if (!*ret) {
		NL_SET_ERR_MSG(extack, "out of memory: try again");
		return -ENOMEM;
	}
	for (i = 0; i < nr; i++) {
		memcpy(&blocks, nla_data(attr) + i * sizeof(blocks), sizeof(blocks));
		if (!blocks.nr || blocks.start + blocks.nr < blocks.start) {
			kvfree(*ret);
			cbt_genl_refuse(extack, attr, "a range is empty or has no end");
			return -EINVAL;
		}
		(*ret)[i].first = blocks.start;
		(*ret)[i].last = blocks.start + blocks.nr - 1;
	}
	*ret_nr = nr;
	return 0;
}

typedef int (*ranges_fn)(struct cbt_tracker *t, const uuid_t *epoch, const struct cbt_range *ranges,
			 u32 nr, struct cbt_refusal *why);

static int ranges_doit(struct sk_buff *skb, struct genl_info *info, bool with_epoch, ranges_fn fn)
{
	struct cbt_refusal why = { };
	struct cbt_genl_request req;
	struct cbt_range *ranges = NULL;
	uuid_t epoch = uuid_null;
	u32 nr;
	int error = cbt_genl_begin(&req, skb, info, 1);

	if (error)
		return error;
	if (with_epoch)
		error = cbt_genl_epoch(info->attrs[CBT_A_EPOCH_UUID], &epoch, info->extack);
	if (!error)
		error = parse_ranges(info->attrs[CBT_A_RANGES], &ranges, &nr, info->extack);
	if (!error) {
		error = fn(req.trackers[0], &epoch, ranges, nr, &why);
		kvfree(ranges);
		if (error)
			cbt_genl_refuse(info->extack, req.selectors[0], why.text);
	}
	return cbt_genl_end(&req, info, error);
}

static int release_doit(struct sk_buff *skb, struct genl_info *info)
{
	return ranges_doit(skb, info, true, cbt_release);
}

static int mark_ranges(struct cbt_tracker *t, const uuid_t *epoch, const struct cbt_range *ranges,
		       u32 nr, struct cbt_refusal *why)
{
	return cbt_mark(t, ranges, nr, why);
}

static int mark_doit(struct sk_buff *skb, struct genl_info *info)
{
	return ranges_doit(skb, info, false, mark_ranges);
}

/*--------------------------------------------------------------------------------------------------
 * CHECKPOINT, BYPASS, LOST_ACK, labels
 */

typedef int (*tracker_fn)(struct cbt_tracker *t, struct cbt_refusal *why);

static int tracker_doit(struct sk_buff *skb, struct genl_info *info, tracker_fn fn)
{
	struct cbt_refusal why = { };
	struct cbt_genl_request req;
	int error = cbt_genl_begin(&req, skb, info, 1);

	if (error)
		return error;
	error = fn(req.trackers[0], &why);
	if (error)
		cbt_genl_refuse(info->extack, req.selectors[0], why.text);
	return cbt_genl_end(&req, info, error);
}

static int checkpoint_doit(struct sk_buff *skb, struct genl_info *info)
{
	return tracker_doit(skb, info, cbt_checkpoint);
}

static int bypass_doit(struct sk_buff *skb, struct genl_info *info)
{
	return tracker_doit(skb, info, cbt_bypass);
}

static int ack_lost(struct cbt_tracker *t, struct cbt_refusal *why)
{
	cbt_lost_ack(t);
	return 0;
}

static int lost_ack_doit(struct sk_buff *skb, struct genl_info *info)
{
	return tracker_doit(skb, info, ack_lost);
}

static int label_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct cbt_genl_request req;
	int error = cbt_genl_begin(&req, skb, info, 1);

	if (error)
		return error;
	if (!req.trackers[0]->store_dev) {
		cbt_genl_refuse(info->extack, req.selectors[0], "the tracker has no store");
		return cbt_genl_end(&req, info, -ENODEV);
	}
	return cbt_genl_send(&req, info, cbt_genl_put_label);
}

static int label_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	const struct nlattr *attr = info->attrs[CBT_A_LABEL];
	struct cbt_refusal why = { };
	struct cbt_genl_request req;
	u8 label[CBT_LABEL_LEN] = { };
	int error = cbt_genl_begin(&req, skb, info, 1);

	if (error)
		return error;
	if (attr) {
		memcpy(label, nla_data(attr), nla_len(attr));
		error = cbt_label_set(req.trackers[0], label, &why);
		if (error)
			cbt_genl_refuse(info->extack, req.selectors[0], why.text);
	} else {
		NL_SET_ERR_MSG(info->extack, "the label is missing");
		error = -EINVAL;
	}
	return cbt_genl_end(&req, info, error);
}

/*--------------------------------------------------------------------------------------------------
 * Statistics, and dumps
 */

static int stats_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct cbt_genl_request req;
	int error = cbt_genl_begin(&req, skb, info, 1);

	return error ? error : cbt_genl_send(&req, info, cbt_genl_put_stats);
}

/*
 * One message per tracker. Dumps are refused by their first dumpit, not by start: COMPAT(6.1):
 * start has no extack there, and a refusal would come without its sentence.
 */
static int trackers_dump(struct sk_buff *skb, struct netlink_callback *cb, u8 command,
			 cbt_genl_put_fn put)
{
	struct cbt_tracker *t;

	if (!cbt_genl_may(cb->skb, cb->extack))
		return -EPERM;
	cbt_control_lock();
	cb->seq = cbt_registry_sequence();
	while ((t = cbt_tracker_at(cb->args[0]))) {
		void *header = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
					   &cbt_genl_family, NLM_F_MULTI, command);

		if (!header)
			break;
		genl_dump_check_consistent(cb, header);
		if (put(skb, t)) {
			genlmsg_cancel(skb, header);
			break;
		}
		genlmsg_end(skb, header);
		cb->args[0]++;
	}
	cbt_control_unlock();
	return skb->len;
}

static int put_whole_tracker(struct sk_buff *skb, struct cbt_tracker *t)
{
	return cbt_genl_put_tracker(skb, t, true);
}

static int tracker_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return trackers_dump(skb, cb, CBT_CMD_TRACKER_GET, put_whole_tracker);
}

static int stats_start(struct netlink_callback *cb)
{
	/* A reader with less room would never get a message. */
	cb->min_dump_alloc = CBT_STATS_SPACE;
	return 0;
}

static int stats_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return trackers_dump(skb, cb, CBT_CMD_STATS_GET, cbt_genl_put_stats);
}

/*--------------------------------------------------------------------------------------------------
 * Events
 */

static const struct genl_multicast_group groups[] = {
	{ .name = CBT_GENL_EVENTS, .flags = GENL_MCAST_CAP_SYS_ADMIN },
};

/* An event that cannot be told leaves a gap in the sequence. */
static void send_event(const struct cbt_event *event, u64 sequence)
{
	struct sk_buff *skb = genlmsg_new(CBT_TRACKER_SPACE, GFP_KERNEL);
	void *header;

	if (!skb)
		return;
	header = genlmsg_put(skb, 0, 0, &cbt_genl_family, 0, CBT_CMD_EVENT);
	if (!header || WARN_ON_ONCE(cbt_genl_put_event(skb, event, sequence))) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, header);
	genlmsg_multicast_netns(&cbt_genl_family, &init_net, skb, 0, 0, GFP_KERNEL);
}

/*--------------------------------------------------------------------------------------------------
 * Family
 */

#define OP(_cmd, _policy) .cmd = (_cmd), .policy = (_policy), .maxattr = ARRAY_SIZE(_policy) - 1

static const struct genl_ops genl_ops[] = {
	{
		OP(CBT_CMD_TRACKER_GET, tracker_policy),
		.doit = tracker_get_doit,
		.dumpit = tracker_dumpit,
	},
	{ OP(CBT_CMD_FREEZE, epoch_policy), .doit = freeze_doit },
	{ OP(CBT_CMD_COMMIT, epoch_policy), .doit = commit_doit },
	{ OP(CBT_CMD_ABORT, epoch_policy), .doit = abort_doit },
	{
		OP(CBT_CMD_MAP_GET, cbt_map_get_policy),
		.start = cbt_genl_map_start,
		.dumpit = cbt_genl_map_dump,
		.done = cbt_genl_map_done,
	},
	{ OP(CBT_CMD_RELEASE, release_policy), .doit = release_doit },
	{ OP(CBT_CMD_MARK, mark_policy), .doit = mark_doit },
	{ OP(CBT_CMD_CHECKPOINT, tracker_policy), .doit = checkpoint_doit },
	{ OP(CBT_CMD_BYPASS, tracker_policy), .doit = bypass_doit },
	{ OP(CBT_CMD_LOST_ACK, tracker_policy), .doit = lost_ack_doit },
	{ OP(CBT_CMD_LABEL_GET, tracker_policy), .doit = label_get_doit },
	{ OP(CBT_CMD_LABEL_SET, label_set_policy), .doit = label_set_doit },
	{
		OP(CBT_CMD_STATS_GET, tracker_policy),
		.doit = stats_get_doit,
		.start = stats_start,
		.dumpit = stats_dumpit,
	},
};

struct genl_family cbt_genl_family __ro_after_init = {
	.name = CBT_GENL_NAME,
	.version = CBT_GENL_VERSION,
	.maxattr = CBT_A_MAX,
	.module = THIS_MODULE,
	.parallel_ops = true,
	.ops = genl_ops,
	.n_ops = ARRAY_SIZE(genl_ops),
	.mcgrps = groups,
	.n_mcgrps = ARRAY_SIZE(groups),
};

MODULE_ALIAS_GENL_FAMILY(CBT_GENL_NAME);

int cbt_genl_init(void)
{
	int error = genl_register_family(&cbt_genl_family);

	if (!error)
		cbt_event_listen(send_event);
	return error;
}

void cbt_genl_exit(void)
{
	cbt_event_listen(NULL);
	genl_unregister_family(&cbt_genl_family);
}
