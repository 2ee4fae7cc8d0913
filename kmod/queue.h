/* SPDX-License-Identifier: GPL-2.0-only */
/* Work queues: on any CPU, and going on when memory is short, since a guest's writes wait for them. */
#ifndef CBT_QUEUE_H
#define CBT_QUEUE_H

#include <linux/kdev_t.h>
#include <linux/workqueue.h>

static inline struct workqueue_struct *cbt_queue_new(const char *name)
{
	return alloc_workqueue("%s", WQ_UNBOUND | WQ_MEM_RECLAIM, 0, name);
}

/*
 * One for what may wait for a device: without memory for more workers a queue has one, whom a device
 * that hangs would keep from all others. Context: as for GFP_KERNEL, where I/O may be waited for.
 */
static inline struct workqueue_struct *cbt_queue_new_for(const char *name, dev_t dev)
{
	return alloc_workqueue("%s-%u:%u", WQ_UNBOUND | WQ_MEM_RECLAIM, 0, name, MAJOR(dev),
			       MINOR(dev));
}

/* After what is on it has run; there may be none. */
static inline void cbt_queue_free(struct workqueue_struct **queue)
{
	if (*queue)
		destroy_workqueue(*queue);
	*queue = NULL;
}

#endif
