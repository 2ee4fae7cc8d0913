// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <libmount.h>

#include "base/cleanup.h"
#include "base/text.h"

/* --- small readers --- */

static void close_dir_at(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

static void close_file_at(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

/* The first line of a file, without its newline. */
static bool read_line(const char *path, char *buf, size_t size)
{
	_cleanup_(close_file_at) FILE *file = fopen(path, "re");

	if (!file || !fgets(buf, (int)size, file))
		return false;
	buf[strcspn(buf, "\n")] = '\0';
	return true;
}

static bool is_number(const char *name)
{
	return name[0] && name[strspn(name, "0123456789")] == '\0';
}

static void free_table_at(struct libmnt_table **table)
{
	mnt_unref_table(*table);
}

static bool find_mount(dev_t dev, char who[HOLDER_TEXT_MAX])
{
	_cleanup_(free_table_at) struct libmnt_table *table = mnt_new_table();
	struct libmnt_fs *fs;

	if (!table || mnt_table_parse_mtab(table, NULL) != 0)
		return false;
	fs = mnt_table_find_devno(table, dev, MNT_ITER_BACKWARD);
	if (!fs)
		return false;
	(void)snprintf(who, HOLDER_TEXT_MAX, "it is mounted on %.200s", mnt_fs_get_target(fs));
	return true;
}

/* A mapped device is better known by its own name than as dm-3. */
static void name_of_holder(const char *kernel_name, char *buf, size_t size)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "/sys/class/block/%s/dm/name", kernel_name);
	if (!read_line(path, buf, size))
		(void)snprintf(buf, size, "%.100s", kernel_name);
}

static bool find_holder(dev_t dev, char who[HOLDER_TEXT_MAX])
{
	_cleanup_(close_dir_at) DIR *dir = NULL;
	char path[PATH_MAX];
	char name[160];
	struct dirent *entry;

	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major(dev), minor(dev));
	dir = opendir(path);
	while (dir && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		name_of_holder(entry->d_name, name, sizeof(name));
		(void)snprintf(who, HOLDER_TEXT_MAX, "device %s is built on it", name);
		return true;
	}
	return false;
}

/* A file that a loop device shows as a disk. */
static bool find_loop(const char *path, char who[HOLDER_TEXT_MAX])
{
	_cleanup_(close_dir_at) DIR *dir = opendir("/sys/class/block");
	cleanup_free char *real = realpath(path, NULL);
	struct dirent *entry;

	while (dir && real && (entry = readdir(dir)) != NULL) {
		char attribute[PATH_MAX];
		char file[PATH_MAX];

		(void)snprintf(attribute, sizeof(attribute),
			       "/sys/class/block/%s/loop/backing_file", entry->d_name);
		if (!read_line(attribute, file, sizeof(file)) || strcmp(file, real) != 0)
			continue;
		(void)snprintf(who, HOLDER_TEXT_MAX, "/dev/%.200s is built on it", entry->d_name);
		return true;
	}
	return false;
}

static bool is_same_disk(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode))
		return S_ISBLK(b->st_mode) && a->st_rdev == b->st_rdev;
	return S_ISREG(b->st_mode) && a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* What is known of it without asking anybody: a server of network files that is gone would be waited for. */
static bool stat_cached(int dir_fd, const char *name, struct stat *ret)
{
	struct statx x;

	if (statx(dir_fd, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE | STATX_INO, &x) < 0)
		return false;
	*ret = (struct stat){ .st_mode = x.stx_mode,
			      .st_ino = x.stx_ino,
			      .st_dev = makedev(x.stx_dev_major, x.stx_dev_minor),
			      .st_rdev = makedev(x.stx_rdev_major, x.stx_rdev_minor) };
	return true;
}

static bool is_open_for_writing(int proc_fd, const char *pid, const char *fd)
{
	cleanup_fd int info = -1;
	char path[64];
	char text[256];
	const char *flags;
	ssize_t len;

	(void)snprintf(path, sizeof(path), "%.20s/fdinfo/%.20s", pid, fd);
	info = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return false;
	len = read(info, text, sizeof(text) - 1);
	if (len <= 0)
		return false;
	text[len] = '\0';
	flags = strstr(text, "flags:");
	return flags && (strtoul(flags + 6, NULL, 8) & O_ACCMODE) != O_RDONLY;
}

static bool process_writes(int proc_fd, const char *pid, const struct stat *disk)
{
	_cleanup_(close_dir_at) DIR *dir = NULL;
	struct dirent *entry;
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "%.20s/fd", pid);
	fd = openat(proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return false;
	}
	while ((entry = readdir(dir)) != NULL) {
		struct stat other;

		if (is_number(entry->d_name) && stat_cached(fd, entry->d_name, &other) &&
		    is_same_disk(disk, &other) && is_open_for_writing(proc_fd, pid, entry->d_name))
			return true;
	}
	return false;
}

/* Readers do not matter: udev opens a disk for reading whenever it changes. */
static bool find_writer(const struct stat *disk, char who[HOLDER_TEXT_MAX])
{
	_cleanup_(close_dir_at) DIR *proc = opendir("/proc");
	struct dirent *entry;

	while (proc && (entry = readdir(proc)) != NULL) {
		char path[64];
		char name[64];

		if (!is_number(entry->d_name) || atoi(entry->d_name) == getpid() ||
		    !process_writes(dirfd(proc), entry->d_name, disk))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%.20s/comm", entry->d_name);
		if (!read_line(path, name, sizeof(name)))
			(void)snprintf(name, sizeof(name), "a process");
		(void)snprintf(who, HOLDER_TEXT_MAX, "%s (PID %.20s) has it open for writing", name,
			       entry->d_name);
		return true;
	}
	return false;
}

bool holder_writer(const char *path, char ret[HOLDER_TEXT_MAX])
{
	char who[HOLDER_TEXT_MAX];
	struct stat disk;

	if (stat(path, &disk) < 0 || !find_writer(&disk, who))
		return false;
	text_make_printable(who, strlen(who), ret, HOLDER_TEXT_MAX);
	return true;
}

static bool find_any(const char *path, const struct stat *disk, char who[HOLDER_TEXT_MAX])
{
	if (S_ISBLK(disk->st_mode) &&
	    (find_mount(disk->st_rdev, who) || find_holder(disk->st_rdev, who)))
		return true;
	if (S_ISREG(disk->st_mode) && find_loop(path, who))
		return true;
	return find_writer(disk, who);
}

bool holder_describe(const char *path, const struct stat *disk, char ret[HOLDER_TEXT_MAX])
{
	char who[HOLDER_TEXT_MAX];
	bool found = find_any(path, disk, who);

	if (found)
		text_make_printable(who, strlen(who), ret, HOLDER_TEXT_MAX);
	else
		(void)snprintf(ret, HOLDER_TEXT_MAX,
			       "another program, one of its partitions or swap has claimed it");
	return found;
}
