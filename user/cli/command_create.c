// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/follow.h"
#include "lib/output.h"
#include "lib/settings.h"

#define FILE_MAX_BYTES ((size_t)1 << 20)

static int read_settings(const struct options *o, char **ret, struct failure *f)
{
	*ret = NULL;
	return o->settings_file ? read_text_file(o->settings_file, SETTINGS_TEXT_MAX, ret, f) : 0;
}

int create_relationship(struct client *client, const struct options *o, const char *json, bool wait,
			struct failure *f)
{
	cleanup_free char *settings = NULL;
	char job[BUS_PATH_MAX];
	int rc = read_settings(o, &settings, f);

	if (!rc)
		rc = client_create(client, json, settings ? settings : "", job, f);
	return rc ? rc : follow_jobs(client, job, o->json, wait, f);
}

int command_create(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_free char *json = NULL;
	int rc = read_text_file(o->operand, FILE_MAX_BYTES, &json, f);

	return rc ? rc : create_relationship(client, o, json, !o->no_wait, f);
}

int command_settings(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_free char *settings = NULL;
	char path[BUS_PATH_MAX];
	char job[BUS_PATH_MAX];
	struct client_vm vm;
	int rc;

	rc = read_settings(o, &settings, f);
	if (!rc)
		rc = client_find_vm(client, o->operand, path, f);
	if (!rc && settings)
		rc = client_act_with(client, "ModifyReplicationSettings", path, settings, job, f);
	if (!rc)
		rc = client_get_vm(client, path, &vm, f);
	if (!rc)
		(void)printf("%s\n", vm.settings);
	return rc;
}
