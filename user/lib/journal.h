/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The receiver's journal of one delta, as it stands on a file or device. PURE: no I/O.
 *
 *	0		slot 0 of the header, JOURNAL_SLOT_BYTES
 *	32 KiB		slot 1
 *	64 KiB		entries, one after the other, each a multiple of JOURNAL_ALIGN
 *
 * An entry is a struct journal_entry, the head of a DATA, ZERO or DISCARD record as on the wire, not
 * packed, filled up to JOURNAL_ALIGN, then its body, filled up likewise. It is written once and never
 * changed. The header says how many entries count: all those that it counts were flushed before it
 * was written, so a header is a promise about everything that it names. Headers go to the two slots
 * in turn, each flushed before anything is done that relies on it; a torn one leaves the other.
 *
 *	state		the disks hold			a crash leaves
 *	EMPTY		begin.epoch, or the past	nothing to do
 *	FILLING		begin.base, whole		entries to go on from, or to drop
 *	COMPLETE	anything between base and epoch	entries to apply, as often as wanted
 *
 * Applying COMPLETE to the end, flushing the disks and then writing EMPTY brings the disks from one
 * epoch to the next; nothing is ever written to them in another state.
 */
#ifndef FAILBACK_LIB_JOURNAL_H
#define FAILBACK_LIB_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/wire.h"

#define JOURNAL_ALIGN	    4096U
#define JOURNAL_SLOT_BYTES  (32U << 10)
#define JOURNAL_DATA_OFFSET (2U * JOURNAL_SLOT_BYTES)
#define JOURNAL_ENTRY_BYTES 64U /* before the record's head */
/* room for the first part of any entry */
#define JOURNAL_HEAD_MAX \
	((JOURNAL_ENTRY_BYTES + WIRE_HEAD_MAX + JOURNAL_ALIGN - 1) / JOURNAL_ALIGN * JOURNAL_ALIGN)

enum journal_state { JOURNAL_EMPTY, JOURNAL_FILLING, JOURNAL_COMPLETE, NR_JOURNAL_STATES };

struct journal_header {
	uint64_t sequence; /* grows with every header written */
	enum journal_state state;
	uint64_t salt; /* of this delta: no entry of an earlier one counts */
	uint64_t nr_entries;
	uint64_t end; /* byte behind the last entry that counts */
	struct wire_mark mark; /* how far in the delta they reach */
	struct wire_begin begin;
};

/** journal_header_encode - @buf has JOURNAL_SLOT_BYTES. */
void journal_header_encode(const struct journal_header *h, uint8_t *buf);

/** journal_header_decode - false: no header, or a torn one; @ret is untouched. */
bool journal_header_decode(const uint8_t *buf, struct journal_header *ret);

/** journal_header_choose - the one that counts, of two slots; false: neither does. */
bool journal_header_choose(const uint8_t *slot0, const uint8_t *slot1, struct journal_header *ret);

/** journal_header_slot - byte at which a header of that sequence stands. */
static inline uint64_t journal_header_slot(uint64_t sequence)
{
	return sequence % 2 * JOURNAL_SLOT_BYTES;
}

/**
 * journal_continues - whether the entries that @h counts are the start of the delta that is offered
 * as @begin: same machine, epoch, base, disks and bytes.
 */
bool journal_continues(const struct journal_header *h, const struct wire_begin *begin);

/** journal_bytes_needed - a size that holds any delta of so many bytes as our sender cuts it. */
uint64_t journal_bytes_needed(const struct wire_begin *begin);

struct journal_entry {
	uint32_t head_bytes; /* of the first part, filled up */
	uint32_t body_bytes; /* filled up; 0: no second part */
	struct wire_header record;
};

/**
 * journal_entry_seal - make the first part of an entry.
 * @buf: JOURNAL_HEAD_MAX bytes, aligned; the record's head stands at JOURNAL_ENTRY_BYTES
 */
struct journal_entry journal_entry_seal(const struct wire_header *record, uint64_t salt,
					uint64_t index, uint8_t *buf);

/**
 * journal_entry_decode - the first JOURNAL_ALIGN bytes of an entry: its lengths, bounded. False:
 * this is not entry @index of the delta.
 */
bool journal_entry_decode(const uint8_t *buf, uint64_t salt, uint64_t index,
			  struct journal_entry *ret);

/**
 * journal_entry_open - a whole entry: undamaged, within the disks of @begin.
 * @body: the second part; @extents: room for CBT_WIRE_EXTENTS_MAX
 */
bool journal_entry_open(const struct journal_entry *entry, const uint8_t *head, const uint8_t *body,
			const struct wire_begin *begin, struct extent *extents);

#endif
