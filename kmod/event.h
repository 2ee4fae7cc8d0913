/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What happened to a tracker, told to whoever listens: the multicast group "events" of genl.
 *
 * Those below genl post events and do not know it; genl registers itself as the listener. Posting
 * copies the event into a ring of fixed size and numbers it; a worker hands it on. When the ring is
 * full, or nobody listens, the event is dropped, which its missing number shows.
 */
#ifndef CBT_EVENT_H
#define CBT_EVENT_H

#include <linux/dm-cbt.h>
#include <linux/types.h>
#include <linux/uuid.h>

/**
 * struct cbt_event - as in uapi/linux/dm-cbt.h.
 * @epoch_uuid: the epoch that it is about; nil where it is about none
 * @reason: a sentence that lives as long as the module, or NULL
 */
struct cbt_event {
	enum cbt_event_kind kind;
	enum cbt_tracker_state state;
	uuid_t tracker;
	dev_t dev;
	u64 generation;
	u64 epoch;
	uuid_t epoch_uuid;
	const char *reason;
};

int cbt_event_init(void);
void cbt_event_exit(void);

/** cbt_event_post - tell it. Context: any, also interrupts; does not sleep or allocate. */
void cbt_event_post(const struct cbt_event *event);

/** cbt_event_fn - gets the events in order, one at a time. May sleep. */
typedef void (*cbt_event_fn)(const struct cbt_event *event, u64 sequence);

/**
 * cbt_event_listen - @fn gets what is posted from now on; NULL: nobody, and none is in it any more.
 * May sleep.
 */
void cbt_event_listen(cbt_event_fn fn);

#endif
