// SPDX-License-Identifier: GPL-2.0-only
/*
 * The timer holds no lock. It looks at a count that it may see too late, and then wakes the worker
 * for nothing or a round later. It cannot fail to wake him: whoever comes first starts it, also when
 * it is running just then, and each run that sees somebody starts it again or wakes the worker.
 */
#include "compat.h"
#include "gather.h"

static enum hrtimer_restart time_out(struct hrtimer *timer)
{
	struct cbt_gather *gather = container_of(timer, struct cbt_gather, timer);
	u32 nr_here = READ_ONCE(gather->nr_here);

	/* Something else woke the worker. ORDER: who is first counts himself before he starts it. */
	if (!nr_here)
		return HRTIMER_NORESTART;
	if (nr_here != READ_ONCE(gather->nr_seen) && ++gather->nr_rounds < CBT_GATHER_ROUNDS) {
		WRITE_ONCE(gather->nr_seen, nr_here);
		/* Not as a restart: the first of the next ones may start it at this moment. */
		hrtimer_start(timer, ns_to_ktime(CBT_GATHER_NS), HRTIMER_MODE_REL);
	} else {
		WRITE_ONCE(gather->pause, true);
		gather->wake(gather);
	}
	return HRTIMER_NORESTART;
}

void cbt_gather_init(struct cbt_gather *gather, void (*wake)(struct cbt_gather *gather))
{
	gather->nr_expected = 1;
	gather->nr_found = 1;
	gather->calm_between = CBT_GATHER_CALM_MIN;
	gather->calm = CBT_GATHER_CALM_MIN;
	gather->wake = wake;
	cbt_hrtimer_setup(&gather->timer, time_out, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
}

void cbt_gather_exit(struct cbt_gather *gather)
{
	hrtimer_cancel(&gather->timer);
}

static bool are_all_here(const struct cbt_gather *gather)
{
	return gather->nr_here >= gather->nr_expected;
}

bool cbt_gather_come(struct cbt_gather *gather)
{
	WRITE_ONCE(gather->nr_here, gather->nr_here + 1);
	if (are_all_here(gather))
		return true;
	if (gather->nr_here == 1) {
		WRITE_ONCE(gather->pause, false);
		WRITE_ONCE(gather->nr_seen, 1);
		gather->nr_rounds = 0;
		hrtimer_start(&gather->timer, ns_to_ktime(CBT_GATHER_NS), HRTIMER_MODE_REL);
	}
	return false;
}

static void measure(struct cbt_gather *gather, u32 nr_pauses)
{
	gather->nr_pauses = nr_pauses;
	gather->nr_expected = CBT_GATHER_MAX;
}

static void measured(struct cbt_gather *gather, u32 nr)
{
	gather->calm_between = nr == gather->nr_found ?
			       min_t(u32, gather->calm_between * 2 + 1, CBT_GATHER_CALM_MAX) :
			       CBT_GATHER_CALM_MIN;
	gather->calm = gather->calm_between;
	gather->nr_found = nr;
	gather->nr_expected = nr;
	gather->nr_pauses = 0;
}

bool cbt_gather_go(struct cbt_gather *gather)
{
	bool pause = READ_ONCE(gather->pause) && !are_all_here(gather);
	u32 nr = min_t(u32, gather->nr_here, CBT_GATHER_MAX);

	if (!nr || !(pause || are_all_here(gather)))
		return false;
	WRITE_ONCE(gather->nr_here, 0);
	if (gather->nr_pauses) {
		if (nr == CBT_GATHER_MAX || !--gather->nr_pauses)
			measured(gather, nr);
	} else if (pause) {
		measure(gather, 1);
	} else {
		gather->nr_expected = nr;
		if (!--gather->calm)
			measure(gather, 2);
	}
	return true;
}
