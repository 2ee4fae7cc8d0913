/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A gate counts the writes that are on their way, and can be closed to let none through while
 * they finish.
 *
 * Passing is two per-CPU increments and no atomic operation. Closing takes three steps, so that
 * many gates can share the middle one and be closed over the same instant:
 *
 *	cbt_gate_close(each); synchronize_rcu_expedited(); cbt_gate_drain(each);
 *	... what needs the instant ...
 *	cbt_gate_open(each);
 */
#ifndef CBT_GATE_H
#define CBT_GATE_H

#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/wait.h>

struct cbt_gate_count {
	unsigned long in;
	unsigned long out;
};

struct cbt_gate {
	bool closed;
	struct cbt_gate_count __percpu *count;
	wait_queue_head_t drained;
};

/** cbt_gate_init - an open gate. Return: 0 or -ENOMEM. */
int cbt_gate_init(struct cbt_gate *gate);
void cbt_gate_exit(struct cbt_gate *gate);

/**
 * cbt_gate_pass - count a write in.
 *
 * While it is counted, nobody who drained the gate is at work: what that work changes may be
 * looked up and used without a lock until cbt_gate_leave(). Context: any; does not sleep.
 *
 * Return: false when the gate is closed; then nothing is counted.
 */
static inline bool cbt_gate_pass(struct cbt_gate *gate)
{
	bool open;

	/* ORDER: the flag is read and the count taken in one RCU section; see gate.c. */
	rcu_read_lock();
	/* ORDER: pairs with cbt_gate_open(). */
	open = !smp_load_acquire(&gate->closed);
	if (likely(open))
		this_cpu_inc(gate->count->in);
	rcu_read_unlock();
	return open;
}

/** cbt_gate_leave - count a write out, on any CPU. Context: any, also interrupts. */
static inline void cbt_gate_leave(struct cbt_gate *gate)
{
	/* ORDER: the count and the look at the flag are one RCU section; see gate.c. */
	rcu_read_lock();
	this_cpu_inc(gate->count->out);
	if (unlikely(READ_ONCE(gate->closed)))
		wake_up(&gate->drained);
	rcu_read_unlock();
}

/** cbt_gate_close - from the next grace period on, let nothing pass. */
void cbt_gate_close(struct cbt_gate *gate);

/**
 * cbt_gate_drain - wait until no write is counted in.
 * @deadline: jiffies
 *
 * To be called after cbt_gate_close() and a grace period. May sleep.
 * Return: whether the gate is drained; it stays so until cbt_gate_open().
 */
bool cbt_gate_drain(struct cbt_gate *gate, unsigned long deadline);

/** cbt_gate_open - let writes pass again. The caller wakes those that were turned away. */
void cbt_gate_open(struct cbt_gate *gate);

#endif
