// SPDX-License-Identifier: GPL-2.0-or-later
/* user/base/size.c */
#include <errno.h>

#include "base/clock.h"
#include "base/macro.h"
#include "base/size.h"

#include "kselftest_harness.h"

#define KIB UINT64_C(1024)

TEST(sizes_are_formatted_with_at_most_one_decimal)
{
	char buf[SIZE_TEXT_LEN];

	EXPECT_STREQ("0 B", size_format(0, buf));
	EXPECT_STREQ("1023 B", size_format(1023, buf));
	EXPECT_STREQ("1 KiB", size_format(1024, buf));
	EXPECT_STREQ("1.5 KiB", size_format(1536, buf));
	EXPECT_STREQ("4 MiB", size_format(4 * KIB * KIB, buf));
	EXPECT_STREQ("64 GiB", size_format(64 * KIB * KIB * KIB, buf));
	EXPECT_STREQ("1 GiB", size_format(KIB * KIB * KIB - 1, buf));
	EXPECT_STREQ("16 EiB", size_format(UINT64_MAX, buf));
}

TEST(rates_are_sizes_a_second)
{
	char buf[SIZE_TEXT_LEN];

	EXPECT_STREQ("2 KiB/s", rate_format(1024, NS_PER_S / 2, buf));
	EXPECT_STREQ("-", rate_format(1024, 0, buf));
	EXPECT_STREQ("0 B/s", rate_format(0, 1, buf));
	(void)rate_format(UINT64_MAX, 1, buf);
}

TEST(durations_have_two_parts_at_most)
{
	char buf[SIZE_TEXT_LEN];

	EXPECT_STREQ("0.4 s", duration_format(400 * NS_PER_MS, buf));
	EXPECT_STREQ("59 s", duration_format(59 * NS_PER_S, buf));
	EXPECT_STREQ("1 min 5 s", duration_format(65 * NS_PER_S, buf));
	EXPECT_STREQ("2 h 3 min", duration_format((2 * 3600 + 3 * 60 + 1) * NS_PER_S, buf));
	EXPECT_STREQ("4 d 5 h", duration_format((4 * 86400 + 5 * 3600) * NS_PER_S, buf));
	(void)duration_format(UINT64_MAX, buf);
}

TEST(sizes_are_parsed_in_powers_of_1024)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "4096B", 4096 },
		{ "4K", 4 * KIB },
		{ "4kib", 4 * KIB },
		{ "1.5G", 3 * KIB * KIB * KIB / 2 },
		{ "64 MiB", 64 * KIB * KIB },
		{ "7E", (uint64_t)7 << 60 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t bytes = 1;

		EXPECT_EQ(0, size_parse(cases[i].text, &bytes)) TH_LOG("%s", cases[i].text);
		EXPECT_EQ(cases[i].bytes, bytes) TH_LOG("%s", cases[i].text);
	}
}

TEST(what_is_no_size_is_refused_and_changes_nothing)
{
	static const char *const wrong[] = { "",     "K",   "-1",    "1KB",	  "1.",
					     ".5",   "1.5", "1x",    "1 K ",	  "0x10",
					     "1.1K", "1,5", "1KiBs", "1.0000000K" };
	static const char *const large[] = { "8E", "9223372036854775808", "99999999999999999999",
					     "16777216T" };
	uint64_t bytes = 7;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(-EINVAL, size_parse(wrong[i], &bytes)) TH_LOG("%s", wrong[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(large); i++) {
		EXPECT_EQ(-ERANGE, size_parse(large[i], &bytes)) TH_LOG("%s", large[i]);
	}
	EXPECT_EQ(7, bytes);
}

TEST_HARNESS_MAIN
