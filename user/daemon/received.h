/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A delta is on the disks, written through the trackers of the replica: their maps start anew there.
 * What they hold and the delta did not write, somebody else wrote: it stays dirty, and is told.
 */
#ifndef FAILBACK_DAEMON_RECEIVED_H
#define FAILBACK_DAEMON_RECEIVED_H

#include "daemon/calls.h"
#include "daemon/vm.h"

/** received_file - for a worker to say what the delta of @call covers (lib/covered.h); the caller's. */
int received_file(const struct call *call, int *ret_fd, struct failure *f);

/** received_nothing - does the file prove that nothing was written? -1: it does not. */
bool received_nothing(int covered);

#define RECEIVED_TEXT_LEN 480

/**
 * received_note - the epoch of @call is on the disks of @vm.
 * @covered: what the worker left in it; -1: nobody knows any more, and all that was written is told
 * @ret: for the operator; "" when only the delta was written
 *
 * Trackers that do not follow keep more than they need: the next reverse sends it in vain, and nothing
 * is missed. They are only logged.
 */
void received_note(const struct vm *vm, const struct call *call, int covered,
		   char ret[RECEIVED_TEXT_LEN]);

#endif
