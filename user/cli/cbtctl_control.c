// SPDX-License-Identifier: GPL-2.0-or-later
/* What cbtctl does to one tracker beside its epochs; its statistics; events. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/cbtctl.h"
#include "lib/devid.h"
#include "lib/dm_table.h"
#include "lib/event_print.h"
#include "lib/json.h"
#include "lib/nl_control.h"
#include "lib/output.h"
#include "lib/store_bypass.h"
#include "lib/stats_print.h"

/* ---- ranges ---- */

static bool parse_part(const char **text, char end, uint64_t *ret)
{
	char *after;

	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	*ret = strtoull(*text, &after, 10);
	if (errno || *after != end)
		return false;
	*text = after + (end != '\0');
	return true;
}

/* "START+NUMBER", in blocks. */
static bool parse_range(const char *text, struct cbt_blocks *ret)
{
	uint64_t start;
	uint64_t nr;

	if (!parse_part(&text, '+', &start) || !parse_part(&text, '\0', &nr) || !nr)
		return false;
	*ret = (struct cbt_blocks){ .start = start, .nr = nr };
	return true;
}

static const char *check_ranges(const struct cbtctl_options *o)
{
	struct cbt_blocks range;

	for (size_t i = 1; i < o->nr_operands; i++)
		if (!parse_range(o->operands[i], &range))
			return "a range is START+NUMBER, in blocks, and not empty";
	return NULL;
}

static int run_ranges(const struct cbtctl_command *c, const struct cbtctl_options *o,
		      struct nl *nl, struct failure *f)
{
	size_t nr = o->nr_operands - 1;
	cleanup_free struct cbt_blocks *ranges = calloc(nr, sizeof(*ranges));

	if (!ranges)
		return failure_no_memory(f);
	for (size_t i = 0; i < nr; i++)
		(void)parse_range(o->operands[i + 1], &ranges[i]);
	if (c->needs & TAKES(EPOCH))
		return nl_release(nl, o->operands[0], &o->epoch, ranges, nr, f);
	return nl_mark(nl, o->operands[0], ranges, nr, f);
}

/* ---- checkpoint, lost-ack, label ---- */

static int run_checkpoint(const struct cbtctl_command *c, const struct cbtctl_options *o,
			  struct nl *nl, struct failure *f)
{
	(void)c;
	return nl_checkpoint(nl, o->operands[0], f);
}

static int run_lost_ack(const struct cbtctl_command *c, const struct cbtctl_options *o,
			struct nl *nl, struct failure *f)
{
	(void)c;
	return nl_lost_ack(nl, o->operands[0], f);
}

static int run_label(const struct cbtctl_command *c, const struct cbtctl_options *o,
		     struct nl *nl, struct failure *f)
{
	cleanup_json struct json_object *document = NULL;
	uint8_t label[CBT_LABEL_LEN];
	char text[CBT_LABEL_LEN + 1];
	int err;

	(void)c;
	if (o->set)
		return nl_label_set(nl, o->operands[0], o->set, strlen(o->set), f);
	err = nl_label_get(nl, o->operands[0], label, f);
	if (err < 0)
		return err;
	text_make_printable((const char *)label, strnlen((const char *)label, sizeof(label)), text,
			    sizeof(text));
	if (!o->json) {
		(void)puts(text);
		return output_flush(f);
	}
	document = output_document();
	json_add_text(document, "label", text);
	return output_print(document, f);
}

/* ---- bypass, restore ---- */

/*
 * ORDER: the new table is loaded first, so that what can be wrong with it is known before the store
 * says that writes go past the tracker; and it says so before they do.
 */
/* What a tracker still has under way to its store, its removal waits for, for as long as the store hangs. */
static int check_answers(const struct tracker_info *info, struct failure *f)
{
	char path[PATH_MAX];
	struct failure ignored;

	if (!info->has_store || info->state != CBT_STATE_LOST ||
	    devid_path(info->store_dev, path, &ignored) < 0 ||
	    store_bypass_note(path, STORE_BYPASS_MS, &ignored) != -ETIMEDOUT)
		return 0;
	return failure_set(f, CODE_TIMEOUT, -ETIMEDOUT,
			   "%s is lost, and its store %s does not answer: the tracker cannot be taken out before it does",
			   info->name, path);
}

int cbtctl_bypass(struct nl *nl, const char *name, struct failure *f)
{
	struct dm_table table = { .type = "linear" };
	struct tracker_info info;
	int err = nl_tracker_get(nl, name, &info, f);

	if (!err)
		err = check_answers(&info, f);
	if (err < 0)
		return err;
	table.sectors = info.size_sectors;
	(void)snprintf(table.params, sizeof(table.params), "%u:%u 0", major(info.origin_dev),
		       minor(info.origin_dev));
	err = dm_table_load(info.name, &table, f);
	if (err < 0)
		return err;
	if (info.has_store)
		err = nl_bypass(nl, name, f);
	/* Whoever wants to be rid of a dead store is not held up by it. */
	if (err < 0 && info.state == CBT_STATE_LOST) {
		(void)fprintf(stderr, "cbtctl: warning: %s\n", f->text);
		err = 0;
	}
	if (err < 0) {
		dm_table_drop(info.name);
		return err;
	}
	return dm_table_swap(info.name, f);
}

static int run_bypass(const struct cbtctl_command *c, const struct cbtctl_options *o,
		      struct nl *nl, struct failure *f)
{
	(void)c;
	return cbtctl_bypass(nl, o->operands[0], f);
}

/* As a path, or as a table of device-mapper has it. */
static int store_of_operand(const char *text, char buf[PATH_MAX], struct failure *f)
{
	unsigned int numbers[2];
	char rest;

	if (sscanf(text, "%u:%u%c", &numbers[0], &numbers[1], &rest) == 2)
		return devid_path(makedev(numbers[0], numbers[1]), buf, f);
	(void)snprintf(buf, PATH_MAX, "%s", text);
	return 0;
}

/* The new table reads the store when it is swapped in; where that fails, the old one must go on. */
int cbtctl_restore(const char *name, const char *store, struct failure *f)
{
	struct dm_table old;
	struct dm_table new = { .type = "cbt" };
	char path[PATH_MAX];
	char origin[64];
	unsigned long long offset;
	struct failure ignored;
	int err = dm_table_read(name, &old, f);

	if (err < 0)
		return err;
	if (strcmp(old.type, "linear") != 0 ||
	    sscanf(old.params, "%63s %llu", origin, &offset) != 2 || offset)
		return failure_set(f, CODE_INVALID_STATE, -EINVAL,
				   "mapped device %s is not one that was bypassed", name);
	new.sectors = old.sectors;
	(void)snprintf(new.params, sizeof(new.params), "%s %.400s", origin, store);
	/* It was not the module that made it linear, perhaps. */
	err = store_of_operand(store, path, f);
	if (!err && strcmp(path, "-") != 0)
		err = store_bypass_note(path, STORE_BYPASS_MS, f);
	if (!err)
		err = dm_table_load(name, &new, f);
	if (err < 0)
		return err;
	err = dm_table_swap(name, f);
	if (err < 0 && (dm_table_load(name, &old, &ignored) < 0 || dm_table_swap(name, &ignored) < 0))
		return failure_set(f, CODE_FAILED, err,
				   "mapped device %s is suspended and cannot be resumed, neither "
				   "with its tracker nor without; see `dmesg`",
				   name);
	return err;
}

static int run_restore(const struct cbtctl_command *c, const struct cbtctl_options *o,
		       struct nl *nl, struct failure *f)
{
	(void)c;
	(void)nl;
	return cbtctl_restore(o->operands[0], o->operands[1], f);
}

/* ---- statistics ---- */

static int run_stats(const struct cbtctl_command *c, const struct cbtctl_options *o,
		     struct nl *nl, struct failure *f)
{
	struct tracker_stats stats;
	int err = nl_stats_get(nl, o->operands[0], &stats, f);

	(void)c;
	return err < 0 ? err : stats_print(&stats, o->json, f);
}

/* ---- events ---- */

struct monitor {
	const struct cbtctl_options *options;
	uint64_t nr_seen;
	uint64_t last; /* sequence */
	int write_error;
};

static int on_event(void *context, const struct tracker_event *event)
{
	struct monitor *m = context;
	uint64_t count = m->options->count;

	if (count && m->nr_seen == count)
		return 0;
	if (m->last && event->sequence != m->last + 1)
		(void)fprintf(stderr, "cbtctl: %" PRIu64 " events were lost\n",
			      event->sequence - m->last - 1);
	m->last = event->sequence;
	m->nr_seen++;
	m->write_error = event_print(event, m->options->json);
	return m->write_error;
}

static void free_listener(struct nl_listener **listener)
{
	nl_listener_free_at(listener);
}

static int run_monitor(const struct cbtctl_command *c, const struct cbtctl_options *o,
		       struct nl *nl, struct failure *f)
{
	_cleanup_(free_listener) struct nl_listener *listener = NULL;
	struct monitor m = { .options = o };
	int err = nl_listen(&listener, f);

	(void)c;
	(void)nl;
	while (!err && (!o->count || m.nr_seen < o->count)) {
		err = nl_listener_take(listener, on_event, &m, f);
		/* The gap in the sequence will tell how many. */
		if (err == -ENOBUFS)
			err = 0;
	}
	return m.write_error ? output_failed(f, m.write_error) : err;
}

/* ---- the table ---- */

const struct cbtctl_command cbtctl_control_commands[] = {
	{
		.name = "release",
		.operands = "TRACKER START+NUMBER...",
		.noun = "tracker",
		.summary = "blocks of the frozen epoch are with the receiver",
		.details = "They need no copy any more when they are overwritten, and are gone from "
			   "the image.",
		.takes = TAKES(EPOCH) | TAKES(HELP),
		.needs = TAKES(EPOCH),
		.min_operands = 2,
		.max_operands = SIZE_MAX,
		.check = check_ranges,
		.run = run_ranges,
	},
	{
		.name = "mark",
		.operands = "TRACKER START+NUMBER...",
		.noun = "tracker",
		.summary = "make blocks dirty, durably",
		.takes = TAKES(HELP),
		.details = "For blocks that are known from elsewhere to differ from the base.",
		.min_operands = 2,
		.max_operands = SIZE_MAX,
		.check = check_ranges,
		.run = run_ranges,
	},
	{
		.name = "checkpoint",
		.operands = "TRACKER",
		.noun = "tracker",
		.summary = "write what the log covers into the map",
		.details = "A crash from then on leaves few blocks dirty by guess.",
		.takes = TAKES(HELP),
		.min_operands = 1,
		.max_operands = 1,
		.run = run_checkpoint,
	},
	{
		.name = "label",
		.operands = "TRACKER",
		.noun = "tracker",
		.summary = "what the store keeps for the controller",
		.details = "Up to 512 bytes, whatever they mean to it.",
		.takes = TAKES(JSON) | TAKES(SET) | TAKES(HELP),
		.min_operands = 1,
		.max_operands = 1,
		.run = run_label,
	},
	{
		.name = "lost-ack",
		.operands = "TRACKER",
		.noun = "tracker",
		.summary = "it is known durably that the tracker is lost",
		.details = "Writes that were held for that may go.",
		.takes = TAKES(HELP),
		.min_operands = 1,
		.max_operands = 1,
		.run = run_lost_ack,
	},
	{
		.name = "bypass",
		.operands = "TRACKER",
		.noun = "tracker",
		.summary = "take a tracker out from under its users",
		.details = "Its mapped device becomes a linear one, under running writers. The store "
			   "notes it first:\na new generation begins when it is restored.",
		.takes = TAKES(HELP),
		.min_operands = 1,
		.max_operands = 1,
		.run = run_bypass,
	},
	{
		.name = "restore",
		.operands = "NAME STORE",
		.noun = "device",
		.summary = "put a tracker under a bypassed device again",
		.details = "STORE is that of the tracker, or - to track in memory only.",
		.takes = TAKES(HELP),
		.min_operands = 2,
		.max_operands = 2,
		.without_module = true,
		.run = run_restore,
	},
	{
		.name = "stats",
		.operands = "TRACKER",
		.noun = "tracker",
		.summary = "what a tracker counts",
		.details = "Times in nanoseconds; percentiles to the next power of two.",
		.takes = TAKES(JSON) | TAKES(HELP),
		.min_operands = 1,
		.max_operands = 1,
		.run = run_stats,
	},
	{
		.name = "monitor",
		.operands = "",
		.summary = "events of all trackers as they come",
		.details = "A line each: sequence, event, tracker, device, state, generation, epoch.",
		.takes = TAKES(JSON) | TAKES(COUNT) | TAKES(HELP),
		.without_module = true,
		.run = run_monitor,
	},
	{ 0 },
};
