// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/ring.c: both engines end what is begun, and let go of what they were given. */
#include <errno.h>
#include <fcntl.h>
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
};

FIXTURE_VARIANT(ring)
{
	const char *no_io_uring;
};

FIXTURE_VARIANT_ADD(ring, io_uring){ .no_io_uring = "0" };
FIXTURE_VARIANT_ADD(ring, sync){ .no_io_uring = "1" };

FIXTURE_SETUP(ring)
{
	int fds[2];

	memset(self, 0, sizeof(*self));
	(void)setenv("FAILBACK_NO_IO_URING", variant->no_io_uring, 1);
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC | O_NONBLOCK));
	self->file = memfd_create("ring-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ASSERT_LE(0, self->file);
	fds[0] = self->file;
	fds[1] = self->pipe[1];
	ASSERT_EQ(0, ring_open(&self->ring, fds, 2, 1, &self->f));
}

FIXTURE_TEARDOWN(ring)
{
	ring_close(self->ring);
	(void)close(self->pipe[0]);
	(void)close(self->pipe[1]);
	(void)close(self->file);
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
				 .offset = 0,
				 .iov = { { ring_buffer(self->ring, 0), 512 } },
				 .nr_iov = 1 };

	ASSERT_EQ(0, fcntl(self->file, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_GT(0, run(self->ring, &write));
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
