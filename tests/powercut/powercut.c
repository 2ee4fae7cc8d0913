// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What to do with the log of a run on disks of server.c:
 *
 *	powercut print LOG
 *		one line for each record
 *	powercut cut [options] LOG DIRECTORY
 *		the disks after the cut of --seed, as sparse files DIRECTORY/NAME; what they were when
 *		the guest remarked "base BASE NAME", as DIRECTORY/base.BASE; and the marks until
 *		then in DIRECTORY/marks
 *	powercut check [options] LOG DIRECTORY -- COMMAND [ARGUMENT...]
 *		--cuts of them, one after the other in the same files, which COMMAND must not change
 *		unless --fresh; it says by its exit status whether they are right. POWERCUT_SEED and
 *		POWERCUT_DIR are in its environment.
 *
 *	--seed S	of the (first) cut; 1
 *	--cuts N	100
 *	--end		it falls at the end of the log
 *	--fresh		write the files anew for each cut
 *	--tolerate N	go on until more than N cuts were wrong
 *	--ignore flush[:DISK]|fua[:DISK]
 *			as if the disk, or each, did not keep that promise
 *
 * Exit status: 0 all right, 1 a cut was wrong, 2 wrong usage or an unreadable log.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cuts.h"

#define USAGE 2

struct files {
	const char *directory;
	bool fresh;
	char **command; /* NULL: none */
	struct image *stored[LOG_DEVICES_MAX]; /* what is in the files, where known */
};

static void store(const struct files *files, const struct image *image, const struct image *old,
		  const char *prefix, const char *name)
{
	char path[4096];
	int rc;

	snprintf(path, sizeof(path), "%s/%s%s", files->directory, prefix, name);
	rc = image_store(image, old, path);
	if (rc < 0)
		errx(USAGE, "%s: %s", path, strerror(-rc));
}

/* The marks, and the bases that they name. */
static void store_marks(const struct files *files, const struct replay *replay)
{
	char path[4096], name[128];
	const char *mark;
	FILE *out;

	snprintf(path, sizeof(path), "%s/marks", files->directory);
	out = fopen(path, "we");
	if (!out)
		err(USAGE, "%s", path);
	for (uint64_t i = 0; (mark = replay_mark(replay, i)); i++) {
		fprintf(out, "%s\n", mark);
		if (!files->command && sscanf(mark, "base %127s", name) == 1)
			store(files, replay_base(replay, name), NULL, "base.", name);
	}
	if (fclose(out))
		err(USAGE, "%s", path);
}

static int run_command(const struct files *files, uint64_t seed)
{
	char text[32];
	int status;
	pid_t child;

	snprintf(text, sizeof(text), "%llu", (unsigned long long)seed);
	fflush(stdout);
	child = fork();
	if (child < 0)
		err(USAGE, "fork");
	if (child == 0) {
		setenv("POWERCUT_SEED", text, 1);
		setenv("POWERCUT_DIR", files->directory, 1);
		execvp(files->command[0], files->command);
		warn("%s", files->command[0]);
		_exit(127);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			err(USAGE, "waitpid");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		errx(USAGE, "%s cannot be run", files->command[0]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int store_and_check(void *context, const struct cut *cut)
{
	struct files *files = context;

	for (unsigned int i = 0; i < replay_nr_disks(cut->replay); i++) {
		const struct image *old = files->fresh ? NULL : files->stored[i];

		store(files, cut->disks[i], old, "", replay_name(cut->replay, i));
		image_free(files->stored[i]);
		files->stored[i] = image_copy(cut->disks[i]);
	}
	store_marks(files, cut->replay);
	return files->command ? run_command(files, cut->seed) : 0;
}

/* --- command line --- */

/* Which disks a promise is broken for: all, or the one after the colon. */
static uint32_t faulty_disks(const struct log *log, const char *colon)
{
	struct replay_faults none = { 0 };
	struct replay *replay;
	int disk;

	if (!colon)
		return UINT32_MAX;
	replay = replay_new(log, &none);
	if (!replay)
		exit(USAGE);
	disk = replay_find(replay, colon + 1);
	if (disk < 0)
		errx(USAGE, "there is no disk %s in the log", colon + 1);
	replay_free(replay);
	return 1U << disk;
}

static void add_fault(struct replay_faults *faults, const struct log *log, const char *text)
{
	const char *colon = strchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : strlen(text);

	if (length == 5 && !strncmp(text, "flush", 5))
		faults->ignore_flush |= faulty_disks(log, colon);
	else if (length == 3 && !strncmp(text, "fua", 3))
		faults->ignore_fua |= faulty_disks(log, colon);
	else
		errx(USAGE, "--ignore %s: expected flush[:DISK] or fua[:DISK]", text);
}

static uint64_t parse_number(const char *text)
{
	char *end;
	uint64_t number = strtoull(text, &end, 0);

	if (!*text || *end)
		errx(USAGE, "'%s' is no number", text);
	return number;
}

static int print_log(const struct log *log)
{
	for (uint64_t i = 0; i < log->nr; i++)
		log_print(stdout, i, log->records[i]);
	return 0;
}

static int run(const char *verb, struct cuts *cuts, struct files *files)
{
	int64_t wrong;

	if (!strcmp(verb, "cut")) {
		files->command = NULL;
		return cuts_one(cuts, cuts->seed, store_and_check, files) ? USAGE : 0;
	}
	if (strcmp(verb, "check") || !files->command)
		errx(USAGE, "expected print, cut or check, and for check a command");
	wrong = cuts_run(cuts, store_and_check, files);
	return wrong < 0 ? USAGE : wrong > 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },     { "cuts", required_argument, NULL, 'n' },
		{ "tolerate", required_argument, NULL, 't' }, { "ignore", required_argument, NULL, 'i' },
		{ "fresh", no_argument, NULL, 'f' },	      { "end", no_argument, NULL, 'e' },
		{ 0 },
	};
	struct cuts cuts = { .seed = 1, .required = 100 };
	struct files files = { 0 };
	const char *verb = argc > 1 ? argv[1] : "", *faults[8];
	unsigned int nr_faults = 0;
	struct log log;
	int opt, rc;

	argv++;
	argc--;
	while (argc > 0 && (opt = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (opt == 's')
			cuts.seed = parse_number(optarg);
		else if (opt == 'n')
			cuts.required = parse_number(optarg);
		else if (opt == 't')
			cuts.tolerated = parse_number(optarg);
		else if (opt == 'i' && nr_faults < 8)
			faults[nr_faults++] = optarg;
		else if (opt == 'f')
			files.fresh = true;
		else if (opt == 'e')
			cuts.at_end = true;
		else
			return USAGE;
	}
	if (argc <= optind)
		errx(USAGE, "usage: powercut print|cut|check [options] LOG [DIRECTORY [-- COMMAND...]]");
	rc = log_open(&log, argv[optind]);
	if (rc < 0)
		errx(USAGE, "%s: %s", argv[optind], rc == -EBADMSG ? "this is no log" : strerror(-rc));
	if (!strcmp(verb, "print"))
		return print_log(&log);
	for (unsigned int i = 0; i < nr_faults; i++)
		add_fault(&cuts.faults, &log, faults[i]);
	cuts.log = &log;
	files.directory = argv[optind + 1];
	if (!files.directory)
		errx(USAGE, "a directory is needed");
	if (mkdir(files.directory, 0700) < 0 && errno != EEXIST)
		err(USAGE, "%s", files.directory);
	if (argc > optind + 2) {
		files.command = argv + optind + 2;
		if (!strcmp(files.command[0], "--"))
			files.command++;
	}
	rc = run(verb, &cuts, &files);
	for (unsigned int i = 0; i < LOG_DEVICES_MAX; i++)
		image_free(files.stored[i]);
	log_close(&log);
	return rc;
}
