// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/nl*: what can be tested without the module. tests/vm/cbtctl.sh is the rest. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/nl_decode.h"
#include "lib/nl_exchange.h"

#include "kselftest_harness.h"

/* ---- decoding ---- */

/* A well-formed CBT_A_TRACKER, attribute by attribute, for tests to spoil. */
struct piece {
	int type;
	uint8_t data[CBT_NAME_LEN + 3];
	int bytes; /* -1: left out */
};

#define NR_PIECES CBT_TRACKER_A_MAX

FIXTURE(decode)
{
	struct piece piece[NR_PIECES + 1]; /* by type */
	struct nl_msg *msg;
	struct tracker_info info;
	struct tracker_info untouched;
};

static void set_piece(struct piece *pieces, int type, const void *data, size_t bytes)
{
	pieces[type].type = type;
	pieces[type].bytes = (int)bytes;
	memcpy(pieces[type].data, data, bytes);
}

static void set_u64(struct piece *pieces, int type, uint64_t value)
{
	set_piece(pieces, type, &value, sizeof(value));
}

static void set_u32(struct piece *pieces, int type, uint32_t value)
{
	set_piece(pieces, type, &value, sizeof(value));
}

FIXTURE_SETUP(decode)
{
	const struct uuid uuid = { { 1, 2, 3 } }, frozen = { { 4 } }, base = { { 5 } };
	struct piece *p = self->piece;

	memset(self, 0, sizeof(*self));
	for (int i = 0; i <= NR_PIECES; i++)
		p[i].bytes = -1;
	set_piece(p, CBT_TRACKER_A_UUID, &uuid, sizeof(uuid));
	set_piece(p, CBT_TRACKER_A_NAME, "vm1", 4);
	set_u64(p, CBT_TRACKER_A_DEV, makedev(252, 300));
	set_u64(p, CBT_TRACKER_A_ORIGIN_DEV, makedev(253, 16));
	set_u64(p, CBT_TRACKER_A_GENERATION, 1);
	set_u64(p, CBT_TRACKER_A_EPOCH, 3);
	set_u64(p, CBT_TRACKER_A_SIZE_SECTORS, 2048);
	set_u32(p, CBT_TRACKER_A_BLOCK_SECTORS, 8);
	set_u32(p, CBT_TRACKER_A_STATE, CBT_STATE_VOLATILE);
	set_u64(p, CBT_TRACKER_A_DIRTY_ACTIVE, 17);
	set_u64(p, CBT_TRACKER_A_DIRTY_FROZEN, 18);
	set_u64(p, CBT_TRACKER_A_FROZEN_EPOCH, 2);
	set_piece(p, CBT_TRACKER_A_FROZEN_UUID, &frozen, sizeof(frozen));
	set_piece(p, CBT_TRACKER_A_BASE_UUID, &base, sizeof(base));
	set_u64(p, CBT_TRACKER_A_STORE_DEV, makedev(253, 32));
	set_u32(p, CBT_TRACKER_A_REGION_SECTORS, 8192);
	set_u64(p, CBT_TRACKER_A_SUSPECT_ACTIVE, 19);
	set_u64(p, CBT_TRACKER_A_SUSPECT_FROZEN, 20);
	set_u64(p, CBT_TRACKER_A_DIFF_SLOTS, 21);
	set_u64(p, CBT_TRACKER_A_DIFF_USED, 22);
	set_piece(p, CBT_TRACKER_A_BROKEN, "full", 5);
	set_piece(p, CBT_TRACKER_A_FAILURE, "gone", 5);
	memset(&self->info, 0x55, sizeof(self->info));
	self->untouched = self->info;
}

FIXTURE_TEARDOWN(decode)
{
	nlmsg_free(self->msg);
}

static struct nlattr *nest_of(struct nl_msg **msg, const struct piece *pieces)
{
	struct nlattr *nest;

	nlmsg_free(*msg);
	*msg = nlmsg_alloc();
	nest = nla_nest_start(*msg, CBT_A_TRACKER);
	for (int i = 0; i <= NR_PIECES; i++)
		if (pieces[i].bytes >= 0)
			(void)nla_put(*msg, pieces[i].type, pieces[i].bytes, pieces[i].data);
	(void)nla_nest_end_keep_empty(*msg, nest);
	return nest;
}

#define DECODE() nl_decode_tracker(nest_of(&self->msg, self->piece), &self->info)
#define DECODE_IDENTITY() nl_decode_identity(nest_of(&self->msg, self->piece), &self->info)

#define EXPECT_REFUSED(call)                                                                \
	({                                                                                  \
		EXPECT_EQ(-EBADMSG, call);                                                  \
		EXPECT_EQ(0, memcmp(&self->untouched, &self->info, sizeof(self->info)));    \
	})

TEST_F(decode, every_attribute_finds_its_member)
{
	ASSERT_EQ(0, DECODE());
	EXPECT_EQ(3, self->info.uuid.b[2]);
	EXPECT_STREQ("vm1", self->info.name);
	EXPECT_EQ(252U, major(self->info.dev));
	EXPECT_EQ(300U, minor(self->info.dev));
	EXPECT_EQ(16U, minor(self->info.origin_dev));
	EXPECT_EQ(1U, self->info.generation);
	EXPECT_EQ(3U, self->info.epoch);
	EXPECT_EQ(2048U, self->info.size_sectors);
	EXPECT_EQ(8U, self->info.block_sectors);
	EXPECT_EQ(17U, self->info.dirty_active);
	EXPECT_TRUE(self->info.has_frozen);
	EXPECT_EQ(18U, self->info.dirty_frozen);
	EXPECT_EQ(2U, self->info.frozen_epoch);
	EXPECT_EQ(4, self->info.frozen_uuid.b[0]);
	EXPECT_TRUE(self->info.has_base);
	EXPECT_EQ(5, self->info.base_uuid.b[0]);
	EXPECT_TRUE(self->info.has_store);
	EXPECT_EQ(32U, minor(self->info.store_dev));
	EXPECT_EQ(8192U, self->info.region_sectors);
	EXPECT_EQ(19U, self->info.suspect_active);
	EXPECT_EQ(20U, self->info.suspect_frozen);
	EXPECT_EQ(21U, self->info.diff_slots);
	EXPECT_EQ(22U, self->info.diff_used);
	EXPECT_STREQ("full", self->info.broken);
	EXPECT_STREQ("gone", self->info.failure);
}

TEST_F(decode, all_of_the_store_may_be_absent_and_not_a_part_of_it)
{
	self->piece[CBT_TRACKER_A_STORE_DEV].bytes = -1;
	EXPECT_REFUSED(DECODE());
	self->piece[CBT_TRACKER_A_REGION_SECTORS].bytes = -1;
	EXPECT_REFUSED(DECODE());
	for (int type = CBT_TRACKER_A_STORE_DEV; type <= CBT_TRACKER_A_MAX; type++)
		self->piece[type].bytes = -1;
	ASSERT_EQ(0, DECODE());
	EXPECT_FALSE(self->info.has_store);
	EXPECT_EQ(0U, self->info.region_sectors);
	EXPECT_STREQ("", self->info.broken);
}

TEST_F(decode, a_reason_ends_and_a_long_one_is_cut)
{
	struct piece *reason = &self->piece[CBT_TRACKER_A_BROKEN];

	memset(reason->data, 'x', sizeof(reason->data));
	reason->bytes = 100;
	EXPECT_REFUSED(DECODE());
	reason->data[99] = '\0';
	ASSERT_EQ(0, DECODE());
	EXPECT_EQ(99U, strlen(self->info.broken));
}

TEST_F(decode, a_region_smaller_than_a_block_is_refused)
{
	set_u32(self->piece, CBT_TRACKER_A_REGION_SECTORS, 4);
	EXPECT_REFUSED(DECODE());
	set_u32(self->piece, CBT_TRACKER_A_REGION_SECTORS, 8193);
	EXPECT_REFUSED(DECODE());
}

TEST_F(decode, name_frozen_epoch_and_base_may_be_absent)
{
	self->piece[CBT_TRACKER_A_NAME].bytes = -1;
	self->piece[CBT_TRACKER_A_DIRTY_FROZEN].bytes = -1;
	self->piece[CBT_TRACKER_A_FROZEN_EPOCH].bytes = -1;
	self->piece[CBT_TRACKER_A_FROZEN_UUID].bytes = -1;
	self->piece[CBT_TRACKER_A_BASE_UUID].bytes = -1;
	ASSERT_EQ(0, DECODE());
	EXPECT_STREQ("", self->info.name);
	EXPECT_FALSE(self->info.has_frozen);
	EXPECT_EQ(0U, self->info.dirty_frozen);
	EXPECT_FALSE(self->info.has_base);
}

TEST_F(decode, each_other_attribute_must_be_there)
{
	static const int needed[] = {
		CBT_TRACKER_A_UUID,	    CBT_TRACKER_A_DEV,	       CBT_TRACKER_A_ORIGIN_DEV,
		CBT_TRACKER_A_GENERATION,   CBT_TRACKER_A_EPOCH,       CBT_TRACKER_A_SIZE_SECTORS,
		CBT_TRACKER_A_BLOCK_SECTORS, CBT_TRACKER_A_STATE,      CBT_TRACKER_A_DIRTY_ACTIVE,
		CBT_TRACKER_A_DIRTY_FROZEN, CBT_TRACKER_A_FROZEN_EPOCH, CBT_TRACKER_A_FROZEN_UUID,
	};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		int bytes = self->piece[needed[i]].bytes;

		self->piece[needed[i]].bytes = -1;
		EXPECT_REFUSED(DECODE());
		self->piece[needed[i]].bytes = bytes;
	}
}

TEST_F(decode, an_attribute_of_another_length_is_refused)
{
	for (int type = CBT_TRACKER_A_UUID; type <= CBT_TRACKER_A_MAX; type++) {
		int bytes = self->piece[type].bytes;

		if (type == CBT_TRACKER_A_NAME || type == CBT_TRACKER_A_BROKEN ||
		    type == CBT_TRACKER_A_FAILURE)
			continue;
		for (int wrong = 0; wrong <= bytes + 1; wrong++) {
			self->piece[type].bytes = wrong;
			if (wrong != bytes)
				EXPECT_REFUSED(DECODE());
		}
		self->piece[type].bytes = bytes;
	}
}

TEST_F(decode, a_name_must_end_and_have_1_to_127_characters)
{
	struct piece *name = &self->piece[CBT_TRACKER_A_NAME];

	memset(name->data, 'x', sizeof(name->data));
	name->bytes = 5;
	EXPECT_REFUSED(DECODE());
	name->bytes = 0;
	EXPECT_REFUSED(DECODE());
	name->data[CBT_NAME_LEN + 1] = '\0';
	name->bytes = CBT_NAME_LEN + 2;
	EXPECT_REFUSED(DECODE());
	name->data[0] = '\0';
	EXPECT_REFUSED(DECODE());
	name->data[0] = 'x';
	name->data[CBT_NAME_LEN] = '\0';
	name->bytes = CBT_NAME_LEN + 1;
	ASSERT_EQ(0, DECODE());
	EXPECT_EQ((size_t)CBT_NAME_LEN, strlen(self->info.name));
}

TEST_F(decode, a_block_size_that_is_none_is_refused)
{
	static const uint32_t wrong[] = { 0, 1, 4, 9, 2049, 4096, 0x80000000 };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		set_u32(self->piece, CBT_TRACKER_A_BLOCK_SECTORS, wrong[i]);
		EXPECT_REFUSED(DECODE());
		EXPECT_REFUSED(DECODE_IDENTITY());
	}
}

TEST_F(decode, a_size_that_is_none_is_refused)
{
	set_u64(self->piece, CBT_TRACKER_A_SIZE_SECTORS, 0);
	EXPECT_REFUSED(DECODE());
	set_u64(self->piece, CBT_TRACKER_A_SIZE_SECTORS, 1ULL << 54);
	EXPECT_REFUSED(DECODE());
}

TEST_F(decode, attributes_of_a_newer_module_are_skipped)
{
	self->piece[0].type = CBT_TRACKER_A_MAX + 7;
	self->piece[0].bytes = 3;
	EXPECT_EQ(0, DECODE());
}

TEST_F(decode, a_map_needs_the_identity_only_and_gets_no_more)
{
	static const int identity[] = { CBT_TRACKER_A_UUID, CBT_TRACKER_A_GENERATION, CBT_TRACKER_A_EPOCH,
					CBT_TRACKER_A_SIZE_SECTORS, CBT_TRACKER_A_BLOCK_SECTORS };
	struct piece only[NR_PIECES + 1];

	ASSERT_EQ(0, DECODE_IDENTITY());
	EXPECT_STREQ("", self->info.name);
	EXPECT_EQ(0U, self->info.dirty_active);
	EXPECT_FALSE(self->info.has_frozen);

	memcpy(only, self->piece, sizeof(only));
	for (int i = 0; i <= NR_PIECES; i++)
		self->piece[i].bytes = -1;
	for (size_t i = 0; i < ARRAY_SIZE(identity); i++)
		self->piece[identity[i]] = only[identity[i]];
	EXPECT_EQ(0, DECODE_IDENTITY());
	self->info = self->untouched;
	for (size_t i = 0; i < ARRAY_SIZE(identity); i++) {
		self->piece[identity[i]].bytes = -1;
		EXPECT_REFUSED(DECODE_IDENTITY());
		self->piece[identity[i]] = only[identity[i]];
	}
}

TEST(a_chunk_needs_its_start_and_its_blocks_as_64_bits)
{
	static const struct {
		int start_bytes;
		int blocks_bytes;
		int want;
	} cases[] = { { 8, 8, 0 }, { -1, 8, -EBADMSG }, { 8, -1, -EBADMSG }, { 4, 8, -EBADMSG }, { 8, 4, -EBADMSG } };
	const uint8_t bytes[8] = { 9 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nl_msg *msg = nlmsg_alloc();
		struct nlattr *nest = nla_nest_start(msg, CBT_A_CHUNK);
		struct chunk chunk = { .start = 77 };

		if (cases[i].start_bytes >= 0)
			(void)nla_put(msg, CBT_CHUNK_A_START, cases[i].start_bytes, bytes);
		if (cases[i].blocks_bytes >= 0)
			(void)nla_put(msg, CBT_CHUNK_A_BLOCKS, cases[i].blocks_bytes, bytes);
		(void)nla_put(msg, CBT_CHUNK_A_BITS, sizeof(bytes), bytes);
		(void)nla_nest_end(msg, nest);
		EXPECT_EQ(cases[i].want, nl_decode_chunk(nest, &chunk));
		EXPECT_EQ(cases[i].want ? 77U : 9U, chunk.start);
		EXPECT_EQ(cases[i].want ? 0U : sizeof(bytes), chunk.bits_bytes);
		EXPECT_EQ(NULL, chunk.runs);
		nlmsg_free(msg);
	}
}

/* ---- failures ---- */

TEST(the_kernels_sentence_comes_with_the_subject_and_what_to_do)
{
	const char *trackers[] = { "vm1", "vm2", "vm3" };
	const struct nl_subject about = { "freeze", trackers, 3 };
	struct failure f;

	EXPECT_EQ(-ENODEV, nl_explain(&f, -ENODEV, &about, "vm2: there is none"));
	EXPECT_EQ((uint32_t)CODE_INVALID_PARAMETER, f.code);
	EXPECT_STREQ("cannot freeze vm1 and 2 others: vm2: there is none; `cbtctl list` shows what is there", f.text);
}

TEST(each_error_of_the_family_has_its_code_and_a_sentence_of_its_own)
{
	static const struct {
		int error;
		uint32_t code;
	} cases[] = {
		{ EPERM, CODE_ACCESS_DENIED },	   { ENODEV, CODE_INVALID_PARAMETER },
		{ EBUSY, CODE_IN_USE },		   { ETIMEDOUT, CODE_TIMEOUT },
		{ ENOENT, CODE_INVALID_STATE },	   { ECANCELED, CODE_INVALID_STATE },
		{ EALREADY, CODE_INVALID_STATE },  { EEXIST, CODE_INVALID_STATE },
		{ ESTALE, CODE_INVALID_STATE },	   { ENOMEM, CODE_OUT_OF_MEMORY },
		{ EINVAL, CODE_INVALID_PARAMETER }, { EIO, CODE_FAILED },
	};
	const char *tracker = "vm1";
	const struct nl_subject about = { "commit", &tracker, 1 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct failure f = { 0 };

		EXPECT_EQ(-cases[i].error, nl_explain(&f, -cases[i].error, &about, ""));
		EXPECT_EQ(cases[i].code, f.code);
		EXPECT_EQ(0, strncmp(f.text, "cannot commit vm1: ", strlen("cannot commit vm1: ")));
	}
}

TEST(without_the_module_opening_says_to_load_it)
{
	struct failure f = { 0 };
	struct nl *nl = NULL;
	int err = nl_open(&nl, &f);

	if (err == 0) {
		nl_close_at(&nl);
		SKIP(return, "dm-cbt is loaded");
	}
	EXPECT_EQ(-ENOPROTOOPT, err);
	EXPECT_EQ((uint32_t)CODE_NOT_AVAILABLE, f.code);
	EXPECT_TRUE(strstr(f.text, "modprobe dm-cbt"));
	EXPECT_EQ(NULL, nl);
}

TEST_HARNESS_MAIN
