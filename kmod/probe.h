/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a device answers at all. */
#ifndef CBT_PROBE_H
#define CBT_PROBE_H

#include <linux/blk_types.h>

/**
 * cbt_probe - read a block of a device, without waiting for ever.
 *
 * One that depends on a suspended device answers when that is resumed, and not before.
 * Context: may sleep. Return: 0 it answered, be it with an error; -ETIMEDOUT; -ENOMEM.
 */
int cbt_probe(struct block_device *bdev, unsigned int timeout_ms);

#endif
