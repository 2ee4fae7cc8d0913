// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/compare.h"

#include <string.h>

#include "base/macro.h"

/* The piece of @extent that starts @done bytes into it. */
static struct extent piece_at(const struct extent *extent, uint64_t done)
{
	uint64_t offset = extent->offset + done;
	uint64_t cut = round_down_to(offset, (uint64_t)CBT_WIRE_PIECE) + CBT_WIRE_PIECE;

	return (struct extent){ offset, min_of(cut - offset, extent->length - done) };
}

int compare_hash(struct mac *mac, uint32_t disk, const struct extent *extents, size_t nr,
		 const uint8_t *body, uint8_t *ret, struct failure *f)
{
	for (size_t i = 0; i < nr; i++) {
		struct extent piece;

		for (uint64_t done = 0; done < extents[i].length; done += piece.length) {
			int rc;

			piece = piece_at(&extents[i], done);
			rc = mac_piece(mac, disk, piece.offset, body, piece.length, ret, f);
			if (rc)
				return rc;
			body += piece.length;
			ret += MAC_BYTES;
		}
	}
	return 0;
}

void compare_macs(const uint8_t *a, const uint8_t *b, size_t nr_pieces, uint8_t *ret_bitmap)
{
	memset(ret_bitmap, 0, compare_nr_bytes(nr_pieces));
	for (size_t i = 0; i < nr_pieces; i++)
		if (memcmp(a + i * MAC_BYTES, b + i * MAC_BYTES, MAC_BYTES) != 0)
			ret_bitmap[i / 8] |= (uint8_t)(1U << i % 8);
}

int compare_push(const struct extent *extents, size_t nr, const uint8_t *bitmap,
		 struct extent_list *list)
{
	size_t number = 0;

	for (size_t i = 0; i < nr; i++) {
		struct extent piece;

		for (uint64_t done = 0; done < extents[i].length; done += piece.length, number++) {
			int rc = 0;

			piece = piece_at(&extents[i], done);
			if (bitmap[number / 8] >> number % 8 & 1)
				rc = extent_push(list, piece.offset, piece.length);
			if (rc)
				return rc;
		}
	}
	return 0;
}
