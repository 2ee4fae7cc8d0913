// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The module reads and writes a store past the page cache, so this does, too, where the file lets
 * it: what is cached may be old.
 */
#include "lib/cbt_store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <linux/fs.h>

#include "lib/devid.h"
#include "lib/holder.h"

#define ZERO_BLOCKS 256 /* written at once */

static int cannot_open(const char *path, int error, struct failure *f)
{
	return failure_set(f, code_of_errno(-error), -error, "store %s cannot be opened: %s", path,
			   strerror(error));
}

static int measure(struct cbt_store *store, const struct stat *st, struct failure *f)
{
	uint64_t bytes = (uint64_t)st->st_size;

	if (S_ISBLK(st->st_mode) && ioctl(store->fd, BLKGETSIZE64, &bytes) < 0)
		return cannot_open(store->path, errno, f);
	store->nr_blocks = bytes / CBT_DISK_BLOCK;
	return 0;
}

static int open_direct(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECT);

	/* tmpfs and the like */
	if (fd < 0 && errno == EINVAL)
		fd = open(path, flags);
	return fd;
}

int cbt_store_open(struct cbt_store *ret, const char *path, enum cbt_store_use use,
		   struct failure *f)
{
	cleanup_cbt_store struct cbt_store store = { .path = path, .fd = -1 };
	bool is_written = use == CBT_STORE_FORMAT || use == CBT_STORE_CHANGE;
	int flags = O_CLOEXEC | (is_written ? O_RDWR : O_RDONLY);
	char who[HOLDER_TEXT_MAX];
	struct stat st;
	int err = devid_exists(path, f);

	if (err < 0)
		return err;
	if (stat(path, &st) < 0)
		return cannot_open(path, errno, f);
	if (use != CBT_STORE_LOOK && S_ISBLK(st.st_mode))
		flags |= O_EXCL;
	/* Formatting looks for what libblkid knows, in pieces of any size, and ends with fsync(). */
	store.fd = use == CBT_STORE_FORMAT ? open(path, flags) : open_direct(path, flags);
	if (store.fd < 0 && errno != EBUSY)
		return cannot_open(path, errno, f);
	if (use != CBT_STORE_LOOK && (holder_describe(path, &st, who) || store.fd < 0))
		return failure_set(f, CODE_IN_USE, -EBUSY, "store %s is in use: %s", path, who);
	err = measure(&store, &st, f);
	if (err < 0)
		return err;
	*ret = store;
	store.fd = -1;
	return 0;
}

void cbt_store_close(struct cbt_store *store)
{
	store->fd = close_fd(store->fd);
}

void *cbt_store_buffer(uint32_t nr)
{
	return aligned_alloc(CBT_DISK_BLOCK, (size_t)nr * CBT_DISK_BLOCK);
}

int cbt_store_read(void *context, u64 start, u32 nr, void *buffer)
{
	const struct cbt_store *store = context;
	size_t want = (size_t)nr * CBT_DISK_BLOCK;
	size_t done = 0;

	if (start >= store->nr_blocks || nr > store->nr_blocks - start)
		return -ENXIO;
	while (done < want) {
		ssize_t n = pread(store->fd, (char *)buffer + done, want - done,
				  (off_t)(start * CBT_DISK_BLOCK + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int write_all(int fd, const void *data, size_t bytes, uint64_t offset)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = pwrite(fd, (const char *)data + done, bytes - done,
				   (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

int cbt_store_write(struct cbt_store *store, uint64_t start, const void *block)
{
	return write_all(store->fd, block, CBT_DISK_BLOCK, start * CBT_DISK_BLOCK);
}

static int write_zeroes(struct cbt_store *store, uint64_t start, uint64_t nr)
{
	cleanup_free void *zeroes = cbt_store_buffer(ZERO_BLOCKS);

	if (!zeroes)
		return -ENOMEM;
	memset(zeroes, 0, (size_t)ZERO_BLOCKS * CBT_DISK_BLOCK);
	while (nr) {
		uint64_t now = nr < ZERO_BLOCKS ? nr : ZERO_BLOCKS;
		int err = write_all(store->fd, zeroes, now * CBT_DISK_BLOCK, start * CBT_DISK_BLOCK);

		if (err < 0)
			return err;
		start += now;
		nr -= now;
	}
	return 0;
}

int cbt_store_zero(struct cbt_store *store, uint64_t start, uint64_t nr)
{
	uint64_t range[2] = { start * CBT_DISK_BLOCK, nr * CBT_DISK_BLOCK };

	if (ioctl(store->fd, BLKZEROOUT, range) == 0)
		return 0;
	return write_zeroes(store, start, nr);
}

int cbt_store_flush(struct cbt_store *store)
{
	return fsync(store->fd) < 0 ? -errno : 0;
}

static enum code code_of_super(int error)
{
	switch (error) {
	case -ENODATA:
		return CODE_INVALID_STATE;
	case -EPROTO:
		return CODE_NOT_SUPPORTED;
	default:
		return CODE_FAILED;
	}
}

int cbt_store_super(struct cbt_store *store, struct cbt_super *ret, struct failure *f)
{
	cleanup_free struct cbt_super *slots = calloc(CBT_DISK_SUPER_SLOTS, sizeof(*slots));
	cleanup_free void *buffer = cbt_store_buffer(1);
	const struct cbt_super *super;
	const char *why = "";
	int err = 0;

	if (!slots || !buffer)
		return failure_no_memory(f);
	super = cbt_recover_super(slots, cbt_store_read, store, buffer, &err, &why);
	if (!super)
		return failure_set(f, code_of_super(err), err, "store %s: %s", store->path, why);
	*ret = *super;
	return 0;
}
