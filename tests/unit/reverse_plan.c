// SPDX-License-Identifier: GPL-2.0-or-later
/* user/daemon/reverse_plan.c: what is sent of a disk, why, and what the operator agrees to. */
#include <string.h>

#include "daemon/relationship.h"
#include "daemon/reverse_plan.h"

#include "kselftest_harness.h"

#define MIB (UINT64_C(1) << 20)

static const struct uuid e1 = { { 1 } };
static const struct uuid e2 = { { 2 } };

FIXTURE(plan)
{
	struct disk_record disks[2];
	struct relationship_record r;
	struct reply peer;
	bool maps[2];
	uint64_t dirty[2];
	struct plan_facts facts;
	struct plan_disk planned[2];
	struct reverse_plan plan;
};

/* A planned failover: prepared, equal, and some writes here since. */
FIXTURE_SETUP(plan)
{
	memset(self, 0, sizeof(*self));
	for (size_t i = 0; i < 2; i++) {
		(void)strcpy(self->disks[i].name, i ? "b" : "a");
		self->disks[i].size_bytes = 100 * MIB;
		(void)strcpy(self->peer.disks[i].name, i ? "a" : "b"); /* in another order */
		self->peer.disks[i].map_reaches_back = true;
		self->maps[i] = true;
		self->dirty[i] = MIB;
	}
	self->r = (struct relationship_record){ .base = e1, .term = 3, .disks = self->disks,
						.nr_disks = 2 };
	self->peer.nr_disks = 2;
	self->peer.base = e1;
	self->peer.mode = MODE_PRIMARY;
	self->peer.state = STATE_PREPARED;
	self->facts = (struct plan_facts){ .r = &self->r, .map_reaches_back = self->maps,
					   .dirty_bytes = self->dirty, .peer = &self->peer };
	self->plan.disks = self->planned;
}

FIXTURE_TEARDOWN(plan) {}

#define CHECK(i, want_method, want_reason, want_cost, want_lost)        \
	do {                                                            \
		reverse_plan_make(&self->facts, &self->plan);           \
		EXPECT_EQ(want_method, self->planned[i].method);        \
		EXPECT_EQ(want_reason, self->planned[i].reason);        \
		EXPECT_EQ(want_cost, self->planned[i].cost_bytes);      \
		EXPECT_EQ(want_lost, self->planned[i].lost_bytes);      \
	} while (0)

TEST_F(plan, a_prepared_primary_gets_what_was_written_here)
{
	CHECK(0, METHOD_DELTA, REASON_PLANNED, MIB, 0);
	EXPECT_TRUE(self->plan.planned);
	EXPECT_FALSE(self->plan.needs_consent);
	EXPECT_EQ(2 * MIB, self->plan.cost_bytes);
}

TEST_F(plan, so_does_one_that_is_a_replica_already)
{
	self->peer.mode = MODE_REPLICA;
	self->peer.state = STATE_REPLICATING;
	self->peer.disks[1].dirty_bytes = MIB; /* of its life as a replica */
	CHECK(0, METHOD_DELTA, REASON_PLANNED, MIB, 0);
}

TEST_F(plan, an_epoch_that_was_acknowledged_unseen_is_a_base)
{
	self->r.epoch = e2;
	self->peer.base = e2;
	CHECK(1, METHOD_DELTA, REASON_PLANNED, MIB, 0);
}

TEST_F(plan, writes_after_the_last_delta_need_consent)
{
	self->peer.disks[1].dirty_bytes = 4096;
	CHECK(0, METHOD_TWO_SIDED, REASON_WRITTEN, MIB + 4096, 4096);
	CHECK(1, METHOD_DELTA, REASON_PLANNED, MIB, 0);
	EXPECT_TRUE(self->plan.needs_consent);
	EXPECT_FALSE(self->plan.planned);
	EXPECT_EQ(4096, self->plan.lost_bytes);
}

TEST_F(plan, an_unplanned_failover_is_two_sided_where_the_peer_has_its_map)
{
	self->peer.state = STATE_REPLICATING;
	self->peer.disks[0].dirty_bytes = self->peer.disks[1].dirty_bytes = 3 * MIB;
	CHECK(0, METHOD_TWO_SIDED, REASON_NOT_PREPARED, 4 * MIB, 3 * MIB);
	EXPECT_FALSE(self->plan.planned);
	EXPECT_TRUE(self->plan.needs_consent);
	self->peer.disks[1].map_reaches_back = false;
	CHECK(0, METHOD_COMPARE, REASON_PEER_MAP_LOST, 100 * MIB, PLAN_UNKNOWN);
	EXPECT_EQ(METHOD_TWO_SIDED, self->planned[1].method);
	EXPECT_EQ(PLAN_UNKNOWN, self->plan.lost_bytes);
}

TEST_F(plan, a_prepared_primary_that_never_had_a_map_is_taken_at_its_word)
{
	self->peer.disks[1].map_reaches_back = false;
	CHECK(0, METHOD_DELTA, REASON_PLANNED, MIB, 0);
}

TEST_F(plan, a_prepared_primary_whose_map_is_lost_may_be_another_disk)
{
	self->peer.disks[1].map_reaches_back = false;
	self->peer.disks[1].map_lost = true;
	CHECK(0, METHOD_COMPARE, REASON_PEER_MAP_LOST, 100 * MIB, PLAN_UNKNOWN);
	CHECK(1, METHOD_DELTA, REASON_PLANNED, MIB, 0);
	EXPECT_TRUE(self->plan.needs_consent);
}

TEST_F(plan, all_goes_to_a_blank_disk_that_no_map_is_about)
{
	self->peer.state = STATE_REPLICATING;
	self->peer.disks[0].blank = self->peer.disks[1].blank = true;
	CHECK(0, METHOD_TWO_SIDED, REASON_NOT_PREPARED, MIB, 0);
	self->peer.disks[1].map_reaches_back = false;
	CHECK(0, METHOD_FULL, REASON_BLANK, 100 * MIB, PLAN_UNKNOWN);
	self->peer.mode = MODE_REPLICA;
	self->peer.state = STATE_WAITING_INITIAL;
	CHECK(0, METHOD_FULL, REASON_BLANK, 100 * MIB, 0);
	self->peer.disks[1].blank = false;
	CHECK(0, METHOD_COMPARE, REASON_UNKNOWN_CONTENTS, 100 * MIB, 0);
}

TEST_F(plan, an_epoch_that_the_peer_aborted_into_its_map_will_do)
{
	self->r.base = e2;
	self->peer.state = STATE_REPLICATING;
	CHECK(0, METHOD_COMPARE, REASON_OTHER_BASE, 100 * MIB, PLAN_UNKNOWN);
	self->peer.aborted[0] = e2;
	self->peer.nr_aborted = 1;
	CHECK(0, METHOD_TWO_SIDED, REASON_NOT_PREPARED, MIB, 0);
}

TEST_F(plan, a_peer_that_was_converted_and_kept_its_map_is_two_sided_still)
{
	self->peer.mode = MODE_REPLICA;
	self->peer.state = STATE_WAITING_INITIAL;
	self->peer.disks[0].dirty_bytes = self->peer.disks[1].dirty_bytes = 3 * MIB;
	CHECK(0, METHOD_TWO_SIDED, REASON_NOT_PREPARED, 4 * MIB, 0);
	EXPECT_FALSE(self->plan.needs_consent);
}

TEST_F(plan, two_sided_needs_one_base_and_our_map)
{
	self->peer.state = STATE_REPLICATING;
	self->peer.base = e2;
	CHECK(0, METHOD_COMPARE, REASON_OTHER_BASE, 100 * MIB, PLAN_UNKNOWN);
	self->peer.base = e1;
	self->maps[0] = false;
	CHECK(0, METHOD_COMPARE, REASON_MAP_LOST, 100 * MIB, 0);
}

TEST_F(plan, disks_that_were_given_up_before_lose_nothing_more)
{
	self->peer.mode = MODE_REPLICA;
	self->peer.state = STATE_WAITING_INITIAL;
	self->peer.disks[0].map_reaches_back = self->peer.disks[1].map_reaches_back = false;
	CHECK(0, METHOD_COMPARE, REASON_UNKNOWN_CONTENTS, 100 * MIB, 0);
	EXPECT_FALSE(self->plan.needs_consent);
	EXPECT_FALSE(self->plan.planned);
}

TEST_F(plan, a_disk_that_the_peer_does_not_describe_may_lose_anything)
{
	self->peer.nr_disks = 0;
	self->peer.state = STATE_CRITICAL;
	CHECK(0, METHOD_COMPARE, REASON_PEER_MAP_LOST, 100 * MIB, PLAN_UNKNOWN);
}

TEST_F(plan, the_digest_is_of_what_is_agreed_to_and_not_of_how_much_is_written)
{
	char before[sizeof(self->plan.digest)];

	self->peer.state = STATE_REPLICATING;
	reverse_plan_make(&self->facts, &self->plan);
	memcpy(before, self->plan.digest, sizeof(before));
	EXPECT_EQ(16, strlen(before));
	self->dirty[0] = 7 * MIB;
	reverse_plan_make(&self->facts, &self->plan);
	EXPECT_STREQ(before, self->plan.digest);
	self->peer.host.term++;
	reverse_plan_make(&self->facts, &self->plan);
	EXPECT_STRNE(before, self->plan.digest);
	self->peer.host.term--;
	self->peer.disks[0].map_reaches_back = false;
	reverse_plan_make(&self->facts, &self->plan);
	EXPECT_STRNE(before, self->plan.digest);
}

TEST(every_method_and_reason_has_its_words)
{
	for (unsigned int i = 0; i < NR_METHODS; i++)
		EXPECT_STRNE("?", plan_method_name(i));
	for (unsigned int i = 0; i < NR_REASONS; i++) {
		EXPECT_LT(3, strlen(plan_reason_code(i)));
		EXPECT_LT(20, strlen(plan_reason_text(i)));
	}
	EXPECT_STREQ("?", plan_method_name(NR_METHODS));
}

TEST_HARNESS_MAIN
