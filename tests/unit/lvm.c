// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/lvm.c: names and sizes; user/lib/run.c: what a program said. */
#include <stdlib.h>
#include <string.h>

#include "lib/lvm.h"
#include "lib/run.h"

#include "kselftest_harness.h"

TEST(a_volume_is_named_by_its_path)
{
	char path[LVM_PATH_MAX];
	struct lvm_name name;
	struct failure f;

	ASSERT_EQ(0, lvm_parse("/dev/vg-0/vm_1.disk+a", &name, &f));
	EXPECT_STREQ("vg-0", name.group);
	EXPECT_STREQ("vm_1.disk+a", name.volume);
	EXPECT_STREQ("/dev/vg-0/vm_1.disk+a", lvm_path(&name, path));
}

TEST(what_names_none_is_refused_and_nothing_is_set)
{
	static const char *const wrong[] = {
		"",	       "vg/vm1",    "/dev/vm1",	      "/dev//vm1",	"/dev/vg/",	"/dev/vg/a/b",
		"/dev/vg/-vm", "/dev/vg/.", "/dev/vg/..",     "/dev/../vm1",	"/dev/vg/a b",	"/dev/vg/a|b",
		"/dev/-vg/vm", "/devvg/v1", "/dev/vg/vm1\n",  "/dev/mapper/vm", "/dev/vg/a:5",
	};
	struct lvm_name name = { .group = "before" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct failure f = { 0 };

		EXPECT_GT(0, lvm_parse(wrong[i], &name, &f));
		EXPECT_EQ(CODE_INVALID_PARAMETER, f.code);
	}
	EXPECT_STREQ("before", name.group);
}

TEST(names_have_at_most_127_characters)
{
	char path[512] = "/dev/vg/";
	struct lvm_name name;
	struct failure f;

	(void)memset(path + 8, 'x', 127);
	EXPECT_EQ(0, lvm_parse(path, &name, &f));
	path[8 + 127] = 'x';
	EXPECT_GT(0, lvm_parse(path, &name, &f));
	(void)memset(path + 5, 'x', 200);
	path[5 + 128] = '/';
	EXPECT_GT(0, lvm_parse(path, &name, &f));
}

TEST(sizes_are_whole_extents)
{
	const struct lvm_group group = { .extent_bytes = 4096 };

	EXPECT_EQ(4096, lvm_round_up(&group, 1));
	EXPECT_EQ(4096, lvm_round_up(&group, 4096));
	EXPECT_EQ(8192, lvm_round_up(&group, 4097));
	EXPECT_EQ(0, lvm_round_up(&group, UINT64_MAX));
}

TEST(what_a_program_prints_is_the_callers)
{
	const char *const argv[] = { "sh", "-c", "echo one; echo two >&2; echo three", NULL };
	char *text = NULL;
	struct failure f;

	ASSERT_EQ(0, run_program(argv, "dash", true, &text, &f));
	EXPECT_STREQ("one\nthree\n", text);
	free(text);
}

TEST(a_program_that_fails_is_quoted_on_one_line)
{
	const char *const argv[] = { "sh", "-c", "echo no; printf '  a\\n\\n\\t bc\\r\\n' >&2; exit 5", NULL };
	char *text = NULL;
	struct failure f;

	ASSERT_GT(0, run_program(argv, "dash", false, &text, &f));
	EXPECT_EQ(CODE_FAILED, f.code);
	EXPECT_STREQ("sh failed with status 5: a bc", f.text);
	EXPECT_EQ(NULL, text);
}

TEST(of_much_the_end_is_quoted_whole_lines)
{
	const char *const argv[] = { "sh", "-c", "for i in $(seq 1000 1199); do echo line $i >&2; done; exit 1", NULL };
	struct failure f;

	ASSERT_GT(0, run_program(argv, "dash", false, NULL, &f));
	EXPECT_EQ(0, strncmp(f.text, "sh failed with status 1: line 1", 31));
	EXPECT_STREQ("line 1198 line 1199", f.text + strlen(f.text) - 19);
}

TEST(one_that_is_killed_is_told_as_that)
{
	const char *const argv[] = { "sh", "-c", "kill -9 $$", NULL };
	struct failure f;

	ASSERT_GT(0, run_program(argv, "dash", false, NULL, &f));
	EXPECT_STREQ("sh was ended by signal 9.", f.text);
}

TEST(a_program_that_is_not_there_is_to_be_installed)
{
	const char *const argv[] = { "no-such-program", NULL };
	struct failure f;

	ASSERT_GT(0, run_program(argv, "some-package", false, NULL, &f));
	EXPECT_EQ(CODE_NOT_SUPPORTED, f.code);
	EXPECT_STREQ("There is no program no-such-program on this host: install some-package.", f.text);
}

TEST_HARNESS_MAIN
