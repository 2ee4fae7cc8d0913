// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/put_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static void close_file_at(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

int put_file_read(const char *path, char **ret, mode_t *ret_mode, struct failure *f)
{
	_cleanup_(close_file_at) FILE *file = fopen(path, "re");
	cleanup_free char *text = NULL;
	struct stat status = { .st_mode = S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH };
	size_t room = 0;
	ssize_t len = 0;

	if (!file && errno != ENOENT)
		return failure_set(f, code_of_errno(errno), -errno, "Cannot read %s: %s.", path,
				   strerror(errno));
	if (file) {
		(void)fstat(fileno(file), &status);
		len = getdelim(&text, &room, '\0', file);
	}
	if (file && len < 0 && !feof(file))
		return failure_set(f, CODE_FAILED, -EIO, "Cannot read %s.", path);
	/* What follows would be lost with the next put_file(). */
	if (len > 0 && !text[len - 1])
		return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EINVAL,
				   "%s has a byte of 0, and is no text: put it right first.", path);
	*ret = len > 0 ? steal_ptr(text) : strdup("");
	*ret_mode = status.st_mode & 07777;
	return *ret ? 0 : failure_no_memory(f);
}

/* LOCK: of the directory, since the file itself is replaced. */
int put_file_lock(const char *path, int *ret_fd, struct failure *f)
{
	cleanup_free char *copy = strdup(path);
	cleanup_fd int fd = -1;
	const char *directory;

	if (!copy)
		return failure_no_memory(f);
	directory = dirname(copy);
	if (mkdir(directory, 0755) == 0 || errno == EEXIST)
		fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
		*ret_fd = steal_fd(&fd);
		return 0;
	}
	/* Anyone who can read the directory can hold it: nobody waits for that. */
	if (errno == EWOULDBLOCK)
		return failure_set(f, CODE_IN_USE, -EBUSY,
				   "Another program holds %s (`lslocks` says which); repeat when it has ended.",
				   directory);
	return failure_set(f, code_of_errno(errno), -errno, "Cannot use %s: %s.", directory,
			   strerror(errno));
}

static int write_whole(int fd, const char *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t written = write(fd, data + done, len - done);

		if (written < 0 && errno != EINTR)
			return -errno;
		done += written > 0 ? (size_t)written : 0;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* CRASH: the new name is there only when its directory is durable. */
static int sync_directory_of(const char *path)
{
	cleanup_free char *directory = strdup(path);
	char *slash = directory ? strrchr(directory, '/') : NULL;
	cleanup_fd int fd = -1;

	if (!directory)
		return -ENOMEM;
	if (slash)
		slash[slash == directory] = '\0';
	fd = open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int put_file(const char *path, mode_t mode, const void *data, size_t len, struct failure *f)
{
	cleanup_free char *temporary = NULL;
	cleanup_fd int fd = -1;
	int rc = 0;

	if (asprintf(&temporary, "%s.new", path) < 0)
		return failure_no_memory(f);
	(void)unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		rc = -errno;
	if (!rc)
		rc = write_whole(fd, data, len);
	if (!rc && rename(temporary, path) < 0)
		rc = -errno;
	if (rc)
		(void)unlink(temporary);
	else
		rc = sync_directory_of(path);
	return rc ? failure_set(f, code_of_errno(rc), rc, "Cannot write %s: %s.", path, strerror(-rc)) :
		    0;
}
