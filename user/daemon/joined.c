// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The first connection stays a struct conn as long as others are compared with it; the rest are descriptors. It
 * is listened on meanwhile: nothing is to be heard there but its end.
 */
#include "daemon/joined.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cbt-wire.h>

#include "base/cleanup.h"
#include "daemon/peer.h"
#include "lib/gathering.h"

struct joined {
	struct daemon *daemon;
	struct gathering gathering;
	struct conn *first; /* NULL: not there yet, or among @fds */
	enum protection protection;
	int fds[CBT_WIRE_CONNECTIONS_MAX]; /* -1: not there */
	joined_fn fn;
	void *context;
};

void joined_free_at(struct joined **at)
{
	struct joined *j = steal_ptr(*at);

	if (!j)
		return;
	conn_free_at(&j->first);
	for (unsigned int i = 0; i < CBT_WIRE_CONNECTIONS_MAX; i++)
		(void)close_fd(j->fds[i]);
	free(j);
}

int joined_new(struct daemon *d, unsigned int nr, joined_fn fn, void *context, struct joined **ret,
	       struct failure *f)
{
	_cleanup_(joined_free_at) struct joined *j = calloc(1, sizeof(*j));
	struct uuid token;
	int rc;

	if (!j)
		return failure_no_memory(f);
	memset(j->fds, -1, sizeof(j->fds));
	rc = uuid_new(&token);
	if (rc)
		return failure_set(f, CODE_FAILED, rc, "Cannot make a token: %s.", strerror(-rc));
	gathering_begin(&j->gathering, nr, &token);
	j->daemon = d;
	j->fn = fn;
	j->context = context;
	*ret = steal_ptr(j);
	return 0;
}

const struct uuid *joined_token(const struct joined *j)
{
	return &j->gathering.token;
}

/* It said something, or ended, or was silent for as long as the others had. */
static void on_first(void *context, int error, const struct failure *why, const char *text)
{
	struct joined *j = context;
	struct failure failure;

	(void)text;
	if (error == -ETIMEDOUT)
		(void)failure_set(&failure, CODE_TIMEOUT, error,
				  "Of the %u connections that the delta was to come over, %u came within "
				  "%llu s; see max-connections and call-timeout in failbackd.conf.",
				  j->gathering.nr, j->gathering.nr_joined,
				  (unsigned long long)j->daemon->config.call_timeout);
	else if (error)
		failure = *why;
	else
		(void)failure_set(&failure, CODE_FAILED, -EPROTO,
				  "The peer called before all connections of its delta were there.");
	j->fn(j->context, &failure);
}

int joined_begin(struct joined *j, struct conn **first, struct failure *f)
{
	j->first = steal_ptr(*first);
	j->protection = conn_protection(j->first);
	return conn_receive_call(j->first, peer_timeout_us(j->daemon), on_first, j, f);
}

int joined_admit(struct joined *j, const struct conn *c, const struct uuid *token, uint64_t number,
		 struct failure *f)
{
	static struct gathering nothing;

	if (j && j->first && !conn_is_same_peer(j->first, c))
		return failure_set(f, CODE_ACCESS_DENIED, -EACCES,
				   "A further connection of a delta has to come from the peer that sends it.");
	return gathering_admit(j && j->first ? &j->gathering : &nothing, token, number, f);
}

/* What came between the admission and this is another gathering: its token says so. */
static bool is_due(const struct joined *j, const struct uuid *token, uint64_t number)
{
	return j && j->first && gathering_is_under(&j->gathering, token) &&
	       j->gathering.joined & 1U << number && j->fds[number] < 0;
}

static bool all_are_there(const struct joined *j)
{
	for (unsigned int i = 1; i < j->gathering.nr; i++)
		if (j->fds[i] < 0)
			return false;
	return true;
}

void joined_take(struct joined *j, const struct uuid *token, uint64_t number, struct conn **c)
{
	if (!is_due(j, token, number)) {
		conn_free_at(c);
		return;
	}
	j->fds[number] = conn_steal_fd(c);
	if (!all_are_there(j))
		return;
	j->fds[0] = conn_steal_fd(&j->first);
	j->fn(j->context, NULL);
}

const int *joined_fds(const struct joined *j, unsigned int *ret_nr)
{
	*ret_nr = j->gathering.nr;
	return j->fds;
}

enum protection joined_protection(const struct joined *j)
{
	return j->protection;
}
