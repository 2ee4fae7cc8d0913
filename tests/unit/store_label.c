// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/store_label.c: what is written is read again, and of other bytes nothing passes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/store_label.h"
#include "port.h"

#include "count.h"
#include "kselftest_harness.h"

#define CRC_AT	   12
#define USED_AT	   10
#define VERSION_AT 8
#define TEXTS_AT   96

FIXTURE(store_label)
{
	struct store_label label;
	struct store_label got;
	uint8_t bytes[CBT_LABEL_LEN];
};

FIXTURE_SETUP(store_label)
{
	memset(self, 0, sizeof(*self));
	self->label = (struct store_label){
		.term = 7,
		.written_us = UINT64_C(1700000000000000),
		.size_bytes = UINT64_C(68719476736),
		.mode = 1,
		.state = 3,
		.flags = STORE_LABEL_CEDED | STORE_LABEL_MAP_LOST,
		.disk = 1,
		.nr_disks = 2,
		.disk_name = "disk1",
		.vm_name = "db1",
		.peer = "192.0.2.2:7407",
		.settings = "{\"ReplicationInterval\":30}",
		.path = "/dev/vg/db1-data",
	};
	memset(&self->label.vm, 3, sizeof(self->label.vm));
	memset(self->label.peer_key, 9, sizeof(self->label.peer_key));
}

FIXTURE_TEARDOWN(store_label)
{
}

typedef FIXTURE_DATA(store_label) store_label_data;

/* From memory of its own, so that ASan sees a read beyond. */
static enum store_label_kind decode(store_label_data *self)
{
	uint8_t *bytes = malloc(CBT_LABEL_LEN);
	enum store_label_kind kind;

	memcpy(bytes, self->bytes, CBT_LABEL_LEN);
	kind = store_label_decode(bytes, &self->got);
	free(bytes);
	return kind;
}

/* As if whoever wrote it had meant it. */
static void seal(store_label_data *self)
{
	uint32_t crc;

	memset(self->bytes + CRC_AT, 0, sizeof(crc));
	crc = htole32(~crc32c(~0U, self->bytes, sizeof(self->bytes)));
	memcpy(self->bytes + CRC_AT, &crc, sizeof(crc));
}

TEST_F(store_label, all_that_is_written_is_read_again)
{
	ASSERT_EQ(0, store_label_encode(&self->label, self->bytes));
	ASSERT_EQ(STORE_LABEL_SOUND, decode(self));
	EXPECT_TRUE(uuid_equal(&self->label.vm, &self->got.vm));
	EXPECT_EQ(self->label.term, self->got.term);
	EXPECT_EQ(self->label.written_us, self->got.written_us);
	EXPECT_EQ(self->label.size_bytes, self->got.size_bytes);
	EXPECT_EQ(self->label.mode, self->got.mode);
	EXPECT_EQ(self->label.state, self->got.state);
	EXPECT_EQ(self->label.flags, self->got.flags);
	EXPECT_EQ(self->label.disk, self->got.disk);
	EXPECT_EQ(self->label.nr_disks, self->got.nr_disks);
	EXPECT_EQ(0, memcmp(self->label.peer_key, self->got.peer_key, FINGERPRINT_BYTES));
	EXPECT_STREQ(self->label.disk_name, self->got.disk_name);
	EXPECT_STREQ(self->label.vm_name, self->got.vm_name);
	EXPECT_STREQ(self->label.peer, self->got.peer);
	EXPECT_STREQ(self->label.settings, self->got.settings);
	EXPECT_STREQ(self->label.path, self->got.path);
}

TEST_F(store_label, the_longest_names_fit_and_are_not_cut)
{
	memset(self->label.vm_name, 'v', VM_NAME_MAX);
	memset(self->label.disk_name, 'd', DISK_NAME_MAX);
	memset(self->label.peer, 'p', PEER_TEXT_MAX - 1);
	ASSERT_EQ(0, store_label_encode(&self->label, self->bytes));
	ASSERT_EQ(STORE_LABEL_SOUND, decode(self));
	EXPECT_EQ(VM_NAME_MAX, strlen(self->got.vm_name));
	EXPECT_EQ(DISK_NAME_MAX, strlen(self->got.disk_name));
	EXPECT_EQ(PEER_TEXT_MAX - 1, strlen(self->got.peer));
}

TEST_F(store_label, settings_without_room_are_left_out_and_said_to_be)
{
	memset(self->label.vm_name, 'v', VM_NAME_MAX);
	memset(self->label.settings, 's', STORE_LABEL_TEXT_MAX);
	ASSERT_EQ(0, store_label_encode(&self->label, self->bytes));
	ASSERT_EQ(STORE_LABEL_SOUND, decode(self));
	EXPECT_STREQ("", self->got.settings);
	EXPECT_EQ(self->label.flags | STORE_LABEL_NO_SETTINGS, self->got.flags);
	EXPECT_STREQ(self->label.path, self->got.path);
}

TEST_F(store_label, a_path_without_room_is_left_out)
{
	memset(self->label.vm_name, 'v', VM_NAME_MAX);
	memset(self->label.path, 'p', STORE_LABEL_TEXT_MAX);
	ASSERT_EQ(0, store_label_encode(&self->label, self->bytes));
	ASSERT_EQ(STORE_LABEL_SOUND, decode(self));
	EXPECT_STREQ("", self->got.path);
	EXPECT_STREQ(self->label.settings, self->got.settings);
}

TEST_F(store_label, what_would_not_be_read_again_is_not_written)
{
	uint8_t before[CBT_LABEL_LEN] = { 0 };
	struct store_label label = self->label;

	label.vm_name[0] = '\0';
	EXPECT_EQ(-EINVAL, store_label_encode(&label, self->bytes));
	label = self->label;
	label.vm_name[1] = '\n';
	EXPECT_EQ(-EINVAL, store_label_encode(&label, self->bytes));
	label = self->label;
	label.disk_name[0] = '\xff';
	EXPECT_EQ(-EINVAL, store_label_encode(&label, self->bytes));
	label = self->label;
	label.disk = label.nr_disks;
	EXPECT_EQ(-EINVAL, store_label_encode(&label, self->bytes));
	label = self->label;
	label.flags = STORE_LABEL_FLAGS + 1;
	EXPECT_EQ(-EINVAL, store_label_encode(&label, self->bytes));
	EXPECT_EQ(0, memcmp(before, self->bytes, sizeof(before)));
}

TEST_F(store_label, an_empty_label_and_another_ones_are_foreign)
{
	EXPECT_EQ(STORE_LABEL_FOREIGN, decode(self));
	(void)strcpy((char *)self->bytes, "relationship 7");
	EXPECT_EQ(STORE_LABEL_FOREIGN, decode(self));
}

TEST_F(store_label, every_bit_that_flips_is_noticed)
{
	unsigned int missed = 0;

	ASSERT_EQ(0, store_label_encode(&self->label, self->bytes));
	for (size_t bit = 0; bit < CBT_LABEL_LEN * 8; bit++) {
		self->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		missed += decode(self) == STORE_LABEL_SOUND;
		self->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	EXPECT_EQ(0, missed);
	EXPECT_EQ(STORE_LABEL_SOUND, decode(self));
}

TEST_F(store_label, another_version_is_not_guessed_at)
{
	ASSERT_EQ(0, store_label_encode(&self->label, self->bytes));
	self->bytes[VERSION_AT] = 2;
	EXPECT_EQ(STORE_LABEL_DAMAGED, decode(self));
	seal(self);
	EXPECT_EQ(STORE_LABEL_NEWER, decode(self));
}

TEST_F(store_label, texts_that_leave_what_is_used_are_damage)
{
	ASSERT_EQ(0, store_label_encode(&self->label, self->bytes));
	self->bytes[TEXTS_AT] = 200;
	seal(self);
	EXPECT_EQ(STORE_LABEL_DAMAGED, decode(self));
	ASSERT_EQ(0, store_label_encode(&self->label, self->bytes));
	self->bytes[USED_AT]--;
	seal(self);
	EXPECT_EQ(STORE_LABEL_DAMAGED, decode(self));
	memset(self->bytes + USED_AT, 0xff, 2);
	seal(self);
	EXPECT_EQ(STORE_LABEL_DAMAGED, decode(self));
}

TEST_F(store_label, a_text_that_leaves_the_label_is_damage)
{
	size_t used;

	memset(self->label.vm_name, 'v', VM_NAME_MAX);
	self->label.settings[0] = self->label.path[0] = '\0';
	ASSERT_EQ(0, store_label_encode(&self->label, self->bytes));
	used = self->bytes[USED_AT] + 256U * self->bytes[USED_AT + 1];
	/* The length of the path, which comes last. */
	memset(self->bytes + used - 1, 255, CBT_LABEL_LEN - used + 1);
	memset(self->bytes + USED_AT, 0xff, 2);
	seal(self);
	EXPECT_EQ(STORE_LABEL_DAMAGED, decode(self));
}

TEST_F(store_label, a_name_that_is_no_text_is_damage)
{
	static const uint8_t bad[] = { 0, '\n', 0xff, 0x1b };

	for (size_t i = 0; i < sizeof(bad); i++) {
		ASSERT_EQ(0, store_label_encode(&self->label, self->bytes));
		self->bytes[TEXTS_AT + 2] = bad[i];
		seal(self);
		EXPECT_EQ(STORE_LABEL_DAMAGED, decode(self));
	}
}

/* Written as if it had been meant: what is taken is what could have been written. */
TEST_F(store_label, hostile_bytes_with_a_right_check_stay_within_bounds)
{
	uint64_t required = required_count(20000, 1000000);
	uint64_t seed = new_seed();
	uint64_t state = seed;
	uint64_t sound = 0;
	uint64_t done;

	for (done = 0; done < required; done++) {
		ASSERT_EQ(0, store_label_encode(&self->label, self->bytes));
		for (uint64_t n = next_random(&state) % 4; n < 4; n++)
			self->bytes[USED_AT + next_random(&state) % 200] = (uint8_t)next_random(&state);
		seal(self);
		if (decode(self) != STORE_LABEL_SOUND)
			continue;
		sound++;
		EXPECT_LT(self->got.disk, self->got.nr_disks);
		EXPECT_EQ(0, store_label_encode(&self->got, self->bytes));
	}
	EXPECT_LT(0, sound);
	EXPECT_TRUE(enough_done(seed, done, required));
}

TEST_HARNESS_MAIN
