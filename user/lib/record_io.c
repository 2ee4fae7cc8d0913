// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/record_io.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macro.h"

static int wait_for_events(int fd, short events, uint64_t deadline_ns)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };
	int rc;

	do {
		rc = poll(&poll_fd, 1, deadline_left_ms(deadline_ns));
	} while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return -errno;
	return rc ? 0 : -ETIMEDOUT;
}

/* EPIPE and ECONNRESET are one thing to the reader: the peer is gone. */
static int peer_error(int error)
{
	return error == EPIPE ? -ECONNRESET : -error;
}

static int write_all(int fd, struct iovec *iov, size_t nr_iov, uint64_t deadline_ns)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = nr_iov };

	while (msg.msg_iovlen) {
		ssize_t sent = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0) {
			int rc = 0;

			if (errno == EAGAIN)
				rc = wait_for_events(fd, POLLOUT, deadline_ns);
			else if (errno != EINTR)
				rc = peer_error(errno);
			if (rc)
				return rc;
			continue;
		}
		while (msg.msg_iovlen && (size_t)sent >= msg.msg_iov->iov_len) {
			sent -= (ssize_t)msg.msg_iov->iov_len;
			msg.msg_iov++;
			msg.msg_iovlen--;
		}
		if (msg.msg_iovlen) {
			msg.msg_iov->iov_base = (char *)msg.msg_iov->iov_base + sent;
			msg.msg_iov->iov_len -= (size_t)sent;
		}
	}
	return 0;
}

static int read_all(int fd, void *buf, size_t len, uint64_t deadline_ns)
{
	char *at = buf;

	while (len) {
		ssize_t got = recv(fd, at, len, MSG_DONTWAIT);
		int rc = 0;

		if (got > 0) {
			at += got;
			len -= (size_t)got;
			continue;
		}
		if (!got)
			return -ECONNRESET;
		if (errno == EAGAIN)
			rc = wait_for_events(fd, POLLIN, deadline_ns);
		else if (errno != EINTR)
			rc = peer_error(errno);
		if (rc)
			return rc;
	}
	return 0;
}

static int explain(int rc, struct failure *f)
{
	switch (rc) {
	case -ETIMEDOUT:
		return failure_set(f, CODE_TIMEOUT, rc, "the peer does not answer in time");
	case -ECONNRESET:
		return failure_set(f, CODE_NOT_AVAILABLE, rc, "the peer closed the connection");
	default:
		return failure_set(f, code_of_errno(rc), rc, "the connection failed: %s",
				   strerror(-rc));
	}
}

static int refuse(uint64_t sequence, enum wire_fault fault, struct failure *f)
{
	return failure_set(f, CODE_FAILED, -EPROTO, "record %llu of the peer %s",
			   (unsigned long long)sequence, wire_fault_text(fault));
}

int record_write(int fd, enum cbt_wire_type type, uint64_t sequence, const void *body, size_t len,
		 uint64_t deadline_ns, struct failure *f)
{
	struct wire_header h = { .type = (uint16_t)type,
				 .body_len = (uint32_t)len,
				 .sequence = sequence };
	uint8_t head[WIRE_HEADER_BYTES];
	struct iovec iov[2] = {
		{ .iov_base = head, .iov_len = sizeof(head) },
		{ .iov_base = (void *)body, .iov_len = len },
	};
	struct wire_header decoded;
	enum wire_fault fault;
	int rc;

	if (len > CBT_WIRE_TEXT_MAX)
		return failure_set(f, CODE_FAILED, -EMSGSIZE,
				   "a %s of %zu bytes is too long to be sent", wire_type_name(type),
				   len);
	wire_seal(&h, NULL, body, head);
	fault = wire_header_decode(head, &decoded);
	if (fault)
		return failure_set(f, CODE_FAILED, -EINVAL, "a %s record of %zu bytes %s",
				   wire_type_name(type), len, wire_fault_text(fault));
	rc = write_all(fd, iov, ARRAY_SIZE(iov), deadline_ns);
	return rc ? explain(rc, f) : 0;
}

int record_read(int fd, uint64_t sequence, struct wire_header *ret, uint8_t **ret_body,
		uint64_t deadline_ns, struct failure *f)
{
	cleanup_free uint8_t *body = NULL;
	uint8_t head[WIRE_HEADER_BYTES];
	enum wire_fault fault;
	struct wire_header h;
	int rc;

	rc = read_all(fd, head, sizeof(head), deadline_ns);
	if (rc)
		return explain(rc, f);
	fault = wire_header_decode(head, &h);
	if (fault)
		return refuse(sequence, fault, f);
	if (h.nr_extents)
		return failure_set(f, CODE_FAILED, -EPROTO,
				   "the peer sent %s where a control record is due",
				   wire_type_name(h.type));

	body = malloc(h.body_len + 1);
	if (!body)
		return failure_no_memory(f);
	rc = read_all(fd, body, h.body_len, deadline_ns);
	if (rc)
		return explain(rc, f);
	body[h.body_len] = '\0';
	if (!wire_check_matches(&h, head, body))
		return refuse(sequence, WIRE_FAULT_CHECK, f);
	if (h.sequence != sequence)
		return failure_set(f, CODE_FAILED, -EPROTO,
				   "the peer sent record %llu where %llu is due",
				   (unsigned long long)h.sequence, (unsigned long long)sequence);
	*ret = h;
	*ret_body = steal_ptr(body);
	return 0;
}

int record_write_text(int fd, enum cbt_wire_type type, uint64_t sequence, const char *text,
		      uint64_t deadline_ns, struct failure *f)
{
	return record_write(fd, type, sequence, text, strlen(text), deadline_ns, f);
}

int record_read_text(int fd, enum cbt_wire_type type, uint64_t sequence, char **ret_text,
		     uint64_t deadline_ns, struct failure *f)
{
	cleanup_free uint8_t *body = NULL;
	struct wire_header h;
	struct failure peer;
	int rc;

	rc = record_read(fd, sequence, &h, &body, deadline_ns, f);
	if (rc)
		return rc;
	if (h.type == CBT_WIRE_FAILED && !wire_failed_decode(body, h.body_len, &peer))
		return failure_set(f, peer.code, -EREMOTEIO, "%s", peer.text);
	if (h.type != type)
		return failure_set(f, CODE_FAILED, -EPROTO, "the peer sent %s where %s is due",
				   wire_type_name(h.type), wire_type_name(type));
	if (memchr(body, '\0', h.body_len))
		return failure_set(f, CODE_FAILED, -EPROTO,
				   "the peer sent a %s with NUL in its text",
				   wire_type_name(h.type));
	*ret_text = (char *)steal_ptr(body);
	return 0;
}

int record_write_failed(int fd, uint64_t sequence, const struct failure *why, uint64_t deadline_ns)
{
	uint8_t body[sizeof(struct cbt_wire_failed) + sizeof(why->text)];

	return record_write(fd, CBT_WIRE_FAILED, sequence, body, wire_failed_encode(why, body),
			    deadline_ns, NULL);
}
