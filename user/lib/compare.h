/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which pieces of extents differ. PURE.
 *
 * Extents are cut at every multiple of CBT_WIRE_PIECE bytes of the disk: a *piece* is what lies
 * between two cuts, at most that long, and is what one hash and one bit of DIFFER stand for. Pieces
 * of a list of extents are counted in its order.
 */
#ifndef FAILBACK_LIB_COMPARE_H
#define FAILBACK_LIB_COMPARE_H

#include <stdint.h>

#include "lib/extent.h"
#include "lib/mac.h"
#include "lib/wire.h"

/** compare_nr_bytes - of a bitmap with a bit for each of @nr_pieces. */
static inline size_t compare_nr_bytes(size_t nr_pieces)
{
	return (nr_pieces + 7) / 8;
}

/**
 * compare_hash - a hash of each piece.
 * @body: the contents of the extents one after the other
 * @ret: room for wire_nr_pieces() hashes
 */
int compare_hash(struct mac *mac, uint32_t disk, const struct extent *extents, size_t nr,
		 const uint8_t *body, uint8_t *ret, struct failure *f);

/** compare_macs - a bit for each of the @nr_pieces whose hashes differ, the lowest first. */
void compare_macs(const uint8_t *a, const uint8_t *b, size_t nr_pieces, uint8_t *ret_bitmap);

/**
 * compare_push - push the pieces whose bits are set to @list, in which they must come behind what
 * is there. 0, or -ENOMEM, and then a part of them.
 */
int compare_push(const struct extent *extents, size_t nr, const uint8_t *bitmap,
		 struct extent_list *list);

#endif
