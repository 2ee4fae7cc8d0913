// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/daemon/relationship.c: the whole grid of states and events, and when a delta fits its
 * receiver.
 */
#include <string.h>

#include "base/macro.h"
#include "daemon/relationship.h"

#include "kselftest_harness.h"

/* All that is legal, written down a second time; whatever is not here must be refused. */
static const struct {
	enum relationship_mode mode;
	unsigned int state;
	enum relationship_event event;
	enum relationship_mode to_mode;
	unsigned int to_state;
} legal[] = {
	{ MODE_REPLICA, 5, EVENT_REVERSE, MODE_PRIMARY, 3 },
	{ MODE_REPLICA, 6, EVENT_REVERSE, MODE_PRIMARY, 3 },
	{ MODE_PRIMARY, 4, EVENT_REVERSED_BY_PEER, MODE_REPLICA, 3 },
	{ MODE_REPLICA, 3, EVENT_REVERSED_BY_PEER, MODE_REPLICA, 3 },
	{ MODE_PRIMARY, 3, EVENT_PREPARED, MODE_PRIMARY, 4 },
	{ MODE_PRIMARY, 8, EVENT_PREPARED, MODE_PRIMARY, 4 },
	{ MODE_PRIMARY, 3, EVENT_RESUME, MODE_PRIMARY, 3 },
	{ MODE_PRIMARY, 4, EVENT_RESUME, MODE_PRIMARY, 3 },
	{ MODE_PRIMARY, 8, EVENT_RESUME, MODE_PRIMARY, 8 },
	{ MODE_PRIMARY, 3, EVENT_DELTA_SENT, MODE_PRIMARY, 3 },
	{ MODE_PRIMARY, 8, EVENT_DELTA_SENT, MODE_PRIMARY, 3 },
	{ MODE_PRIMARY, 3, EVENT_DELTA_FAILED, MODE_PRIMARY, 3 },
	{ MODE_PRIMARY, 8, EVENT_DELTA_FAILED, MODE_PRIMARY, 8 },
	{ MODE_PRIMARY, 3, EVENT_DELTA_REFUSED, MODE_PRIMARY, 8 },
	{ MODE_PRIMARY, 8, EVENT_DELTA_REFUSED, MODE_PRIMARY, 8 },
	{ MODE_REPLICA, 3, EVENT_RECEIVE, MODE_REPLICA, 3 },
	{ MODE_REPLICA, 3, EVENT_RECEIVED, MODE_REPLICA, 3 },
	{ MODE_REPLICA, 3, EVENT_RECEIVE_FAILED, MODE_REPLICA, 3 },
};

static int find_legal(struct relationship_role from, unsigned int event)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(legal); i++) {
		if (legal[i].mode == from.mode && legal[i].state == from.state &&
		    legal[i].event == event)
			return (int)i;
	}
	return -1;
}

TEST(every_cell_of_the_grid_is_as_listed_and_a_refusal_changes_nothing)
{
	for (unsigned int i = 0; i < NR_MODES * NR_STATES * NR_EVENTS; i++) {
		struct relationship_role from = { i % NR_MODES, i / NR_MODES % NR_STATES };
		unsigned int event = i / NR_MODES / NR_STATES;
		struct relationship_role to = { 99, 99 };
		int expected = find_legal(from, event);

		ASSERT_EQ(expected >= 0, relationship_step(from, event, &to))
		{
			TH_LOG("mode %u, state %u, %s", from.mode, from.state, event_name(event));
		}
		ASSERT_EQ(expected >= 0 ? legal[expected].to_mode : 99, to.mode);
		ASSERT_EQ(expected >= 0 ? legal[expected].to_state : 99, to.state);
	}
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
				EXPECT_EQ(EVENT_REVERSE, event);
		}
	}
}

TEST(the_roles_that_reverse_needs_are_named)
{
	char text[192];

	relationship_needs(EVENT_REVERSE, text, sizeof(text));
	EXPECT_STREQ("Replica in state 5 (Recovered) or Replica in state 6 (Committed)", text);
}

TEST(a_text_that_does_not_fit_is_cut_and_ended)
{
	char text[9] = "xxxxxxxx";

	relationship_needs(EVENT_REVERSE, text, sizeof(text));
	EXPECT_STREQ("Replica ", text);
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
static const struct uuid e0 = { { 0xe0 } };
static const struct uuid e1 = { { 0xe1 } };
static const struct uuid e2 = { { 0xe2 } };

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
