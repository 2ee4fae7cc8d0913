// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each engine has two entry points: start an operation, and find one that made progress. Everything
 * else is common: progress() decides whether an operation has ended or goes on, so that short
 * transfers are treated in one place.
 *
 * threads hands files to lib/file_threads.h, and runs sockets inside ring_wait() whenever they are ready:
 * neither holds up the other.
 *
 * Files in memory (tmpfs) never wait, and either engine would hand each of their operations to a thread:
 * its memory then goes through two processors' caches. So they are run by the ring's own thread, one
 * operation at a time, whenever nothing else has ended.
 *
 * io_uring's queues are submitted when ring_wait() finds nothing that has ended: a burst of
 * completions and the operations that their owners start in turn cost one system call.
 */
#include "lib/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macro.h"
#include "lib/file_threads.h"

#define SQ_ENTRIES	  512U
#define CQ_ENTRIES	  8192U
#define DRAIN_PATIENCE_MS 100
#define POLL_MAX	  16U /* sockets that are waited for at once; more would be looked at now and then */
#define POOL_ALIGN	  (2U << 20) /* a huge page */

struct queue {
	struct ring_op *first;
	struct ring_op **end;
};

struct ring {
	bool is_uring;
	bool has_fixed_buffers;
	struct io_uring uring;
	unsigned int nr_in_flight;

	int *fds;
	bool *in_memory; /* of each descriptor: a file that never waits */
	int *send_flags; /* of each descriptor, should it be a socket */
	unsigned int nr_fds;
	uint8_t *pool;
	unsigned int nr_buffers;

	struct queue files; /* in memory */

	/* without io_uring */
	struct file_threads *threads;
	struct queue sockets; /* and polls */
};

/* --- queue --- */

static void queue_init(struct queue *q)
{
	q->first = NULL;
	q->end = &q->first;
}

static void queue_push(struct queue *q, struct ring_op *op)
{
	op->next = NULL;
	*q->end = op;
	q->end = &op->next;
}

static void queue_remove(struct queue *q, struct ring_op **at)
{
	if (q->end == &(*at)->next)
		q->end = at;
	*at = (*at)->next;
}

/* --- common --- */

static bool is_transfer(const struct ring_op *op)
{
	return op->kind == RING_READ || op->kind == RING_WRITE || op->kind == RING_SEND ||
	       op->kind == RING_RECV;
}

static int end_of_data(const struct ring_op *op)
{
	switch (op->kind) {
	case RING_READ:
		return -ENODATA;
	case RING_WRITE:
		return -EIO;
	default:
		return -ECONNRESET;
	}
}

static void iov_advance(struct ring_op *op, size_t bytes)
{
	unsigned int done = 0;

	op->offset += bytes;
	while (done < op->nr_iov && bytes >= op->iov[done].iov_len)
		bytes -= op->iov[done++].iov_len;
	op->nr_iov -= done;
	memmove(op->iov, op->iov + done, op->nr_iov * sizeof(op->iov[0]));
	if (op->nr_iov) {
		op->iov[0].iov_base = (char *)op->iov[0].iov_base + bytes;
		op->iov[0].iov_len -= bytes;
	}
}

/* Whether @op has ended now that the kernel returned @rc for it. */
static bool progress(struct ring_op *op, int rc)
{
	if (rc == -EAGAIN || rc == -EINTR)
		return false;
	op->result = rc == -EPIPE ? -ECONNRESET : min_of(rc, 0);
	if (rc < 0 || !is_transfer(op))
		return true;
	if (!rc) {
		op->result = end_of_data(op);
		return true;
	}
	iov_advance(op, (size_t)rc);
	return !op->nr_iov;
}

static int pool_alloc(struct ring *ring, unsigned int nr_buffers)
{
	size_t bytes = (size_t)nr_buffers * RING_BUFFER_BYTES;
	void *pool;

	if (posix_memalign(&pool, POOL_ALIGN, round_up_to(bytes, (size_t)POOL_ALIGN)))
		return -ENOMEM;
	(void)madvise(pool, bytes, MADV_HUGEPAGE);
	memset(pool, 0, bytes); /* no page fault falls into the transfer */
	ring->pool = pool;
	ring->nr_buffers = nr_buffers;
	return 0;
}

static int errno_of(ssize_t rc)
{
	return rc < 0 ? -errno : (int)rc;
}

static bool is_file_op(const struct ring_op *op)
{
	return op->kind != RING_SEND && op->kind != RING_RECV && op->kind != RING_POLL;
}

/* One step of the first operation on a file in memory. */
static bool files_run(struct ring *ring, struct ring_op **ret, int *ret_rc)
{
	if (!ring->files.first)
		return false;
	*ret = ring->files.first;
	queue_remove(&ring->files, &ring->files.first);
	*ret_rc = file_op_run(ring->fds[(*ret)->file], *ret);
	return true;
}

static bool fd_is_in_memory(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

/* Where the kernel makes records of TLS it refuses to wait until all is sent: then we go on ourselves. */
static int send_flags_of(int fd)
{
	char protocol[16] = "";
	socklen_t len = sizeof(protocol) - 1;

	if (getsockopt(fd, IPPROTO_TCP, TCP_ULP, protocol, &len) == 0 && strcmp(protocol, "tls") == 0)
		return MSG_NOSIGNAL;
	return MSG_NOSIGNAL | MSG_WAITALL;
}

/* --- io_uring --- */

static int uring_init(struct io_uring *uring)
{
	static const unsigned int flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			IORING_SETUP_TASKRUN_FLAG,
		IORING_SETUP_COOP_TASKRUN,
		0,
	};
	int rc = -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(flags) && rc == -EINVAL; i++) {
		struct io_uring_params params = {
			.flags = flags[i] | IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED,
			.cq_entries = CQ_ENTRIES,
		};

		rc = io_uring_queue_init_params(SQ_ENTRIES, uring, &params);
	}
	return rc;
}

/* liburing 2.3 declares functions for what is needed here, and does not export them. */
static int uring_register(const struct io_uring *uring, unsigned int what, const void *argument,
			  unsigned int nr)
{
	return syscall(SYS_io_uring_register, uring->ring_fd, what, argument, nr) < 0 ? -errno : 0;
}

/* What it may be told from now on; no filter of system calls sees its operations. */
static int uring_restrict(struct io_uring *uring)
{
	static const uint8_t ops[] = {
		IORING_OP_READV,	IORING_OP_READ_FIXED, IORING_OP_WRITEV,	 IORING_OP_WRITE_FIXED,
		IORING_OP_FALLOCATE,	IORING_OP_FSYNC,      IORING_OP_SENDMSG, IORING_OP_RECVMSG,
		IORING_OP_POLL_ADD,	IORING_OP_ASYNC_CANCEL,
	};
	struct io_uring_restriction all[ARRAY_SIZE(ops) + 2] = {
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_FIXED_FILE },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_UNREGISTER_FILES },
	};
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		all[i + 2] = (struct io_uring_restriction){ .opcode = IORING_RESTRICTION_SQE_OP,
							    .sqe_op = ops[i] };
	rc = uring_register(uring, IORING_REGISTER_RESTRICTIONS, all, ARRAY_SIZE(all));
	return rc ? rc : uring_register(uring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

/* io_uring gives EAGAIN back for descriptors with O_NONBLOCK instead of waiting for them. */
static void sockets_make_blocking(const struct ring *ring)
{
	for (unsigned int i = 0; i < ring->nr_fds; i++) {
		int flags = fcntl(ring->fds[i], F_GETFL);

		if (flags >= 0 && flags & O_NONBLOCK)
			(void)fcntl(ring->fds[i], F_SETFL, flags & ~O_NONBLOCK);
	}
}

static bool uring_open(struct ring *ring)
{
	const char *refused = getenv("FAILBACK_NO_IO_URING");
	struct iovec *iovs;

	if (refused && strcmp(refused, "1") == 0)
		return false;
	if (uring_init(&ring->uring) < 0)
		return false;
	if (io_uring_register_files(&ring->uring, ring->fds, ring->nr_fds) < 0) {
		io_uring_queue_exit(&ring->uring);
		return false;
	}

	/*
	 * Locked memory is limited for users other than root; without registration the same I/O
	 * costs a little more.
	 */
	iovs = calloc(ring->nr_buffers, sizeof(*iovs));
	for (unsigned int i = 0; iovs && i < ring->nr_buffers; i++)
		iovs[i] = (struct iovec){ ring_buffer(ring, i), RING_BUFFER_BYTES };
	ring->has_fixed_buffers =
		iovs && io_uring_register_buffers(&ring->uring, iovs, ring->nr_buffers) == 0;
	free(iovs);
	if (uring_restrict(&ring->uring) < 0) {
		io_uring_queue_exit(&ring->uring);
		return false;
	}
	sockets_make_blocking(ring);
	return true;
}

/* The registered buffer that holds the one piece of @op, or -1. */
static int fixed_buffer(const struct ring *ring, const struct ring_op *op)
{
	const uint8_t *at = op->iov[0].iov_base;
	size_t pool_bytes = (size_t)ring->nr_buffers * RING_BUFFER_BYTES;
	size_t offset;

	if (!ring->has_fixed_buffers || op->nr_iov != 1 || at < ring->pool ||
	    at >= ring->pool + pool_bytes)
		return -1;
	offset = (size_t)(at - ring->pool);
	if (offset % RING_BUFFER_BYTES + op->iov[0].iov_len > RING_BUFFER_BYTES)
		return -1;
	return (int)(offset / RING_BUFFER_BYTES);
}

static void uring_prep_file(struct ring *ring, struct ring_op *op, struct io_uring_sqe *sqe)
{
	const struct iovec *iov = &op->iov[0];
	int file = (int)op->file;
	int fixed = fixed_buffer(ring, op);

	if (op->kind == RING_READ && fixed >= 0)
		io_uring_prep_read_fixed(sqe, file, iov->iov_base, (unsigned int)iov->iov_len,
					 op->offset, fixed);
	else if (op->kind == RING_READ)
		io_uring_prep_readv(sqe, file, op->iov, op->nr_iov, op->offset);
	else if (fixed >= 0)
		io_uring_prep_write_fixed(sqe, file, iov->iov_base, (unsigned int)iov->iov_len,
					  op->offset, fixed);
	else
		io_uring_prep_writev(sqe, file, op->iov, op->nr_iov, op->offset);
}

static struct io_uring_sqe *sqe_get(struct ring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	while (!sqe) {
		(void)io_uring_submit(&ring->uring);
		sqe = io_uring_get_sqe(&ring->uring);
	}
	return sqe;
}

static void uring_start(struct ring *ring, struct ring_op *op)
{
	struct io_uring_sqe *sqe = sqe_get(ring);
	int file = (int)op->file;

	switch (op->kind) {
	case RING_READ:
	case RING_WRITE:
		uring_prep_file(ring, op, sqe);
		break;
	case RING_FALLOCATE:
		io_uring_prep_fallocate(sqe, file, op->mode, (off_t)op->offset, (off_t)op->length);
		break;
	case RING_FDATASYNC:
		io_uring_prep_fsync(sqe, file, IORING_FSYNC_DATASYNC);
		break;
	case RING_SEND:
		op->msg = (struct msghdr){ .msg_iov = op->iov, .msg_iovlen = op->nr_iov };
		io_uring_prep_sendmsg(sqe, file, &op->msg,
				       (unsigned int)ring->send_flags[op->file]);
		break;
	case RING_RECV:
		op->msg = (struct msghdr){ .msg_iov = op->iov, .msg_iovlen = op->nr_iov };
		io_uring_prep_recvmsg(sqe, file, &op->msg, MSG_WAITALL);
		break;
	case RING_POLL:
		io_uring_prep_poll_add(sqe, file, POLLIN);
		break;
	}
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, op);
}

/* Returns 1 and a completion, or 0 when there is none within the time, or a negative errno. */
static int uring_next(struct ring *ring, int timeout_ms, struct ring_op **ret, int *ret_rc)
{
	struct __kernel_timespec timeout = {
		.tv_sec = timeout_ms / 1000,
		.tv_nsec = (long long)(timeout_ms % 1000) * (long long)NS_PER_MS,
	};
	struct io_uring_cqe *cqe = NULL;
	int rc;

	if (io_uring_peek_cqe(&ring->uring, &cqe) || !cqe) {
		if (ring->files.first && io_uring_sq_ready(&ring->uring))
			(void)io_uring_submit(&ring->uring);
		if (files_run(ring, ret, ret_rc))
			return 1;
		rc = io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1, &timeout, NULL);
		if (rc < 0 && rc != -ETIME && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
			return rc;
		if (rc < 0 || !cqe)
			return 0;
	}
	*ret = io_uring_cqe_get_data(cqe);
	*ret_rc = cqe->res;
	io_uring_cqe_seen(&ring->uring, cqe);
	return 1;
}

/* --- threads --- */

static int socket_run(const struct ring *ring, struct ring_op *op)
{
	struct msghdr msg = { .msg_iov = op->iov, .msg_iovlen = op->nr_iov };
	struct pollfd poll_fd = { .fd = ring->fds[op->file], .events = POLLIN };
	int rc;

	switch (op->kind) {
	case RING_SEND:
		return errno_of(sendmsg(ring->fds[op->file], &msg, MSG_NOSIGNAL | MSG_DONTWAIT));
	case RING_RECV:
		return errno_of(recvmsg(ring->fds[op->file], &msg, MSG_DONTWAIT));
	default:
		rc = errno_of(poll(&poll_fd, 1, 0));
		return rc ? rc : -EAGAIN;
	}
}

static int threads_wait(const struct ring *ring, int timeout_ms)
{
	struct pollfd poll_fds[POLL_MAX] = { { .fd = file_threads_fd(ring->threads), .events = POLLIN } };
	nfds_t nr = 1;

	for (const struct ring_op *op = ring->sockets.first; op && nr < ARRAY_SIZE(poll_fds);
	     op = op->next)
		poll_fds[nr++] = (struct pollfd){
			.fd = ring->fds[op->file],
			.events = op->kind == RING_SEND ? POLLOUT : POLLIN,
		};
	return errno_of(poll(poll_fds, nr, timeout_ms));
}

static bool sockets_run(struct ring *ring, struct ring_op **ret, int *ret_rc)
{
	for (struct ring_op **at = &ring->sockets.first; *at; at = &(*at)->next) {
		int rc = socket_run(ring, *at);

		if (rc == -EAGAIN || rc == -EINTR)
			continue;
		*ret = *at;
		*ret_rc = rc;
		queue_remove(&ring->sockets, at);
		return true;
	}
	return false;
}

/* As uring_next(). */
static int threads_next(struct ring *ring, int timeout_ms, struct ring_op **ret, int *ret_rc)
{
	int rc;

	if (sockets_run(ring, ret, ret_rc) || file_threads_next(ring->threads, ret, ret_rc) ||
	    files_run(ring, ret, ret_rc))
		return 1;
	rc = threads_wait(ring, timeout_ms);
	return rc < 0 && rc != -EINTR ? rc : 0;
}

/* --- either --- */

int ring_open(struct ring **ret, const int *fds, unsigned int nr_fds, unsigned int nr_buffers,
	      struct failure *f)
{
	struct ring *ring;

	if (!nr_fds || nr_fds > RING_FILES_MAX)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "%u descriptors are too many", nr_fds);
	ring = calloc(1, sizeof(*ring));
	if (!ring)
		return failure_no_memory(f);
	queue_init(&ring->files);
	queue_init(&ring->sockets);
	ring->fds = calloc(nr_fds, sizeof(*fds));
	ring->in_memory = calloc(nr_fds, sizeof(*ring->in_memory));
	ring->send_flags = calloc(nr_fds, sizeof(*ring->send_flags));
	if (!ring->fds || !ring->in_memory || !ring->send_flags || pool_alloc(ring, nr_buffers) < 0) {
		ring_close(ring);
		return failure_no_memory(f);
	}
	memcpy(ring->fds, fds, nr_fds * sizeof(*fds));
	for (unsigned int i = 0; i < nr_fds; i++) {
		ring->in_memory[i] = fd_is_in_memory(fds[i]);
		ring->send_flags[i] = send_flags_of(fds[i]);
	}
	ring->nr_fds = nr_fds;
	ring->is_uring = uring_open(ring);
	if (!ring->is_uring) {
		int rc = file_threads_open(ring->fds, &ring->threads, f);

		if (rc) {
			ring_close(ring);
			return rc;
		}
	}
	*ret = ring;
	return 0;
}

void ring_close(struct ring *ring)
{
	if (!ring)
		return;
	if (ring->is_uring) {
		/* The kernel would let go of them some time after the process has ended only. */
		(void)io_uring_unregister_files(&ring->uring);
		io_uring_queue_exit(&ring->uring);
	}
	file_threads_close_at(&ring->threads);
	free(ring->pool);
	free(ring->in_memory);
	free(ring->send_flags);
	free(ring->fds);
	free(ring);
}

void ring_close_at(struct ring **ring)
{
	ring_close(*ring);
	*ring = NULL;
}

const char *ring_engine_name(const struct ring *ring)
{
	return ring->is_uring ? "io_uring" : "threads";
}

uint8_t *ring_buffer(const struct ring *ring, unsigned int index)
{
	return ring->pool + (size_t)index * RING_BUFFER_BYTES;
}

static void op_start(struct ring *ring, struct ring_op *op)
{
	if (is_file_op(op) && ring->in_memory[op->file])
		queue_push(&ring->files, op);
	else if (ring->is_uring)
		uring_start(ring, op);
	else if (is_file_op(op))
		file_threads_start(ring->threads, op);
	else
		queue_push(&ring->sockets, op);
}

void ring_submit(struct ring *ring, struct ring_op *op)
{
	ring->nr_in_flight++;
	op_start(ring, op);
}

int ring_wait(struct ring *ring, int timeout_ms, struct ring_op **ret)
{
	uint64_t deadline = deadline_in_ms((uint64_t)timeout_ms);

	for (;;) {
		int left_ms = deadline_left_ms(deadline);
		struct ring_op *op = NULL;
		int op_rc = 0;
		int rc;

		rc = ring->is_uring ? uring_next(ring, left_ms, &op, &op_rc)
				    : threads_next(ring, left_ms, &op, &op_rc);
		if (rc < 0)
			return rc;
		if (!rc && !left_ms)
			return -ETIMEDOUT;
		if (!rc || !op) /* no op: the cancellation of ring_drain() */
			continue;
		if (progress(op, op_rc)) {
			ring->nr_in_flight--;
			*ret = op;
			return 0;
		}
		op_start(ring, op);
	}
}

static void cancel_all(struct ring *ring)
{
	struct io_uring_sqe *sqe = sqe_get(ring);

	io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
	io_uring_sqe_set_data(sqe, NULL);
}

void ring_drain(struct ring *ring)
{
	while (ring->files.first) {
		queue_remove(&ring->files, &ring->files.first);
		ring->nr_in_flight--;
	}
	if (!ring->is_uring) {
		file_threads_drain(ring->threads);
		queue_init(&ring->sockets);
		ring->nr_in_flight = 0;
		return;
	}
	cancel_all(ring);
	while (ring->nr_in_flight) {
		struct ring_op *op = NULL;
		int rc;
		int op_rc;

		/*
		 * The kernel takes up again what was moved on by a part when the cancellation
		 * came, and then it waits for a peer that may be gone: so more than once.
		 */
		rc = uring_next(ring, DRAIN_PATIENCE_MS, &op, &op_rc);
		if (rc < 0)
			return;
		if (!rc)
			cancel_all(ring);
		else if (op)
			ring->nr_in_flight--;
	}
}
