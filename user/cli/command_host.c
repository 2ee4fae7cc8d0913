// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
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

/* --- showing --- */

struct identity {
	char fingerprint[FINGERPRINT_TEXT_MAX];
	struct validity validity;
};

static int load_identity(const struct host_config *config, struct identity *ret, struct failure *f)
{
	const struct tls_files files = host_config_tls_files(config);
	int rc = tls_identity_show(&files, ret->fingerprint, f);

	return rc ? rc : tls_identity_validity(&files, &ret->validity, f);
}

static int print_identity_json(const struct identity *id, const bool *changed, struct failure *f)
{
	cleanup_json struct json_object *object = output_document();

	json_add_text(object, "fingerprint", id->fingerprint);
	(void)json_object_object_add(object, "valid_until", json_object_new_int64(id->validity.until_s));
	if (changed)
		(void)json_object_object_add(object, "changed", json_object_new_boolean(*changed));
	return output_print(object, f);
}

/* To be renewed in time: on standard error, so that it is seen with --json too. */
static void warn_of_end(const struct identity *id)
{
	struct failure why;

	if (validity_check(&id->validity, time(NULL), "This host's certificate", "here", &why) ||
	    validity_warning(&id->validity, time(NULL), "This host's certificate", "here", &why))
		(void)fprintf(stderr, "failback: warning: %s\n", why.text);
}

static void print_identity(const struct host_config *config, const struct identity *id)
{
	char until[VALIDITY_TEXT_MAX];

	(void)printf("Its peers know this host by the key\n\n    %s\n\n", id->fingerprint);
	(void)printf("Its certificate, %s, is valid until %s.\n", config->tls_certificate,
		     validity_format(id->validity.until_s, until));
}

int command_host_show(struct client *client, const struct options *o, struct failure *f)
{
	struct host_config config;
	struct identity id;
	int rc = host_config_read(o->config, &config, f);

	(void)client;
	if (!rc)
		rc = load_identity(&config, &id, f);
	if (rc)
		return rc;
	warn_of_end(&id);
	if (o->json)
		return print_identity_json(&id, NULL, f);
	print_identity(&config, &id);
	return 0;
}

/* --- making --- */

int command_host_init(struct client *client, const struct options *o, struct failure *f)
{
	struct host_config config;
	struct identity id;
	bool make;
	int rc = host_config_read(o->config, &config, f);

	(void)client;
	if (rc)
		return rc;
	make = o->force || access(config.tls_certificate, F_OK) < 0 || access(config.tls_key, F_OK) < 0;
	if (make)
		rc = make_identity(&config, f);
	if (!rc)
		rc = load_identity(&config, &id, f);
	if (rc)
		return rc;
	warn_of_end(&id);
	if (o->json)
		return print_identity_json(&id, &make, f);
	(void)printf("%s %s.\n", make ? "Made" : "There is already", config.tls_certificate);
	print_identity(&config, &id);
	(void)printf("Next, on either host: `failback host pair ADDRESS-OF-THE-OTHER`.\n");
	return 0;
}
