/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shall the next record be packed (lib/pack.h)? PURE: the caller tells the time.
 *
 * What pays is measured: how many bytes of disk get to the receiver per second with packing, and how many
 * without. That holds the link, the processors of both sides and the data at once, none of which needs to
 * be known. The way that was slower is tried again now and then, more seldom each time that it loses.
 */
#ifndef FAILBACK_LIB_PACK_CHOICE_H
#define FAILBACK_LIB_PACK_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

struct pack_choice {
	bool packs; /* the way of now */
	bool on_trial; /* it goes on only if it is faster than the other was */
	bool settled; /* what was under way before it has passed */
	double rates[2]; /* bytes per ns without and with packing, when last measured; 0: not yet */
	uint64_t begin_ns; /* of the span that is being measured */
	uint64_t bytes; /* sent in it */
	unsigned int nr_records;
	unsigned int nr_spans; /* before the other way is tried */
	unsigned int patience; /* what @nr_spans starts from */

	unsigned int nr_skipped; /* records that are not tried, since those before did not shrink */
	unsigned int nr_skips;
};

/** pack_choice_init - begins with packing: a small delta over a slow link has the gain too. */
void pack_choice_init(struct pack_choice *c, uint64_t now_ns);

/** pack_choice_tries - whether to try to pack the record that is next. */
bool pack_choice_tries(struct pack_choice *c);

/** pack_choice_tried - how that went. Records that follow one that does not shrink are not all tried. */
void pack_choice_tried(struct pack_choice *c, bool shrank);

/** pack_choice_sent - a record of @bytes of disk was taken by the connection. */
void pack_choice_sent(struct pack_choice *c, uint64_t bytes, uint64_t now_ns);

#endif
