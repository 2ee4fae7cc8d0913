/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Failover and its undoing, and whatever else lets a VM run here or stops it from that, but for the
 * reverse (reverse.h). What may follow what is decided by relationship.h and role_swap.h.
 *
 * Functions that return a job return NULL with a failure when nothing was started and nothing
 * changed. Those that are done at once return the ended job.
 */
#ifndef FAILBACK_DAEMON_TAKEOVER_H
#define FAILBACK_DAEMON_TAKEOVER_H

#include "daemon/job.h"
#include "daemon/vm.h"

/**
 * takeover_failover - let the VM run here, with the word of its primary.
 * @force: when the primary does not answer, or is not prepared: without it; and on a mapped device
 *	that has no tracker. Refused where the primary answers that the VM may run there now.
 */
struct job *takeover_failover(struct vm *vm, bool force, struct failure *f);

/** takeover_cancel - a prepared primary goes on, with the word of its replica. */
struct job *takeover_cancel(struct vm *vm, struct failure *f);

/** takeover_revert - give the failover up; the VM is off. What it wrote will be overwritten. */
struct job *takeover_revert(struct vm *vm, struct failure *f);

/** takeover_commit - there is no way back from the failover but a reverse. */
struct job *takeover_commit(struct vm *vm, struct failure *f);

/** takeover_yield - this primary lost the VM to the other host; the VM is off here. */
struct job *takeover_yield(struct vm *vm, struct failure *f);

/**
 * takeover_start - let the VM run here whatever the peer says, the operator knows better; and start it: one that was
 * held if it should have started with the host, one that may run here already in any case.
 */
struct job *takeover_start(struct vm *vm, struct failure *f);

/** takeover_release - the first half of that, for a VM that is held. */
int takeover_release(struct vm *vm, struct failure *f);

/**
 * takeover_confirm - after a boot: ask the peer whether the VM may run here still, unless that is
 * known or being asked. The answer is logged, and shown as the VM's last error.
 */
void takeover_confirm(struct vm *vm);

/** takeover_autostart - it was released after a boot, without the peer: what follows a confirmation. */
void takeover_autostart(struct vm *vm);

/** takeover_forget - stop asking. */
void takeover_forget(struct vm *vm);

#endif
