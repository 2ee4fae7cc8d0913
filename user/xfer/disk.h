/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk of a plan, opened to be read or written: a block device or a file.
 *
 * It is opened twice, for direct and for buffered I/O. Direct is used for what is aligned, where
 * the file can do it; the rest goes through the page cache, which the kernel keeps coherent with
 * direct I/O on the same file.
 */
#ifndef FAILBACK_XFER_DISK_H
#define FAILBACK_XFER_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "lib/wire.h"
#include "xfer/plan.h"

struct disk {
	int buffered; /* fd */
	int direct; /* fd, -1: this file has no direct I/O */
	uint32_t align; /* bytes; offset, length and memory of direct I/O */
};

/**
 * disk_open_source - open for reading. Others may write to it meanwhile.
 *
 * Refused: missing, neither block device nor file, smaller than the plan says.
 */
int disk_open_source(const struct plan_disk *plan, const struct wire_disk *wire, struct disk *ret,
		     struct failure *f);

/**
 * disk_open_target - open for writing. A block device is claimed: nobody can mount it, put a device
 * on it or claim it as well until it is closed. A file is locked (flock), against other transfers
 * only.
 *
 * Refused, besides the above: read-only; a block device that is mounted, has holders or is claimed
 * by someone else (CODE_IN_USE, the sentence names who holds it where that can be told); a file
 * that another transfer has locked for 5 s. A descriptor of a block device in the plan was claimed
 * by whoever opened it.
 */
int disk_open_target(const struct plan_disk *plan, const struct wire_disk *wire, struct disk *ret,
		     struct failure *f);

void disk_close(struct disk *disk);

/**
 * disk_takes_direct - whether a transfer of @length bytes at @offset from or to @memory can be
 * direct.
 */
bool disk_takes_direct(const struct disk *disk, uint64_t offset, uint64_t length,
		       const void *memory);

#endif
