// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/print.h"
#include "lib/output.h"

static const char *text_of(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(object, name, &value) || !value)
		return NULL;
	return json_object_get_string(value);
}

static void print_one(struct json_object *object)
{
	struct json_object *steps = json_object_object_get(object, "steps");
	const char *name = text_of(object, "name");
	const char *tracker = text_of(object, "tracker");
	char shown[NAME_TEXT_MAX];

	(void)printf("%s: %s\n", name ? name_text(name, shown) : tracker ? tracker : "?", text_of(object, "text"));
	for (size_t i = 0; steps && i < json_object_array_length(steps); i++)
		(void)printf("    - %s\n",
			     json_object_get_string(json_object_array_get_idx(steps, i)));
}

static int print_one_json(struct json_object *object, struct failure *f)
{
	cleanup_json struct json_object *document = output_document();

	json_object_object_foreach(object, name, value)
		(void)json_object_object_add(document, name, json_object_get(value));
	return output_print(document, f);
}

static int print_report(struct json_object *report, bool json, struct failure *f)
{
	size_t nr = json_object_array_length(report);
	int rc = 0;

	if (!nr && !json)
		(void)printf("No store of a tracker here says whose it is.\n");
	for (size_t i = 0; !rc && i < nr; i++) {
		struct json_object *object = json_object_array_get_idx(report, i);

		if (json)
			rc = print_one_json(object, f);
		else
			print_one(object);
	}
	return rc;
}

/* What was adopted, and what is left to do, counts as well when another VM is refused. */
int command_adopt(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_json struct json_object *report = NULL;
	cleanup_free char *json = NULL;
	struct failure output;
	char text[512];
	int rc = client_adopt(client, o->operand ? o->operand : "", text, sizeof(text), &json, f);

	report = json ? json_tokener_parse(json) : NULL;
	if (json_object_is_type(report, json_type_array) && print_report(report, o->json, &output)) {
		*f = output;
		return -EIO;
	}
	if (!rc && !o->json)
		(void)printf("%s\n", text);
	return rc;
}
