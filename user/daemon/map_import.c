// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/map_import.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "daemon/peer.h"
#include "daemon/trackers.h"

#define GUESS_ALIGN UINT64_C(4096) /* bytes: no peer makes us read a part of a sector */

struct map_import {
	struct vm *vm;
	struct conn *conn; /* the caller's */
	void (*done)(void *context, int error, const struct failure *why);
	void *context;
	size_t disk; /* whose map is asked for */
	uint64_t start;
};

void map_import_free_at(struct map_import **at)
{
	free(*at);
	*at = NULL;
}

bool map_import_needed(const struct vm *vm)
{
	for (size_t i = 0; i < vm->r.nr_disks; i++) {
		if (vm->r.disks[i].send == SEND_BOTH)
			return true;
	}
	return false;
}

/* --- asking --- */

static void on_reply(void *context, int error, const struct failure *why, const char *text);

static int ask(struct map_import *import, struct failure *f)
{
	const struct relationship_record *r = &import->vm->r;
	cleanup_free char *text = NULL;
	struct call call;

	call_of_relationship(CALL_MAP, r, &call);
	memcpy(call.disk, r->disks[import->disk].name, sizeof(call.disk));
	call.start = import->start;
	text = call_encode(&call);
	if (!text)
		return failure_no_memory(f);
	return conn_call(import->conn, text, peer_timeout_us(import->vm->daemon), on_reply, import, f);
}

/* The disk that waits, from @import->disk on; false: none does. */
static bool find_disk(struct map_import *import)
{
	const struct relationship_record *r = &import->vm->r;

	while (import->disk < r->nr_disks && r->disks[import->disk].send != SEND_BOTH)
		import->disk++;
	return import->disk < r->nr_disks;
}

static int record_imported(struct vm *vm, struct failure *f)
{
	struct relationship_record next = vm->r;
	int rc = vm_copy_disks(vm, &next.disks, f);

	if (rc)
		return rc;
	for (size_t i = 0; i < next.nr_disks; i++) {
		if (next.disks[i].send == SEND_BOTH)
			next.disks[i].send = SEND_MAP;
	}
	rc = vm_change(vm, &next, f);
	if (rc)
		free(next.disks);
	return rc;
}

/*
 * What the peer has dirty only by guess is marked like the rest, and hashed before it is sent in the epoch
 * that this process freezes next; afterwards it is sent.
 */
static void take_guesses(struct vm *vm, size_t disk, const struct reply *reply)
{
	struct extent_list *guessed;

	if (!vm->guessed)
		vm->guessed = calloc(vm->r.nr_disks, sizeof(*vm->guessed));
	if (!vm->guessed)
		return;
	vm->nr_guessed = vm->r.nr_disks;
	guessed = &vm->guessed[disk];
	extent_list_free(guessed);
	for (size_t i = 0; i < reply->nr_guessed; i++) {
		uint64_t start = round_down_to(reply->guessed[i].offset, GUESS_ALIGN);
		uint64_t end = reply->guessed[i].offset + reply->guessed[i].length;

		/* What cannot be taken is not guessed, and sent. */
		(void)extent_push(guessed, start, round_up_to(end - start, GUESS_ALIGN));
	}
}

/* ORDER: marked and durable, then the next is asked for. 1: that was the last. */
static int take_page(struct map_import *import, const struct reply *reply, struct failure *f)
{
	struct vm *vm = import->vm;
	int rc = trackers_mark(&vm->r, import->disk, reply->ranges, reply->nr_ranges, f);

	if (rc)
		return rc;
	if (reply->next && reply->next <= import->start)
		return failure_set(f, CODE_FAILED, -EBADMSG,
				   "Peer %s sends the same part of a map again.", vm->r.peer);
	if (!import->start)
		take_guesses(vm, import->disk, reply);
	import->start = reply->next;
	import->disk += !reply->next;
	if (find_disk(import))
		return ask(import, f);
	rc = record_imported(vm, f);
	return rc ? rc : 1;
}

static void on_reply(void *context, int error, const struct failure *why, const char *text)
{
	struct map_import *import = context;
	struct failure failure;
	struct reply reply;
	int rc = error;

	if (error)
		failure = *why;
	else
		rc = reply_decode(text, &reply, &failure);
	if (!rc && reply.code != CODE_COMPLETED)
		rc = failure_set(&failure, (enum code)reply.code,
				 reply.resync ? -ENODATA : -EREMOTEIO,
				 "Peer %s does not give its map: %.400s", import->vm->r.peer,
				 reply.text);
	if (!rc)
		rc = take_page(import, &reply, &failure);
	if (rc)
		import->done(import->context, min_of(rc, 0), rc < 0 ? &failure : NULL);
}

int map_import_start(struct vm *vm, struct conn *conn,
		     void (*done)(void *context, int error, const struct failure *why), void *context,
		     struct map_import **ret, struct failure *f)
{
	_cleanup_(map_import_free_at) struct map_import *import = calloc(1, sizeof(*import));
	int rc;

	if (!import)
		return failure_no_memory(f);
	import->vm = vm;
	import->conn = conn;
	import->done = done;
	import->context = context;
	if (!find_disk(import))
		return failure_set(f, CODE_FAILED, -EINVAL, "No disk waits for its peer's map.");
	rc = ask(import, f);
	if (rc)
		return rc;
	*ret = steal_ptr(import);
	return 0;
}

/* --- answering --- */

int map_answer(const struct vm *vm, const struct call *call, struct reply *reply, struct failure *f)
{
	struct tracker_map map = { .dirty = reply->ranges,
				   .guessed = reply->guessed,
				   .max = CALL_RANGES_MAX };
	const struct relationship_record *r = &vm->r;
	int rc;

	if (r->mode != MODE_REPLICA || r->state != STATE_WAITING_INITIAL)
		return failure_set(f, CODE_INVALID_STATE, -EBADE,
				   "VM %.64s is no replica that was just made from a primary.", r->name);
	for (size_t i = 0; i < r->nr_disks; i++) {
		if (strcmp(r->disks[i].name, call->disk) != 0)
			continue;
		rc = trackers_map(r, i, call->start, &map, f);
		reply->nr_ranges = map.nr_dirty;
		reply->nr_guessed = map.nr_guessed;
		reply->next = map.next;
		return rc;
	}
	return failure_set(f, CODE_INVALID_PARAMETER, -ENOENT, "VM %.64s has no disk %s here.", r->name,
			   call->disk);
}
