/* SPDX-License-Identifier: GPL-2.0-only */
/* Inside genl: what its commands share in reading requests and writing replies. */
#ifndef CBT_GENL_REQUEST_H
#define CBT_GENL_REQUEST_H

#include <net/genetlink.h>

#include "track.h"

extern struct genl_family cbt_genl_family;
extern const struct nla_policy cbt_selector_policy[CBT_TRACKER_A_NAME + 1];

/** cbt_genl_refuse - as NL_SET_ERR_MSG_ATTR(), for a sentence that is chosen at run time. */
void cbt_genl_refuse(struct netlink_ext_ack *extack, const struct nlattr *attr, const char *text);

/** cbt_genl_may - whether the sender may use the family. */
bool cbt_genl_may(struct sk_buff *skb, struct netlink_ext_ack *extack);

/** cbt_genl_find - the tracker that a selector names, or an error. Under the control lock. */
struct cbt_tracker *cbt_genl_find(struct nlattr *selector, struct netlink_ext_ack *extack);

/** cbt_genl_epoch - the UUID of an epoch; 0 or -EINVAL. @attr may be NULL, which is refused. */
int cbt_genl_epoch(const struct nlattr *attr, uuid_t *ret, struct netlink_ext_ack *extack);

/** struct cbt_genl_request - the trackers that a message names, and room for their reply. */
struct cbt_genl_request {
	u32 nr;
	struct cbt_tracker **trackers;
	struct nlattr **selectors;
	struct sk_buff *reply;
};

/**
 * cbt_genl_begin - read a request about 1 to @nr_max trackers.
 * Return: 0 with the control lock held, and cbt_genl_end() or cbt_genl_send() must follow.
 */
int cbt_genl_begin(struct cbt_genl_request *req, struct sk_buff *skb, struct genl_info *info,
		   u32 nr_max);

/** cbt_genl_end - reply with the states of the trackers, or forward the error. */
int cbt_genl_end(struct cbt_genl_request *req, struct genl_info *info, int error);

/** cbt_genl_put_fn - the attributes of a reply; -EMSGSIZE where there is no room. */
typedef int (*cbt_genl_put_fn)(struct sk_buff *skb, struct cbt_tracker *t);

/** cbt_genl_send - the same with another reply about the one tracker; it may be of 4 KiB. */
int cbt_genl_send(struct cbt_genl_request *req, struct genl_info *info, cbt_genl_put_fn put);

#endif
