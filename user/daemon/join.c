// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/join.h"

#include <errno.h>
#include <stdlib.h>

#include <cbt-wire.h>

#include "base/cleanup.h"
#include "daemon/calls.h"
#include "daemon/peer.h"
#include "daemon/vm.h"

struct further {
	struct join *join;
	unsigned int number;
	struct conn *conn;
};

struct join {
	struct vm *vm;
	const struct conn *first;
	struct uuid token;
	unsigned int nr; /* with the first */
	unsigned int nr_joined; /* with the first */
	join_fn fn;
	void *context;
	struct further further[CBT_WIRE_CONNECTIONS_MAX - 1];
};

void join_free_at(struct join **at)
{
	struct join *join = steal_ptr(*at);

	if (!join)
		return;
	for (unsigned int i = 0; i < join->nr - 1; i++)
		conn_free_at(&join->further[i].conn);
	free(join);
}

static int take_reply(struct further *further, const char *text, struct failure *f)
{
	cleanup_free struct reply *reply = calloc(1, sizeof(*reply));
	int rc;

	if (!reply)
		return failure_no_memory(f);
	rc = reply_decode(text, reply, f);
	if (!rc && reply->code != CODE_JOB_STARTED)
		rc = failure_set(f, reply->code < CODE_FAILED ? CODE_FAILED : (enum code)reply->code,
				 -EREMOTEIO, "Peer %s refuses connection %u of the delta: %.400s",
				 further->join->vm->r.peer, further->number, reply->text);
	return rc;
}

static void on_reply(void *context, int error, const struct failure *why, const char *text)
{
	struct further *further = context;
	struct join *join = further->join;
	struct failure failure;
	int rc = error;

	if (error)
		failure = *why; /* the connection may go */
	else
		rc = take_reply(further, text, &failure);
	if (rc)
		join->fn(join->context, &failure);
	else if (++join->nr_joined == join->nr)
		join->fn(join->context, NULL);
}

static int say(struct further *further, struct failure *f)
{
	const struct join *join = further->join;
	cleanup_free struct call *call = calloc(1, sizeof(*call));
	cleanup_free char *text = NULL;

	if (!conn_is_same_peer(further->conn, join->first))
		return failure_set(f, CODE_ACCESS_DENIED, -EACCES,
				   "Peer %s showed another key on connection %u of the delta than on the "
				   "first.",
				   join->vm->r.peer, further->number);
	if (call) {
		call->kind = CALL_JOIN;
		call->vm = join->vm->r.vm;
		call->token = join->token;
		call->connection = further->number;
		text = call_encode(call);
	}
	if (!text)
		return failure_no_memory(f);
	return conn_call(further->conn, text, peer_timeout_us(join->vm->daemon), on_reply, further, f);
}

static void on_connected(void *context, int error, const struct failure *why, const char *text)
{
	struct further *further = context;
	struct join *join = further->join;
	struct failure failure;
	int rc = error;

	(void)text;
	if (error)
		failure = *why;
	else
		rc = say(further, &failure);
	if (rc)
		join->fn(join->context, &failure);
}

int join_start(struct vm *vm, const struct conn *first, const struct uuid *token, unsigned int nr,
	       join_fn fn, void *context, struct join **ret, struct failure *f)
{
	_cleanup_(join_free_at) struct join *join = calloc(1, sizeof(*join));
	int rc = 0;

	if (!join)
		return failure_no_memory(f);
	*join = (struct join){
		.vm = vm,
		.first = first,
		.token = *token,
		.nr = nr,
		.nr_joined = 1,
		.fn = fn,
		.context = context,
	};
	for (unsigned int i = 0; !rc && i < nr - 1; i++) {
		struct further *further = &join->further[i];

		*further = (struct further){ .join = join, .number = i + 1 };
		rc = peer_connect(vm->daemon, vm->r.peer, on_connected, further, &further->conn, f);
	}
	if (!rc)
		*ret = steal_ptr(join);
	return rc;
}

void join_steal(struct join *join, int *ret)
{
	for (unsigned int i = 0; i < join->nr - 1; i++)
		ret[i] = conn_steal_fd(&join->further[i].conn);
}
