// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * failback-libvirt running|ready|stop|start URI UUID: what failbackd runs for a VM with vm-driver = libvirt, with
 * the exit status of such commands (daemon/vm_driver.h). A process of its own, since a call of libvirt
 * waits for as long as libvirt does.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "base/uuid.h"
#include "lib/libvirt.h"

#define EXIT_RUNS_NOT 1
#define EXIT_USAGE    2

static int running(struct libvirt *l, const char *uuid, struct failure *f)
{
	int rc = libvirt_running(l, uuid, f);

	return rc < 0 ? rc : rc ? 0 : EXIT_RUNS_NOT;
}

static const struct verb {
	const char *name;
	/* An exit status, or a negative errno. */
	int (*run)(struct libvirt *l, const char *uuid, struct failure *f);
} verbs[] = {
	{ "running", running },
	{ "ready", libvirt_ready },
	{ "stop", libvirt_stop },
	{ "start", libvirt_start },
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

static int run(const struct verb *verb, const char *uri, const char *uuid)
{
	_cleanup_(libvirt_close_at) struct libvirt *l = NULL;
	struct failure why;
	int rc = libvirt_open(uri, &l, &why);

	if (!rc)
		rc = verb->run(l, uuid, &why);
	if (rc >= 0)
		return rc;
	(void)fprintf(stderr, "%s\n", why.text);
	return code_exit_status(why.code);
}

int main(int argc, char **argv)
{
	const struct verb *verb = argc == 4 ? find_verb(argv[1]) : NULL;
	struct uuid uuid;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		(void)printf("failback-libvirt %s\n", FAILBACK_VERSION);
		return 0;
	}
	if (!verb || !argv[2][0] || uuid_parse(argv[3], &uuid)) {
		(void)fprintf(stderr, "usage: failback-libvirt running|ready|stop|start URI UUID\n");
		return EXIT_USAGE;
	}
	return run(verb, argv[2], argv[3]);
}
