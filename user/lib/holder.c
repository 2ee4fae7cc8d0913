// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/holder.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/text.h"

static void close_file_at(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

static void close_dir_at(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

/* Lines of mountinfo: ID PARENT MAJOR:MINOR ROOT MOUNTPOINT ..., see proc(5). */
static bool mount_point_of(dev_t dev, char *buf, size_t room)
{
	_cleanup_(close_file_at) FILE *file = fopen("/proc/self/mountinfo", "re");
	cleanup_free char *line = NULL;
	size_t line_room = 0;

	while (file && getline(&line, &line_room, file) > 0) {
		unsigned int maj;
		unsigned int min;
		int at = 0;

		if (sscanf(line, "%*d %*d %u:%u %*s %n", &maj, &min, &at) < 2 || !at)
			continue;
		if (makedev(maj, min) == dev) {
			text_make_printable(line + at, strcspn(line + at, " \n"), buf, room);
			return true;
		}
	}
	return false;
}

static bool holder_of(dev_t dev, char *buf, size_t room)
{
	char path[64];
	_cleanup_(close_dir_at) DIR *dir = NULL;
	const struct dirent *entry;

	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major(dev), minor(dev));
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.') {
			text_make_printable(entry->d_name, strlen(entry->d_name), buf, room);
			return true;
		}
	return false;
}

/* The device-mapper name of "dm-3". */
static bool mapped_name_of(const char *holder, char *buf, size_t room)
{
	char path[PATH_MAX];
	_cleanup_(close_file_at) FILE *file = NULL;

	(void)snprintf(path, sizeof(path), "/sys/block/%s/dm/name", holder);
	file = fopen(path, "re");
	if (!file || !fgets(path, sizeof(path), file))
		return false;
	text_make_printable(path, strcspn(path, "\n"), buf, room);
	return true;
}

bool holder_describe(dev_t dev, char *buf, size_t room)
{
	char name[128];
	char mapped[128];

	if (mount_point_of(dev, name, sizeof(name))) {
		(void)snprintf(buf, room, "mounted on %s", name);
		return true;
	}
	if (holder_of(dev, name, sizeof(name))) {
		if (mapped_name_of(name, mapped, sizeof(mapped)))
			(void)snprintf(buf, room, "held by %s (%s)", name, mapped);
		else
			(void)snprintf(buf, room, "held by %s", name);
		return true;
	}
	(void)snprintf(buf, room, "in use by another program or through one of its partitions");
	return false;
}
