// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/devid.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <linux/fs.h>

#include "base/cleanup.h"
#include "lib/holder.h"

static void close_file_at(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

int devid_path(dev_t dev, char *buf, struct failure *f)
{
	_cleanup_(close_file_at) FILE *file = NULL;
	char path[64];
	char line[256];

	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/uevent", major(dev), minor(dev));
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "DEVNAME=", 8) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		(void)snprintf(buf, PATH_MAX, "/dev/%s", line + 8);
		return 0;
	}
	return failure_set(f, CODE_FILE_NOT_FOUND, -ENODEV, "There is no block device %u:%u.",
			   major(dev), minor(dev));
}

/* --- opening --- */

static int missing(const char *path, int error, struct failure *f)
{
	if (error == EACCES)
		return failure_set(f, CODE_ACCESS_DENIED, -error,
				   "Disk %s cannot be used: %s. Repeat it as root.", path, strerror(error));
	return failure_set(f, CODE_FILE_NOT_FOUND, -error,
			   "Disk %s cannot be used: %s. Attach it to this host, or correct its path.", path,
			   strerror(error));
}

static int stat_disk(const char *path, struct stat *ret, struct failure *f)
{
	if (stat(path, ret) < 0)
		return missing(path, errno, f);
	if (!S_ISBLK(ret->st_mode) && !S_ISREG(ret->st_mode))
		return failure_set(f, CODE_INVALID_PARAMETER, -ENOTBLK,
				   "%s is neither a block device nor a regular file.", path);
	return 0;
}

int devid_exists(const char *path, struct failure *f)
{
	struct stat disk;

	return stat_disk(path, &disk, f);
}

/* --- what a disk is made of --- */

#define DEPTH_MAX 16

static void close_dir_at(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

/* The directory of /sys of a block device; "" when there is none. */
static const char *sys_directory(dev_t dev, char buf[PATH_MAX])
{
	char link[64];

	(void)snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	if (!realpath(link, buf))
		*buf = '\0';
	return buf;
}

static bool is_inside(const char *path, const char *directory)
{
	size_t len = strlen(directory);

	return len && strncmp(path, directory, len) == 0 && (!path[len] || path[len] == '/');
}

/* Whether the device of @part is the one of @whole, a partition of it, or built on such a one. */
static bool is_made_of(const char *part, const char *whole, int depth)
{
	_cleanup_(close_dir_at) DIR *slaves = NULL;
	char path[PATH_MAX];
	char below[PATH_MAX];
	struct dirent *entry;

	if (is_inside(part, whole))
		return true;
	if (!*part || depth == DEPTH_MAX ||
	    (size_t)snprintf(path, sizeof(path), "%s/slaves", part) >= sizeof(path))
		return false;
	slaves = opendir(path);
	while (slaves && (entry = readdir(slaves))) {
		if (entry->d_name[0] == '.' ||
		    (size_t)snprintf(path, sizeof(path), "%s/slaves/%s", part, entry->d_name) >=
			    sizeof(path))
			continue;
		if (realpath(path, below) && is_made_of(below, whole, depth + 1))
			return true;
	}
	return false;
}

struct devid devid_of(const char *path)
{
	struct devid id = { 0 };
	struct stat st;

	if (!path[0] || stat(path, &st) < 0)
		return id;
	id.exists = true;
	id.is_block = S_ISBLK(st.st_mode);
	id.dev = id.is_block ? st.st_rdev : st.st_dev;
	id.ino = id.is_block ? 0 : st.st_ino;
	return id;
}

bool devid_is_same(const struct devid *a, const struct devid *b)
{
	return a->exists && b->exists && a->is_block == b->is_block && a->dev == b->dev &&
	       a->ino == b->ino;
}

int devid_overlap(const char *a, const char *b, bool *ret, struct failure *f)
{
	char dir_a[PATH_MAX];
	char dir_b[PATH_MAX];
	struct stat sa;
	struct stat sb;
	int err = stat_disk(a, &sa, f);

	if (!err)
		err = stat_disk(b, &sb, f);
	if (err)
		return err;
	*ret = sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
	if (!S_ISBLK(sa.st_mode) || !S_ISBLK(sb.st_mode))
		return 0;
	(void)sys_directory(sa.st_rdev, dir_a);
	(void)sys_directory(sb.st_rdev, dir_b);
	*ret |= sa.st_rdev == sb.st_rdev || is_made_of(dir_a, dir_b, 0) ||
		is_made_of(dir_b, dir_a, 0);
	return 0;
}

/* --- opening to overwrite --- */

static int size_of(int fd, const struct stat *disk, uint64_t *ret)
{
	if (S_ISREG(disk->st_mode)) {
		*ret = (uint64_t)disk->st_size;
		return 0;
	}
	return ioctl(fd, BLKGETSIZE64, ret) < 0 ? -errno : 0;
}

int devid_size(const char *path, uint64_t *ret, struct failure *f)
{
	cleanup_fd int fd = -1;
	struct stat disk;
	int rc;

	rc = stat_disk(path, &disk, f);
	if (rc)
		return rc;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	rc = fd < 0 ? -errno : size_of(fd, &disk, ret);
	return rc ? missing(path, -rc, f) : 0;
}

int devid_check_size(const char *name, const char *path, int fd, uint64_t need_bytes,
		     struct failure *f)
{
	struct stat disk;
	uint64_t size;
	int rc = fstat(fd, &disk) < 0 ? -errno : size_of(fd, &disk, &size);

	if (rc)
		return missing(path, -rc, f);
	if (size < need_bytes)
		return failure_set(f, CODE_INVALID_PARAMETER, -ENOSPC,
				   "Disk %s (%s) is too small: it has %" PRIu64 " bytes, %" PRIu64
				   " are needed.",
				   name, path, size, need_bytes);
	return 0;
}

int devid_open_target(const char *name, const char *path, uint64_t need_bytes, int *ret_fd,
		      struct failure *f)
{
	cleanup_fd int fd = -1;
	char who[HOLDER_TEXT_MAX];
	struct stat disk;
	int rc;

	rc = stat_disk(path, &disk, f);
	if (rc)
		return rc;
	fd = open(path, O_RDWR | O_CLOEXEC | (S_ISBLK(disk.st_mode) ? O_EXCL : 0));
	if (fd < 0 && errno != EBUSY)
		return missing(path, errno, f);
	if (holder_describe(path, &disk, who) || fd < 0)
		return failure_set(f, CODE_IN_USE, -EBUSY, "Disk %s (%s) is in use: %s. Stop that, and repeat it.", name,
				   path, who);
	rc = devid_check_size(name, path, fd, need_bytes, f);
	if (rc)
		return rc;
	*ret_fd = steal_fd(&fd);
	return 0;
}
