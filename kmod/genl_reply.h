/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inside genl: the attributes of replies. Each returns 0 or -EMSGSIZE, with nothing left behind;
 * those about a tracker are called under the control lock.
 */
#ifndef CBT_GENL_REPLY_H
#define CBT_GENL_REPLY_H

#include <net/genetlink.h>

#include "event.h"
#include "track.h"

/* All attributes of one tracker, generously. */
#define CBT_TRACKER_SPACE 640

/* The statistics of one tracker, with its identity. */
#define CBT_STATS_SPACE 4096

/** cbt_genl_put_tracker - a CBT_A_TRACKER; @state: all of it, else the identity only. */
int cbt_genl_put_tracker(struct sk_buff *skb, struct cbt_tracker *t, bool state);

/** cbt_genl_put_stats - CBT_A_TRACKER, the identity only, and CBT_A_STATS. */
int cbt_genl_put_stats(struct sk_buff *skb, struct cbt_tracker *t);

/** cbt_genl_put_label - CBT_A_LABEL. */
int cbt_genl_put_label(struct sk_buff *skb, struct cbt_tracker *t);

/** cbt_genl_put_event - all of an event. */
int cbt_genl_put_event(struct sk_buff *skb, const struct cbt_event *event, u64 sequence);

#endif
