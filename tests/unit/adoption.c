// SPDX-License-Identifier: GPL-2.0-or-later
/* user/daemon/adoption.c: what labels and trackers prove, and what they do not. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/adoption.h"
#include "daemon/relationship.h"

#include "kselftest_harness.h"

#define DISK_BYTES (UINT64_C(1) << 30)

FIXTURE(adoption)
{
	struct labelled_tracker list[3];
	struct adoption got;
	struct failure f;
};

static struct uuid uuid_of(uint8_t byte)
{
	struct uuid uuid;

	memset(&uuid, byte, sizeof(uuid));
	return uuid;
}

static struct labelled_tracker tracker_of(unsigned int disk, unsigned int nr_disks)
{
	struct labelled_tracker t = {
		.info = { .uuid = uuid_of((uint8_t)(10 + disk)),
			  .generation = 4,
			  .state = CBT_STATE_ACTIVE,
			  .has_base = true,
			  .base_uuid = uuid_of(5),
			  .has_store = true },
		.label = { .vm = uuid_of(1),
			   .term = 3,
			   .written_us = 100,
			   .size_bytes = DISK_BYTES,
			   .mode = MODE_PRIMARY,
			   .state = STATE_REPLICATING,
			   .disk = disk,
			   .nr_disks = nr_disks,
			   .vm_name = "vm1",
			   .peer = "192.0.2.2:7407",
			   .settings = "{\"ReplicationInterval\":30}" },
	};

	(void)snprintf(t.info.name, sizeof(t.info.name), "vm1-disk%u", disk);
	(void)snprintf(t.label.disk_name, sizeof(t.label.disk_name), "disk%u", disk);
	(void)snprintf(t.label.path, sizeof(t.label.path), "/dev/vg/disk%u", disk);
	return t;
}

/* Two disks of a primary, found in the wrong order. */
FIXTURE_SETUP(adoption)
{
	memset(self, 0, sizeof(*self));
	self->list[0] = tracker_of(1, 2);
	self->list[1] = tracker_of(0, 2);
}

FIXTURE_TEARDOWN(adoption)
{
	relationship_record_clear(&self->got.r);
}

typedef FIXTURE_DATA(adoption) adoption_data;

static int make(adoption_data *self)
{
	relationship_record_clear(&self->got.r);
	memset(&self->got, 0, sizeof(self->got));
	return adoption_make(self->list, 2, &self->got, &self->f);
}

static void be(adoption_data *self, unsigned int mode, unsigned int state)
{
	for (int i = 0; i < 2; i++) {
		self->list[i].label.mode = mode;
		self->list[i].label.state = state;
	}
}

TEST_F(adoption, a_primary_is_what_its_labels_say_with_its_maps)
{
	const struct relationship_record *r = &self->got.r;
	struct uuid base = uuid_of(5);

	ASSERT_EQ(0, make(self));
	EXPECT_STREQ("vm1", r->name);
	EXPECT_EQ(MODE_PRIMARY, r->mode);
	EXPECT_EQ(STATE_REPLICATING, r->state);
	EXPECT_EQ(3, r->term);
	EXPECT_STREQ("192.0.2.2:7407", r->peer);
	EXPECT_STREQ("{\"ReplicationInterval\":30}", r->settings);
	EXPECT_FALSE(self->got.settings_lost);
	EXPECT_TRUE(self->got.base_known);
	EXPECT_TRUE(uuid_equal(&base, &r->base));
	ASSERT_EQ(2, r->nr_disks);
	for (int i = 0; i < 2; i++) {
		struct uuid uuid = uuid_of((uint8_t)(10 + i));

		EXPECT_EQ('0' + i, r->disks[i].name[4]);
		EXPECT_TRUE(uuid_equal(&uuid, &r->disks[i].tracker_uuid));
		EXPECT_EQ(4, r->disks[i].tracker_generation);
		EXPECT_FALSE(r->disks[i].map_lost);
		EXPECT_EQ(DISK_BYTES, r->disks[i].size_bytes);
	}
}

TEST_F(adoption, a_device_that_is_out_of_sight_is_known_by_the_name_that_the_vm_has_for_it)
{
	(void)strcpy(self->list[0].info.name, "vm1-disk1.replica");
	ASSERT_EQ(0, make(self));
	EXPECT_STREQ("vm1-disk1", self->got.r.disks[1].tracker);
}

/* A host that went down between the labels of two disks. */
TEST_F(adoption, the_label_of_the_highest_term_counts_then_the_latest)
{
	self->list[0].label.term = 4;
	self->list[0].label.flags = STORE_LABEL_CEDED;
	self->list[0].label.state = STATE_PREPARED;
	self->list[1].label.written_us = 200;
	ASSERT_EQ(0, make(self));
	EXPECT_EQ(STATE_PREPARED, self->got.r.state);
	EXPECT_EQ(4, self->got.r.term);
	EXPECT_TRUE(self->got.r.ceded);
	self->list[0].label.term = self->list[1].label.term = 4;
	self->list[0].label.written_us = 100;
	self->list[1].label.written_us = 200;
	(void)strcpy(self->list[1].label.peer, "192.0.2.3");
	ASSERT_EQ(0, make(self));
	EXPECT_STREQ("192.0.2.3:7407", self->got.r.peer);
}

TEST_F(adoption, a_disk_that_is_missing_is_named_by_what_is_there)
{
	EXPECT_EQ(-ENOENT, adoption_make(self->list, 1, &self->got, &self->f));
	EXPECT_EQ(CODE_FILE_NOT_FOUND, self->f.code);
	EXPECT_NE(NULL, strstr(self->f.text, "2 disks"));
	EXPECT_NE(NULL, strstr(self->f.text, "(vm1-disk1)"));
	EXPECT_EQ(NULL, self->got.r.disks);
}

TEST_F(adoption, two_stores_of_one_disk_are_refused_by_name)
{
	self->list[1].label = self->list[0].label;
	(void)strcpy(self->list[1].label.disk_name, "another");
	EXPECT_EQ(-EEXIST, make(self));
	EXPECT_EQ(CODE_INVALID_PARAMETER, self->f.code);
	EXPECT_NE(NULL, strstr(self->f.text, "vm1-disk0"));
	EXPECT_NE(NULL, strstr(self->f.text, "vm1-disk1"));
}

TEST_F(adoption, two_disks_of_one_name_are_refused)
{
	(void)strcpy(self->list[1].label.disk_name, "disk1");
	EXPECT_EQ(-EEXIST, make(self));
}

TEST_F(adoption, a_store_of_before_the_vm_had_another_disk_is_refused)
{
	self->list[1].label.nr_disks = 3;
	EXPECT_EQ(-EEXIST, make(self));
	EXPECT_EQ(CODE_INVALID_PARAMETER, self->f.code);
}

TEST_F(adoption, a_role_that_there_is_not_is_refused)
{
	be(self, MODE_REPLICA, STATE_PREPARED);
	EXPECT_EQ(-EBADMSG, make(self));
	EXPECT_EQ(CODE_STATUS_UNKNOWN, self->f.code);
	be(self, MODE_TEST_REPLICA, STATE_REPLICATING);
	EXPECT_EQ(-EBADMSG, make(self));
	be(self, 200, 200);
	EXPECT_EQ(-EBADMSG, make(self));
}

TEST_F(adoption, a_peer_that_is_no_address_is_refused)
{
	(void)strcpy(self->list[0].label.peer, "elsewhere");
	(void)strcpy(self->list[1].label.peer, "elsewhere");
	EXPECT_EQ(-EBADMSG, make(self));
	EXPECT_EQ(CODE_STATUS_UNKNOWN, self->f.code);
}

TEST_F(adoption, settings_that_are_none_are_the_defaults)
{
	(void)strcpy(self->list[0].label.settings, "{\"ReplicationInterval\":31}");
	(void)strcpy(self->list[1].label.settings, "{\"ReplicationInterval\":31}");
	ASSERT_EQ(0, make(self));
	EXPECT_EQ(NULL, self->got.r.settings);
	EXPECT_TRUE(self->got.settings_lost);
}

/* Any of these, and the map of that disk is worth nothing. */
TEST_F(adoption, a_primary_without_one_base_compares)
{
	self->list[0].info.base_uuid = uuid_of(6);
	ASSERT_EQ(0, make(self));
	EXPECT_FALSE(self->got.base_known);
	EXPECT_TRUE(uuid_is_nil(&self->got.r.base));
	EXPECT_TRUE(self->got.r.disks[0].map_lost);
	EXPECT_TRUE(self->got.r.disks[1].map_lost);

	self->list[0].info.base_uuid = uuid_of(5);
	self->list[1].info.has_base = false;
	ASSERT_EQ(0, make(self));
	EXPECT_FALSE(self->got.base_known);
}

TEST_F(adoption, a_map_that_was_lost_stays_so)
{
	self->list[0].label.flags = STORE_LABEL_MAP_LOST;
	self->list[1].info.state = CBT_STATE_LOST;
	ASSERT_EQ(0, make(self));
	EXPECT_TRUE(self->got.r.disks[0].map_lost);
	EXPECT_TRUE(self->got.r.disks[1].map_lost);
}

TEST_F(adoption, what_all_was_to_be_sent_of_is_sent_whole)
{
	self->list[1].label.flags = STORE_LABEL_SEND_ALL;
	ASSERT_EQ(0, make(self));
	EXPECT_EQ(SEND_ALL, self->got.r.disks[0].send);
	EXPECT_EQ(SEND_USUAL, self->got.r.disks[1].send);
}

TEST_F(adoption, the_peer_may_hold_an_epoch_that_was_frozen)
{
	struct uuid frozen = uuid_of(7);

	self->list[0].info.has_frozen = self->list[1].info.has_frozen = true;
	self->list[0].info.frozen_uuid = self->list[1].info.frozen_uuid = frozen;
	ASSERT_EQ(0, make(self));
	EXPECT_TRUE(self->got.base_known);
	ASSERT_EQ(1, self->got.r.nr_aborted);
	EXPECT_TRUE(uuid_equal(&frozen, &self->got.r.aborted[0]));
}

TEST_F(adoption, a_failed_over_replica_has_its_map)
{
	be(self, MODE_REPLICA, STATE_RECOVERED);
	self->list[0].info.dirty_active = 9;
	ASSERT_EQ(0, make(self));
	EXPECT_TRUE(self->got.base_known);
	EXPECT_FALSE(uuid_is_nil(&self->got.r.disks[0].tracker_uuid));
	EXPECT_FALSE(self->got.r.inconsistent);
}

TEST_F(adoption, a_replica_holds_its_base_when_nothing_was_written_since)
{
	be(self, MODE_REPLICA, STATE_REPLICATING);
	ASSERT_EQ(0, make(self));
	EXPECT_TRUE(self->got.base_known);
	EXPECT_FALSE(self->got.r.inconsistent);
	EXPECT_TRUE(uuid_is_nil(&self->got.r.disks[0].tracker_uuid));
}

/* Its journal was being applied, or somebody wrote there: each of these. */
TEST_F(adoption, a_replica_that_was_written_to_holds_no_instant)
{
	for (int i = 0; i < 4; i++) {
		self->list[0] = tracker_of(0, 2);
		self->list[1] = tracker_of(1, 2);
		be(self, MODE_REPLICA, STATE_REPLICATING);
		self->list[1].info.dirty_active = i == 0;
		self->list[1].info.has_frozen = i == 1;
		self->list[1].info.state = i == 2 ? CBT_STATE_LOST : CBT_STATE_ACTIVE;
		self->list[1].info.has_base = i != 3;
		ASSERT_EQ(0, make(self));
		EXPECT_FALSE(self->got.base_known);
		EXPECT_TRUE(uuid_is_nil(&self->got.r.base));
		EXPECT_TRUE(self->got.r.inconsistent);
	}
}

TEST_F(adoption, a_replica_that_held_no_instant_still_holds_none)
{
	be(self, MODE_REPLICA, STATE_REPLICATING);
	self->list[0].label.flags = self->list[1].label.flags = STORE_LABEL_INCONSISTENT;
	ASSERT_EQ(0, make(self));
	EXPECT_TRUE(self->got.base_known);
	EXPECT_TRUE(self->got.r.inconsistent);
}

TEST_HARNESS_MAIN
