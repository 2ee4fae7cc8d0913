/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sender's side of a comparison: what of some lists of extents does the receiver's disk not
 * hold?
 *
 * Hashes are made and answered in the order of the lists; between the two, the extents of each are
 * kept here.
 */
#ifndef FAILBACK_XFER_COMPARISON_H
#define FAILBACK_XFER_COMPARISON_H

#include <stdint.h>

#include "base/failure.h"
#include "lib/extent.h"
#include "lib/mac.h"
#include "lib/session.h"

struct comparison;

/** comparison_open - @key as it is told to the receiver. */
int comparison_open(const uint8_t key[MAC_KEY_BYTES], struct comparison **ret, struct failure *f);
void comparison_close_at(struct comparison **c); /* *@c may be NULL, and is then */

/**
 * comparison_hash - make the body of the next HASH; at most SESSION_HASHES_MAX may be without an
 * answer.
 * @body: contents of the extents
 * @ret_macs: room for CBT_WIRE_MACS_MAX; @ret_bytes: of what stands there then
 */
int comparison_hash(struct comparison *c, unsigned int disk, const struct extent *extents,
		    unsigned int nr, const uint8_t *body, uint8_t *ret_macs, size_t *ret_bytes,
		    struct failure *f);

/** comparison_differ - the answer to the oldest without one, in a DIFFER that the session took. */
int comparison_differ(struct comparison *c, const uint8_t *bitmap, struct failure *f);

/**
 * comparison_add_differing - @list, of that disk, becomes what was in it and what differs; at the
 * end.
 */
int comparison_add_differing(struct comparison *c, unsigned int disk, struct extent_list *list,
			     struct failure *f);

#endif
