/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does a VM run, and stopping and starting it, by what the configuration names for that (vm_driver.h).
 * Where it names nothing, the controller knows a VM only by who has its devices open.
 *
 * What is run has nothing open but its standard input (/dev/null, or what came from the peer), output and error
 * (the daemon's log; the output of vm_control_dump() is kept; the
 * error of what explains itself is the failure's sentence), and is killed with all that it started after
 * vm-timeout seconds, or the time that is said below.
 */
#ifndef FAILBACK_DAEMON_VM_CONTROL_H
#define FAILBACK_DAEMON_VM_CONTROL_H

#include "daemon/vm.h"

struct vm_control;

/** vm_control_done - once, in a later turn; the owner frees what it holds then. @why NULL: it is so. */
typedef void (*vm_control_done)(void *context, const struct failure *why);

/** vm_control_can_tell - is there anything that says whether @vm runs? */
bool vm_control_can_tell(const struct vm *vm);

/**
 * vm_control_stop - see to it that @vm does not run: ask, stop it, ask until it is so. CODE_IN_USE: it
 * runs, and nothing stops it.
 *
 * 1, and no done(): nothing can tell.
 */
int vm_control_stop(struct vm *vm, vm_control_done done, void *context, struct vm_control **ret,
		    struct failure *f);

/**
 * vm_control_start - @vm is to run, from the definition that came with its disks, if it is owed (definitions.h).
 * @again: it may run already. 1, and no done(): nothing starts it.
 */
int vm_control_start(struct vm *vm, bool again, vm_control_done done, void *context, struct vm_control **ret,
		     struct failure *f);

/**
 * vm_control_autostart - @vm is to run if its hypervisor is to start it with the host, which it could not: the
 * VM was held. 1, and no done(): nothing knows.
 */
int vm_control_autostart(struct vm *vm, vm_control_done done, void *context, struct vm_control **ret,
			 struct failure *f);

/**
 * vm_control_ready - could @vm be stopped, or started, now? Within call-timeout, for somebody waits for the
 * answer. 1, and no done(): nothing can tell.
 */
int vm_control_ready(struct vm *vm, vm_control_done done, void *context, struct vm_control **ret,
		     struct failure *f);

/**
 * vm_control_dump - the definition of @vm, in a short time, for a peer waits for what follows.
 * 1, and no done(): nothing knows it. CODE_FILE_NOT_FOUND, in done(): the hypervisor does not know @vm.
 */
int vm_control_dump(struct vm *vm, vm_control_done done, void *context, struct vm_control **ret,
		    struct failure *f);

/** vm_control_output - what was printed, from its beginning on; until vm_control_free_at(). */
int vm_control_output(const struct vm_control *c);

/** vm_control_free_at - *@c may be NULL, and is then. What runs is killed, without done(). */
void vm_control_free_at(struct vm_control **c);

#endif
