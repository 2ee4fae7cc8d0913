/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Could the VM fail over now, and come home? Asked on one host, answered by both: each looks at its half
 * (readiness.h), and the one that was called calls back, since the way home begins there.
 */
#ifndef FAILBACK_DAEMON_READY_H
#define FAILBACK_DAEMON_READY_H

#include "daemon/job.h"
#include "daemon/vm.h"

/**
 * ready_start - ask, as a job. It completes when the question is answered, whatever the answer; its
 * result is {"ready", "peer", "points": [{"where": "here" or "peer", "name", "ok", "text"}]}. What does not
 * hold also becomes the VM's Warning (vm_health()), until the next answer.
 */
struct job *ready_start(struct vm *vm, struct failure *f);

/**
 * ready_when_due - the same by itself, every `ready-interval`, where deltas come and go. It is no job: what
 * an operator wants meanwhile, or a delta, does not wait for it.
 */
void ready_when_due(struct vm *vm);

/* --- the callee --- */

struct ready_answer;

/**
 * ready_answer_start - complete the answer to CALL_READY: call the peer of @vm back.
 * @reply: so far; what was found is added to it, or to a copy of it
 * @done: once, in a later turn, with the reply to be sent
 *
 * Not 0: nothing was started, and @reply says why.
 */
int ready_answer_start(struct vm *vm, struct reply *reply,
		       void (*done)(void *context, const struct reply *reply), void *context,
		       struct ready_answer **ret);

/** ready_answer_free_at - *@a may be NULL, and is then. In the middle: done() does not follow. */
void ready_answer_free_at(struct ready_answer **a);

/** ready_forget - @vm goes: what is being asked or answered about it ends now. */
void ready_forget(struct vm *vm);

#endif
