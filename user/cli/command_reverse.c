// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "base/size.h"
#include "cli/command.h"
#include "cli/follow.h"
#include "lib/output.h"
#include "lib/settings.h"
#include "lib/table.h"

/* The setting data that the method gets: the file's, and the consent to a plan in it. */
static int make_setting_data(const struct options *o, char **ret, struct failure *f)
{
	_cleanup_(settings_clear) struct settings settings = { 0 };
	cleanup_free char *text = NULL;
	char consent[64];
	const char *value = consent;
	int rc = 0;

	if (o->settings_file)
		rc = read_text_file(o->settings_file, SETTINGS_TEXT_MAX, &text, f);
	if (rc || !o->consent) {
		*ret = steal_ptr(text);
		return rc;
	}
	(void)snprintf(consent, sizeof(consent), "consent=%.40s", o->consent);
	rc = settings_parse(text ? text : "", &settings, f);
	if (!rc)
		rc = settings_put(&settings, "AdditionalSettings", NULL, false, &value, 1, f);
	if (rc)
		return rc;
	*ret = settings_to_json(&settings);
	return *ret ? 0 : failure_no_memory(f);
}

int command_reverse(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_free char *settings = NULL;
	char path[BUS_PATH_MAX];
	char job[BUS_PATH_MAX];
	struct client_vm vm;
	int rc;

	rc = make_setting_data(o, &settings, f);
	if (!rc)
		rc = client_find_vm(client, o->operand, path, f);
	if (!rc)
		rc = client_act_with(client, "ReverseReplicationRelationship", path,
				     settings ? settings : "", job, f);
	if (!rc)
		rc = follow_jobs(client, job, o->json, !o->no_wait, f);
	/* Reversed, but no delta was started: the job is fine, the relationship is not. */
	if (!rc && !o->no_wait)
		rc = client_get_vm(client, path, &vm, f);
	if (!rc && !o->no_wait && vm.last_error[0])
		rc = failure_set(f, CODE_FAILED, -EIO, "The roles are swapped, but: %s",
				 vm.last_error);
	return rc;
}

/* --- plan --- */

static const char *text_of(struct json_object *object, const char *name)
{
	struct json_object *value = NULL;

	(void)json_object_object_get_ex(object, name, &value);
	return value ? json_object_get_string(value) : "";
}

static const char *bytes_of(struct json_object *object, const char *name, char buf[SIZE_TEXT_LEN])
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(object, name, &value) || !value)
		(void)snprintf(buf, SIZE_TEXT_LEN, "unknown");
	else
		(void)size_format(json_object_get_uint64(value), buf);
	return buf;
}

static int add_disk_row(struct table *table, struct json_object *disk)
{
	char cost[SIZE_TEXT_LEN];
	char lost[SIZE_TEXT_LEN];
	const char *cells[] = {
		text_of(disk, "name"),		     text_of(disk, "method"),
		bytes_of(disk, "cost_bytes", cost),  bytes_of(disk, "lost_bytes", lost),
		text_of(disk, "reason"),	     text_of(disk, "text"),
	};

	return table_add(table, cells);
}

static int print_plan(struct json_object *plan, struct failure *f)
{
	static const struct table_column columns[] = {
		{ "DISK", false },   { "METHOD", false }, { "TO SEND", true },
		{ "LOST", true },    { "REASON", false }, { "", false },
	};
	_cleanup_(table_free_at) struct table *table = NULL;
	struct json_object *disks = NULL;
	struct json_object *consent = NULL;
	int rc = table_new(columns, ARRAY_SIZE(columns), &table);

	(void)json_object_object_get_ex(plan, "disks", &disks);
	for (size_t i = 0; !rc && disks && i < json_object_array_length(disks); i++)
		rc = add_disk_row(table, json_object_array_get_idx(disks, i));
	if (rc)
		return failure_no_memory(f);
	table_print(table, stdout);
	(void)json_object_object_get_ex(plan, "needs_consent", &consent);
	if (json_object_get_boolean(consent))
		(void)printf("\nWhat only the old primary has (LOST) would be overwritten. To agree:\n"
			     "  failback reverse --consent %s %s\n",
			     text_of(plan, "digest"), text_of(plan, "name"));
	return 0;
}

int command_plan(struct client *client, const struct options *o, struct failure *f)
{
	cleanup_json struct json_object *plan = NULL;
	cleanup_free struct client_job *job = calloc(1, sizeof(*job));
	cleanup_free char *settings = NULL;
	char path[BUS_PATH_MAX];
	char job_path[BUS_PATH_MAX];
	int rc;

	if (!job)
		return failure_no_memory(f);
	rc = make_setting_data(o, &settings, f);
	if (!rc)
		rc = client_find_vm(client, o->operand, path, f);
	if (!rc)
		rc = client_act_with(client, "PlanReverse", path, settings ? settings : "",
				     job_path, f);
	if (!rc)
		rc = await_job(client, job_path, job, f);
	if (!rc)
		rc = json_parse_object("the plan", job->result, &plan, f);
	if (rc)
		return rc;
	return o->json ? output_print(plan, f) : print_plan(plan, f);
}
