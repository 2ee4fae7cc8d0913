/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a delta speaks for, as the receiving worker tells its daemon: a file of extents, in the order
 * in which they came. Blocks that are dirty on the target's trackers and are not among them were
 * written by somebody else.
 *
 * Entries are three little-endian 64-bit numbers: disk, as in the plan; offset and length, bytes. The
 * last has the disk COVERED_END and, as its length, the number of those before it; a file without it
 * says nothing.
 */
#ifndef FAILBACK_LIB_COVERED_H
#define FAILBACK_LIB_COVERED_H

#include <stddef.h>
#include <stdint.h>

#include "lib/extent.h"

#define COVERED_END UINT64_MAX

struct covered;

/** covered_open - for writing, from the start of @fd, which stays the caller's. -ENOMEM. */
int covered_open(int fd, struct covered **ret);
void covered_close_at(struct covered **covered); /* NULL is fine */

/** covered_add - @nr extents of @disk; @covered NULL: nobody wants to know. */
void covered_add(struct covered *covered, uint64_t disk, const struct extent *extents,
		 unsigned int nr);

/** covered_end - those were all. 0, or what kept any of them from being written. */
int covered_end(struct covered *covered);

/**
 * covered_read - what @fd, a file, says of each disk, as a list.
 * @lists: @nr_disks empty ones; the caller frees them, on failure too
 *
 * -ENODATA: it says nothing, or not all; -EBADMSG: no such disk, or no such extent.
 */
int covered_read(int fd, size_t nr_disks, struct extent_list *lists);

#endif
