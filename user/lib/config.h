/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program's own settings: one table feeds the ini file, the command line and --help. The only
 * file that knows inih.
 *
 * A table row describes a member of the program's settings structure: CONFIG_TEXT a char array of
 * `max` bytes with its NUL, CONFIG_UINT a uint64_t within [min, max]. Values are checked when
 * they are set; a refusal names the setting, what was given and what is allowed, and changes
 * nothing.
 */
#ifndef FAILBACK_LIB_CONFIG_H
#define FAILBACK_LIB_CONFIG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/failure.h"

enum config_type {
	CONFIG_TEXT,
	CONFIG_UINT,
};

struct config_setting {
	const char *name; /* lower-case words joined by '-' */
	enum config_type type;
	uint64_t min;
	uint64_t max; /* CONFIG_TEXT: bytes of the member */
	const char *default_value;
	const char *doc; /* for people; without a full stop */
	size_t offset; /* of the member */
};

struct config_table {
	const char *section; /* the only section of the file */
	const struct config_setting *settings;
	size_t nr;
};

/** config_init - every setting to its default. */
void config_init(const struct config_table *table, void *ret);

/**
 * config_set - one setting from text. -ENOENT: no such setting; -EINVAL: not a number; -ERANGE:
 * outside its range.
 */
int config_set(const struct config_table *table, void *settings, const char *name,
	       const char *value, struct failure *f);

/**
 * config_load - all settings of an ini file. Unknown sections and names are refused. -ENOENT
 * (with a failure): no such file. The failure names file and line. On failure @settings may be
 * changed in part.
 */
int config_load(const struct config_table *table, void *settings, const char *path,
		struct failure *f);

/**
 * config_print - the settings as command line options with default, range and meaning, for
 * --help.
 */
void config_print(const struct config_table *table, FILE *out);

#endif
