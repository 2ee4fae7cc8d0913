// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/bus.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define GROUPS_MAX 1024

static void unref_bus_at(sd_bus **bus)
{
	(void)sd_bus_unref(*bus);
}

static int open_address(const char *address, sd_bus **ret)
{
	_cleanup_(unref_bus_at) sd_bus *bus = NULL;
	int rc = sd_bus_new(&bus);

	if (rc >= 0)
		rc = sd_bus_set_address(bus, address);
	if (rc >= 0)
		rc = sd_bus_set_bus_client(bus, true);
	if (rc >= 0)
		rc = sd_bus_start(bus);
	if (rc < 0)
		return rc;
	*ret = steal_ptr(bus);
	return 0;
}

int bus_open(const char *address, sd_bus **ret, struct failure *f)
{
	int rc = address[0] ? open_address(address, ret) : sd_bus_open_system(ret);

	if (rc < 0)
		return failure_set(f, CODE_NOT_AVAILABLE, rc,
				   "Cannot connect to %s%s: %s; is D-Bus running?",
				   address[0] ? "the bus at " : "the system bus", address,
				   strerror(-rc));
	return 0;
}

const char *bus_path(const char *prefix, const struct uuid *uuid, char buf[BUS_PATH_MAX])
{
	char text[UUID_TEXT_LEN + 1];

	(void)uuid_format(uuid, text);
	for (char *c = text; *c; c++) {
		if (*c == '-')
			*c = '_';
	}
	(void)snprintf(buf, BUS_PATH_MAX, "%s/%s", prefix, text);
	return buf;
}

int bus_path_uuid(const char *prefix, const char *path, struct uuid *ret)
{
	char text[UUID_TEXT_LEN + 1];
	size_t len = strlen(prefix);

	if (strncmp(path, prefix, len) != 0 || path[len] != '/' ||
	    strlen(path + len + 1) != UUID_TEXT_LEN)
		return -EINVAL;
	memcpy(text, path + len + 1, sizeof(text));
	for (char *c = text; *c; c++) {
		if (*c == '_')
			*c = '-';
	}
	return uuid_parse(text, ret);
}

static void free_paths(char **paths, size_t nr)
{
	while (nr)
		free(paths[--nr]);
	free(paths);
}

int bus_paths_add(char ***paths, size_t *nr, const char *path)
{
	char **grown = reallocarray(*paths, *nr + 2, sizeof(*grown));

	if (grown) {
		*paths = grown;
		grown[*nr] = strdup(path);
		if (grown[*nr]) {
			grown[++*nr] = NULL;
			return 0;
		}
	}
	free_paths(*paths, *nr);
	*paths = NULL;
	*nr = 0;
	return -ENOMEM;
}

static void unref_creds_at(sd_bus_creds **creds)
{
	(void)sd_bus_creds_unref(*creds);
}

/*
 * The bus vouches for the sender's user only. Its groups are looked up from the user database, as
 * the bus does for its own policy: those of the process could only be read from /proc, by a PID
 * that may belong to another process by then.
 */
static bool user_is_member(uid_t uid, const char *group)
{
	struct group *gr = getgrnam(group);
	gid_t gid = gr ? gr->gr_gid : 0;
	struct passwd *pw = getpwuid(uid);
	gid_t groups[GROUPS_MAX];
	int nr = GROUPS_MAX;

	if (!gr || !pw || getgrouplist(pw->pw_name, pw->pw_gid, groups, &nr) < 0)
		return false;
	for (int i = 0; i < nr; i++) {
		if (groups[i] == gid)
			return true;
	}
	return false;
}

int bus_sender_is_allowed(sd_bus_message *message, const char *group)
{
	_cleanup_(unref_creds_at) sd_bus_creds *creds = NULL;
	uid_t uid;
	int rc;

	rc = sd_bus_query_sender_creds(message, SD_BUS_CREDS_EUID, &creds);
	if (rc >= 0)
		rc = sd_bus_creds_get_euid(creds, &uid);
	if (rc < 0)
		return rc;
	return uid == 0 || (group[0] && user_is_member(uid, group));
}
