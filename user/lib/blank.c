// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/blank.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
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
	pthread_mutex_t lock; /* LOCK: all that follows, but what the thread works with */
	pthread_cond_t step;
	size_t nr_done;
	bool is_left; /* by one of the two */
	size_t nr;
	struct blank disks[];
};

static void look_free(struct look *look)
{
	for (size_t i = 0; i < look->nr; i++)
		(void)close_fd(look->disks[i].fd);
	(void)pthread_cond_destroy(&look->step);
	(void)pthread_mutex_destroy(&look->lock);
	free(look);
}

/* With the lock, which is let go of. */
static void look_leave(struct look *look)
{
	bool is_last = look->is_left;

	look->is_left = true;
	(void)pthread_mutex_unlock(&look->lock);
	if (is_last)
		look_free(look);
}

static void *look_main(void *context)
{
	struct look *look = context;

	for (size_t i = 0; i < look->nr; i++) {
		bool is_blank = blank_disk(look->disks[i].fd, look->disks[i].size_bytes);

		(void)pthread_mutex_lock(&look->lock);
		look->disks[i].is_blank = is_blank;
		look->nr_done++;
		(void)pthread_cond_signal(&look->step);
		(void)pthread_mutex_unlock(&look->lock);
	}
	(void)pthread_mutex_lock(&look->lock);
	look_leave(look);
	return NULL;
}

static struct look *look_new(const struct blank *disks, size_t nr)
{
	struct look *look = calloc(1, sizeof(*look) + nr * sizeof(*disks));

	if (!look)
		return NULL;
	(void)pthread_mutex_init(&look->lock, NULL);
	(void)pthread_cond_init(&look->step, NULL);
	look->nr = nr;
	for (size_t i = 0; i < nr; i++) {
		look->disks[i] = disks[i];
		look->disks[i].fd = fcntl(disks[i].fd, F_DUPFD_CLOEXEC, 3);
	}
	return look;
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

int blank_disks_within(struct blank *disks, size_t nr, unsigned int timeout_ms, size_t *ret_slow)
{
	const struct timespec end = after_ms(timeout_ms);
	struct look *look = look_new(disks, nr);
	pthread_t thread;
	int rc = look ? pthread_create(&thread, NULL, look_main, look) : ENOMEM;

	if (rc) {
		if (look)
			look_free(look);
		return -rc;
	}
	(void)pthread_detach(thread);
	(void)pthread_mutex_lock(&look->lock);
	while (look->nr_done < nr && rc != ETIMEDOUT)
		rc = pthread_cond_clockwait(&look->step, &look->lock, CLOCK_MONOTONIC, &end);
	*ret_slow = look->nr_done;
	rc = look->nr_done < nr ? -ETIMEDOUT : 0;
	for (size_t i = 0; i < nr; i++)
		disks[i].is_blank = look->disks[i].is_blank;
	look_leave(look);
	return rc;
}
