/* SPDX-License-Identifier: GPL-2.0-only */
/* What newer kernels have, for older ones. */
#ifndef CBT_COMPAT_H
#define CBT_COMPAT_H

#include <linux/hrtimer.h>
#include <linux/version.h>

/* COMPAT(6.1): since 6.13; the other one is gone since 6.15. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif

#endif
