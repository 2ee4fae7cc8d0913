// SPDX-License-Identifier: GPL-2.0-or-later
#include "xfer/plan.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "lib/json.h"
#include "lib/rate.h"

#define PLAN_BYTES_MAX ((size_t)1 << 20)
#define TRACKER_MAX    128 /* with the NUL */
#define MARK_INTERVAL  (UINT64_C(64) << 20)
#define WHAT_MAX       48  /* "plan: disks[255].source" */

static int refuse(const char *what, const char *wrong, struct failure *f)
{
	return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL, "%s %s", what, wrong);
}

static bool has(struct json_object *object, const char *name)
{
	return json_object_object_get_ex(object, name, NULL);
}

/* A text of 1 to @size - 1 characters, malloc()ed. */
static int take_text(const char *what, struct json_object *object, const char *name, size_t size,
		     char **ret, struct failure *f)
{
	char text[PATH_MAX];
	int rc = json_get_text(what, object, name, true, text, min_of(size, sizeof(text)), f);

	if (rc)
		return rc;
	if (!text[0])
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL, "%s: \"%s\" is empty", what,
				   name);
	*ret = strdup(text);
	return *ret ? 0 : failure_no_memory(f);
}

/* --- the plan --- */

static int take_guessed(const char *what, struct json_object *source, struct extent_list *ret,
			struct failure *f)
{
	struct json_object *array = NULL;
	int rc = json_get_array(what, source, "guessed", false, INT_MAX, &array, f);

	for (size_t i = 0; !rc && array && i < json_object_array_length(array); i += 2) {
		struct json_object *offset = json_object_array_get_idx(array, i);
		struct json_object *length = json_object_array_get_idx(array, i + 1);

		if (!json_object_is_type(offset, json_type_int) ||
		    !json_object_is_type(length, json_type_int))
			return refuse(what, "has a \"guessed\" of other than pairs of integers", f);
		rc = extent_push(ret, (uint64_t)json_object_get_int64(offset),
				 (uint64_t)json_object_get_int64(length));
		if (rc == -ENOMEM)
			rc = failure_no_memory(f);
		else if (rc)
			rc = refuse(what, "has a \"guessed\" that is not ascending", f);
	}
	return rc;
}

static int take_source(const char *what, struct json_object *source, struct plan_disk *ret,
		       struct failure *f)
{
	static const char *const names[] = { "tracker", "extents", "all", "compare", "guessed" };
	struct json_object *all;
	int rc = json_check_members(what, source, names, ARRAY_SIZE(names), f);

	if (!rc)
		rc = json_get_flag(what, source, "compare", &ret->compare, f);
	if (rc)
		return rc;
	if (has(source, "tracker") + has(source, "extents") + has(source, "all") != 1)
		return refuse(what, "must have exactly one of tracker, extents and all", f);
	if (has(source, "guessed") && !has(source, "tracker"))
		return refuse(what, "has \"guessed\", which only a tracker's map may have", f);
	if (has(source, "tracker")) {
		ret->source = SOURCE_TRACKER;
		rc = take_guessed(what, source, &ret->guessed, f);
		return rc ? rc : take_text(what, source, "tracker", TRACKER_MAX, &ret->source_name, f);
	}
	if (has(source, "extents")) {
		ret->source = SOURCE_EXTENTS;
		return take_text(what, source, "extents", PATH_MAX, &ret->source_name, f);
	}
	(void)json_object_object_get_ex(source, "all", &all);
	if (!json_object_is_type(all, json_type_boolean) || !json_object_get_boolean(all))
		return refuse(what, "has an \"all\" that is not true", f);
	ret->source = SOURCE_ALL;
	return 0;
}

static int take_device(const char *what, struct json_object *object, char **ret_path, int *ret_fd,
		       struct failure *f)
{
	uint64_t fd;
	int rc;

	*ret_fd = -1;
	if (has(object, "path") == has(object, "fd"))
		return refuse(what, "must have one of path and fd", f);
	if (has(object, "path"))
		return take_text(what, object, "path", PATH_MAX, ret_path, f);
	rc = json_get_uint(what, object, "fd", true, INT_MAX, &fd, f);
	if (!rc)
		*ret_fd = (int)fd;
	return rc;
}

static int take_journal(struct json_object *object, struct plan_journal *ret, struct failure *f)
{
	static const char *const names[] = { "path", "fd", "mark_interval" };
	int rc = json_check_members("plan: journal", object, names, ARRAY_SIZE(names), f);

	if (!rc)
		rc = take_device("plan: journal", object, &ret->path, &ret->fd, f);
	ret->mark_interval = MARK_INTERVAL;
	if (!rc && has(object, "mark_interval"))
		rc = json_get_uint("plan: journal", object, "mark_interval", true, INT64_MAX,
				   &ret->mark_interval, f);
	if (!rc && !ret->mark_interval)
		rc = refuse("plan: journal", "has a \"mark_interval\" of 0", f);
	ret->used = true;
	return rc;
}

static int take_aborted(struct json_object *plan_object, struct wire_begin *begin,
			struct failure *f)
{
	struct json_object *array = NULL;
	int rc = json_get_array("plan", plan_object, "aborted", false, CBT_WIRE_ABORTED_MAX, &array,
				f);

	for (size_t i = 0; !rc && array && i < json_object_array_length(array); i++) {
		struct json_object *item = json_object_array_get_idx(array, i);

		if (!json_object_is_type(item, json_type_string) ||
		    uuid_parse(json_object_get_string(item), &begin->aborted[i]))
			return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EINVAL,
					   "plan: aborted[%zu] is no UUID", i);
		begin->nr_aborted++;
	}
	return rc;
}

static int take_disk(const char *what, struct json_object *disk, enum plan_role role,
		     struct wire_disk *ret_wire, struct plan_disk *ret, struct failure *f)
{
	static const char *const names[] = { "name", "size", "path", "fd", "source" };
	struct json_object *source = NULL;
	char source_what[WHAT_MAX];
	int rc;

	/* source is the last of the names, and only a sender has it */
	rc = json_check_members(what, disk, names, ARRAY_SIZE(names) - (role == PLAN_RECEIVE), f);
	if (!rc)
		rc = json_get_text(what, disk, "name", true, ret_wire->name, sizeof(ret_wire->name),
				   f);
	if (!rc)
		rc = json_get_uint(what, disk, "size", true, INT64_MAX, &ret_wire->size_bytes, f);
	if (!rc && (!ret_wire->name[0] || !ret_wire->size_bytes ||
		    ret_wire->size_bytes % CBT_WIRE_ALIGN))
		rc = refuse(what, "needs a name, and a size that is a multiple of 512", f);
	if (!rc)
		rc = take_device(what, disk, &ret->path, &ret->fd, f);
	if (rc || role == PLAN_RECEIVE)
		return rc;
	if (!json_object_object_get_ex(disk, "source", &source))
		return refuse(what, "lacks \"source\"", f);
	(void)snprintf(source_what, sizeof(source_what), "%.38s.source", what);
	return take_source(source_what, source, ret, f);
}

static int take_disks(struct json_object *object, enum plan_role role, struct plan *plan,
		      struct failure *f)
{
	struct json_object *disks;
	int rc = json_get_array("plan", object, "disks", true, CBT_WIRE_DISKS_MAX, &disks, f);

	for (size_t i = 0; !rc && i < json_object_array_length(disks); i++) {
		char what[WHAT_MAX];

		(void)snprintf(what, sizeof(what), "plan: disks[%zu]", i);
		rc = take_disk(what, json_object_array_get_idx(disks, i), role,
			       &plan->begin.disks[i], &plan->disks[i], f);
		plan->begin.nr_disks++;
	}
	return rc;
}

static int take_plan(struct json_object *object, enum plan_role role, struct plan *plan,
		     struct failure *f)
{
	static const char *const send_names[] = { "version", "vm", "epoch", "base", "disks", "verify",
						  "aborted", "compress", "rate" };
	static const char *const receive_names[] = { "version", "vm", "epoch", "base", "disks", "verify",
						     "journal", "covered_fd" };
	struct json_object *journal = NULL;
	uint64_t covered_fd = 0;
	uint64_t version;
	int rc;

	if (role == PLAN_SEND)
		rc = json_check_members("plan", object, send_names, ARRAY_SIZE(send_names), f);
	else
		rc = json_check_members("plan", object, receive_names, ARRAY_SIZE(receive_names), f);
	if (!rc)
		rc = json_get_uint("plan", object, "version", true, UINT32_MAX, &version, f);
	if (!rc && version != 1)
		rc = refuse("plan", "is of another version than 1", f);
	if (!rc)
		rc = json_get_uuid("plan", object, "vm", true, &plan->begin.vm, f);
	if (!rc)
		rc = json_get_uuid("plan", object, "epoch", true, &plan->begin.epoch, f);
	/* null says that there is none; that it was forgotten must not. */
	if (!rc && !has(object, "base"))
		rc = refuse("plan", "lacks \"base\"", f);
	if (!rc)
		rc = json_get_uuid("plan", object, "base", false, &plan->begin.base, f);
	if (!rc)
		rc = json_get_flag("plan", object, "verify", &plan->verify, f);
	if (!rc && plan->verify && has(object, "journal"))
		rc = refuse("plan", "has a \"journal\" and \"verify\", which writes nothing", f);
	if (!rc)
		rc = json_get_flag("plan", object, "compress", &plan->compress, f);
	if (!rc)
		rc = json_get_uint("plan", object, "rate", false, INT64_MAX, &plan->rate, f);
	if (!rc && plan->rate && plan->rate < RATE_MIN)
		rc = refuse("plan", "has a \"rate\" below 65536", f);
	if (!rc && role == PLAN_SEND)
		rc = take_aborted(object, &plan->begin, f);
	if (!rc && role == PLAN_RECEIVE && json_object_object_get_ex(object, "journal", &journal))
		rc = take_journal(journal, &plan->journal, f);
	plan->covered_fd = -1;
	if (!rc && has(object, "covered_fd")) {
		rc = json_get_uint("plan", object, "covered_fd", true, INT_MAX, &covered_fd, f);
		plan->covered_fd = (int)covered_fd;
	}
	return rc ? rc : take_disks(object, role, plan, f);
}

int plan_parse(const char *text, enum plan_role role, struct plan **ret, struct failure *f)
{
	cleanup_json struct json_object *object = NULL;
	_cleanup_(plan_free_at) struct plan *plan = calloc(1, sizeof(*plan));
	int rc;

	if (!plan)
		return failure_no_memory(f);
	rc = json_parse_object("plan", text, &object, f);
	if (!rc)
		rc = take_plan(object, role, plan, f);
	if (rc)
		return rc;
	*ret = steal_ptr(plan);
	return 0;
}

int plan_read(int fd, enum plan_role role, struct plan **ret, struct failure *f)
{
	cleanup_free char *text = malloc(PLAN_BYTES_MAX + 2);
	size_t len = 0;

	if (!text)
		return failure_no_memory(f);
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
	text[len] = '\0';
	if (len > PLAN_BYTES_MAX || strlen(text) != len)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "the plan is longer than 1 MiB or contains NUL");
	return plan_parse(text, role, ret, f);
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(plan->disks); i++) {
		free(plan->disks[i].path);
		free(plan->disks[i].source_name);
		extent_list_free(&plan->disks[i].guessed);
	}
	free(plan->journal.path);
	free(plan);
}

void plan_free_at(struct plan **plan)
{
	plan_free(*plan);
	*plan = NULL;
}
