/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of dm_cbt that are about one tracker and change or show more than its epochs.
 * Failures as in nl.h, semantics as in uapi/linux/dm-cbt.h. What has to be durable is waited for,
 * about half a minute at most; then -EINPROGRESS.
 */
#ifndef FAILBACK_LIB_NL_CONTROL_H
#define FAILBACK_LIB_NL_CONTROL_H

#include "lib/nl.h"

/** nl_release - blocks of the frozen @epoch are with the receiver; any number of ranges. */
int nl_release(struct nl *nl, const char *tracker, const struct uuid *epoch,
	       const struct cbt_blocks *ranges, size_t nr, struct failure *f);

/** nl_mark - dirty blocks; durable when it returns 0. Any number of ranges. */
int nl_mark(struct nl *nl, const char *tracker, const struct cbt_blocks *ranges, size_t nr,
	    struct failure *f);

int nl_checkpoint(struct nl *nl, const char *tracker, struct failure *f);
int nl_bypass(struct nl *nl, const char *tracker, struct failure *f);
int nl_lost_ack(struct nl *nl, const char *tracker, struct failure *f);

int nl_label_get(struct nl *nl, const char *tracker, uint8_t ret[CBT_LABEL_LEN],
		 struct failure *f);
int nl_label_set(struct nl *nl, const char *tracker, const void *label, size_t bytes,
		 struct failure *f);

#define NL_NR_COUNTS (CBT_STATS_A_LAST_COUNT - CBT_STATS_A_FIRST_COUNT + 1)
#define NL_NR_HISTOGRAMS (CBT_STATS_A_LAST_HISTOGRAM - CBT_STATS_A_FIRST_HISTOGRAM + 1)

/** struct tracker_stats - zero where the module does not say. */
struct tracker_stats {
	uint64_t counts[NL_NR_COUNTS]; /* by enum cbt_stats_attr, less FIRST_COUNT */
	struct cbt_histogram histograms[NL_NR_HISTOGRAMS]; /* less FIRST_HISTOGRAM */
};

int nl_stats_get(struct nl *nl, const char *tracker, struct tracker_stats *ret,
		 struct failure *f);

/** struct tracker_event - something that happened to a tracker. */
struct tracker_event {
	uint32_t kind; /* enum cbt_event_kind */
	uint64_t sequence;
	struct uuid tracker;
	dev_t dev;
	uint64_t generation;
	uint64_t epoch;
	uint32_t state; /* enum cbt_tracker_state */
	struct uuid epoch_uuid; /* nil: it is about none */
	char reason[NL_REASON_LEN + 1]; /* "" */
};

/** nl_event_fn - a negative errno ends listening and is returned. */
typedef int (*nl_event_fn)(void *context, const struct tracker_event *event);

/* A socket of its own, so that requests and events do not mix. */
struct nl_listener;

int nl_listen(struct nl_listener **ret, struct failure *f);
void nl_listener_free_at(struct nl_listener **listener);

/** nl_listener_fd - readable when nl_listener_take() will not block. */
int nl_listener_fd(const struct nl_listener *listener);

/**
 * nl_listener_take - give what has come to @fn; blocks for the first when there is none.
 * -ENOBUFS: some were lost, which their sequence numbers show as well; listening goes on.
 * -EPIPE: the module was unloaded; nothing will come any more.
 */
int nl_listener_take(struct nl_listener *listener, nl_event_fn fn, void *context,
		     struct failure *f);

#endif
