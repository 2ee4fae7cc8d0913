/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The receiver's side of a comparison: several HASH records are being looked up on the disks at a
 * time; they are answered in the order in which they came.
 */
#ifndef FAILBACK_XFER_HASH_TARGET_H
#define FAILBACK_XFER_HASH_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "lib/extent.h"
#include "lib/mac.h"
#include "lib/ring.h"
#include "lib/wire.h"
#include "xfer/transfer.h"

struct hash_target;

int hash_target_open(struct transfer *t, const uint8_t key[MAC_KEY_BYTES], struct hash_target **ret,
		     struct failure *f);
void hash_target_close_at(struct hash_target **h); /* *@h may be NULL, and is then */

/**
 * hash_target_start - look a HASH up.
 * @slot: below the transfer's nr_slots; it is taken until this HASH is answered
 * @body: of the record, of RING_BUFFER_BYTES; it is read into
 */
void hash_target_start(struct hash_target *h, unsigned int slot, const struct wire_header *record,
		       const struct extent *extents, uint8_t *body);

/** hash_target_ended - ring_wait() returned @op, a read of this file's. */
int hash_target_ended(struct hash_target *h, const struct ring_op *op, struct failure *f);

/**
 * hash_target_answer - the body of the next DIFFER. 1: there is one, of @ret_bytes, and @ret_slot is
 * free again; 0: not yet.
 * @ret: room for a bit for each of CBT_WIRE_MACS_MAX
 */
int hash_target_answer(struct hash_target *h, uint8_t *ret, size_t *ret_bytes,
		       unsigned int *ret_slot, struct failure *f);

#endif
