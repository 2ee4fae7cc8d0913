// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * failback-libvirt VERB URI UUID [DEVICE...]: what failbackd runs for a VM with vm-driver = libvirt, with
 * the exit status of such commands (daemon/vm_driver.h). A process of its own, since a call of libvirt
 * waits for as long as libvirt does.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "base/uuid.h"
#include "lib/domain.h"
#include "lib/libvirt.h"

#define EXIT_RUNS_NOT 1
#define EXIT_USAGE    2

static int running(struct libvirt *l, const char *uuid, const struct domain_arrival *arrival, struct failure *f)
{
	int rc = libvirt_running(l, uuid, f);

	(void)arrival;
	return rc < 0 ? rc : rc ? 0 : EXIT_RUNS_NOT;
}

static int stop(struct libvirt *l, const char *uuid, const struct domain_arrival *arrival, struct failure *f)
{
	(void)arrival;
	return libvirt_stop(l, uuid, f);
}

static int start(struct libvirt *l, const char *uuid, const struct domain_arrival *arrival, struct failure *f)
{
	(void)arrival;
	return libvirt_start(l, uuid, f);
}

static int autostart(struct libvirt *l, const char *uuid, const struct domain_arrival *arrival, struct failure *f)
{
	(void)arrival;
	return libvirt_autostart(l, uuid, f);
}

static int dump(struct libvirt *l, const char *uuid, const struct domain_arrival *arrival, struct failure *f)
{
	cleanup_free char *text = NULL;
	int rc = domain_dump(l, uuid, &text, f);

	(void)arrival;
	if (!rc && (puts(text) < 0 || fflush(stdout)))
		rc = failure_set(f, CODE_FAILED, -EIO, "Cannot print the definition of domain %s.", uuid);
	return rc;
}

/* What the VM has written here since goes before what came. */
static int redefine(struct libvirt *l, const char *uuid, const struct domain_arrival *arrival, struct failure *f)
{
	struct domain_arrival again = *arrival;

	again.again = true;
	return domain_define(l, uuid, &again, f);
}

static const struct verb {
	const char *name;
	bool reads; /* a definition, where devices are named */
	/* An exit status, or a negative errno. */
	int (*run)(struct libvirt *l, const char *uuid, const struct domain_arrival *arrival, struct failure *f);
} verbs[] = {
	{ "running", false, running },
	{ "ready", true, domain_ready },
	{ "stop", false, stop },
	{ "start", false, start },
	{ "autostart", false, autostart },
	{ "dump", false, dump },
	{ "define", true, domain_define },
	{ "redefine", true, redefine },
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

static int run(const struct verb *verb, const char *uri, const char *uuid, struct domain_arrival *arrival)
{
	_cleanup_(libvirt_close_at) struct libvirt *l = NULL;
	struct failure why;
	struct stat input;
	int rc = 0;

	/* When the VM was failed over here, or what came with its disks. */
	if (arrival->nr_devices && fstat(STDIN_FILENO, &input) == 0)
		arrival->since = input.st_mtim;
	if (arrival->nr_devices)
		rc = domain_read(STDIN_FILENO, uuid, &arrival->definition, &why);
	if (!rc)
		rc = libvirt_open(uri, &l, &why);
	if (!rc)
		rc = verb->run(l, uuid, arrival, &why);
	definition_clear(&arrival->definition);
	if (rc >= 0)
		return rc;
	(void)fprintf(stderr, "%s\n", why.text);
	return code_exit_status(why.code);
}

int main(int argc, char **argv)
{
	const struct verb *verb = argc >= 4 ? find_verb(argv[1]) : NULL;
	struct domain_arrival arrival = { 0 };
	struct uuid uuid;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		(void)printf("failback-libvirt %s\n", FAILBACK_VERSION);
		return 0;
	}
	if (!verb || !argv[2][0] || uuid_parse(argv[3], &uuid) || (argc > 4 && !verb->reads)) {
		(void)fprintf(stderr, "usage: failback-libvirt running|stop|start|autostart|dump URI UUID\n"
				      "       failback-libvirt ready|define|redefine URI UUID [DEVICE...] <DEFINITION\n");
		return EXIT_USAGE;
	}
	arrival.devices = (const char *const *)argv + 4;
	arrival.nr_devices = (size_t)argc - 4;
	return run(verb, argv[2], argv[3], &arrival);
}
