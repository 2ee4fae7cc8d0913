/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which relationship has which disk and which tracker of this host: each belongs to one. Two that
 * shared a tracker would fence and show it for each other, and take its map for their own.
 */
#ifndef FAILBACK_DAEMON_CLAIMS_H
#define FAILBACK_DAEMON_CLAIMS_H

#include <stdbool.h>

#include "base/failure.h"
#include "lib/store.h"

struct claims {
	struct claim *list;
	size_t nr;
	bool tells_peer; /* who may not learn what others have here */
};

/** claims_add - @r has its disks, whoever else may have them; @r outlives @claims. */
int claims_add(struct claims *claims, const struct relationship_record *r, struct failure *f);

/**
 * claims_take - the same, unless one of them is another's, or its own twice: CODE_INVALID_PARAMETER
 * names both.
 */
int claims_take(struct claims *claims, const struct relationship_record *r, struct failure *f);

void claims_clear(struct claims *claims);

#endif
