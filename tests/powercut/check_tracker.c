// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is checked after each cut of tests/e2e/cut-tracker.sh: that the store can be read, continues,
 * knows every commit that was acknowledged, and that its map covers each block in which the origin differs
 *
 *	- from what the receiver holds now: he may be in the middle of an epoch, whose blocks are
 *	  frozen and therefore dirty until it is committed;
 *	- from what he held when he had all of the epoch that the store calls its base: a receiver
 *	  who applies an epoch as a whole is there.
 *
 *	check_tracker [--seed S] [--cuts N] [--tolerate N] [--ignore flush:DISK|fua:DISK] LOG
 *	check_tracker --map [--seed S] LOG
 *		prints the dirty blocks after this one cut, as `cbtctl map` does
 *
 * Exit status: 0 all right, 1 a cut was wrong, 2 wrong usage or an unreadable log.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/uuid.h"
#include "../count.h"
#include "cuts.h"
#include "layout.h"

#define USAGE 2
#define NO_BASE "00000000-0000-0000-0000-000000000000"

struct check {
	bool print_map;
	/* whether the cuts say anything: of them all */
	uint64_t nr_cuts;
	uint64_t nr_with_difference;
	uint64_t nr_mostly_clean;
	uint64_t nr_stopped;
	uint64_t nr_frozen;
	uint64_t nr_records;
};

/* The blocks that must be dirty, and those that are not. */
struct coverage {
	const struct cbt_map *dirty;
	uint64_t block_bytes;
	uint64_t nr_pages;
	uint64_t nr_missing;
	uint64_t missing; /* the first one */
};

static int read_store(void *store, u64 start, u32 nr, void *buffer)
{
	if (start + nr > image_size(store) / CBT_DISK_BLOCK)
		return -EIO;
	image_read(store, start * CBT_DISK_BLOCK, buffer, (uint64_t)nr * CBT_DISK_BLOCK);
	return 0;
}

/* Whether the superblock is there. */
static bool read_super(struct image *store, struct cbt_super *ret, const char **why)
{
	static struct cbt_super slots[CBT_DISK_SUPER_SLOTS];
	static u8 buffer[CBT_DISK_BLOCK] __attribute__((aligned(8)));
	const struct cbt_super *super;
	int error;

	super = cbt_recover_super(slots, read_store, store, buffer, &error, why);
	if (super)
		*ret = *super;
	return super != NULL;
}

static void recover(struct image *store, struct cbt_recovery *r)
{
	static u8 buffer[CBT_RECOVER_BLOCKS * CBT_DISK_BLOCK] __attribute__((aligned(8)));
	static u8 index[CBT_DISK_BLOCK] __attribute__((aligned(8)));

	if (cbt_map_init(r->dirty, cbt_geometry_nr_blocks(&r->super.geo)) ||
	    cbt_map_init(r->suspect, cbt_geometry_nr_regions(&r->super.geo)))
		errx(USAGE, "out of memory");
	if (cbt_recover(r, read_store, store, buffer, index))
		errx(USAGE, "the store is shorter than it says");
}

/* --- the fingerprint of a stopped tracker's origin, as kmod/fingerprint.c takes it --- */

struct fingerprint {
	const struct image *origin;
	u32 low, high;
};

static void take(struct fingerprint *f, uint64_t offset, uint64_t length)
{
	static unsigned char data[1 << 20];

	image_read(f->origin, offset, data, length);
	f->low = crc32c(f->low, data, length);
	f->high = crc32c(f->high, data, length);
}

static u64 fingerprint(const struct image *origin, u64 seed)
{
	struct fingerprint f = { origin, seed, ~(u32)(seed >> 32) };
	uint64_t size = image_size(origin);

	take(&f, 0, 1 << 20);
	take(&f, size - (1 << 20), 1 << 20);
	for (int i = 0; i < 256; i++)
		take(&f, next_random(&seed) % (size / 4096) * 4096, 4096);
	return (u64)f.high << 32 | f.low;
}

/* --- what must be true --- */

/* Nobody wrote behind the tracker's back, so it must not seem so. */
static int check_continuity(const struct cbt_super *super, const struct image *origin)
{
	if (super->flags & (CBT_DISK_LOST | CBT_DISK_BYPASSED)) {
		warnx("the store says that the map is lost");
		return 1;
	}
	if (super->flags & CBT_DISK_CLEAN && super->fingerprint_seed &&
	    fingerprint(origin, super->fingerprint_seed) != super->fingerprint) {
		warnx("the origin differs from its fingerprint: a new generation would begin");
		return 1;
	}
	return 0;
}

static int page_is_covered(void *context, uint64_t offset)
{
	struct coverage *c = context;

	c->nr_pages++;
	if (cbt_map_test(c->dirty, offset / c->block_bytes))
		return 0;
	if (!c->nr_missing++)
		c->missing = offset / c->block_bytes;
	return 0;
}

static int check_covered(const struct cbt_recovery *r, const struct image *origin,
			 const struct image *other, const char *what, uint64_t *nr_pages)
{
	struct coverage c = { .dirty = r->dirty, .block_bytes = r->super.geo.block_sectors * 512 };

	(void)image_diff(origin, other, page_is_covered, &c);
	*nr_pages += c.nr_pages;
	if (!c.nr_missing)
		return 0;
	warnx("%llu of %llu pages that differ from %s are not dirty, the first in block %llu",
	      (unsigned long long)c.nr_missing, (unsigned long long)c.nr_pages, what,
	      (unsigned long long)c.missing);
	return 1;
}

/* The base is what was committed last, or what was being committed. */
static int check_base(const struct replay *replay, const char *base)
{
	const char *asked = replay_last_mark(replay, "commit ");
	const char *acknowledged = replay_last_mark(replay, "committed ");

	if (!acknowledged)
		acknowledged = NO_BASE;
	if (!strcmp(base, acknowledged) || (asked && !strcmp(base, asked)))
		return 0;
	warnx("the base is %s, though %s was committed", base, acknowledged);
	return 1;
}

static const struct image *base_image(const struct replay *replay, const char *base, int origin)
{
	static struct image *blank;

	if (strcmp(base, NO_BASE))
		return replay_base(replay, base);
	if (!blank)
		blank = image_new(image_size(replay_now(replay, origin)));
	return blank;
}

static int check_maps(struct check *check, const struct cut *cut, const struct cbt_recovery *r)
{
	int origin = replay_find(cut->replay, "origin"), replica = replay_find(cut->replay, "replica");
	char base[UUID_TEXT_LEN + 1];
	const struct image *then;
	uint64_t nr_pages = 0;
	struct uuid uuid;
	int wrong = 0;

	memcpy(uuid.b, r->super.base_uuid, sizeof(uuid.b));
	then = base_image(cut->replay, uuid_format(&uuid, base), origin);
	wrong |= check_base(cut->replay, base);
	wrong |= check_covered(r, cut->disks[origin], replay_now(cut->replay, replica),
			       "what the receiver holds", &nr_pages);
	if (then)
		wrong |= check_covered(r, cut->disks[origin], then, "the base", &nr_pages);
	check->nr_cuts++;
	check->nr_with_difference += !!nr_pages;
	check->nr_mostly_clean += (u64)atomic64_read(&r->dirty->nr_dirty) < r->dirty->nr_blocks / 2;
	check->nr_stopped += !!(r->super.flags & CBT_DISK_CLEAN);
	check->nr_frozen += !!r->super.frozen_epoch;
	check->nr_records += r->nr_records;
	return wrong;
}

static void print_map(const struct cbt_map *map)
{
	u64 at = 0, end;

	while ((at = cbt_map_find(map, NULL, at, map->nr_blocks - 1)) < map->nr_blocks) {
		for (end = at; end < map->nr_blocks && cbt_map_test(map, end); end++)
			;
		printf("%llu %llu\n", (unsigned long long)at, (unsigned long long)(end - at));
		at = end;
		if (at == map->nr_blocks)
			break;
	}
}

static int check_cut(void *context, const struct cut *cut)
{
	struct image *store = cut->disks[replay_find(cut->replay, "store")];
	struct cbt_map dirty = { 0 }, suspect = { 0 };
	struct cbt_recovery r = { .dirty = &dirty, .suspect = &suspect };
	struct check *check = context;
	const char *why;
	int wrong = 0;

	if (!read_super(store, &r.super, &why)) {
		warnx("the store cannot be opened: %s", why);
		return 1;
	}
	recover(store, &r);
	if (check->print_map) {
		print_map(&dirty);
	} else {
		wrong = check_continuity(&r.super,
					 cut->disks[replay_find(cut->replay, "origin")]);
		wrong |= check_maps(check, cut, &r);
	}
	cbt_map_exit(&dirty);
	cbt_map_exit(&suspect);
	return wrong;
}

/* --- command line --- */

static void ignore(struct replay_faults *faults, const struct log *log, const char *text)
{
	struct replay *replay = replay_new(log, &(struct replay_faults){ 0 });
	const char *colon = strchr(text, ':');
	int disk = replay && colon ? replay_find(replay, colon + 1) : -1;

	if (disk < 0 || (strncmp(text, "flush:", 6) && strncmp(text, "fua:", 4)))
		errx(USAGE, "--ignore %s: expected flush:DISK or fua:DISK", text);
	*(text[1] == 'l' ? &faults->ignore_flush : &faults->ignore_fua) |= 1U << disk;
	replay_free(replay);
}

static int run(struct cuts *cuts, struct check *check)
{
	int64_t wrong;

	if (check->print_map)
		return cuts_one(cuts, cuts->seed, check_cut, check) ? USAGE : 0;
	wrong = cuts_run(cuts, check_cut, check);
	printf("# cuts=%llu origin-differs=%llu mostly-clean=%llu stopped=%llu frozen=%llu records=%llu\n",
	       (unsigned long long)check->nr_cuts, (unsigned long long)check->nr_with_difference,
	       (unsigned long long)check->nr_mostly_clean, (unsigned long long)check->nr_stopped,
	       (unsigned long long)check->nr_frozen, (unsigned long long)check->nr_records);
	return wrong < 0 ? USAGE : wrong > 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },     { "cuts", required_argument, NULL, 'n' },
		{ "tolerate", required_argument, NULL, 't' }, { "ignore", required_argument, NULL, 'i' },
		{ "map", no_argument, NULL, 'm' },	      { 0 },
	};
	struct cuts cuts = { .seed = 1, .required = 100 };
	struct check check = { 0 };
	const char *ignored = NULL;
	struct log log;
	int opt, rc;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 's')
			cuts.seed = strtoull(optarg, NULL, 0);
		else if (opt == 'n')
			cuts.required = strtoull(optarg, NULL, 0);
		else if (opt == 't')
			cuts.tolerated = strtoull(optarg, NULL, 0);
		else if (opt == 'i')
			ignored = optarg;
		else if (opt == 'm')
			check.print_map = true;
		else
			return USAGE;
	}
	if (optind + 1 != argc)
		errx(USAGE, "usage: check_tracker [options] LOG");
	rc = log_open(&log, argv[optind]);
	if (rc < 0)
		errx(USAGE, "%s: %s", argv[optind], rc == -EBADMSG ? "this is no log" : strerror(-rc));
	cuts.log = &log;
	if (ignored)
		ignore(&cuts.faults, &log, ignored);
	rc = run(&cuts, &check);
	log_close(&log);
	return rc;
}
