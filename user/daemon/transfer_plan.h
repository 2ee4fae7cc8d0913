/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plans for the workers (xfer/worker.h), as JSON text; malloc()ed. */
#ifndef FAILBACK_DAEMON_TRANSFER_PLAN_H
#define FAILBACK_DAEMON_TRANSFER_PLAN_H

#include "base/failure.h"
#include "daemon/calls.h"
#include "lib/nl.h"
#include "lib/store.h"

/**
 * send_plan - the frozen maps of @r's trackers as epoch r->epoch over r->base, read from their
 * images, which are made (images.h). @full: all of the origins instead, over nothing.
 */
int send_plan(const struct relationship_record *r, const struct tracker_info *infos, bool full,
	      char **ret, struct failure *f);

/**
 * receive_plan - what @call announced, into descriptors from @first_fd on, in the order of its
 * disks.
 */
int receive_plan(const struct call *call, int first_fd, char **ret, struct failure *f);

#endif
