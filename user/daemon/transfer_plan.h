/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plans for the workers (xfer/worker.h), as JSON text; malloc()ed. */
#ifndef FAILBACK_DAEMON_TRANSFER_PLAN_H
#define FAILBACK_DAEMON_TRANSFER_PLAN_H

#include "base/failure.h"
#include "daemon/calls.h"
#include "lib/nl.h"
#include "lib/store.h"

/**
 * send_plan - the frozen maps of @r's trackers as epoch r->epoch over r->base or one of r->aborted,
 * read from their images, which are made (images.h).
 * @rate: bytes per second at most
 * @all: of which disks all of the origin is sent instead; when of every one, over nothing
 * @compare: of which disks only what the peer's does not hold
 * @guessed: by disk, where the same goes for what the map says; NULL: nowhere. Beyond some thousands of
 *	such places the rest is sent without asking
 */
int send_plan(const struct relationship_record *r, const struct tracker_info *infos, const bool *all,
	      const bool *compare, const struct extent_list *guessed, uint64_t rate, char **ret,
	      struct failure *f);

/**
 * receive_plan - what @call announced, into descriptors from @first_fd on, in the order of its
 * disks.
 * @base: what the disks hold now
 * @with_journal: the descriptor after theirs is its journal
 * The last descriptor, after these, is for what it covers (lib/covered.h).
 */
int receive_plan(const struct call *call, const struct uuid *base, int first_fd, bool with_journal,
		 char **ret, struct failure *f);

#endif
