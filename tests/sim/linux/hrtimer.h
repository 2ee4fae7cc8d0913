/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A timer that expires when the test says so. */
#ifndef FAILBACK_TESTS_SIM_HRTIMER_H
#define FAILBACK_TESTS_SIM_HRTIMER_H

#include <time.h>

#include "../kernel.h"

enum hrtimer_restart { HRTIMER_NORESTART, HRTIMER_RESTART };

struct hrtimer {
	bool armed;
	enum hrtimer_restart (*function)(struct hrtimer *timer);
};

enum hrtimer_mode { HRTIMER_MODE_REL };

#define ns_to_ktime(ns) ((ktime_t)(ns))
#define hrtimer_init(timer, clock, mode) (*(timer) = (struct hrtimer){ 0 })
#define hrtimer_start(timer, delay, mode) ((void)(delay), (timer)->armed = true)
#define hrtimer_cancel(timer) ((timer)->armed = false)

#endif
