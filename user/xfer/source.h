/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which extents of a disk the sender sends, and which only where the receiver's disk differs. */
#ifndef FAILBACK_XFER_SOURCE_H
#define FAILBACK_XFER_SOURCE_H

#include "base/failure.h"
#include "lib/extent.h"
#include "xfer/plan.h"

/**
 * source_extents - the extents of disk @index of a send plan, within its size.
 * @ret: what is sent in any case; an empty list
 * @ret_suspects: what has to be compared first, an empty list: what a tracker has only by guess; all
 * of it where the plan says so. No byte is in both
 *
 * Both lists are the caller's, also on failure.
 */
int source_extents(const struct plan *plan, unsigned int index, struct extent_list *ret,
		   struct extent_list *ret_suspects, struct failure *f);

#endif
