// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/blank.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "lib/zero.h"

#define SAMPLE_BYTES ((size_t)128 << 10) /* reaches the superblock of each file system in use */
#define NR_SAMPLES   10U

static bool is_zero_at(int fd, uint64_t offset, size_t bytes)
{
	uint8_t buf[SAMPLE_BYTES];
	size_t got = 0;

	while (got < bytes) {
		ssize_t n = pread(fd, buf + got, bytes - got, (off_t)(offset + got));

		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	/* Who fills the disk now, past the page cache, is not to find it there. */
	(void)posix_fadvise(fd, (off_t)offset, (off_t)bytes, POSIX_FADV_DONTNEED);
	return is_zero(buf, bytes);
}

bool blank_disk(int fd, uint64_t size_bytes)
{
	size_t bytes = min_of(size_bytes, (uint64_t)SAMPLE_BYTES);
	uint64_t last = size_bytes - bytes;

	for (unsigned int i = 0; i < NR_SAMPLES; i++) {
		uint64_t offset = last / (NR_SAMPLES - 1) * i & ~UINT64_C(4095);

		if (!is_zero_at(fd, i == NR_SAMPLES - 1 ? last : offset, bytes))
			return false;
	}
	return true;
}

/* --- several, with a deadline --- */

/* Freed by who comes to the end last: the thread, or who asked. */
struct look {
	struct look *next; /* that was left while its thread waits */
	pthread_cond_t step;
	size_t nr_done;
	bool is_left; /* by one of the two */
	size_t nr;
	struct blank disks[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* LOCK: looks, but what their threads work with */
static struct look *left; /* by who asked */

static void look_free(struct look *look)
{
	for (size_t i = 0; i < look->nr; i++)
		(void)close_fd(look->disks[i].fd);
	(void)pthread_cond_destroy(&look->step);
	free(look);
}

static void look_forget(struct look *look)
{
	struct look **at = &left;

	while (*at && *at != look)
		at = &(*at)->next;
	if (*at)
		*at = look->next;
}

static void *look_main(void *context)
{
	struct look *look = context;
	bool is_last = false;

	for (size_t i = 0; i < look->nr && !is_last; i++) {
		bool is_blank = blank_disk(look->disks[i].fd, look->disks[i].size_bytes);

		(void)pthread_mutex_lock(&lock);
		look->disks[i].is_blank = is_blank;
		look->nr_done++;
		is_last = look->is_left; /* nobody wants to know the rest */
		(void)pthread_cond_signal(&look->step);
		(void)pthread_mutex_unlock(&lock);
	}
	(void)pthread_mutex_lock(&lock);
	look_forget(look);
	is_last = look->is_left;
	look->is_left = true;
	(void)pthread_mutex_unlock(&lock);
	if (is_last)
		look_free(look);
	return NULL;
}

/* The same disk, without the claim that a descriptor may be: who comes again is to find it free. */
static int open_again(int fd)
{
	char link[32];

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return open(link, O_RDONLY | O_CLOEXEC);
}

static struct look *look_new(const struct blank *disks, size_t nr)
{
	struct look *look = calloc(1, sizeof(*look) + nr * sizeof(*disks));

	if (!look)
		return NULL;
	(void)pthread_cond_init(&look->step, NULL);
	look->nr = nr;
	for (size_t i = 0; i < nr; i++) {
		look->disks[i].size_bytes = disks[i].size_bytes;
		look->disks[i].fd = open_again(disks[i].fd);
	}
	return look;
}

static bool is_same(int a, int b)
{
	struct stat sa;
	struct stat sb;

	if (fstat(a, &sa) < 0 || fstat(b, &sb) < 0)
		return false;
	if (S_ISBLK(sa.st_mode) && S_ISBLK(sb.st_mode))
		return sa.st_rdev == sb.st_rdev;
	return sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* With the lock. Does a thread wait for this disk already? One is enough. */
static bool is_waited_for(const struct blank *disk)
{
	for (const struct look *look = left; look; look = look->next) {
		if (look->nr_done < look->nr && is_same(look->disks[look->nr_done].fd, disk->fd))
			return true;
	}
	return false;
}

static struct timespec after_ms(unsigned int ms)
{
	struct timespec at;
	long ns;

	(void)clock_gettime(CLOCK_MONOTONIC, &at);
	ns = at.tv_nsec + (long)(ms % 1000) * 1000000;
	at.tv_sec += ms / 1000 + ns / 1000000000;
	at.tv_nsec = ns % 1000000000;
	return at;
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* With the lock. */
static bool find_waited_for(const struct blank *disks, size_t nr, size_t *ret)
{
	for (*ret = 0; *ret < nr; ++*ret) {
		if (is_waited_for(&disks[*ret]))
			return true;
	}
	return false;
}

int blank_disks_within(struct blank *disks, size_t nr, unsigned int timeout_ms, size_t *ret_slow)
{
	const struct timespec end_of_all = after_ms(2 * timeout_ms);
	struct timespec end = after_ms(timeout_ms);
	bool is_late = false;
	size_t nr_done = 0;
	struct look *look;
	pthread_t thread;
	bool is_last;
	bool hangs;
	int rc;

	(void)pthread_mutex_lock(&lock);
	hangs = find_waited_for(disks, nr, ret_slow);
	(void)pthread_mutex_unlock(&lock);
	if (hangs)
		return -ETIMEDOUT;
	look = look_new(disks, nr);
	rc = look ? pthread_create(&thread, NULL, look_main, look) : ENOMEM;
	if (rc) {
		if (look)
			look_free(look);
		return -rc;
	}
	(void)pthread_detach(thread);
	(void)pthread_mutex_lock(&lock);
	while (look->nr_done < nr && rc != ETIMEDOUT) {
		rc = pthread_cond_clockwait(&look->step, &lock, CLOCK_MONOTONIC, &end);
		if (look->nr_done == nr_done)
			continue;
		nr_done = look->nr_done;
		end = after_ms(timeout_ms);
		is_late = is_before(&end_of_all, &end);
		if (is_late)
			end = end_of_all;
		rc = 0;
	}
	*ret_slow = look->nr_done;
	rc = look->nr_done < nr && !is_late ? -ETIMEDOUT : 0;
	for (size_t i = 0; i < nr; i++)
		disks[i].is_blank = look->disks[i].is_blank;
	is_last = look->is_left;
	look->is_left = true;
	if (!is_last) {
		look->next = left;
		left = look;
	}
	(void)pthread_mutex_unlock(&lock);
	if (is_last)
		look_free(look);
	return rc;
}
