// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A mark may stand within a block. What is told comes in ascending order and is of whole blocks in
 * the end, so a block counts once its last byte is told: then its first is too.
 */
#include "xfer/tracker_release.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "lib/nl_control.h"

#define BATCH 64U

struct tracker_release {
	struct nl *nl;
	uint64_t block_bytes[CBT_WIRE_DISKS_MAX]; /* 0: this disk comes from elsewhere */
};

void tracker_release_close_at(struct tracker_release **r)
{
	if (!*r)
		return;
	nl_close_at(&(*r)->nl);
	free(*r);
	*r = NULL;
}

struct tracker_release *tracker_release_open(const struct plan *plan)
{
	_cleanup_(tracker_release_close_at) struct tracker_release *r = calloc(1, sizeof(*r));
	bool any = false;

	for (uint32_t i = 0; r && i < plan->begin.nr_disks; i++) {
		struct tracker_info info;

		if (plan->disks[i].source != SOURCE_TRACKER)
			continue;
		if ((!r->nl && nl_open(&r->nl, NULL)) ||
		    nl_tracker_get(r->nl, plan->disks[i].source_name, &info, NULL))
			return NULL;
		r->block_bytes[i] = info.block_sectors * UINT64_C(512);
		any = true;
	}
	return any ? steal_ptr(r) : NULL;
}

/* The blocks whose last byte is in @extent; the last block of a disk may be a part of one. */
static struct cbt_blocks blocks_ended(const struct extent *extent, uint64_t block_bytes,
				      uint64_t disk_bytes)
{
	uint64_t end = extent->offset + extent->length;
	uint64_t first = extent->offset / block_bytes;
	uint64_t next = end / block_bytes + (end == disk_bytes && end % block_bytes);

	return (struct cbt_blocks){ .start = first, .nr = next - first };
}

void tracker_release(void *context, const struct plan *plan, unsigned int disk,
		     const struct extent *extents, size_t nr)
{
	const struct tracker_release *r = context;
	uint64_t block_bytes = r->block_bytes[disk];
	struct cbt_blocks ranges[BATCH];
	size_t nr_ranges = 0;

	for (size_t i = 0; block_bytes && i < nr; i++) {
		struct cbt_blocks blocks = blocks_ended(&extents[i], block_bytes,
							plan->begin.disks[disk].size_bytes);

		if (blocks.nr)
			ranges[nr_ranges++] = blocks;
		if (nr_ranges < BATCH && i + 1 < nr)
			continue;
		if (nr_ranges)
			(void)nl_release(r->nl, plan->disks[disk].source_name, &plan->begin.epoch,
					 ranges, nr_ranges, NULL);
		nr_ranges = 0;
	}
}
