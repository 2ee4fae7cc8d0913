/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sender's side of a delta over several connections (uapi/cbt-wire.h): those beside the first are made,
 * all at once, and join it.
 */
#ifndef FAILBACK_DAEMON_JOIN_H
#define FAILBACK_DAEMON_JOIN_H

#include "daemon/daemon.h"
#include "lib/conn.h"

struct join;

/**
 * join_fn - NULL: all of them have joined. Else one did not, and the others are of no use. The function may
 * free the join.
 */
typedef void (*join_fn)(void *context, const struct failure *why);

/**
 * join_start - make connections 1 to @nr - 1 to @vm's peer.
 * @first: the connection on which the peer gave @token; the others must lead to the same peer. It stays the
 *	caller's, and must not go before the join
 */
int join_start(struct vm *vm, const struct conn *first, const struct uuid *token, unsigned int nr,
	       join_fn fn, void *context, struct join **ret, struct failure *f);

/** join_steal - the descriptors of all of them, in the order of their numbers, which are the caller's then. */
void join_steal(struct join *join, int *ret);

void join_free_at(struct join **join); /* *@join may be NULL, and is then; in the middle: no function is called */

#endif
