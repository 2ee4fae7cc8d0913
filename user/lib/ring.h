/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many reads, writes and socket transfers in flight at once, with one place where they end.
 *
 * An operation is the caller's struct; from ring_submit() until ring_wait() returns it, it and the
 * memory that it names belong to the ring. It ends once: whole, or with an error. Short transfers,
 * EAGAIN and EINTR are gone on with inside.
 *
 * There are two engines with the same behaviour, chosen when the ring is opened: io_uring, and,
 * where that is refused (kernel.io_uring_disabled, seccomp, FAILBACK_NO_IO_URING=1 in the
 * environment), "threads", which wait for a file each. A ring belongs to one thread. Descriptors
 * and buffers are registered once; descriptors stay the caller's. Whoever gets hold of the process gets
 * no more of its io_uring than what stands here: it opens, connects and starts nothing.
 */
#ifndef FAILBACK_LIB_RING_H
#define FAILBACK_LIB_RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/failure.h"

#define RING_BUFFER_BYTES (1U << 20)
#define RING_IOV_MAX	  4
#define RING_FILES_MAX	  1024U

enum ring_kind {
	RING_READ, /* of a file at offset; its end before the last byte: -ENODATA */
	RING_WRITE,
	RING_FALLOCATE, /* @mode, @offset, @length */
	RING_FDATASYNC,
	RING_SEND, /* on a stream socket; peer gone: -ECONNRESET; at most one in flight each */
	RING_RECV, /* all of it; end of the stream: -ECONNRESET; at most one in flight per socket */
	RING_POLL, /* ends when the descriptor is readable */
};

struct ring_op {
	enum ring_kind kind;
	unsigned int file; /* index into the descriptors given to ring_open() */
	int mode;
	int result; /* 0 or -errno, once returned by ring_wait() */
	uint64_t offset;
	uint64_t length;
	struct iovec iov[RING_IOV_MAX]; /* used up on the way */
	unsigned int nr_iov;
	void *owner; /* the caller's */

	/* the ring's */
	struct ring_op *next;
	struct msghdr msg;
};

struct ring;

/**
 * ring_open - @nr_buffers buffers of RING_BUFFER_BYTES, aligned for direct I/O, and @nr_fds
 * descriptors.
 *
 * Sockets may be blocking or not; under io_uring O_NONBLOCK is cleared.
 */
int ring_open(struct ring **ret, const int *fds, unsigned int nr_fds, unsigned int nr_buffers,
	      struct failure *f);

/**
 * ring_close - the ring must be drained. NULL is fine. No descriptor is held open any more: another
 * process may claim the devices.
 */
void ring_close(struct ring *ring);
void ring_close_at(struct ring **ring);

/** ring_engine_name - "io_uring" or "threads". */
const char *ring_engine_name(const struct ring *ring);

uint8_t *ring_buffer(const struct ring *ring, unsigned int index);

/**
 * ring_submit - start @op, at the latest with the next ring_wait(). Cannot fail: an error is the
 * operation's result.
 */
void ring_submit(struct ring *ring, struct ring_op *op);

/**
 * ring_wait - one that ended. -ETIMEDOUT: none did within @timeout_ms; other negatives: the ring is
 * broken.
 */
int ring_wait(struct ring *ring, int timeout_ms, struct ring_op **ret);

/**
 * ring_drain - cancel what can be cancelled (sockets, polls, what has not begun) and wait for the
 * rest.
 *
 * Afterwards nothing is in flight and no memory is in use; results are lost. Waits as long as a
 * device does.
 */
void ring_drain(struct ring *ring);

#endif
