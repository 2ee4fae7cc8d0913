// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/address.c: what is an address, and which are the same. */
#include <string.h>

#include "base/macro.h"
#include "lib/address.h"

#include "kselftest_harness.h"

static struct address parse(const char *text)
{
	struct address a = { .len = 0 };

	(void)address_parse(text, 7407, &a, NULL);
	return a;
}

TEST(what_is_read_is_written_with_its_port)
{
	static const char *const texts[][2] = {
		{ "192.0.2.1", "192.0.2.1:7407" },	 { "192.0.2.1:80", "192.0.2.1:80" },
		{ "2001:db8::1", "[2001:db8::1]:7407" }, { "[2001:db8::1]", "[2001:db8::1]:7407" },
		{ "[::1]:65535", "[::1]:65535" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char text[ADDRESS_TEXT_MAX];
		struct address a = parse(texts[i][0]);

		EXPECT_STREQ(texts[i][1], address_format(&a, text));
	}
}

TEST(what_is_no_numeric_address_is_refused)
{
	static const char *const texts[] = {
		"",
		":",
		":80",
		"host",
		"host:80",
		"192.0.2.1:",
		"192.0.2.1:0",
		"192.0.2.1:65536",
		"192.0.2.1:-1",
		"192.0.2.256",
		"[192.0.2.1]:80",
		"[::1",
		"[::1]80",
		"::1]:80",
		"192.0.2.1:80x",
		"192.0.2.1 :80",
	};
	struct failure f;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct address a = { .len = 99 };

		EXPECT_NE(0, address_parse(texts[i], 7407, &a, &f))
		{
			TH_LOG("%s", texts[i]);
		}
		EXPECT_EQ(CODE_INVALID_PARAMETER, f.code);
		EXPECT_EQ(99, a.len);
	}
}

TEST(without_a_default_a_port_is_needed)
{
	struct address a;

	EXPECT_NE(0, address_parse("192.0.2.1", 0, &a, NULL));
	EXPECT_EQ(0, address_parse("192.0.2.1:1", 0, &a, NULL));
}

TEST(ports_do_not_make_hosts_different)
{
	struct address a = parse("192.0.2.1:1");
	struct address b = parse("192.0.2.1:2");
	struct address c = parse("192.0.2.2:1");

	EXPECT_TRUE(address_is_same_host(&a, &b));
	EXPECT_FALSE(address_is_same_host(&a, &c));
}

TEST(an_ipv4_address_in_ipv6_form_is_the_same_host)
{
	struct address a = parse("192.0.2.1");
	struct address b = parse("[::ffff:192.0.2.1]");

	EXPECT_TRUE(address_is_same_host(&a, &b));
}

TEST(loopback_is_all_of_127_and_one_of_ipv6)
{
	struct address yes[] = { parse("127.0.0.1"), parse("127.255.0.9"), parse("::1"),
				 parse("::ffff:127.0.0.2") };
	struct address no[] = { parse("128.0.0.1"), parse("::2"), parse("0.0.0.0") };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		EXPECT_TRUE(address_is_loopback(&yes[i]));
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		EXPECT_FALSE(address_is_loopback(&no[i]));
}

TEST(a_list_is_searched_by_host)
{
	struct address a = parse("192.0.2.1:1");

	EXPECT_TRUE(address_is_in_list(&a, "192.0.2.1"));
	EXPECT_TRUE(address_is_in_list(&a, "198.51.100.1, 192.0.2.1"));
	EXPECT_TRUE(address_is_in_list(&a, "nonsense  192.0.2.1,"));
	EXPECT_FALSE(address_is_in_list(&a, ""));
	EXPECT_FALSE(address_is_in_list(&a, "192.0.2.10 192.0.2.2"));
}

TEST_HARNESS_MAIN
