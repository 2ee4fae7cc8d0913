// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "daemon/host_config.h"
#include "lib/output.h"
#include "lib/tls.h"
#include "lib/tls_make.h"

static int make_directory_of(const char *path, struct failure *f)
{
	char directory[PATH_MAX];
	char *slash;

	(void)snprintf(directory, sizeof(directory), "%s", path);
	slash = strrchr(directory, '/');
	if (!slash || slash == directory)
		return 0;
	*slash = '\0';
	if (mkdir(directory, 0755) < 0 && errno != EEXIST)
		return failure_set(f, code_of_errno(errno), -errno, "Cannot make %s: %s.",
				   directory, strerror(errno));
	return 0;
}

static int make_identity(const struct host_config *config, struct failure *f)
{
	char name[HOST_NAME_MAX + 1] = "failback";
	int rc = make_directory_of(config->tls_key, f);

	if (!rc)
		rc = make_directory_of(config->tls_certificate, f);
	(void)gethostname(name, sizeof(name) - 1);
	return rc ? rc : tls_identity_make(config->tls_certificate, config->tls_key, name, f);
}

static int print_identity(const struct options *o, const struct host_config *config, bool changed,
			  const char *fingerprint, struct failure *f)
{
	cleanup_json struct json_object *object = NULL;

	if (o->json) {
		object = output_document();
		json_add_text(object, "fingerprint", fingerprint);
		(void)json_object_object_add(object, "changed", json_object_new_boolean(changed));
		return output_print(object, f);
	}
	(void)printf("%s %s.\nIts peers know this host by the key %s: on each of them, the line\n\n"
		     "    ADDRESS-OF-THIS-HOST %s\n\nbelongs in the file that the setting tls-peers "
		     "names (%s here).\n",
		     changed ? "Made" : "There is already", config->tls_certificate, fingerprint,
		     fingerprint, config->tls_peers);
	return 0;
}

int command_host(struct client *client, const struct options *o, struct failure *f)
{
	struct host_config config;
	char fingerprint[FINGERPRINT_TEXT_MAX];
	struct tls_files files = { .certificate = config.tls_certificate,
				   .key = config.tls_key,
				   .ca = "" };
	bool make;
	int rc;

	(void)client;
	if (strcmp(o->operand, "init") != 0)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "`failback host` can be told only to init.");
	rc = host_config_read(o->config, &config, f);
	if (rc)
		return rc;
	make = o->force || access(config.tls_certificate, F_OK) < 0;
	if (make)
		rc = make_identity(&config, f);
	if (!rc)
		rc = tls_identity_show(&files, fingerprint, f);
	return rc ? rc : print_identity(o, &config, make, fingerprint, f);
}
