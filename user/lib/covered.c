// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/covered.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"

struct entry {
	uint64_t disk; /* all little-endian */
	uint64_t offset;
	uint64_t length;
};

struct covered {
	int fd;
	int error; /* the first */
	uint64_t nr_added;
	size_t nr; /* of them, not written yet */
	struct entry entries[1024];
};

int covered_open(int fd, struct covered **ret)
{
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	(*ret)->fd = fd;
	return 0;
}

void covered_close_at(struct covered **covered)
{
	free(*covered);
	*covered = NULL;
}

static int write_all(int fd, const void *buf, size_t len)
{
	const char *at = buf;

	while (len) {
		ssize_t done = write(fd, at, len);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		at += done;
		len -= (size_t)done;
	}
	return 0;
}

static void drain(struct covered *c)
{
	if (!c->error)
		c->error = write_all(c->fd, c->entries, c->nr * sizeof(c->entries[0]));
	c->nr = 0;
}

static void push(struct covered *c, uint64_t disk, uint64_t offset, uint64_t length)
{
	if (c->nr == ARRAY_SIZE(c->entries))
		drain(c);
	c->entries[c->nr++] = (struct entry){ htole64(disk), htole64(offset), htole64(length) };
}

void covered_add(struct covered *covered, uint64_t disk, const struct extent *extents,
		 unsigned int nr)
{
	for (unsigned int i = 0; covered && i < nr; i++) {
		push(covered, disk, extents[i].offset, extents[i].length);
		covered->nr_added++;
	}
}

int covered_end(struct covered *covered)
{
	push(covered, COVERED_END, 0, covered->nr_added);
	drain(covered);
	return covered->error;
}

/* --- reading --- */

/* All of a file; *@ret_nr entries. */
static int read_entries(int fd, struct entry **ret, size_t *ret_nr)
{
	cleanup_free struct entry *entries = NULL;
	size_t done = 0;
	struct stat file;
	size_t bytes;

	if (fstat(fd, &file) < 0)
		return -errno;
	bytes = (size_t)file.st_size;
	if (!bytes || bytes % sizeof(*entries))
		return -ENODATA;
	entries = malloc(bytes);
	if (!entries)
		return -ENOMEM;
	while (done < bytes) {
		ssize_t got = pread(fd, (char *)entries + done, bytes - done, (off_t)done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -ENODATA;
		done += (size_t)got;
	}
	*ret_nr = bytes / sizeof(*entries);
	*ret = steal_ptr(entries);
	return 0;
}

/* The last one says that all of them are there. */
static bool is_whole(const struct entry *entries, size_t nr)
{
	const struct entry *end = &entries[nr - 1];

	return end->disk == htole64(COVERED_END) && le64toh(end->length) == nr - 1;
}

static int by_place(const void *a, const void *b)
{
	const struct entry *x = a;
	const struct entry *y = b;

	if (x->disk != y->disk)
		return le64toh(x->disk) < le64toh(y->disk) ? -1 : 1;
	if (x->offset != y->offset)
		return le64toh(x->offset) < le64toh(y->offset) ? -1 : 1;
	return 0;
}

/* What lies below the end of the list is in it: the entries come ascending. */
static int push_rest(struct extent_list *list, uint64_t offset, uint64_t length)
{
	const struct extent *last = list->nr ? &list->extents[list->nr - 1] : NULL;
	uint64_t listed = last ? last->offset + last->length : 0;
	uint64_t end;

	if (__builtin_add_overflow(offset, length, &end) || !length)
		return -EINVAL;
	if (end <= listed)
		return 0;
	offset = max_of(offset, listed);
	return extent_push(list, offset, end - offset);
}

int covered_read(int fd, size_t nr_disks, struct extent_list *lists)
{
	cleanup_free struct entry *entries = NULL;
	size_t nr = 0;
	int rc = read_entries(fd, &entries, &nr);

	if (rc)
		return rc;
	if (!is_whole(entries, nr))
		return -ENODATA;
	nr--;
	qsort(entries, nr, sizeof(*entries), by_place);
	for (size_t i = 0; i < nr; i++) {
		uint64_t disk = le64toh(entries[i].disk);

		if (disk >= nr_disks)
			return -EBADMSG;
		rc = push_rest(&lists[disk], le64toh(entries[i].offset), le64toh(entries[i].length));
		if (rc)
			return rc == -ENOMEM ? rc : -EBADMSG;
	}
	return 0;
}
