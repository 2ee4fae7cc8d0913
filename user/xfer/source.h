/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which extents of a disk a delta covers, as the plan's "source" says. */
#ifndef FAILBACK_XFER_SOURCE_H
#define FAILBACK_XFER_SOURCE_H

#include "base/failure.h"
#include "lib/extent.h"
#include "xfer/plan.h"

/** source_extents - of disk @index of @plan; @ret is an empty list, and stays one on failure. */
int source_extents(const struct plan *plan, unsigned int index, struct extent_list *ret,
		   struct failure *f);

#endif
