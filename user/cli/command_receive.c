// SPDX-License-Identifier: GPL-2.0-or-later
/* `failback receive`: overwrite a disk, by hand, with what `failback send` sends. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/by_hand.h"
#include "cli/command.h"
#include "daemon/calls.h"
#include "lib/devid.h"
#include "lib/dial.h"
#include "lib/output.h"
#include "lib/record_io.h"
#include "xfer/worker.h"

static int say_listening(const struct options *o, const struct address *at, struct failure *f)
{
	cleanup_json struct json_object *document = NULL;
	char text[ADDRESS_TEXT_MAX];
	int rc = 0;

	(void)address_format(at, text);
	if (o->json) {
		document = output_document();
		json_add_text(document, "event", "listening");
		json_add_text(document, "address", text);
		rc = output_print(document, f);
	} else {
		(void)fprintf(stderr, "Waiting on %s.\n", text);
	}
	return rc ? rc : output_flush(f);
}

static int check_call(const struct options *o, int target, const struct call *call,
		      struct failure *f)
{
	if (call->kind != CALL_RECEIVE || !uuid_equal(&call->vm, &call->epoch) ||
	    call->nr_disks != 1 || strcmp(call->disks[0].name, BY_HAND_DISK) != 0)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "`failback receive` takes one disk of `failback send`, and "
				   "nothing from failbackd.");
	return devid_check_size(BY_HAND_DISK, o->operand, target, call->disks[0].size_bytes, f);
}

/* What is coming; agreed to, or refused with a sentence on both sides. */
static int agree(int fd, const struct options *o, int target, struct call *ret, struct gathering *ret_gathering,
		 struct failure *f)
{
	uint64_t deadline_ns = deadline_in_ms(BY_HAND_TIMEOUT_MS);
	cleanup_free struct reply *reply = calloc(1, sizeof(*reply));
	cleanup_free char *question = NULL;
	cleanup_free char *answer = NULL;
	struct uuid token;
	int refused;
	int rc;

	if (!reply)
		return failure_no_memory(f);
	rc = record_read_text(fd, CBT_WIRE_CALL, 0, &question, deadline_ns, f);
	if (rc)
		return rc;
	refused = call_decode(question, ret, f);
	if (!refused)
		refused = check_call(o, target, ret, f);
	if (!refused && uuid_new(&token))
		refused = failure_set(f, CODE_FAILED, -EIO, "Cannot make a token.");
	reply->connections = CBT_WIRE_CONNECTIONS_MAX;
	if (!refused) {
		gathering_begin(ret_gathering, gathering_size(ret->connections), &token);
		reply->connections = ret_gathering->nr;
	}
	if (!refused && ret_gathering->nr > 1)
		reply->token = token;
	reply->code = refused ? f->code : CODE_JOB_STARTED;
	(void)snprintf(reply->text, sizeof(reply->text), "%s", refused ? f->text : "");
	answer = reply_encode(reply);
	if (!answer)
		return failure_no_memory(f);
	rc = record_write_text(fd, CBT_WIRE_REPLY, 0, answer, deadline_ns, refused ? NULL : f);
	return refused ? refused : rc;
}

static struct json_object *plan_of(const struct options *o, bool verify, int target,
				   const struct call *call)
{
	struct json_object *journal = json_object_new_object();
	struct json_object *disk;
	struct json_object *plan = by_hand_plan(&call->epoch, call->disks[0].size_bytes, &disk);

	json_add_uint(disk, "fd", (uint64_t)target);
	json_add_text(journal, "path", o->journal ? o->journal : "");
	if (o->journal)
		(void)json_object_object_add(plan, "journal", json_object_get(journal));
	json_object_put(journal);
	if (verify)
		(void)json_object_object_add(plan, "verify", json_object_new_boolean(true));
	return plan;
}

static int transfer(const struct options *o, bool verify, int target, struct by_hand *by_hand,
		    const struct call *call, struct failure *f)
{
	cleanup_json struct json_object *plan = plan_of(o, verify, target, call);
	char label[PATH_MAX + 32];
	struct failure why;
	int rc;

	(void)snprintf(label, sizeof(label), "%s %s", verify ? "Verifying" : "Receiving",
		       o->operand);
	by_hand->label = label;
	by_hand->worker = receive_main;
	by_hand->plan = plan;
	by_hand->json = o->json;
	by_hand->verify = verify;
	rc = by_hand_run(by_hand, &why);
	if (!rc)
		return 0;
	if (by_hand->durable && o->journal)
		return failure_set(f, why.code, rc,
				   "%s %s is complete, and %s between two states: receive the same "
				   "--epoch again.",
				   why.text, o->journal, o->operand);
	if (by_hand->began && !o->journal)
		return failure_set(f, why.code, rc, "%s %s is partly written.", why.text,
				   o->operand);
	*f = why;
	return rc;
}

static int open_target(const struct options *o, bool verify, int *ret, struct failure *f)
{
	if (!verify)
		return devid_open_target(BY_HAND_DISK, o->operand, 0, ret, f);
	*ret = open(o->operand, O_RDONLY | O_CLOEXEC);
	if (*ret < 0)
		return failure_set(f, code_of_errno(errno), -errno, "Cannot open %s: %s.",
				   o->operand, strerror(errno));
	return devid_exists(o->operand, f);
}

/* The sender's connections, with what it announced on the first. */
static int accept_all(const struct options *o, const struct by_hand_tls *tls, int target, int listener,
		      struct call *ret_call, struct by_hand *ret, struct failure *f)
{
	struct by_hand_peer first = { .protection = PROTECTION_NONE };
	struct gathering gathering;
	cleanup_fd int fd = -1;
	int rc;

	rc = dial_accept(listener, &fd, &first.address, f);
	if (!rc)
		rc = by_hand_secure(tls, true, deadline_in_ms(BY_HAND_TIMEOUT_MS), &first, &fd, f);
	if (!rc)
		rc = agree(fd, o, target, ret_call, &gathering, f);
	if (!rc)
		rc = by_hand_gather(tls, &first, fd, listener, &gathering, &ret->connections[1], f);
	if (rc)
		return rc;
	ret->connections[0] = steal_fd(&fd);
	ret->nr_connections = gathering.nr;
	ret->protection = first.protection;
	return 0;
}

int by_hand_receive(const struct options *o, bool verify, struct failure *f)
{
	cleanup_free struct call *call = calloc(1, sizeof(*call));
	cleanup_fd int target = -1;
	cleanup_fd int listener = -1;
	struct by_hand by_hand = { 0 };
	struct by_hand_tls tls;
	struct address at;
	int rc;

	if (!call)
		return failure_no_memory(f);
	rc = by_hand_address(o->listen, "--listen", &at, f);
	if (!rc)
		rc = by_hand_tls_load(o, &at, &tls, f);
	if (!rc)
		rc = open_target(o, verify, &target, f);
	if (!rc)
		rc = dial_listen(&at, &listener, f);
	if (!rc)
		rc = say_listening(o, &at, f);
	if (!rc)
		rc = accept_all(o, &tls, target, listener, call, &by_hand, f);
	listener = close_fd(listener);
	return rc ? rc : transfer(o, verify, target, &by_hand, call, f);
}

int command_receive(struct client *client, const struct options *o, struct failure *f)
{
	(void)client;
	return by_hand_receive(o, false, f);
}
