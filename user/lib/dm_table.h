/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables of one target that covers a whole mapped device, and exchanging them under its users. */
#ifndef FAILBACK_LIB_DM_TABLE_H
#define FAILBACK_LIB_DM_TABLE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/failure.h"

struct dm_table {
	uint64_t sectors;
	char type[32];
	char params[512];
};

/** dm_table_read - the live one. CODE_NOT_SUPPORTED: it has several targets, or none. */
int dm_table_read(const char *name, struct dm_table *ret, struct failure *f);

/**
 * dm_table_create - a mapped device of that name and table, whose node has @mode. On failure there is
 * none.
 * @uuid: device-mapper's for it, by which udev rules know it
 */
int dm_table_create(const char *name, const char *uuid, const struct dm_table *table, mode_t mode,
		    struct failure *f);

/** dm_table_load - make @table the one that dm_table_swap() will bring in. */
int dm_table_load(const char *name, const struct dm_table *table, struct failure *f);

/** dm_table_drop - forget what was loaded. */
void dm_table_drop(const char *name);

/**
 * dm_table_swap - bring in what was loaded. Requests wait meanwhile and none fails.
 *
 * When it fails, requests may go on waiting: load a table that works and swap again.
 */
int dm_table_swap(const char *name, struct failure *f);

#endif
