/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The trackers that a host has from boot to shutdown: lines of a file,
 *
 *	# name		origin		store			options
 *	vm1-disk0	/dev/vg/vm1	/dev/vg/vm1-store
 *	scratch		/dev/vg/tmp	-			start,block_size=128
 *
 * Empty lines and those that begin with '#' are skipped.
 */
#ifndef FAILBACK_LIB_TRACKER_TABLE_H
#define FAILBACK_LIB_TRACKER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"

#define TRACKER_TABLE_FILE "/etc/failback/trackers"
#define TRACKER_TABLE_MAX  1024 /* lines that are trackers */
#define TRACKER_ENTRY_NAME 100 /* with NUL; leaves room for what the fence appends */
#define TRACKER_ENTRY_PATH 256 /* with NUL */

struct tracker_entry {
	char name[TRACKER_ENTRY_NAME]; /* of the VM's device */
	char origin[TRACKER_ENTRY_PATH];
	char store[TRACKER_ENTRY_PATH]; /* "-": none, track in memory */
	uint32_t block_sectors; /* 0: as the store says */
	bool start; /* the VM may see it at once: no relationship fences it */
};

/**
 * tracker_table_read - all of them, in order; *@ret is malloc()ed.
 *
 * A line that cannot be understood, or a name, origin or store that stands twice, fails all of it, with
 * its number. Without the file there are none.
 */
int tracker_table_read(const char *path, struct tracker_entry **ret, size_t *ret_nr,
		       struct failure *f);

/**
 * tracker_table_add - a line for @entry, without options, at the end. It is there already: nothing changes.
 * CODE_IN_USE: its name, or one of its disks, stands there otherwise, or another program edits it.
 */
int tracker_table_add(const char *path, const struct tracker_entry *entry, struct failure *f);

/**
 * tracker_table_check_fenced - CODE_INVALID_STATE: @entry, of the table at @path, says `start`, which is not for
 * a disk of @vm, since that is in a relationship.
 */
int tracker_table_check_fenced(const char *path, const struct tracker_entry *entry, const char *vm,
			       struct failure *f);

/** tracker_table_is_name - PURE: can a tracker of a table be named so? */
bool tracker_table_is_name(const char *name);

#endif
