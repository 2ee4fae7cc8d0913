// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/lib/stripe.h and user/lib/gathering.c: records that are dealt to several connections come back in their
 * order, and only the connections that the receiver waits for may join. And what two hosts say of it
 * (user/daemon/calls.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/macro.h"
#include "daemon/calls.h"
#include "lib/gathering.h"
#include "lib/stripe.h"

#include "kselftest_harness.h"

#define NR_RECORDS 5000U

/* --- stripe --- */

static const unsigned int types[] = { CBT_WIRE_DATA, CBT_WIRE_ZERO, CBT_WIRE_MARK, CBT_WIRE_DISCARD };

/* What one connection carries: numbers and types of records, in their order. */
struct carried {
	unsigned int numbers[NR_RECORDS];
	unsigned int types[NR_RECORDS];
	unsigned int nr;
	unsigned int nr_taken;
};

TEST(records_that_are_dealt_out_come_back_in_their_order)
{
	unsigned int seed = (unsigned int)time(NULL);
	struct carried *carried = calloc(CBT_WIRE_CONNECTIONS_MAX, sizeof(*carried));

	TH_LOG("seed=%u", seed);
	srand(seed);
	for (unsigned int nr = 1; nr <= CBT_WIRE_CONNECTIONS_MAX; nr++) {
		struct stripe sender = { .nr = nr };
		struct stripe receiver = { .nr = nr };

		memset(carried, 0, CBT_WIRE_CONNECTIONS_MAX * sizeof(*carried));
		for (unsigned int i = 0; i < NR_RECORDS; i++) {
			struct carried *c = &carried[sender.turn];
			unsigned int type = types[(unsigned int)rand() % ARRAY_SIZE(types)];

			c->numbers[c->nr] = i;
			c->types[c->nr++] = type;
			stripe_passed(&sender, type);
		}
		for (unsigned int i = 0; i < NR_RECORDS; i++) {
			struct carried *c = &carried[receiver.turn];

			ASSERT_LT(c->nr_taken, c->nr);
			ASSERT_EQ(i, c->numbers[c->nr_taken]);
			stripe_passed(&receiver, c->types[c->nr_taken++]);
		}
		EXPECT_EQ(sender.turn, receiver.turn);
	}
	free(carried);
}

/* Dealt out by record, ZEROs between would leave half of the connections without any data. */
TEST(every_connection_gets_as_much_data_whatever_stands_between)
{
	unsigned int nr_data[CBT_WIRE_CONNECTIONS_MAX] = { 0 };
	struct stripe s = { .nr = 4 };

	for (unsigned int i = 0; i < 400; i++) {
		stripe_passed(&s, CBT_WIRE_ZERO);
		if (i % 3 == 0)
			stripe_passed(&s, CBT_WIRE_MARK);
		nr_data[s.turn]++;
		stripe_passed(&s, CBT_WIRE_DATA);
	}
	for (unsigned int i = 0; i < 4; i++)
		EXPECT_EQ(100, nr_data[i]);
}

TEST(what_comes_before_the_data_goes_over_the_first)
{
	static const unsigned int before[] = { CBT_WIRE_COMPARE, CBT_WIRE_HASH, CBT_WIRE_HASH, CBT_WIRE_BEGIN,
					       CBT_WIRE_ZERO,	 CBT_WIRE_MARK, CBT_WIRE_END,  CBT_WIRE_FAILED };
	struct stripe s = { .nr = 8 };

	for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
		stripe_passed(&s, before[i]);
		EXPECT_EQ(0, s.turn);
	}
}

TEST(one_connection_is_always_its_turn)
{
	struct stripe s = { .nr = 1 };

	for (unsigned int i = 0; i < 10; i++) {
		stripe_passed(&s, CBT_WIRE_DATA);
		EXPECT_EQ(0, s.turn);
	}
}

/* --- gathering --- */

static const struct uuid token = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } };

TEST(a_receiver_takes_some_connections_and_no_more)
{
	EXPECT_EQ(1, gathering_size(0));
	EXPECT_EQ(1, gathering_size(1));
	EXPECT_EQ(3, gathering_size(3));
	EXPECT_EQ(CBT_WIRE_CONNECTIONS_MAX, gathering_size(CBT_WIRE_CONNECTIONS_MAX));
	EXPECT_EQ(CBT_WIRE_CONNECTIONS_MAX, gathering_size(CBT_WIRE_CONNECTIONS_MAX + 1));
	EXPECT_EQ(CBT_WIRE_CONNECTIONS_MAX, gathering_size(UINT64_MAX));
}

TEST(connections_join_in_any_order)
{
	static const unsigned int numbers[] = { 3, 1, 2 };
	struct gathering g;

	gathering_begin(&g, 4, &token);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		EXPECT_FALSE(gathering_is_whole(&g));
		EXPECT_EQ(0, gathering_admit(&g, &token, numbers[i], NULL));
	}
	EXPECT_TRUE(gathering_is_whole(&g));
}

TEST(one_connection_is_whole_at_once_and_its_token_opens_nothing)
{
	struct gathering g;

	gathering_begin(&g, 1, &token);
	EXPECT_TRUE(gathering_is_whole(&g));
	EXPECT_EQ(-EACCES, gathering_admit(&g, &token, 1, NULL));
}

TEST(another_token_is_refused_and_changes_nothing)
{
	struct gathering g;
	struct gathering before;
	struct failure f;

	gathering_begin(&g, 3, &token);
	before = g;
	for (size_t i = 0; i < 8 * sizeof(token.b); i++) {
		struct uuid other = token;

		other.b[i / 8] ^= (uint8_t)(1U << i % 8);
		EXPECT_EQ(-EACCES, gathering_admit(&g, &other, 1, &f));
		EXPECT_EQ(CODE_ACCESS_DENIED, f.code);
	}
	EXPECT_EQ(0, memcmp(&before, &g, sizeof(g)));
	EXPECT_EQ(0, gathering_admit(&g, &token, 1, NULL));
}

TEST(nothing_is_gathered_under_no_token)
{
	static const struct uuid nil;
	struct gathering g = { 0 };

	EXPECT_EQ(-EACCES, gathering_admit(&g, &nil, 1, NULL));
	EXPECT_EQ(-EACCES, gathering_admit(&g, &token, 1, NULL));
	gathering_begin(&g, 2, &nil);
	EXPECT_EQ(-EACCES, gathering_admit(&g, &nil, 1, NULL));
}

TEST(a_number_that_there_is_not_is_refused_and_changes_nothing)
{
	static const uint64_t numbers[] = { 0, 3, 4, 8, 31, 32, 33, 64, 65, UINT32_MAX, UINT64_MAX };
	struct gathering g;
	struct gathering before;

	gathering_begin(&g, 3, &token);
	before = g;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		EXPECT_EQ(-ERANGE, gathering_admit(&g, &token, numbers[i], NULL));
	EXPECT_EQ(0, memcmp(&before, &g, sizeof(g)));
}

TEST(a_connection_that_comes_twice_is_refused_and_the_others_still_join)
{
	struct gathering g;

	gathering_begin(&g, 3, &token);
	EXPECT_EQ(0, gathering_admit(&g, &token, 2, NULL));
	EXPECT_EQ(-EEXIST, gathering_admit(&g, &token, 2, NULL));
	EXPECT_FALSE(gathering_is_whole(&g));
	EXPECT_EQ(0, gathering_admit(&g, &token, 1, NULL));
	EXPECT_TRUE(gathering_is_whole(&g));
}

TEST(a_token_of_a_delta_that_has_all_is_void)
{
	struct gathering g;

	gathering_begin(&g, 2, &token);
	EXPECT_EQ(0, gathering_admit(&g, &token, 1, NULL));
	for (unsigned int number = 0; number < 4; number++)
		EXPECT_EQ(-EACCES, gathering_admit(&g, &token, number, NULL));
}

/* --- what is said --- */

TEST(a_join_is_read_as_it_was_written_and_is_short)
{
	struct call written = { .kind = CALL_JOIN, .vm = { { 7 } }, .token = token, .connection = 3 };
	struct call read;
	char *text = call_encode(&written);

	ASSERT_NE(NULL, text);
	EXPECT_LT(strlen(text), 256);
	ASSERT_EQ(0, call_decode(text, &read, NULL));
	free(text);
	EXPECT_EQ(CALL_JOIN, read.kind);
	EXPECT_TRUE(uuid_equal(&written.vm, &read.vm));
	EXPECT_TRUE(uuid_equal(&token, &read.token));
	EXPECT_EQ(3, read.connection);
}

TEST(a_join_without_what_it_joins_is_none)
{
#define JOIN "{\"call\": \"join\", \"version\": 4, \"vm\": \"11111111-2222-4333-8444-555555555555\""
#define TOKEN ", \"token\": \"11111111-2222-4333-8444-555555555556\""
	static const char *const wrong[] = {
		JOIN "}",
		JOIN TOKEN "}",
		JOIN ", \"connection\": 1}",
		JOIN ", \"token\": \"00000000-0000-0000-0000-000000000000\", \"connection\": 1}",
		JOIN ", \"token\": 7, \"connection\": 1}",
		JOIN TOKEN ", \"connection\": -1}",
		JOIN TOKEN ", \"connection\": \"1\"}",
		JOIN TOKEN ", \"connection\": 1, \"more\": 1}",
	};
	struct call call;

	EXPECT_EQ(0, call_decode(JOIN TOKEN ", \"connection\": 1}", &call, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_NE(0, call_decode(wrong[i], &call, NULL))
		{
			TH_LOG("%s", wrong[i]);
		}
	}
}

/* Old hosts refuse what they do not know. */
TEST(one_connection_is_not_spoken_of)
{
	struct call call = { .kind = CALL_RECEIVE, .vm = { { 7 } }, .epoch = { { 8 } }, .nr_disks = 1,
			     .disks = { { .name = "disk0", .size_bytes = 512 } } };
	struct call read;
	char *text;

	for (call.connections = 0; call.connections < 2; call.connections++) {
		text = call_encode(&call);
		EXPECT_EQ(NULL, strstr(text, "connection"));
		free(text);
	}
	text = call_encode(&call);
	ASSERT_EQ(0, call_decode(text, &read, NULL));
	free(text);
	EXPECT_EQ(2, read.connections);
}

TEST(as_many_connections_are_made_as_both_sides_want)
{
	static const struct {
		uint64_t asked, agreed;
		bool with_token;
		unsigned int nr; /* 0: refused */
	} cases[] = {
		{ 0, 0, false, 1 }, { 1, 0, false, 1 }, { 1, 8, false, 1 }, { 1, 8, true, 1 },
		{ 4, 0, false, 1 }, { 4, 1, false, 1 }, { 4, 1, true, 1 },  { 4, 3, true, 3 },
		{ 4, 4, true, 4 },  { 4, 5, true, 0 },	{ 4, 3, false, 0 }, { 8, INT32_MAX, true, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct reply reply = { .code = CODE_JOB_STARTED, .connections = cases[i].agreed };
		unsigned int nr = 0;

		if (cases[i].with_token)
			reply.token = token;
		EXPECT_EQ(cases[i].nr ? 0 : -EPROTO, reply_connections(&reply, cases[i].asked, &nr, NULL));
		EXPECT_EQ(cases[i].nr, nr);
	}
}

TEST(a_reply_says_how_many_and_with_what)
{
	struct reply *written = calloc(1, sizeof(*written));
	struct reply *read = calloc(1, sizeof(*read));
	char *text;

	written->connections = 3;
	written->token = token;
	text = reply_encode(written);
	ASSERT_EQ(0, reply_decode(text, read, NULL));
	free(text);
	EXPECT_EQ(3, read->connections);
	EXPECT_TRUE(uuid_equal(&token, &read->token));
	/* as of a host that knows nothing of it */
	ASSERT_EQ(0, reply_decode("{\"code\": 4096}", read, NULL));
	EXPECT_EQ(0, read->connections);
	EXPECT_TRUE(uuid_is_nil(&read->token));
	free(written);
	free(read);
}

TEST_HARNESS_MAIN
