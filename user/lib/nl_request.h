/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside nl: requests about trackers, and the answers that hold their states. */
#ifndef FAILBACK_LIB_NL_REQUEST_H
#define FAILBACK_LIB_NL_REQUEST_H

#include "lib/nl_exchange.h"

int nl_put_uuid(struct nl_msg *msg, int type, const struct uuid *uuid);

/**
 * nl_request_about - @command with the trackers that it is @about, and room for @room bytes more
 * than a few small attributes.
 */
int nl_request_about(struct nl *nl, uint8_t command, int flags, size_t room,
		     const struct nl_subject *about, struct nl_msg **ret, struct failure *f);

/** struct nl_states - states as they come; zeroed at the beginning. */
struct nl_states {
	struct tracker_info *infos;
	size_t nr;
	size_t room;
};

void nl_states_free(struct nl_states *states);

/** nl_take_states - an nl_answer_fn whose context is an nl_states. */
int nl_take_states(struct nlattr *attrs, int bytes, void *context);

/** struct nl_extra - what a request holds beside its selectors. */
struct nl_extra {
	size_t room; /* for what is not small */
	int (*put)(struct nl_msg *msg, const void *context); /* NULL: nothing */
	const void *context;
};

/**
 * nl_ask - one state comes back for each tracker, in their order.
 *
 * What is not durable yet is asked for again, for about half a minute; then -EINPROGRESS.
 */
int nl_ask(struct nl *nl, uint8_t command, const struct nl_subject *about,
	   const struct nl_extra *extra, struct tracker_info *ret, struct failure *f);

#endif
