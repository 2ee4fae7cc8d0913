// SPDX-License-Identifier: GPL-2.0-only
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "lost.h"

struct cbt_lost {
	struct list_head link;
	u8 uuid[16];
	u64 lineage;			/* a growth that was not noted any more leaves it as it is */
	u64 generation;
};

static LIST_HEAD(stores);		/* LOCK: lock */
static DEFINE_SPINLOCK(lock);

struct cbt_lost *cbt_lost_new(void)
{
	return kmalloc(sizeof(struct cbt_lost), GFP_KERNEL);
}

void cbt_lost_free(struct cbt_lost *lost)
{
	kfree(lost);
}

void cbt_lost_remember(struct cbt_lost *lost, const struct cbt_super *super)
{
	memcpy(lost->uuid, super->id.uuid, sizeof(lost->uuid));
	lost->lineage = super->id.lineage;
	lost->generation = super->generation;
	spin_lock(&lock);
	list_add(&lost->link, &stores);
	spin_unlock(&lock);
}

u64 cbt_lost_generation(const struct cbt_super *super)
{
	struct cbt_lost *lost;
	u64 generation = 0;

	spin_lock(&lock);
	list_for_each_entry(lost, &stores, link)
		if (!memcmp(lost->uuid, super->id.uuid, sizeof(lost->uuid)) &&
		    lost->lineage == super->id.lineage)
			generation = max(generation, lost->generation);
	spin_unlock(&lock);
	return generation;
}

void cbt_lost_forget(void)
{
	struct cbt_lost *lost, *next;

	list_for_each_entry_safe(lost, next, &stores, link) {
		pr_warn("dm-cbt: store %pUb lost its map and could not note it, which is forgotten now: format it before it is attached again\n",
			lost->uuid);
		kfree(lost);
	}
}
