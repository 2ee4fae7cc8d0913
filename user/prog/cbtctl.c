// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cbtctl: the trackers of this host, by hand and from scripts.
 *
 * People get tables and rounded sizes; --json gets exact numbers, in one object with "schema": 1,
 * whose members are only ever added to. A failure is one sentence on standard error and an exit
 * status; that of a write to standard output is no exception, so that a full disk cannot make a
 * part of a map look like all of it.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "lib/json.h"
#include "lib/map_print.h"
#include "lib/nl.h"
#include "lib/output.h"
#include "lib/tracker_json.h"
#include "lib/tracker_print.h"

#define EXIT_USAGE 2
#define MAP_ATTEMPTS 20

enum {
	OPTION_JSON,
	OPTION_EPOCH,
	OPTION_ACTIVE,
	OPTION_FROZEN,
	OPTION_BOTH,
	OPTION_TOTALS,
	OPTION_START,
	OPTION_BYTES,
	OPTION_HELP,
	NR_OPTIONS
};

#define TAKES(option) (1U << OPTION_##option)

static const struct {
	const char *name;
	const char *value;
	const char *doc;
} option_docs[NR_OPTIONS] = {
	[OPTION_JSON] = { "json", NULL, "exact figures for programs" },
	[OPTION_EPOCH] = { "epoch", "UUID", "the epoch's UUID" },
	[OPTION_ACTIVE] = { "active", NULL, "what the running epoch wrote" },
	[OPTION_FROZEN] = { "frozen", NULL, "what the frozen epoch wrote" },
	[OPTION_BOTH] = { "both", NULL, "either of them (the default)" },
	[OPTION_TOTALS] = { "totals", NULL, "sums instead of the extents" },
	[OPTION_START] = { "start", "BLOCK", "leave out what is before this block" },
	[OPTION_BYTES] = { "bytes", NULL, "extents in bytes, not in blocks" },
	[OPTION_HELP] = { "help", NULL, "this text" },
};

struct options {
	bool json;
	bool totals;
	bool bytes;
	bool has_epoch;
	struct uuid epoch;
	uint32_t which; /* enum cbt_map_which */
	uint64_t start;
	const char *const *trackers;
	size_t nr_trackers;
};

typedef int (*change_fn)(struct nl *nl, const char *const *trackers, size_t nr,
			 const struct uuid *epoch, struct tracker_info *ret, struct failure *f);

struct command {
	const char *name;
	const char *operands;
	const char *summary;
	const char *details;
	unsigned int takes; /* options */
	unsigned int needs; /* options */
	size_t min_trackers;
	size_t max_trackers;
	int (*run)(const struct command *c, const struct options *o, struct nl *nl,
		   struct failure *f);
	change_fn change;
	bool prints_epoch;
};

/* ---- list ---- */

static int by_name(const void *a, const void *b)
{
	return strverscmp(((const struct tracker_info *)a)->name,
			  ((const struct tracker_info *)b)->name);
}

static int run_list(const struct command *c, const struct options *o, struct nl *nl,
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

static int run_show(const struct command *c, const struct options *o, struct nl *nl,
		    struct failure *f)
{
	cleanup_json struct json_object *document = NULL;
	struct tracker_info info;
	int err;

	(void)c;
	err = nl_tracker_get(nl, o->trackers[0], &info, f);
	if (err < 0)
		return err;
	if (!o->json)
		return tracker_print(&info, f);
	document = output_document();
	(void)json_object_object_add(document, "tracker", tracker_json(&info));
	return output_print(document, f);
}

/* ---- map ---- */

/*
 * The block size is needed before the first extent, so the state is read first, and the map must be
 * that of the same epochs.
 */
static int read_map(struct nl *nl, const struct options *o, struct map_print *out,
		    struct failure *f)
{
	const struct uuid *epoch = o->has_epoch ? &o->epoch : NULL;
	struct tracker_info info;
	int err;

	if (!epoch && out->info.has_frozen && (o->which & CBT_MAP_FROZEN))
		epoch = &out->info.frozen_uuid;
	err = nl_map_get(nl, o->trackers[0], o->which, epoch, o->start, map_print_range, out, &info,
			 f);
	if (ferror(stdout))
		return output_failed(f, err < 0 ? err : -EIO);
	if (err < 0)
		return err;
	if (!uuid_equal(&info.uuid, &out->info.uuid) || info.generation != out->info.generation ||
	    info.epoch != out->info.epoch || info.size_sectors != out->info.size_sectors)
		return failure_set(f, CODE_INVALID_STATE, -ESTALE,
				   "the map of %s changed epochs while it was read: start again",
				   o->trackers[0]);
	return 0;
}

static int read_state_and_map(struct nl *nl, const struct options *o, struct map_print *out,
			      struct failure *f)
{
	int err = nl_tracker_get(nl, o->trackers[0], &out->info, f);

	return err < 0 ? err : read_map(nl, o, out, f);
}

/*
 * An epoch began or ended between the state and the map. Whoever asks for no certain epoch means
 * the present ones, and as long as nothing was printed they can be read anew.
 */
static bool epochs_moved_on(const struct options *o, const struct map_print *out, int err)
{
	return (err == -ESTALE || err == -ENOENT) && !o->has_epoch && !out->nr_ranges;
}

static int run_map(const struct command *c, const struct options *o, struct nl *nl,
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
	return err < 0 ? err : map_print_end(&out, f);
}

/* ---- freeze, commit, abort ---- */

static int print_change(const struct command *c, const struct options *o, const struct uuid *epoch,
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
					     tracker_json_array(infos, o->nr_trackers));
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

static int run_change(const struct command *c, const struct options *o, struct nl *nl,
		      struct failure *f)
{
	cleanup_free struct tracker_info *infos = calloc(o->nr_trackers, sizeof(*infos));
	struct uuid epoch = o->epoch;
	int err;

	if (!infos)
		return failure_set(f, CODE_OUT_OF_MEMORY, -ENOMEM, "out of memory");
	if (!o->has_epoch) {
		err = uuid_new(&epoch);
		if (err < 0)
			return failure_set(f, CODE_FAILED, err, "cannot make a UUID: %s",
					   strerror(-err));
	}
	err = c->change(nl, o->trackers, o->nr_trackers, &epoch, infos, f);
	return err < 0 ? err : print_change(c, o, &epoch, infos, f);
}

/* ---- command line ---- */

static const struct command commands[] = {
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
		.summary = "the state of a tracker",
		.details = "TRACKER is the name of its mapped device, or its UUID.",
		.takes = TAKES(JSON) | TAKES(HELP),
		.min_trackers = 1,
		.max_trackers = 1,
		.run = run_show,
	},
	{
		.name = "map",
		.operands = "TRACKER",
		.summary = "the dirty blocks of a tracker",
		.details = "One extent a line, ascending: its start and its length.\n"
			   "With --epoch, the frozen epoch must be that one.\n"
			   "Output is a whole map only when the exit status is 0.",
		.takes = TAKES(JSON) | TAKES(ACTIVE) | TAKES(FROZEN) | TAKES(BOTH) | TAKES(TOTALS) |
			 TAKES(START) | TAKES(BYTES) | TAKES(EPOCH) | TAKES(HELP),
		.min_trackers = 1,
		.max_trackers = 1,
		.run = run_map,
	},
	{
		.name = "freeze",
		.operands = "TRACKER...",
		.summary = "end the running epochs of trackers, in one instant",
		.details = "Prints the UUID of the epoch; makes one where --epoch gives none.",
		.takes = TAKES(JSON) | TAKES(EPOCH) | TAKES(HELP),
		.min_trackers = 1,
		.max_trackers = CBT_TRACKERS_MAX,
		.run = run_change,
		.change = nl_freeze,
		.prints_epoch = true,
	},
	{
		.name = "commit",
		.operands = "TRACKER...",
		.summary = "drop a frozen epoch: its receiver holds it durably",
		.details = "For use only when the receiver has said so. Repeating it is harmless.",
		.takes = TAKES(JSON) | TAKES(EPOCH) | TAKES(HELP),
		.needs = TAKES(EPOCH),
		.min_trackers = 1,
		.max_trackers = CBT_TRACKERS_MAX,
		.run = run_change,
		.change = nl_commit,
	},
	{
		.name = "abort",
		.operands = "TRACKER...",
		.summary = "merge a frozen epoch back into the running one",
		.details = "Nothing is forgotten. Repeating it is harmless.",
		.takes = TAKES(JSON) | TAKES(EPOCH) | TAKES(HELP),
		.needs = TAKES(EPOCH),
		.min_trackers = 1,
		.max_trackers = CBT_TRACKERS_MAX,
		.run = run_change,
		.change = nl_abort,
	},
};

static void print_option(size_t i, bool required)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "--%s%s%s", option_docs[i].name,
		       option_docs[i].value ? " " : "",
		       option_docs[i].value ? option_docs[i].value : "");
	printf("  %-15s %s%s\n", name, option_docs[i].doc, required ? " (required)" : "");
}

static void print_command_help(const struct command *c)
{
	printf("Usage: cbtctl %s [OPTION...]%s%s\n\n%s: %s.\n%s\n\nOptions:\n", c->name,
	       *c->operands ? " " : "", c->operands, c->name, c->summary, c->details);
	for (size_t i = 0; i < NR_OPTIONS; i++)
		if (c->takes & 1U << i)
			print_option(i, c->needs & 1U << i);
}

static void print_help(void)
{
	printf("Usage: cbtctl COMMAND [OPTION...] [TRACKER...]\n\n"
	       "Controls dm-cbt, which tracks the dirty blocks of block devices.\n\n"
	       "Commands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-8s %s\n", commands[i].name, commands[i].summary);
	printf("\n`cbtctl COMMAND --help` tells more, `cbtctl --version` the version.\n\n"
	       "Exit status: 0 done, 2 wrong usage, 10 failed, 11 access denied, 12 not supported,\n"
	       "14 timeout, 15 no such tracker or other invalid parameter, 16 in use, 17 invalid\n"
	       "state, 19 dm-cbt is not loaded, 20 out of memory.\n");
}

static int usage_error(const char *command, const char *fmt, ...) printf_like(2, 3);
static int usage_error(const char *command, const char *fmt, ...)
{
	va_list ap;

	(void)fprintf(stderr, "cbtctl%s%s: ", *command ? " " : "", command);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "; see `cbtctl%s%s --help`\n", *command ? " " : "", command);
	return EXIT_USAGE;
}

static int parse_block(const char *text, uint64_t *ret)
{
	unsigned long long value;
	char *end;

	if (!*text || text[strspn(text, "0123456789")])
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return -errno;
	*ret = value;
	return 0;
}

/* 0, or EXIT_USAGE. */
static int take_option(const struct command *c, int option, const char *value, struct options *o)
{
	switch (option) {
	case OPTION_JSON:
		o->json = true;
		break;
	case OPTION_EPOCH:
		if (uuid_parse(value, &o->epoch) < 0 || uuid_is_nil(&o->epoch))
			return usage_error(c->name, "'%s' is not the UUID of an epoch", value);
		o->has_epoch = true;
		break;
	case OPTION_ACTIVE:
		o->which = CBT_MAP_ACTIVE;
		break;
	case OPTION_FROZEN:
		o->which = CBT_MAP_FROZEN;
		break;
	case OPTION_BOTH:
		o->which = CBT_MAP_BOTH;
		break;
	case OPTION_TOTALS:
		o->totals = true;
		break;
	case OPTION_START:
		if (parse_block(value, &o->start) < 0)
			return usage_error(c->name, "'%s' is not the number of a block", value);
		break;
	case OPTION_BYTES:
		o->bytes = true;
		break;
	}
	return 0;
}

static void fill_long_options(const struct command *c, struct option *long_options)
{
	for (int i = 0; i < NR_OPTIONS; i++)
		if (c->takes & 1U << i)
			*long_options++ = (struct option){
				.name = option_docs[i].name,
				.has_arg = option_docs[i].value ? required_argument : no_argument,
				.val = i + 256, /* no character */
			};
	*long_options = (struct option){ 0 };
}

static int check_usage(const struct command *c, unsigned int given, const struct options *o)
{
	if (c->needs & ~given)
		return usage_error(c->name, "the epoch must be given with --epoch");
	if (o->nr_trackers < c->min_trackers)
		return usage_error(c->name, "no tracker is named");
	if (o->nr_trackers > c->max_trackers && !c->max_trackers)
		return usage_error(c->name, "no operands are taken, but '%s' is given",
				   o->trackers[0]);
	if (o->nr_trackers > c->max_trackers)
		return usage_error(c->name, "%zu trackers are named, %zu can be", o->nr_trackers,
				   c->max_trackers);
	return 0;
}

/* 0, EXIT_USAGE, or -1 when help was asked for and given. @argv[0] is the command. */
static int parse_options(const struct command *c, int argc, char **argv, struct options *o)
{
	struct option long_options[NR_OPTIONS + 1];
	unsigned int given = 0;
	static char title[32];
	int option;

	(void)snprintf(title, sizeof(title), "cbtctl %s", c->name);
	argv[0] = title; /* for the messages of getopt */
	fill_long_options(c, long_options);
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option < 256)
			return EXIT_USAGE;
		option -= 256;
		if (option == OPTION_HELP) {
			print_command_help(c);
			return -1;
		}
		given |= 1U << option;
		if (take_option(c, option, optarg, o) != 0)
			return EXIT_USAGE;
	}
	o->trackers = (const char *const *)argv + optind;
	o->nr_trackers = (size_t)(argc - optind);
	return check_usage(c, given, o);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int run(const struct command *c, const struct options *o, struct failure *f)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	int err = nl_open(&nl, f);

	return err < 0 ? err : c->run(c, o, nl, f);
}

/* The exit status of an end at which only the output can have failed, too. */
static int finish(int err, struct failure *f)
{
	if (!err)
		err = output_end(f);
	if (!err)
		return 0;
	(void)fprintf(stderr, "cbtctl: %s\n", f->text);
	return code_exit_status(f->code);
}

int main(int argc, char **argv)
{
	struct options options = { .which = CBT_MAP_BOTH };
	const struct command *command;
	struct failure f = { 0 };
	int rc;

	output_begin();
	if (argc < 2)
		return usage_error("", "no command is given");
	if (strcmp(argv[1], "--help") == 0) {
		print_help();
		return finish(0, &f);
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("cbtctl " FAILBACK_VERSION "\n");
		return finish(0, &f);
	}
	command = find_command(argv[1]);
	if (!command)
		return usage_error("", "there is no command '%s'", argv[1]);
	rc = parse_options(command, argc - 1, argv + 1, &options);
	if (rc > 0)
		return rc;
	return finish(rc < 0 ? 0 : run(command, &options, &f), &f);
}
