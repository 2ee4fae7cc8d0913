/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The receiver's side of gathering the connections that one delta comes over (uapi/cbt-wire.h): who may
 * join. PURE. That it is the same peer as on the first connection, the caller knows.
 */
#ifndef FAILBACK_LIB_GATHERING_H
#define FAILBACK_LIB_GATHERING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "base/uuid.h"

struct gathering {
	unsigned int nr; /* connections, with the first, which is there; 0: nothing is gathered */
	unsigned int nr_joined; /* with the first */
	uint32_t joined; /* a bit for each number */
	struct uuid token; /* unguessable */
};

/** gathering_size - how many there are going to be where @asked were asked for; 0: nothing was said. */
unsigned int gathering_size(uint64_t asked);

/**
 * gathering_begin - for @nr connections, of which the first is there.
 * @token: of uuid_new(), for this gathering alone
 */
void gathering_begin(struct gathering *g, unsigned int nr, const struct uuid *token);

/**
 * gathering_admit - connection @number may join, and counts as joined.
 *
 * -EACCES: nothing is gathered under @token, or all are there; -ERANGE: no such number; -EEXIST: it
 * joined already. Refusals change nothing.
 */
int gathering_admit(struct gathering *g, const struct uuid *token, uint64_t number, struct failure *f);

/** gathering_is_whole - all have joined: the token opens nothing any more. */
bool gathering_is_whole(const struct gathering *g);

/** gathering_is_under - is it @token's? In a time that does not depend on where they differ. */
bool gathering_is_under(const struct gathering *g, const struct uuid *token);

#endif
