// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/wire.c: what a record may say, and that hostile ones are named and change nothing. */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/macro.h"
#include "lib/wire.h"

#include "kselftest_harness.h"

#define MIB (1U << 20)

/* A sound DATA record of two extents, 4096 bytes each. */
FIXTURE(record)
{
	struct extent extents[2];
	uint8_t body[8192];
	uint8_t head[WIRE_HEAD_MAX];
	struct cbt_wire_header raw;
	struct wire_header header;
};

FIXTURE_SETUP(record)
{
	self->extents[0] = (struct extent){ 4096, 4096 };
	self->extents[1] = (struct extent){ 65536, 4096 };
	memset(self->body, 0x5a, sizeof(self->body));
	self->header = (struct wire_header){
		.type = CBT_WIRE_DATA,
		.disk = 3,
		.nr_extents = 2,
		.body_len = sizeof(self->body),
		.sequence = 7,
	};
	wire_seal(&self->header, self->extents, self->body, self->head);
	memcpy(&self->raw, self->head, sizeof(self->raw));
}

FIXTURE_TEARDOWN(record)
{
}

static enum wire_fault decode(const struct cbt_wire_header *raw)
{
	struct wire_header ret;
	struct wire_header before;
	enum wire_fault fault;

	memset(&ret, 0xee, sizeof(ret));
	before = ret;
	fault = wire_header_decode((const uint8_t *)raw, &ret);
	if (fault && memcmp(&ret, &before, sizeof(ret)) != 0)
		abort(); /* a refusal leaves outputs untouched */
	return fault;
}

/* A header as it would stand on the wire. */
static struct cbt_wire_header header_of(unsigned int type, unsigned int nr_extents,
					uint32_t body_len)
{
	return (struct cbt_wire_header){
		.magic = htole32(CBT_WIRE_MAGIC),
		.type = htole16((uint16_t)type),
		.nr_extents = htole16((uint16_t)nr_extents),
		.body_len = htole32(body_len),
	};
}

static enum wire_fault decode_of(unsigned int type, unsigned int nr_extents, uint32_t body_len)
{
	struct cbt_wire_header raw = header_of(type, nr_extents, body_len);

	return decode(&raw);
}

TEST_F(record, sealed_record_comes_back_as_it_was)
{
	struct wire_header h;
	struct extent extents[2];
	uint64_t sum;

	ASSERT_EQ(WIRE_SOUND, wire_header_decode(self->head, &h));
	EXPECT_EQ(CBT_WIRE_DATA, h.type);
	EXPECT_EQ(3, h.disk);
	EXPECT_EQ(2, h.nr_extents);
	EXPECT_EQ(sizeof(self->body), h.body_len);
	EXPECT_EQ(7, h.sequence);
	EXPECT_EQ(2 * 16 + sizeof(self->body), wire_rest_bytes(&h));
	EXPECT_TRUE(wire_check_matches(&h, self->head, self->body));
	ASSERT_EQ(WIRE_SOUND, wire_extents_decode(&h, self->head, extents, &sum));
	EXPECT_EQ(0, memcmp(extents, self->extents, sizeof(extents)));
	EXPECT_EQ(8192, sum);
}

TEST_F(record, the_layout_is_the_documented_one)
{
	static const char start[] = "cbt1\5\0\0\0\3\0\2\0\0\x20\0\0\7";

	EXPECT_EQ(0, memcmp(self->head, start, sizeof(start)));
}

TEST_F(record, any_flipped_bit_of_the_record_is_noticed)
{
	size_t head_bits = (WIRE_HEADER_BYTES + 2 * WIRE_EXTENT_BYTES) * 8;
	struct wire_header h;

	for (size_t bit = 0; bit < head_bits; bit++) {
		self->head[bit / 8] ^= (uint8_t)(1U << bit % 8);
		if (!wire_header_decode(self->head, &h) && h.nr_extents == 2 &&
		    h.body_len == 8192) {
			EXPECT_FALSE(wire_check_matches(&h, self->head, self->body)) {
				TH_LOG("head bit %zu", bit);
			}
		}
		self->head[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	ASSERT_EQ(WIRE_SOUND, wire_header_decode(self->head, &h));
	for (size_t bit = 0; bit < sizeof(self->body) * 8; bit += 7) {
		self->body[bit / 8] ^= (uint8_t)(1U << bit % 8);
		EXPECT_FALSE(wire_check_matches(&h, self->head, self->body));
		self->body[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	EXPECT_TRUE(wire_check_matches(&h, self->head, self->body));
}

TEST_F(record, wrong_magic_is_refused)
{
	self->raw.magic = htole32(CBT_WIRE_MAGIC + 1);
	EXPECT_EQ(WIRE_FAULT_MAGIC, decode(&self->raw));
}

TEST_F(record, unknown_types_are_refused)
{
	for (unsigned int type = 0; type < 65536; type++) {
		bool known = type >= CBT_WIRE_CALL && type <= CBT_WIRE_DIFFER;

		self->raw.type = htole16((uint16_t)type);
		EXPECT_EQ(!known, decode(&self->raw) == WIRE_FAULT_TYPE) TH_LOG("type %u", type);
	}
}

TEST_F(record, flags_that_are_not_known_are_refused)
{
	for (unsigned int bit = 1; bit < 16; bit++) {
		self->raw.flags = htole16((uint16_t)(1U << bit));
		EXPECT_EQ(WIRE_FAULT_FLAGS, decode(&self->raw));
	}
}

TEST_F(record, disk_above_the_limit_is_refused)
{
	self->raw.disk = htole16(CBT_WIRE_DISKS_MAX - 1);
	EXPECT_EQ(WIRE_SOUND, decode(&self->raw));
	self->raw.disk = htole16(CBT_WIRE_DISKS_MAX);
	EXPECT_EQ(WIRE_FAULT_DISK, decode(&self->raw));
	self->raw.disk = htole16(UINT16_MAX);
	EXPECT_EQ(WIRE_FAULT_DISK, decode(&self->raw));
}

TEST(a_record_without_extents_names_no_disk)
{
	struct cbt_wire_header raw = header_of(CBT_WIRE_READY, 0, sizeof(struct cbt_wire_ready));

	EXPECT_EQ(WIRE_SOUND, decode(&raw));
	raw.disk = htole16(1);
	EXPECT_EQ(WIRE_FAULT_DISK, decode(&raw));
}

TEST(the_number_of_extents_is_bounded_by_the_type)
{
	EXPECT_EQ(WIRE_FAULT_NR_EXTENTS, decode_of(CBT_WIRE_DATA, 0, 4096));
	EXPECT_EQ(WIRE_SOUND, decode_of(CBT_WIRE_DATA, CBT_WIRE_EXTENTS_MAX, 4096));
	EXPECT_EQ(WIRE_FAULT_NR_EXTENTS, decode_of(CBT_WIRE_DATA, CBT_WIRE_EXTENTS_MAX + 1, 4096));
	EXPECT_EQ(WIRE_FAULT_NR_EXTENTS, decode_of(CBT_WIRE_ZERO, 0, 0));
	EXPECT_EQ(WIRE_FAULT_NR_EXTENTS, decode_of(CBT_WIRE_DISCARD, UINT16_MAX, 0));
	EXPECT_EQ(WIRE_FAULT_NR_EXTENTS, decode_of(CBT_WIRE_READY, 1, 0));
	EXPECT_EQ(WIRE_FAULT_NR_EXTENTS, decode_of(CBT_WIRE_CALL, 1, 2));
	EXPECT_EQ(WIRE_FAULT_NR_EXTENTS, decode_of(CBT_WIRE_END, 1, sizeof(struct cbt_wire_end)));
}

TEST(the_length_of_the_body_is_bounded_by_the_type)
{
	static const struct {
		unsigned int type;
		uint32_t nr_extents;
		uint32_t min, max, unit;
	} cases[] = {
		{ CBT_WIRE_CALL, 0, 2, CBT_WIRE_TEXT_MAX, 1 },
		{ CBT_WIRE_REPLY, 0, 2, CBT_WIRE_TEXT_MAX, 1 },
		{ CBT_WIRE_BEGIN, 0, 72 + 64, 72 + 256 * 64 + 64 * 16, 16 },
		{ CBT_WIRE_READY, 0, 32, 32, 1 },
		{ CBT_WIRE_MARK, 0, 24, 24, 1 },
		{ CBT_WIRE_DATA, 1, 512, MIB, 512 },
		{ CBT_WIRE_ZERO, 1, 0, 0, 1 },
		{ CBT_WIRE_DISCARD, 1, 0, 0, 1 },
		{ CBT_WIRE_END, 0, 40, 40, 1 },
		{ CBT_WIRE_DURABLE, 0, 24, 24, 1 },
		{ CBT_WIRE_FAILED, 0, 4, CBT_WIRE_TEXT_MAX, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned int type = cases[i].type;
		uint32_t nr = cases[i].nr_extents;

		EXPECT_EQ(WIRE_SOUND, decode_of(type, nr, cases[i].min));
		EXPECT_EQ(WIRE_SOUND, decode_of(type, nr, cases[i].max));
		if (cases[i].min)
			EXPECT_EQ(WIRE_FAULT_BODY_LEN, decode_of(type, nr, cases[i].min - 1));
		EXPECT_EQ(WIRE_FAULT_BODY_LEN, decode_of(type, nr, cases[i].max + 1));
		EXPECT_EQ(WIRE_FAULT_BODY_LEN, decode_of(type, nr, UINT32_MAX));
		if (cases[i].unit > 1)
			EXPECT_EQ(WIRE_FAULT_BODY_LEN, decode_of(type, nr, cases[i].min + 1));
	}
}

/* Extents are decoded behind a sealed header, as a hostile sender could seal them. */
static enum wire_fault extents_fault(unsigned int type, const struct extent *extents,
				     unsigned int nr, uint32_t body_len)
{
	struct wire_header h = { .type = (uint16_t)type,
				 .nr_extents = (uint16_t)nr,
				 .body_len = body_len };
	struct extent ret[4] = { { 1, 1 }, { 1, 1 }, { 1, 1 }, { 1, 1 } };
	uint8_t *body = calloc(1, body_len + 1);
	uint8_t head[WIRE_HEAD_MAX];
	enum wire_fault fault;
	uint64_t sum = 99;

	wire_seal(&h, extents, body, head);
	fault = wire_extents_decode(&h, head, ret, &sum);
	if (fault && (ret[0].offset != 1 || sum != 99))
		abort();
	free(body);
	return fault;
}

#define extents_of(...) ((const struct extent[]){ __VA_ARGS__ })

static enum wire_fault packed_fault(uint64_t length, uint32_t body_len)
{
	const struct extent extent = { 4096, length };
	struct wire_header h = { .type = CBT_WIRE_DATA,
				 .flags = CBT_WIRE_PACKED,
				 .nr_extents = 1,
				 .body_len = body_len };
	uint8_t *body = calloc(1, body_len + 1);
	uint8_t head[WIRE_HEAD_MAX];
	enum wire_fault fault;
	struct wire_header ret;
	struct extent decoded;
	uint64_t sum;

	wire_seal(&h, &extent, body, head);
	free(body);
	fault = wire_header_decode(head, &ret);
	if (!fault && ret.flags != CBT_WIRE_PACKED)
		abort();
	return fault ? fault : wire_extents_decode(&ret, head, &decoded, &sum);
}

TEST(packed_data_is_shorter_than_its_extents)
{
	EXPECT_EQ(WIRE_SOUND, packed_fault(8192, 1));
	EXPECT_EQ(WIRE_SOUND, packed_fault(8192, 8191));
	EXPECT_EQ(WIRE_FAULT_EXTENT_SUM, packed_fault(8192, 8192));
	EXPECT_EQ(WIRE_FAULT_BODY_LEN, packed_fault(8192, 0));
}

TEST(packed_data_becomes_no_more_than_a_record_may_hold)
{
	EXPECT_EQ(WIRE_SOUND, packed_fault(CBT_WIRE_BODY_MAX, 4096));
	EXPECT_EQ(WIRE_FAULT_EXTENT_SUM, packed_fault(CBT_WIRE_BODY_MAX + 512, 4096));
	EXPECT_EQ(WIRE_FAULT_EXTENT_SUM, packed_fault((uint64_t)1 << 40, 4096));
	EXPECT_EQ(WIRE_SOUND, packed_fault(CBT_WIRE_BODY_MAX, CBT_WIRE_BODY_MAX - 1));
	EXPECT_EQ(WIRE_FAULT_BODY_LEN, packed_fault(CBT_WIRE_BODY_MAX, CBT_WIRE_BODY_MAX));
}

TEST(nothing_but_data_is_packed)
{
	struct wire_header h = { .flags = CBT_WIRE_PACKED };
	uint8_t head[WIRE_HEAD_MAX];
	struct wire_header ret;

	for (unsigned int type = CBT_WIRE_CALL; type <= CBT_WIRE_DIFFER; type++) {
		h.type = (uint16_t)type;
		wire_seal(&h, NULL, "", head);
		EXPECT_EQ(type == CBT_WIRE_DATA ? WIRE_FAULT_NR_EXTENTS : WIRE_FAULT_FLAGS,
			  wire_header_decode(head, &ret));
	}
}

TEST(extents_that_are_not_aligned_are_refused)
{
	EXPECT_EQ(WIRE_FAULT_EXTENT_ALIGN,
		  extents_fault(CBT_WIRE_ZERO, extents_of({ 1, 512 }), 1, 0));
	EXPECT_EQ(WIRE_FAULT_EXTENT_ALIGN,
		  extents_fault(CBT_WIRE_ZERO, extents_of({ 512, 513 }), 1, 0));
}

TEST(empty_extents_are_refused)
{
	EXPECT_EQ(WIRE_FAULT_EXTENT_EMPTY,
		  extents_fault(CBT_WIRE_ZERO, extents_of({ 512, 0 }), 1, 0));
}

TEST(extents_beyond_the_largest_offset_are_refused)
{
	const uint64_t last = (uint64_t)INT64_MAX / 512 * 512;

	EXPECT_EQ(WIRE_FAULT_EXTENT_RANGE,
		  extents_fault(CBT_WIRE_ZERO, extents_of({ last, 512 }), 1, 0));
	EXPECT_EQ(WIRE_FAULT_EXTENT_RANGE,
		  extents_fault(CBT_WIRE_ZERO, extents_of({ 512, UINT64_MAX - 511 }), 1, 0));
	EXPECT_EQ(WIRE_FAULT_EXTENT_RANGE,
		  extents_fault(CBT_WIRE_ZERO, extents_of({ UINT64_MAX - 511, 512 }), 1, 0));
	EXPECT_EQ(WIRE_SOUND, extents_fault(CBT_WIRE_ZERO, extents_of({ 0, last }), 1, 0));
}

TEST(extents_out_of_order_or_overlapping_are_refused)
{
	EXPECT_EQ(WIRE_FAULT_EXTENT_ORDER,
		  extents_fault(CBT_WIRE_ZERO, extents_of({ 4096, 512 }, { 0, 512 }), 2, 0));
	EXPECT_EQ(WIRE_FAULT_EXTENT_ORDER,
		  extents_fault(CBT_WIRE_ZERO, extents_of({ 0, 1024 }, { 512, 512 }), 2, 0));
	EXPECT_EQ(WIRE_SOUND,
		  extents_fault(CBT_WIRE_ZERO, extents_of({ 0, 512 }, { 512, 512 }), 2, 0));
}

TEST(a_body_that_is_not_as_long_as_its_extents_is_refused)
{
	EXPECT_EQ(WIRE_FAULT_EXTENT_SUM,
		  extents_fault(CBT_WIRE_DATA, extents_of({ 0, 1024 }), 1, 512));
	EXPECT_EQ(WIRE_FAULT_EXTENT_SUM,
		  extents_fault(CBT_WIRE_DATA, extents_of({ 0, 512 }), 1, 1024));
}

/* --- bodies --- */

FIXTURE(begin)
{
	struct wire_begin begin;
	struct wire_begin ret;
	uint8_t buf[WIRE_BEGIN_MAX];
	size_t len;
	struct cbt_wire_begin *raw;
	struct cbt_wire_disk *disk;
};

FIXTURE_SETUP(begin)
{
	self->begin = (struct wire_begin){ .bytes_total = 12345, .nr_disks = 2 };
	memset(&self->begin.vm, 1, sizeof(self->begin.vm));
	memset(&self->begin.epoch, 2, sizeof(self->begin.epoch));
	self->begin.disks[0] = (struct wire_disk){ 1 << 20, "disk0" };
	self->begin.disks[1].size_bytes = 512;
	memset(self->begin.disks[1].name, 'x', WIRE_NAME_MAX);
	self->len = wire_begin_encode(&self->begin, self->buf);
	self->raw = (struct cbt_wire_begin *)self->buf;
	self->disk = (struct cbt_wire_disk *)(self->raw + 1);
}

FIXTURE_TEARDOWN(begin)
{
}

TEST_F(begin, comes_back_as_it_was)
{
	ASSERT_EQ(WIRE_SOUND, wire_begin_decode(self->buf, self->len, &self->ret));
	EXPECT_EQ(0, memcmp(&self->ret, &self->begin,
			    offsetof(struct wire_begin, disks) + 2 * sizeof(struct wire_disk)));
}

TEST_F(begin, names_its_aborted_epochs)
{
	self->begin.nr_aborted = CBT_WIRE_ABORTED_MAX;
	memset(self->begin.aborted, 7, sizeof(self->begin.aborted));
	self->len = wire_begin_encode(&self->begin, self->buf);
	ASSERT_EQ(WIRE_SOUND, wire_begin_decode(self->buf, self->len, &self->ret));
	EXPECT_EQ(CBT_WIRE_ABORTED_MAX, self->ret.nr_aborted);
	EXPECT_EQ(0, memcmp(self->ret.aborted, self->begin.aborted, sizeof(self->ret.aborted)));
	self->raw->nr_aborted = htole32(CBT_WIRE_ABORTED_MAX + 1);
	EXPECT_EQ(WIRE_FAULT_NR_ABORTED, wire_begin_decode(self->buf, self->len, &self->ret));
}

TEST_F(begin, with_a_reserved_field_set_is_refused)
{
	self->raw->reserved = htole32(1);
	EXPECT_EQ(WIRE_FAULT_RESERVED, wire_begin_decode(self->buf, self->len, &self->ret));
}

TEST(a_mark_comes_back_as_it_was)
{
	struct wire_ready ready = { 65536, { 3, 4096, 8192 } };
	struct wire_ready ret;
	uint8_t buf[sizeof(struct cbt_wire_ready)];

	ASSERT_EQ(sizeof(buf), wire_ready_encode(&ready, buf));
	ASSERT_EQ(WIRE_SOUND, wire_ready_decode(buf, &ret));
	EXPECT_EQ(65536, ret.mark_interval);
	EXPECT_EQ(3, ret.mark.disk);
	EXPECT_EQ(4096, ret.mark.offset);
	EXPECT_EQ(8192, ret.mark.bytes);
}

TEST(a_mark_of_no_possible_place_is_refused)
{
	static const struct wire_mark wrong[] = {
		{ CBT_WIRE_DISKS_MAX, 0, 0 }, { 0, 1, 0 }, { 0, 0, 511 }
	};
	uint8_t buf[sizeof(struct cbt_wire_mark)];
	struct wire_mark ret;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		(void)wire_mark_encode(&wrong[i], buf);
		EXPECT_EQ(WIRE_FAULT_MARK, wire_mark_decode(buf, &ret));
	}
}

TEST_F(begin, of_another_version_is_refused)
{
	self->raw->version = htole32(CBT_WIRE_VERSION + 1);
	EXPECT_EQ(WIRE_FAULT_VERSION, wire_begin_decode(self->buf, self->len, &self->ret));
}

TEST_F(begin, whose_number_of_disks_does_not_fit_its_length_is_refused)
{
	static const uint32_t wrong[] = { 0, 1, 3, CBT_WIRE_DISKS_MAX + 1, 0x04000002, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		self->raw->nr_disks = htole32(wrong[i]);
		EXPECT_EQ(WIRE_FAULT_NR_DISKS, wire_begin_decode(self->buf, self->len, &self->ret));
	}
	EXPECT_EQ(WIRE_FAULT_BODY_LEN, wire_begin_decode(self->buf, 71, &self->ret));
}

TEST_F(begin, with_a_wrong_disk_size_is_refused)
{
	static const uint64_t wrong[] = { 0, 1, 513, (uint64_t)1 << 63, UINT64_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		self->disk[1].size_bytes = htole64(wrong[i]);
		EXPECT_EQ(WIRE_FAULT_DISK_SIZE,
			  wire_begin_decode(self->buf, self->len, &self->ret));
	}
}

TEST_F(begin, with_a_name_that_is_empty_unended_or_followed_by_bytes_is_refused)
{
	self->disk[0].name[0] = 0;
	EXPECT_EQ(WIRE_FAULT_DISK_NAME, wire_begin_decode(self->buf, self->len, &self->ret));
	memcpy(self->disk[0].name, "disk0", 5);
	self->disk[0].name[20] = 'x';
	EXPECT_EQ(WIRE_FAULT_DISK_NAME, wire_begin_decode(self->buf, self->len, &self->ret));
	memset(self->disk[0].name, 'x', sizeof(self->disk[0].name));
	EXPECT_EQ(WIRE_FAULT_DISK_NAME, wire_begin_decode(self->buf, self->len, &self->ret));
}

TEST(end_and_durable_come_back_as_they_were)
{
	struct wire_end end = { 1, 2, 3, 4, 5 };
	struct wire_durable durable = { .digest = 6 };
	struct wire_durable durable_ret;
	struct wire_end end_ret;
	uint8_t buf[64];

	memset(&durable.epoch, 9, sizeof(durable.epoch));
	EXPECT_EQ(40, wire_end_encode(&end, buf));
	wire_end_decode(buf, &end_ret);
	EXPECT_EQ(0, memcmp(&end, &end_ret, sizeof(end)));
	EXPECT_EQ(24, wire_durable_encode(&durable, buf));
	wire_durable_decode(buf, &durable_ret);
	EXPECT_EQ(0, memcmp(&durable, &durable_ret, sizeof(durable)));
}

TEST(failed_comes_back_as_it_was)
{
	struct failure f = { .code = CODE_IN_USE, .text = "disk0 is mounted on /srv" };
	uint8_t buf[sizeof(struct cbt_wire_failed) + sizeof(f.text)];
	struct failure ret;
	size_t len;

	len = wire_failed_encode(&f, buf);
	ASSERT_EQ(WIRE_SOUND, wire_failed_decode(buf, len, &ret));
	EXPECT_EQ(CODE_IN_USE, ret.code);
	EXPECT_STREQ(f.text, ret.text);
}

TEST(failed_with_a_code_that_is_none_is_refused)
{
	static const uint32_t wrong[] = { 0, 4096, 32767, 32780, UINT32_MAX };
	struct failure ret = { .code = 1 };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		uint32_t raw = htole32(wrong[i]);

		EXPECT_EQ(WIRE_FAULT_CODE, wire_failed_decode((uint8_t *)&raw, 4, &ret));
		EXPECT_EQ(1, ret.code);
	}
	EXPECT_EQ(WIRE_FAULT_BODY_LEN, wire_failed_decode((uint8_t *)"abc", 3, &ret));
}

TEST(a_hostile_sentence_is_one_printable_line)
{
	uint8_t body[4 + 2000] = { 0x00, 0x80 }; /* 32768 */
	struct failure ret;

	memset(body + 4, 'x', 2000);
	memcpy(body + 4, "a\nb\x1b[2J\xff\xc3\xa9\xed\xa0\x80", 13);
	ASSERT_EQ(WIRE_SOUND, wire_failed_decode(body, sizeof(body), &ret));
	EXPECT_EQ(0, strncmp(ret.text, "a?b?[2J?\xc3\xa9???xxx", 15)) TH_LOG("%s", ret.text);
	EXPECT_EQ(sizeof(ret.text) - 1, strlen(ret.text));
}

TEST(each_fault_and_type_has_a_text)
{
	for (unsigned int i = 0; i < NR_WIRE_FAULTS; i++)
		EXPECT_NE(NULL, wire_fault_text(i));
	EXPECT_STREQ("is wrong", wire_fault_text(NR_WIRE_FAULTS));
	EXPECT_STREQ("DATA", wire_type_name(CBT_WIRE_DATA));
	EXPECT_STREQ("?", wire_type_name(0));
	EXPECT_STREQ("?", wire_type_name(15));
}

TEST(the_digest_depends_on_every_check_and_their_order)
{
	struct wire_digest a, b, c;

	wire_digest_init(&a);
	wire_digest_init(&b);
	wire_digest_init(&c);
	wire_digest_add(&a, 1);
	wire_digest_add(&a, 2);
	wire_digest_add(&b, 2);
	wire_digest_add(&b, 1);
	wire_digest_add(&c, 1);
	EXPECT_NE(wire_digest_value(&a), wire_digest_value(&b));
	EXPECT_NE(wire_digest_value(&a), wire_digest_value(&c));
	wire_digest_add(&c, 2); /* taking the value does not end it */
	EXPECT_EQ(wire_digest_value(&a), wire_digest_value(&c));
}

/* --- at random --- */

TEST(records_at_random_come_back_and_noise_does_no_harm)
{
	unsigned int seed = getenv("SEED") ? (unsigned int)atoi(getenv("SEED"))
					   : (unsigned int)time(NULL);
	const int rounds = 20000;
	int done;

	srand(seed);
	for (done = 0; done < rounds; done++) {
		unsigned int nr = 1 + (unsigned int)rand() % 8;
		struct extent extents[8], ret[8];
		uint8_t head[WIRE_HEAD_MAX];
		static uint8_t body[8 * 4096];
		struct wire_header h, back;
		uint64_t at = 0;
		uint64_t sum = 0;

		for (unsigned int i = 0; i < nr; i++) {
			extents[i].offset = at + (uint64_t)(rand() % 1000) * 512;
			extents[i].length = (uint64_t)(1 + rand() % 8) * 512;
			at = extents[i].offset + extents[i].length;
			sum += extents[i].length;
		}
		h = (struct wire_header){ .type = CBT_WIRE_DATA,
					  .nr_extents = (uint16_t)nr,
					  .body_len = (uint32_t)sum,
					  .sequence = (uint64_t)rand() };
		wire_seal(&h, extents, body, head);
		ASSERT_EQ(WIRE_SOUND, wire_header_decode(head, &back));
		ASSERT_TRUE(wire_check_matches(&back, head, body));
		ASSERT_EQ(WIRE_SOUND, wire_extents_decode(&back, head, ret, &sum));
		ASSERT_EQ(0, memcmp(extents, ret, nr * sizeof(ret[0])));

		/* a record that was scribbled on is refused or decodes within its bounds; the sanitizers watch */
		head[4 + (unsigned int)rand() % 44] = (uint8_t)rand();
		if (!wire_header_decode(head, &back) && back.nr_extents <= 8)
			(void)wire_extents_decode(&back, head, ret, &sum);
	}
	printf("# seed=%u done=%d/required=%d\n", seed, done, rounds);
}

TEST(a_hash_has_a_mac_for_each_piece_of_its_extents)
{
	static const struct {
		struct extent extents[2];
		uint32_t nr_macs;
		enum wire_fault fault;
	} cases[] = {
		{ { { 0, 4096 }, { 8192, 4096 } }, 2, WIRE_SOUND },
		{ { { 0, 4096 }, { 8192, 4096 } }, 3, WIRE_FAULT_EXTENT_SUM },
		{ { { 0, 4096 }, { 8192, 4096 } }, 1, WIRE_FAULT_EXTENT_SUM },
		{ { { 512, 4096 }, { 8192, 512 } }, 3, WIRE_SOUND },
		{ { { 0, MIB - 512 }, { MIB, 512 } }, 257, WIRE_SOUND },
		{ { { 0, MIB }, { MIB + 512, 512 } }, 257, WIRE_FAULT_EXTENT_SUM },
	};
	static uint8_t macs[257 * CBT_WIRE_MAC_BYTES];
	static uint8_t head[WIRE_HEAD_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct wire_header h = { .type = CBT_WIRE_HASH,
					 .nr_extents = 2,
					 .body_len = cases[i].nr_macs * CBT_WIRE_MAC_BYTES };
		struct extent extents[2];
		uint64_t sum;

		wire_seal(&h, cases[i].extents, macs, head);
		EXPECT_EQ(WIRE_SOUND, wire_header_decode(head, &h));
		EXPECT_EQ(cases[i].fault, wire_extents_decode(&h, head, extents, &sum)) {
			TH_LOG("case %zu", i);
		}
	}
	EXPECT_EQ(WIRE_SOUND, decode_of(CBT_WIRE_HASH, 1, CBT_WIRE_MACS_MAX * 16));
	EXPECT_EQ(WIRE_FAULT_BODY_LEN, decode_of(CBT_WIRE_HASH, 1, CBT_WIRE_MACS_MAX * 16 + 16));
	EXPECT_EQ(WIRE_FAULT_BODY_LEN, decode_of(CBT_WIRE_HASH, 1, 24));
	EXPECT_EQ(WIRE_FAULT_NR_EXTENTS, decode_of(CBT_WIRE_HASH, 0, 16));
	EXPECT_EQ(WIRE_SOUND, decode_of(CBT_WIRE_DIFFER, 0, CBT_WIRE_MACS_MAX / 8));
	EXPECT_EQ(WIRE_FAULT_BODY_LEN, decode_of(CBT_WIRE_DIFFER, 0, CBT_WIRE_MACS_MAX / 8 + 1));
	EXPECT_EQ(WIRE_FAULT_BODY_LEN, decode_of(CBT_WIRE_DIFFER, 0, 0));
}

TEST(compare_comes_back_as_it_was)
{
	struct wire_compare compare = { .only = true, .bytes_total = 12345 };
	uint8_t body[sizeof(struct cbt_wire_compare)];
	struct wire_compare ret;

	memset(&compare.vm, 1, sizeof(compare.vm));
	memset(&compare.epoch, 2, sizeof(compare.epoch));
	memset(&compare.key, 3, sizeof(compare.key));
	ASSERT_EQ(sizeof(body), wire_compare_encode(&compare, body));
	ASSERT_EQ(WIRE_SOUND, wire_compare_decode(body, &ret));
	EXPECT_TRUE(ret.only);
	EXPECT_EQ(12345, ret.bytes_total);
	EXPECT_TRUE(uuid_equal(&compare.vm, &ret.vm) && uuid_equal(&compare.epoch, &ret.epoch));
	EXPECT_EQ(0, memcmp(compare.key, ret.key, sizeof(ret.key)));
	body[4] = 2;
	EXPECT_EQ(WIRE_FAULT_COMPARE, wire_compare_decode(body, &ret));
	body[0]++;
	EXPECT_EQ(WIRE_FAULT_VERSION, wire_compare_decode(body, &ret));
}

TEST_HARNESS_MAIN
