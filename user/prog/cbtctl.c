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
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/size.h"
#include "cli/cbtctl.h"
#include "lib/output.h"
#include "lib/tracker_table.h"

#define EXIT_USAGE 2

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
	[OPTION_PLAN] = { "plan", NULL, "only print how large a store has to be" },
	[OPTION_BLOCK_SIZE] = { "block-size", "SIZE", "tracking unit (4K)" },
	[OPTION_REGION_SIZE] = { "region-size", "SIZE", "unit of the log (4M, or 16 blocks)" },
	[OPTION_LOG_SIZE] = { "log-size", "SIZE", "both halves of the log (8M)" },
	[OPTION_CAPACITY] = { "capacity", "SIZE", "that the disk may grow to (its size)" },
	[OPTION_FORCE] = { "force", NULL, "destroy what the store holds" },
	[OPTION_EXTENTS] = { "extents", NULL, "only the dirty extents, as cbtctl map" },
	[OPTION_SET] = { "set", "TEXT", "put this in its place" },
	[OPTION_SUSPECT] = { "suspect", NULL, "only regions that are dirty by guess" },
	[OPTION_COUNT] = { "count", "N", "end after so many events" },
	[OPTION_TABLE] = { "table", "FILE", "of the trackers (" TRACKER_TABLE_FILE ")" },
	[OPTION_NOTES] = { "notes", "DIR", "where what could not be noted on a store is (" CBTCTL_NOTES ")" },
	[OPTION_WAIT] = { "wait", "SECONDS", "for disks that are not there yet (0)" },
	[OPTION_HELP] = { "help", NULL, "this text" },
};

static const struct cbtctl_command *const tables[] = {
	cbtctl_tracker_commands,
	cbtctl_control_commands,
	cbtctl_store_commands,
	cbtctl_boot_commands,
};

static void print_option(size_t i, bool required)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "--%s%s%s", option_docs[i].name,
		       option_docs[i].value ? " " : "",
		       option_docs[i].value ? option_docs[i].value : "");
	printf("  %-18s %s%s\n", name, option_docs[i].doc, required ? " (required)" : "");
}

static void print_command_help(const struct cbtctl_command *c)
{
	printf("Usage: cbtctl %s [OPTION...]%s%s\n\n%s: %s.\n%s\n\nOptions:\n", c->name,
	       *c->operands ? " " : "", c->operands, c->name, c->summary, c->details);
	for (size_t i = 0; i < NR_OPTIONS; i++)
		if (c->takes & 1U << i)
			print_option(i, c->needs & 1U << i);
}

static void print_help(void)
{
	printf("Usage: cbtctl COMMAND [OPTION...] [OPERAND...]\n\n"
	       "Controls dm-cbt, which tracks the dirty blocks of block devices.\n\n"
	       "Commands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		for (const struct cbtctl_command *c = tables[i]; c->name; c++)
			printf("  %-12s %s\n", c->name, c->summary);
	printf("\n`cbtctl COMMAND --help` tells more, `cbtctl --version` the version.\n\n"
	       "Exit status: 0 done, 2 wrong usage, 10 failed, 11 access denied, 12 not supported,\n"
	       "14 timeout, 15 no such tracker or other invalid parameter, 16 in use, 17 invalid\n"
	       "state, 19 dm-cbt is not loaded, 20 out of memory, 21 no such file.\n");
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

static int parse_number(const char *text, uint64_t *ret)
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

/* Options that are sizes. 0, or EXIT_USAGE. */
static int take_size(const struct cbtctl_command *c, int option, const char *value,
		     struct cbtctl_options *o)
{
	uint64_t *const sizes[NR_OPTIONS] = {
		[OPTION_BLOCK_SIZE] = &o->sizes.block,
		[OPTION_REGION_SIZE] = &o->sizes.region,
		[OPTION_LOG_SIZE] = &o->sizes.log,
		[OPTION_CAPACITY] = &o->sizes.capacity,
	};

	if (size_parse(value, sizes[option]) < 0 || !*sizes[option])
		return usage_error(c->name, "'%s' is not a size for --%s", value,
				   option_docs[option].name);
	return 0;
}

/* 0, or EXIT_USAGE. */
static int take_option(const struct cbtctl_command *c, int option, const char *value, struct cbtctl_options *o)
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
		if (parse_number(value, &o->start) < 0)
			return usage_error(c->name, "'%s' is not the number of a block", value);
		break;
	case OPTION_BYTES:
		o->bytes = true;
		break;
	case OPTION_PLAN:
		o->plan = true;
		break;
	case OPTION_FORCE:
		o->force = true;
		break;
	case OPTION_EXTENTS:
		o->extents = true;
		break;
	case OPTION_SUSPECT:
		o->suspect = true;
		break;
	case OPTION_SET:
		o->set = value;
		break;
	case OPTION_TABLE:
		o->table = value;
		break;
	case OPTION_NOTES:
		o->notes = value;
		break;
	case OPTION_WAIT:
		if (parse_number(value, &o->wait_s) < 0 || o->wait_s > 3600)
			return usage_error(c->name, "'%s' is not a number of seconds up to 3600", value);
		break;
	case OPTION_COUNT:
		if (parse_number(value, &o->count) < 0 || !o->count)
			return usage_error(c->name, "'%s' is not a number of events", value);
		break;
	default:
		return take_size(c, option, value, o);
	}
	return 0;
}

static void fill_long_options(const struct cbtctl_command *c, struct option *long_options)
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

static int check_usage(const struct cbtctl_command *c, unsigned int given, const struct cbtctl_options *o)
{
	if (c->needs & ~given)
		return usage_error(c->name, "the epoch must be given with --epoch");
	if (!o->nr_operands && c->min_operands)
		return usage_error(c->name, "no %s is named", c->noun);
	if (o->nr_operands < c->min_operands)
		return usage_error(c->name, "too few operands: %s are wanted", c->operands);
	if (o->nr_operands > c->max_operands && !c->max_operands)
		return usage_error(c->name, "no operands are taken, but '%s' is given",
				   o->operands[0]);
	if (o->nr_operands > c->max_operands)
		return usage_error(c->name, "%zu %ss are named, %zu can be", o->nr_operands, c->noun,
				   c->max_operands);
	if (c->check && c->check(o))
		return usage_error(c->name, "%s", c->check(o));
	return 0;
}

/* 0, EXIT_USAGE, or -1 when help was asked for and given. @argv[0] is the command. */
static int parse_options(const struct cbtctl_command *c, int argc, char **argv, struct cbtctl_options *o)
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
	o->operands = (const char *const *)argv + optind;
	o->nr_operands = (size_t)(argc - optind);
	return check_usage(c, given, o);
}

static const struct cbtctl_command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		for (const struct cbtctl_command *c = tables[i]; c->name; c++)
			if (strcmp(c->name, name) == 0)
				return c;
	return NULL;
}

static int run(const struct cbtctl_command *c, const struct cbtctl_options *o, struct failure *f)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	int err = c->without_module ? 0 : nl_open(&nl, f);

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
	struct cbtctl_options options = { .which = CBT_MAP_BOTH };
	const struct cbtctl_command *command;
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
