/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Msvm_ReplicationSettingData: one table of its properties, filled from CIM-XML or JSON. PURE: no
 * I/O, no globals.
 *
 * Properties that the class derives from others, or documents as unused, are accepted and
 * forgotten: instances that were read from a host and passed back contain them. A property that
 * the class does not have is refused by name. The only file that turns JSON into settings and
 * back; CIM-XML is read by lib/cimxml.
 */
#ifndef FAILBACK_LIB_SETTINGS_H
#define FAILBACK_LIB_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"

#define SETTINGS_TEXT_MAX  (64U << 10) /* bytes of one instance */
#define SETTINGS_VALUE_MAX 4096U /* characters of one value */
#define SETTINGS_ARRAY_MAX 256U /* values of one array */

/* The properties that carry meaning; values of the others are not kept. */
enum setting {
	SETTING_VIRTUAL_SYSTEM_IDENTIFIER,
	SETTING_AUTHENTICATION_TYPE,
	SETTING_CERTIFICATE_THUMB_PRINT,
	SETTING_COMPRESSION_ENABLED,
	SETTING_RECOVERY_CONNECTION_POINT,
	SETTING_RECOVERY_SERVER_PORT_NUMBER,
	SETTING_APPLICATION_CONSISTENT_SNAPSHOT_INTERVAL,
	SETTING_RECOVERY_HISTORY,
	SETTING_INCLUDED_DISKS,
	SETTING_AUTO_RESYNCHRONIZE_ENABLED,
	SETTING_AUTO_RESYNCHRONIZE_INTERVAL_START,
	SETTING_AUTO_RESYNCHRONIZE_INTERVAL_END,
	SETTING_REPLICATION_PROVIDER,
	SETTING_ADDITIONAL_SETTINGS,
	SETTING_REPLICATION_INTERVAL,
	NR_SETTINGS
};

enum setting_type {
	SETTING_STRING,
	SETTING_UINT16,
	SETTING_BOOLEAN,
	SETTING_DATETIME, /* an interval: the 25 characters of DMTF ending in ":000" */
};

enum setting_use {
	SETTING_KEPT,
	SETTING_DERIVED, /* follows from other things; what a client says about it is ignored */
	SETTING_UNUSED, /* documented as unused, or without a counterpart on Linux */
};

struct setting_def {
	const char *name;
	enum setting_type type;
	bool array;
	enum setting_use use;
	enum setting setting; /* of SETTING_KEPT */
	uint32_t min; /* of SETTING_UINT16 */
	uint32_t max; /* of SETTING_UINT16; of SETTING_STRING: characters */
	const uint16_t *allowed; /* of SETTING_UINT16: ends with 0; NULL: the whole range */
	const char *default_value; /* NULL: none */
	const char *doc;
};

struct setting_value {
	bool set;
	uint16_t number; /* SETTING_UINT16, SETTING_BOOLEAN */
	char **texts; /* SETTING_STRING, SETTING_DATETIME */
	size_t nr_texts;
};

struct settings {
	struct setting_value values[NR_SETTINGS];
};

void settings_clear(struct settings *s);

/** settings_table - all properties of the class; *@ret_nr rows. */
const struct setting_def *settings_table(size_t *ret_nr);

/**
 * settings_parse - @text is empty (nothing is set), a CIM-XML INSTANCE, or a JSON object.
 *
 * CODE_INCORRECT_DATA_TYPE: malformed, another class, a property of another type.
 * CODE_INVALID_PARAMETER: a property that does not exist, or a value that is not allowed.
 * CODE_NOT_SUPPORTED: a value that is allowed but that this version cannot honour.
 */
int settings_parse(const char *text, struct settings *ret, struct failure *f);

/**
 * settings_put - one property as it was written.
 * @cim_type: as in CIM-XML ("uint16"); NULL: not stated, values are judged by their text
 * @values, @nr: scalars have at most one; none is NULL, which unsets the property
 */
int settings_put(struct settings *s, const char *name, const char *cim_type, bool array,
		 const char *const *values, size_t nr, struct failure *f);

/**
 * settings_number, settings_text - the value, or the default of the class (0 or "" where it has
 * none).
 */
uint16_t settings_number(const struct settings *s, enum setting setting);
const char *settings_text(const struct settings *s, enum setting setting);

/** settings_merge - what @over sets replaces what @s has. -ENOMEM leaves @s as it was. */
int settings_merge(struct settings *s, const struct settings *over);

/** settings_unset - back to the default. */
void settings_unset(struct settings *s, enum setting setting);

/** settings_to_json - an object of what is set; malloc()ed, NULL when out of memory. */
char *settings_to_json(const struct settings *s);

#endif
