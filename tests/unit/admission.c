// SPDX-License-Identifier: GPL-2.0-or-later
/* user/daemon/admission.c: how a VM may be named, and which lines of the table keep its disks out. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/admission.h"

#include "kselftest_harness.h"
#include "temp_file.h"

#define NAME_64 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz-.:=@_#+0123"

TEST(a_name_is_what_stands_in_a_command_as_it_is)
{
	static const char *const names[] = { "vm1", "Web.example.org", "a:b=c@d_e#f+g-h", "1", NAME_64 };
	struct failure f;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		EXPECT_EQ(0, admission_check_name(names[i], &f))
			TH_LOG("%s", names[i]);
	}
}

TEST(any_other_name_is_refused_with_the_rule)
{
	static const char *const names[] = { "",      "-rf",	"#vm",	 "my vm",     "a;b",	   "$(id)",  "a'b",
					     "a\"b", "a\nb", "a/b", "\033[2J", "v\303\251", "a%n", NAME_64 "x" };
	struct failure f;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		EXPECT_EQ(-EINVAL, admission_check_name(names[i], &f))
			TH_LOG("%s", names[i]);
		EXPECT_EQ(CODE_INVALID_PARAMETER, f.code);
		EXPECT_NE(NULL, strstr(f.text, "at most 64 letters"));
	}
}

FIXTURE(table)
{
	char path[TEMP_PATH_MAX];
	struct disk_record disks[2];
	struct relationship_record r;
	struct failure f;
};

FIXTURE_SETUP(table)
{
	memset(self, 0, sizeof(*self));
	ASSERT_TRUE(temp_file_make(self->path));
	(void)strcpy(self->r.name, "vm1");
	self->r.disks = self->disks;
	self->r.nr_disks = 2;
	(void)strcpy(self->disks[0].tracker, "vm1-disk0");
	(void)strcpy(self->disks[0].path, "/dev/nosuch/vm1");
	(void)strcpy(self->disks[1].path, "/dev/null");
}

FIXTURE_TEARDOWN(table)
{
	(void)unlink(self->path);
}

static int check(FIXTURE_DATA(table) * self, const char *text)
{
	temp_file_write(self->path, text);
	return admission_check_table(self->path, &self->r, &self->f);
}

TEST_F(table, a_line_without_start_and_those_of_others_are_nothing)
{
	EXPECT_EQ(0, check(self, "vm1-disk0 /dev/nosuch/vm1 /dev/nosuch/vm1-store\n"
				 "vm2-disk0 /dev/nosuch/vm2 - start\n"));
}

TEST_F(table, a_start_line_is_refused_by_tracker_path_and_disk)
{
	static const char *const lines[] = { "vm1-disk0 /dev/nosuch/other - start\n", "other /dev/nosuch/vm1 - start\n",
					     "other /dev/../dev/null - start\n" };

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		EXPECT_EQ(-EINVAL, check(self, lines[i]))
			TH_LOG("%s", lines[i]);
		EXPECT_EQ(CODE_INVALID_STATE, self->f.code);
		EXPECT_NE(NULL, strstr(self->f.text, "says `start`, by which VM vm1 would see"));
	}
}

TEST_F(table, one_that_is_missing_or_damaged_refuses_nothing)
{
	EXPECT_EQ(0, check(self, "vm1-disk0 /dev/nosuch/vm1 - start\nwrong\n"));
	(void)unlink(self->path);
	EXPECT_EQ(0, admission_check_table(self->path, &self->r, &self->f));
}

TEST_F(table, disks_are_the_same_in_name_path_tracker_size_and_number)
{
	struct disk_record disks[2];
	struct relationship_record other = self->r;

	memcpy(disks, self->disks, sizeof(disks));
	other.disks = disks;
	EXPECT_TRUE(admission_same_disks(&self->r, &other));
	disks[1].size_bytes++;
	EXPECT_FALSE(admission_same_disks(&self->r, &other));
	disks[1].size_bytes--;
	disks[1].name[0] = 'x';
	EXPECT_FALSE(admission_same_disks(&self->r, &other));
	disks[1].name[0] = '\0';
	disks[1].path[0] = 'x';
	EXPECT_FALSE(admission_same_disks(&self->r, &other));
	disks[1].path[0] = '/';
	disks[1].tracker[0] = 'x';
	EXPECT_FALSE(admission_same_disks(&self->r, &other));
	disks[1].tracker[0] = '\0';
	other.nr_disks = 1;
	EXPECT_FALSE(admission_same_disks(&self->r, &other));
}

TEST_HARNESS_MAIN
