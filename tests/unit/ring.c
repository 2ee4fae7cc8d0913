// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/ring.c: both engines end what is begun, and let go of what they were given. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "lib/ring.h"

#include "kselftest_harness.h"

/* Where the threads call it, a flush lasts until it is let go. */
static sem_t flush_may_end;
static atomic_bool flush_began;
static atomic_bool flush_ended;

int fdatasync(int fd)
{
	(void)fd;
	flush_began = true;
	while (sem_wait(&flush_may_end))
		;
	flush_ended = true;
	return 0;
}

/* Whether this process's first thread waits for something. */
static bool main_waits(void)
{
	char stat[512] = "";
	FILE *file = fopen("/proc/self/stat", "re");
	const char *name_end;

	if (!file)
		return true;
	(void)!fgets(stat, sizeof(stat), file);
	(void)fclose(file);
	name_end = strrchr(stat, ')');
	return name_end && name_end[1] && name_end[2] == 'S';
}

static void *let_flush_go(void *context)
{
	uint64_t deadline = deadline_in_ms(10000);

	while (!main_waits() && deadline_left_ms(deadline))
		(void)sched_yield();
	(void)sem_post(&flush_may_end);
	return context;
}

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
FIXTURE_VARIANT_ADD(ring, threads){ .no_io_uring = "1" };
FIXTURE_VARIANT_ADD(ring, threads_in_memory){ .no_io_uring = "1", .in_memory = true };

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

/* The engine that the fixture's variants do not all have: its own tests. */
static struct ring *open_threads(int *ret_file)
{
	struct ring *ring = NULL;
	struct failure f;
	int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	(void)setenv("FAILBACK_NO_IO_URING", "1", 1);
	(void)sem_init(&flush_may_end, 0, 0);
	*ret_file = fd;
	if (fd < 0 || ftruncate(fd, 1 << 20) || ring_open(&ring, &fd, 1, 1, &f))
		return NULL;
	return ring;
}

TEST(what_waits_for_a_disk_holds_up_nothing_else)
{
	struct ring_op flush = { .kind = RING_FDATASYNC };
	struct ring_op read = { .kind = RING_READ, .nr_iov = 1 };
	struct ring_op *ended = NULL;
	struct ring *ring;
	int file;

	ring = open_threads(&file);
	ASSERT_NE(NULL, ring);
	EXPECT_STREQ("threads", ring_engine_name(ring));
	read.iov[0] = (struct iovec){ ring_buffer(ring, 0), 4096 };
	ring_submit(ring, &flush);
	ring_submit(ring, &read);
	ASSERT_EQ(0, ring_wait(ring, 10000, &ended));
	EXPECT_EQ(&read, ended);
	EXPECT_EQ(0, read.result);
	(void)sem_post(&flush_may_end);
	ASSERT_EQ(0, ring_wait(ring, 10000, &ended));
	EXPECT_EQ(&flush, ended);
	ring_close(ring);
	(void)close(file);
}

TEST(draining_waits_for_what_a_thread_has_begun)
{
	struct ring_op flush = { .kind = RING_FDATASYNC };
	struct ring_op *ended = NULL;
	struct ring *ring;
	pthread_t other;
	int file;

	ring = open_threads(&file);
	ASSERT_NE(NULL, ring);
	ring_submit(ring, &flush);
	while (!flush_began)
		(void)sched_yield();
	ASSERT_EQ(0, pthread_create(&other, NULL, let_flush_go, NULL));
	ring_drain(ring);
	EXPECT_TRUE(flush_ended);
	EXPECT_EQ(-ETIMEDOUT, ring_wait(ring, 10, &ended));
	(void)pthread_join(other, NULL);
	ring_close(ring);
	(void)close(file);
}

TEST(more_than_there_are_threads_all_end)
{
	struct ring_op reads[100];
	struct ring *ring;
	unsigned int nr = 0;
	int file;

	ring = open_threads(&file);
	ASSERT_NE(NULL, ring);
	for (unsigned int i = 0; i < 100; i++) {
		reads[i] = (struct ring_op){ .kind = RING_READ,
					     .offset = i * 4096,
					     .iov = { { ring_buffer(ring, 0) + i * 4096, 4096 } },
					     .nr_iov = 1 };
		ring_submit(ring, &reads[i]);
	}
	for (struct ring_op *ended; nr < 100 && !ring_wait(ring, 10000, &ended); nr++)
		EXPECT_EQ(0, ended->result);
	EXPECT_EQ(100, nr);
	ring_close(ring);
	(void)close(file);
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
