// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "event.h"
#include "queue.h"

#define RING_EVENTS 64

static void events_tell(struct work_struct *work);

static DEFINE_SPINLOCK(ring_lock);
static DECLARE_WORK(teller, events_tell);
static struct cbt_event ring[RING_EVENTS];	/* LOCK: ring_lock, and all below */
static u64 sequences[RING_EVENTS];
static u32 nr_posted, nr_told;			/* wrap around together */
static u64 last_sequence;
static cbt_event_fn listener;
static struct workqueue_struct *queue;		/* writes may wait until it is told that a map is lost */

void cbt_event_post(const struct cbt_event *event)
{
	unsigned long flags;

	spin_lock_irqsave(&ring_lock, flags);
	last_sequence++;
	if (listener && nr_posted - nr_told < RING_EVENTS) {
		ring[nr_posted % RING_EVENTS] = *event;
		sequences[nr_posted % RING_EVENTS] = last_sequence;
		nr_posted++;
		/* Under the lock: after cbt_event_listen(NULL) nothing is queued any more. */
		queue_work(queue, &teller);
	}
	spin_unlock_irqrestore(&ring_lock, flags);
}

static cbt_event_fn ring_take(struct cbt_event *ret, u64 *ret_sequence)
{
	cbt_event_fn fn = NULL;

	spin_lock_irq(&ring_lock);
	if (nr_told != nr_posted) {
		*ret = ring[nr_told % RING_EVENTS];
		*ret_sequence = sequences[nr_told % RING_EVENTS];
		nr_told++;
		fn = listener;
	}
	spin_unlock_irq(&ring_lock);
	return fn;
}

static void events_tell(struct work_struct *work)
{
	struct cbt_event event;
	u64 sequence;
	cbt_event_fn fn;

	while ((fn = ring_take(&event, &sequence)))
		fn(&event, sequence);
}

void cbt_event_listen(cbt_event_fn fn)
{
	spin_lock_irq(&ring_lock);
	listener = fn;
	if (!fn)
		nr_told = nr_posted;
	spin_unlock_irq(&ring_lock);
	if (!fn)
		flush_work(&teller);
}

int cbt_event_init(void)
{
	queue = cbt_queue_new("dm-cbt-event");
	return queue ? 0 : -ENOMEM;
}

void cbt_event_exit(void)
{
	cbt_queue_free(&queue);
}
