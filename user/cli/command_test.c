// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/follow.h"
#include "lib/output.h"

static const char *text_of(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;

	(void)json_object_object_get_ex(object, name, &value);
	return value ? json_object_get_string(value) : "";
}

int command_test(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_json struct json_object *result = NULL;
	char path[BUS_PATH_MAX];
	char job_path[BUS_PATH_MAX];
	int rc = client_find_vm(client, o->operand, path, f);
	if (!rc)
		rc = client_test_connection(client, path, "", job_path, f);
	if (!rc)
		rc = await_answer(client, job_path, &result, f);
	if (rc)
		return rc;
	if (o->json)
		return output_print(result, f);
	(void)printf("Peer %s answers: it is %s in state %s (%s), term %s; the VM may%s run there.\n",
		     text_of(result, "peer"), text_of(result, "mode_name"),
		     text_of(result, "state"), text_of(result, "state_name"),
		     text_of(result, "term"),
		     text_of(result, "may_run")[0] == 't' ? "" : " not");
	(void)printf("The connection is %s%s%s.\n", text_of(result, "protection"),
		     text_of(result, "fingerprint")[0] ? "; the peer's key is " : "",
		     text_of(result, "fingerprint"));
	return 0;
}
