/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside nl: one request to the family dm_cbt and its answers, by libnl. Nothing here knows what
 * the commands mean; a failure's sentence says what was wanted, what the kernel said, and what to
 * do.
 */
#ifndef FAILBACK_LIB_NL_EXCHANGE_H
#define FAILBACK_LIB_NL_EXCHANGE_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#include <netlink/attr.h>
#include <netlink/msg.h>

#include "base/cleanup.h"
#include "lib/nl.h"

/**
 * struct nl_subject - what a request wants: "freeze" "vm1 and 2 others", or only "list the
 * trackers".
 */
struct nl_subject {
	const char *verb;
	const char *const *trackers; /* in the order of the request's selectors */
	size_t nr;
};

static inline void nl_request_free_at(struct nl_msg **msg)
{
	nlmsg_free(*msg);
}

#define cleanup_request _cleanup_(nl_request_free_at)

/**
 * nl_request_new - a message with the family's header and room for @room bytes of attributes.
 * @flags: NLM_F_DUMP for a dump, else 0
 */
int nl_request_new(struct nl *nl, uint8_t command, int flags, size_t room,
		   const struct nl_subject *about, struct nl_msg **ret, struct failure *f);

/** nl_may_be_there, nl_note_missing - is a look-up of the family worth it; and what one has found. */
bool nl_may_be_there(void);
void nl_note_missing(bool missing);

/** nl_answer_fn - takes the attributes of one answer; a negative errno ends the exchange. */
typedef int (*nl_answer_fn)(struct nlattr *attrs, int bytes, void *context);

/**
 * nl_exchange - send @request and give every answer to @fn, until the last one is acknowledged.
 *
 * Fails as the kernel refuses, as @fn fails, with -ESTALE for a dump that the kernel calls
 * inconsistent, with -EBADMSG for answers that are no generic netlink, and with -EIO or -ENOMEM
 * where libnl fails.
 */
int nl_exchange(struct nl *nl, struct nl_msg *request, nl_answer_fn fn, void *context,
		const struct nl_subject *about, struct failure *f);

/**
 * nl_explain - fill @f for @error (negative errno, returned); @said: the kernel's sentence or "".
 */
int nl_explain(struct failure *f, int error, const struct nl_subject *about, const char *said);

#endif
