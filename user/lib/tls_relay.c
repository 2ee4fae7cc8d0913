// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two streams, each with one buffer, in a process of its own:
 *
 *	local -> records -> wire		wire -> records -> local
 *
 * A buffer is filled when it is empty, and emptied before it is filled again. GnuTLS reads and writes
 * these buffers, many records at a time, never a descriptor.
 *
 * The process is nobody's child: it ends when both streams have ended, or either side is gone. What
 * was said before the local side went still goes out, unless the peer takes none of it for a while.
 */
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "lib/keep_alive.h"
#include "lib/tls_private.h"

#define RECORD_BYTES   16384U
#define RECORDS	       16U
#define CLEAR_BYTES    (RECORDS * RECORD_BYTES)
/* header, type and tag; TLS 1.3 allows padding up to 256 in all */
#define SEALED_BYTES   (RECORDS * (RECORD_BYTES + 256 + 5))
#define NOBODY	       65534U
#define LINGER_MS      10000
#define WIRE	       0
#define LOCAL	       1

struct buffer {
	size_t start; /* of what is left of it */
	size_t end;
	uint8_t bytes[SEALED_BYTES];
};

struct stream {
	struct buffer sealed;
	struct buffer clear;
	bool ended; /* nothing more comes in */
	bool closed; /* and that was passed on */
};

struct relay {
	gnutls_session_t session;
	int wire;
	int local;
	struct stream out; /* to the wire */
	struct stream in;
};

static bool is_empty(const struct buffer *b)
{
	return b->start == b->end;
}

/* --- what GnuTLS calls --- */

static ssize_t pull(gnutls_transport_ptr_t context, void *buf, size_t len)
{
	struct relay *r = context;
	struct buffer *b = &r->in.sealed;
	size_t nr = min_of(len, b->end - b->start);

	if (!nr) {
		gnutls_transport_set_errno(r->session, EAGAIN);
		return -1;
	}
	memcpy(buf, b->bytes + b->start, nr);
	b->start += nr;
	return (ssize_t)nr;
}

static ssize_t push(gnutls_transport_ptr_t context, const void *buf, size_t len)
{
	struct relay *r = context;
	struct buffer *b = &r->out.sealed;

	if (len > sizeof(b->bytes) - b->end) {
		gnutls_transport_set_errno(r->session, EMSGSIZE);
		return -1;
	}
	memcpy(b->bytes + b->end, buf, len);
	b->end += len;
	return (ssize_t)len;
}

/* --- bytes --- */

/* 1: some came; 0: none for now, or the end; negative: broken. */
static int fill(int fd, struct buffer *b, size_t max, bool *ended)
{
	ssize_t got = recv(fd, b->bytes, max, MSG_DONTWAIT);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	*ended = !got;
	b->start = 0;
	b->end = (size_t)got;
	return got > 0;
}

static int drain(int fd, struct buffer *b)
{
	ssize_t sent;

	if (is_empty(b))
		return 0;
	sent = send(fd, b->bytes + b->start, b->end - b->start, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	b->start += (size_t)sent;
	return 0;
}

/* --- the streams --- */

static int seal(struct relay *r)
{
	struct buffer *clear = &r->out.clear;

	r->out.sealed.start = r->out.sealed.end = 0;
	while (!is_empty(clear)) {
		ssize_t taken = gnutls_record_send(r->session, clear->bytes + clear->start,
						   min_of(clear->end - clear->start,
							  (size_t)RECORD_BYTES));

		if (taken <= 0)
			return -EIO;
		clear->start += (size_t)taken;
	}
	return 0;
}

/* As many records as are whole, and fit. GnuTLS never learns of the end: it would send nothing more. */
static int open_records(struct relay *r)
{
	struct buffer *clear = &r->in.clear;

	clear->start = clear->end = 0;
	while (!is_empty(&r->in.sealed) && clear->end + RECORD_BYTES <= CLEAR_BYTES) {
		ssize_t got = gnutls_record_recv(r->session, clear->bytes + clear->end,
						 RECORD_BYTES);

		if (got == GNUTLS_E_AGAIN)
			return 0;
		if (got <= 0)
			return -EPROTO;
		clear->end += (size_t)got;
	}
	return 0;
}

static int close_stream(struct stream *s, int fd)
{
	if (!s->ended || s->closed || !is_empty(&s->sealed) || !is_empty(&s->clear))
		return 0;
	s->closed = true;
	return shutdown(fd, SHUT_WR) < 0 ? -errno : 0;
}

static int step_out(struct relay *r)
{
	int rc = 0;

	if (is_empty(&r->out.sealed) && !r->out.ended) {
		rc = fill(r->local, &r->out.clear, CLEAR_BYTES, &r->out.ended);
		if (rc > 0)
			rc = seal(r);
	}
	if (rc >= 0)
		rc = drain(r->wire, &r->out.sealed);
	return rc ? rc : close_stream(&r->out, r->wire);
}

static int step_in(struct relay *r)
{
	int rc = 0;

	if (is_empty(&r->in.clear)) {
		if (is_empty(&r->in.sealed) && !r->in.ended)
			rc = fill(r->wire, &r->in.sealed, sizeof(r->in.sealed.bytes), &r->in.ended);
		if (rc >= 0)
			rc = open_records(r);
	}
	if (!rc)
		rc = drain(r->local, &r->in.clear);
	return rc ? rc : close_stream(&r->in, r->local);
}

/* Also while there is more to read from it. */
static bool is_gone(int local)
{
	struct pollfd fd = { .fd = local };

	return poll(&fd, 1, 0) > 0 && fd.revents & (POLLHUP | POLLERR);
}

/* A descriptor of which nothing is wanted is not asked: its end would be reported without end. */
static int await(const struct relay *r)
{
	struct pollfd fds[] = {
		[WIRE] = { .fd = r->wire },
		[LOCAL] = { .fd = r->local },
	};
	int wait_ms = is_empty(&r->out.sealed) ? -1 : LINGER_MS;

	if (!is_empty(&r->out.sealed)) {
		fds[WIRE].events |= POLLOUT;
		if (is_empty(&r->in.clear))
			fds[LOCAL].fd = -1;
	} else if (!r->out.ended) {
		fds[LOCAL].events |= POLLIN;
	}
	if (!is_empty(&r->in.clear))
		fds[LOCAL].events |= POLLOUT;
	else if (!r->in.ended)
		fds[WIRE].events |= POLLIN;
	if (!fds[WIRE].events)
		fds[WIRE].fd = -1;
	for (;;) {
		int nr = poll(fds, ARRAY_SIZE(fds), wait_ms);

		if (nr > 0)
			break;
		if (!nr && is_gone(r->local))
			return -ETIMEDOUT;
		if (nr < 0 && errno != EINTR)
			return -errno;
	}
	/* Whoever held the other end is gone, and all that it said is on its way. */
	if (fds[LOCAL].revents & (POLLHUP | POLLERR) && r->out.ended && is_empty(&r->out.sealed))
		return -EPIPE;
	return fds[WIRE].revents & POLLERR ? -EIO : 0;
}

/* Records that came together with more than the buffer behind them holds: nothing will announce them. */
static bool has_records(const struct relay *r)
{
	return is_empty(&r->in.clear) && !is_empty(&r->in.sealed);
}

static void run(struct relay *r)
{
	int rc = 0;

	while (!rc) {
		rc = step_out(r);
		if (!rc)
			rc = step_in(r);
		if (r->out.closed && r->in.closed)
			return;
		if (!rc && !has_records(r))
			rc = await(r);
	}
}

/* --- the process --- */

/* Nothing of its parent's but the two descriptors, and no rights. */
static int confine(int wire, int local)
{
	unsigned int low = (unsigned int)min_of(wire, local);
	unsigned int high = (unsigned int)max_of(wire, local);

	if ((low && close_range(0, low - 1, 0) < 0) ||
	    (high > low + 1 && close_range(low + 1, high - 1, 0) < 0) ||
	    close_range(high + 1, ~0U, 0) < 0 || prctl(PR_SET_NAME, "failback-tls") < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (geteuid() == 0 &&
	    (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	     setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return -errno;
	return prctl(PR_SET_DUMPABLE, 0) < 0 ? -errno : 0;
}

static void relay_main(gnutls_session_t session, int wire, int local)
{
	static const int on = 1;
	struct relay *r = calloc(1, sizeof(*r));

	if (!r || confine(wire, local))
		return;
	r->session = session;
	r->wire = wire;
	r->local = local;
	keep_alive(wire);
	(void)setsockopt(wire, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	gnutls_transport_set_ptr(session, r);
	gnutls_transport_set_pull_function(session, pull);
	gnutls_transport_set_push_function(session, push);
	run(r);
}

/* The process between is its parent, and ends at once: nobody has to wait for the relay. */
static int fork_relay(gnutls_session_t session, int wire, int local)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		pid = fork();
		if (!pid)
			relay_main(session, wire, local);
		_exit(pid < 0);
	}
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status ? -EAGAIN : 0;
}

int tls_relay_start(gnutls_session_t session, int *fd, struct failure *f)
{
	cleanup_fd int near = -1;
	cleanup_fd int far = -1;
	int pair[2];
	int rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return failure_set(f, code_of_errno(errno), -errno, "Cannot make a socket: %s.",
				   strerror(errno));
	near = pair[0];
	far = pair[1];
	rc = fork_relay(session, *fd, far);
	if (rc)
		return failure_set(f, code_of_errno(rc), rc, "Cannot start a process for TLS: %s.",
				   strerror(-rc));
	(void)close_fd(*fd);
	*fd = steal_fd(&near);
	return 0;
}
