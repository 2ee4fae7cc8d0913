/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Relationships from the labels of the stores, after the database was lost. What the labels prove is
 * decided by adoption.h; a relationship that the database has is left alone.
 */
#ifndef FAILBACK_DAEMON_ADOPT_H
#define FAILBACK_DAEMON_ADOPT_H

#include "daemon/daemon.h"

/**
 * adopt_relationships - all that the stores here tell of, or the VM that is called @name, or has that
 * UUID; "": all. Each for itself: one that is refused does not keep the others from it.
 * @ret_report: JSON, malloc()ed, or NULL where nothing could be looked at: an array of {"vm", "name",
 *	"outcome": "adopted" | "known" | "refused", "text", "steps": [what is left to do]}; "tracker"
 *	instead of "vm" and "name" for a label that cannot be read
 * @text: @size bytes: how many there were of each
 *
 * Negative: one was refused, the first one with @f; or nothing could be looked at.
 */
int adopt_relationships(struct daemon *d, const char *name, bool *ret_changed, char **ret_report,
			char *text, size_t size, struct failure *f);

#endif
