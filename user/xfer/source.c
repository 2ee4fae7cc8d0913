// SPDX-License-Identifier: GPL-2.0-or-later
#include "xfer/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/nl.h"

#define EXTENTS_FILE_MAX ((size_t)256 << 20)

/* --- tracker --- */

/* A map as it is read, in blocks and regions, and what becomes of it, in bytes. */
struct maps {
	struct extent_list blocks;
	struct extent_list regions;
	struct extent_list dirty;
	struct extent_list regions_guessed; /* in which blocks are dirty only by guess */
	struct extent_list guessed; /* these, and what the plan says so of */
};

static void maps_free(struct maps *maps)
{
	extent_list_free(&maps->blocks);
	extent_list_free(&maps->regions);
	extent_list_free(&maps->dirty);
	extent_list_free(&maps->regions_guessed);
	extent_list_free(&maps->guessed);
}

static int push_blocks(void *context, uint64_t first_block, uint64_t nr_blocks)
{
	struct maps *maps = context;

	return extent_push(&maps->blocks, first_block, nr_blocks);
}

static int push_regions(void *context, uint64_t first_region, uint64_t nr_regions)
{
	struct maps *maps = context;

	return extent_push(&maps->regions, first_region, nr_regions);
}

/* Blocks to bytes; the last block of a disk may be a part of one. */
static int scale(struct extent_list *blocks, uint64_t block_bytes, uint64_t size,
		 struct extent_list *ret)
{
	for (size_t i = 0; i < blocks->nr; i++) {
		uint64_t offset;
		uint64_t length;
		int rc;

		if (__builtin_mul_overflow(blocks->extents[i].offset, block_bytes, &offset) ||
		    __builtin_mul_overflow(blocks->extents[i].length, block_bytes, &length))
			return -ERANGE;
		rc = extent_push(ret, offset, length);
		if (rc)
			return rc;
	}
	extent_clip(ret, size);
	return 0;
}

static int from_tracker(const struct plan *plan, unsigned int index, struct extent_list *ret,
			struct extent_list *ret_suspects, struct failure *f)
{
	const char *tracker = plan->disks[index].source_name;
	uint64_t size = plan->begin.disks[index].size_bytes;
	_cleanup_(maps_free) struct maps maps = { 0 };
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	const struct nl_map_want want = {
		.which = CBT_MAP_FROZEN,
		.epoch = &plan->begin.epoch,
		.fn = push_blocks,
		.suspect_fn = push_regions,
		.context = &maps,
	};
	struct tracker_info info;
	int rc;

	rc = nl_open(&nl, f);
	if (!rc)
		rc = nl_map_read(nl, tracker, &want, &info, f);
	if (rc)
		return rc;
	if (info.size_sectors * 512 != size)
		return failure_set(f, CODE_INVALID_STATE, -ESTALE,
				   "tracker %s has %llu bytes, the plan says %llu for disk %s",
				   tracker, (unsigned long long)(info.size_sectors * 512),
				   (unsigned long long)size, plan->begin.disks[index].name);
	rc = scale(&maps.blocks, info.block_sectors * UINT64_C(512), size, &maps.dirty);
	if (!rc)
		rc = scale(&maps.regions, info.region_sectors * UINT64_C(512), size,
			   &maps.regions_guessed);
	if (!rc)
		rc = extent_combine(&maps.regions_guessed, EXTENT_OR, &plan->disks[index].guessed,
				    &maps.guessed);
	if (!rc)
		rc = extent_combine(&maps.dirty, EXTENT_MINUS, &maps.guessed, ret);
	if (!rc)
		rc = extent_combine(&maps.dirty, EXTENT_AND, &maps.guessed, ret_suspects);
	if (rc)
		return failure_set(f, code_of_errno(rc), rc, "cannot use the map of tracker %s: %s",
				   tracker, strerror(-rc));
	return 0;
}

/* --- file --- */

static int text_read(int fd, char **ret, size_t *ret_len)
{
	cleanup_free char *text = NULL;
	size_t room = 0;
	size_t len = 0;

	for (;;) {
		ssize_t got;

		if (len == room) {
			char *grown;

			room = room ? room * 2 : 65536;
			if (room > EXTENTS_FILE_MAX)
				return -EFBIG;
			grown = realloc(text, room);
			if (!grown)
				return -ENOMEM;
			text = grown;
		}
		got = read(fd, text + len, room - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		len += (size_t)got;
	}
	*ret = steal_ptr(text);
	*ret_len = len;
	return 0;
}

static int from_file(const struct plan *plan, unsigned int index, struct extent_list *ret,
		     struct failure *f)
{
	const struct wire_disk *disk = &plan->begin.disks[index];
	const char *path = plan->disks[index].source_name;
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	cleanup_free char *text = NULL;
	const struct extent *last;
	size_t len = 0;
	int rc;

	rc = fd < 0 ? -errno : text_read(fd, &text, &len);
	if (rc)
		return failure_set(f, code_of_errno(rc), rc, "cannot read the extents in %s: %s",
				   path, strerror(-rc));
	rc = extent_parse(text, len, path, ret, f);
	if (rc)
		return rc;
	last = ret->nr ? &ret->extents[ret->nr - 1] : NULL;
	if (last && last->offset + last->length > disk->size_bytes)
		return failure_set(f, CODE_INVALID_PARAMETER, -ERANGE,
				   "the last extent in %s ends beyond the %llu bytes of disk %s",
				   path, (unsigned long long)disk->size_bytes, disk->name);
	return 0;
}

static int suspect_all(struct extent_list *certain, struct extent_list *suspects, struct failure *f)
{
	struct extent_list all = { 0 };

	if (extent_combine(certain, EXTENT_OR, suspects, &all)) {
		extent_list_free(&all);
		return failure_no_memory(f);
	}
	extent_list_free(certain);
	extent_list_free(suspects);
	*suspects = all;
	return 0;
}

int source_extents(const struct plan *plan, unsigned int index, struct extent_list *ret,
		   struct extent_list *ret_suspects, struct failure *f)
{
	bool all_suspect = plan->verify || plan->disks[index].compare;
	int rc;

	switch (plan->disks[index].source) {
	case SOURCE_TRACKER:
		rc = from_tracker(plan, index, ret, ret_suspects, f);
		break;
	case SOURCE_EXTENTS:
		rc = from_file(plan, index, ret, f);
		break;
	default:
		rc = extent_push(ret, 0, plan->begin.disks[index].size_bytes);
		if (rc)
			rc = failure_no_memory(f);
	}
	if (!rc && all_suspect)
		rc = suspect_all(ret, ret_suspects, f);
	return rc;
}
