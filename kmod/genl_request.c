// SPDX-License-Identifier: GPL-2.0-only
/*
 * A doit command goes through cbt_genl_begin() and cbt_genl_end(), which look up all the trackers
 * that it names and make room for the reply before anything is done. Everything between them runs
 * under the control lock, so what was looked up stays; who lets go of the lock pins it.
 */
#include <linux/module.h>

#include "genl_reply.h"
#include "genl_request.h"

const struct nla_policy cbt_selector_policy[CBT_TRACKER_A_NAME + 1] = {
	[CBT_TRACKER_A_UUID] = NLA_POLICY_EXACT_LEN(CBT_UUID_LEN),
	[CBT_TRACKER_A_NAME] = { .type = NLA_NUL_STRING, .len = CBT_NAME_LEN },
};

void cbt_genl_refuse(struct netlink_ext_ack *extack, const struct nlattr *attr, const char *text)
{
	if (!extack)
		return;
	extack->_msg = text;
	NL_SET_BAD_ATTR(extack, attr);
}

bool cbt_genl_may(struct sk_buff *skb, struct netlink_ext_ack *extack)
{
	if (netlink_capable(skb, CAP_SYS_ADMIN))
		return true;
	NL_SET_ERR_MSG(extack, "CAP_SYS_ADMIN is needed");
	return false;
}

struct cbt_tracker *cbt_genl_find(struct nlattr *selector, struct netlink_ext_ack *extack)
{
	struct nlattr *tb[CBT_TRACKER_A_NAME + 1];
	struct cbt_tracker *t;
	uuid_t uuid;
	int error;

	error = nla_parse_nested(tb, CBT_TRACKER_A_NAME, selector, cbt_selector_policy, extack);
	if (error)
		return ERR_PTR(error);
	if (!tb[CBT_TRACKER_A_UUID] == !tb[CBT_TRACKER_A_NAME]) {
		cbt_genl_refuse(extack, selector, "select a tracker either by UUID or by name");
		return ERR_PTR(-EINVAL);
	}
	if (tb[CBT_TRACKER_A_UUID]) {
		import_uuid(&uuid, nla_data(tb[CBT_TRACKER_A_UUID]));
		t = cbt_tracker_by_uuid(&uuid);
	} else {
		t = cbt_tracker_by_name(nla_data(tb[CBT_TRACKER_A_NAME]));
	}
	if (!t) {
		cbt_genl_refuse(extack, selector, "no such tracker");
		return ERR_PTR(-ENODEV);
	}
	return t;
}

int cbt_genl_epoch(const struct nlattr *attr, uuid_t *ret, struct netlink_ext_ack *extack)
{
	uuid_t epoch;

	if (!attr) {
		NL_SET_ERR_MSG(extack, "the epoch's UUID is missing");
		return -EINVAL;
	}
	import_uuid(&epoch, nla_data(attr));
	if (uuid_is_null(&epoch)) {
		cbt_genl_refuse(extack, attr, "the epoch's UUID must not be all zeroes");
		return -EINVAL;
	}
	*ret = epoch;
	return 0;
}

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

static void request_free(struct cbt_genl_request *req)
{
	kvfree(req->trackers);
	kvfree(req->selectors);
	nlmsg_free(req->reply);
}

static int request_alloc(struct cbt_genl_request *req, struct genl_info *info, u32 nr_max)
{
	u32 nr = count_selectors(info);

	*req = (struct cbt_genl_request){ };
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
	req->reply = genlmsg_new(nr * CBT_TRACKER_SPACE, GFP_KERNEL);
	if (!req->trackers || !req->selectors || !req->reply) {
		request_free(req);
		NL_SET_ERR_MSG(info->extack, "out of memory: try again");
		return -ENOMEM;
	}
	return 0;
}

static int request_find(struct cbt_genl_request *req, struct genl_info *info)
{
	struct nlattr *pos;
	int rem;

	for_each_selector(pos, info, rem) {
		struct cbt_tracker *t = cbt_genl_find(pos, info->extack);

		if (IS_ERR(t))
			return PTR_ERR(t);
		req->trackers[req->nr] = t;
		req->selectors[req->nr++] = pos;
	}
	return 0;
}

int cbt_genl_begin(struct cbt_genl_request *req, struct sk_buff *skb, struct genl_info *info,
		   u32 nr_max)
{
	int error;

	if (!cbt_genl_may(skb, info->extack))
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

/* All of a reply is there, or none of it: then room was counted wrongly. */
static int request_reply(struct cbt_genl_request *req, struct genl_info *info, void *header)
{
	int error;

	if (!header)
		return -EMSGSIZE;
	genlmsg_end(req->reply, header);
	error = genlmsg_reply(req->reply, info);
	req->reply = NULL;
	return error;
}

int cbt_genl_end(struct cbt_genl_request *req, struct genl_info *info, int error)
{
	void *header = NULL;
	u32 i;

	if (!error)
		header = genlmsg_put_reply(req->reply, info, &cbt_genl_family, 0,
					   info->genlhdr->cmd);
	for (i = 0; header && i < req->nr; i++)
		if (WARN_ON_ONCE(cbt_genl_put_tracker(req->reply, req->trackers[i], true)))
			header = NULL;
	cbt_control_unlock();
	if (!error)
		error = request_reply(req, info, header);
	request_free(req);
	return error;
}

int cbt_genl_send(struct cbt_genl_request *req, struct genl_info *info, cbt_genl_put_fn put)
{
	struct sk_buff *reply = genlmsg_new(CBT_STATS_SPACE, GFP_KERNEL);
	void *header = NULL;
	int error;

	nlmsg_free(req->reply);
	req->reply = reply;
	if (reply)
		header = genlmsg_put_reply(reply, info, &cbt_genl_family, 0, info->genlhdr->cmd);
	else
		NL_SET_ERR_MSG(info->extack, "out of memory: try again");
	if (header && WARN_ON_ONCE(put(reply, req->trackers[0])))
		header = NULL;
	cbt_control_unlock();
	error = reply ? request_reply(req, info, header) : -ENOMEM;
	request_free(req);
	return error;
}
