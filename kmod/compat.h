/* SPDX-License-Identifier: GPL-2.0-only */
/* What newer kernels have, for older ones. */
#ifndef CBT_COMPAT_H
#define CBT_COMPAT_H

#include <linux/hrtimer.h>
#include <linux/rcupdate.h>
#include <linux/version.h>

/* COMPAT(6.1): hrtimer_setup() is there since 6.13, and nothing else since 6.15. */
static inline void cbt_hrtimer_setup(struct hrtimer *timer,
				     enum hrtimer_restart (*function)(struct hrtimer *),
				     clockid_t clock, enum hrtimer_mode mode)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
	hrtimer_setup(timer, function, clock, mode);
#else
	hrtimer_init(timer, clock, mode);
	timer->function = function;
#endif
}

/* COMPAT(6.1): call_rcu() waits no longer than it must; since 6.2 it may wait for others, up to 10 s. */
static inline void cbt_call_rcu_soon(struct rcu_head *head, void (*function)(struct rcu_head *))
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
	call_rcu_hurry(head, function);
#else
	call_rcu(head, function);
#endif
}

#endif
