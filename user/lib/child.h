/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starting a worker process with exactly the descriptors it is meant to have.
 *
 * For a single-threaded parent: the child is made with fork(2), because it must ask to be killed
 * when its parent dies, which no attribute of posix_spawn(3) does.
 */
#ifndef FAILBACK_LIB_CHILD_H
#define FAILBACK_LIB_CHILD_H

#include <stddef.h>
#include <sys/types.h>

#include "base/failure.h"

/**
 * child_start - run @argv[0], a path, with an empty signal mask and default signal handling.
 * @fds, @nr_fds: descriptor @fds[i] becomes i in the child; all others are closed. At least three.
 *
 * The caller keeps its descriptors. -ENOENT and the like when the program cannot be executed.
 */
int child_start(const char *const *argv, const int *fds, size_t nr_fds, pid_t *ret,
		struct failure *f);

#endif
