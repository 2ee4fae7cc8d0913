/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside nl: the attributes of dm_cbt's answers, checked for presence, length and sense. No I/O.
 * Attributes that are not known are skipped, so that a newer module may say more.
 */
#ifndef FAILBACK_LIB_NL_DECODE_H
#define FAILBACK_LIB_NL_DECODE_H

#include <netlink/attr.h>

#include "lib/chunk.h"
#include "lib/nl.h"
#include "lib/nl_control.h"

/** nl_decode_tracker - a CBT_A_TRACKER with the full state. 0 or -EBADMSG. */
int nl_decode_tracker(struct nlattr *nest, struct tracker_info *ret);

/**
 * nl_decode_identity - a CBT_A_TRACKER of a map: identity only, the rest of @ret is zero. 0 or
 * -EBADMSG.
 */
int nl_decode_identity(struct nlattr *nest, struct tracker_info *ret);

/**
 * nl_decode_chunk - a CBT_A_CHUNK; @ret points into it. What it says is chunk_read()'s to check. 0
 * or -EBADMSG.
 */
int nl_decode_chunk(struct nlattr *nest, struct chunk *ret);

/** nl_decode_stats - a CBT_A_STATS; what it does not hold stays as it is in @ret. 0 or -EBADMSG. */
int nl_decode_stats(struct nlattr *nest, struct tracker_stats *ret);

/** nl_decode_event - the attributes of a CBT_CMD_EVENT. 0 or -EBADMSG. */
int nl_decode_event(struct nlattr *attrs, int bytes, struct tracker_event *ret);

#endif
