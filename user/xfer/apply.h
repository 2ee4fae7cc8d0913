/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a complete journal to the disks. Idempotent: whatever a crash leaves, applying again from
 * the start gives the same disks.
 */
#ifndef FAILBACK_XFER_APPLY_H
#define FAILBACK_XFER_APPLY_H

#include <stdbool.h>

#include "base/failure.h"
#include "xfer/transfer.h"

/**
 * journal_verify - do the first @nr_entries of the journal, which end at byte @end, read back whole? Nothing else may
 * be under way. -EBADMSG: one is damaged.
 */
int journal_verify(struct transfer *t, uint64_t nr_entries, uint64_t end, struct failure *f);

/**
 * journal_apply - write the delta of the journal, which is COMPLETE, to the disks, flush them, and
 * mark the journal EMPTY. Nothing else may be under way.
 *
 * Refused, with nothing written: a journal of other disks than the plan's; with @verify, one that
 * does not read back whole. A failure later leaves the journal COMPLETE and the disks between two
 * epochs until it is applied.
 * @verify: read all of it first. Not needed by the process that has just written and flushed, or verified it
 */
int journal_apply(struct transfer *t, bool verify, struct failure *f);

#endif
