/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Does a disk hold nothing yet? A guess for the choice of a method: either answer must be safe. */
#ifndef FAILBACK_LIB_BLANK_H
#define FAILBACK_LIB_BLANK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * blank_disk - are the beginning, the end and some places between zero? There is where partition
 * tables, volume managers and file systems leave a mark. What cannot be read is not blank.
 *
 * At most ten reads; the first that finds something is the last.
 */
bool blank_disk(int fd, uint64_t size_bytes);

struct blank {
	int fd;
	uint64_t size_bytes;
	bool is_blank; /* the answer */
};

/**
 * blank_disks_within - ask of @disks what blank_disk() tells, and wait at most @timeout_ms for each
 * of them, and twice that for all: those that only are not reached by then are not blank, for all that is known.
 *
 * -ETIMEDOUT: the first disk that has not answered is @ret_slow; a thread waits on until it does, with
 * descriptors of its own that claim nothing. Asked again meanwhile, it is told at once. Other errors: that there is no thread or memory to ask with.
 */
int blank_disks_within(struct blank *disks, size_t nr, unsigned int timeout_ms, size_t *ret_slow);

#endif
