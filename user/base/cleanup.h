/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scope cleanup: a variable declared with cleanup_free, cleanup_fd, or _cleanup_(fn) is released
 * when it goes out of scope. steal_ptr() and steal_fd() hand the value on to an owner that outlives
 * the scope.
 */
#ifndef FAILBACK_BASE_CLEANUP_H
#define FAILBACK_BASE_CLEANUP_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((__cleanup__(fn)))

static inline void free_at(void *ptr)
{
	free(*(void **)ptr);
}

/** close_fd - close @fd if it is open (>= 0), keep errno, return -1 for assigning back. */
static inline int close_fd(int fd)
{
	if (fd >= 0) {
		int saved = errno;

		(void)close(fd);
		errno = saved;
	}
	return -1;
}

static inline void close_fd_at(int *fd)
{
	*fd = close_fd(*fd);
}

#define cleanup_free _cleanup_(free_at)
#define cleanup_fd _cleanup_(close_fd_at)

#define steal_ptr(ptr)                         \
	({                                     \
		__typeof__(ptr) stolen_ = (ptr); \
		(ptr) = NULL;                  \
		stolen_;                       \
	})

static inline int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

#endif
