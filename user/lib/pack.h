/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The body of a record as one zstd frame. pack.c is the only file that knows zstd.
 *
 * Unpacking takes bytes from outside: its memory is the same for every frame, it writes nothing beyond what
 * the record's extents ask for, and a frame that would become anything else is refused.
 */
#ifndef FAILBACK_LIB_PACK_H
#define FAILBACK_LIB_PACK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/failure.h"

struct pack;
struct unpack;

int pack_open(struct pack **ret, struct failure *f);
void pack_close_at(struct pack **p); /* *@p may be NULL, and is then */

/** pack_room - the largest frame that is worth it: an eighth less than what is packed. */
static inline size_t pack_room(size_t bytes)
{
	return bytes - bytes / 8;
}

/**
 * pack_data - make a frame of @bytes. Its length, or 0: it would be longer than pack_room().
 * @ret: pack_room(@bytes)
 */
size_t pack_data(struct pack *p, const void *from, size_t bytes, void *ret);

int unpack_open(struct unpack **ret, struct failure *f);
void unpack_close_at(struct unpack **u); /* *@u may be NULL, and is then */

/** unpack_size - how much @frame says that it becomes; 0: it does not say it, or is none. */
size_t unpack_size(const void *frame, size_t len);

/**
 * unpack_data - whether @frame is one frame, whole, with nothing behind it, of just @bytes; they are
 * written to @ret. What stands in @ret otherwise does not matter.
 */
bool unpack_data(struct unpack *u, const void *frame, size_t len, void *ret, size_t bytes);

#endif
