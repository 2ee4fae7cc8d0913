// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/cursor.h"

#include "base/macro.h"

bool cursor_at_end(struct cursor *c)
{
	while (c->disk < c->nr_disks && c->extent == c->lists[c->disk].nr) {
		c->disk++;
		c->extent = 0;
	}
	return c->disk == c->nr_disks;
}

/*
 * How much of @left bytes at @offset to take into @room: all, or up to a cut that leaves the rest
 * aligned; maybe nothing.
 */
static uint64_t piece_length(uint64_t offset, uint64_t left, uint64_t room)
{
	uint64_t end;

	if (left <= room)
		return left;
	end = round_down_to(offset + room, (uint64_t)CURSOR_CUT_ALIGN);
	return end > offset ? end - offset : 0;
}

size_t cursor_take(struct cursor *c, size_t room, unsigned int *ret_disk, struct extent *extents,
		   unsigned int *ret_nr)
{
	const struct extent_list *list = &c->lists[c->disk];
	size_t bytes = 0;
	unsigned int nr = 0;

	while (c->extent < list->nr && nr < CBT_WIRE_EXTENTS_MAX) {
		const struct extent *extent = &list->extents[c->extent];
		uint64_t offset = extent->offset + c->done;
		uint64_t length = piece_length(offset, extent->length - c->done, room - bytes);

		if (!length)
			break;
		extents[nr++] = (struct extent){ offset, length };
		bytes += length;
		c->done += length;
		if (c->done == extent->length) {
			c->done = 0;
			c->extent++;
		}
	}
	*ret_disk = c->disk;
	*ret_nr = nr;
	return bytes;
}

uint64_t cursor_seek(struct cursor *c, const struct wire_mark *mark)
{
	uint64_t bytes = 0;

	c->disk = min_of(mark->disk, c->nr_disks);
	c->extent = 0;
	c->done = 0;
	for (unsigned int i = 0; i < c->disk; i++)
		bytes += c->lists[i].total;
	for (; c->disk < c->nr_disks && c->extent < c->lists[c->disk].nr; c->extent++) {
		const struct extent *extent = &c->lists[c->disk].extents[c->extent];

		if (extent->offset >= mark->offset)
			break;
		c->done = min_of(extent->length, mark->offset - extent->offset);
		bytes += c->done;
		if (c->done < extent->length)
			break;
		c->done = 0;
	}
	return bytes;
}
