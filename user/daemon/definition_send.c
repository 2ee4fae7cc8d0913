// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/definition_send.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/macro.h"
#include "daemon/calls.h"
#include "daemon/definitions.h"
#include "daemon/peer.h"
#include "daemon/trackers.h"
#include "daemon/vm_control.h"
#include "daemon/vm_driver.h"
#include "lib/base64.h"
#include "lib/definition.h"
#include "lib/pack.h"

#define ASK_AGAIN_NS (3600 * NS_PER_S)

struct definition_send {
	struct vm *vm;
	struct conn *conn;
	conn_fn done;
	void *context;
	struct vm_control *dump; /* first */
	char *frame; /* then; in pieces */
	size_t size;
	size_t sent;
	size_t piece; /* bytes, on its way */
};

void definition_send_free_at(struct definition_send **at)
{
	struct definition_send *s = steal_ptr(*at);

	if (!s)
		return;
	vm_control_free_at(&s->dump);
	free(s->frame);
	free(s);
}

bool definition_is_sent(const struct vm *vm)
{
	const struct host_config *config = &vm->daemon->config;

	return vm->r.mode == MODE_PRIMARY && vm_driver_of(config)->command(config, VM_DUMP);
}

/* --- the end --- */

static void note_trouble(struct vm *vm, const char *text)
{
	if (strcmp(vm->definition_trouble, text) == 0)
		return;
	(void)snprintf(vm->definition_trouble, sizeof(vm->definition_trouble), "%s", text);
	if (text[0])
		log_warning("VM %s: its definition does not reach the replica: %s", vm->r.name, text);
}

static void finish(struct definition_send *s, const char *trouble)
{
	note_trouble(s->vm, trouble);
	s->done(s->context, 0, NULL, NULL);
}

/* --- the pieces --- */

static int say(struct definition_send *s, struct failure *f);

/* 0: something follows; 1: that was all. */
static int take_reply(struct definition_send *s, const char *text, struct failure *f)
{
	cleanup_free struct reply *reply = calloc(1, sizeof(*reply));
	int rc = reply ? reply_decode(text, reply, f) :
			 failure_no_memory(f);

	if (rc)
		return rc;
	if (reply->code == CODE_NOT_SUPPORTED) {
		log_info("VM %s: peer %s runs a version that knows of no definitions", s->vm->r.name, s->vm->r.peer);
		s->vm->definition_due_ns = clock_ns() + ASK_AGAIN_NS;
		return 1;
	}
	if (reply->code != CODE_COMPLETED)
		return failure_set(f, (enum code)reply->code, -EREMOTEIO, "Peer %s refuses it: %.400s", s->vm->r.peer,
				   reply->text);
	s->sent += s->piece;
	return s->sent == s->size ? 1 : say(s, f);
}

static void on_reply(void *context, int error, const struct failure *why, const char *text)
{
	struct definition_send *s = context;
	struct failure failure;
	int rc;

	if (error) {
		s->done(s->context, error, why, NULL);
		return;
	}
	rc = take_reply(s, text, &failure);
	if (rc)
		finish(s, rc < 0 ? failure.text : "");
}

static int say(struct definition_send *s, struct failure *f)
{
	cleanup_free struct call *call = calloc(1, sizeof(*call));
	cleanup_free char *data = NULL;
	cleanup_free char *text = NULL;

	s->piece = min_of(s->size - s->sent, (size_t)CALL_PIECE_BYTES);
	data = base64_encode(s->frame + s->sent, s->piece);
	if (call && data) {
		call->kind = CALL_DEFINITION;
		call->vm = s->vm->r.vm;
		call->base = s->vm->r.base;
		call->epoch = s->vm->r.epoch;
		call->size = s->size;
		call->offset = s->sent;
		(void)snprintf(call->data, sizeof(call->data), "%s", data);
		text = call_encode(call);
	}
	if (!text)
		return failure_no_memory(f);
	return conn_call(s->conn, text, peer_timeout_us(s->vm->daemon), on_reply, s, f);
}

/* --- what is sent --- */

static int read_output(int fd, char **ret, size_t *ret_len, struct failure *f)
{
	cleanup_free char *text = NULL;
	size_t done = 0;
	struct stat st;
	ssize_t got;

	if (fstat(fd, &st) < 0 || !st.st_size || (size_t)st.st_size > DEFINITION_TEXT_MAX + 1)
		return failure_set(f, CODE_FAILED, -EIO, "The hypervisor's answer is none.");
	text = malloc((size_t)st.st_size);
	if (!text)
		return failure_no_memory(f);
	while ((got = pread(fd, text + done, (size_t)st.st_size - done, (off_t)done)) > 0)
		done += (size_t)got;
	*ret = steal_ptr(text);
	*ret_len = done;
	return 0;
}

static int pack(struct definition_send *s, struct failure *f)
{
	_cleanup_(pack_close_at) struct pack *p = NULL;
	cleanup_free char *text = NULL;
	size_t len = 0;
	int rc = read_output(vm_control_output(s->dump), &text, &len, f);

	if (!rc)
		rc = pack_open(&p, f);
	if (rc)
		return rc;
	s->frame = malloc(pack_room(len));
	if (!s->frame)
		return failure_no_memory(f);
	s->size = pack_data(p, text, len, s->frame);
	/* It is text. */
	return s->size ? 0 : failure_set(f, CODE_FAILED, -EIO, "The definition cannot be packed.");
}

static void on_dumped(void *context, const struct failure *why)
{
	struct definition_send *s = context;
	struct failure failure;
	int rc = -EIO;

	if (why && why->code == CODE_FILE_NOT_FOUND) {
		finish(s, ""); /* `failback ready` says of the hypervisor that it knows no such VM */
		return;
	}
	if (why) {
		failure = *why; /* goes with the dump */
	} else {
		definition_remove(s->vm); /* it is older */
		rc = pack(s, &failure);
	}
	vm_control_free_at(&s->dump);
	if (!rc)
		rc = say(s, &failure);
	if (rc)
		finish(s, failure.text);
}

bool definition_send_start(struct vm *vm, struct conn *conn, conn_fn done, void *context,
			   struct definition_send **ret)
{
	_cleanup_(definition_send_free_at) struct definition_send *s = NULL;
	struct failure why;
	int rc;

	if (!definition_is_sent(vm))
		definition_remove(vm); /* nothing here uses it */
	/* Who has its disks open is the VM, that was started by hand. */
	if (definition_is_owed(vm) && trackers_check_closed(&vm->r, &why) == -EBUSY)
		definition_used(vm);
	/* What the hypervisor has is older, or none. */
	if (definition_is_owed(vm)) {
		note_trouble(vm, "What came here with the VM's disks was not used yet: `failback start --force` does that, and "
				 "starts the VM.");
		return false;
	}
	if (!definition_is_sent(vm) || clock_ns() < vm->definition_due_ns)
		return false;
	s = calloc(1, sizeof(*s));
	if (!s)
		return false;
	s->vm = vm;
	s->conn = conn;
	s->done = done;
	s->context = context;
	rc = vm_control_dump(vm, on_dumped, s, &s->dump, &why);
	if (rc < 0)
		note_trouble(vm, why.text);
	if (rc)
		return false;
	*ret = steal_ptr(s);
	return true;
}
