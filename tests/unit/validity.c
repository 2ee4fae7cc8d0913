// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/validity.c: when a certificate may be used, and when it is to be renewed. */
#include <errno.h>
#include <string.h>

#include "lib/validity.h"

#include "kselftest_harness.h"

#define NOW 1700000000
#define DAY 86400

static const struct validity year = { NOW - DAY, NOW + 365 * DAY };

TEST(it_is_valid_from_its_first_second_to_its_last)
{
	struct failure f;

	EXPECT_EQ(0, validity_check(&year, year.from_s, "It", "here", &f));
	EXPECT_EQ(0, validity_check(&year, year.until_s, "It", "here", &f));
	EXPECT_EQ(-EKEYEXPIRED, validity_check(&year, year.from_s - 1, "It", "here", &f));
	EXPECT_NE(NULL, strstr(f.text, "It is not valid before 2023-11-13"));
	EXPECT_EQ(-EKEYEXPIRED, validity_check(&year, year.until_s + 1, "It", "there", &f));
	EXPECT_NE(NULL, strstr(f.text, "It expired at 2024-11-13"));
	EXPECT_NE(NULL, strstr(f.text, "renew it there"));
}

TEST(the_warning_begins_thirty_days_before_the_end_and_ends_with_it)
{
	struct failure f;

	EXPECT_FALSE(validity_warning(&year, NOW, "It", "here", &f));
	EXPECT_FALSE(validity_warning(&year, year.until_s - 30 * DAY - 1, "It", "here", &f));
	EXPECT_TRUE(validity_warning(&year, year.until_s - 30 * DAY, "It", "here", &f));
	EXPECT_NE(NULL, strstr(f.text, "It expires at 2024-11-13"));
	EXPECT_TRUE(validity_warning(&year, year.until_s, "It", "here", &f));
	EXPECT_FALSE(validity_warning(&year, year.until_s + 1, "It", "here", &f));
}

TEST(a_chain_is_as_good_as_the_worst_of_it)
{
	struct validity chain = year;

	validity_narrow(&chain, &(struct validity){ NOW, NOW + 400 * DAY });
	EXPECT_EQ(NOW, chain.from_s);
	EXPECT_EQ(year.until_s, chain.until_s);
	validity_narrow(&chain, &(struct validity){ NOW - 2 * DAY, NOW + DAY });
	EXPECT_EQ(NOW, chain.from_s);
	EXPECT_EQ(NOW + DAY, chain.until_s);
}

TEST_HARNESS_MAIN
