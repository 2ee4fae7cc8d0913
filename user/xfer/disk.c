// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A path is looked up once, with O_PATH; all opens go through that descriptor, so that what was
 * examined is what is opened. The exclusive claim of a block device is made by the buffered open;
 * the direct one, without O_EXCL, stands beside it.
 *
 * A file is claimed by a lock, wherever it was opened (xfer/claim.h).
 */
#include "xfer/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/holder.h"
#include "xfer/claim.h"

/*
 * What direct I/O needs on files whose file system does not tell, and the largest block of a
 * device.
 */
#define ALIGN_DEFAULT 4096U

/* A disk being opened. */
struct opening {
	const struct plan_disk *plan;
	const struct wire_disk *wire;
	const char *shown; /* path or "descriptor N" */
	bool writes;
	struct stat stat;
	struct failure *f;
};

static int refuse(const struct opening *o, enum code code, int error, const char *what)
{
	return failure_set(o->f, code, error, "disk %s: %s %s", o->wire->name, o->shown, what);
}

static int refuse_errno(const struct opening *o, int error)
{
	return failure_set(o->f, code_of_errno(error), -error, "disk %s: cannot open %s: %s",
			   o->wire->name, o->shown, strerror(error));
}

static int reopen(int fd, int flags)
{
	char link[32];

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return open(link, flags | O_CLOEXEC);
}

static int check_kind(struct opening *o, int fd)
{
	if (fstat(fd, &o->stat) < 0)
		return refuse_errno(o, errno);
	if (S_ISBLK(o->stat.st_mode) || S_ISREG(o->stat.st_mode))
		return 0;
	return refuse(o, CODE_INVALID_PARAMETER, -EINVAL,
		      S_ISDIR(o->stat.st_mode) ? "is a directory"
					       : "is neither a block device nor a file");
}

static int check_size(const struct opening *o, int fd)
{
	uint64_t size = (uint64_t)o->stat.st_size;

	if (S_ISBLK(o->stat.st_mode) && ioctl(fd, BLKGETSIZE64, &size) < 0)
		return refuse_errno(o, errno);
	if (size >= o->wire->size_bytes)
		return 0;
	return failure_set(o->f, CODE_INVALID_PARAMETER, -ENOSPC,
			   "disk %s: %s has %llu bytes, fewer than the %llu of the plan",
			   o->wire->name, o->shown, (unsigned long long)size,
			   (unsigned long long)o->wire->size_bytes);
}

static int check_writable(const struct opening *o, int fd)
{
	int flags = fcntl(fd, F_GETFL);
	int read_only = 0;

	if (flags < 0)
		return refuse_errno(o, errno);
	if (S_ISBLK(o->stat.st_mode) && ioctl(fd, BLKROGET, &read_only) < 0)
		return refuse_errno(o, errno);
	if (read_only || (flags & O_ACCMODE) == O_RDONLY)
		return refuse(o, CODE_ACCESS_DENIED, -EROFS, "is read-only");
	return 0;
}

/* @at: the same, by O_PATH */
static int explain_open(const struct opening *o, int at, int error)
{
	cleanup_fd int readable = -1;
	char who[HOLDER_TEXT_MAX];

	switch (error) {
	case EROFS:
	case EACCES:
	case EPERM:
		readable = o->writes ? reopen(at, O_RDONLY) : -1;
		if (readable >= 0)
			return refuse(o, CODE_ACCESS_DENIED, -error, "is read-only");
		return refuse_errno(o, error);
	case EBUSY:
		(void)holder_describe(o->plan->path, &o->stat, who);
		return failure_set(o->f, CODE_IN_USE, -error,
				   "disk %s: %s is in use: %s; stop that, and repeat it", o->wire->name,
				   o->shown, who);
	default:
		return refuse_errno(o, error);
	}
}

static int open_path(struct opening *o, int *ret)
{
	cleanup_fd int at = open(o->plan->path, O_PATH | O_CLOEXEC);
	int flags = o->writes ? O_RDWR : O_RDONLY;
	int fd;
	int rc;

	if (at < 0 && errno == ENOENT)
		return refuse(o, CODE_FILE_NOT_FOUND, -ENOENT, "does not exist");
	if (at < 0)
		return refuse_errno(o, errno);
	rc = check_kind(o, at);
	if (rc)
		return rc;
	if (o->writes && S_ISBLK(o->stat.st_mode))
		flags |= O_EXCL;
	fd = reopen(at, flags);
	if (fd < 0)
		return explain_open(o, at, errno);
	*ret = fd;
	return 0;
}

static int open_fd(struct opening *o, int *ret)
{
	int fd = fcntl(o->plan->fd, F_DUPFD_CLOEXEC, 3);
	int rc;

	if (fd < 0)
		return refuse_errno(o, errno);
	rc = check_kind(o, fd);
	if (rc) {
		close_fd(fd);
		return rc;
	}
	*ret = fd;
	return 0;
}

static int claim(const struct opening *o, int fd)
{
	int rc = claim_file(fd);

	if (rc == -EWOULDBLOCK)
		return refuse(o, CODE_IN_USE, -EBUSY,
			      "is in use by another transfer, or has a write under way that does not "
			      "end; wait for it, or stop it, and repeat it");
	return rc ? refuse_errno(o, -rc) : 0;
}

static uint32_t direct_align(const struct opening *o, int fd)
{
	int bytes = 0;

	if (S_ISBLK(o->stat.st_mode) && ioctl(fd, BLKSSZGET, &bytes) == 0 && bytes >= 512)
		return (uint32_t)bytes;
	return ALIGN_DEFAULT;
}

/* Some file systems accept O_DIRECT and refuse the first read: so one is made. An image may hold nothing there. */
static bool direct_works(int fd, uint32_t align, uint64_t size)
{
	void *probe;
	ssize_t done;
	bool works;

	if (size < align)
		return false;
	if (posix_memalign(&probe, ALIGN_DEFAULT, align))
		return false;
	done = pread(fd, probe, align, 0);
	works = done == (ssize_t)align || (done < 0 && errno == EIO);
	free(probe);
	return works;
}

static int disk_open(struct opening *o, struct disk *ret)
{
	cleanup_fd int buffered = -1;
	cleanup_fd int direct = -1;
	uint32_t align;
	int rc;

	rc = o->plan->path ? open_path(o, &buffered) : open_fd(o, &buffered);
	if (!rc)
		rc = check_size(o, buffered);
	if (!rc && o->writes)
		rc = check_writable(o, buffered);
	if (!rc && o->writes && S_ISREG(o->stat.st_mode))
		rc = claim(o, buffered);
	if (rc)
		return rc;
	align = direct_align(o, buffered);
	direct = reopen(buffered, (o->writes ? O_RDWR : O_RDONLY) | O_DIRECT);
	if (direct >= 0 && !direct_works(direct, align, o->wire->size_bytes))
		direct = close_fd(direct);
	ret->align = align;
	ret->buffered = steal_fd(&buffered);
	ret->direct = steal_fd(&direct);
	return 0;
}

static int disk_open_as(bool writes, const struct plan_disk *plan, const struct wire_disk *wire,
			struct disk *ret, struct failure *f)
{
	struct opening o = {
		.plan = plan, .wire = wire, .shown = plan->path, .writes = writes, .f = f
	};
	char number[32];

	if (!plan->path) {
		(void)snprintf(number, sizeof(number), "descriptor %d", plan->fd);
		o.shown = number;
	}
	return disk_open(&o, ret);
}

int disk_open_source(const struct plan_disk *plan, const struct wire_disk *wire, struct disk *ret,
		     struct failure *f)
{
	return disk_open_as(false, plan, wire, ret, f);
}

int disk_open_target(const struct plan_disk *plan, const struct wire_disk *wire, struct disk *ret,
		     struct failure *f)
{
	return disk_open_as(true, plan, wire, ret, f);
}

void disk_close(struct disk *disk)
{
	disk->direct = close_fd(disk->direct);
	disk->buffered = close_fd(disk->buffered);
}

bool disk_takes_direct(const struct disk *disk, uint64_t offset, uint64_t length,
		       const void *memory)
{
	return disk->direct >= 0 && !((offset | length | (uintptr_t)memory) & (disk->align - 1));
}
