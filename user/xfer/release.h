/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the receiver holds for good need not be kept by the sender: told to whoever keeps it.
 *
 * The sender calls release_up_to() for every mark that the receiver answered as durable; release
 * turns it into ranges, each told once, ascending, disk by disk. Nothing is told of a delta that
 * went through without marks: its end is its release. A source without anything to release (a file
 * with extents, a whole disk) has no function.
 */
#ifndef FAILBACK_XFER_RELEASE_H
#define FAILBACK_XFER_RELEASE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/extent.h"
#include "lib/wire.h"
#include "xfer/plan.h"

/**
 * release_fn - @nr extents of disk @disk of the plan are durable at the receiver. They can no
 * longer be sent again. What goes wrong is the function's own affair: releasing is a relief for the
 * source, and no part of the delta's fate.
 */
typedef void (*release_fn)(void *context, const struct plan *plan, unsigned int disk,
			   const struct extent *extents, size_t nr);

struct release {
	release_fn fn; /* NULL: nothing is told */
	void *context;
	unsigned int disk; /* told up to here: the next extent, and what of it is told */
	size_t extent;
	uint64_t done;
};

/** release_up_to - @lists: the delta's extents, one list a disk; @mark lies in them. */
void release_up_to(struct release *r, const struct plan *plan, const struct extent_list *lists,
		   const struct wire_mark *mark);

#endif
