/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * File operations of a ring (lib/ring.h) by threads that wait for them: ring.c's way where there is no
 * io_uring. As many are under way as there are threads, and they end in any order.
 *
 * Everything is called by the ring's own thread. The threads have its signal mask and credentials.
 */
#ifndef FAILBACK_LIB_FILE_THREADS_H
#define FAILBACK_LIB_FILE_THREADS_H

#include <stdbool.h>

#include "base/failure.h"
#include "lib/ring.h"

struct file_threads;

/** file_op_run - one step of an operation on @fd, waiting for it: bytes, 0 or -errno. */
int file_op_run(int fd, const struct ring_op *op);

/** file_threads_open - @fds: what the operations' files are indexes into; stays the caller's. */
int file_threads_open(const int *fds, struct file_threads **ret, struct failure *f);

/** file_threads_close_at - nothing may be under way. *@t may be NULL, and is then. */
void file_threads_close_at(struct file_threads **t);

void file_threads_start(struct file_threads *t, struct ring_op *op);

/** file_threads_next - one of which a step has been made; false: none for now. */
bool file_threads_next(struct file_threads *t, struct ring_op **ret, int *ret_rc);

/** file_threads_fd - for poll(2): readable as long as file_threads_next() has something. */
int file_threads_fd(const struct file_threads *t);

/** file_threads_drain - forget what has not begun, wait for what has; then nothing is under way. */
void file_threads_drain(struct file_threads *t);

#endif
