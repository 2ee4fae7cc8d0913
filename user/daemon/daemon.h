/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One failbackd: what its parts share. Single-threaded; everything happens in turns of one event
 * loop, and no turn waits for a peer or a transfer.
 *
 *	*_object				what D-Bus shows
 *	reverse, takeover, delta, delta_receive, ready, answer
 *						operations: one at a time on a VM, with a job
 *	create, apply, adopt			relationships begin
 *	schedule				begins deltas when they are due
 *	peer, talk, join, joined, listener, worker, journals, received, trackers, images, map_import,
 *	fence, watch, losses, labels, readiness, definitions, definition_send, vm_control, vm_driver
 *						what operations talk to
 *	vm, job					what is remembered
 *	relationship, role_swap, reverse_plan, adoption, calls, progress
 *						pure
 */
#ifndef FAILBACK_DAEMON_DAEMON_H
#define FAILBACK_DAEMON_DAEMON_H

#include <stdbool.h>
#include <stddef.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "base/failure.h"
#include "daemon/host_config.h"
#include "lib/address.h"
#include "lib/store.h"
#include "lib/tls.h"

struct job;
struct listener;
struct losses;
struct schedule;
struct vm;

struct daemon {
	struct host_config config;
	char libexec[PATH_MAX / 2]; /* where the workers are */
	struct address listen;
	sd_event *event;
	sd_bus *bus;
	struct store *store;
	struct listener *listener;
	bool protection_logged; /* and which */
	enum protection protection;
	struct vm *vms;
	struct job *jobs; /* newest first */
	size_t nr_ended; /* of them */
	char boot[BOOT_TEXT_MAX]; /* of this boot of the host */
	uint64_t session; /* of this start of the daemon */
	struct schedule *schedule;
	struct losses *losses;
	uint64_t watch_due_ns; /* 0: at once */
	bool stopping; /* what runs may end, nothing starts */
};

/** daemon_run - until it is told to stop. 0, or a negative errno with the failure that ended it. */
int daemon_run(const struct host_config *config, struct failure *f);

#endif
