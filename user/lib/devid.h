/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disks as the system sees them, block devices and regular files: what is their path, are they
 * there, are they free to be overwritten.
 */
#ifndef FAILBACK_LIB_DEVID_H
#define FAILBACK_LIB_DEVID_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/failure.h"

/** devid_path - a path in /dev that opens the block device @dev, into @buf of PATH_MAX bytes. */
int devid_path(dev_t dev, char *buf, struct failure *f);

/**
 * devid_exists - CODE_FILE_NOT_FOUND when there is no disk at @path, CODE_INVALID_PARAMETER when
 * it is no disk.
 */
int devid_exists(const char *path, struct failure *f);

/** struct devid - what is at a path: one disk has one, whatever its names. */
struct devid {
	bool exists;
	bool is_block;
	dev_t dev; /* itself, or where the file is */
	ino_t ino; /* of a file */
};

struct devid devid_of(const char *path);

/** devid_is_same - false when one of them is not there. */
bool devid_is_same(const struct devid *a, const struct devid *b);

/**
 * devid_overlap - whether @a and @b are one disk, or one is a partition of the other or built on it.
 */
int devid_overlap(const char *a, const char *b, bool *ret, struct failure *f);

/** devid_size - bytes of the disk at @path. */
int devid_size(const char *path, uint64_t *ret, struct failure *f);

/**
 * devid_open_target - open a disk that will be overwritten.
 * @name: of the disk, for sentences
 * @need_bytes: the smallest size that will do
 *
 * A block device is opened exclusively: while the descriptor is open, nobody can mount it, stack
 * on it or open it exclusively. CODE_IN_USE names who mounts, holds or writes it;
 * CODE_INVALID_PARAMETER: too small, names both sizes.
 */
int devid_open_target(const char *name, const char *path, uint64_t need_bytes, int *ret_fd,
		      struct failure *f);

/** devid_check_size - of an open disk; CODE_INVALID_PARAMETER: smaller than @need_bytes. */
int devid_check_size(const char *name, const char *path, int fd, uint64_t need_bytes,
		     struct failure *f);

#endif
