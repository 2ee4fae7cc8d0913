// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/daemon/calls.c: what daemons say to each other is read back the same, and nothing else is
 * read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cbt-wire.h>

#include "base/macro.h"
#include "daemon/calls.h"

#include "kselftest_harness.h"

#define VM    "\"vm\": \"11111111-2222-4333-8444-555555555555\""
#define NIL   "00000000-0000-0000-0000-000000000000"
#define DISKS "\"disks\": [{\"name\": \"disk0\", \"size\": 4096}]"
#define SWAP  "\"term\": 4, \"expects\": 3, \"session\": 2, \"nonce\": 1"

static uint32_t code_of(const char *text)
{
	struct failure f = { 0 };
	struct call call;

	return call_decode(text, &call, &f) ? f.code : 0;
}

TEST(a_call_is_read_as_it_was_written)
{
	struct disk_record disks[2] = { { .name = "disk0", .size_bytes = 512 },
					{ .name = "b", .size_bytes = INT64_MAX } };
	struct relationship_record r = {
		.vm = { { 1 } },
		.base = { { 2 } },
		.epoch = { { 3 } },
		.aborted = { { { 4 } }, { { 5 } } },
		.nr_aborted = 2,
		.disks = disks,
		.nr_disks = 2,
	};
	struct call written;
	struct call read;
	char *text;

	call_of_relationship(CALL_RECEIVE, &r, &written);
	written.instant = true;
	written.bytes = INT64_MAX;
	text = call_encode(&written);
	ASSERT_EQ(0, call_decode(text, &read, NULL));
	free(text);
	EXPECT_EQ(0, memcmp(&written, &read, sizeof(read)));
}

#define EPOCH	   "\"epoch\": \"22222222-2222-4333-8444-555555555555\""
#define DEFINITION "{\"call\": \"definition\", \"version\": 4, " VM ", " EPOCH ", \"size\": 3, \"offset\": 0"

TEST(a_piece_of_a_definition_is_read_as_it_was_written_and_fits_into_a_record)
{
	struct call *written = calloc(1, sizeof(*written));
	struct call *read = calloc(1, sizeof(*read));
	char *text;

	written->kind = CALL_DEFINITION;
	written->vm = (struct uuid){ { 1 } };
	written->base = (struct uuid){ { 2 } };
	written->epoch = (struct uuid){ { 3 } };
	written->size = INT32_MAX;
	written->offset = INT32_MAX;
	memset(written->data, '/', CALL_DATA_MAX);
	text = call_encode(written);
	EXPECT_GT(CBT_WIRE_TEXT_MAX, strlen(text));
	ASSERT_EQ(0, call_decode(text, read, NULL));
	EXPECT_EQ(0, memcmp(written, read, sizeof(*read)));
	free(text);
	free(read);
	free(written);
}

TEST(a_piece_of_a_definition_says_all_that_it_needs_and_no_more)
{
	EXPECT_EQ(0, code_of(DEFINITION ", \"data\": \"AAAA\"}"));
	EXPECT_EQ(CODE_INVALID_PARAMETER, code_of(DEFINITION "}"));
	EXPECT_EQ(CODE_INVALID_PARAMETER, code_of(DEFINITION ", \"data\": \"AAAA\", \"full\": true}"));
	EXPECT_EQ(CODE_INVALID_PARAMETER,
		  code_of("{\"call\": \"definition\", \"version\": 4, " VM ", \"size\": 3, \"offset\": 0, \"data\": \"\"}"));
}

TEST(points_are_read_as_they_were_written_and_fit_to_be_shown)
{
	struct reply *written = calloc(1, sizeof(*written));
	struct reply *read = calloc(1, sizeof(*read));
	struct failure why;
	char *text;

	(void)failure_set(&why, CODE_FAILED, -1, "It is \"wrong\".");
	call_points_add(&written->points, "state", NULL);
	call_points_add(&written->points, "disks", &why);
	text = reply_encode(written);
	ASSERT_EQ(0, reply_decode(text, read, NULL));
	free(text);
	EXPECT_EQ(0, memcmp(&written->points, &read->points, sizeof(read->points)));
	ASSERT_EQ(0, reply_decode("{\"code\": 0, \"points\": [{\"name\": \"a\\u0007\", "
				  "\"text\": \"b\\nc\"}]}",
				  read, NULL));
	EXPECT_EQ(1, read->points.nr);
	EXPECT_STREQ("a?", read->points.list[0].name);
	EXPECT_STREQ("b?c", read->points.list[0].text);
	free(written);
	free(read);
}

TEST(more_points_than_there_is_room_for_are_dropped)
{
	struct call_points points = { .nr = 0 };

	for (int i = 0; i < CALL_POINTS_MAX + 3; i++)
		call_points_add(&points, "one", NULL);
	EXPECT_EQ(CALL_POINTS_MAX, points.nr);
}

/* A record of an earlier version may hold one. */
TEST(no_epoch_is_not_among_those_in_doubt)
{
	struct disk_record disk = { .name = "disk0", .size_bytes = 512 };
	struct relationship_record r = {
		.vm = { { 1 } },
		.epoch = { { 3 } },
		.aborted = { { { 0 } }, { { 5 } } },
		.nr_aborted = 2,
		.disks = &disk,
		.nr_disks = 1,
	};
	struct call written;
	struct call read;
	char *text;

	call_of_relationship(CALL_RECEIVE, &r, &written);
	text = call_encode(&written);
	ASSERT_EQ(0, call_decode(text, &read, NULL));
	free(text);
	ASSERT_EQ(1, read.nr_aborted);
	EXPECT_TRUE(uuid_equal(&r.aborted[1], &read.aborted[0]));
}

TEST(calls_that_ask_keep_their_terms)
{
	struct call call;

	EXPECT_EQ(0, code_of("{\"call\": \"look\", \"version\": 4, " VM ", " DISKS "}"));
	ASSERT_EQ(0, call_decode("{\"call\": \"resume\", \"version\": 4, " VM ", " DISKS ", " SWAP
				 ", \"convert\": true}",
				 &call, NULL));
	EXPECT_EQ(SWAP_RESUME, call.swap.ask);
	EXPECT_EQ(4, call.swap.term);
	EXPECT_EQ(3, call.swap.expects);
	EXPECT_EQ(2, call.swap.session);
	EXPECT_EQ(1, call.swap.nonce);
	EXPECT_TRUE(call.convert);
	EXPECT_FALSE(call.full);
}

TEST(a_reply_is_read_as_it_was_written)
{
	struct reply written = { .code = CODE_IN_USE,
				 .text = "it is \"mounted\"",
				 .base = { { 7 } },
				 .mode = 2,
				 .state = 5,
				 .host = { .term = 9, .session = 8, .facing = true },
				 .nonce = 6,
				 .busy = true,
				 .disks = { { .name = "disk0",
					      .size_bytes = 512,
					      .map_reaches_back = true,
					      .map_lost = true,
					      .dirty_bytes = 4096,
					      .blank = true } },
				 .nr_disks = 1,
				 .aborted = { { { 3 } } },
				 .nr_aborted = 1,
				 .ranges = { { 0, 4096 }, { 8192, INT64_MAX - 8192 } },
				 .nr_ranges = 2,
				 .guessed = { { 0, 4194304 } },
				 .nr_guessed = 1,
				 .next = 12,
				 .history = { .mode = 2,
					      .state = 5,
					      .facing = true,
					      .since_us = 11,
					      .term = 9,
					      .base = { { 7 } },
					      .written_bytes = 512 } };
	struct reply read;
	char *text = reply_encode(&written);

	ASSERT_EQ(0, reply_decode(text, &read, NULL));
	free(text);
	EXPECT_EQ(CODE_IN_USE, read.code);
	EXPECT_STREQ(written.text, read.text);
	EXPECT_TRUE(uuid_equal(&written.base, &read.base));
	EXPECT_EQ(5, read.state);
	EXPECT_EQ(0, memcmp(&written.host, &read.host, sizeof(read.host)));
	EXPECT_EQ(6, read.nonce);
	ASSERT_EQ(1, read.nr_disks);
	EXPECT_EQ(4096, read.disks[0].dirty_bytes);
	EXPECT_TRUE(read.disks[0].map_reaches_back);
	EXPECT_TRUE(read.disks[0].map_lost);
	EXPECT_TRUE(read.disks[0].blank);
	EXPECT_TRUE(read.busy);
	EXPECT_EQ(0, memcmp(&written.history, &read.history, sizeof(read.history)));
	ASSERT_EQ(1, read.nr_aborted);
	EXPECT_EQ(0, memcmp(&written.aborted[0], &read.aborted[0], sizeof(read.aborted[0])));
	ASSERT_EQ(2, read.nr_ranges);
	EXPECT_EQ(0, memcmp(written.ranges, read.ranges, 2 * sizeof(read.ranges[0])));
	ASSERT_EQ(1, read.nr_guessed);
	EXPECT_EQ(0, memcmp(written.guessed, read.guessed, sizeof(read.guessed[0])));
	EXPECT_EQ(12, read.next);
}

TEST(a_map_of_the_peer_that_is_none_is_refused)
{
	static const char *const ranges[] = { "[0]", "[0, 0]", "[-1, 1]", "[1, \"a\"]", "[0, 1, 2]",
					      "[1, 9223372036854775807]", "1" };
	struct reply reply;
	char text[128];

	for (size_t i = 0; i < 2 * ARRAY_SIZE(ranges); i++) {
		(void)snprintf(text, sizeof(text), "{\"code\": 0, \"%s\": %s}", i % 2 ? "guessed" : "ranges",
			       ranges[i / 2]);
		EXPECT_NE(0, reply_decode(text, &reply, NULL))
		{
			TH_LOG("%s", text);
		}
	}
}

TEST(another_version_or_call_is_not_supported)
{
	EXPECT_EQ(CODE_NOT_SUPPORTED,
		  code_of("{\"call\": \"reverse\", \"version\": 5, \"new\": 1}"));
	EXPECT_EQ(CODE_NOT_SUPPORTED,
		  code_of("{\"call\": \"explode\", \"version\": 4, " VM ", " DISKS "}"));
}

TEST(what_is_no_call_is_refused)
{
	static const char *const texts[] = {
		"",
		"1",
		"{}",
		"{\"call\": \"reverse\"}",
		"{\"call\": 1, \"version\": 4}",
		"{\"call\": \"reverse\", \"version\": 4, " DISKS "}",
		"{\"call\": \"reverse\", \"version\": 4, " VM "}",
		"{\"call\": \"reverse\", \"version\": 4, " VM ", \"disks\": []}",
		"{\"call\": \"reverse\", \"version\": 4, " VM ", \"disks\": [1]}",
		"{\"call\": \"reverse\", \"version\": 4, " VM ", \"disks\": [{\"name\": \"a\"}]}",
		"{\"call\": \"reverse\", \"version\": 4, " VM
		", \"disks\": [{\"name\": \"a\", \"size\": -1}]}",
		"{\"call\": \"reverse\", \"version\": 4, " VM ", " DISKS ", \"x\": 1}",
		"{\"call\": \"reverse\", \"version\": 4, " VM ", " DISKS "}",
		"{\"call\": \"look\", \"version\": 4, " VM ", " DISKS ", \"convert\": 1}",
		"{\"call\": \"create\", \"version\": 4, " VM ", " DISKS ", \"name\": \"a\"}",
		"{\"call\": \"reverse\", \"version\": 4, " VM ", " DISKS ", \"base\": \"x\"}",
		"{\"call\": \"receive\", \"version\": 4, " VM ", " DISKS "}",
		"{\"call\": \"receive\", \"version\": 4, " VM ", " DISKS ", \"epoch\": \"\"}",
		"{\"call\": \"receive\", \"version\": 4, " VM ", " DISKS ", \"epoch\": \"" NIL "\"}",
		"{\"call\": \"receive\", \"version\": 4, " VM ", " DISKS
		", \"epoch\": \"11111111-2222-4333-8444-555555555555\"}",
		"{\"call\": \"reverse\", \"version\": 4, \"vm\": \"\", " DISKS "}",
		"{\"call\": \"reverse\", \"version\": 4, " VM ", " DISKS ", \"aborted\": [{}]}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		EXPECT_NE(0, code_of(texts[i]))
		{
			TH_LOG("%s", texts[i]);
		}
	}
}

TEST(more_disks_or_epochs_than_there_is_room_for_are_refused)
{
	char text[32768] = "{\"call\": \"look\", \"version\": 4, " VM ", \"disks\": [";
	size_t len = strlen(text);

	for (unsigned int i = 0; i <= CALL_DISKS_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"%s{\"name\": \"d%u\", \"size\": 512}", i ? "," : "", i);
	(void)snprintf(text + len, sizeof(text) - len, "]}");
	EXPECT_EQ(CODE_INVALID_PARAMETER, code_of(text));
}

TEST(a_sentence_of_the_peer_cannot_forge_a_line)
{
	struct reply reply;

	ASSERT_EQ(0,
		  reply_decode("{\"code\": 32768, \"text\": \"a\\nb\\u001b[2J\"}", &reply, NULL));
	EXPECT_STREQ("a?b?[2J", reply.text);
}

TEST_HARNESS_MAIN
