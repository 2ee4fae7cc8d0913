/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sender's bodies, packed where that pays (lib/pack_choice.h) and where they shrink.
 */
#ifndef FAILBACK_XFER_PACKING_H
#define FAILBACK_XFER_PACKING_H

#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"

#define PACKING_AHEAD_MAX 16U

struct packing;

/**
 * packing_open - @body_max: bytes of the largest body.
 * @ahead: packed bodies that are there at a time; at most PACKING_AHEAD_MAX
 */
int packing_open(size_t body_max, unsigned int ahead, struct packing **ret, struct failure *f);
void packing_close_at(struct packing **p); /* *@p may be NULL, and is then */

/**
 * packing_body - the body that goes over the wire in the place of @body. CBT_WIRE_PACKED, and @body and
 * @bytes are its own, which is valid until there were @ahead more; 0: they stay.
 * @p: NULL: they stay
 */
uint16_t packing_body(struct packing *p, const uint8_t **body, size_t *bytes);

/** packing_sent - the connection took a record with so many @bytes of data of disk. @p may be NULL. */
void packing_sent(struct packing *p, size_t bytes);

#endif
