// SPDX-License-Identifier: GPL-2.0-or-later
#include "xfer/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/zero.h"
#include "xfer/claim.h"

int journal_file_failed(int error, const char *what, struct failure *f)
{
	return failure_set(f, CODE_FAILED, -EIO, "cannot %s the journal: %s", what,
			   strerror(-error));
}

static int refuse_errno(int error, const char *what, struct failure *f)
{
	return failure_set(f, code_of_errno(error), -error, "cannot %s the journal: %s", what,
			   strerror(error));
}

void journal_file_close_at(struct journal_file **j)
{
	if (!*j)
		return;
	close_fd((*j)->fd);
	free((*j)->buf);
	free(*j);
	*j = NULL;
}

static int read_all(int fd, uint8_t *buf, size_t len, uint64_t offset)
{
	while (len) {
		ssize_t got = pread(fd, buf, len, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			return -ENODATA;
		buf += got;
		len -= (size_t)got;
		offset += (size_t)got;
	}
	return 0;
}

/* Nothing but a journal, or nothing at all, may be written over. */
static int read_headers(struct journal_file *j, struct failure *f)
{
	cleanup_free uint8_t *slots = aligned_alloc(JOURNAL_ALIGN, JOURNAL_DATA_OFFSET);
	int rc;

	if (!slots)
		return failure_no_memory(f);
	if (j->size < JOURNAL_DATA_OFFSET) {
		if (!j->size)
			return 0;
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "what should be the journal is too small to be one");
	}
	rc = read_all(j->fd, slots, JOURNAL_DATA_OFFSET, 0);
	if (rc)
		return journal_file_failed(rc, "read", f);
	if (journal_header_choose(slots, slots + JOURNAL_SLOT_BYTES, &j->header) ||
	    is_zero(slots, JOURNAL_DATA_OFFSET))
		return 0;
	return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
			   "what should be the journal holds something else; clear its first 64 KiB "
			   "if it is not needed");
}

static int find_size(struct journal_file *j, struct failure *f)
{
	struct stat st;

	if (fstat(j->fd, &st) < 0)
		return refuse_errno(errno, "look at", f);
	j->is_device = S_ISBLK(st.st_mode);
	j->size = (uint64_t)st.st_size;
	if (!j->is_device && !S_ISREG(st.st_mode))
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "the journal is neither a file nor a block device");
	if (j->is_device && ioctl(j->fd, BLKGETSIZE64, &j->size) < 0)
		return refuse_errno(errno, "look at", f);
	return 0;
}

/* Where the file can do it: some accept the flag and refuse the first read, so one is made. */
static void go_direct(struct journal_file *j)
{
	int flags = fcntl(j->fd, F_GETFL);

	if (flags < 0 || fcntl(j->fd, F_SETFL, flags | O_DIRECT) < 0)
		return;
	if (j->size >= JOURNAL_ALIGN && read_all(j->fd, j->buf, JOURNAL_ALIGN, 0))
		(void)fcntl(j->fd, F_SETFL, flags);
}

/* CRASH: a journal whose name is lost is lost with all that it acknowledged. */
static int flush_name(const char *path, struct failure *f)
{
	cleanup_free char *copy = strdup(path);
	cleanup_fd int directory = -1;

	if (!copy)
		return failure_no_memory(f);
	directory = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 || fsync(directory) < 0)
		return refuse_errno(errno, "flush the directory of", f);
	return 0;
}

static int claim(const struct plan_journal *plan, struct journal_file *j, struct failure *f)
{
	struct stat st;
	int rc;

	if (!plan->path)
		j->fd = fcntl(plan->fd, F_DUPFD_CLOEXEC, 3);
	else if (stat(plan->path, &st) == 0 && S_ISBLK(st.st_mode))
		j->fd = open(plan->path, O_RDWR | O_EXCL | O_CLOEXEC);
	else
		j->fd = open(plan->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (j->fd < 0)
		return refuse_errno(errno, "open", f);
	rc = claim_file(j->fd);
	if (rc == -EWOULDBLOCK)
		return failure_set(f, CODE_IN_USE, -EBUSY, "the journal is used by another transfer");
	return rc ? refuse_errno(-rc, "lock", f) : 0;
}

int journal_file_open(const struct plan_journal *plan, struct journal_file **ret, struct failure *f)
{
	_cleanup_(journal_file_close_at) struct journal_file *j = calloc(1, sizeof(*j));
	int rc;

	if (!j)
		return failure_no_memory(f);
	j->fd = -1;
	j->is_given = !plan->path;
	j->buf = aligned_alloc(JOURNAL_ALIGN, JOURNAL_SLOT_BYTES);
	if (!j->buf)
		return failure_no_memory(f);
	rc = claim(plan, j, f);
	if (!rc)
		rc = find_size(j, f);
	if (!rc && plan->path && !j->is_device)
		rc = flush_name(plan->path, f);
	if (!rc)
		go_direct(j);
	if (!rc)
		rc = read_headers(j, f);
	if (rc)
		return rc;
	*ret = steal_ptr(j);
	return 0;
}

static int make_room(struct journal_file *j, uint64_t bytes, struct failure *f)
{
	if (j->size >= bytes)
		return 0;
	if (j->is_given)
		return failure_set(f, CODE_FAILED, -ENOSPC,
				   "the delta is larger than announced: its journal has %llu MiB, %llu are "
				   "needed",
				   (unsigned long long)(j->size >> 20), (unsigned long long)(bytes >> 20));
	if (!j->is_device && fallocate(j->fd, 0, 0, (off_t)bytes) == 0) {
		j->size = bytes;
		return fsync(j->fd) ? journal_file_failed(-errno, "flush", f) : 0;
	}
	return failure_set(f, CODE_FAILED, -ENOSPC,
			   "the journal has no room: %llu MiB are needed, it has %llu%s%s",
			   (unsigned long long)(bytes >> 20), (unsigned long long)(j->size >> 20),
			   j->is_device ? "" : " and cannot grow: ",
			   j->is_device ? "" : strerror(errno));
}

int journal_file_check_size(const struct journal_file *j, struct failure *f)
{
	if (j->header.end <= j->size)
		return 0;
	return failure_set(f, CODE_FAILED, -EBADMSG, "the journal is cut short: it ends at byte %llu, and holds %llu",
			   (unsigned long long)j->size, (unsigned long long)j->header.end);
}

int journal_file_commit(struct journal_file *j, const struct journal_header *next,
			struct failure *f)
{
	uint64_t offset = journal_header_slot(next->sequence);
	size_t done = 0;

	journal_header_encode(next, j->buf);
	while (done < JOURNAL_SLOT_BYTES) {
		ssize_t written = pwrite(j->fd, j->buf + done, JOURNAL_SLOT_BYTES - done,
					 (off_t)(offset + done));

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return journal_file_failed(written ? -errno : -EIO, "write", f);
		done += (size_t)written;
	}
	if (fdatasync(j->fd))
		return journal_file_failed(-errno, "flush", f);
	j->header = *next;
	return 0;
}

int journal_file_begin(struct journal_file *j, const struct wire_begin *begin, struct failure *f)
{
	struct journal_header next = {
		.sequence = j->header.sequence + 1,
		.state = JOURNAL_FILLING,
		.end = JOURNAL_DATA_OFFSET,
		.begin = *begin,
	};
	int rc = make_room(j, journal_bytes_needed(begin), f);

	if (rc)
		return rc;
	if (getrandom(&next.salt, sizeof(next.salt), 0) != sizeof(next.salt))
		return refuse_errno(errno, "begin", f);
	return journal_file_commit(j, &next, f);
}
