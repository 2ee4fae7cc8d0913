// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/put_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

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
		return failure_set(f, CODE_OUT_OF_MEMORY, -ENOMEM, "Out of memory.");
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
