// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preloaded into failback-receive by tests/e2e/transfer-journal.sh: records what it does to some
 * files, in order, for cuts.py, which makes the disks that a power cut may leave.
 *
 *	RECORDER_FILES	paths with colons
 *	RECORDER_LOG	where to; entries of: kind, file, 6 bytes of 0, offset, length, and the data of a write
 *
 * Kinds: W a write, Z a range made zero, F a flush, Y one of the file's size too, A DURABLE was sent to the peer; C the
 * file was made, N its directory was flushed, S room was made up to offset + length.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../../uapi/cbt-wire.h"

#define FILES_MAX 8

static int log_fd = -1;
static int nr_files;
static char *paths[FILES_MAX];
static struct stat files[FILES_MAX]; /* all 0: there is none yet */
static struct stat directories[FILES_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* LOCK: an entry of the log, whole */

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void raw_write(const void *buf, size_t len)
{
	if (write(log_fd, buf, len) != (ssize_t)len)
		abort();
}

static void __attribute__((constructor)) start(void)
{
	char *names = strdup(getenv("RECORDER_FILES"));

	log_fd = open(getenv("RECORDER_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	for (char *path = strtok(names, ":"); path && nr_files < FILES_MAX; path = strtok(NULL, ":")) {
		char *copy = strdup(path);

		paths[nr_files] = path;
		(void)stat(path, &files[nr_files]);
		if (stat(dirname(copy), &directories[nr_files++]))
			abort();
		free(copy);
	}
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int file_of(int fd)
{
	struct stat st;

	for (int i = 0; fstat(fd, &st) == 0 && i < nr_files; i++)
		if (is_same(&st, &files[i]))
			return i;
	return -1;
}

static void note(char kind, int file, uint64_t offset, uint64_t length, const struct iovec *iov)
{
	char head[8] = { kind, (char)file };

	(void)pthread_mutex_lock(&lock);
	raw_write(head, sizeof(head));
	raw_write(&offset, sizeof(offset));
	raw_write(&length, sizeof(length));
	for (; iov && length; iov++) {
		size_t len = iov->iov_len < length ? iov->iov_len : length;

		raw_write(iov->iov_base, len);
		length -= len;
	}
	(void)pthread_mutex_unlock(&lock);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	ssize_t rc = REAL(pwrite)(fd, buf, len, offset);
	int file = file_of(fd);

	if (rc > 0 && file >= 0) {
		struct iovec iov = { (void *)buf, len };

		note('W', file, (uint64_t)offset, (uint64_t)rc, &iov);
	}
	return rc;
}

ssize_t pwritev(int fd, const struct iovec *iov, int nr, off_t offset)
{
	ssize_t rc = REAL(pwritev)(fd, iov, nr, offset);
	int file = file_of(fd);

	if (rc > 0 && file >= 0)
		note('W', file, (uint64_t)offset, (uint64_t)rc, iov);
	return rc;
}

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list more;
	int fd;

	va_start(more, flags);
	if (flags & O_CREAT)
		mode = va_arg(more, mode_t);
	va_end(more);
	fd = REAL(open)(path, flags, mode);
	for (int i = 0; fd >= 0 && i < nr_files; i++)
		if (!files[i].st_ino && strcmp(path, paths[i]) == 0 && !fstat(fd, &files[i]))
			note('C', i, 0, 0, NULL);
	return fd;
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	int rc = REAL(fallocate)(fd, mode, offset, len);
	int file = file_of(fd);

	if (!rc && file >= 0)
		note(mode ? 'Z' : 'S', file, (uint64_t)offset, (uint64_t)len, NULL);
	return rc;
}

int fdatasync(int fd)
{
	int file = file_of(fd);

	if (file >= 0)
		note('F', file, 0, 0, NULL);
	return REAL(fdatasync)(fd);
}

int fsync(int fd)
{
	int file = file_of(fd);
	struct stat st;

	if (file >= 0)
		note('Y', file, 0, 0, NULL);
	for (int i = 0; fstat(fd, &st) == 0 && i < nr_files; i++)
		if (is_same(&st, &directories[i]))
			note('N', i, 0, 0, NULL);
	return REAL(fsync)(fd);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct cbt_wire_header h;

	if (msg->msg_iov->iov_len >= sizeof(h)) {
		memcpy(&h, msg->msg_iov->iov_base, sizeof(h));
		if (h.magic == CBT_WIRE_MAGIC && h.type == CBT_WIRE_DURABLE)
			note('A', 0, 0, 0, NULL);
	}
	return REAL(sendmsg)(fd, msg, flags);
}
