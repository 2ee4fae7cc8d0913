// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/ring.c: both engines end what is begun, and let go of what they were given. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/ring.h"

#include "kselftest_harness.h"

FIXTURE(ring)
{
	struct ring *ring;
	struct failure f;
	int pipe[2];
	int file;
	int read_only; /* the same */
};

FIXTURE_VARIANT(ring)
{
	const char *no_io_uring;
	bool in_memory;
};

FIXTURE_VARIANT_ADD(ring, io_uring){ .no_io_uring = "0" };
FIXTURE_VARIANT_ADD(ring, io_uring_in_memory){ .no_io_uring = "0", .in_memory = true };
FIXTURE_VARIANT_ADD(ring, sync){ .no_io_uring = "1", .in_memory = true };

FIXTURE_SETUP(ring)
{
	char link[64];
	int fds[3];

	memset(self, 0, sizeof(*self));
	(void)setenv("FAILBACK_NO_IO_URING", variant->no_io_uring, 1);
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC | O_NONBLOCK));
	self->file = variant->in_memory ? memfd_create("ring-test", MFD_CLOEXEC)
					: open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	ASSERT_LE(0, self->file);
	fds[0] = self->file;
	fds[1] = self->pipe[1];
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", self->file);
	self->read_only = open(link, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->read_only);
	fds[2] = self->read_only;
	ASSERT_EQ(0, ring_open(&self->ring, fds, 3, 1, &self->f));
}

FIXTURE_TEARDOWN(ring)
{
	ring_close(self->ring);
	(void)close(self->pipe[0]);
	(void)close(self->pipe[1]);
	(void)close(self->file);
	(void)close(self->read_only);
}

static int run(struct ring *ring, struct ring_op *op)
{
	struct ring_op *ended = NULL;
	int rc;

	ring_submit(ring, op);
	rc = ring_wait(ring, 10000, &ended);
	if (rc)
		return rc;
	return ended == op ? op->result : -EBADMSG;
}

TEST_F(ring, what_is_written_is_read)
{
	uint8_t *buf = ring_buffer(self->ring, 0);
	struct ring_op write = {
		.kind = RING_WRITE, .offset = 4096, .iov = { { buf, 8192 } }, .nr_iov = 1
	};
	struct ring_op read = {
		.kind = RING_READ, .offset = 4096, .iov = { { buf, 8192 } }, .nr_iov = 1
	};

	memset(buf, 0x5a, 8192);
	ASSERT_EQ(0, run(self->ring, &write));
	memset(buf, 0, 8192);
	ASSERT_EQ(0, run(self->ring, &read));
	EXPECT_EQ(0x5a, buf[0]);
	EXPECT_EQ(0x5a, buf[8191]);
}

TEST_F(ring, a_read_beyond_the_end_is_no_success)
{
	struct ring_op read = { .kind = RING_READ,
				.offset = 0,
				.iov = { { ring_buffer(self->ring, 0), 8192 } },
				.nr_iov = 1 };

	ASSERT_EQ(0, ftruncate(self->file, 4096));
	EXPECT_EQ(-ENODATA, run(self->ring, &read));
}

TEST_F(ring, a_write_that_fails_says_so)
{
	struct ring_op write = { .kind = RING_WRITE,
				 .file = 2,
				 .iov = { { ring_buffer(self->ring, 0), 512 } },
				 .nr_iov = 1 };

	EXPECT_GT(0, run(self->ring, &write));
}

TEST_F(ring, a_drained_ring_gives_nothing_back)
{
	struct ring_op write = { .kind = RING_WRITE,
				 .iov = { { ring_buffer(self->ring, 0), 512 } },
				 .nr_iov = 1 };
	struct ring_op *ended;

	ring_submit(self->ring, &write);
	ring_drain(self->ring);
	EXPECT_EQ(-ETIMEDOUT, ring_wait(self->ring, 10, &ended));
}

TEST_F(ring, silence_is_a_timeout)
{
	struct ring_op *ended;

	EXPECT_EQ(-ETIMEDOUT, ring_wait(self->ring, 10, &ended));
}

TEST_F(ring, a_closed_ring_holds_no_file_open)
{
	char byte;

	ring_close_at(&self->ring);
	(void)close(self->pipe[1]);
	self->pipe[1] = -1;
	/* the end of the stream, at once: nobody has the other end */
	EXPECT_EQ(0, read(self->pipe[0], &byte, 1));
}

TEST_HARNESS_MAIN
