// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/delta_receive.h"
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
		return 0;
	}
	return failure_set(
		f, CODE_ACCESS_DENIED, -EACCES,
		"This host has no relationship for VM %s with a peer at %s; check the peer's "
		"address with "
		"`failback export` here.",
		uuid_format(uuid, vm_text), address_format(peer, text));
}

static int check_reverse(const struct vm *vm, const struct call *call, struct failure *f)
{
	struct relationship_record ignored = vm->r;
	int disks[CALL_DISKS_MAX];
	int rc;

	if (vm->r.mode == MODE_REPLICA && vm->r.state == STATE_WAITING_INITIAL)
		return failure_set(
			f, CODE_NOT_SUPPORTED, -EOPNOTSUPP,
			"VM %.64s is Replica in state 2 (Waiting to complete initial replication): "
			"what its "
			"disks hold is not known, a compare is needed, which this version lacks.",
			vm->r.name);
	rc = vm_apply_event(vm, EVENT_REVERSED_BY_PEER, &ignored, f);
	if (!rc)
		rc = vm_check_idle(vm, f);
	if (!rc && vm->r.mode == MODE_PRIMARY)
		rc = trackers_check_unwritten(&vm->r, f);
	/* The caller was the receiver: its base has to be ours. */
	if (!rc && !base_is_covered(&call->base, &call->epoch, &vm->r.base, NULL, 0))
		rc = failure_set(
			f, CODE_NOT_SUPPORTED, -ESTALE,
			"The disks of VM %.64s on the two hosts were not equal at the failover: a "
			"compare is "
			"needed, which this version lacks.",
			vm->r.name);
	if (!rc)
		rc = receive_open_disks(vm, call, disks, f);
	for (size_t i = 0; !rc && i < call->nr_disks; i++)
		(void)close_fd(disks[i]);
	return rc;
}

/*
 * The maps of the trackers here say nothing about the new direction: whichever is found next time
 * is a new start.
 */
static void forget_trackers(struct disk_record *disks, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		memset(&disks[i].tracker_uuid, 0, sizeof(disks[i].tracker_uuid));
		disks[i].tracker_generation = 0;
	}
}

static int become_replica(struct vm *vm, struct failure *f)
{
	struct relationship_record next = vm->r;
	int rc = vm_apply_event(vm, EVENT_REVERSED_BY_PEER, &next, f);

	if (!rc)
		rc = vm_copy_disks(vm, &next.disks, f);
	if (rc)
		return rc;
	forget_trackers(next.disks, next.nr_disks);
	memset(&next.epoch, 0, sizeof(next.epoch));
	next.nr_aborted = 0;
	next.health = HEALTH_OK;
	next.last_error[0] = '\0';
	rc = vm_change(vm, &next, f);
	if (rc)
		free(next.disks);
	else
		log_notice("VM %s is now the replica of %s", vm->r.name, vm->r.peer);
	return rc;
}

static int handle(struct daemon *d, const struct address *peer, const struct call *call,
		  struct reply *reply, struct receive **ret_receive, struct failure *f)
{
	struct vm *vm = NULL;
	int rc = find_vm(d, peer, &call->vm, &vm, f);

	if (rc)
		return rc;
	if (call->kind == CALL_RECEIVE) {
		reply->code = CODE_JOB_STARTED;
		rc = receive_prepare(vm, call, ret_receive, f);
	} else {
		rc = check_reverse(vm, call, f);
		if (!rc && call->kind == CALL_REVERSE)
			rc = become_replica(vm, f);
	}
	reply->base = vm->r.base;
	return rc;
}

void answer_call(struct daemon *d, const struct address *peer, const char *text,
		 struct reply *reply, struct receive **ret_receive)
{
	struct reply answer = { .code = CODE_COMPLETED };
	char peer_text[ADDRESS_TEXT_MAX];
	struct failure why;
	struct call call;
	int rc;

	*ret_receive = NULL;
	rc = call_decode(text, &call, &why);
	if (!rc)
		rc = handle(d, peer, &call, &answer, ret_receive, &why);
	if (rc) {
		answer.code = why.code;
		(void)snprintf(answer.text, sizeof(answer.text), "%s", why.text);
		log_warning("Peer %s was refused (%u, %s): %s", address_format(peer, peer_text),
			    why.code, code_name(why.code), why.text);
	}
	*reply = answer;
}
