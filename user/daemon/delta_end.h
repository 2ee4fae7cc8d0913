/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a delta ends, for its VM: committed once the peer has all of it, or aborted, which leaves its
 * blocks to the next one. What the record says of it is durable before the epoch is ended.
 */
#ifndef FAILBACK_DAEMON_DELTA_END_H
#define FAILBACK_DAEMON_DELTA_END_H

#include "daemon/vm.h"
#include "lib/nl.h"

/** delta_is_missed - what was written on some disk is in no map: only a comparison finds it. */
bool delta_is_missed(const struct vm *vm);

/**
 * delta_settle - end the epoch that a crash or a failed commit left behind: commit it if its
 * acknowledgement was recorded, else abort it. Does nothing when there is none.
 */
int delta_settle(struct vm *vm, struct failure *f);

/**
 * delta_commit - the peer has all of it on disk: the epoch is the base. A failure is recorded; what is
 * left then is delta_settle()'s.
 */
int delta_commit(struct vm *vm, struct failure *f);

/**
 * delta_cede - that was the last one: nothing may have been written since, and nothing may write any
 * more. The VM is the peer's to take, and behind the fence.
 * @infos: room for those of all disks
 * CODE_IN_USE: something was written, or has a disk open; nothing changed.
 */
int delta_cede(struct vm *vm, struct tracker_info *infos, struct failure *f);

/**
 * delta_abort - it did not arrive, whether it was frozen yet or not. That is recorded.
 * @heals: another delta may do, whatever @why says
 * @stale: none will do; only a resynchronisation will
 * @ret: @why, and how to go on
 */
void delta_abort(struct vm *vm, const struct failure *why, bool heals, bool stale,
		 struct failure *ret);

/** delta_note_stale - no delta will do from here on, whoever asks for it: record @why. */
void delta_note_stale(struct vm *vm, const struct failure *why);

#endif
