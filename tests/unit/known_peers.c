// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/known_peers.c: which lines count for a peer, and what is wrong with others. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/known_peers.h"

#include "kselftest_harness.h"
#include "temp_file.h"

#define DIGITS "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

FIXTURE(known_peers)
{
	char path[TEMP_PATH_MAX];
	struct address peer;
	struct known_peer known;
	struct failure f;
};

FIXTURE_SETUP(known_peers)
{
	memset(self, 0, sizeof(*self));
	ASSERT_TRUE(temp_file_make(self->path));
	ASSERT_EQ(0, address_parse("192.0.2.1:7407", 0, &self->peer, NULL));
}

FIXTURE_TEARDOWN(known_peers)
{
	(void)unlink(self->path);
}

static int find(FIXTURE_DATA(known_peers) * self, const char *text)
{
	temp_file_write(self->path, text);
	return known_peers_find(self->path, &self->peer, &self->known, &self->f);
}

TEST_F(known_peers, a_fingerprint_is_taken_digit_by_digit)
{
	char text[FINGERPRINT_TEXT_MAX];

	ASSERT_EQ(0, find(self, "192.0.2.1 sha256:" DIGITS "\n"));
	ASSERT_EQ(1, self->known.nr);
	EXPECT_EQ(0x00, self->known.identities[0].fingerprint[0]);
	EXPECT_EQ(0x11, self->known.identities[0].fingerprint[1]);
	EXPECT_EQ(0xff, self->known.identities[0].fingerprint[31]);
	EXPECT_STREQ("", self->known.identities[0].name);
	EXPECT_STREQ("sha256:" DIGITS,
		     fingerprint_format(self->known.identities[0].fingerprint, text));
}

TEST_F(known_peers, lines_of_other_addresses_do_not_count)
{
	ASSERT_EQ(0, find(self, "192.0.2.2 sha256:" DIGITS "\n2001:db8::1 name:a.example\n"));
	EXPECT_EQ(0, self->known.nr);
}

TEST_F(known_peers, an_address_may_have_several_lines_for_a_change_of_keys)
{
	ASSERT_EQ(0, find(self, "# both\n\n 192.0.2.1 sha256:" DIGITS "\n192.0.2.1\tname:a.example\n"));
	ASSERT_EQ(2, self->known.nr);
	EXPECT_STREQ("a.example", self->known.identities[1].name);
}

TEST_F(known_peers, more_lines_than_can_be_kept_are_refused)
{
	EXPECT_EQ(-EINVAL, find(self, "192.0.2.1 name:a\n192.0.2.1 name:b\n192.0.2.1 name:c\n"
				      "192.0.2.1 name:d\n192.0.2.1 name:e\n"));
	EXPECT_NE(NULL, strstr(self->f.text, "line 5"));
}

TEST_F(known_peers, a_line_that_cannot_be_understood_is_named_and_changes_nothing)
{
	static const char *const lines[] = {
		"192.0.2.1", "192.0.2.1 sha256:0011", "192.0.2.1 sha256:" DIGITS "00",
		"192.0.2.1 sha256:+" "0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		"192.0.2.1 md5:0011", "192.0.2.1 name:", "host.example name:a", "192.0.2.1 name:a b",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char text[256];

		self->known.nr = 7;
		(void)snprintf(text, sizeof(text), "# first\n%s\n", lines[i]);
		EXPECT_EQ(-EINVAL, find(self, text))
		{
			TH_LOG("%s", lines[i]);
		}
		EXPECT_EQ(7, self->known.nr);
		EXPECT_NE(NULL, strstr(self->f.text, "line 2"));
	}
}

TEST_F(known_peers, a_line_without_end_is_refused)
{
	char text[1024];

	memset(text, '#', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	EXPECT_EQ(-EINVAL, find(self, text));
	EXPECT_NE(NULL, strstr(self->f.text, "too long"));
}

TEST_F(known_peers, without_the_file_nobody_is_known)
{
	(void)unlink(self->path);
	self->known.nr = 7;
	EXPECT_EQ(0, known_peers_find(self->path, &self->peer, &self->known, &self->f));
	EXPECT_EQ(0, self->known.nr);
}

/* --- one more --- */

#define OTHER "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"

/* The text that becomes of @text. */
static char *edited(FIXTURE_DATA(known_peers) * self, const char *text, bool replace)
{
	static char kept[1024];
	uint8_t fingerprint[FINGERPRINT_BYTES];
	char *made;

	if (!fingerprint_parse("sha256:" DIGITS, fingerprint))
		abort();
	made = known_peers_edit(text, &self->peer, fingerprint, replace);
	(void)snprintf(kept, sizeof(kept), "%s", made);
	free(made);
	return kept;
}

TEST_F(known_peers, what_is_added_stands_at_the_end_without_its_port)
{
	EXPECT_STREQ("192.0.2.1 sha256:" DIGITS "\n", edited(self, "", false));
	EXPECT_STREQ("# a\n\n192.0.2.2 name:b\n192.0.2.1 sha256:" DIGITS "\n",
		     edited(self, "# a\n\n192.0.2.2 name:b\n", false));
}

TEST_F(known_peers, a_last_line_without_an_end_stays_a_line_of_its_own)
{
	EXPECT_STREQ("192.0.2.2 name:b\n192.0.2.1 sha256:" DIGITS "\n",
		     edited(self, "192.0.2.2 name:b", false));
}

TEST_F(known_peers, the_same_line_is_not_there_twice)
{
	EXPECT_STREQ("# a\n192.0.2.1 sha256:" DIGITS "\n",
		     edited(self, " 192.0.2.1\tsha256:" DIGITS "\n# a\n", false));
}

TEST_F(known_peers, other_keys_of_the_address_stay_unless_they_are_replaced)
{
	static const char before[] = "# 192.0.2.1 was here\n192.0.2.1 sha256:" OTHER "\n"
				     "192.0.2.10 sha256:" OTHER "\n192.0.2.1:7407 name:a\n";

	EXPECT_STREQ("# 192.0.2.1 was here\n192.0.2.1 sha256:" OTHER "\n"
		     "192.0.2.10 sha256:" OTHER "\n192.0.2.1:7407 name:a\n"
		     "192.0.2.1 sha256:" DIGITS "\n",
		     edited(self, before, false));
	EXPECT_STREQ("# 192.0.2.1 was here\n192.0.2.10 sha256:" OTHER "\n"
		     "192.0.2.1 sha256:" DIGITS "\n",
		     edited(self, before, true));
}

TEST_F(known_peers, a_file_that_is_written_keeps_its_mode_and_can_be_read)
{
	uint8_t fingerprint[FINGERPRINT_BYTES];
	struct stat status;

	ASSERT_TRUE(fingerprint_parse("sha256:" DIGITS, fingerprint));
	ASSERT_EQ(0, find(self, "# kept\n192.0.2.2 name:b"));
	(void)chmod(self->path, 0640);
	ASSERT_EQ(0, known_peers_allow(self->path, &self->peer, fingerprint, false, &self->f));
	ASSERT_EQ(0, stat(self->path, &status));
	EXPECT_EQ(0640, status.st_mode & 0777);
	ASSERT_EQ(0, known_peers_find(self->path, &self->peer, &self->known, &self->f));
	ASSERT_EQ(1, self->known.nr);
	EXPECT_EQ(0, memcmp(fingerprint, self->known.identities[0].fingerprint, FINGERPRINT_BYTES));
}

TEST_F(known_peers, one_that_cannot_be_written_stays_as_it_was)
{
	uint8_t fingerprint[FINGERPRINT_BYTES] = { 0 };
	char blocker[80];

	ASSERT_EQ(0, find(self, "192.0.2.1 sha256:" DIGITS "\n"));
	(void)snprintf(blocker, sizeof(blocker), "%s.new", self->path);
	ASSERT_EQ(0, mkdir(blocker, 0700));
	EXPECT_GT(0, known_peers_allow(self->path, &self->peer, fingerprint, true, &self->f));
	EXPECT_EQ(0, rmdir(blocker));
	ASSERT_EQ(0, known_peers_find(self->path, &self->peer, &self->known, &self->f));
	ASSERT_EQ(1, self->known.nr);
	EXPECT_EQ(0x11, self->known.identities[0].fingerprint[1]);
}

TEST_HARNESS_MAIN
