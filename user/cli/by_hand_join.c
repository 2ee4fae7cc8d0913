// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A transfer by hand over several connections: those beside the first, one after the other, as two daemons do it
 * (daemon/join.h, daemon/joined.h).
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macro.h"
#include "cli/by_hand.h"
#include "daemon/calls.h"
#include "lib/dial.h"
#include "lib/record_io.h"

#define GREETING_TIMEOUT_MS 5000 /* of one that may be anybody's, while others wait behind it */

static void close_all(int *fds, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		fds[i] = close_fd(fds[i]);
}

static int check_same_peer(const struct by_hand_peer *first, const struct by_hand_peer *other,
			   struct failure *f)
{
	bool plain = first->protection == PROTECTION_NONE && other->protection == PROTECTION_NONE;

	if (plain ? address_is_same_host(&first->address, &other->address) :
		    first->fingerprint[0] && strcmp(first->fingerprint, other->fingerprint) == 0)
		return 0;
	return failure_set(f, CODE_ACCESS_DENIED, -EACCES,
			   "A further connection of a transfer has to lead to the same peer as the first.");
}

/* --- the sender --- */

int by_hand_ask(int fd, const struct call *call, uint64_t deadline_ns, struct reply *ret, struct failure *f)
{
	cleanup_free char *question = call_encode(call);
	cleanup_free char *answer = NULL;
	int rc;

	if (!question)
		return failure_no_memory(f);
	rc = record_write_text(fd, CBT_WIRE_CALL, 0, question, deadline_ns, f);
	if (!rc)
		rc = record_read_text(fd, CBT_WIRE_REPLY, 0, &answer, deadline_ns, f);
	return rc ? rc : reply_decode(answer, ret, f);
}

static int say_join(int fd, const struct uuid *vm, const struct uuid *token, unsigned int number,
		    uint64_t deadline_ns, struct failure *f)
{
	cleanup_free struct call *call = calloc(1, sizeof(*call));
	cleanup_free struct reply *reply = calloc(1, sizeof(*reply));
	int rc;

	if (!call || !reply)
		return failure_no_memory(f);
	call->kind = CALL_JOIN;
	call->vm = *vm;
	call->token = *token;
	call->connection = number;
	rc = by_hand_ask(fd, call, deadline_ns, reply, f);
	if (!rc && reply->code != CODE_JOB_STARTED)
		rc = failure_set(f, reply->code < CODE_FAILED ? CODE_FAILED : reply->code, -EREMOTEIO,
				 "The receiver: %s", reply->text);
	return rc;
}

static int join(const struct by_hand_tls *tls, const struct by_hand_peer *first, const struct uuid *vm,
		const struct uuid *token, unsigned int number, int *ret, struct failure *f)
{
	uint64_t deadline_ns = deadline_in_ms(BY_HAND_TIMEOUT_MS);
	struct by_hand_peer peer = { .address = first->address };
	cleanup_fd int fd = -1;
	int rc;

	rc = dial(&peer.address, NULL, deadline_ns, &fd, f);
	if (!rc)
		rc = by_hand_secure(tls, false, deadline_ns, &peer, &fd, f);
	if (!rc)
		rc = check_same_peer(first, &peer, f);
	if (!rc)
		rc = say_join(fd, vm, token, number, deadline_ns, f);
	if (!rc)
		*ret = steal_fd(&fd);
	return rc;
}

int by_hand_join(const struct by_hand_tls *tls, const struct by_hand_peer *first, const struct uuid *vm,
		 const struct uuid *token, unsigned int nr, int *ret, struct failure *f)
{
	for (unsigned int i = 1; i < nr; i++) {
		int rc = join(tls, first, vm, token, i, &ret[i - 1], f);

		if (rc) {
			close_all(ret, i - 1);
			return rc;
		}
	}
	return 0;
}

/* --- the receiver --- */

static int answer(int fd, const struct failure *refused, uint64_t deadline_ns, struct failure *f)
{
	cleanup_free struct reply *reply = calloc(1, sizeof(*reply));
	cleanup_free char *text = NULL;

	if (reply) {
		reply->code = refused ? refused->code : CODE_JOB_STARTED;
		(void)snprintf(reply->text, sizeof(reply->text), "%s", refused ? refused->text : "");
		text = reply_encode(reply);
	}
	if (!text)
		return failure_no_memory(f);
	return record_write_text(fd, CBT_WIRE_REPLY, 0, text, deadline_ns, f);
}

/* What it says: a connection that joins, or a refusal that it is told. */
static int hear_join(int fd, struct gathering *g, uint64_t deadline_ns, unsigned int *ret_number,
		     struct failure *f)
{
	cleanup_free struct call *call = calloc(1, sizeof(*call));
	cleanup_free char *question = NULL;
	int rc;

	if (!call)
		return failure_no_memory(f);
	rc = record_read_text(fd, CBT_WIRE_CALL, 0, &question, deadline_ns, f);
	if (rc)
		return rc;
	rc = call_decode(question, call, f);
	if (!rc && call->kind != CALL_JOIN)
		rc = failure_set(f, CODE_IN_USE, -EBUSY,
				 "`failback receive` waits for the other connections of a transfer.");
	if (!rc)
		rc = gathering_admit(g, &call->token, call->connection, f);
	if (rc) {
		(void)answer(fd, f, deadline_ns, NULL);
		return rc;
	}
	*ret_number = (unsigned int)call->connection;
	return answer(fd, NULL, deadline_ns, f);
}

/* On the first connection nothing is to be heard meanwhile but its end. */
static int await_visitor(int listener, int first, const struct gathering *g, uint64_t deadline_ns,
			 struct failure *f)
{
	struct pollfd fds[] = { { .fd = listener, .events = POLLIN },
				{ .fd = first, .events = POLLIN } };
	int nr;

	do {
		nr = poll(fds, ARRAY_SIZE(fds), deadline_left_ms(deadline_ns));
	} while (nr < 0 && errno == EINTR);
	if (nr < 0)
		return failure_set(f, CODE_FAILED, -errno, "Cannot wait for the other side: %s.",
				   strerror(errno));
	if (nr && fds[1].revents)
		return failure_set(f, CODE_NOT_AVAILABLE, -ECONNRESET,
				   "The sender left before all connections of its transfer were there.");
	if (nr)
		return 0;
	return failure_set(f, CODE_TIMEOUT, -ETIMEDOUT,
			   "Of the %u connections that the transfer was to come over, %u came within %d s.",
			   g->nr, g->nr_joined, BY_HAND_TIMEOUT_MS / 1000);
}

static int greet(const struct by_hand_tls *tls, const struct by_hand_peer *first, struct by_hand_peer *peer,
		 struct gathering *g, uint64_t deadline_ns, int *fd, int *ret, struct failure *f)
{
	unsigned int number = 0;
	int rc;

	rc = by_hand_secure(tls, true, deadline_ns, peer, fd, f);
	if (!rc)
		rc = check_same_peer(first, peer, f);
	if (!rc)
		rc = hear_join(*fd, g, deadline_ns, &number, f);
	if (!rc)
		ret[number - 1] = steal_fd(fd);
	return rc;
}

static int gather(const struct by_hand_tls *tls, const struct by_hand_peer *first, int first_fd,
		  int listener, struct gathering *g, int *ret, struct failure *f)
{
	uint64_t deadline_ns = deadline_in_ms(BY_HAND_TIMEOUT_MS);

	while (!gathering_is_whole(g)) {
		struct by_hand_peer peer;
		cleanup_fd int fd = -1;
		struct failure refused;
		int rc;

		rc = await_visitor(listener, first_fd, g, deadline_ns, f);
		if (!rc)
			rc = dial_accept(listener, &fd, &peer.address, f);
		if (rc)
			return rc;
		if (greet(tls, first, &peer, g, min_of(deadline_ns, deadline_in_ms(GREETING_TIMEOUT_MS)),
			  &fd, ret, &refused))
			(void)fprintf(stderr, "A connection was turned away: %s\n", refused.text);
	}
	return 0;
}

int by_hand_gather(const struct by_hand_tls *tls, const struct by_hand_peer *first, int first_fd,
		   int listener, struct gathering *g, int *ret, struct failure *f)
{
	int rc;

	memset(ret, -1, (g->nr - 1) * sizeof(*ret));
	rc = gather(tls, first, first_fd, listener, g, ret, f);
	if (rc)
		close_all(ret, g->nr - 1);
	return rc;
}
