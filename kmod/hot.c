// SPDX-License-Identifier: GPL-2.0-or-later OR MIT
/* The hot set: see hot.h. */
#include "hot.h"

int cbt_hot_init(struct cbt_hot *hot, u32 nr_regions)
{
	u32 nr_sets = 1;

	while (nr_sets * CBT_HOT_WAYS < nr_regions)
		nr_sets *= 2;
	*hot = (struct cbt_hot){ .nr_sets = nr_sets, .stamp = 1 };
	hot->entries = kvcalloc((size_t)nr_sets * CBT_HOT_WAYS, sizeof(*hot->entries), GFP_KERNEL);
	return hot->entries ? 0 : -ENOMEM;
}

void cbt_hot_exit(struct cbt_hot *hot)
{
	kvfree(hot->entries);
	hot->entries = NULL;
}

void cbt_hot_cool(struct cbt_hot *hot)
{
	u32 next = hot->stamp + 1;
	u32 i;

	/* ORDER: entries with a stamp that comes round again are gone before it counts. */
	if (next == CBT_HOT_STAMPS) {
		next = 1;
		WRITE_ONCE(hot->stamp, 0);
		for (i = 0; i < hot->nr_sets * CBT_HOT_WAYS; i++)
			WRITE_ONCE(hot->entries[i], 0);
		smp_wmb();
	}
	WRITE_ONCE(hot->stamp, next);
}

void cbt_hot_add(struct cbt_hot *hot, u64 region, u32 stamp)
{
	u64 *set = hot->entries + cbt_hot_set(hot, region) * CBT_HOT_WAYS;
	u64 entry = (region + 1) << 24 | stamp;
	u32 i, way = hot->victim;

	if (stamp != hot->stamp)
		return;
	for (i = 0; i < CBT_HOT_WAYS; i++) {
		if (set[i] == entry)
			return;
		if ((set[i] & (CBT_HOT_STAMPS - 1)) != stamp)
			way = i;
	}
	hot->victim = (hot->victim + 1) % CBT_HOT_WAYS;
	WRITE_ONCE(set[way], entry);
}

u32 cbt_hot_count(const struct cbt_hot *hot)
{
	u32 i, nr = 0, stamp = READ_ONCE(hot->stamp);

	for (i = 0; i < hot->nr_sets * CBT_HOT_WAYS; i++)
		nr += stamp && (READ_ONCE(hot->entries[i]) & (CBT_HOT_STAMPS - 1)) == stamp;
	return nr;
}
