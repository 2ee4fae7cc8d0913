/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Does a disk hold nothing yet? A guess for the choice of a method: either answer must be safe. */
#ifndef FAILBACK_LIB_BLANK_H
#define FAILBACK_LIB_BLANK_H

#include <stdbool.h>
#include <stdint.h>

/**
 * blank_disk - are the beginning, the end and some places between zero? There is where partition
 * tables, volume managers and file systems leave a mark. What cannot be read is not blank.
 *
 * At most ten reads; the first that finds something is the last.
 */
bool blank_disk(int fd, uint64_t size_bytes);

#endif
