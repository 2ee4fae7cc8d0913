// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A journal of any bytes: what counts as a header or an entry is within bounds. Checks are left as
 * they are in half of the inputs, and made right in the others (first byte): a header's check stands
 * in its first 8 bytes.
 */
#include <string.h>

#include "lib/journal.h"

#include "fuzz.h"

#define HEADER_BYTES 80U
#define HEADER_SEED  UINT64_C(0x316c6e726a746263)
#define ENTRY_SEED   0x6e65626aU

static uint8_t slots[JOURNAL_DATA_OFFSET];
static uint8_t first[JOURNAL_HEAD_MAX];
static uint8_t body[CBT_WIRE_BODY_MAX];
static struct extent extents[CBT_WIRE_EXTENTS_MAX];
static struct journal_header header;

static void header_of(const uint8_t *data, size_t size)
{
	uint32_t begin_len;
	uint64_t check;

	memset(slots, 0, sizeof(slots));
	memcpy(slots, data, size < JOURNAL_SLOT_BYTES ? size : JOURNAL_SLOT_BYTES);
	memcpy(&begin_len, slots + 28, sizeof(begin_len));
	if (begin_len <= WIRE_BEGIN_MAX) {
		check = wire_hash(slots + 8, HEADER_BYTES - 8 + begin_len, HEADER_SEED);
		memcpy(slots, &check, sizeof(check));
	}
	if (!journal_header_choose(slots, slots + JOURNAL_SLOT_BYTES, &header))
		return;
	CLAIM(header.state < NR_JOURNAL_STATES && header.begin.nr_disks <= CBT_WIRE_DISKS_MAX);
	CLAIM(header.end >= JOURNAL_DATA_OFFSET && header.end <= INT64_MAX);
	CLAIM(journal_continues(&header, &header.begin));
}

static void entry_of(const uint8_t *data, size_t size)
{
	struct wire_begin begin = { .nr_disks = 1 };
	struct journal_entry entry;
	uint64_t check;

	begin.disks[0] = (struct wire_disk){ 1 << 20, "disk0" };
	memset(first, 0, sizeof(first));
	memcpy(first, data, size < sizeof(first) ? size : sizeof(first));
	check = wire_hash(first + 8, JOURNAL_ENTRY_BYTES - 8, ENTRY_SEED);
	memcpy(first, &check, sizeof(check));
	if (!journal_entry_decode(first, 0, 0, &entry))
		return;
	CLAIM(entry.head_bytes <= JOURNAL_HEAD_MAX && entry.body_bytes <= CBT_WIRE_BODY_MAX);
	if (journal_entry_open(&entry, first, body, &begin, extents))
		CLAIM(extents[0].offset + extents[0].length <= begin.disks[0].size_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] & 1)
		header_of(data + 1, size - 1);
	else
		entry_of(data + 1, size - 1);
	return 0;
}
