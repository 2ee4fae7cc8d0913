/* SPDX-License-Identifier: GPL-2.0-only */
/* Inside genl: MAP_GET. */
#ifndef CBT_GENL_MAP_H
#define CBT_GENL_MAP_H

#include <net/genetlink.h>

#include <linux/dm-cbt.h>

extern const struct nla_policy cbt_map_get_policy[CBT_A_START + 1];

int cbt_genl_map_start(struct netlink_callback *cb);
int cbt_genl_map_dump(struct sk_buff *skb, struct netlink_callback *cb);
int cbt_genl_map_done(struct netlink_callback *cb);

#endif
