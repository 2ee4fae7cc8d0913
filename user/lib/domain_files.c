// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CRASH: each file is there whole, old or new. Between two of them a crash leaves some of both; whoever puts
 * them again puts all.
 */
#include "lib/domain_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define TPM_PARENT "/var/lib/libvirt"
#define TPM_NAME   "swtpm"

/* As libvirt makes them. */
#define MODE_PASS 0711
#define MODE_TPM  0700

static int explain(const char *what, const char *name, int error, struct failure *f)
{
	return failure_set(f, code_of_errno(error), -error, "Cannot %s %.300s of the domain: %s.", what, name,
			   error == ELOOP || error == ENOTDIR ? "it is a link, or another thing than it should be" :
								strerror(error));
}

/* --- reading --- */

static int read_whole(int fd, struct definition_bytes *ret)
{
	struct definition_bytes bytes = { 0 };
	struct stat st;
	ssize_t got;

	if (fstat(fd, &st) < 0)
		return errno;
	bytes.data = malloc((size_t)st.st_size + 1);
	if (!bytes.data)
		return ENOMEM;
	while ((got = pread(fd, (char *)bytes.data + bytes.len, (size_t)st.st_size - bytes.len,
			    (off_t)bytes.len)) > 0)
		bytes.len += (size_t)got;
	if (got < 0) {
		free(bytes.data);
		return EIO;
	}
	*ret = bytes;
	return 0;
}

/* -ENOENT: it is not there. */
static int read_at(int directory, const char *name, size_t max, mode_t *ret_mode,
		   struct definition_bytes *ret, struct failure *f)
{
	cleanup_fd int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int error;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0 || fstat(fd, &st) < 0)
		return explain("read", name, errno, f);
	if (!S_ISREG(st.st_mode))
		return explain("read", name, ELOOP, f);
	if ((size_t)st.st_size > max)
		return failure_set(f, CODE_NOT_SUPPORTED, -EFBIG,
				   "The file %.300s of the domain has %lld bytes, and at most %zu are taken to "
				   "another host: take it there by hand.",
				   name, (long long)st.st_size, max);
	*ret_mode = st.st_mode & 0777;
	error = read_whole(fd, ret);
	return error ? explain("read", name, error, f) : 0;
}

static void close_directory_at(DIR **directory)
{
	if (*directory)
		(void)closedir(*directory);
}

static int add_file(int fd, const char *directory, const char *name, struct definition *d, struct failure *f)
{
	struct definition_file *file = &d->tpm[d->nr_tpm];
	int rc;

	if (d->nr_tpm == DEFINITION_TPM_MAX)
		return failure_set(f, CODE_NOT_SUPPORTED, -E2BIG,
				   "The TPM of the domain has more than %u files: take them to the other host "
				   "by hand.",
				   DEFINITION_TPM_MAX);
	rc = read_at(fd, name, DEFINITION_TPM_BYTES, &file->mode, &file->bytes, f);
	if (rc)
		return rc == -ENOENT ? 0 : rc; /* a temporary one */
	(void)snprintf(file->directory, sizeof(file->directory), "%s", directory);
	memcpy(file->name, name, strlen(name) + 1); /* it is short, as a name of one */
	d->nr_tpm++;
	return 0;
}

static int read_directory(int parent, const char *name, struct definition *d, struct failure *f)
{
	_cleanup_(close_directory_at) DIR *directory = NULL;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	int rc = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : explain("read", name, errno, f);
	directory = fdopendir(fd);
	if (!directory) {
		(void)close_fd(fd);
		return explain("read", name, ENOMEM, f);
	}
	while (!rc && (entry = readdir(directory))) {
		struct stat st;

		if (definition_is_file(entry->d_name) &&
		    fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			rc = add_file(fd, name, entry->d_name, d, f);
	}
	return rc;
}

int domain_files_read(const char *nvram, struct definition *d, struct failure *f)
{
	static const char *const directories[] = { "tpm1.2", "tpm2" };
	char path[sizeof(TPM_PARENT "/" TPM_NAME "/") + UUID_TEXT_LEN];
	char uuid[UUID_TEXT_LEN + 1];
	cleanup_fd int fd = -1;
	mode_t ignored;
	int rc = 0;

	if (nvram[0])
		rc = read_at(AT_FDCWD, nvram, DEFINITION_NVRAM_MAX, &ignored, &d->nvram, f);
	if (rc && rc != -ENOENT)
		return rc;
	(void)snprintf(path, sizeof(path), TPM_PARENT "/" TPM_NAME "/%s", uuid_format(&d->uuid, uuid));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : explain("read", path, errno, f);
	rc = read_directory(fd, directories[0], d, f);
	return rc ? rc : read_directory(fd, directories[1], d, f);
}

/* --- putting --- */

/* Whose it is to be: as what it replaces, else its directory's. 0, or a positive errno. */
static int give_owner(int directory, const char *name, int fd, mode_t mode)
{
	struct stat st;

	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (!S_ISREG(st.st_mode))
			return ELOOP;
		mode = st.st_mode & 0777;
	} else if (errno != ENOENT || fstat(directory, &st) < 0) {
		return errno;
	}
	return fchown(fd, st.st_uid, st.st_gid) < 0 || fchmod(fd, mode) < 0 ? errno : 0;
}

static int write_whole(int fd, const struct definition_bytes *bytes)
{
	for (size_t done = 0; done < bytes->len;) {
		ssize_t written = write(fd, (const char *)bytes->data + done, bytes->len - done);

		if (written < 0 && errno != EINTR)
			return errno;
		done += written > 0 ? (size_t)written : 0;
	}
	return fsync(fd) < 0 ? errno : 0;
}

static int put_at(int directory, const char *name, mode_t mode, const struct definition_bytes *bytes,
		  struct failure *f)
{
	char temporary[NAME_MAX + 1];
	cleanup_fd int fd = -1;
	int error = 0;

	if ((size_t)snprintf(temporary, sizeof(temporary), ".%s.failback", name) >= sizeof(temporary))
		return explain("write", name, ENAMETOOLONG, f);
	(void)unlinkat(directory, temporary, 0);
	fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return explain("write", name, errno, f);
	error = write_whole(fd, bytes);
	if (!error)
		error = give_owner(directory, name, fd, mode);
	if (!error && renameat(directory, temporary, directory, name) < 0)
		error = errno;
	if (error)
		(void)unlinkat(directory, temporary, 0);
	/* CRASH: the new name is there only when its directory is durable. */
	else if (fsync(directory) < 0)
		error = errno;
	return error ? explain("write", name, error, f) : 0;
}

/* It is made if it is not there, with @mode whatever the umask of the caller is. @parent: closed. */
static int enter(int parent, const char *name, mode_t mode)
{
	bool made = mkdirat(parent, name, mode) == 0;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && made && (fchmod(fd, mode) < 0 || fsync(parent) < 0))
		fd = close_fd(fd);
	(void)close_fd(parent);
	return fd;
}

static int put_tpm(const struct uuid *uuid, const struct definition_file *file, struct failure *f)
{
	char text[UUID_TEXT_LEN + 1];
	cleanup_fd int fd = open(TPM_PARENT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		fd = enter(fd, TPM_NAME, MODE_PASS);
	if (fd >= 0)
		fd = enter(fd, uuid_format(uuid, text), MODE_PASS);
	if (fd >= 0)
		fd = enter(fd, file->directory, MODE_TPM);
	if (fd < 0)
		return explain("write", TPM_PARENT "/" TPM_NAME, errno, f);
	return put_at(fd, file->name, file->mode, &file->bytes, f);
}

static int put_nvram(const char *path, const struct definition_bytes *bytes, struct failure *f)
{
	const char *slash = strrchr(path, '/');
	char directory[PATH_MAX];
	cleanup_fd int fd = -1;

	if (path[0] != '/' || !slash[1])
		return explain("write", path, EINVAL, f);
	(void)snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path) + 1, path);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? explain("write", path, errno, f) : put_at(fd, slash + 1, 0600, bytes, f);
}

int domain_files_put(const char *nvram, const struct definition *d, struct failure *f)
{
	int rc = nvram[0] && d->nvram.data ? put_nvram(nvram, &d->nvram, f) : 0;

	for (size_t i = 0; !rc && i < d->nr_tpm; i++)
		rc = put_tpm(&d->uuid, &d->tpm[i], f);
	return rc;
}

/* --- what is there --- */

static bool is_newer(const char *path, size_t max, const struct definition_bytes *bytes,
		     const struct timespec *since)
{
	struct definition_bytes there = { 0 };
	struct failure ignored;
	struct stat st;
	mode_t mode;
	bool differs;

	if (!bytes->data || lstat(path, &st) < 0 || st.st_mtim.tv_sec < since->tv_sec ||
	    (st.st_mtim.tv_sec == since->tv_sec && st.st_mtim.tv_nsec <= since->tv_nsec))
		return false;
	differs = read_at(AT_FDCWD, path, max, &mode, &there, &ignored) || there.len != bytes->len ||
		  memcmp(there.data, bytes->data, bytes->len) != 0;
	free(there.data);
	return differs;
}

bool domain_files_are_newer(const char *nvram, const struct definition *d, const struct timespec *since)
{
	char path[PATH_MAX];
	char uuid[UUID_TEXT_LEN + 1];
	bool newer = nvram[0] && is_newer(nvram, DEFINITION_NVRAM_MAX, &d->nvram, since);

	for (size_t i = 0; !newer && i < d->nr_tpm; i++) {
		const struct definition_file *file = &d->tpm[i];

		(void)snprintf(path, sizeof(path), TPM_PARENT "/" TPM_NAME "/%s/%s/%s", uuid_format(&d->uuid, uuid),
			       file->directory, file->name);
		newer = is_newer(path, DEFINITION_TPM_BYTES, &file->bytes, since);
	}
	return newer;
}
