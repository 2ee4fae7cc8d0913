// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * failback: what an operator, or a script, asks failbackd for.
 *
 * People get tables, sentences and a progress bar; --json gets one object a line with "schema":
 * 1. Here is the command line; the commands are in cli/.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "lib/output.h"

/* --- command line --- */

static void print_help(void)
{
	size_t nr;
	const struct command *table = commands(&nr);
	const struct option_doc *options;

	(void)printf("usage: failback COMMAND [OPTION]...\n\n");
	for (size_t i = 0; i < nr; i++)
		(void)printf("  %-15s %-6s  %s\n", table[i].name,
			     table[i].operand ? table[i].operand : "", table[i].doc);
	(void)printf("\n");
	options = option_docs(&nr);
	for (size_t i = 0; i < nr; i++)
		(void)printf("  %-13s %-8s  %s\n", options[i].name,
			     options[i].value ? options[i].value : "", options[i].doc);
	(void)printf(
		"  --help, --version\n\n"
		"VM is a name or a UUID. Exit status: 0 done, 1 verify: they differ, ready: it is not, 2 "
		"wrong usage, 10 failed,\n"
		"11 access denied, 12 not supported, 13 status unknown, 14 time-out, 15 invalid "
		"parameter, 16 in use,\n"
		"17 invalid state, 18 incorrect data type, 19 not available, 20 out of memory, 21 file "
		"not found.\n");
}

static const struct option_doc *option_find(const struct command *command, const char *name)
{
	size_t nr;
	const struct option_doc *docs = option_docs(&nr);

	for (size_t i = 0; i < nr; i++) {
		if (strcmp(docs[i].name, name) == 0 &&
		    (!docs[i].commands || docs[i].commands & command->options))
			return &docs[i];
	}
	return NULL;
}

/* The only option that may be given more than once: the others are the last of theirs. */
static int take_disk(struct options *o, const char *value)
{
	if (o->nr_disks == OPTION_DISKS_MAX)
		return usage_error("a VM has at most %d disks", OPTION_DISKS_MAX);
	o->disks[o->nr_disks++] = value;
	return 0;
}

static int parse_option(const struct command *command, int argc, char **argv, int *i,
			struct options *o)
{
	const char *arg = argv[*i];
	const struct option_doc *option = option_find(command, arg);

	if (!option)
		return usage_error("`failback %s` has no option '%s'", command->name, arg);
	if (!option->value) {
		*(bool *)((char *)o + option->member) = true;
		return 0;
	}
	if (++*i == argc)
		return usage_error("%s needs a value", arg);
	if (option->member == offsetof(struct options, disks))
		return take_disk(o, argv[*i]);
	*(const char **)((char *)o + option->member) = argv[*i];
	return 0;
}

static int parse_options(const struct command *command, int first, int argc, char **argv,
			 struct options *o)
{
	for (int i = first; i < argc; i++) {
		int rc = 0;

		if (argv[i][0] == '-' && argv[i][1])
			rc = parse_option(command, argc, argv, &i, o);
		else if (!command->operand || o->operand)
			rc = usage_error("'%s' is too much for `failback %s`", argv[i],
					 command->name);
		else
			o->operand = argv[i];
		if (rc)
			return rc;
	}
	if (command->operand && command->operand[0] != '[' && !o->operand)
		return usage_error("`failback %s` needs %s", command->name, command->operand);
	return 0;
}

static int print_failure(const struct options *o, const struct failure *f)
{
	cleanup_json struct json_object *object = NULL;

	if (o->json) {
		object = output_document();
		json_add_uint(object, "code", f->code);
		json_add_text(object, "code_name", code_name(f->code));
		json_add_text(object, "error", f->text);
		(void)output_print(object, NULL);
		(void)output_flush(NULL);
	}
	(void)fprintf(stderr, "failback: %s\n", f->text);
	return code_exit_status(f->code);
}

static int run(const struct command *command, const struct options *o)
{
	_cleanup_(client_close_at) struct client *client = NULL;
	struct failure f = { 0 };
	int rc = command->local ? 0 : client_open(o->bus_address, &client, &f);

	if (!rc)
		rc = command->run(client, o, &f);
	if (rc >= 0 && output_end(&f))
		rc = -EIO;
	if (rc < 0)
		return print_failure(o, &f);
	return rc; /* an answer that is no failure: there is a difference */
}

static bool has_flag(int argc, char **argv, const char *flag)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], flag) == 0)
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	struct options options = { .bus_address = "" };
	const struct command *command;
	int nr_words;
	int rc;

	output_begin();
	if (argc < 2)
		return usage_error("no command is given");
	if (has_flag(argc, argv, "--help")) {
		print_help();
		return output_end(NULL) ? code_exit_status(CODE_FAILED) : 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)printf("failback %s\n", FAILBACK_VERSION);
		return output_end(NULL) ? code_exit_status(CODE_FAILED) : 0;
	}
	command = command_find(argv + 1, &nr_words);
	if (!command)
		return usage_error("there is no command '%s%s%s'", argv[1], argv[2] ? " " : "",
				   argv[2] ? argv[2] : "");
	rc = parse_options(command, 1 + nr_words, argc, argv, &options);
	return rc ? rc : run(command, &options);
}
