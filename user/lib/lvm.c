// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CRASH: a volume is made and tagged in one change of LVM's metadata. One without the tag was made by
 * somebody else, or is in use, and is for nobody here to write to.
 */
#include "lib/lvm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "lib/run.h"

#define PACKAGE	      "lvm2"
#define TAG	      "failback.new"
#define SEPARATOR     "|" /* in no name and no tag */
#define NAME_LETTERS  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+_.-"

/* --- names --- */

bool lvm_is_name(const char *name)
{
	size_t len = strlen(name);

	return len && len < LVM_NAME_MAX && strspn(name, NAME_LETTERS) == len && *name != '-' &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

int lvm_parse(const char *path, struct lvm_name *ret, struct failure *f)
{
	struct lvm_name name = { .group = "" };
	const char *slash = strncmp(path, "/dev/", 5) == 0 ? strchr(path + 5, '/') : NULL;

	if (slash && (size_t)(slash - path - 5) < sizeof(name.group)) {
		memcpy(name.group, path + 5, (size_t)(slash - path - 5));
		(void)snprintf(name.volume, sizeof(name.volume), "%s",
			       strlen(slash + 1) < sizeof(name.volume) ? slash + 1 : "");
	}
	if (!lvm_is_name(name.group) || !lvm_is_name(name.volume) || strcmp(name.group, "mapper") == 0)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "%.256s does not name a logical volume as /dev/VG/LV.", path);
	*ret = name;
	return 0;
}

const char *lvm_path(const struct lvm_name *name, char buf[LVM_PATH_MAX])
{
	(void)snprintf(buf, LVM_PATH_MAX, "/dev/%s/%s", name->group, name->volume);
	return buf;
}

/* --- what there is --- */

uint64_t lvm_round_up(const struct lvm_group *group, uint64_t bytes)
{
	uint64_t extents = bytes / group->extent_bytes + (bytes % group->extent_bytes != 0);

	return extents > UINT64_MAX / group->extent_bytes ? 0 : extents * group->extent_bytes;
}

static bool take_number(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = text ? strtoull(text, &end, 10) : 0;
	return text && *text >= '0' && *text <= '9' && !*end && !errno;
}

static bool has_tag(char *tags)
{
	char *rest = NULL;

	for (char *tag = tags ? strtok_r(tags, ",", &rest) : NULL; tag; tag = strtok_r(NULL, ",", &rest)) {
		if (strcmp(tag, TAG) == 0)
			return true;
	}
	return false;
}

static bool take_volume(char *line, struct lvm_volume *ret)
{
	char *name = strsep(&line, SEPARATOR);

	name += strspn(name, " ");
	if (!lvm_is_name(name) || !take_number(strsep(&line, SEPARATOR), &ret->bytes))
		return false;
	(void)strcpy(ret->name, name);
	ret->is_new = has_tag(line);
	return true;
}

static int not_understood(const char *program, struct failure *f)
{
	return failure_set(f, CODE_FAILED, -EPROTO, "What %s prints cannot be understood.", program);
}

static int read_volumes(const char *group, struct lvm_group *ret, struct failure *f)
{
	const char *const argv[] = { "lvs", "--noheadings", "--nosuffix", "--units", "b", "--separator",
				     SEPARATOR, "-o", "lv_name,lv_size,lv_tags", group, NULL };
	cleanup_free char *text = NULL;
	char *rest = NULL;
	size_t room = 1;
	int rc = run_program(argv, PACKAGE, false, &text, f);

	if (rc)
		return rc;
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		room++;
	ret->volumes = calloc(room, sizeof(*ret->volumes));
	if (!ret->volumes)
		return failure_no_memory(f);
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (!take_volume(line, &ret->volumes[ret->nr_volumes++]))
			return not_understood(argv[0], f);
	}
	return 0;
}

/* Of all groups: one that is not there would be a failure like any other. */
static int read_sizes(const char *group, struct lvm_group *ret, struct failure *f)
{
	static const char *const argv[] = { "vgs", "--noheadings", "--nosuffix", "--units", "b",
					    "--separator", SEPARATOR, "-o",
					    "vg_name,vg_extent_size,vg_free", NULL };
	cleanup_free char *text = NULL;
	char *rest = NULL;
	int rc = run_program(argv, PACKAGE, false, &text, f);

	if (rc)
		return rc;
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *name = strsep(&line, SEPARATOR);

		if (strcmp(name + strspn(name, " "), group) != 0)
			continue;
		if (!take_number(strsep(&line, SEPARATOR), &ret->extent_bytes) || !ret->extent_bytes ||
		    !take_number(strsep(&line, SEPARATOR), &ret->free_bytes))
			return not_understood(argv[0], f);
		return 0;
	}
	return failure_set(f, CODE_FILE_NOT_FOUND, -ENOENT,
			   "There is no volume group %s on this host: `vgs` shows those that there are.", group);
}

int lvm_read_group(const char *name, struct lvm_group *ret, struct failure *f)
{
	int rc;

	memset(ret, 0, sizeof(*ret));
	rc = read_sizes(name, ret, f);
	return rc ? rc : read_volumes(name, ret, f);
}

void lvm_clear_group(struct lvm_group *group)
{
	free(group->volumes);
	memset(group, 0, sizeof(*group));
}

const struct lvm_volume *lvm_find(const struct lvm_group *group, const char *volume)
{
	for (size_t i = 0; i < group->nr_volumes; i++) {
		if (strcmp(group->volumes[i].name, volume) == 0)
			return &group->volumes[i];
	}
	return NULL;
}

/* --- making --- */

int lvm_create(const struct lvm_name *name, uint64_t bytes, struct failure *f)
{
	char size[32];
	const char *const argv[] = { "lvcreate", "--yes", "--addtag", TAG, "--size", size, "--name",
				     name->volume, name->group, NULL };

	(void)snprintf(size, sizeof(size), "%" PRIu64 "b", bytes);
	return run_program(argv, PACKAGE, true, NULL, f);
}

int lvm_settle(const struct lvm_name *name, struct failure *f)
{
	char path[2 * LVM_NAME_MAX];
	const char *const argv[] = { "lvchange", "--deltag", TAG, path, NULL };

	(void)snprintf(path, sizeof(path), "%s/%s", name->group, name->volume);
	return run_program(argv, PACKAGE, true, NULL, f);
}
