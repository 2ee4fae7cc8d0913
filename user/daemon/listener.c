// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/answer.h"
#include "daemon/peer.h"
#include "daemon/delta_receive.h"
#include "daemon/ready.h"

/* Anyone can make lines in the log by connecting: so many in so long, and then their number. */
#define LOG_LINES   10U
#define LOG_SPAN_NS (60 * NS_PER_S)
#define REFUSED_MAX 64U /* that are remembered, the last ones */

struct visitor {
	struct visitor *next;
	struct listener *listener;
	struct conn *conn;
	bool is_known; /* a peer that proved who it is; who has not is a stranger */
	struct receive *receive; /* accepted; starts when the reply is out */
	struct call_join join; /* so is this connection, to a delta; its vm nil: it is not */
	struct ready_answer *ready; /* is being found; the reply waits for it */
};

/* Who was refused, and how: the fingerprint of its key, or its address. */
struct refused {
	char who[FINGERPRINT_TEXT_MAX];
	int error;
};

struct listener {
	struct daemon *daemon;
	int fd;
	sd_event_source *source;
	struct visitor *visitors; /* newest first */
	size_t nr_known;
	size_t nr_strangers;
	uint64_t span_start_ns;
	unsigned int nr_lines;
	struct refused refused[REFUSED_MAX];
	unsigned int next_refused;
};

static void complain(struct listener *l, const char *text)
{
	uint64_t now = clock_ns();

	if (now - l->span_start_ns > LOG_SPAN_NS) {
		if (l->nr_lines > LOG_LINES)
			log_warning("%u more peers were turned away", l->nr_lines - LOG_LINES);
		l->span_start_ns = now;
		l->nr_lines = 0;
	}
	if (l->nr_lines++ < LOG_LINES)
		log_warning("%s", text);
}

static void refused_name(const char *fingerprint, const struct address *peer, char *ret, size_t size)
{
	struct address host = *peer;
	char text[ADDRESS_TEXT_MAX];

	address_set_port(&host, 0);
	(void)snprintf(ret, size, "%s", fingerprint[0] ? fingerprint : address_format(&host, text));
}

static void complain_once(struct listener *l, const char *fingerprint, const struct address *peer,
			  int error, const char *text)
{
	struct refused *next = &l->refused[l->next_refused];
	char who[sizeof(next->who)];

	refused_name(fingerprint, peer, who, sizeof(who));
	for (size_t i = 0; i < REFUSED_MAX; i++)
		if (l->refused[i].error == error && strcmp(l->refused[i].who, who) == 0)
			return;
	(void)strcpy(next->who, who);
	next->error = error;
	l->next_refused = (l->next_refused + 1) % REFUSED_MAX;
	complain(l, text);
}

/* It was let in: when that ends one day, it is news. */
static void forget_refused(struct listener *l, const char *fingerprint)
{
	for (size_t i = 0; i < REFUSED_MAX; i++)
		if (strcmp(l->refused[i].who, fingerprint) == 0)
			l->refused[i] = (struct refused){ 0 };
}

static void visitor_remove(struct visitor *v)
{
	struct visitor **at = &v->listener->visitors;

	while (*at != v)
		at = &(*at)->next;
	*at = v->next;
	if (v->is_known)
		v->listener->nr_known--;
	else
		v->listener->nr_strangers--;
	ready_answer_free_at(&v->ready);
	conn_free_at(&v->conn);
	free(v);
}

/* --- one conversation --- */

static void on_call(void *context, int error, const struct failure *why, const char *text);

static void listen_on(struct visitor *v)
{
	struct failure why;

	if (conn_receive_call(v->conn, peer_timeout_us(v->listener->daemon), on_call, v, &why) == 0)
		return;
	log_error("%s", why.text);
	visitor_remove(v);
}

static void on_replied(void *context, int error, const struct failure *why, const char *text)
{
	struct visitor *v = context;
	struct receive *receive = steal_ptr(v->receive);
	bool joins = !uuid_is_nil(&v->join.vm);

	(void)text;
	if (receive && error)
		receive_abandon(receive, why);
	else if (receive)
		receive_start(receive, &v->conn);
	else if (joins && !error)
		receive_join(v->listener->daemon, &v->join, &v->conn);
	if (receive || joins || error)
		visitor_remove(v);
	else
		listen_on(v);
}

static void send_reply(struct visitor *v, const struct reply *reply)
{
	cleanup_free char *answer = reply_encode(reply);
	struct failure why;

	if (answer && conn_send_reply(v->conn, answer, peer_timeout_us(v->listener->daemon), on_replied, v,
				      &why) == 0)
		return;
	(void)failure_no_memory(&why);
	on_replied(v, -ENOMEM, &why, NULL);
}

static void on_ready(void *context, const struct reply *reply)
{
	struct visitor *v = context;

	send_reply(v, reply);
}

static void on_call(void *context, int error, const struct failure *why, const char *text)
{
	struct visitor *v = context;
	struct daemon *d = v->listener->daemon;
	struct vm *ready = NULL;
	struct reply reply;

	if (error) {
		if (error == -EPROTO)
			complain_once(v->listener, conn_fingerprint(v->conn), conn_peer(v->conn),
				      error, why->text);
		else if (error != -ENODATA)
			complain(v->listener, why->text);
		visitor_remove(v);
		return;
	}
	answer_call(d, v->conn, text, &reply, &v->receive, &v->join, &ready);
	if (!ready || ready_answer_start(ready, &reply, on_ready, v, &v->ready))
		send_reply(v, &reply);
}

/* --- accepting --- */

static int check_room(const struct listener *l, struct failure *f)
{
	if (l->nr_known < l->daemon->config.max_connections)
		return 0;
	return failure_set(f, CODE_IN_USE, -EBUSY,
			   "%zu peers are connected already; see max-connections in failbackd.conf.", l->nr_known);
}

static void let_in(struct visitor *v)
{
	struct listener *l = v->listener;
	struct failure why;

	if (check_room(l, &why)) {
		complain(l, why.text);
		visitor_remove(v);
		return;
	}
	v->is_known = true;
	l->nr_strangers--;
	l->nr_known++;
	listen_on(v);
}

static void on_secured(void *context, int error, const struct failure *why, const char *text)
{
	struct visitor *v = context;

	(void)text;
	if (!error) {
		forget_refused(v->listener, conn_fingerprint(v->conn));
		peer_log_protection(v->listener->daemon, conn_protection(v->conn));
		let_in(v);
		return;
	}
	complain_once(v->listener, conn_fingerprint(v->conn), conn_peer(v->conn), error, why->text);
	visitor_remove(v);
}

static void begin(struct visitor *v, struct tls *tls)
{
	struct daemon *d = v->listener->daemon;
	struct failure why;

	if (!tls)
		let_in(v);
	else if (conn_secure(v->conn, tls, peer_timeout_us(d), on_secured, v, &why))
		on_secured(v, -EIO, &why, NULL);
}

static size_t strangers_of(const struct listener *l, const struct address *peer)
{
	size_t nr = 0;

	for (const struct visitor *v = l->visitors; v; v = v->next)
		nr += !v->is_known && address_is_same_host(conn_peer(v->conn), peer);
	return nr;
}

/*
 * Anybody can open connections and say nothing: those who do must not keep the peers out. The oldest goes of the
 * address that has the most.
 */
static void make_room(struct listener *l)
{
	struct visitor *worst = NULL;
	size_t most = 0;

	if (l->nr_strangers < l->daemon->config.max_connections)
		return;
	for (struct visitor *v = l->visitors; v; v = v->next) {
		size_t nr = v->is_known ? 0 : strangers_of(l, conn_peer(v->conn));

		if (nr < most || !nr)
			continue;
		most = nr;
		worst = v;
	}
	complain(l, "More connect than prove who they are: the oldest of them are closed.");
	visitor_remove(worst);
}

static int admit(struct listener *l, int fd, const struct address *peer, struct failure *f)
{
	cleanup_free struct visitor *v = NULL;
	_cleanup_(tls_free_at) struct tls *tls = NULL;
	int rc;

	make_room(l);
	v = calloc(1, sizeof(*v));
	if (!v)
		return failure_no_memory(f);
	v->listener = l;
	rc = peer_tls(l->daemon, peer, true, &tls, f);
	if (!rc)
		rc = conn_new(l->daemon->event, fd, peer, &v->conn, f);
	if (rc)
		return rc;
	v->next = l->visitors;
	l->visitors = v;
	l->nr_strangers++;
	begin(steal_ptr(v), steal_ptr(tls));
	return 0;
}

static int on_connection(sd_event_source *source, int listen_fd, uint32_t revents, void *context)
{
	struct listener *l = context;
	struct address peer = { .len = sizeof(peer.addr) };
	cleanup_fd int fd = -1;
	struct failure why;
	int rc;

	(void)source;
	(void)revents;
	fd = accept4(listen_fd, (struct sockaddr *)&peer.addr, &peer.len, SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			complain(l, strerror(errno));
		return 0;
	}
	rc = admit(l, fd, &peer, &why);
	if (rc == -EBUSY)
		complain(l, why.text);
	else if (rc)
		complain_once(l, "", &peer, rc, why.text);
	else
		(void)steal_fd(&fd);
	return 0;
}

/* A delta that was accepted, but whose peer did not hear of it yet, ends here. */
static void visitor_dismiss(struct visitor *v)
{
	struct receive *receive = steal_ptr(v->receive);
	struct failure why;

	visitor_remove(v);
	if (!receive)
		return;
	(void)failure_set(&why, CODE_FAILED, -ECANCELED, "failbackd was stopped.");
	receive_abandon(receive, &why);
}

static void listener_free_at(struct listener **at)
{
	struct listener *l = steal_ptr(*at);

	if (!l)
		return;
	while (l->visitors)
		visitor_dismiss(l->visitors);
	(void)sd_event_source_disable_unref(l->source);
	(void)close_fd(l->fd);
	free(l);
}

/* An address may come up after this: of an interface that is slow, or plugged in later. */
static int bind_to(int fd, const struct address *address)
{
	const struct sockaddr *addr = (const struct sockaddr *)&address->addr;
	bool is_ipv6 = address->addr.ss_family == AF_INET6;
	char text[ADDRESS_TEXT_MAX];
	int one = 1;

	if (bind(fd, addr, address->len) == 0)
		return 0;
	if (errno != EADDRNOTAVAIL ||
	    setsockopt(fd, is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, is_ipv6 ? IPV6_FREEBIND : IP_FREEBIND, &one,
		       sizeof(one)) < 0 ||
	    bind(fd, addr, address->len) < 0)
		return -1;
	log_warning("no interface has %s yet, which failbackd listens on: peers reach it when one has; "
		    "see the setting listen",
		    address_format(address, text));
	return 0;
}

static int open_socket(const struct address *address, int *ret, struct failure *f)
{
	cleanup_fd int fd =
		socket(address->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char text[ADDRESS_TEXT_MAX];
	int one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind_to(fd, address) < 0 || listen(fd, SOMAXCONN) < 0)
		return failure_set(f, code_of_errno(errno), -errno,
				   "Cannot listen on %s: %s; see the setting listen.",
				   address_format(address, text), strerror(errno));
	*ret = steal_fd(&fd);
	return 0;
}

int listener_start(struct daemon *d, struct failure *f)
{
	_cleanup_(listener_free_at) struct listener *l = calloc(1, sizeof(*l));
	int rc;

	if (!l)
		return failure_no_memory(f);
	l->daemon = d;
	l->fd = -1;
	rc = open_socket(&d->listen, &l->fd, f);
	if (rc)
		return rc;
	rc = sd_event_add_io(d->event, &l->source, l->fd, EPOLLIN, on_connection, l);
	if (rc < 0)
		return failure_set(f, CODE_FAILED, rc, "The event loop failed: %s.", strerror(-rc));
	d->listener = steal_ptr(l);
	return 0;
}

void listener_stop(struct daemon *d)
{
	listener_free_at(&d->listener);
}
