// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each member is taken by a function that knows its type and says its path in the sentence ("disks[0].size must be ...").
 * Members that nobody takes are found by comparing with the list of names that may stand there.
 */
#include "xfer/plan.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"

#define PLAN_BYTES_MAX ((size_t)1 << 20)
#define PLAN_DEPTH_MAX 8

static void json_put_at(struct json_object **object)
{
	(void)json_object_put(*object);
}

static void tokener_free_at(struct json_tokener **tokener)
{
	if (*tokener)
		json_tokener_free(*tokener);
}

/* --- members --- */

/* An object of the plan, and how its place is called: "" or "disks[0].". */
struct place {
	struct json_object *object;
	char path[48];
	struct failure *f;
};

static int refuse(const struct place *place, enum code code, const char *member, const char *what)
{
	return failure_set(place->f, code, -EINVAL, "plan: %s%s %s", place->path, member, what);
}

static int member_get(const struct place *place, const char *name, enum json_type type,
		      struct json_object **ret)
{
	static const char *const wanted[] = {
		[json_type_int] = "must be a whole number",
		[json_type_object] = "must be an object",
		[json_type_array] = "must be an array",
		[json_type_string] = "must be a string",
		[json_type_boolean] = "must be true or false",
	};
	struct json_object *member;

	if (!json_object_object_get_ex(place->object, name, &member))
		return refuse(place, CODE_INVALID_PARAMETER, name, "is missing");
	if (json_object_get_type(member) != type)
		return refuse(place, CODE_INCORRECT_DATA_TYPE, name, wanted[type]);
	*ret = member;
	return 0;
}

static bool member_present(const struct place *place, const char *name)
{
	return json_object_object_get_ex(place->object, name, NULL);
}

static int refuse_unknown(const struct place *place, const char *const *names, size_t nr_names)
{
	json_object_object_foreach(place->object, name, value)
	{
		bool known = false;

		(void)value;
		for (size_t i = 0; i < nr_names; i++)
			known = known || strcmp(name, names[i]) == 0;
		if (!known)
			return refuse(place, CODE_INVALID_PARAMETER, name,
				      "is not a member of a plan");
	}
	return 0;
}

static int take_number(const struct place *place, const char *name, int64_t min, int64_t max,
		       int64_t *ret)
{
	struct json_object *member;
	int64_t value;
	int rc;

	rc = member_get(place, name, json_type_int, &member);
	if (rc)
		return rc;
	value = json_object_get_int64(member);
	if (value < min || value > max)
		return refuse(place, CODE_INVALID_PARAMETER, name, "is out of range");
	*ret = value;
	return 0;
}

/* A string of 1 to @max bytes without NUL; it lives as long as the object. */
static int take_string(const struct place *place, const char *name, size_t max, const char **ret)
{
	struct json_object *member;
	const char *text;
	size_t len;
	int rc;

	rc = member_get(place, name, json_type_string, &member);
	if (rc)
		return rc;
	text = json_object_get_string(member);
	len = (size_t)json_object_get_string_len(member);
	if (!len || len > max || strlen(text) != len)
		return refuse(place, CODE_INVALID_PARAMETER, name,
			      "is empty, too long or holds NUL");
	*ret = text;
	return 0;
}

static int take_string_copy(const struct place *place, const char *name, size_t max, char **ret)
{
	const char *text;
	char *copy;
	int rc;

	rc = take_string(place, name, max, &text);
	if (rc)
		return rc;
	copy = strdup(text);
	if (!copy)
		return failure_set(place->f, CODE_OUT_OF_MEMORY, -ENOMEM, "out of memory");
	*ret = copy;
	return 0;
}

static int take_uuid(const struct place *place, const char *name, struct uuid *ret)
{
	const char *text;
	struct uuid uuid;
	int rc;

	rc = take_string(place, name, UUID_TEXT_LEN, &text);
	if (rc)
		return rc;
	if (uuid_parse(text, &uuid) || uuid_is_nil(&uuid))
		return refuse(place, CODE_INVALID_PARAMETER, name, "is not a UUID");
	*ret = uuid;
	return 0;
}

/* --- the plan --- */

static int take_source(const struct place *disk, struct plan_disk *ret)
{
	static const char *const names[] = { "tracker", "extents", "all" };
	struct place place = { .f = disk->f };
	struct json_object *all;
	int rc;

	rc = member_get(disk, "source", json_type_object, &place.object);
	if (rc)
		return rc;
	(void)snprintf(place.path, sizeof(place.path), "%.30ssource.", disk->path);
	rc = refuse_unknown(&place, names, ARRAY_SIZE(names));
	if (rc)
		return rc;
	if (json_object_object_length(place.object) != 1)
		return refuse(disk, CODE_INVALID_PARAMETER, "source",
			      "must have exactly one of tracker, extents and all");
	if (member_present(&place, "tracker")) {
		ret->source = SOURCE_TRACKER;
		return take_string_copy(&place, "tracker", 127, &ret->source_name);
	}
	if (member_present(&place, "extents")) {
		ret->source = SOURCE_EXTENTS;
		return take_string_copy(&place, "extents", PATH_MAX - 1, &ret->source_name);
	}
	rc = member_get(&place, "all", json_type_boolean, &all);
	if (rc)
		return rc;
	if (!json_object_get_boolean(all))
		return refuse(&place, CODE_INVALID_PARAMETER, "all", "must be true");
	ret->source = SOURCE_ALL;
	return 0;
}

static int take_device(const struct place *place, struct plan_disk *ret)
{
	int64_t fd;
	int rc;

	if (member_present(place, "path") == member_present(place, "fd"))
		return refuse(place, CODE_INVALID_PARAMETER, "path",
			      "or fd must be there, and not both");
	ret->fd = -1;
	if (member_present(place, "path"))
		return take_string_copy(place, "path", PATH_MAX - 1, &ret->path);
	rc = take_number(place, "fd", 0, INT_MAX, &fd);
	if (!rc)
		ret->fd = (int)fd;
	return rc;
}

static int take_disk(const struct place *place, enum plan_role role, struct wire_disk *ret_wire,
		     struct plan_disk *ret)
{
	static const char *const names[] = { "name", "size", "path", "fd", "source" };
	const char *name;
	int64_t size;
	int rc;

	/* source is the last of the names, and only a sender has it */
	rc = refuse_unknown(place, names, ARRAY_SIZE(names) - (role == PLAN_RECEIVE));
	if (!rc)
		rc = take_string(place, "name", WIRE_NAME_MAX, &name);
	if (!rc)
		rc = take_number(place, "size", CBT_WIRE_ALIGN, INT64_MAX, &size);
	if (!rc && size % CBT_WIRE_ALIGN)
		rc = refuse(place, CODE_INVALID_PARAMETER, "size", "must be a multiple of 512");
	if (!rc)
		rc = take_device(place, ret);
	if (!rc && role == PLAN_SEND)
		rc = take_source(place, ret);
	if (rc)
		return rc;
	memcpy(ret_wire->name, name, strlen(name) + 1);
	ret_wire->size_bytes = (uint64_t)size;
	return 0;
}

static int take_disks(const struct place *top, enum plan_role role, struct plan *plan)
{
	struct json_object *disks;
	size_t nr;
	int rc;

	rc = member_get(top, "disks", json_type_array, &disks);
	if (rc)
		return rc;
	nr = json_object_array_length(disks);
	if (!nr || nr > CBT_WIRE_DISKS_MAX)
		return refuse(top, CODE_INVALID_PARAMETER, "disks", "must have 1 to 256 elements");
	for (size_t i = 0; i < nr; i++) {
		struct place place = { .object = json_object_array_get_idx(disks, i), .f = top->f };

		(void)snprintf(place.path, sizeof(place.path), "disks[%zu].", i);
		if (!json_object_is_type(place.object, json_type_object))
			return refuse(&place, CODE_INCORRECT_DATA_TYPE, "", "must be an object");
		rc = take_disk(&place, role, &plan->begin.disks[i], &plan->disks[i]);
		if (rc)
			return rc;
		plan->begin.nr_disks++;
	}
	return 0;
}

static int take_base(const struct place *top, struct uuid *ret)
{
	struct json_object *base;

	if (json_object_object_get_ex(top->object, "base", &base) && !base)
		return 0; /* null: none */
	return take_uuid(top, "base", ret);
}

static int take_plan(const struct place *top, enum plan_role role, struct plan *plan)
{
	static const char *const names[] = { "version", "vm", "epoch", "base", "disks" };
	int64_t version;
	int rc;

	rc = refuse_unknown(top, names, ARRAY_SIZE(names));
	if (!rc)
		rc = take_number(top, "version", 1, 1, &version);
	if (!rc)
		rc = take_uuid(top, "vm", &plan->begin.vm);
	if (!rc)
		rc = take_uuid(top, "epoch", &plan->begin.epoch);
	if (!rc)
		rc = take_base(top, &plan->begin.base);
	if (!rc)
		rc = take_disks(top, role, plan);
	return rc;
}

static int json_parse(const char *text, size_t len, struct json_object **ret, struct failure *f)
{
	_cleanup_(tokener_free_at) struct json_tokener *tokener =
		json_tokener_new_ex(PLAN_DEPTH_MAX);
	_cleanup_(json_put_at) struct json_object *object = NULL;
	size_t end;

	if (!tokener)
		return failure_set(f, CODE_OUT_OF_MEMORY, -ENOMEM, "out of memory");
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 |
						JSON_TOKENER_ALLOW_TRAILING_CHARS);
	object = json_tokener_parse_ex(tokener, text, (int)len);
	end = json_tokener_get_parse_end(tokener);
	while (end < len && strchr(" \t\r\n", text[end]) && text[end])
		end++;
	if (!json_object_is_type(object, json_type_object) || end != len)
		return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EINVAL,
				   "plan: this is not one JSON object (wrong near byte %zu)", end);
	*ret = steal_ptr(object);
	return 0;
}

int plan_parse(const char *text, size_t len, enum plan_role role, struct plan **ret,
	       struct failure *f)
{
	_cleanup_(json_put_at) struct json_object *object = NULL;
	_cleanup_(plan_free_at) struct plan *plan = calloc(1, sizeof(*plan));
	struct place top = { .f = f };
	int rc;

	if (!plan)
		return failure_set(f, CODE_OUT_OF_MEMORY, -ENOMEM, "out of memory");
	if (len > PLAN_BYTES_MAX)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL, "plan: longer than 1 MiB");
	rc = json_parse(text, len, &object, f);
	if (rc)
		return rc;
	top.object = object;
	rc = take_plan(&top, role, plan);
	if (rc)
		return rc;
	*ret = steal_ptr(plan);
	return 0;
}

int plan_read(int fd, enum plan_role role, struct plan **ret, struct failure *f)
{
	cleanup_free char *text = malloc(PLAN_BYTES_MAX + 1);
	size_t len = 0;

	if (!text)
		return failure_set(f, CODE_OUT_OF_MEMORY, -ENOMEM, "out of memory");
	while (len <= PLAN_BYTES_MAX) {
		ssize_t got = read(fd, text + len, PLAN_BYTES_MAX + 1 - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return failure_set(f, CODE_FAILED, -errno, "cannot read the plan: %s",
					   strerror(errno));
		if (!got)
			break;
		len += (size_t)got;
	}
	return plan_parse(text, len, role, ret, f);
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(plan->disks); i++) {
		free(plan->disks[i].path);
		free(plan->disks[i].source_name);
	}
	free(plan);
}

void plan_free_at(struct plan **plan)
{
	plan_free(*plan);
	*plan = NULL;
}
