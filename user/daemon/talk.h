/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One conversation with a VM's peer: connect, ask how it stands, and, with that in mind, ask it for
 * one thing more.
 */
#ifndef FAILBACK_DAEMON_TALK_H
#define FAILBACK_DAEMON_TALK_H

#include "daemon/calls.h"
#include "daemon/vm.h"
#include "lib/conn.h"

struct talk;

struct talk_events {
	/*
	 * How the peer stands. 0: ask for *@ret next, which is filled as call_of_relationship()
	 * does; 1: that was all; negative: end with the failure. NULL: the first call is the last.
	 */
	int (*looked)(void *context, const struct reply *reply, struct call *ret,
		      struct failure *f);
	/*
	 * Exactly once, the conversation is over; the owner frees it. @why NULL: @reply is the
	 * peer's last word, its code 0. @asked: the second call was on its way, so that with a
	 * failure nobody knows whether it was heard.
	 */
	void (*end)(void *context, const struct failure *why, const struct reply *reply,
		    bool asked);
};

/**
 * talk_start - with @first.
 * @peer: "ADDRESS:PORT"
 */
int talk_start(struct vm *vm, const char *peer, const struct call *first,
	       const struct talk_events *events, void *context, struct talk **ret,
	       struct failure *f);

/** talk_free_at - *@talk may be NULL, and is then. In the middle: no event follows. */
void talk_free_at(struct talk **talk);

/** talk_conn - the connection, for what protects it. */
const struct conn *talk_conn(const struct talk *talk);

/** talk_nonce - a number that no other call has. */
int talk_nonce(uint64_t *ret, struct failure *f);

#endif
