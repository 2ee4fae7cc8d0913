/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A relationship's beginning and its end. The primary's operator begins it, and the peer makes its
 * half; each side ends its own.
 */
#ifndef FAILBACK_DAEMON_CREATE_H
#define FAILBACK_DAEMON_CREATE_H

#include "daemon/calls.h"
#include "daemon/job.h"
#include "daemon/vm.h"

/**
 * create_start - make this host the primary of a VM, and the peer its replica.
 * @json: {"vm", "name", "peer", "disks": [{"name", "size", "path", "tracker", "peer_path",
 *	"peer_tracker"}]}. Without "vm", a new UUID; without "size", that of the disk at "path";
 *	without "peer_path" and "peer_tracker", the same as here.
 * @setting_data: ReplicationSettingData, or ""
 *
 * NULL with a failure: nothing was started and nothing changed. A job that fails leaves no
 * relationship here.
 */
struct job *create_start(struct daemon *d, const char *json, const char *setting_data,
			 struct failure *f);

/**
 * create_for_peer - the peer's half. Peers may name disks below `replica-paths` only; what is in use
 * is refused. Repeating it changes nothing.
 */
int create_for_peer(struct daemon *d, const struct address *peer, const struct call *call,
		    struct failure *f);

/** remove_start - forget the relationship on this host. The disks stay as they are. */
struct job *remove_start(struct vm *vm, struct failure *f);

#endif
