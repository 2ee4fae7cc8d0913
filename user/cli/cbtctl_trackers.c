// SPDX-License-Identifier: GPL-2.0-or-later
/* list, show, map; freeze, commit, abort. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cbtctl.h"
#include "lib/json.h"
#include "lib/map_print.h"
#include "lib/output.h"
#include "lib/tracker_json.h"
#include "lib/tracker_print.h"

#define MAP_ATTEMPTS 20

/* ---- list ---- */

static int by_name(const void *a, const void *b)
{
	return strverscmp(((const struct tracker_info *)a)->name,
			  ((const struct tracker_info *)b)->name);
}

static int run_list(const struct cbtctl_command *c, const struct cbtctl_options *o, struct nl *nl,
		    struct failure *f)
{
	cleanup_free struct tracker_info *infos = NULL;
	cleanup_json struct json_object *document = NULL;
	size_t nr;
	int err;

	(void)c;
	err = nl_tracker_list(nl, &infos, &nr, f);
	if (err < 0)
		return err;
	if (nr)
		qsort(infos, nr, sizeof(*infos), by_name);
	if (!o->json)
		return tracker_print_list(infos, nr, f);
	document = output_document();
	(void)json_object_object_add(document, "trackers", tracker_json_array(infos, nr));
	return output_print(document, f);
}

/* ---- show ---- */

static int run_show(const struct cbtctl_command *c, const struct cbtctl_options *o, struct nl *nl,
		    struct failure *f)
{
	cleanup_json struct json_object *document = NULL;
	struct tracker_info info;
	int err;

	(void)c;
	err = nl_tracker_get(nl, o->operands[0], &info, f);
	if (err < 0)
		return err;
	if (!o->json)
		return tracker_print(&info, f);
	document = output_document();
	(void)json_object_object_add(document, "tracker", tracker_json(&info));
	return output_print(document, f);
}

/* ---- map ---- */

/* Regions as the blocks that they are. */
static int print_suspect(void *context, uint64_t first, uint64_t nr)
{
	struct map_print *out = context;
	const struct tracker_info *info = &out->info;
	uint64_t each = info->region_sectors / info->block_sectors;
	uint64_t end = (info->size_sectors + info->block_sectors - 1) / info->block_sectors;

	if (nr * each < end - first * each)
		end = (first + nr) * each;
	return map_print_range(context, first * each, end - first * each);
}

static int ignore_range(void *context, uint64_t first, uint64_t nr)
{
	(void)context;
	(void)first;
	(void)nr;
	return 0;
}

/*
 * The block size is needed before the first extent, so the state is read first, and the map must be
 * that of the same epochs.
 */
static int read_map(struct nl *nl, const struct cbtctl_options *o, struct map_print *out,
		    struct failure *f)
{
	struct nl_map_want want = {
		.which = o->which,
		.epoch = o->has_epoch ? &o->epoch : NULL,
		.start = o->start,
		.fn = o->suspect ? ignore_range : map_print_range,
		.suspect_fn = o->suspect ? print_suspect : NULL,
		.context = out,
	};
	struct tracker_info info;
	int err;

	if (!want.epoch && out->info.has_frozen && (o->which & CBT_MAP_FROZEN))
		want.epoch = &out->info.frozen_uuid;
	err = nl_map_read(nl, o->operands[0], &want, &info, f);
	if (ferror(stdout))
		return output_failed(f, err < 0 ? err : -EIO);
	if (err < 0)
		return err;
	if (!uuid_equal(&info.uuid, &out->info.uuid) || info.generation != out->info.generation ||
	    info.epoch != out->info.epoch || info.size_sectors != out->info.size_sectors)
		return failure_set(f, CODE_INVALID_STATE, -ESTALE,
				   "the map of %s changed epochs while it was read: start again",
				   o->operands[0]);
	return 0;
}

static int read_state_and_map(struct nl *nl, const struct cbtctl_options *o, struct map_print *out,
			      struct failure *f)
{
	int err = nl_tracker_get(nl, o->operands[0], &out->info, f);

	return err < 0 ? err : read_map(nl, o, out, f);
}

/*
 * An epoch began or ended between the state and the map. Whoever asks for no certain epoch means
 * the present ones, and as long as nothing was printed they can be read anew.
 */
static bool epochs_moved_on(const struct cbtctl_options *o, const struct map_print *out, int err)
{
	return (err == -ESTALE || err == -ENOENT) && !o->has_epoch && !out->nr_ranges;
}

static int run_map(const struct cbtctl_command *c, const struct cbtctl_options *o, struct nl *nl,
		   struct failure *f)
{
	struct map_print out = {
		.json = o->json,
		.totals = o->totals,
		.in_bytes = o->bytes,
		.which = o->which,
		.start = o->start,
	};
	int err;

	(void)c;
	err = read_state_and_map(nl, o, &out, f);
	for (int again = MAP_ATTEMPTS - 1; again && epochs_moved_on(o, &out, err); again--)
		err = read_state_and_map(nl, o, &out, f);
	if (err == 0 && out.info.state == CBT_STATE_LOST)
		(void)fprintf(stderr, "cbtctl: warning: %s is lost: the map leaves out what was written since\n",
			      o->operands[0]);
	return err < 0 ? err : map_print_end(&out, f);
}

/* ---- freeze, commit, abort ---- */

static int print_change(const struct cbtctl_command *c, const struct cbtctl_options *o, const struct uuid *epoch,
			const struct tracker_info *infos, struct failure *f)
{
	cleanup_json struct json_object *document = NULL;
	char text[UUID_TEXT_LEN + 1];
	int err = 0;

	(void)uuid_format(epoch, text);
	if (o->json) {
		document = output_document();
		json_add_text(document, "epoch", text);
		(void)json_object_object_add(document, "trackers",
					     tracker_json_array(infos, o->nr_operands));
		err = output_print(document, f);
	} else if (c->prints_epoch) {
		(void)puts(text);
	}
	if (!err)
		err = output_flush(f);
	if (err < 0)
		return failure_set(f, CODE_FAILED, err,
				   "the %s of epoch %s is done, but the standard output cannot be "
				   "written: %s",
				   c->name, text, strerror(-err));
	return 0;
}

static int run_change(const struct cbtctl_command *c, const struct cbtctl_options *o, struct nl *nl,
		      struct failure *f)
{
	cleanup_free struct tracker_info *infos = calloc(o->nr_operands, sizeof(*infos));
	struct uuid epoch = o->epoch;
	int err;

	if (!infos)
		return failure_no_memory(f);
	if (!o->has_epoch) {
		err = uuid_new(&epoch);
		if (err < 0)
			return failure_set(f, CODE_FAILED, err, "cannot make a UUID: %s",
					   strerror(-err));
	}
	err = c->change(nl, o->operands, o->nr_operands, &epoch, infos, f);
	return err < 0 ? err : print_change(c, o, &epoch, infos, f);
}

/* ---- the table ---- */

const struct cbtctl_command cbtctl_tracker_commands[] = {
	{
		.name = "list",
		.operands = "",
		.summary = "all trackers of this host",
		.details = "DIRTY is what the running epoch wrote, FROZEN the delta being sent.",
		.takes = TAKES(JSON) | TAKES(HELP),
		.run = run_list,
	},
	{
		.name = "show",
		.operands = "TRACKER",
		.noun = "tracker",
		.summary = "the state of a tracker",
		.details = "TRACKER is the name of its mapped device, or its UUID.",
		.takes = TAKES(JSON) | TAKES(HELP),
		.min_operands = 1,
		.max_operands = 1,
		.run = run_show,
	},
	{
		.name = "map",
		.operands = "TRACKER",
		.noun = "tracker",
		.summary = "the dirty blocks of a tracker",
		.details = "One extent a line, ascending: its start and its length.\n"
			   "With --epoch, the frozen epoch must be that one.\n"
			   "Output is a whole map only when the exit status is 0.",
		.takes = TAKES(JSON) | TAKES(ACTIVE) | TAKES(FROZEN) | TAKES(BOTH) | TAKES(TOTALS) |
			 TAKES(START) | TAKES(BYTES) | TAKES(SUSPECT) | TAKES(EPOCH) |
			 TAKES(HELP),
		.min_operands = 1,
		.max_operands = 1,
		.run = run_map,
	},
	{
		.name = "freeze",
		.operands = "TRACKER...",
		.noun = "tracker",
		.summary = "end the running epochs of trackers, in one instant",
		.details = "Prints the UUID of the epoch; makes one where --epoch gives none.",
		.takes = TAKES(JSON) | TAKES(EPOCH) | TAKES(HELP),
		.min_operands = 1,
		.max_operands = CBT_TRACKERS_MAX,
		.run = run_change,
		.change = nl_freeze,
		.prints_epoch = true,
	},
	{
		.name = "commit",
		.operands = "TRACKER...",
		.noun = "tracker",
		.summary = "drop a frozen epoch: its receiver holds it durably",
		.details = "For use only when the receiver has said so. Repeating it is harmless.",
		.takes = TAKES(JSON) | TAKES(EPOCH) | TAKES(HELP),
		.needs = TAKES(EPOCH),
		.min_operands = 1,
		.max_operands = CBT_TRACKERS_MAX,
		.run = run_change,
		.change = nl_commit,
	},
	{
		.name = "abort",
		.operands = "TRACKER...",
		.noun = "tracker",
		.summary = "merge a frozen epoch back into the running one",
		.details = "Nothing is forgotten. Repeating it is harmless.",
		.takes = TAKES(JSON) | TAKES(EPOCH) | TAKES(HELP),
		.needs = TAKES(EPOCH),
		.min_operands = 1,
		.max_operands = CBT_TRACKERS_MAX,
		.run = run_change,
		.change = nl_abort,
	},
	{ 0 },
};
