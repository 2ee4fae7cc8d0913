// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One buffer, one direction at a time:
 *
 *	IDLE -> CONNECTING [-> HANDSHAKING] -> IDLE
 *	IDLE -> HANDSHAKING -> IDLE                        of a listener
 *	IDLE -> SENDING -> IDLE                            a REPLY
 *	IDLE -> SENDING -> RECEIVING_HEAD -> RECEIVING_BODY -> IDLE      a CALL and its REPLY
 *	IDLE -> RECEIVING_HEAD -> RECEIVING_BODY -> IDLE                 a CALL
 *
 * finish() is the only way back to IDLE; it is the last thing its caller does, because the
 * function it calls may free the connection.
 */
#include "lib/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/wire.h"

enum conn_state {
	CONN_IDLE,
	CONN_CONNECTING,
	CONN_HANDSHAKING,
	CONN_SENDING,
	CONN_RECEIVING_HEAD,
	CONN_RECEIVING_BODY,
};

struct conn {
	int fd;
	enum conn_state state;
	struct address peer;
	sd_event *event;
	sd_event_source *io;
	sd_event_source *timer;
	conn_fn fn;
	void *context;

	struct tls *tls; /* until the handshake is over */
	enum protection protection;
	char fingerprint[FINGERPRINT_TEXT_MAX];

	uint64_t sequence_sent;
	uint64_t sequence_received;
	enum cbt_wire_type wanted; /* to be received; 0 when the operation ends with sending */
	struct wire_header header;
	uint8_t head[WIRE_HEADER_BYTES];
	uint8_t *buf; /* a record to send, or a body to receive */
	size_t len; /* of what is under way */
	size_t done;
};

/* --- the end of an operation --- */

static void finish(struct conn *c, int error, const struct failure *why, const char *text)
{
	conn_fn fn = c->fn;
	void *context = c->context;

	c->state = CONN_IDLE;
	c->fn = NULL;
	(void)sd_event_source_set_enabled(c->io, SD_EVENT_OFF);
	(void)sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
	fn(context, error, why, text);
}

static void finish_received(struct conn *c)
{
	/* The function may free the connection: the text has to outlive it. */
	cleanup_free char *text = (char *)steal_ptr(c->buf);

	finish(c, 0, NULL, text);
}

static void finish_failed(struct conn *c, enum code code, int error, const char *what)
{
	char peer[ADDRESS_TEXT_MAX];
	struct failure why;

	(void)failure_set(&why, code, error, "Peer %s: %s%s", address_format(&c->peer, peer), what,
			  text_full_stop(what));
	finish(c, error, &why, NULL);
}

/* What begins like a record of TLS, on a connection without it. */
static bool speaks_tls(const struct conn *c)
{
	return c->protection == PROTECTION_NONE && c->state == CONN_RECEIVING_HEAD && c->done &&
	       (c->head[0] == TLS_RECORD_HANDSHAKE || c->head[0] == TLS_RECORD_ALERT);
}

static void finish_speaks_tls(struct conn *c)
{
	finish_failed(c, CODE_ACCESS_DENIED, -EPROTO,
		      "it speaks TLS: on one host, the setting plain names the other, and not the other "
		      "way round");
}

static void finish_system_error(struct conn *c, int error)
{
	if (speaks_tls(c))
		finish_speaks_tls(c);
	else if (error == EPIPE || error == ECONNRESET)
		finish_failed(c, CODE_NOT_AVAILABLE, -ECONNRESET,
			      "it closed the connection; look into the log of failbackd there");
	else
		finish_failed(c, code_of_errno(error), -error, strerror(error));
}

static void finish_fault(struct conn *c, enum wire_fault fault)
{
	char text[160];

	(void)snprintf(text, sizeof(text), "a record %s", wire_fault_text(fault));
	finish_failed(c, CODE_FAILED, -EPROTO, text);
}

/* --- connecting --- */

/*
 * The descriptor may be another one afterwards. The loop has to forget the old one before: a process
 * of TLS keeps it open.
 */
static void on_handshake(struct conn *c)
{
	struct failure why;
	int rc = tls_step(c->tls, c->fd, &why);

	if (rc > 0) {
		(void)sd_event_source_set_io_events(c->io, (uint32_t)rc);
		return;
	}
	(void)sd_event_source_set_enabled(c->io, SD_EVENT_OFF);
	(void)strcpy(c->fingerprint, tls_fingerprint(c->tls));
	if (!rc)
		rc = tls_hand_over(c->tls, &c->fd, &c->protection, &why);
	(void)sd_event_source_set_io_fd(c->io, c->fd);
	tls_free_at(&c->tls);
	finish(c, rc, rc ? &why : NULL, NULL);
}

static void on_connected(struct conn *c)
{
	socklen_t len = sizeof(int);
	char text[160];
	int error = 0;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (!error && c->tls) {
		c->state = CONN_HANDSHAKING;
		on_handshake(c);
		return;
	}
	if (!error) {
		finish(c, 0, NULL, NULL);
		return;
	}
	(void)snprintf(text, sizeof(text), "cannot connect: %s; is failbackd running there?",
		       strerror(error));
	finish_failed(c, error == ETIMEDOUT ? CODE_TIMEOUT : CODE_NOT_AVAILABLE, -error, text);
}

/* --- sending --- */

static void receive_next(struct conn *c)
{
	c->state = CONN_RECEIVING_HEAD;
	c->len = WIRE_HEADER_BYTES;
	c->done = 0;
	(void)sd_event_source_set_io_events(c->io, EPOLLIN);
}

static void on_writable(struct conn *c)
{
	ssize_t sent = send(c->fd, c->buf + c->done, c->len - c->done, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent < 0) {
		if (errno != EAGAIN && errno != EINTR)
			finish_system_error(c, errno);
		return;
	}
	c->done += (size_t)sent;
	if (c->done < c->len)
		return;
	free(steal_ptr(c->buf));
	if (c->wanted)
		receive_next(c);
	else
		finish(c, 0, NULL, NULL);
}

/* --- receiving --- */

static void on_head(struct conn *c)
{
	enum wire_fault fault = wire_header_decode(c->head, &c->header);

	if (fault && speaks_tls(c)) {
		finish_speaks_tls(c);
		return;
	}
	if (fault) {
		finish_fault(c, fault);
		return;
	}
	if (c->header.nr_extents || c->header.body_len > CBT_WIRE_TEXT_MAX ||
	    (c->header.type != c->wanted && c->header.type != CBT_WIRE_FAILED) ||
	    c->header.sequence != c->sequence_received) {
		finish_failed(c, CODE_FAILED, -EPROTO, "it sent a record that is not due here");
		return;
	}
	c->buf = malloc((size_t)c->header.body_len + 1);
	if (!c->buf) {
		finish_failed(c, CODE_OUT_OF_MEMORY, -ENOMEM, "out of memory on this host");
		return;
	}
	c->state = CONN_RECEIVING_BODY;
	c->len = c->header.body_len;
	c->done = 0;
}

static void on_body(struct conn *c)
{
	struct failure peer;

	if (!wire_check_matches(&c->header, c->head, c->buf)) {
		finish_fault(c, WIRE_FAULT_CHECK);
		return;
	}
	c->sequence_received++;
	c->buf[c->len] = '\0';
	if (c->header.type == CBT_WIRE_FAILED) {
		if (wire_failed_decode(c->buf, c->len, &peer))
			finish_fault(c, WIRE_FAULT_CODE);
		else
			finish(c, -EREMOTEIO, &peer, NULL);
		return;
	}
	if (memchr(c->buf, '\0', c->len)) {
		finish_failed(c, CODE_FAILED, -EPROTO, "its text contains NUL");
		return;
	}
	finish_received(c);
}

static void on_readable(struct conn *c)
{
	bool head = c->state == CONN_RECEIVING_HEAD;
	uint8_t *at = (head ? c->head : c->buf) + c->done;
	ssize_t got = recv(c->fd, at, c->len - c->done, MSG_DONTWAIT);

	if (got < 0) {
		if (errno != EAGAIN && errno != EINTR)
			finish_system_error(c, errno);
		return;
	}
	if (!got && head && !c->done && c->wanted == CBT_WIRE_CALL) {
		finish_failed(c, CODE_NOT_AVAILABLE, -ENODATA, "it closed the connection");
		return;
	}
	if (!got) {
		finish_system_error(c, ECONNRESET);
		return;
	}
	c->done += (size_t)got;
	if (c->done < c->len)
		return;
	if (head)
		on_head(c);
	else
		on_body(c);
}

/* --- the loop's side --- */

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *context)
{
	struct conn *c = context;

	(void)source;
	(void)fd;
	(void)revents;
	switch (c->state) {
	case CONN_CONNECTING:
		on_connected(c);
		break;
	case CONN_HANDSHAKING:
		on_handshake(c);
		break;
	case CONN_SENDING:
		on_writable(c);
		break;
	case CONN_RECEIVING_HEAD:
	case CONN_RECEIVING_BODY:
		on_readable(c);
		break;
	case CONN_IDLE:
		break;
	}
	return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *context)
{
	struct conn *c = context;

	(void)source;
	(void)usec;
	if (c->state == CONN_CONNECTING)
		finish_failed(c, CODE_TIMEOUT, -ETIMEDOUT,
			      "it does not answer; is it up, and the network between?");
	else if (c->state == CONN_RECEIVING_HEAD && !c->done && c->wanted == CBT_WIRE_REPLY)
		finish_failed(c, CODE_TIMEOUT, -ETIMEDOUT,
			      "it took the call and does not answer; look after failbackd there");
	else if (c->state != CONN_IDLE)
		finish_failed(c, CODE_TIMEOUT, -ETIMEDOUT,
			      "it did not finish what it was saying in time");
	return 0;
}

/* Everything that can fail happens here, before the operation counts as started. */
static int begin(struct conn *c, enum conn_state state, uint64_t timeout_us, conn_fn fn,
		 void *context, struct failure *f)
{
	bool reading = state == CONN_RECEIVING_HEAD || state == CONN_HANDSHAKING;
	uint32_t events = reading ? EPOLLIN : EPOLLOUT;
	int rc = sd_event_source_set_io_events(c->io, events);

	if (rc >= 0)
		rc = sd_event_source_set_time_relative(c->timer, timeout_us);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(c->io, SD_EVENT_ON);
	if (rc < 0)
		return failure_set(f, CODE_FAILED, rc, "The event loop failed: %s.", strerror(-rc));
	c->state = state;
	c->fn = fn;
	c->context = context;
	return 0;
}

static int seal_record(struct conn *c, enum cbt_wire_type type, const char *text, struct failure *f)
{
	struct wire_header h = { .type = (uint16_t)type, .sequence = c->sequence_sent };
	size_t len = strlen(text);

	if (len > CBT_WIRE_TEXT_MAX)
		return failure_set(f, CODE_FAILED, -EMSGSIZE,
				   "A message of %zu bytes is too long for the peer.", len);
	free(c->buf);
	c->buf = malloc(WIRE_HEADER_BYTES + len);
	if (!c->buf)
		return failure_no_memory(f);
	h.body_len = (uint32_t)len;
	wire_seal(&h, NULL, text, c->buf);
	memcpy(c->buf + WIRE_HEADER_BYTES, text, len);
	c->len = WIRE_HEADER_BYTES + len;
	c->done = 0;
	c->sequence_sent++;
	return 0;
}

int conn_secure(struct conn *c, struct tls *tls, uint64_t timeout_us, conn_fn fn, void *context,
		struct failure *f)
{
	tls_free_at(&c->tls);
	c->tls = tls;
	return begin(c, CONN_HANDSHAKING, timeout_us, fn, context, f);
}

int conn_call(struct conn *c, const char *text, uint64_t timeout_us, conn_fn fn, void *context,
	      struct failure *f)
{
	int rc = seal_record(c, CBT_WIRE_CALL, text, f);

	c->wanted = CBT_WIRE_REPLY;
	return rc ? rc : begin(c, CONN_SENDING, timeout_us, fn, context, f);
}

int conn_send_reply(struct conn *c, const char *text, uint64_t timeout_us, conn_fn fn,
		    void *context, struct failure *f)
{
	int rc = seal_record(c, CBT_WIRE_REPLY, text, f);

	c->wanted = 0;
	return rc ? rc : begin(c, CONN_SENDING, timeout_us, fn, context, f);
}

int conn_receive_call(struct conn *c, uint64_t timeout_us, conn_fn fn, void *context,
		      struct failure *f)
{
	c->wanted = CBT_WIRE_CALL;
	c->len = WIRE_HEADER_BYTES;
	c->done = 0;
	return begin(c, CONN_RECEIVING_HEAD, timeout_us, fn, context, f);
}

int conn_new(sd_event *event, int fd, const struct address *peer, struct conn **ret,
	     struct failure *f)
{
	_cleanup_(conn_free_at) struct conn *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return failure_no_memory(f);
	c->fd = -1;
	c->event = sd_event_ref(event);
	c->peer = *peer;
	rc = sd_event_add_io(event, &c->io, fd, 0, on_io, c);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(c->io, SD_EVENT_OFF);
	if (rc >= 0)
		rc = sd_event_add_time_relative(event, &c->timer, CLOCK_MONOTONIC, 0, 0, on_timeout,
						c);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
	if (rc < 0)
		return failure_set(f, CODE_FAILED, rc, "The event loop failed: %s.", strerror(-rc));
	c->fd = fd;
	*ret = steal_ptr(c);
	return 0;
}

static int start_connect(int fd, const struct address *local, const struct address *peer,
			 struct failure *f)
{
	char text[ADDRESS_TEXT_MAX];

	if (local && !address_is_any(local) && local->addr.ss_family == peer->addr.ss_family) {
		struct address from = *local;

		address_set_port(&from, 0);
		if (bind(fd, (const struct sockaddr *)&from.addr, from.len) < 0)
			return failure_set(
				f, CODE_NOT_AVAILABLE, -errno,
				"Cannot use %s as own address: %s; check the setting listen.",
				address_format(local, text), strerror(errno));
	}
	if (connect(fd, (const struct sockaddr *)&peer->addr, peer->len) < 0 &&
	    errno != EINPROGRESS)
		return failure_set(f, CODE_NOT_AVAILABLE, -errno,
				   "Peer %s: cannot connect: %s; is failbackd running there?",
				   address_format(peer, text), strerror(errno));
	return 0;
}

int conn_connect(sd_event *event, const struct address *local, const struct address *peer,
		 struct tls *tls, uint64_t timeout_us, conn_fn fn, void *context,
		 struct conn **ret, struct failure *f)
{
	cleanup_fd int fd =
		socket(peer->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	_cleanup_(tls_free_at) struct tls *taken = tls;
	_cleanup_(conn_free_at) struct conn *c = NULL;
	int rc;

	if (fd < 0)
		return failure_set(f, CODE_FAILED, -errno, "Cannot make a socket: %s.",
				   strerror(errno));
	rc = start_connect(fd, local, peer, f);
	if (!rc)
		rc = conn_new(event, fd, peer, &c, f);
	if (rc)
		return rc;
	(void)steal_fd(&fd);
	c->tls = steal_ptr(taken);
	rc = begin(c, CONN_CONNECTING, timeout_us, fn, context, f);
	if (rc)
		return rc;
	*ret = steal_ptr(c);
	return 0;
}

const struct address *conn_peer(const struct conn *c)
{
	return &c->peer;
}

enum protection conn_protection(const struct conn *c)
{
	return c->protection;
}

const char *conn_fingerprint(const struct conn *c)
{
	return c->fingerprint;
}

bool conn_is_same_peer(const struct conn *a, const struct conn *b)
{
	return a->protection == PROTECTION_NONE && b->protection == PROTECTION_NONE ?
		       address_is_same_host(&a->peer, &b->peer) :
		       a->fingerprint[0] && strcmp(a->fingerprint, b->fingerprint) == 0;
}

int conn_steal_fd(struct conn **c)
{
	int fd = steal_fd(&(*c)->fd);
	int flags = fcntl(fd, F_GETFL);

	/* connect(2) was the only one that needed it; an io_uring request would end with EAGAIN. */
	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	conn_free_at(c);
	return fd;
}

void conn_free_at(struct conn **c)
{
	struct conn *conn = steal_ptr(*c);

	if (!conn)
		return;
	(void)sd_event_source_disable_unref(conn->io);
	(void)sd_event_source_disable_unref(conn->timer);
	(void)sd_event_unref(conn->event);
	tls_free_at(&conn->tls);
	(void)close_fd(conn->fd);
	free(conn->buf);
	free(conn);
}
