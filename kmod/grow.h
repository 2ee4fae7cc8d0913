/* SPDX-License-Identifier: GPL-2.0-only */
/* A tracker whose disk is larger under a new table. What was added may differ from the base. */
#ifndef CBT_GROW_H
#define CBT_GROW_H

#include "track.h"

/**
 * cbt_tracker_grow - larger maps, and a new generation; for which the store has room. The control lock is held, the
 * gate closed and drained. Return: 0, or -ENOMEM and a sentence in @why, with nothing changed.
 */
int cbt_tracker_grow(struct cbt_tracker *t, u64 size_sectors, const char **why);

/** cbt_tracker_note_size - wait until the store has it; before that no write may go. Return: 0 or an error. */
int cbt_tracker_note_size(struct cbt_tracker *t, u64 size_sectors);

#endif
