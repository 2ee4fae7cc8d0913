// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/talk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/peer.h"

struct talk {
	struct vm *vm;
	struct conn *conn;
	bool asked;
	const struct talk_events *events;
	void *context;
	char peer[PEER_TEXT_MAX];
	struct call call;
	struct reply reply;
};

void talk_free_at(struct talk **at)
{
	struct talk *talk = steal_ptr(*at);

	if (!talk)
		return;
	conn_free_at(&talk->conn);
	free(talk);
}

static void on_reply(void *context, int error, const struct failure *why, const char *text);

/* Before the answer to "ready" the peer asks its hypervisor, and calls this host, which may take it twice as long. */
static uint64_t patience_us(const struct talk *talk)
{
	return peer_timeout_us(talk->vm->daemon) * (talk->call.kind == CALL_READY ? 4 : 1);
}

static int say(struct talk *talk, struct failure *f)
{
	cleanup_free char *text = NULL;

	talk->call.history = vm_history(talk->vm);
	text = call_encode(&talk->call);
	if (!text)
		return failure_no_memory(f);
	return conn_call(talk->conn, text, patience_us(talk), on_reply, talk, f);
}

/* 0: the conversation goes on; 1: it is over. */
static int take_reply(struct talk *talk, const char *text, struct failure *f)
{
	int rc = reply_decode(text, &talk->reply, f);

	if (rc)
		return rc;
	vm_note_peer(talk->vm, &talk->reply);
	if (talk->reply.code != CODE_COMPLETED)
		return failure_set(f, (enum code)talk->reply.code, -EREMOTEIO,
				   "Peer %s refuses: %.440s", talk->peer, talk->reply.text);
	if (talk->asked || !talk->events->looked)
		return 1;
	rc = talk->events->looked(talk->context, &talk->reply, &talk->call, f);
	if (rc)
		return rc;
	talk->asked = true;
	return say(talk, f);
}

static void on_reply(void *context, int error, const struct failure *why, const char *text)
{
	struct talk *talk = context;
	struct failure failure;
	int rc = error;

	if (error)
		failure = *why;
	else
		rc = take_reply(talk, text, &failure);
	if (rc)
		talk->events->end(talk->context, rc < 0 ? &failure : NULL, &talk->reply,
				  talk->asked && error);
}

static void on_connected(void *context, int error, const struct failure *why, const char *text)
{
	struct talk *talk = context;
	struct failure failure;
	int rc = error;

	(void)text;
	if (error)
		failure = *why;
	else
		rc = say(talk, &failure);
	if (rc)
		talk->events->end(talk->context, &failure, NULL, false);
}

int talk_start(struct vm *vm, const char *peer, const struct call *first,
	       const struct talk_events *events, void *context, struct talk **ret,
	       struct failure *f)
{
	_cleanup_(talk_free_at) struct talk *talk = calloc(1, sizeof(*talk));
	int rc;

	if (!talk)
		return failure_no_memory(f);
	talk->vm = vm;
	talk->events = events;
	talk->context = context;
	(void)snprintf(talk->peer, sizeof(talk->peer), "%s", peer);
	talk->call = *first;
	rc = peer_connect(vm->daemon, peer, on_connected, talk, &talk->conn, f);
	if (rc)
		return rc;
	*ret = steal_ptr(talk);
	return 0;
}

const struct conn *talk_conn(const struct talk *talk)
{
	return talk->conn;
}

int talk_nonce(uint64_t *ret, struct failure *f)
{
	struct uuid random;
	int rc = uuid_new(&random);

	if (rc)
		return failure_set(f, CODE_FAILED, rc, "Cannot make a number: %s.", strerror(-rc));
	memcpy(ret, random.b, sizeof(*ret));
	*ret &= INT64_MAX;
	return 0;
}
