/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a host answers when a peer calls. */
#ifndef FAILBACK_DAEMON_ANSWER_H
#define FAILBACK_DAEMON_ANSWER_H

#include "daemon/calls.h"
#include "daemon/daemon.h"
#include "lib/conn.h"

struct receive;
struct vm;

/**
 * answer_call - do what @text asks, which came on @c, if that peer may ask for it, and fill the reply.
 * @ret_receive: set when a delta was accepted: once the reply is sent, the connection is to be
 *	handed to it; else NULL
 * @ret_join: its vm set when the connection was admitted to a delta: once the reply is sent, it is to be handed
 *	over with receive_join()
 * @ret_ready: set when the reply may be sent only when this VM's peer was called back
 *	(ready_answer_start()); else NULL
 *
 * Whatever the reply says is durable when this returns.
 */
void answer_call(struct daemon *d, const struct conn *c, const char *text, struct reply *reply,
		 struct receive **ret_receive, struct call_join *ret_join, struct vm **ret_ready);

#endif
