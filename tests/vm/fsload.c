// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A seeded load on a file system, and the check of what it left.
 *
 *	fsload write DIRECTORY SEED NUMBER	does so many operations, or fewer when SIGTERM comes
 *	fsload check DIRECTORY SEED NUMBER	whether the files are what that many would have made
 *
 * Both print "done=N", the operations that were done. Files are written through the page cache, past
 * it and through mappings, cut, preallocated, punched, zeroed, synced, renamed over each other and
 * removed. What each of them holds is kept in memory, too; the check does the operations there only.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "count.h"

#define NR_FILES 24U
#define FILE_MAX (384U << 10)
#define PIECE_MAX (64U << 10)
#define ALIGN 4096U

static struct file {
	bool exists;
	uint32_t size;
	uint8_t data[FILE_MAX]; /* zero past the size */
} files[NR_FILES];

static bool for_real;
static uint64_t state;
static uint8_t *buffer, *found;
static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)(next_random(&state) % n);
}

static const char *name_of(const struct file *f)
{
	static char names[2][16];
	static unsigned int turn;

	turn ^= 1;
	snprintf(names[turn], sizeof(names[0]), "file%u", (unsigned int)(f - files));
	return names[turn];
}

static int open_file(struct file *f, int flags)
{
	int fd = open(name_of(f), O_RDWR | O_CREAT | O_CLOEXEC | flags, 0600);

	if (fd < 0)
		err(1, "%s", name_of(f));
	return fd;
}

static void grow_to(struct file *f, uint32_t end)
{
	if (end > f->size)
		f->size = end;
}

static void cut_to(struct file *f, uint32_t size)
{
	if (size < f->size)
		memset(f->data + size, 0, f->size - size);
	f->size = size;
}

/* --- operations; each on the model, and on the file when it is for real --- */

enum way { WAY_CACHED, WAY_DIRECT, WAY_MAPPED };

static void map_and_write(struct file *f, int fd, uint32_t at, uint32_t length)
{
	uint32_t page = at / ALIGN * ALIGN;
	uint8_t *map;

	if (ftruncate(fd, f->size) < 0)
		err(1, "truncate %s", name_of(f));
	map = mmap(NULL, at - page + length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, page);
	if (map == MAP_FAILED)
		err(1, "mmap %s", name_of(f));
	memcpy(map + at - page, buffer, length);
	munmap(map, at - page + length);
}

static void do_write(struct file *f, enum way way)
{
	uint32_t unit = way == WAY_DIRECT ? ALIGN : 1, at, length;
	int fd;

	length = (1 + below(PIECE_MAX / unit)) * unit;
	at = below((FILE_MAX - length) / unit + 1) * unit;
	for (uint32_t i = 0; i < length; i += 8) {
		uint64_t word = next_random(&state);

		memcpy(buffer + i, &word, 8);
	}
	memcpy(f->data + at, buffer, length);
	grow_to(f, at + length);
	f->exists = true;
	if (!for_real)
		return;
	fd = open_file(f, way == WAY_DIRECT ? O_DIRECT : 0);
	if (way == WAY_MAPPED)
		map_and_write(f, fd, at, length);
	else if (pwrite(fd, buffer, length, at) != (ssize_t)length)
		err(1, "write %s", name_of(f));
	close(fd);
}

static void do_allocate(struct file *f, int mode)
{
	uint32_t length = 1 + below(PIECE_MAX), at = below(FILE_MAX - length + 1);
	int fd;

	f->exists = true;
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		memset(f->data + at, 0, length);
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		grow_to(f, at + length);
	if (!for_real)
		return;
	fd = open_file(f, 0);
	if (fallocate(fd, mode, at, length) < 0)
		err(1, "fallocate %s", name_of(f));
	close(fd);
}

static void do_truncate(struct file *f)
{
	uint32_t size = below(FILE_MAX + 1);
	int fd;

	f->exists = true;
	cut_to(f, size);
	if (!for_real)
		return;
	fd = open_file(f, 0);
	if (ftruncate(fd, size) < 0)
		err(1, "truncate %s", name_of(f));
	close(fd);
}

static void do_sync(struct file *f)
{
	int fd;

	if (!f->exists || !for_real)
		return;
	fd = open_file(f, 0);
	if (fsync(fd) < 0)
		err(1, "fsync %s", name_of(f));
	close(fd);
}

static void do_rename(struct file *f)
{
	struct file *to = &files[below(NR_FILES)];

	if (!f->exists || to == f)
		return;
	*to = *f;
	memset(f, 0, sizeof(*f));
	if (for_real && rename(name_of(f), name_of(to)) < 0)
		err(1, "rename %s", name_of(f));
}

static void do_remove(struct file *f)
{
	if (!f->exists)
		return;
	memset(f, 0, sizeof(*f));
	if (for_real && unlink(name_of(f)) < 0)
		err(1, "remove %s", name_of(f));
}

static void do_one(void)
{
	struct file *f = &files[below(NR_FILES)];

	switch (below(16)) {
	case 0 ... 2:
		do_write(f, WAY_CACHED);
		break;
	case 3 ... 5:
		do_write(f, WAY_DIRECT);
		break;
	case 6 ... 7:
		do_write(f, WAY_MAPPED);
		break;
	case 8:
		do_truncate(f);
		break;
	case 9:
		do_allocate(f, 0);
		break;
	case 10:
		do_allocate(f, FALLOC_FL_KEEP_SIZE);
		break;
	case 11:
		do_allocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
		break;
	case 12:
		do_allocate(f, FALLOC_FL_ZERO_RANGE);
		break;
	case 13:
		do_sync(f);
		break;
	case 14:
		do_rename(f);
		break;
	default:
		do_remove(f);
	}
}

/* --- the check --- */

static void check_file(struct file *f)
{
	struct stat st;
	int fd;

	if (!f->exists) {
		if (access(name_of(f), F_OK) == 0)
			errx(1, "%s was removed, and is there", name_of(f));
		return;
	}
	fd = open(name_of(f), O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		err(1, "%s", name_of(f));
	if (st.st_size != f->size)
		errx(1, "%s has %lld bytes, not %u", name_of(f), (long long)st.st_size, f->size);
	if (pread(fd, found, f->size, 0) != (ssize_t)f->size)
		err(1, "read %s", name_of(f));
	for (uint32_t i = 0; i < f->size; i++)
		if (found[i] != f->data[i])
			errx(1, "%s is wrong at byte %u of %u", name_of(f), i, f->size);
	close(fd);
}

int main(int argc, char **argv)
{
	struct sigaction on_term = { .sa_handler = stop };
	uint64_t number, done;

	for_real = argc == 5 && !strcmp(argv[1], "write");
	if (argc != 5 || (!for_real && strcmp(argv[1], "check") != 0))
		errx(2, "usage: fsload write|check DIRECTORY SEED NUMBER");
	state = strtoull(argv[3], NULL, 0);
	number = strtoull(argv[4], NULL, 0);
	buffer = aligned_alloc(ALIGN, PIECE_MAX + 8);
	found = malloc(FILE_MAX);
	if (!buffer || !found)
		err(1, "memory");
	if (for_real && mkdir(argv[2], 0700) < 0 && errno != EEXIST)
		err(1, "%s", argv[2]);
	if (chdir(argv[2]) < 0)
		err(1, "%s", argv[2]);
	if (sigaction(SIGTERM, &on_term, NULL) < 0)
		err(1, "sigaction");
	for (done = 0; done < number && !stopped; done++)
		do_one();
	for (unsigned int i = 0; i < NR_FILES && !for_real; i++)
		check_file(&files[i]);
	printf("done=%llu\n", (unsigned long long)done);
	return 0;
}
