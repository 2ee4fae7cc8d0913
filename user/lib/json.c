// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/json.h"

#include <errno.h>
#include <string.h>

#define DEPTH_MAX 8

static void free_tokener_at(struct json_tokener **tokener)
{
	if (*tokener)
		json_tokener_free(*tokener);
}

int json_parse_object(const char *what, const char *text, struct json_object **ret,
		      struct failure *f)
{
	_cleanup_(free_tokener_at) struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
	cleanup_json struct json_object *object = NULL;
	size_t len = strlen(text);

	if (!tokener || len >= INT32_MAX)
		return failure_no_memory(f);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, text, (int)len + 1);
	if (!object || !json_object_is_type(object, json_type_object))
		return failure_set(
			f, CODE_INCORRECT_DATA_TYPE, -EBADMSG, "%s is not a JSON object: %s.", what,
			object ? "it is of another type"
			       : json_tokener_error_desc(json_tokener_get_error(tokener)));
	*ret = steal_ptr(object);
	return 0;
}

int json_check_members(const char *what, struct json_object *object, const char *const *names,
		       size_t nr, struct failure *f)
{
	if (!json_object_is_type(object, json_type_object))
		return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EINVAL, "%s must be an object.",
				   what);
	json_object_object_foreach(object, name, value)
	{
		size_t i = 0;

		(void)value;
		while (i < nr && strcmp(names[i], name) != 0)
			i++;
		if (i == nr)
			return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
					   "%s has an unknown member \"%.64s\".", what, name);
	}
	return 0;
}

static int missing(const char *what, const char *name, bool required, struct failure *f)
{
	if (!required)
		return 0;
	return failure_set(f, CODE_INVALID_PARAMETER, -ENOENT, "%s lacks \"%s\".", what, name);
}

static int wrong_type(const char *what, const char *name, const char *wanted, struct failure *f)
{
	return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EINVAL, "%s: \"%s\" must be %s.", what,
			   name, wanted);
}

/* NULL when missing or null. */
static struct json_object *member(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;

	(void)json_object_object_get_ex(object, name, &value);
	return value;
}

int json_get_text(const char *what, struct json_object *object, const char *name, bool required,
		  char *ret, size_t size, struct failure *f)
{
	struct json_object *value = member(object, name);
	size_t len;

	if (!value)
		return missing(what, name, required, f);
	if (!json_object_is_type(value, json_type_string))
		return wrong_type(what, name, "a string", f);
	len = (size_t)json_object_get_string_len(value);
	if (len >= size || strlen(json_object_get_string(value)) != len)
		return failure_set(f, CODE_INVALID_PARAMETER, -ERANGE,
				   "%s: \"%s\" may have at most %zu characters and no NUL.", what,
				   name, size - 1);
	memcpy(ret, json_object_get_string(value), len + 1);
	return 0;
}

int json_get_uint(const char *what, struct json_object *object, const char *name, bool required,
		  uint64_t max, uint64_t *ret, struct failure *f)
{
	struct json_object *value = member(object, name);
	uint64_t number;

	if (!value)
		return missing(what, name, required, f);
	if (!json_object_is_type(value, json_type_int))
		return wrong_type(what, name, "a whole number", f);
	number = json_object_get_uint64(value);
	/* json-c reads a negative number as 0 and clamps at the top. */
	if (number > max || (number == 0 && json_object_get_int64(value) < 0))
		return failure_set(f, CODE_INVALID_PARAMETER, -ERANGE,
				   "%s: \"%s\" must be 0 to %llu.", what, name,
				   (unsigned long long)max);
	*ret = number;
	return 0;
}

int json_get_flag(const char *what, struct json_object *object, const char *name, bool *ret,
		  struct failure *f)
{
	struct json_object *value = member(object, name);

	if (!value)
		return 0;
	if (!json_object_is_type(value, json_type_boolean))
		return wrong_type(what, name, "true or false", f);
	*ret = json_object_get_boolean(value);
	return 0;
}

int json_get_uuid(const char *what, struct json_object *object, const char *name, bool required,
		  struct uuid *ret, struct failure *f)
{
	char text[UUID_TEXT_LEN + 1] = "";
	struct uuid uuid;
	int rc = json_get_text(what, object, name, required, text, sizeof(text), f);

	if (rc || (!text[0] && !required))
		return rc;
	if (uuid_parse(text, &uuid) || (required && uuid_is_nil(&uuid)))
		return wrong_type(what, name, "a UUID", f);
	*ret = uuid;
	return 0;
}

int json_get_array(const char *what, struct json_object *object, const char *name, bool required,
		   size_t max, struct json_object **ret, struct failure *f)
{
	struct json_object *value = member(object, name);
	size_t nr;

	if (!value)
		return missing(what, name, required, f);
	if (!json_object_is_type(value, json_type_array))
		return wrong_type(what, name, "an array", f);
	nr = json_object_array_length(value);
	if (nr > max || (required && !nr))
		return failure_set(f, CODE_INVALID_PARAMETER, -ERANGE,
				   "%s: \"%s\" may have %d to %zu elements.", what, name, required,
				   max);
	*ret = value;
	return 0;
}

void json_add_text(struct json_object *object, const char *name, const char *text)
{
	(void)json_object_object_add(object, name, json_object_new_string(text));
}

void json_add_uint(struct json_object *object, const char *name, uint64_t number)
{
	(void)json_object_object_add(object, name, json_object_new_uint64(number));
}

void json_add_uuid(struct json_object *object, const char *name, const struct uuid *uuid)
{
	char text[UUID_TEXT_LEN + 1];

	(void)json_object_object_add(
		object, name,
		uuid_is_nil(uuid) ? NULL : json_object_new_string(uuid_format(uuid, text)));
}

char *json_text(struct json_object *object)
{
	const char *text = json_object_to_json_string_ext(
		object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	return text ? strdup(text) : NULL;
}
