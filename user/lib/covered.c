// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/covered.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"

#define WORD_BYTES UINT64_C(8)
#define WORD_UNITS (8 * WORD_BYTES)

struct map {
	uint8_t *bits;
	uint64_t nr;
};

struct covered {
	uint8_t *bits;
	uint64_t bytes;
	struct map maps[]; /* of the disks */
};

static uint64_t nr_units(uint64_t size)
{
	return size / COVERED_UNIT + (size % COVERED_UNIT != 0);
}

static uint64_t map_bytes(uint64_t size)
{
	return round_up_to((nr_units(size) + 7) / 8, WORD_BYTES);
}

static uint64_t all_bytes(const uint64_t *sizes, size_t nr)
{
	uint64_t bytes = WORD_BYTES; /* nothing cannot be mapped */

	for (size_t i = 0; i < nr; i++)
		bytes += map_bytes(sizes[i]);
	return bytes;
}

int covered_make(const uint64_t *sizes, size_t nr, int *ret_fd)
{
	cleanup_fd int fd = memfd_create("covered", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)all_bytes(sizes, nr)) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	*ret_fd = steal_fd(&fd);
	return 0;
}

int covered_open(int fd, const uint64_t *sizes, size_t nr, struct covered **ret)
{
	cleanup_free struct covered *c = calloc(1, sizeof(*c) + nr * sizeof(c->maps[0]));
	struct stat file;
	uint8_t *bits;

	if (!c)
		return -ENOMEM;
	c->bytes = all_bytes(sizes, nr);
	if (fstat(fd, &file) < 0)
		return -errno;
	if ((uint64_t)file.st_size != c->bytes)
		return -EINVAL;
	c->bits = mmap(NULL, c->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (c->bits == MAP_FAILED)
		return -errno;
	bits = c->bits;
	for (size_t i = 0; i < nr; i++) {
		c->maps[i] = (struct map){ bits, nr_units(sizes[i]) };
		bits += map_bytes(sizes[i]);
	}
	*ret = steal_ptr(c);
	return 0;
}

void covered_close_at(struct covered **covered)
{
	struct covered *c = steal_ptr(*covered);

	if (!c)
		return;
	(void)munmap(c->bits, c->bytes);
	free(c);
}

static void set_bits(uint8_t *bits, uint64_t first, uint64_t end)
{
	for (; first < end && first % 8; first++)
		bits[first / 8] |= (uint8_t)(1U << first % 8);
	if (first < end) {
		memset(bits + first / 8, 0xff, (end - first) / 8);
		first = round_down_to(end, UINT64_C(8));
	}
	for (; first < end; first++)
		bits[first / 8] |= (uint8_t)(1U << first % 8);
}

void covered_add(struct covered *covered, size_t disk, const struct extent *extents,
		 unsigned int nr)
{
	for (unsigned int i = 0; covered && i < nr; i++)
		set_bits(covered->maps[disk].bits, extents[i].offset / COVERED_UNIT,
			 nr_units(extents[i].offset + extents[i].length));
}

static bool is_set(const struct map *map, uint64_t unit)
{
	return unit < map->nr && map->bits[unit / 8] >> unit % 8 & 1;
}

/* Is it so for all units of the word that begins with @unit? */
static bool is_whole_word(const struct map *map, uint64_t unit, bool set)
{
	uint64_t word;

	memcpy(&word, map->bits + unit / 8, sizeof(word));
	return word == (set ? UINT64_MAX : 0);
}

uint64_t covered_run(const struct covered *covered, size_t disk, uint64_t offset, uint64_t end,
		     bool *ret_covered)
{
	const struct map *map = &covered->maps[disk];
	uint64_t nr = min_of(nr_units(end), map->nr);
	uint64_t i = offset / COVERED_UNIT;
	bool set = is_set(map, i);

	*ret_covered = set;
	for (i++; i < nr; i++) {
		if (i % WORD_UNITS == 0 && nr - i >= WORD_UNITS && is_whole_word(map, i, set))
			i += WORD_UNITS - 1;
		else if (is_set(map, i) != set)
			break;
	}
	/* Past the end of the disk nothing is. */
	return i < nr || set ? min_of(i * COVERED_UNIT, end) : end;
}

/* Not by looking: that would take memory for every page. */
bool covered_is_empty(int fd)
{
	return lseek(fd, 0, SEEK_DATA) < 0 && errno == ENXIO;
}
