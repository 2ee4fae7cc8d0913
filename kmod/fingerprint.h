/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A fingerprint of an origin, to notice that it was written while nobody tracked it.
 *
 * It covers the first and the last MiB, where file systems, partition tables and LVM write when
 * they are used at all, and 256 places of 4 KiB that a seed chooses. What was written elsewhere
 * only goes unnoticed.
 */
#ifndef CBT_FINGERPRINT_H
#define CBT_FINGERPRINT_H

#include <linux/blkdev.h>

/** cbt_fingerprint - read it. @seed not 0. Waits for I/O. Return: 0, -ENOMEM or the read's error. */
int cbt_fingerprint(struct block_device *bdev, u64 nr_sectors, u64 seed, u64 *ret);

#endif
