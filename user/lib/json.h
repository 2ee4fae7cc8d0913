/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading JSON that may be wrong, on top of json-c: bounded depth, strict grammar, members with a
 * type and a range.
 *
 * Every refusal is a sentence that begins with @what (the text being read) and names the member.
 */
#ifndef FAILBACK_LIB_JSON_H
#define FAILBACK_LIB_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "base/cleanup.h"
#include "base/failure.h"
#include "base/uuid.h"

static inline void json_put_at(struct json_object **object)
{
	(void)json_object_put(*object);
}

#define cleanup_json _cleanup_(json_put_at)

/** json_parse_object - the whole of @text is one object; CODE_INCORRECT_DATA_TYPE if not. */
int json_parse_object(const char *what, const char *text, struct json_object **ret,
		      struct failure *f);

/**
 * json_check_members - @object is an object, and every member's name is one of @names;
 * CODE_INVALID_PARAMETER names the first that is not.
 */
int json_check_members(const char *what, struct json_object *object, const char *const *names,
		       size_t nr, struct failure *f);

/*
 * One member. CODE_INCORRECT_DATA_TYPE: of another type; CODE_INVALID_PARAMETER: missing, or
 * outside its range. A member that is missing or null leaves *@ret untouched and is fine unless
 * @required. A UUID may be "" instead of missing; one that is @required is not nil.
 */
int json_get_text(const char *what, struct json_object *object, const char *name, bool required,
		  char *ret, size_t size, struct failure *f);
int json_get_uint(const char *what, struct json_object *object, const char *name, bool required,
		  uint64_t max, uint64_t *ret, struct failure *f);
int json_get_uuid(const char *what, struct json_object *object, const char *name, bool required,
		  struct uuid *ret, struct failure *f);

int json_get_flag(const char *what, struct json_object *object, const char *name, bool *ret,
		  struct failure *f);

/** json_get_array - of objects, 1 to @max of them when @required. The array belongs to @object. */
int json_get_array(const char *what, struct json_object *object, const char *name, bool required,
		   size_t max, struct json_object **ret, struct failure *f);

/**
 * json_add_text, json_add_uint, json_add_uuid - a nil UUID becomes null. json-c aborts on
 * nothing; memory is assumed.
 */
void json_add_text(struct json_object *object, const char *name, const char *text);
void json_add_uint(struct json_object *object, const char *name, uint64_t number);
void json_add_uuid(struct json_object *object, const char *name, const struct uuid *uuid);

/** json_text - of @object on one line, malloc()ed; NULL when out of memory. */
char *json_text(struct json_object *object);

#endif
