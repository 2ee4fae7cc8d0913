// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define BACKLOG	  16 /* connections that come faster than they are accepted, or that nobody wants */
#define SILENCE_S 60 /* after which one that says nothing is accepted all the same */

static int explain(const char *what, const struct address *a, int error, struct failure *f)
{
	char text[ADDRESS_TEXT_MAX];

	return failure_set(f, code_of_errno(error), -error, "Cannot %s %s: %s.", what,
			   address_format(a, text), strerror(error));
}

static int explain_dial(const struct address *peer, int error, struct failure *f)
{
	char text[ADDRESS_TEXT_MAX];

	(void)address_format(peer, text);
	if (error == ECONNREFUSED)
		return failure_set(f, CODE_NOT_AVAILABLE, -error, "Nobody listens on %s.", text);
	if (error == ETIMEDOUT)
		return failure_set(f, CODE_TIMEOUT, -error, "%s does not answer.", text);
	return failure_set(f, CODE_NOT_AVAILABLE, -error, "Cannot connect to %s: %s.", text,
			   strerror(error));
}

/* How a connect(2) that was begun ends: 0 or an errno. */
static int await_connected(int fd, uint64_t deadline_ns)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int error = 0;
	int rc;

	do {
		rc = poll(&poll_fd, 1, deadline_left_ms(deadline_ns));
	} while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return errno;
	if (!rc)
		return ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? errno : error;
}

static int bind_from(int fd, const struct address *local, const struct address *peer, struct failure *f)
{
	struct address from;

	if (!local || address_is_any(local) || local->addr.ss_family != peer->addr.ss_family)
		return 0;
	from = *local;
	address_set_port(&from, 0);
	return bind(fd, (const struct sockaddr *)&from.addr, from.len) < 0 ?
		       explain("connect from", local, errno, f) :
		       0;
}

int dial(const struct address *peer, const struct address *local, uint64_t deadline_ns, int *ret_fd,
	 struct failure *f)
{
	cleanup_fd int fd =
		socket(peer->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = 0;
	int rc;

	if (fd < 0)
		return explain_dial(peer, errno, f);
	rc = bind_from(fd, local, peer, f);
	if (rc)
		return rc;
	if (connect(fd, (const struct sockaddr *)&peer->addr, peer->len) < 0)
		error = errno == EINPROGRESS ? await_connected(fd, deadline_ns) : errno;
	if (error)
		return explain_dial(peer, error, f);
	*ret_fd = steal_fd(&fd);
	return 0;
}

int dial_shake_hands(struct tls *t, int fd, uint64_t deadline_ns, struct failure *f)
{
	int rc;

	while ((rc = tls_step(t, fd, f)) > 0) {
		struct pollfd poll_fd = { .fd = fd, .events = rc == EPOLLIN ? POLLIN : POLLOUT };
		int nr = poll(&poll_fd, 1, deadline_left_ms(deadline_ns));

		if (!nr)
			return failure_set(f, CODE_TIMEOUT, -ETIMEDOUT,
					   "The other side does not go on with the handshake of TLS.");
		if (nr < 0 && errno != EINTR)
			return failure_set(f, CODE_FAILED, -errno, "Cannot wait for the other side: %s.",
					   strerror(errno));
	}
	return rc;
}

int dial_listen(const struct address *local, int *ret_fd, struct failure *f)
{
	cleanup_fd int fd = socket(local->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[ADDRESS_TEXT_MAX];
	int silence = SILENCE_S;
	int one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		return explain("listen on", local, errno, f);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &silence, sizeof(silence));
	if (bind(fd, (const struct sockaddr *)&local->addr, local->len) < 0 || listen(fd, BACKLOG) < 0) {
		if (errno == EADDRINUSE)
			return failure_set(f, CODE_IN_USE, -errno,
					   "Cannot listen on %s: another program does.",
					   address_format(local, text));
		return explain("listen on", local, errno, f);
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

int dial_accept(int listener, int *ret_fd, struct address *ret_peer, struct failure *f)
{
	struct address peer = { .len = sizeof(peer.addr) };
	int fd;

	do {
		fd = accept4(listener, (struct sockaddr *)&peer.addr, &peer.len, SOCK_CLOEXEC);
	} while (fd < 0 && errno == ECONNABORTED);
	if (fd < 0)
		return failure_set(f, code_of_errno(errno), -errno,
				   "Cannot accept a connection: %s.", strerror(errno));
	*ret_fd = fd;
	*ret_peer = peer;
	return 0;
}
