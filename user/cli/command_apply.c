// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "lib/output.h"

#define FILE_MAX_BYTES ((size_t)4 << 20)

int command_apply(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_json struct json_object *object = NULL;
	cleanup_free char *json = NULL;
	bool changed;
	char text[512];
	int rc;

	rc = read_text_file(o->operand, FILE_MAX_BYTES, &json, f);
	if (!rc)
		rc = client_apply(client, json, &changed, text, sizeof(text), f);
	if (rc)
		return rc;
	if (!o->json) {
		(void)printf("changed: %s\n%s\n", changed ? "yes" : "no", text);
		return 0;
	}
	object = output_document();
	(void)json_object_object_add(object, "changed", json_object_new_boolean(changed));
	json_add_text(object, "text", text);
	return output_print(object, f);
}

int command_export(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_free char *text = NULL;
	int rc = client_export(client, &text, f);

	(void)o;
	if (!rc)
		(void)printf("%s\n", text);
	return rc;
}
