/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What uses a disk, as far as the system tells: mounts (libmount), devices built on it (/sys), and
 * programs that write it (/proc). Only for sentences: the claim itself is the kernel's O_EXCL.
 */
#ifndef FAILBACK_LIB_HOLDER_H
#define FAILBACK_LIB_HOLDER_H

#include <stdbool.h>
#include <sys/stat.h>

#define HOLDER_TEXT_MAX 256

/**
 * holder_describe - "it is mounted on /srv", "device vm1-disk0 is built on it", "qemu (PID 12) has
 * it open for writing".
 * @path, @disk: a block device or regular file, and its stat(2)
 *
 * Returns whether a culprit was found; when not, @ret says who it may be. Readers do not count, nor
 * does the caller.
 */
bool holder_describe(const char *path, const struct stat *disk, char ret[HOLDER_TEXT_MAX]);

/**
 * holder_writer - does a program have the disk at @path open for writing? That is below its tracker where it
 * has one, which does not see it. @ret: as above; only where it is so.
 */
bool holder_writer(const char *path, char ret[HOLDER_TEXT_MAX]);

#endif
