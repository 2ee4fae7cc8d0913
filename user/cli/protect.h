/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The disks of a VM on one host, on logical volumes: which stores, volumes and trackers are there, which are
 * to be made, and making them.
 *
 * What is there and fits is kept, so that a call that was cut off is completed by the same call. Only what
 * this made itself, and nobody has used since, is written to (lib/lvm.h). Everything else is refused by name
 * before anything is changed.
 */
#ifndef FAILBACK_CLI_PROTECT_H
#define FAILBACK_CLI_PROTECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/uuid.h"
#include "cli/command.h"
#include "lib/lvm.h"
#include "lib/store.h"
#include "lib/tracker_table.h"

struct protect_disk {
	char name[DISK_NAME_MAX + 1];
	struct lvm_name volume;
	char path[LVM_PATH_MAX]; /* of it */
	uint64_t bytes;
	struct tracker_entry entry; /* as it stands in the table, or is to */
	char tracker[TRACKER_ENTRY_NAME]; /* as the other host is told to name it */

	/* what is to be done */
	bool makes_volume;
	struct lvm_name store; /* to be made, formatted or settled; "": nothing of it */
	uint64_t store_bytes;
	bool makes_store;
	bool formats;
	bool adds_line;
	bool settles_volume;
	bool settles_store;
	bool activates;

	struct uuid tracker_uuid; /* once it is active */
};

struct protect {
	const char *vm;
	const char *table;
	bool replica; /* the volumes are made, too */
	bool quiet; /* prints nothing of what it does */
	struct protect_disk *disks;
	size_t nr_disks;
	struct tracker_entry *entries; /* of the table */
	size_t nr_entries;
	struct protect_group *groups; /* that were read */
	size_t nr_groups;
};

/**
 * protect_look - what is there, and what is to be done. Changes nothing.
 *
 * CODE_IN_USE: a disk is in use, or what would be made is there and is something else; CODE_FILE_NOT_FOUND:
 * a disk or volume group is not there; CODE_INVALID_PARAMETER: sizes or names that cannot be;
 * CODE_NOT_AVAILABLE: the module is not loaded. Clear @p in any case.
 */
int protect_look(struct protect *p, const struct options *o, struct failure *f);

/** protect_make - do it. Where it fails, what is done already is kept, and looked at the next time. */
int protect_make(struct protect *p, struct failure *f);

void protect_clear(struct protect *p);

#endif
