/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small files that are there whole, old or new, whatever is cut off. */
#ifndef FAILBACK_LIB_PUT_FILE_H
#define FAILBACK_LIB_PUT_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "base/failure.h"

/**
 * put_file - replace @path by @len bytes, durably; it never has more rights than @mode. On failure what
 * was there is there whole, or the new contents are, and may not outlive a power cut.
 */
int put_file(const char *path, mode_t mode, const void *data, size_t len, struct failure *f);

/*
 * What is to be edited: lock, read, put. Close the lock when it is put.
 *
 * put_file_lock - CODE_IN_USE: another program holds the directory. It is made if it is not there.
 * put_file_read - as a string, malloc()ed; "" and the usual mode without the file
 */
int put_file_lock(const char *path, int *ret_fd, struct failure *f);
int put_file_read(const char *path, char **ret, mode_t *ret_mode, struct failure *f);

#endif
