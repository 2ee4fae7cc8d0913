/* SPDX-License-Identifier: GPL-2.0-only */
/* Reads of a store that is being opened: nobody waits without end for a device that hangs. */
#ifndef CBT_READER_H
#define CBT_READER_H

#include <linux/blk_types.h>

struct cbt_reader;

int cbt_reader_init(void);
void cbt_reader_exit(void);

/**
 * cbt_reader_new - something to read a device with, which holds the module until it is done.
 * @timeout_ms: a read that takes longer has failed
 *
 * Return: a reader, to be given back with cbt_reader_put(); NULL without memory.
 */
struct cbt_reader *cbt_reader_new(struct block_device *bdev, unsigned int timeout_ms);

/** cbt_reader_put - may be NULL. A read that was not waited for has it all until it ends. */
void cbt_reader_put(struct cbt_reader *reader);

/** cbt_reader_blocks - room for CBT_RECOVER_BLOCKS store blocks. */
void *cbt_reader_blocks(struct cbt_reader *reader);

/** cbt_reader_block - room for one store block besides. */
void *cbt_reader_block(struct cbt_reader *reader);

/**
 * cbt_reader_read - a cbt_read_fn.
 * @reader: a struct cbt_reader
 * @buffer: one of its own
 *
 * A device that depends on a suspended one answers when that is resumed, and not before.
 * Context: may sleep. Return: 0; -ETIMEDOUT, and from then on at once; else the device's error.
 */
int cbt_reader_read(void *reader, u64 start, u32 nr, void *buffer);

#endif
