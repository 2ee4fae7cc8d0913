/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of cbtctl, a table for each family of them; user/prog/cbtctl.c reads the command
 * line. Each prints what it has to say on standard output, tables for people and with --json one
 * object with "schema": 1, and fails with a sentence.
 */
#ifndef FAILBACK_CLI_CBTCTL_H
#define FAILBACK_CLI_CBTCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"
#include "base/uuid.h"
#include "lib/cbt_store_format.h"
#include "lib/nl.h"

enum cbtctl_option {
	OPTION_JSON,
	OPTION_EPOCH,
	OPTION_ACTIVE,
	OPTION_FROZEN,
	OPTION_BOTH,
	OPTION_TOTALS,
	OPTION_START,
	OPTION_BYTES,
	OPTION_PLAN,
	OPTION_BLOCK_SIZE,
	OPTION_REGION_SIZE,
	OPTION_LOG_SIZE,
	OPTION_CAPACITY,
	OPTION_FORCE,
	OPTION_EXTENTS,
	OPTION_SET,
	OPTION_SUSPECT,
	OPTION_COUNT,
	OPTION_TABLE,
	OPTION_NOTES,
	OPTION_WAIT,
	OPTION_HELP,
	NR_OPTIONS
};

#define CBTCTL_NOTES "/var/lib/failback/untracked"

#define TAKES(option) (1U << OPTION_##option)

/** struct cbtctl_options - what the command line says. */
struct cbtctl_options {
	bool json;
	bool totals;
	bool bytes;
	bool plan;
	bool force;
	bool extents;
	bool suspect;
	const char *set; /* NULL: not given */
	uint64_t count; /* 0: no end */
	const char *table; /* NULL: not given */
	const char *notes; /* NULL: not given */
	uint64_t wait_s;
	bool has_epoch;
	struct uuid epoch;
	uint32_t which; /* enum cbt_map_which */
	uint64_t start;
	struct cbt_store_sizes sizes;
	const char *const *operands;
	size_t nr_operands;
};

typedef int (*cbtctl_change_fn)(struct nl *nl, const char *const *trackers, size_t nr,
				const struct uuid *epoch, struct tracker_info *ret,
				struct failure *f);

struct cbtctl_command {
	const char *name; /* NULL: the end of a table */
	const char *operands;
	const char *noun; /* of an operand */
	const char *summary;
	const char *details;
	unsigned int takes; /* options */
	unsigned int needs; /* options */
	size_t min_operands;
	size_t max_operands;
	bool without_module; /* @nl is NULL */
	/* NULL, or gives a sentence about options and operands that do not go together. */
	const char *(*check)(const struct cbtctl_options *o);
	int (*run)(const struct cbtctl_command *c, const struct cbtctl_options *o, struct nl *nl,
		   struct failure *f);
	cbtctl_change_fn change;
	bool prints_epoch;
};

extern const struct cbtctl_command cbtctl_tracker_commands[];
extern const struct cbtctl_command cbtctl_control_commands[];
extern const struct cbtctl_command cbtctl_store_commands[];
extern const struct cbtctl_command cbtctl_boot_commands[];

/** cbtctl_bypass - take the tracker @name out from under its mapped device, also one that is lost. */
int cbtctl_bypass(struct nl *nl, const char *name, struct failure *f);

/**
 * cbtctl_restore - put the tracker with @store under the mapped device @name, which is linear. Its map
 * begins anew: the store is told first, also where the device was made linear by others.
 */
int cbtctl_restore(const char *name, const char *store, struct failure *f);

#endif
