/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Receiving records through a ring: first the header, then, as long as it says and not a byte more,
 * the rest.
 */
#ifndef FAILBACK_XFER_INCOMING_H
#define FAILBACK_XFER_INCOMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"
#include "lib/ring.h"
#include "lib/wire.h"

struct incoming {
	struct ring *ring;
	unsigned int file;
	struct ring_op op;
	bool has_header;
	uint64_t nr_records; /* whole ones so far */
	struct wire_header header;
	uint8_t *head; /* room for WIRE_HEAD_MAX */
	uint8_t *body; /* where it goes, or, once the record is whole, where it is */
	size_t body_room;
	uint8_t *packed; /* CBT_WIRE_BODY_MAX, where packed bodies go instead; NULL: none is taken */
};

void incoming_init(struct incoming *in, struct ring *ring, unsigned int file);

/**
 * incoming_start - begin to receive a record into memory that is the ring's until the record is
 * whole.
 */
void incoming_start(struct incoming *in, uint8_t *head, uint8_t *body, size_t body_room);

/**
 * incoming_step - ring_wait() returned @in->op.
 *
 * 1: the record is whole, its header decoded, nothing else looked at; 0: not yet; -ECONNRESET: the
 * peer is gone;
 * -EPROTO: this is no record, or longer than @body_room.
 */
int incoming_step(struct incoming *in, struct failure *f);

#endif
