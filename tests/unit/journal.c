// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/lib/journal.c: a header that was not written whole leaves the one before, and an entry that
 * is damaged, of another delta or of another place is none.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/journal.h"

#include "count.h"
#include "kselftest_harness.h"

#define BODY_BYTES 8192U

FIXTURE(journal)
{
	struct journal_header header;
	struct journal_header got;
	uint8_t *slots;
	uint8_t *first; /* of an entry */
	uint8_t *body;
	struct journal_entry entry;
	struct extent extents[CBT_WIRE_EXTENTS_MAX];
};

FIXTURE_SETUP(journal)
{
	struct extent extents[2] = { { 4096, 4096 }, { 65536, 4096 } };
	struct wire_header record = { .type = CBT_WIRE_DATA, .nr_extents = 2, .body_len = BODY_BYTES };

	memset(self, 0, sizeof(*self));
	self->header = (struct journal_header){
		.sequence = 6,
		.state = JOURNAL_FILLING,
		.salt = 77,
		.nr_entries = 3,
		.end = JOURNAL_DATA_OFFSET + 3 * 12288,
		.mark = { 0, 8192, 4096 },
		.begin = { .bytes_total = 8192, .nr_disks = 1, .nr_aborted = 1 },
	};
	self->header.begin.disks[0] = (struct wire_disk){ 1 << 20, "disk0" };
	memset(&self->header.begin.epoch, 2, sizeof(struct uuid));
	memset(&self->header.begin.aborted[0], 4, sizeof(struct uuid));
	self->slots = calloc(1, JOURNAL_DATA_OFFSET);
	self->first = calloc(1, JOURNAL_HEAD_MAX);
	self->body = malloc(BODY_BYTES);
	memset(self->body, 0x5a, BODY_BYTES);
	wire_seal(&record, extents, self->body, self->first + JOURNAL_ENTRY_BYTES);
	self->entry = journal_entry_seal(&record, 77, 5, self->first);
}

FIXTURE_TEARDOWN(journal)
{
	free(self->slots);
	free(self->first);
	free(self->body);
}

typedef FIXTURE_DATA(journal) journal_data;

static bool choose(journal_data *d)
{
	return journal_header_choose(d->slots, d->slots + JOURNAL_SLOT_BYTES, &d->got);
}

static void put(journal_data *d, uint64_t sequence)
{
	d->header.sequence = sequence;
	journal_header_encode(&d->header, d->slots + journal_header_slot(sequence));
}

TEST_F(journal, a_header_comes_back_as_it_was)
{
	put(self, 6);
	ASSERT_TRUE(choose(self));
	EXPECT_EQ(0, memcmp(&self->got, &self->header, sizeof(self->got)));
}

TEST_F(journal, zeroes_are_no_header)
{
	EXPECT_FALSE(choose(self));
}

TEST_F(journal, the_newer_of_two_headers_counts)
{
	put(self, 7);
	put(self, 6);
	ASSERT_TRUE(choose(self));
	EXPECT_EQ(7, self->got.sequence);
	put(self, 8);
	ASSERT_TRUE(choose(self));
	EXPECT_EQ(8, self->got.sequence);
}

/* Any number of the new header's sectors reached the disk, from the front or from the back. */
TEST_F(journal, a_torn_header_leaves_the_one_before_or_is_whole)
{
	uint8_t *slot = self->slots;
	uint8_t *before = malloc(JOURNAL_SLOT_BYTES);
	uint8_t *after = malloc(JOURNAL_SLOT_BYTES);

	put(self, 6);
	memcpy(before, slot, JOURNAL_SLOT_BYTES);
	put(self, 7);
	self->header.nr_entries = 9;
	self->header.end += 6 * 4096;
	put(self, 8);
	memcpy(after, slot, JOURNAL_SLOT_BYTES);
	for (size_t torn = 0; torn <= JOURNAL_SLOT_BYTES; torn += 512) {
		for (int front = 0; front < 2; front++) {
			memcpy(slot, front ? after : before, torn);
			memcpy(slot + torn, (front ? before : after) + torn,
			       JOURNAL_SLOT_BYTES - torn);
			ASSERT_TRUE(choose(self));
			ASSERT_TRUE(self->got.sequence == 7 || memcmp(slot, after, 512) == 0);
			ASSERT_EQ(self->got.sequence == 8 ? 9 : 3, self->got.nr_entries);
		}
	}
	free(before);
	free(after);
}

TEST_F(journal, a_header_with_one_flipped_bit_does_not_count)
{
	size_t used = 80 + 72 + 64 + 16;

	put(self, 6);
	for (size_t bit = 0; bit < used * 8; bit++) {
		self->slots[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ASSERT_FALSE(choose(self)) TH_LOG("bit %zu", bit);
		self->slots[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

TEST_F(journal, a_header_with_impossible_lengths_does_not_count)
{
	static const uint64_t ends[] = { 0, JOURNAL_DATA_OFFSET - 4096, JOURNAL_DATA_OFFSET + 1,
					 UINT64_MAX - 4095 };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		self->header.end = ends[i];
		put(self, 6);
		EXPECT_FALSE(choose(self));
	}
	self->header.end = JOURNAL_DATA_OFFSET + 4096;
	self->header.nr_entries = 18;
	put(self, 6);
	EXPECT_FALSE(choose(self));
}

TEST_F(journal, an_entry_comes_back_as_it_was)
{
	struct journal_entry got;

	ASSERT_TRUE(journal_entry_decode(self->first, 77, 5, &got));
	EXPECT_EQ(4096, got.head_bytes);
	EXPECT_EQ(BODY_BYTES, got.body_bytes);
	ASSERT_TRUE(journal_entry_open(&got, self->first, self->body, &self->header.begin,
				       self->extents));
	EXPECT_EQ(65536, self->extents[1].offset);
}

TEST_F(journal, an_entry_of_another_delta_or_place_is_none)
{
	struct journal_entry got;

	EXPECT_FALSE(journal_entry_decode(self->first, 78, 5, &got));
	EXPECT_FALSE(journal_entry_decode(self->first, 77, 4, &got));
}

TEST_F(journal, an_entry_of_a_packed_record_is_none)
{
	const struct extent extent = { 4096, 2 * BODY_BYTES };
	struct wire_header record = { .type = CBT_WIRE_DATA,
				      .flags = CBT_WIRE_PACKED,
				      .nr_extents = 1,
				      .body_len = BODY_BYTES };
	struct journal_entry got;

	wire_seal(&record, &extent, self->body, self->first + JOURNAL_ENTRY_BYTES);
	(void)journal_entry_seal(&record, 77, 5, self->first);
	EXPECT_FALSE(journal_entry_decode(self->first, 77, 5, &got));
}

TEST_F(journal, an_entry_with_one_flipped_bit_is_none)
{
	size_t used = JOURNAL_ENTRY_BYTES + WIRE_HEADER_BYTES + 2 * WIRE_EXTENT_BYTES;
	struct journal_entry got;

	for (size_t bit = 0; bit < (used + BODY_BYTES) * 8; bit += bit < used * 8 ? 1 : 61) {
		uint8_t *at = bit / 8 < used ? self->first + bit / 8 : self->body + bit / 8 - used;

		*at ^= (uint8_t)(1 << bit % 8);
		ASSERT_FALSE(journal_entry_decode(self->first, 77, 5, &got) &&
			     journal_entry_open(&got, self->first, self->body, &self->header.begin,
						self->extents))
			TH_LOG("bit %zu", bit);
		*at ^= (uint8_t)(1 << bit % 8);
	}
}

TEST_F(journal, an_entry_beyond_its_disk_is_refused)
{
	self->header.begin.disks[0].size_bytes = 65536 + 2048;
	EXPECT_FALSE(journal_entry_open(&self->entry, self->first, self->body, &self->header.begin,
					self->extents));
}

TEST_F(journal, only_the_very_delta_is_gone_on_with)
{
	struct wire_begin other = self->header.begin;

	EXPECT_TRUE(journal_continues(&self->header, &other));
	other.epoch.b[0]++;
	EXPECT_FALSE(journal_continues(&self->header, &other));
	other = self->header.begin;
	other.bytes_total += 512;
	EXPECT_FALSE(journal_continues(&self->header, &other));
	other = self->header.begin;
	other.disks[0].size_bytes += 512;
	EXPECT_FALSE(journal_continues(&self->header, &other));
}

TEST_F(journal, noise_is_neither_header_nor_entry)
{
	uint64_t required = required_count(500, 5000), seed = new_seed(), state = seed, done;
	struct journal_entry got;

	for (done = 0; done < required; done++) {
		put(self, 6);
		for (uint64_t i = next_random(&state) % 8 + 1; i; i--)
			self->slots[next_random(&state) % 240] = (uint8_t)next_random(&state);
		if (choose(self))
			ASSERT_LE(self->got.begin.nr_disks, CBT_WIRE_DISKS_MAX);
		for (uint64_t i = next_random(&state) % 8 + 1; i; i--)
			self->first[next_random(&state) % 200] = (uint8_t)next_random(&state);
		if (journal_entry_decode(self->first, 77, 5, &got))
			(void)journal_entry_open(&got, self->first, self->body,
						 &self->header.begin, self->extents);
	}
	EXPECT_TRUE(enough_done(seed, done, required));
}

TEST_HARNESS_MAIN
