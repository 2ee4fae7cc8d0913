// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/test_connection.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "daemon/talk.h"
#include "lib/json.h"

struct test {
	struct job *job;
	struct talk *talk;
	char peer[PEER_TEXT_MAX];
};

static void test_free_at(struct test **at)
{
	struct test *test = steal_ptr(*at);

	if (!test)
		return;
	talk_free_at(&test->talk);
	free(test);
}

static char *result_of(const struct test *test, const struct reply *reply)
{
	cleanup_json struct json_object *object = json_object_new_object();

	json_add_uint(object, "schema", 1);
	json_add_text(object, "peer", test->peer);
	json_add_text(object, "protection", protection_name(conn_protection(talk_conn(test->talk))));
	json_add_text(object, "fingerprint", conn_fingerprint(talk_conn(test->talk)));
	json_add_uint(object, "mode", reply->mode);
	json_add_text(object, "mode_name", mode_name(reply->mode));
	json_add_uint(object, "state", reply->state);
	json_add_text(object, "state_name", state_name(reply->state));
	(void)json_object_object_add(object, "may_run",
				     json_object_new_boolean(reply->host.facing));
	json_add_uint(object, "term", reply->host.term);
	return json_text(object);
}

static void on_end(void *context, const struct failure *why, const struct reply *reply, bool asked)
{
	_cleanup_(test_free_at) struct test *test = context;
	struct failure copy;

	(void)asked;
	if (why)
		copy = *why;
	else
		test->job->result = result_of(test, reply);
	job_end(test->job, why ? &copy : NULL);
}

static const struct talk_events events = { NULL, on_end };

static void on_cancel(void *context)
{
	struct failure why;

	(void)failure_set(&why, CODE_FAILED, -ECANCELED, "Terminated on request.");
	on_end(context, &why, NULL, false);
}

static int choose_peer(const struct vm *vm, const char *host, uint16_t port, char *ret,
		       struct failure *f)
{
	struct address present;
	struct address address;
	int rc = address_parse(vm->r.peer, PEER_PORT, &present, f);

	address = present;
	if (!rc && host[0])
		rc = address_parse(host, address_port(&present), &address, f);
	if (rc)
		return rc;
	if (port)
		address_set_port(&address, port);
	(void)address_format(&address, ret);
	return 0;
}

struct job *test_connection_start(struct vm *vm, const char *host, uint16_t port,
				  struct failure *f)
{
	_cleanup_(test_free_at) struct test *test = calloc(1, sizeof(*test));
	struct failure why;
	struct call look;
	struct job *job;

	if (!test) {
		(void)failure_no_memory(f);
		return NULL;
	}
	if (vm_check_idle(vm, f) || choose_peer(vm, host, port, test->peer, f))
		return NULL;
	test->job = job = job_start(vm, JOB_TEST_CONNECTION, f);
	if (!job)
		return NULL;
	job->operation = test;
	job->cancel = on_cancel;
	job_set_status(job, "connecting to %s", test->peer);
	call_of_relationship(CALL_LOOK, &vm->r, &look);
	if (talk_start(vm, test->peer, &look, &events, test, &test->talk, &why))
		on_end(steal_ptr(test), &why, NULL, false);
	else
		(void)steal_ptr(test);
	return job;
}
