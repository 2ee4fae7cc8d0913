/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Gathers what comes one by one, so that a worker is woken once for many.
 *
 * Writers who keep several writes in flight come together again and again: what goes together is
 * done together, and is followed by as many. To wake the worker for the first of them is to do
 * for each what would do for all: a switch to the worker, a log block, a flush. So as many as came
 * together lately are waited for, though never longer than others keep coming, which is looked
 * at every CBT_GATHER_NS, nor longer than CBT_GATHER_ROUNDS times that.
 *
 * How many come together is measured now and then, and at once after fewer came than were waited
 * for: after a pause, all are waited for until the next pause. As long as a measurement finds what
 * the one before found, the next is twice as far away. Thus who always comes alone waits for two in
 * CBT_GATHER_CALM_MAX of his writes.
 */
#ifndef CBT_GATHER_H
#define CBT_GATHER_H

#include <linux/hrtimer.h>
#include <linux/types.h>

#define CBT_GATHER_NS		50000
#define CBT_GATHER_ROUNDS	20
#define CBT_GATHER_CALM_MIN	31
#define CBT_GATHER_CALM_MAX	1023
#define CBT_GATHER_MAX		256

struct cbt_gather {
	u32 nr_here;			/* came, and the worker has not looked since */
	u32 nr_expected;
	u32 nr_pauses;			/* still to be seen until it is measured; 0: it is known */
	u32 nr_found;			/* by the last measurement */
	u32 calm;			/* groups until the next one, and from one to the next */
	u32 calm_between;
	bool pause;			/* nobody came any more */
	/* the timer's own */
	u32 nr_seen;
	u32 nr_rounds;
	struct hrtimer timer;
	void (*wake)(struct cbt_gather *gather);
};

/** cbt_gather_init - @wake wakes the worker; called from interrupts. */
void cbt_gather_init(struct cbt_gather *gather, void (*wake)(struct cbt_gather *gather));

/** cbt_gather_exit - nobody comes any more. May sleep. */
void cbt_gather_exit(struct cbt_gather *gather);

/**
 * cbt_gather_come - one more is here. The caller has a lock that excludes cbt_gather_go().
 *
 * Return: whether the caller has to wake the worker; if not, @wake will in time.
 */
bool cbt_gather_come(struct cbt_gather *gather);

/**
 * cbt_gather_go - the worker asks, whoever woke him, under the same lock. Return: whether he takes
 * all that are here now; if not, nobody is, or they are still waiting for others, and he is woken.
 */
bool cbt_gather_go(struct cbt_gather *gather);

#endif
