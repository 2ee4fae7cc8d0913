/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Telling trackers that the receiver holds blocks of their frozen epoch for good, so that they need
 * not keep the old contents of what the guest overwrites (RELEASE of uapi/linux/dm-cbt.h).
 *
 * Only for the time that is left: commit and abort end the epoch with or without it.
 */
#ifndef FAILBACK_XFER_TRACKER_RELEASE_H
#define FAILBACK_XFER_TRACKER_RELEASE_H

#include "xfer/release.h"

struct tracker_release;

/** tracker_release_open - NULL when no disk of the plan comes from a tracker, or none can be told. */
struct tracker_release *tracker_release_open(const struct plan *plan);
void tracker_release_close_at(struct tracker_release **r); /* *@r may be NULL, and is then */

/** tracker_release - a release_fn whose context is a struct tracker_release. */
void tracker_release(void *context, const struct plan *plan, unsigned int disk,
		     const struct extent *extents, size_t nr);

#endif
