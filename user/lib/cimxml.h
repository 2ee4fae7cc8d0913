/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CIM-XML instances in the two dialects that WMI writes (GetText 1 and 2). The only file that
 * knows expat.
 *
 * The text comes from whoever may call the bus: document type declarations are refused, and so
 * with them every entity but the five of XML; length, depth, attributes, properties and values
 * are bounded.
 */
#ifndef FAILBACK_LIB_CIMXML_H
#define FAILBACK_LIB_CIMXML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/failure.h"

/**
 * cimxml_property_fn - one property of the instance, in the order of the text.
 * @type: as written; @values: NUL-terminated, valid during the call; @nr: 0 for NULL, at most 1
 *	unless @array
 * Returns 0, or a negative errno with @f filled, which ends the parsing.
 */
typedef int (*cimxml_property_fn)(void *context, const char *name, const char *type, bool array,
				  const char *const *values, size_t nr, struct failure *f);

/**
 * cimxml_parse - read one INSTANCE of @class_name. System properties ("__PATH" and so on) are
 * skipped. CODE_INCORRECT_DATA_TYPE for whatever is not such a text.
 */
int cimxml_parse(const char *text, const char *class_name, cimxml_property_fn fn, void *context,
		 struct failure *f);

/**
 * cimxml_error - an Msvm_Error instance for @why, NAME first in each element; malloc()ed, NULL
 * when out of memory.
 */
char *cimxml_error(const struct failure *why);

#endif
