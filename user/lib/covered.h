/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a delta speaks for, as the receiving worker tells its daemon: a file in memory with a bit for
 * each COVERED_UNIT of each disk. Blocks that are dirty on the target's trackers and have none were
 * written by somebody else.
 *
 * The file holds the disks' bitmaps one after the other, each filled up to 8 bytes; only pages that
 * have a bit take memory. Its size cannot be changed, so that neither side can harm the other by that.
 */
#ifndef FAILBACK_LIB_COVERED_H
#define FAILBACK_LIB_COVERED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/extent.h"

#define COVERED_UNIT 4096U /* bytes; no block of a tracker is smaller */

struct covered;

/** covered_make - an empty file for disks of these sizes; the caller's. Or a negative errno. */
int covered_make(const uint64_t *sizes, size_t nr, int *ret_fd);

/**
 * covered_open - map a file that was made for disks of these sizes. -EINVAL: it was not; or the errno
 * of mmap(). @fd stays the caller's, and is not needed any more.
 */
int covered_open(int fd, const uint64_t *sizes, size_t nr, struct covered **ret);
void covered_close_at(struct covered **covered); /* *@covered may be NULL */

/** covered_add - @nr extents of a disk, within it; @covered NULL: nobody wants to know. */
void covered_add(struct covered *covered, size_t disk, const struct extent *extents,
		 unsigned int nr);

/**
 * covered_run - from @offset on, a multiple of COVERED_UNIT, how far are units alike? Return: where the first one
 * begins that is not, or @end (which is more than @offset). What is past the end of the disk is not covered.
 * @ret_covered: what they are
 */
uint64_t covered_run(const struct covered *covered, size_t disk, uint64_t offset, uint64_t end,
		     bool *ret_covered);

/** covered_is_empty - is nothing covered at all? False also when somebody has but looked (covered_run()). */
bool covered_is_empty(int fd);

#endif
