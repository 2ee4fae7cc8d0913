/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Byte extents of a disk, alone and in lists. PURE: no I/O, no globals.
 *
 * A list is ascending and its extents neither overlap nor touch: what is pushed next to the last
 * extent is merged into it. A zeroed struct extent_list is an empty list. Functions return 0 or a
 * negative errno and change nothing on failure.
 */
#ifndef FAILBACK_LIB_EXTENT_H
#define FAILBACK_LIB_EXTENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"

struct extent {
	uint64_t offset; /* bytes */
	uint64_t length; /* bytes, not 0 */
};

struct extent_list {
	struct extent *extents;
	size_t nr;
	size_t room;
	uint64_t total; /* bytes */
};

void extent_list_free(struct extent_list *list); /* leaves an empty list */

/**
 * extent_push - append [@offset, @offset + @length).
 *
 * -EINVAL: @length is 0, or @offset lies before the end of the list; -ERANGE: the end is above
 * 2^63 - 1; -ENOMEM.
 */
int extent_push(struct extent_list *list, uint64_t offset, uint64_t length);

enum extent_rule { EXTENT_OR, EXTENT_AND, EXTENT_MINUS };

/**
 * extent_combine - what is in @a or, and, or but not in @b, pushed to @ret, an empty list. 0 or
 * -ENOMEM, and then a part of it.
 */
int extent_combine(const struct extent_list *a, enum extent_rule rule,
		   const struct extent_list *b, struct extent_list *ret);

/** extent_clip - drop what lies at or above @size. */
void extent_clip(struct extent_list *list, uint64_t size);

/**
 * extent_parse - read lines "OFFSET LENGTH": decimal bytes, both multiples of 512, ascending, not
 * overlapping.
 * @text: need not end in NUL. Empty lines and lines that start with # are skipped
 * @name: what the text is called in the sentence of a failure, which also gives the line's number
 * @list: pushed to; on failure it keeps what was pushed before
 */
int extent_parse(const char *text, size_t len, const char *name, struct extent_list *list,
		 struct failure *f);

#endif
