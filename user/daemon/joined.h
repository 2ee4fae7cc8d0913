/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The receiver's side of a delta over several connections (uapi/cbt-wire.h): the listener brings them, one after
 * the other, until all are there. Who may join: lib/gathering.h, and only the peer of the first.
 */
#ifndef FAILBACK_DAEMON_JOINED_H
#define FAILBACK_DAEMON_JOINED_H

#include "daemon/daemon.h"
#include "lib/conn.h"

struct joined;

/**
 * joined_fn - NULL: all of them are there. Else they did not come in time. The function may free @j.
 */
typedef void (*joined_fn)(void *context, const struct failure *why);

/** joined_new - for @nr connections, none of which is there. */
int joined_new(struct daemon *d, unsigned int nr, joined_fn fn, void *context, struct joined **ret,
	       struct failure *f);

/** joined_token - what a connection needs to know to join. */
const struct uuid *joined_token(const struct joined *j);

/** joined_begin - with the first, on which the token was told; the others have the time of one call. */
int joined_begin(struct joined *j, struct conn **first, struct failure *f);

/** joined_admit - may @c join as @number? As gathering_admit(); NULL: nothing is gathered. */
int joined_admit(struct joined *j, const struct conn *c, const struct uuid *token, uint64_t number,
		 struct failure *f);

/** joined_take - @c was admitted, and told so. It is taken over in any case. */
void joined_take(struct joined *j, const struct uuid *token, uint64_t number, struct conn **c);

/** joined_fds - of all, in the order of their numbers; they go with @j. */
const int *joined_fds(const struct joined *j, unsigned int *ret_nr);

/** joined_protection - of the first. */
enum protection joined_protection(const struct joined *j);

void joined_free_at(struct joined **j); /* *@j may be NULL, and is then */

#endif
