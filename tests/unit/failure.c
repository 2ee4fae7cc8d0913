// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/base/failure.c: a sentence may quote a stranger, and still can be shown and sent.
 */
#include <errno.h>
#include <string.h>

#include "base/failure.h"

#include "kselftest_harness.h"

TEST(a_quoted_text_that_is_cut_inside_a_character_stays_utf8)
{
	struct failure f;

	EXPECT_EQ(-EINVAL, failure_set(&f, CODE_FAILED, -EINVAL, "\"%.4s\"", "x\u00e9\u00e9"));
	EXPECT_STREQ("\"x\u00e9?\"", f.text);
}

TEST(a_sentence_that_does_not_fit_is_cut_between_two_characters)
{
	char text[2 * sizeof(((struct failure *)NULL)->text)];
	struct failure f;

	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\u00e9", 3);
	(void)failure_set(&f, CODE_FAILED, -EINVAL, "%s", text);
	EXPECT_EQ(sizeof(f.text) - 1, strlen(f.text));
	EXPECT_STREQ("\u00e9?", f.text + sizeof(f.text) - 4);
}

TEST(control_characters_of_a_stranger_do_not_reach_a_terminal)
{
	struct failure f;

	(void)failure_set(&f, CODE_FAILED, -EINVAL, "no \"%s\"",
			  "\033[2J\xc2\x9b"
			  "2J\n\xff");
	EXPECT_STREQ("no \"?[2J?2J??\"", f.text);
}

TEST(a_sentence_can_quote_itself)
{
	struct failure f;

	(void)failure_set(&f, CODE_FAILED, -EINVAL, "inner");
	(void)failure_set(&f, CODE_FAILED, -EINVAL, "outer: %s", f.text);
	EXPECT_STREQ("outer: inner", f.text);
}

TEST(every_code_is_found_again_from_its_exit_status)
{
	for (uint32_t code = CODE_FAILED; code <= CODE_FILE_NOT_FOUND; code++)
		EXPECT_EQ(code, code_of_exit_status(code_exit_status(code)));
}

TEST(an_exit_status_that_no_code_has_is_a_failure)
{
	static const int others[] = { 0, 1, 2, 9, 22, 127, 255 };

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		EXPECT_EQ(CODE_FAILED, code_of_exit_status(others[i]));
}

TEST_HARNESS_MAIN
