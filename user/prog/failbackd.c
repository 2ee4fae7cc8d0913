// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * failbackd: the controller of a host. The settings in its file may be overridden on the command
 * line.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/macro.h"
#include "daemon/daemon.h"

#define EXIT_USAGE 2

static void print_help(void)
{
	(void)printf("usage: failbackd [--config FILE] [--SETTING VALUE]...\n\n"
		     "The controller of Failback. Settings come from [%s] in FILE (default %s)\n"
		     "and from the command line, which wins:\n\n",
		     host_config_table.section, HOST_CONFIG_FILE);
	config_print(&host_config_table, stdout);
	(void)printf("\n  --help             show this\n  --version          show the version\n");
}

/*
 * "--name value" and "--name=value"; moves *@i past what it took. NULL: not an option, or one
 * without a value.
 */
static const char *option(int argc, char **argv, int *i, char *name, size_t size)
{
	const char *arg = argv[*i];
	const char *equals = strchr(arg, '=');

	if (strncmp(arg, "--", 2) != 0)
		return NULL;
	(void)snprintf(name, size, "%.*s", (int)(equals ? equals - arg - 2 : (long)strlen(arg) - 2),
		       arg + 2);
	if (equals)
		return equals + 1;
	return ++*i < argc ? argv[*i] : NULL;
}

/*
 * Twice over the command line: the file that it names is read before the settings that it
 * overrides.
 */
static int read_options(int argc, char **argv, struct host_config *config, const char **ret_file,
			struct failure *f)
{
	char name[64];

	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];
		const char *value = option(argc, argv, &i, name, sizeof(name));
		int rc;

		if (!value)
			return failure_set(
				f, CODE_INVALID_PARAMETER, -EINVAL,
				"\"%.64s\" is not an option with a value; see failbackd --help.",
				arg);
		if (strcmp(name, "config") == 0) {
			*ret_file = value;
			continue;
		}
		rc = config_set(&host_config_table, config, name, value, f);
		if (rc)
			return rc;
	}
	return 0;
}

static int read_config(int argc, char **argv, struct host_config *config, struct failure *f)
{
	const char *file = NULL;
	int rc;

	config_init(&host_config_table, config);
	rc = read_options(argc, argv, config, &file, f);
	if (rc)
		return rc;
	config_init(&host_config_table, config);
	rc = config_load(&host_config_table, config, file ? file : HOST_CONFIG_FILE, f);
	if (rc && (file || rc != -ENOENT))
		return rc;
	rc = read_options(argc, argv, config, &file, f);
	return rc ? rc : host_config_check(config, f);
}

int main(int argc, char **argv)
{
	static struct host_config config;
	struct failure why;

	log_init("failbackd");
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			print_help();
			return 0;
		}
		if (strcmp(argv[i], "--version") == 0) {
			(void)printf("failbackd %s\n", FAILBACK_VERSION);
			return 0;
		}
	}
	if (read_config(argc, argv, &config, &why)) {
		log_error("%s", why.text);
		return EXIT_USAGE;
	}
	if (geteuid() != 0) {
		log_error(
			"failbackd has to be started as root: it opens disks and controls the "
			"kernel module.");
		return code_exit_status(CODE_ACCESS_DENIED);
	}
	if (daemon_run(&config, &why)) {
		log_error("%s", why.text);
		return code_exit_status(why.code);
	}
	return 0;
}
