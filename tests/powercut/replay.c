// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Of each disk two images are kept. *now* has every change. *durable* stands just before the oldest
 * change that may still be lost; the changes from there on are the *tail*, durable or not, in the
 * order in which they took effect. After a cut the disk is the durable image with some of the tail
 * on top, in that order: so an older change that survives never hides a newer one that must.
 */
#include "replay.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "../count.h"

#define SECTOR 512
#define NOT_YET UINT64_MAX

struct change {
	uint64_t number; /* of its record */
	uint64_t answered; /* number of the record that says so, or NOT_YET */
	bool durable;
};

struct disk {
	char *name;
	struct image *now;
	struct image *durable;
	struct change *tail;
	uint64_t first, nr, capacity; /* tail[first .. first + nr) */
};

struct base {
	char *name;
	struct image *image;
};

struct replay {
	const struct log *log;
	struct replay_faults faults;
	uint64_t position;
	unsigned int nr_disks;
	struct disk disks[LOG_DEVICES_MAX];
	uint64_t nr_marks;
	char **marks;
	unsigned int nr_bases;
	struct base *bases;
};

static void *grow(void *array, uint64_t nr, size_t size)
{
	/* at powers of two */
	if (nr & (nr - 1))
		return array;
	array = realloc(array, (nr ? 2 * nr : 1) * size);
	if (!array)
		errx(1, "out of memory");
	return array;
}

/* --- one disk --- */

static void apply(struct image *image, const struct log_record *r)
{
	if (r->kind == LOG_WRITE)
		image_write(image, r->offset, log_data(r), r->span);
	else
		image_zero(image, r->offset, r->span);
}

static void disk_push(struct disk *disk, uint64_t number)
{
	if (disk->first + disk->nr == disk->capacity) {
		if (disk->first) {
			memmove(disk->tail, disk->tail + disk->first,
				disk->nr * sizeof(*disk->tail));
			disk->first = 0;
		} else {
			disk->capacity = disk->capacity ? 2 * disk->capacity : 64;
			disk->tail = realloc(disk->tail, disk->capacity * sizeof(*disk->tail));
			if (!disk->tail)
				errx(1, "out of memory");
		}
	}
	disk->tail[disk->first + disk->nr++] = (struct change){ number, NOT_YET, false };
}

static struct change *disk_find(struct disk *disk, uint64_t number)
{
	uint64_t low = disk->first, high = disk->first + disk->nr;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (disk->tail[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return &disk->tail[low];
}

/* The tail begins with a change that may be lost. */
static void disk_trim(struct disk *disk, const struct log *log)
{
	while (disk->nr && disk->tail[disk->first].durable) {
		apply(disk->durable, log->records[disk->tail[disk->first].number]);
		disk->first++;
		disk->nr--;
	}
}

static void disk_flushed(struct disk *disk, uint64_t arrival)
{
	for (uint64_t i = disk->first; i < disk->first + disk->nr; i++)
		if (disk->tail[i].answered < arrival)
			disk->tail[i].durable = true;
}

/* --- records --- */

static bool add_disk(struct replay *replay, const struct log_record *r)
{
	struct disk *disk = &replay->disks[replay->nr_disks++];
	const char *contents;
	int rc;

	disk->name = strndup(log_data(r), r->length);
	if (!disk->name)
		errx(1, "out of memory");
	disk->durable = image_new(r->offset);
	if (strlen(disk->name) < r->length) {
		contents = (const char *)log_data(r) + strlen(disk->name) + 1;
		contents = strndup(contents, r->length - strlen(disk->name) - 1);
		rc = image_load(disk->durable, contents);
		if (rc < 0) {
			warnx("%s: %s", contents, strerror(-rc));
			return false;
		}
		free((char *)contents);
	}
	disk->now = image_copy(disk->durable);
	return true;
}

static void add_base(struct replay *replay, const char *text)
{
	char name[128], of[128];
	struct base *base;
	int disk;

	if (sscanf(text, "base %127s %127s", name, of) != 2)
		return;
	disk = replay_find(replay, of);
	if (disk < 0)
		errx(1, "mark '%s': there is no disk %s", text, of);
	replay->bases = grow(replay->bases, replay->nr_bases, sizeof(*base));
	base = &replay->bases[replay->nr_bases++];
	base->name = strdup(name);
	base->image = image_copy(replay->disks[disk].now);
}

static void add_mark(struct replay *replay, const struct log_record *r)
{
	replay->marks = grow(replay->marks, replay->nr_marks, sizeof(*replay->marks));
	replay->marks[replay->nr_marks] = strndup(log_data(r), r->length);
	add_base(replay, replay->marks[replay->nr_marks++]);
}

static void answered(struct replay *replay, const struct log_record *r)
{
	const struct log_record *request = replay->log->records[r->offset];
	struct disk *disk = &replay->disks[request->device];
	uint32_t bit = 1U << request->device;
	struct change *change;

	if (request->kind == LOG_FLUSH) {
		if (!(replay->faults.ignore_flush & bit))
			disk_flushed(disk, r->offset);
	} else {
		change = disk_find(disk, r->offset);
		change->answered = replay->position;
		if (request->flags & LOG_FUA && !(replay->faults.ignore_fua & bit))
			change->durable = true;
	}
	disk_trim(disk, replay->log);
}

bool replay_step(struct replay *replay)
{
	const struct log_record *r;

	if (replay->position == replay->log->nr)
		return false;
	r = replay->log->records[replay->position];
	if (log_is_change(r)) {
		apply(replay->disks[r->device].now, r);
		disk_push(&replay->disks[r->device], replay->position);
	} else if (r->kind == LOG_END) {
		answered(replay, r);
	} else if (r->kind == LOG_MARK) {
		add_mark(replay, r);
	}
	replay->position++;
	return true;
}

struct replay *replay_new(const struct log *log, const struct replay_faults *faults)
{
	struct replay *replay = calloc(1, sizeof(*replay));

	if (!replay)
		errx(1, "out of memory");
	replay->log = log;
	replay->faults = *faults;
	while (replay->position < log->nr && log->records[replay->position]->kind == LOG_DEVICE)
		if (!add_disk(replay, log->records[replay->position++])) {
			replay_free(replay);
			return NULL;
		}
	return replay;
}

void replay_free(struct replay *replay)
{
	for (unsigned int i = 0; i < replay->nr_disks; i++) {
		free(replay->disks[i].name);
		image_free(replay->disks[i].now);
		image_free(replay->disks[i].durable);
		free(replay->disks[i].tail);
	}
	for (uint64_t i = 0; i < replay->nr_marks; i++)
		free(replay->marks[i]);
	for (unsigned int i = 0; i < replay->nr_bases; i++) {
		free(replay->bases[i].name);
		image_free(replay->bases[i].image);
	}
	free(replay->marks);
	free(replay->bases);
	free(replay);
}

/* --- what is asked for --- */

uint64_t replay_position(const struct replay *replay)
{
	return replay->position;
}

unsigned int replay_nr_disks(const struct replay *replay)
{
	return replay->nr_disks;
}

const char *replay_name(const struct replay *replay, unsigned int disk)
{
	return replay->disks[disk].name;
}

int replay_find(const struct replay *replay, const char *name)
{
	for (unsigned int i = 0; i < replay->nr_disks; i++)
		if (!strcmp(replay->disks[i].name, name))
			return i;
	return -1;
}

const struct image *replay_now(const struct replay *replay, unsigned int disk)
{
	return replay->disks[disk].now;
}

const char *replay_mark(const struct replay *replay, uint64_t number)
{
	return number < replay->nr_marks ? replay->marks[number] : NULL;
}

const char *replay_last_mark(const struct replay *replay, const char *prefix)
{
	for (uint64_t i = replay->nr_marks; i--;)
		if (!strncmp(replay->marks[i], prefix, strlen(prefix)))
			return replay->marks[i] + strlen(prefix);
	return NULL;
}

const struct image *replay_base(const struct replay *replay, const char *name)
{
	for (unsigned int i = replay->nr_bases; i--;)
		if (!strcmp(replay->bases[i].name, name))
			return replay->bases[i].image;
	return NULL;
}

/* --- cuts --- */

/* Some of the pieces of a change: up to eight, cut at sectors' borders. */
static void apply_torn(struct image *image, const struct log_record *r, uint64_t *random)
{
	const unsigned char *data = log_data(r);
	uint64_t sectors = (r->span + SECTOR - 1) / SECTOR, at = 0;

	while (at < sectors) {
		uint64_t nr = 1 + next_random(random) % ((sectors + 3) / 4);
		uint64_t from = at * SECTOR, length;

		if (nr > sectors - at)
			nr = sectors - at;
		at += nr;
		if (next_random(random) & 1)
			continue;
		length = (at * SECTOR < r->span ? at * SECTOR : r->span) - from;
		if (r->kind == LOG_WRITE)
			image_write(image, r->offset + from, data + from, length);
		else
			image_zero(image, r->offset + from, length);
	}
}

/*
 * A disk has a mood at each cut: how many of a hundred changes that may be lost are there. The
 * extremes are frequent, because what breaks things is one disk ahead of another.
 */
static unsigned int choose_mood(uint64_t *random)
{
	static const unsigned int moods[] = { 0, 0, 10, 50, 90, 100, 100 };

	return moods[next_random(random) % (sizeof(moods) / sizeof(moods[0]))];
}

struct image *replay_cut(const struct replay *replay, unsigned int index, uint64_t seed)
{
	const struct disk *disk = &replay->disks[index];
	struct image *image = image_copy(disk->durable);
	uint64_t random = seed * LOG_DEVICES_MAX + index;
	unsigned int mood = choose_mood(&random);
	bool tears = next_random(&random) & 1;

	for (uint64_t i = disk->first; i < disk->first + disk->nr; i++) {
		const struct log_record *r = replay->log->records[disk->tail[i].number];

		if (disk->tail[i].durable)
			apply(image, r);
		else if (tears && next_random(&random) % 4 == 0)
			apply_torn(image, r, &random);
		else if (next_random(&random) % 100 < mood)
			apply(image, r);
	}
	return image;
}
