// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cbt-wire.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/create.h"
#include "daemon/definitions.h"
#include "daemon/delta_end.h"
#include "daemon/delta_receive.h"
#include "daemon/job.h"
#include "daemon/map_import.h"
#include "daemon/readiness.h"
#include "daemon/split_brain.h"
#include "daemon/trackers.h"
#include "daemon/vm.h"

/* The same answer for an unknown VM and for another host's VM: who may not know learns nothing. */
static int find_vm(struct daemon *d, const struct address *peer, const struct uuid *uuid,
		   struct vm **ret, struct failure *f)
{
	struct vm *vm = vm_find(d, uuid);
	char text[ADDRESS_TEXT_MAX];
	char vm_text[UUID_TEXT_LEN + 1];
	struct address own;

	if (vm && address_parse(vm->r.peer, PEER_PORT, &own, NULL) == 0 &&
	    address_is_same_host(&own, peer)) {
		*ret = vm;
		return vm_check_readable(vm, f);
	}
	return failure_set(
		f, CODE_ACCESS_DENIED, -EACCES,
		"This host has no relationship for VM %s with a peer at %s; check the peer's "
		"address with "
		"`failback export` here.",
		uuid_format(uuid, vm_text), address_format(peer, text));
}

/* --- what is said in every reply --- */

static void describe(const struct vm *vm, struct reply *reply)
{
	reply->base = vm->r.base;
	reply->mode = vm->r.mode;
	reply->state = vm->r.state;
	reply->ceded = vm->r.ceded;
	reply->host = vm_swap_host(vm);
	reply->history = vm_history(vm);
	reply->nr_aborted = vm->r.nr_aborted;
	memcpy(reply->aborted, vm->r.aborted, sizeof(reply->aborted));
}

static void describe_disks(const struct vm *vm, struct reply *reply)
{
	for (size_t i = 0; i < vm->r.nr_disks; i++) {
		const struct disk_record *disk = &vm->r.disks[i];
		struct reply_disk *ret = &reply->disks[i];

		(void)snprintf(ret->name, sizeof(ret->name), "%s", disk->name);
		ret->size_bytes = disk->size_bytes;
		trackers_facts(&vm->r, disk, &ret->map_reaches_back, &ret->dirty_bytes);
		ret->map_lost = !ret->map_reaches_back && !uuid_is_nil(&disk->tracker_uuid);
		/* A replica in state 2 has kept the maps that were noted, and no other. */
		if (vm->r.mode == MODE_REPLICA && vm->r.state == STATE_WAITING_INITIAL &&
		    uuid_is_nil(&disk->tracker_uuid))
			ret->map_reaches_back = false;
	}
	reply->nr_disks = vm->r.nr_disks;
}

/* --- the calls of role_swap.h --- */

static int explain_verdict(struct vm *vm, const struct call *call,
			   enum swap_verdict verdict, struct failure *f)
{
	struct swap_host host = vm_swap_host(vm);
	char role[96];

	relationship_role_text(vm_role(vm), role, sizeof(role));
	switch (verdict) {
	case SWAP_SPLIT_BRAIN:
		return split_brain_refuse(vm, &call->history, f);
	case SWAP_STALE:
		/* After a start by force here, say, before that host was failed over by force: no repetition helps. */
		if (call->swap.ask == SWAP_CONFIRM)
			return failure_set(f, CODE_INVALID_STATE, -ESTALE,
					   "VM %.64s is %s here, in term %llu, and that host knows no later one: find "
					   "out where it ran last, and start it there by force.",
					   vm->r.name, role, (unsigned long long)host.term);
		return failure_set(f, CODE_INVALID_STATE, -ESTALE,
				   "VM %.64s has changed here meanwhile (%s, term %llu): repeat it.",
				   vm->r.name, role, (unsigned long long)host.term);
	default:
		return failure_set(f, CODE_INVALID_STATE, -EBADE,
				   "VM %.64s is %s: that allows no %s.", vm->r.name, role,
				   swap_ask_name(call->swap.ask));
	}
}

static bool is_sent_whole(const struct call *call, const char *disk)
{
	for (size_t i = 0; i < call->nr_disks; i++) {
		if (strcmp(call->disks[i].name, disk) == 0)
			return call->disks[i].all;
	}
	return true;
}

/*
 * The maps of the trackers here say nothing about the new direction: whichever is found next time
 * is a new start. But for those that the caller will ask for (CALL_MAP).
 */
static void forget_trackers(const struct call *call, struct disk_record *disks, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		disks[i].send = SEND_USUAL;
		if (call->convert && !is_sent_whole(call, disks[i].name))
			continue;
		memset(&disks[i].tracker_uuid, 0, sizeof(disks[i].tracker_uuid));
		disks[i].tracker_generation = 0;
		disks[i].map_lost = false;
	}
}

/* Become the caller's replica: what all transfers begin with. */
static int become_replica(struct vm *vm, const struct call *call, const struct swap_host *host,
			  struct failure *f)
{
	bool was_replica = vm_swap_host(vm).role == SWAP_REPLICA;
	struct relationship_record next = vm->r;
	int rc = vm_apply_event(vm, call->convert ? EVENT_CONVERTED_BY_PEER : EVENT_REVERSED_BY_PEER,
				&next, f);

	if (!rc)
		rc = vm_copy_disks(vm, &next.disks, f);
	if (rc)
		return rc;
	forget_trackers(call, next.disks, next.nr_disks);
	vm_put_swap(vm, host, &next);
	memset(&next.epoch, 0, sizeof(next.epoch));
	if (!call->convert)
		next.nr_aborted = 0; /* else a repeated reverse still finds what the caller may hold */
	next.health = call->convert ? HEALTH_WARNING : HEALTH_OK;
	next.last_error[0] = '\0';
	rc = vm_change_role(vm, &next, f);
	if (rc) {
		free(next.disks);
		return rc;
	}
	if (!was_replica)
		definition_remove(vm); /* it came for other disks */
	log_notice("VM %s is now the replica of %s", vm->r.name, vm->r.peer);
	return 0;
}

/* @reply: NULL, or where to say which of them are blank. */
static int check_disks(const struct vm *vm, const struct call *call, struct reply *reply,
		       struct failure *f)
{
	int disks[CALL_DISKS_MAX];
	int rc = receive_open_disks(vm, call, disks, f);

	if (rc)
		return rc;
	if (reply)
		rc = receive_find_blank(vm, call, disks, reply, f);
	for (size_t i = 0; i < call->nr_disks; i++)
		(void)close_fd(disks[i]);
	return rc;
}

/* Of what is not sent whole, the caller may ask for the map from here on. */
static int check_maps(const struct vm *vm, const struct call *call, struct failure *f)
{
	for (size_t i = 0; i < vm->r.nr_disks; i++) {
		const struct disk_record *disk = &vm->r.disks[i];
		uint64_t dirty;
		bool reaches_back;

		if (is_sent_whole(call, disk->name))
			continue;
		trackers_facts(&vm->r, disk, &reaches_back, &dirty);
		if (!reaches_back || uuid_is_nil(&disk->tracker_uuid))
			return failure_set(f, CODE_INVALID_STATE, -ESTALE,
					   "The map of disk %s of VM %.64s, which the plan relies on, is "
					   "lost here: make a new plan.",
					   disk->name, vm->r.name);
	}
	return 0;
}

static bool all_is_sent(const struct vm *vm, const struct call *call)
{
	for (size_t i = 0; i < vm->r.nr_disks; i++) {
		if (!is_sent_whole(call, vm->r.disks[i].name))
			return false;
	}
	return true;
}

/* Without "convert", the caller will send nothing but its own map. */
static int check_equal(const struct vm *vm, const struct call *call, struct failure *f)
{
	int rc = 0;

	if (!call->convert && vm->r.mode == MODE_PRIMARY)
		rc = trackers_check_unwritten(&vm->r, f);
	if (!rc && call->convert)
		rc = check_maps(vm, call, f);
	if (!rc && !base_is_covered(&call->base, &call->epoch, &vm->r.base, vm->r.aborted,
				    call->convert ? vm->r.nr_aborted : 0))
		rc = failure_set(f, CODE_INVALID_STATE, -ESTALE,
				 "The disks of VM %.64s on the two hosts are not equal any more: "
				 "make a new plan.",
				 vm->r.name);
	return rc;
}

/*
 * A fence that is up already has nothing to hide but what came by the tracker's name since: that is
 * another's, perhaps, and no peer is to choose when it goes.
 */
static bool moves_fence(const struct vm *vm, const struct swap_host *from, const struct swap_host *to)
{
	return to->role != from->role || from->facing || to->facing ||
	       trackers_check_all_own(&vm->r, NULL) != -EEXIST;
}

static int agree(struct vm *vm, const struct call *call, struct reply *reply, struct failure *f)
{
	struct swap_host host = vm_swap_host(vm);
	struct relationship_record next = vm->r;
	enum swap_verdict verdict;
	struct swap_reply agreed;
	struct swap_host to;
	int rc = vm_check_idle(vm, f);

	if (rc)
		return rc;
	verdict = swap_answer(&host, &call->swap, SWAP_GUARDS_ALL, &to, &agreed);
	if (verdict)
		return explain_verdict(vm, call, verdict, f);
	if (call->kind == CALL_REVERSE) {
		rc = delta_settle(vm, f);
		if (!rc && !(call->convert && all_is_sent(vm, call)))
			rc = check_equal(vm, call, f);
		if (!rc)
			rc = check_disks(vm, call, NULL, f);
		if (!rc)
			rc = become_replica(vm, call, &to, f);
	} else {
		vm_put_swap(vm, &to, &next);
		rc = moves_fence(vm, &host, &to) ? vm_change_role(vm, &next, f) :
						   vm_change(vm, &next, f);
	}
	reply->nonce = agreed.nonce;
	return rc;
}

/* What would keep this host from becoming the caller's replica, before anything is chosen. */
static int check_reverse(struct vm *vm, const struct call *call, struct reply *reply,
			 struct failure *f)
{
	struct swap_host host = vm_swap_host(vm);
	struct call asked = *call;
	struct relationship_record ignored = vm->r;
	int rc = vm_check_idle(vm, f);

	asked.swap.ask = SWAP_REVERSE;
	if (!rc && host.facing)
		rc = explain_verdict(vm, &asked, SWAP_SPLIT_BRAIN, f);
	if (!rc)
		rc = vm_apply_event(vm, EVENT_CONVERTED_BY_PEER, &ignored, f);
	return rc ? rc : check_disks(vm, call, reply, f);
}

/* --- calls --- */

/* A delta that comes meanwhile is asked to come again. */
static bool ends_by_itself(const struct job *job)
{
	return job && (job->r.type == JOB_RECEIVE || job->r.type == JOB_TEST_READINESS);
}

/* What else a reply says stays unsaid, and what else a call says is not looked at. */
static int handle_join(struct daemon *d, const struct conn *c, const struct call *call,
		       struct reply *reply, struct call_join *ret, struct failure *f)
{
	struct call_join join = { call->vm, call->token, call->connection };
	struct vm *vm = NULL;
	int rc = find_vm(d, conn_peer(c), &call->vm, &vm, f);

	if (!rc)
		rc = receive_admit(vm, c, &join, f);
	if (rc)
		return rc;
	reply->code = CODE_JOB_STARTED;
	*ret = join;
	return 0;
}

static int handle(struct daemon *d, const struct address *peer, const struct call *call,
		  struct reply *reply, struct receive **ret_receive, struct vm **ret_ready,
		  struct failure *f)
{
	struct vm *vm = NULL;
	enum swap_ask ask;
	int rc;

	if (call->kind == CALL_CREATE)
		return create_for_peer(d, peer, call, f);
	rc = find_vm(d, peer, &call->vm, &vm, f);
	if (rc)
		return rc;
	if (call->kind == CALL_DEFINITION)
		return definition_take(vm, call, f);
	split_brain_look(vm, &call->history);
	if (call->kind == CALL_LOOK || call->kind == CALL_REVERSE_CHECK || call->kind == CALL_READY)
		describe_disks(vm, reply);
	if (call->kind == CALL_MAP) {
		rc = map_answer(vm, call, reply, f);
		reply->resync = rc == -ENODATA;
	} else if (call->kind == CALL_RECEIVE) {
		rc = receive_prepare(vm, call, ret_receive, reply, f);
		/* What waits for room in the database may wait for long. */
		reply->busy = rc && ends_by_itself(vm->job) && !vm->unstored[0];
	} else if (call->kind == CALL_READY) {
		readiness_check(vm, call->bytes, &reply->points);
		reply->busy = vm->job != NULL;
		*ret_ready = vm;
	} else if (call->kind == CALL_REVERSE_CHECK) {
		rc = check_reverse(vm, call, reply, f);
	} else if (call_asks(call->kind, &ask)) {
		rc = agree(vm, call, reply, f);
	}
	describe(vm, reply);
	return rc;
}

void answer_call(struct daemon *d, const struct conn *c, const char *text, struct reply *reply,
		 struct receive **ret_receive, struct call_join *ret_join, struct vm **ret_ready)
{
	struct reply answer = { .code = CODE_COMPLETED, .connections = CBT_WIRE_CONNECTIONS_MAX };
	const struct address *peer = conn_peer(c);
	char peer_text[ADDRESS_TEXT_MAX];
	struct failure why;
	struct call call;
	int rc;

	*ret_receive = NULL;
	*ret_ready = NULL;
	*ret_join = (struct call_join){ 0 };
	rc = call_decode(text, &call, &why);
	if (!rc && call.kind == CALL_JOIN)
		rc = handle_join(d, c, &call, &answer, ret_join, &why);
	else if (!rc)
		rc = handle(d, peer, &call, &answer, ret_receive, ret_ready, &why);
	if (rc) {
		answer.code = why.code;
		(void)snprintf(answer.text, sizeof(answer.text), "%s", why.text);
		log_warning("Peer %s was refused (%u, %s): %s", address_format(peer, peer_text),
			    why.code, code_name(why.code), why.text);
	}
	*reply = answer;
}
