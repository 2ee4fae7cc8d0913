/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests of images: trackers with a diff area, images of their epochs. */
#ifndef FAILBACK_TESTS_VM_IMAGED_H
#define FAILBACK_TESTS_VM_IMAGED_H

#include <time.h>

#include "lib/nl_control.h"
#include "tracked.h"

/* Where the diff area of a new store for @origin begins, in sectors. */
static inline uint64_t diff_start(const char *origin, uint32_t block_sectors)
{
	char command[128], text[512];
	unsigned long long bytes;
	const char *least;
	FILE *pipe;

	snprintf(command, sizeof(command), "cbtctl format --plan --json --block-size %u --log-size 64K %s",
		 block_sectors * 512, origin);
	pipe = popen(command, "r");
	if (!pipe || !fgets(text, sizeof(text), pipe))
		errx(1, "%s says nothing", command);
	pclose(pipe);
	least = strstr(text, "\"least_bytes\":");
	if (!least || sscanf(least, "\"least_bytes\":%llu", &bytes) != 1)
		errx(1, "%s says %s", command, text);
	return (bytes / 512 + block_sectors - 1) / block_sectors * block_sectors;
}

/*
 * Tracks @origin as @name in blocks of @block_sectors, with room for @nr_slots copies, on a new store
 * at the beginning of @store. Its diff area is on @diff, from the beginning if that is another
 * device, which may then fail alone. To be ended with untrack().
 */
static inline void track_with_diff(const char *name, const char *origin, const char *store,
				   const char *diff, uint32_t block_sectors, uint64_t nr_slots)
{
	uint64_t start = diff_start(origin, block_sectors);

	char diff_line[128] = "";

	snprintf(diff_line, sizeof(diff_line), "%llu %llu linear %s %llu", (unsigned long long)start,
		 (unsigned long long)nr_slots * block_sectors, diff,
		 strcmp(store, diff) ? 0 : (unsigned long long)start);
	/* Without udev, dmsetup makes the nodes when it is told so. */
	if (run("export DM_DISABLE_UDEV=1; printf '0 %llu linear %s 0\\n%s\\n' | dmsetup create %s-store && "
		"cbtctl format --force --block-size %u --log-size 64K %s /dev/mapper/%s-store >/dev/null && "
		"exec dmsetup create %s --table '0 %llu cbt %s /dev/mapper/%s-store'",
		(unsigned long long)start, store, diff_line, name, block_sectors * 512, origin, name,
		name, (unsigned long long)sectors_of(origin), origin, name))
		errx(1, "cannot track %s as %s", origin, name);
}

static inline void untrack(const char *name)
{
	if (run("export DM_DISABLE_UDEV=1; dmsetup remove --retry %s && exec dmsetup remove --retry %s-store",
		name, name))
		errx(1, "cannot remove %s", name);
}

/*
 * Maps the image of @epoch of tracker @name as @image, with @option of dmsetup; the exit status of
 * dmsetup.
 */
static inline int map_image_as(struct nl *nl, const char *option, const char *image,
			       const char *name, const struct uuid *epoch)
{
	char tracker_text[UUID_TEXT_LEN + 1], epoch_text[UUID_TEXT_LEN + 1];
	struct tracker_info info;
	struct failure f;

	if (nl_tracker_get(nl, name, &info, &f) < 0)
		errx(1, "%s", f.text);
	uuid_format(&info.uuid, tracker_text);
	uuid_format(epoch, epoch_text);
	return run("DM_DISABLE_UDEV=1 exec dmsetup create %s %s --table '0 %llu cbt-image %s %s' "
		   "2>/dev/null",
		   image, option, (unsigned long long)info.size_sectors, tracker_text, epoch_text);
}

static inline int map_image(struct nl *nl, const char *image, const char *name,
			    const struct uuid *epoch)
{
	return map_image_as(nl, "--readonly", image, name, epoch);
}

/* Blocks @first to @last of the frozen epoch are not read any more; 0 or an error. */
static inline int release_blocks(struct nl *nl, const char *name, const struct uuid *epoch,
				 uint64_t first, uint64_t last)
{
	const struct cbt_blocks range = { first, last - first + 1 };
	struct failure f;

	return nl_release(nl, name, epoch, &range, 1, &f);
}

/* "valid", "broken" or "ended": the state of an image. */
static inline const char *image_state(const char *image)
{
	static char text[32];
	char command[128];
	FILE *pipe;

	snprintf(command, sizeof(command), "dmsetup status %s", image);
	pipe = popen(command, "r");
	if (!pipe || fscanf(pipe, "%*s %*s %*s %*s %31s", text) != 1)
		errx(1, "%s says nothing", command);
	pclose(pipe);
	return text;
}

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

#endif
