// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is read back was written by this program or is damaged or hostile: every length is bounded
 * before it is used, as on the wire.
 */
#include "lib/journal.h"

#include <endian.h>
#include <string.h>

#include "base/macro.h"

#define HEADER_MAGIC UINT64_C(0x316c6e726a746263) /* "cbtjrnl1" */
#define ENTRY_MAGIC  0x6e65626aU		  /* "jben" */

struct raw_header {
	__le64 check; /* over all that follows, begin_len bytes of BEGIN included */
	__le64 magic;
	__le64 sequence;
	__le32 state;
	__le32 begin_len;
	__le64 salt;
	__le64 nr_entries;
	__le64 end;
	__le32 mark_disk;
	__le32 reserved;
	__le64 mark_offset;
	__le64 mark_bytes;
};

struct raw_entry {
	__le64 check; /* over the rest of this struct */
	__le32 magic;
	__le32 head_bytes;
	__le32 body_bytes;
	__le32 reserved;
	__le64 salt;
	__le64 index;
	__le64 unused[3];
};

_Static_assert(sizeof(struct raw_header) == 80, "journal header");
_Static_assert(sizeof(struct raw_header) + WIRE_BEGIN_MAX <= JOURNAL_SLOT_BYTES, "journal slot");
_Static_assert(sizeof(struct raw_entry) == JOURNAL_ENTRY_BYTES, "journal entry");

/* --- header --- */

static uint64_t header_check(const uint8_t *buf, size_t begin_len)
{
	return wire_hash(buf + sizeof(__le64), sizeof(struct raw_header) - sizeof(__le64) + begin_len,
			 HEADER_MAGIC);
}

void journal_header_encode(const struct journal_header *h, uint8_t *buf)
{
	struct raw_header raw = {
		.magic = htole64(HEADER_MAGIC),
		.sequence = htole64(h->sequence),
		.state = htole32(h->state),
		.salt = htole64(h->salt),
		.nr_entries = htole64(h->nr_entries),
		.end = htole64(h->end),
		.mark_disk = htole32(h->mark.disk),
		.mark_offset = htole64(h->mark.offset),
		.mark_bytes = htole64(h->mark.bytes),
	};
	size_t begin_len;

	memset(buf, 0, JOURNAL_SLOT_BYTES);
	begin_len = wire_begin_encode(&h->begin, buf + sizeof(raw));
	raw.begin_len = htole32((uint32_t)begin_len);
	memcpy(buf, &raw, sizeof(raw));
	raw.check = htole64(header_check(buf, begin_len));
	memcpy(buf, &raw.check, sizeof(raw.check));
}

bool journal_header_decode(const uint8_t *buf, struct journal_header *ret)
{
	struct journal_header h = { 0 };
	struct raw_header raw;
	size_t begin_len;

	memcpy(&raw, buf, sizeof(raw));
	begin_len = le32toh(raw.begin_len);
	if (le64toh(raw.magic) != HEADER_MAGIC || begin_len > WIRE_BEGIN_MAX ||
	    le64toh(raw.check) != header_check(buf, begin_len))
		return false;
	h.sequence = le64toh(raw.sequence);
	h.state = le32toh(raw.state);
	h.salt = le64toh(raw.salt);
	h.nr_entries = le64toh(raw.nr_entries);
	h.end = le64toh(raw.end);
	h.mark = (struct wire_mark){ le32toh(raw.mark_disk), le64toh(raw.mark_offset),
				     le64toh(raw.mark_bytes) };
	if (h.state >= NR_JOURNAL_STATES || h.end < JOURNAL_DATA_OFFSET || h.end > INT64_MAX ||
	    h.end % JOURNAL_ALIGN || h.nr_entries > h.end / JOURNAL_ALIGN)
		return false;
	if (wire_begin_decode(buf + sizeof(raw), begin_len, &h.begin))
		return false;
	*ret = h;
	return true;
}

bool journal_header_choose(const uint8_t *slot0, const uint8_t *slot1, struct journal_header *ret)
{
	struct journal_header h[2];
	bool sound[2] = { journal_header_decode(slot0, &h[0]), journal_header_decode(slot1, &h[1]) };

	if (!sound[0] && !sound[1])
		return false;
	*ret = sound[1] && (!sound[0] || h[1].sequence > h[0].sequence) ? h[1] : h[0];
	return true;
}

bool journal_continues(const struct journal_header *h, const struct wire_begin *begin)
{
	const struct wire_begin *held = &h->begin;

	if (!uuid_equal(&held->vm, &begin->vm) || !uuid_equal(&held->epoch, &begin->epoch) ||
	    !uuid_equal(&held->base, &begin->base) || held->bytes_total != begin->bytes_total ||
	    held->nr_disks != begin->nr_disks)
		return false;
	for (uint32_t i = 0; i < begin->nr_disks; i++)
		if (held->disks[i].size_bytes != begin->disks[i].size_bytes ||
		    strcmp(held->disks[i].name, begin->disks[i].name) != 0)
			return false;
	return true;
}

/* An eighth more: a record of 1024 pieces of one sector has 20 KiB of head to half a MiB of body. */
uint64_t journal_bytes_needed(const struct wire_begin *begin)
{
	uint64_t fixed = JOURNAL_DATA_OFFSET + (1U << 20) + begin->nr_disks * (128U << 10);
	uint64_t bytes = round_up_to(begin->bytes_total / 8 + fixed, (uint64_t)JOURNAL_ALIGN);

	return begin->bytes_total > INT64_MAX - bytes ? INT64_MAX : begin->bytes_total + bytes;
}

/* --- entries --- */

static uint32_t fill_up(size_t bytes)
{
	return (uint32_t)round_up_to(bytes, (size_t)JOURNAL_ALIGN);
}

static uint64_t entry_check(const struct raw_entry *raw)
{
	return wire_hash((const uint8_t *)raw + sizeof(raw->check), sizeof(*raw) - sizeof(raw->check),
			 ENTRY_MAGIC);
}

static struct journal_entry entry_of(const struct wire_header *record)
{
	return (struct journal_entry){
		.head_bytes = fill_up(JOURNAL_ENTRY_BYTES + WIRE_HEADER_BYTES +
				      record->nr_extents * WIRE_EXTENT_BYTES),
		.body_bytes = fill_up(record->body_len),
		.record = *record,
	};
}

struct journal_entry journal_entry_seal(const struct wire_header *record, uint64_t salt,
					uint64_t index, uint8_t *buf)
{
	struct journal_entry entry = entry_of(record);
	size_t used = JOURNAL_ENTRY_BYTES + WIRE_HEADER_BYTES + record->nr_extents * WIRE_EXTENT_BYTES;
	struct raw_entry raw = {
		.magic = htole32(ENTRY_MAGIC),
		.head_bytes = htole32(entry.head_bytes),
		.body_bytes = htole32(entry.body_bytes),
		.salt = htole64(salt),
		.index = htole64(index),
	};

	raw.check = htole64(entry_check(&raw));
	memcpy(buf, &raw, sizeof(raw));
	memset(buf + used, 0, entry.head_bytes - used);
	return entry;
}

bool journal_entry_decode(const uint8_t *buf, uint64_t salt, uint64_t index,
			  struct journal_entry *ret)
{
	struct journal_entry entry;
	struct wire_header record;
	struct raw_entry raw;

	memcpy(&raw, buf, sizeof(raw));
	if (le32toh(raw.magic) != ENTRY_MAGIC || le64toh(raw.salt) != salt ||
	    le64toh(raw.index) != index || le64toh(raw.check) != entry_check(&raw))
		return false;
	if (wire_header_decode(buf + JOURNAL_ENTRY_BYTES, &record))
		return false;
	if ((record.type != CBT_WIRE_DATA && record.type != CBT_WIRE_ZERO &&
	     record.type != CBT_WIRE_DISCARD) || record.flags)
		return false;
	entry = entry_of(&record);
	if (entry.head_bytes != le32toh(raw.head_bytes) || entry.body_bytes != le32toh(raw.body_bytes))
		return false;
	*ret = entry;
	return true;
}

bool journal_entry_open(const struct journal_entry *entry, const uint8_t *head, const uint8_t *body,
			const struct wire_begin *begin, struct extent *extents)
{
	const struct wire_header *record = &entry->record;
	const uint8_t *wire = head + JOURNAL_ENTRY_BYTES;
	const struct extent *last = &extents[record->nr_extents - 1];
	uint64_t sum;

	return wire_check_matches(record, wire, body) && record->disk < begin->nr_disks &&
	       !wire_extents_decode(record, wire, extents, &sum) &&
	       last->offset + last->length <= begin->disks[record->disk].size_bytes;
}
