/* SPDX-License-Identifier: GPL-2.0-or-later OR MIT */
/*
 * The hot set: regions in which blocks may be marked without asking the log first.
 *
 * A set-associative table of bounded size. Being hot is a claim about the log ("a record of this
 * region lies in the current half and belongs to the running epoch"), so forgetting a hot region
 * is always safe, and a full set simply forgets one. All regions become cold at once by a change
 * of the *stamp*: entries of other stamps do not count.
 *
 * Look-ups are lock-free and run beside everything else. Whoever makes regions cold waits for a
 * grace period before relying on it: a look-up and the mark that it allows are one RCU section.
 */
#ifndef CBT_HOT_H
#define CBT_HOT_H

#include "port.h"

#define CBT_HOT_WAYS 4

struct cbt_hot {
	u64 *entries;			/* region + 1 in the upper 40 bits, stamp in the lower 24 */
	u32 nr_sets;			/* power of two */
	u32 stamp;
	u32 victim;			/* the way to be overwritten next */
};

#define CBT_HOT_STAMPS (1U << 24)

/** cbt_hot_init - room for @nr_regions, rounded to a power of two. Return: 0 or -ENOMEM. */
int cbt_hot_init(struct cbt_hot *hot, u32 nr_regions);
void cbt_hot_exit(struct cbt_hot *hot);

/** cbt_hot_cool - make every region cold. Not together with itself or cbt_hot_add(). */
void cbt_hot_cool(struct cbt_hot *hot);

/**
 * cbt_hot_add - make a region hot, if @stamp is still the present one.
 *
 * @stamp was read before the record was written; then nothing that cooled the set meanwhile can
 * be overlooked. Not together with itself or cbt_hot_cool().
 */
void cbt_hot_add(struct cbt_hot *hot, u64 region, u32 stamp);

/* Multiplicative (Fibonacci) hashing; the upper bits are the good ones. */
static inline u32 cbt_hot_hash(u64 region)
{
	return (region * 0x9e3779b97f4a7c15ULL) >> 32;
}

static inline u32 cbt_hot_set(const struct cbt_hot *hot, u64 region)
{
	return cbt_hot_hash(region) & (hot->nr_sets - 1);
}

/** cbt_hot_test - whether a region is hot. Context: any, inside an RCU section. */
static inline bool cbt_hot_test(const struct cbt_hot *hot, u64 region)
{
	const u64 *set = hot->entries + cbt_hot_set(hot, region) * CBT_HOT_WAYS;
	u64 wanted = (region + 1) << 24 | READ_ONCE(hot->stamp);
	u32 i;

	for (i = 0; i < CBT_HOT_WAYS; i++)
		if (READ_ONCE(set[i]) == wanted)
			return true;
	return false;
}

/** cbt_hot_count - how many regions are hot, at some moment of the call. Context: any. */
u32 cbt_hot_count(const struct cbt_hot *hot);

#endif
