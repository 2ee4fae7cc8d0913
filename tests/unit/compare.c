// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/{mac,compare,cursor}.c and extent_combine(): which pieces differ, and whose they are. */
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "lib/compare.h"
#include "lib/cursor.h"

#include "count.h"
#include "kselftest_harness.h"

#define DISK_BYTES ((size_t)1 << 18)
#define UNITS	   (DISK_BYTES / 512)

FIXTURE(disks)
{
	uint8_t a[DISK_BYTES];
	uint8_t b[DISK_BYTES];
	struct mac *mac;
	uint8_t macs[2][CBT_WIRE_MACS_MAX * MAC_BYTES];
	uint8_t bitmap[CBT_WIRE_MACS_MAX / 8];
	struct extent_list list;
};

FIXTURE_SETUP(disks)
{
	static const uint8_t key[MAC_KEY_BYTES] = { 1, 2, 3 };

	memset(self, 0, sizeof(*self));
	for (size_t i = 0; i < DISK_BYTES; i++)
		self->a[i] = (uint8_t)(i * 7 + i / 251);
	memcpy(self->b, self->a, DISK_BYTES);
	ASSERT_EQ(0, mac_open(key, &self->mac, NULL));
}

FIXTURE_TEARDOWN(disks)
{
	mac_close_at(&self->mac);
	extent_list_free(&self->list);
}

typedef FIXTURE_DATA(disks) disks_data;

static uint64_t mac_of(struct mac *mac, uint32_t disk, uint64_t offset, const void *data,
		       size_t len)
{
	uint8_t ret[MAC_BYTES];
	uint64_t start;

	if (mac_piece(mac, disk, offset, data, len, ret, NULL))
		abort();
	memcpy(&start, ret, sizeof(start));
	return start;
}

/* What both disks hold of the extents, one after the other. */
static void gather(const uint8_t *disk, const struct extent *extents, size_t nr, uint8_t *body)
{
	for (size_t i = 0; i < nr; i++) {
		memcpy(body, disk + extents[i].offset, extents[i].length);
		body += extents[i].length;
	}
}

static size_t compare(disks_data *d, const struct extent *extents, size_t nr)
{
	static uint8_t body[DISK_BYTES];
	size_t nr_pieces = 0;

	for (size_t i = 0; i < nr; i++)
		nr_pieces += wire_nr_pieces(&extents[i]);
	gather(d->a, extents, nr, body);
	if (compare_hash(d->mac, 0, extents, nr, body, d->macs[0], NULL))
		abort();
	gather(d->b, extents, nr, body);
	if (compare_hash(d->mac, 0, extents, nr, body, d->macs[1], NULL))
		abort();
	compare_macs(d->macs[0], d->macs[1], nr_pieces, d->bitmap);
	if (compare_push(extents, nr, d->bitmap, &d->list))
		abort();
	return nr_pieces;
}

TEST_F(disks, a_hash_is_of_key_disk_place_and_contents)
{
	static const uint8_t other_key[MAC_KEY_BYTES] = { 1, 2, 4 };
	uint64_t hash = mac_of(self->mac, 0, 4096, self->a, 4096);
	struct mac *other;

	ASSERT_EQ(0, mac_open(other_key, &other, NULL));
	EXPECT_EQ(hash, mac_of(self->mac, 0, 4096, self->b, 4096));
	EXPECT_NE(hash, mac_of(other, 0, 4096, self->a, 4096));
	EXPECT_NE(hash, mac_of(self->mac, 1, 4096, self->a, 4096));
	EXPECT_NE(hash, mac_of(self->mac, 0, 8192, self->a, 4096));
	EXPECT_NE(hash, mac_of(self->mac, 0, 4096, self->a, 3584));
	self->b[4095] ^= 1;
	EXPECT_NE(hash, mac_of(self->mac, 0, 4096, self->b, 4096));
	mac_close_at(&other);
}

TEST_F(disks, keys_are_new_each_time)
{
	uint8_t keys[2][MAC_KEY_BYTES] = { 0 };

	ASSERT_EQ(0, mac_key_new(keys[0], NULL));
	ASSERT_EQ(0, mac_key_new(keys[1], NULL));
	EXPECT_NE(0, memcmp(keys[0], keys[1], MAC_KEY_BYTES));
}

TEST_F(disks, that_are_equal_do_not_differ)
{
	const struct extent all = { 0, DISK_BYTES };

	EXPECT_EQ(DISK_BYTES / CBT_WIRE_PIECE, compare(self, &all, 1));
	EXPECT_EQ(0, self->list.nr);
}

TEST_F(disks, extents_are_cut_where_the_disk_is)
{
	const struct extent extents[] = { { 512, 4096 }, { 8192, 512 }, { 12800, 8192 } };

	self->b[4100] ^= 1;
	self->b[12800] ^= 1;
	self->b[16384] ^= 1;
	EXPECT_EQ(2 + 1 + 3, compare(self, extents, ARRAY_SIZE(extents)));
	ASSERT_EQ(2, self->list.nr);
	EXPECT_EQ(4096, self->list.extents[0].offset);
	EXPECT_EQ(512, self->list.extents[0].length);
	EXPECT_EQ(12800, self->list.extents[1].offset);
	EXPECT_EQ(16384 + 4096 - 12800, self->list.extents[1].length);
}

/* Extents over a disk of units: some ones of a random map. */
static void random_list(uint64_t *state, uint8_t *map, struct extent_list *list)
{
	unsigned int mean = 1 + (unsigned int)(next_random(state) % 40);
	bool in = next_random(state) & 1;

	memset(list, 0, sizeof(*list));
	for (size_t i = 0; i < UNITS; i++) {
		if (next_random(state) % mean == 0)
			in = !in;
		map[i] = in;
		if (in && extent_push(list, i * 512, 512))
			abort();
	}
}

TEST_F(disks, what_differs_is_found_and_at_most_its_piece)
{
	const uint64_t required = required_count(200, 20000);
	uint64_t seed = new_seed();
	uint64_t state = seed;
	uint64_t done;

	for (done = 0; done < required; done++) {
		uint8_t map[UNITS];
		struct extent_list looked_at;
		uint8_t found[DISK_BYTES / 512] = { 0 };

		random_list(&state, map, &looked_at);
		memcpy(self->b, self->a, DISK_BYTES);
		for (int i = 0; i < 10; i++)
			self->b[next_random(&state) % DISK_BYTES] ^= 0x80;
		extent_list_free(&self->list);
		(void)compare(self, looked_at.extents, looked_at.nr);
		for (size_t i = 0; i < self->list.nr; i++)
			memset(found + self->list.extents[i].offset / 512, 1,
			       self->list.extents[i].length / 512);
		for (size_t i = 0; i < UNITS; i++) {
			size_t piece = i / 8 * 4096;
			bool differs = memcmp(self->a + i * 512, self->b + i * 512, 512) != 0;
			bool near = memcmp(self->a + piece, self->b + piece, 4096) != 0;

			ASSERT_LE(map[i] && differs, found[i])
			TH_LOG("seed %llu", (unsigned long long)seed);
			ASSERT_LE(found[i], map[i] && near)
			TH_LOG("seed %llu", (unsigned long long)seed);
		}
		extent_list_free(&looked_at);
	}
	EXPECT_TRUE(enough_done(seed, done, required));
}

TEST(lists_are_combined_as_sets_are)
{
	const uint64_t required = required_count(500, 50000);
	uint64_t seed = new_seed();
	uint64_t state = seed;
	uint64_t done;

	for (done = 0; done < required; done++) {
		enum extent_rule rule = (enum extent_rule)(next_random(&state) % 3);
		struct extent_list list[3];
		uint8_t map[2][UNITS];
		uint8_t ret[UNITS] = { 0 };

		random_list(&state, map[0], &list[0]);
		random_list(&state, map[1], &list[1]);
		memset(&list[2], 0, sizeof(list[2]));
		ASSERT_EQ(0, extent_combine(&list[0], rule, &list[1], &list[2]));
		for (size_t i = 0; i < list[2].nr; i++)
			memset(ret + list[2].extents[i].offset / 512, 1,
			       list[2].extents[i].length / 512);
		for (size_t i = 0; i < UNITS; i++) {
			bool want = rule == EXTENT_OR	 ? map[0][i] | map[1][i]
				    : rule == EXTENT_AND ? map[0][i] & map[1][i]
							 : map[0][i] & !map[1][i];

			ASSERT_EQ(want, ret[i]) TH_LOG("seed %llu", (unsigned long long)seed);
		}
		for (int i = 0; i < 3; i++)
			extent_list_free(&list[i]);
	}
	EXPECT_TRUE(enough_done(seed, done, required));
}

TEST(records_are_cut_in_order_and_leave_nothing_out)
{
	const uint64_t required = required_count(300, 30000);
	uint64_t seed = new_seed();
	uint64_t state = seed;
	uint64_t done;

	for (done = 0; done < required; done++) {
		struct extent extents[CBT_WIRE_EXTENTS_MAX];
		struct extent_list taken[2] = { 0 };
		struct extent_list lists[2];
		struct cursor c = { .lists = lists, .nr_disks = 2 };
		size_t room = CURSOR_CUT_ALIGN * (1 + next_random(&state) % 16);
		uint64_t passed = 0;
		uint8_t map[UNITS];

		random_list(&state, map, &lists[0]);
		random_list(&state, map, &lists[1]);
		while (!cursor_at_end(&c)) {
			struct wire_mark mark = { 0 };
			struct cursor again = { .lists = lists, .nr_disks = 2 };
			unsigned int disk, nr;
			size_t bytes = cursor_take(&c, room, &disk, extents, &nr);

			ASSERT_TRUE(bytes && bytes <= room && nr);
			for (unsigned int i = 0; i < nr; i++)
				ASSERT_EQ(0, extent_push(&taken[disk], extents[i].offset,
							 extents[i].length));
			passed += bytes;
			mark.disk = disk;
			mark.offset = extents[nr - 1].offset + extents[nr - 1].length;
			ASSERT_EQ(passed, cursor_seek(&again, &mark));
			ASSERT_EQ(cursor_at_end(&c), cursor_at_end(&again));
			ASSERT_TRUE(c.disk == again.disk && c.extent == again.extent &&
				    c.done == again.done);
		}
		for (int i = 0; i < 2; i++) {
			ASSERT_EQ(lists[i].nr, taken[i].nr);
			ASSERT_TRUE(!lists[i].nr ||
				    memcmp(lists[i].extents, taken[i].extents,
					   lists[i].nr * sizeof(struct extent)) == 0);
			extent_list_free(&lists[i]);
			extent_list_free(&taken[i]);
		}
	}
	EXPECT_TRUE(enough_done(seed, done, required));
}

TEST_HARNESS_MAIN
