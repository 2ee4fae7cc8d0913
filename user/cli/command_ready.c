// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/follow.h"
#include "cli/print.h"
#include "lib/output.h"

#define EXIT_NOT_READY 1

static const char *text_of(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;

	(void)json_object_object_get_ex(object, name, &value);
	return value ? json_object_get_string(value) : "";
}

static bool is_true(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;

	return json_object_object_get_ex(object, name, &value) && json_object_get_boolean(value);
}

static void print_point(struct json_object *point)
{
	bool here = strcmp(text_of(point, "where"), "here") == 0;

	(void)printf("  %-5s %-12s %s\n", here ? "here" : "peer", text_of(point, "name"),
		     is_true(point, "ok") ? "ok" : text_of(point, "text"));
}

static void print_result(struct json_object *result)
{
	struct json_object *points = NULL;
	char name[NAME_TEXT_MAX];
	size_t nr = 0;

	if (json_object_object_get_ex(result, "points", &points))
		nr = json_object_array_length(points);
	for (size_t i = 0; i < nr; i++)
		print_point(json_object_array_get_idx(points, i));
	(void)printf("VM %s could %s (peer: %s).\n", name_text(text_of(result, "vm"), name),
		     is_true(result, "ready") ? "fail over now, and come home" :
						"not fail over now, or not come home",
		     text_of(result, "peer"));
}

int command_ready(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_json struct json_object *result = NULL;
	char job_path[BUS_PATH_MAX];
	int rc = command_start(client, o, "TestReadiness", job_path, f);

	if (!rc)
		rc = await_answer(client, job_path, &result, f);
	if (!rc && o->json)
		rc = output_print(result, f);
	if (rc)
		return rc;
	if (!o->json)
		print_result(result);
	return is_true(result, "ready") ? 0 : EXIT_NOT_READY;
}
