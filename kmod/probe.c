// SPDX-License-Identifier: GPL-2.0-only
#include <linux/bio.h>
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/refcount.h>
#include <linux/slab.h>

#include "probe.h"

/*
 * Whoever waits may be gone when the answer comes: the last of both frees it. Until then the module
 * stays.
 */
struct probe {
	struct bio bio;
	struct bio_vec vec;
	struct page *page;
	struct completion answered;
	refcount_t users;
};

static void probe_put(struct probe *p)
{
	if (!refcount_dec_and_test(&p->users))
		return;
	bio_uninit(&p->bio);
	__free_page(p->page);
	kfree(p);
	module_put(THIS_MODULE);
}

static void probe_end(struct bio *bio)
{
	struct probe *p = bio->bi_private;

	complete(&p->answered);
	probe_put(p);
}

static struct probe *probe_new(void)
{
	struct probe *p = kzalloc(sizeof(*p), GFP_NOIO);

	if (!p)
		return NULL;
	p->page = alloc_page(GFP_NOIO);
	if (!p->page) {
		kfree(p);
		return NULL;
	}
	__module_get(THIS_MODULE);
	init_completion(&p->answered);
	refcount_set(&p->users, 2);
	return p;
}

int cbt_probe(struct block_device *bdev, unsigned int timeout_ms)
{
	struct probe *p = probe_new();
	bool answered;

	if (!p)
		return -ENOMEM;
	bio_init(&p->bio, bdev, &p->vec, 1, REQ_OP_READ | REQ_META);
	__bio_add_page(&p->bio, p->page, PAGE_SIZE, 0);
	p->bio.bi_private = p;
	p->bio.bi_end_io = probe_end;
	submit_bio(&p->bio);
	answered = wait_for_completion_timeout(&p->answered, msecs_to_jiffies(timeout_ms));
	probe_put(p);
	return answered ? 0 : -ETIMEDOUT;
}
