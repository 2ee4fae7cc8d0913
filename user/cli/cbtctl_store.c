// SPDX-License-Identifier: GPL-2.0-or-later
/* format, store-dump, store-check: a tracker's store, without the module. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "cli/cbtctl.h"
#include "lib/cbt_store_check.h"
#include "lib/cbt_store_print.h"
#include "lib/json.h"
#include "lib/output.h"

/* ---- format ---- */

/* A size, or a disk that has one. */
static int plan(const struct cbtctl_options *o, struct failure *f)
{
	struct cbt_store_plan plan;
	uint64_t bytes;
	int err = 0;

	if (size_parse(o->operands[0], &bytes) < 0)
		err = cbt_store_disk_bytes(o->operands[0], &bytes, f);
	if (!err)
		err = cbt_store_plan(bytes, &o->sizes, &plan, f);
	return err < 0 ? err : cbt_store_print_plan(&plan, o->json, f);
}

static int print_formatted(const struct cbt_super *super, bool json, struct failure *f)
{
	cleanup_json struct json_object *document = NULL;
	char text[UUID_TEXT_LEN + 1];
	struct uuid uuid;

	memcpy(uuid.b, super->id.uuid, sizeof(uuid.b));
	(void)uuid_format(&uuid, text);
	if (!json) {
		(void)puts(text);
		return output_flush(f);
	}
	document = output_document();
	json_add_text(document, "uuid", text);
	json_add_uint(document, "store_bytes", super->geo.store_blocks * CBT_DISK_BLOCK);
	json_add_uint(document, "diff_bytes",
		      super->geo.nr_diff_slots * super->geo.block_sectors << 9);
	return output_print(document, f);
}

static int run_format(const struct cbtctl_command *c, const struct cbtctl_options *o,
		      struct nl *nl, struct failure *f)
{
	struct cbt_super super;
	int err;

	(void)c;
	(void)nl;
	if (o->plan)
		return plan(o, f);
	err = cbt_store_format(o->operands[0], o->operands[1], &o->sizes, o->force, &super, f);
	return err < 0 ? err : print_formatted(&super, o->json, f);
}

static const char *check_format(const struct cbtctl_options *o)
{
	if (o->plan && o->nr_operands != 1)
		return "--plan is about one disk or size";
	if (!o->plan && o->nr_operands != 2)
		return "the origin and the store must be named";
	return NULL;
}

/* ---- store-dump, store-check ---- */

static int run_dump(const struct cbtctl_command *c, const struct cbtctl_options *o, struct nl *nl,
		    struct failure *f)
{
	_cleanup_(cbt_store_report_free) struct cbt_store_report report = { 0 };
	cleanup_cbt_store struct cbt_store store = CBT_STORE_CLOSED;
	int err = cbt_store_open(&store, o->operands[0], CBT_STORE_LOOK, f);

	(void)c;
	(void)nl;
	if (!err)
		err = cbt_store_check(&store, &report, f);
	if (err < 0)
		return err;
	if (o->extents)
		return cbt_store_print_extents(&report, o->bytes, f);
	return cbt_store_print_report(&report, true, o->json, f);
}

static const char *check_dump(const struct cbtctl_options *o)
{
	if (o->extents && o->json)
		return "--extents and --json do not go together";
	return o->bytes && !o->extents ? "--bytes goes with --extents only" : NULL;
}

static int run_check(const struct cbtctl_command *c, const struct cbtctl_options *o,
		     struct nl *nl, struct failure *f)
{
	_cleanup_(cbt_store_report_free) struct cbt_store_report report = { 0 };
	cleanup_cbt_store struct cbt_store store = CBT_STORE_CLOSED;
	int err = cbt_store_open(&store, o->operands[0], CBT_STORE_CHECK, f);

	(void)c;
	(void)nl;
	if (!err)
		err = cbt_store_check(&store, &report, f);
	if (!err)
		err = cbt_store_print_report(&report, false, o->json, f);
	if (!err && cbt_store_problem(&report))
		err = failure_set(f, CODE_FAILED, -EBADMSG, "store %s is not sound: %s",
				  store.path, cbt_store_problem(&report));
	return err;
}

const struct cbtctl_command cbtctl_store_commands[] = {
	{
		.name = "format",
		.operands = "ORIGIN STORE | --plan DISK|SIZE",
		.noun = "disk",
		.summary = "make a store for the tracker of a disk",
		.details = "Prints the UUID of the new tracker. What the store has beyond log and map "
			   "is its diff\narea. With --plan, nothing is written. Sizes as 4096, 64K, "
			   "1.5G.",
		.takes = TAKES(JSON) | TAKES(PLAN) | TAKES(BLOCK_SIZE) | TAKES(REGION_SIZE) |
			 TAKES(LOG_SIZE) | TAKES(CAPACITY) | TAKES(FORCE) | TAKES(HELP),
		.min_operands = 1,
		.max_operands = 2,
		.without_module = true,
		.check = check_format,
		.run = run_format,
	},
	{
		.name = "store-dump",
		.operands = "STORE",
		.noun = "store",
		.summary = "what a store says",
		.details = "Also while it is in use; what it says is then of no one instant.",
		.takes = TAKES(JSON) | TAKES(EXTENTS) | TAKES(BYTES) | TAKES(HELP),
		.min_operands = 1,
		.max_operands = 1,
		.without_module = true,
		.check = check_dump,
		.run = run_dump,
	},
	{
		.name = "store-check",
		.operands = "STORE",
		.noun = "store",
		.summary = "whether every block of a store is sound",
		.details = "Tells what would be dirty after a crash now. The exit status is 0 only "
			   "for a sound store\nthat nobody uses.",
		.takes = TAKES(JSON) | TAKES(HELP),
		.min_operands = 1,
		.max_operands = 1,
		.without_module = true,
		.run = run_check,
	},
	{ 0 },
};
