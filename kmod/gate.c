// SPDX-License-Identifier: GPL-2.0-only
/*
 * Why the sums in nr_inside() can be trusted.
 *
 * A pass reads the flag and counts itself in within one RCU section. After the flag is set and a
 * grace period has gone by, every pass either saw the flag or is visible in the sum of `in`,
 * which therefore does not change any more. `out` only grows towards it, and an `out` that is
 * visible implies nothing but a write that has left. So sum(in) == sum(out) once means: nobody is
 * inside, for good.
 *
 * No wake-up is lost: a leave whose RCU section began before the grace period ended its section,
 * and so its count, before drain looks; any later one sees the flag and wakes.
 */
#include <linux/jiffies.h>
#include <linux/sched.h>

#include "gate.h"

int cbt_gate_init(struct cbt_gate *gate)
{
	gate->closed = false;
	init_waitqueue_head(&gate->drained);
	gate->count = alloc_percpu(struct cbt_gate_count);
	return gate->count ? 0 : -ENOMEM;
}

void cbt_gate_exit(struct cbt_gate *gate)
{
	free_percpu(gate->count);
	gate->count = NULL;
}

void cbt_gate_close(struct cbt_gate *gate)
{
	WRITE_ONCE(gate->closed, true);
}

/* The counters wrap; their difference does not care. */
static unsigned long nr_inside(struct cbt_gate *gate)
{
	unsigned long nr = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		struct cbt_gate_count *count = per_cpu_ptr(gate->count, cpu);

		nr += READ_ONCE(count->in) - READ_ONCE(count->out);
	}
	return nr;
}

bool cbt_gate_drain(struct cbt_gate *gate, unsigned long deadline)
{
	long left = max(0L, (long)(deadline - jiffies));

	wait_event_timeout(gate->drained, nr_inside(gate) == 0, left);
	if (nr_inside(gate))
		return false;
	/* ORDER: what the writes did before they left is seen by what the caller does now. */
	smp_mb();
	return true;
}

void cbt_gate_open(struct cbt_gate *gate)
{
	/* ORDER: what was changed behind the gate is seen by the next to pass. */
	smp_store_release(&gate->closed, false);
}
