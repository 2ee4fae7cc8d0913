// SPDX-License-Identifier: GPL-2.0-or-later
#include "xfer/release.h"

#include "base/macro.h"

#define BATCH 64U

/* The next piece of the delta below @end of the disk that @r stands in. */
static struct extent piece_next(struct release *r, const struct extent_list *list, uint64_t end)
{
	const struct extent *extent = &list->extents[r->extent];
	struct extent piece = { extent->offset + r->done, 0 };

	if (piece.offset >= end)
		return piece;
	piece.length = min_of(extent->length - r->done, end - piece.offset);
	r->done += piece.length;
	if (r->done == extent->length) {
		r->done = 0;
		r->extent++;
	}
	return piece;
}

static void release_disk(struct release *r, const struct plan *plan, const struct extent_list *list,
			 uint64_t end)
{
	struct extent batch[BATCH];
	size_t nr = 0;

	while (r->extent < list->nr) {
		struct extent piece = piece_next(r, list, end);

		if (!piece.length)
			break;
		batch[nr++] = piece;
		if (nr < BATCH)
			continue;
		r->fn(r->context, plan, r->disk, batch, nr);
		nr = 0;
	}
	if (nr)
		r->fn(r->context, plan, r->disk, batch, nr);
}

void release_up_to(struct release *r, const struct plan *plan, const struct extent_list *lists,
		   const struct wire_mark *mark)
{
	if (!r->fn)
		return;
	for (; r->disk < mark->disk && r->disk < plan->begin.nr_disks; r->disk++, r->extent = 0)
		release_disk(r, plan, &lists[r->disk], UINT64_MAX);
	if (r->disk == mark->disk && r->disk < plan->begin.nr_disks)
		release_disk(r, plan, &lists[r->disk], mark->offset);
}
