/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The definitions (lib/definition.h) that came with the disks of a VM to its replica: for as long as nobody wants
 * to run it here, packed and unread. That of the epoch that is the base goes with the disks; until a delta has
 * made an epoch the base, the one that came ahead of it is kept beside.
 */
#ifndef FAILBACK_DAEMON_DEFINITIONS_H
#define FAILBACK_DAEMON_DEFINITIONS_H

#include "daemon/calls.h"
#include "daemon/vm.h"

#define DEFINITION_PACKED_MAX ((size_t)16 << 20)

/**
 * definition_take - the piece of one that @call brings. Whatever came before of another one is dropped.
 *
 * With the last piece it is durable. CODE_INVALID_STATE: @vm is no replica here; CODE_INVALID_PARAMETER: the piece
 * does not follow.
 */
int definition_take(struct vm *vm, const struct call *call, struct failure *f);

/** definition_settle - the base is another one: nothing depends on it, but that there is room for the next. */
void definition_settle(const struct vm *vm);

/** definition_open - that of the disks of a replica, or the owed one; for reading, the caller's. -1: there is none. */
int definition_open(const struct vm *vm);

/**
 * definition_owe - the VM is about to be failed over here, from an instant whose epoch is @base: what goes with its
 * disks is owed to the hypervisor from now on. Trouble is logged: a failover is not held up by it.
 */
void definition_owe(const struct vm *vm, const struct uuid *base);

/** definition_is_owed - the VM was failed over here, and what came with its disks was not used since. */
bool definition_is_owed(const struct vm *vm);

/** definition_used - the VM runs here, or did: nothing is owed any more, durably. A revert makes it the replica's again. */
void definition_used(const struct vm *vm);

/** definition_remove - all that came for @vm, durably: it is used, or of no use. */
void definition_remove(struct vm *vm);

/** definition_drop - what came in part. */
void definition_drop(struct vm *vm);

#endif
