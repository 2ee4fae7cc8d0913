// SPDX-License-Identifier: GPL-2.0-only
/*
 * The timer holds no lock. It looks at a count that it may see too late, and then wakes the worker
 * for nothing or a round later. It cannot fail to wake him: whoever comes first starts it, also when
 * it is running just then, and each run starts it again or wakes the worker.
 */
#include "gather.h"

static enum hrtimer_restart time_out(struct hrtimer *timer)
{
	struct cbt_gather *gather = container_of(timer, struct cbt_gather, timer);
	u32 nr_here = READ_ONCE(gather->nr_here);

	if (nr_here != gather->nr_seen && ++gather->nr_rounds < CBT_GATHER_ROUNDS) {
		gather->nr_seen = nr_here;
		/* Not as a restart: the first of the next ones may start it at this moment. */
		hrtimer_start(timer, ns_to_ktime(CBT_GATHER_NS), HRTIMER_MODE_REL);
	} else {
		WRITE_ONCE(gather->late, true);
		gather->wake(gather);
	}
	return HRTIMER_NORESTART;
}

void cbt_gather_init(struct cbt_gather *gather, void (*wake)(struct cbt_gather *gather))
{
	gather->nr_expected = 1;
	gather->calm = CBT_GATHER_CALM;
	gather->wake = wake;
	/* COMPAT(6.1): hrtimer_setup() takes both since 6.13. */
	hrtimer_init(&gather->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	gather->timer.function = time_out;
}

void cbt_gather_exit(struct cbt_gather *gather)
{
	hrtimer_cancel(&gather->timer);
}

bool cbt_gather_come(struct cbt_gather *gather)
{
	WRITE_ONCE(gather->nr_here, gather->nr_here + 1);
	if (gather->nr_here >= gather->nr_expected)
		return true;
	if (gather->nr_here == 1) {
		gather->nr_seen = 1;
		gather->nr_rounds = 0;
		hrtimer_start(&gather->timer, ns_to_ktime(CBT_GATHER_NS), HRTIMER_MODE_REL);
	}
	return false;
}

void cbt_gather_go(struct cbt_gather *gather)
{
	u32 nr = min_t(u32, gather->nr_here, CBT_GATHER_MAX);

	if (!nr)
		return;
	if (gather->late && nr < gather->nr_expected) {
		gather->nr_expected = nr;
		gather->calm = CBT_GATHER_CALM;
	} else {
		gather->nr_expected = max(gather->nr_expected, nr);
		if (gather->calm)
			gather->calm--;
		else
			gather->nr_expected = min_t(u32, gather->nr_expected * 2, CBT_GATHER_MAX);
	}
	WRITE_ONCE(gather->late, false);
	WRITE_ONCE(gather->nr_here, 0);
}
