// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/daemon/relationship.c: the whole grid of states and events, and when a delta fits its
 * receiver.
 */
#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "daemon/relationship.h"

#include "kselftest_harness.h"

#define GOLDEN "tests/unit/relationship.golden"

/*
 * One line a cell of the grid [state][event]. After a change that is meant:
 * (sed 1q FILE; build/bin/failback help states) >FILE.new
 */
TEST(every_cell_of_the_grid_is_as_in_the_golden_file)
{
	FILE *golden = fopen(GOLDEN, "re");
	char expected[256];
	char line[256];
	char cell[128];

	ASSERT_NE(NULL, golden);
	ASSERT_NE(NULL, fgets(expected, sizeof(expected), golden)); /* its licence */
	for (unsigned int i = 0; i < NR_STATES * NR_EVENTS; i++) {
		unsigned int state = i / NR_EVENTS;
		unsigned int event = i % NR_EVENTS;

		relationship_cell_text(state, event, cell, sizeof(cell));
		(void)snprintf(line, sizeof(line), "%u %s; %s: %s\n", state, state_name(state),
			       event_name(event), cell[0] ? cell : "-");
		ASSERT_NE(NULL, fgets(expected, sizeof(expected), golden));
		EXPECT_STREQ(expected, line);
	}
	EXPECT_EQ(NULL, fgets(expected, sizeof(expected), golden));
	(void)fclose(golden);
}

TEST(a_refusal_changes_nothing)
{
	struct relationship_role to = { 99, 99 };

	EXPECT_FALSE(relationship_step((struct relationship_role){ MODE_PRIMARY, STATE_REPLICATING },
				       EVENT_REVERSE, &to));
	EXPECT_EQ(99, to.mode);
	EXPECT_EQ(99, to.state);
}

TEST(numbers_outside_of_the_enumerations_are_refused)
{
	struct relationship_role to = { 99, 99 };

	EXPECT_FALSE(relationship_step((struct relationship_role){ MODE_PRIMARY, NR_STATES },
				       EVENT_RESUME, &to));
	EXPECT_FALSE(relationship_step((struct relationship_role){ MODE_PRIMARY, STATE_PREPARED },
				       NR_EVENTS, &to));
	EXPECT_FALSE(relationship_step((struct relationship_role){ NR_MODES, STATE_PREPARED },
				       EVENT_RESUME, &to));
	EXPECT_EQ(99, to.mode);
}

TEST(only_reverse_makes_a_primary_out_of_a_replica)
{
	for (unsigned int state = 0; state < NR_STATES; state++) {
		for (unsigned int event = 0; event < NR_EVENTS; event++) {
			struct relationship_role to;

			if (relationship_step((struct relationship_role){ MODE_REPLICA, state },
					      event, &to) &&
			    to.mode == MODE_PRIMARY)
				EXPECT_TRUE(event == EVENT_REVERSE ||
					    event == EVENT_REVERSE_UNPLANNED);
		}
	}
}

TEST(the_roles_that_reverse_needs_are_named)
{
	char text[192];

	relationship_needs(EVENT_REVERSE, text, sizeof(text));
	EXPECT_STREQ("Replica in state 5 (Recovered) or Replica in state 6 (Committed)", text);
}

TEST(roles_that_find_no_room_are_left_out_whole)
{
	char text[80];

	relationship_needs(EVENT_REVERSE, text, 64);
	EXPECT_STREQ("Replica in state 5 (Recovered), ...", text);
	relationship_needs(EVENT_REVERSE, text, 37);
	EXPECT_STREQ("Replica in state 5 (Recovered), ...", text);
	relationship_needs(EVENT_REVERSE, text, 35);
	EXPECT_STREQ(", ...", text);
	relationship_needs(EVENT_REVERSE, text, 4);
	EXPECT_STREQ(", .", text);
}

TEST(every_number_has_a_name)
{
	for (unsigned int i = 0; i < NR_STATES; i++)
		EXPECT_NE(0, strlen(state_name(i)));
	for (unsigned int i = 0; i < NR_EVENTS; i++)
		EXPECT_STRNE("unknown", event_name(i));
	EXPECT_STREQ("Unknown", state_name(NR_STATES));
	EXPECT_STREQ("Unknown", mode_name(NR_MODES));
	EXPECT_STREQ("Unknown", health_name(NR_HEALTHS));
}

static const struct uuid nil;
static const struct relationship_role waits = { MODE_REPLICA, STATE_WAITING_INITIAL };
static const struct uuid e0 = { { 0xe0 } };
static const struct uuid e1 = { { 0xe1 } };
static const struct uuid e2 = { { 0xe2 } };

TEST(a_replica_that_was_converted_can_be_failed_over_while_its_disks_have_a_base)
{
	EXPECT_TRUE(failover_has_source(waits, &e0, waits, &nil));
	EXPECT_TRUE(failover_has_source(waits, &e0, ROLE_NONE, &nil));
}

TEST(a_replica_that_was_never_sent_anything_cannot)
{
	struct relationship_role primary = { MODE_PRIMARY, STATE_WAITING_INITIAL };

	EXPECT_FALSE(failover_has_source(waits, &nil, primary, &nil));
	EXPECT_FALSE(failover_has_source(waits, &nil, ROLE_NONE, &nil));
}

TEST(what_was_given_up_is_run_from_only_where_both_hosts_gave_theirs_up)
{
	struct relationship_role replica = { MODE_REPLICA, STATE_REPLICATING };

	EXPECT_TRUE(failover_has_source(waits, &nil, waits, &nil));
	EXPECT_FALSE(failover_has_source(waits, &nil, waits, &e0));
	EXPECT_FALSE(failover_has_source(waits, &nil, replica, &nil));
}

TEST(a_delta_fits_a_receiver_that_holds_its_base)
{
	EXPECT_TRUE(base_is_covered(&e0, &nil, &e0, NULL, 0));
	EXPECT_TRUE(base_is_covered(&nil, &nil, &nil, NULL, 0));
	EXPECT_TRUE(base_is_covered(&e0, &e1, &e0, NULL, 0));
}

TEST(a_delta_fits_a_receiver_whose_acknowledgement_was_lost)
{
	struct uuid aborted[] = { e2, e1 };

	EXPECT_TRUE(base_is_covered(&e1, &nil, &e0, aborted, 2));
	EXPECT_FALSE(base_is_covered(&e1, &nil, &e0, aborted, 1));
}

TEST(a_base_proves_that_the_last_epoch_arrived)
{
	EXPECT_TRUE(base_is_covered(&e0, &e1, &e1, NULL, 0));
	EXPECT_FALSE(base_is_covered(&e0, &e2, &e1, NULL, 0));
}

TEST(a_receiver_without_a_base_takes_no_delta_that_has_one)
{
	EXPECT_FALSE(base_is_covered(&nil, &nil, &e0, NULL, 0));
	EXPECT_FALSE(base_is_covered(&e0, &nil, &nil, NULL, 0));
}

TEST_HARNESS_MAIN
