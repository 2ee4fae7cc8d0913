/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The definition of a VM (lib/definition.h) goes to the peer ahead of each delta, where the hypervisor has one: as
 * it is just after the freeze. What goes wrong with it is logged, once, and shown by `failback ready`; the delta
 * goes on. A peer that knows of no definitions is not asked again for a while.
 */
#ifndef FAILBACK_DAEMON_DEFINITION_SEND_H
#define FAILBACK_DAEMON_DEFINITION_SEND_H

#include "daemon/vm.h"
#include "lib/conn.h"

struct definition_send;

/** definition_is_sent - does that of @vm go to the peer from here? */
bool definition_is_sent(const struct vm *vm);

/**
 * definition_send_start - over @conn, which is idle, and is again when it is done. False: there is nothing to be
 * sent.
 * @done: once, in a later turn, with a failure of the connection's only; the owner frees it then
 */
bool definition_send_start(struct vm *vm, struct conn *conn, conn_fn done, void *context,
			   struct definition_send **ret);

void definition_send_free_at(struct definition_send **s); /* *@s may be NULL, and is then */

#endif
