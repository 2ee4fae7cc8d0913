/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Going through the extents of several disks in the order of the wire, cut into records. PURE.
 *
 * A zeroed cursor with its first two members set stands at the start.
 */
#ifndef FAILBACK_LIB_CURSOR_H
#define FAILBACK_LIB_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/extent.h"
#include "lib/wire.h"

/* Where an extent is cut in two, to keep its second half fit for direct I/O. */
#define CURSOR_CUT_ALIGN 4096U

struct cursor {
	const struct extent_list *lists; /* one a disk */
	unsigned int nr_disks;
	unsigned int disk; /* the place: disk, extent, bytes of that extent */
	size_t extent;
	uint64_t done;
};

/** cursor_at_end - nothing is left. To be asked before cursor_take(). */
bool cursor_at_end(struct cursor *c);

/**
 * cursor_take - move what comes next, all of it of one disk, into @extents, at most @room bytes,
 * which are at least CURSOR_CUT_ALIGN.
 * @extents: room for CBT_WIRE_EXTENTS_MAX
 *
 * Returns their bytes.
 */
size_t cursor_take(struct cursor *c, size_t room, unsigned int *ret_disk, struct extent *extents,
		   unsigned int *ret_nr);

/** cursor_seek - go to the place of @mark; returns the bytes before it. */
uint64_t cursor_seek(struct cursor *c, const struct wire_mark *mark);

#endif
