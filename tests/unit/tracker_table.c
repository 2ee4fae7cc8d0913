// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/tracker_table.c: which lines are trackers, and what is wrong with others. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/tracker_table.h"

#include "kselftest_harness.h"
#include "temp_file.h"

FIXTURE(tracker_table)
{
	char path[TEMP_PATH_MAX];
	struct tracker_entry *entries;
	size_t nr;
	struct failure f;
};

FIXTURE_SETUP(tracker_table)
{
	memset(self, 0, sizeof(*self));
	ASSERT_TRUE(temp_file_make(self->path));
}

FIXTURE_TEARDOWN(tracker_table)
{
	free(self->entries);
	(void)unlink(self->path);
}

static int read_text(FIXTURE_DATA(tracker_table) * self, const char *text)
{
	temp_file_write(self->path, text);
	free(self->entries);
	self->entries = NULL;
	self->nr = 77;
	return tracker_table_read(self->path, &self->entries, &self->nr, &self->f);
}

TEST_F(tracker_table, a_line_is_a_tracker)
{
	ASSERT_EQ(0, read_text(self, "# the database\n\nvm1-disk0 /dev/vg/vm1\t/dev/vg/vm1-store\n"
				     "tmp /dev/vg/tmp - start,block_size=128\n"));
	ASSERT_EQ(2, self->nr);
	EXPECT_STREQ("vm1-disk0", self->entries[0].name);
	EXPECT_STREQ("/dev/vg/vm1", self->entries[0].origin);
	EXPECT_STREQ("/dev/vg/vm1-store", self->entries[0].store);
	EXPECT_FALSE(self->entries[0].start);
	EXPECT_EQ(0, self->entries[0].block_sectors);
	EXPECT_STREQ("-", self->entries[1].store);
	EXPECT_TRUE(self->entries[1].start);
	EXPECT_EQ(128, self->entries[1].block_sectors);
}

TEST_F(tracker_table, without_the_file_there_are_none)
{
	(void)unlink(self->path);
	EXPECT_EQ(0, tracker_table_read(self->path, &self->entries, &self->nr, &self->f));
	EXPECT_EQ(0, self->nr);
}

TEST_F(tracker_table, what_is_wrong_is_refused_with_its_line_and_changes_nothing)
{
	static const struct {
		const char *line;
		const char *why;
	} wrong[] = {
		{ "vm /dev/a", "expected NAME ORIGIN STORE" },
		{ "vm /dev/a /dev/b start more", "expected NAME ORIGIN STORE" },
		{ "v/m /dev/a /dev/b", "the name may have" },
		{ "vm dev/a /dev/b", "the origin has to be" },
		{ "vm /dev/a b", "the store has to be" },
		{ "vm /dev/a /dev/b stop", "options are" },
		{ "vm /dev/a /dev/b block_size=", "options are" },
		{ "vm /dev/a /dev/b block_size=24", "options are" },
		{ "vm /dev/a /dev/b block_size=4", "options are" },
		{ "vm /dev/a /dev/b block_size=4096", "options are" },
		{ "vm /dev/a /dev/b block_size=18446744073709551624", "options are" },
		{ "ok /dev/c /dev/d", "the name stands" },
		{ "vm /dev/x /dev/b", "a disk stands" },
		{ "vm /dev/y /dev/b", "a disk stands" },
		{ "vm /dev/a /dev/x", "a disk stands" },
		{ "vm /dev/a /dev/y", "the store stands" },
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		(void)snprintf(text, sizeof(text), "ok /dev/x /dev/y\n%s\n", wrong[i].line);
		EXPECT_EQ(-EINVAL, read_text(self, text));
		EXPECT_EQ(77, self->nr);
		EXPECT_NE(NULL, strstr(self->f.text, "line 2: "));
		EXPECT_NE(NULL, strstr(self->f.text, wrong[i].why))
		{
			TH_LOG("%s: %s", wrong[i].line, self->f.text);
		}
	}
}

TEST_F(tracker_table, several_may_do_without_a_store)
{
	EXPECT_EQ(0, read_text(self, "a /dev/a -\nb /dev/b -\n"));
	EXPECT_EQ(2, self->nr);
}

TEST_F(tracker_table, names_have_an_end)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "%099d /dev/a -\n", 0);
	EXPECT_EQ(0, read_text(self, text));
	(void)snprintf(text, sizeof(text), "%0100d /dev/a -\n", 0);
	EXPECT_EQ(-EINVAL, read_text(self, text));
	(void)snprintf(text, sizeof(text), "a /%0255d -\n", 0);
	EXPECT_EQ(-EINVAL, read_text(self, text));
}

TEST_F(tracker_table, there_are_1024_at_most)
{
	FILE *file = fopen(self->path, "w");

	for (int i = 0; i < 1025; i++)
		(void)fprintf(file, "vm%d /dev/vm%d -\n", i, i);
	(void)fclose(file);
	EXPECT_EQ(-EINVAL, tracker_table_read(self->path, &self->entries, &self->nr, &self->f));
	EXPECT_NE(NULL, strstr(self->f.text, "line 1025: there are more than 1024"));
}

/* --- adding a line, in a directory that no other program locks --- */

FIXTURE(added)
{
	char directory[64];
	char path[128];
	struct failure f;
};

FIXTURE_SETUP(added)
{
	memset(self, 0, sizeof(*self));
	(void)strcpy(self->directory, "/tmp/trackers-test.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->directory));
	(void)snprintf(self->path, sizeof(self->path), "%s/trackers", self->directory);
}

FIXTURE_TEARDOWN(added)
{
	(void)unlink(self->path);
	(void)rmdir(self->directory);
}

static const char *get_text(const char *path)
{
	static char text[4096];
	FILE *file = fopen(path, "r");

	text[file ? fread(text, 1, sizeof(text) - 1, file) : 0] = '\0';
	if (file)
		(void)fclose(file);
	return text;
}

static const struct tracker_entry new_line = { .name = "vm2-disk0", .origin = "/dev/vg/vm2", .store = "/dev/vg/vm2-store" };

TEST_F(added, makes_the_table_where_there_is_none)
{
	ASSERT_EQ(0, tracker_table_add(self->path, &new_line, &self->f));
	EXPECT_STREQ("vm2-disk0 /dev/vg/vm2 /dev/vg/vm2-store\n", get_text(self->path));
}

TEST_F(added, stands_after_what_is_there_which_stays)
{
	temp_file_write(self->path, "# ours\n\nvm1 /dev/a - start");
	ASSERT_EQ(0, tracker_table_add(self->path, &new_line, &self->f));
	EXPECT_STREQ("# ours\n\nvm1 /dev/a - start\nvm2-disk0 /dev/vg/vm2 /dev/vg/vm2-store\n", get_text(self->path));
}

TEST_F(added, twice_it_stands_once)
{
	ASSERT_EQ(0, tracker_table_add(self->path, &new_line, &self->f));
	ASSERT_EQ(0, tracker_table_add(self->path, &new_line, &self->f));
	EXPECT_STREQ("vm2-disk0 /dev/vg/vm2 /dev/vg/vm2-store\n", get_text(self->path));
}

TEST_F(added, to_what_is_no_text_nothing_is_added_and_nothing_is_lost)
{
	static const char table[] = "vm1 /dev/a -\n#\0\nvm3 /dev/c -\n";
	FILE *file = fopen(self->path, "w");
	char found[sizeof(table) + 1];

	ASSERT_EQ(sizeof(table) - 1, fwrite(table, 1, sizeof(table) - 1, file));
	(void)fclose(file);
	EXPECT_GT(0, tracker_table_add(self->path, &new_line, &self->f));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, self->f.code);
	file = fopen(self->path, "r");
	EXPECT_EQ(sizeof(table) - 1, fread(found, 1, sizeof(found), file));
	EXPECT_EQ(0, memcmp(table, found, sizeof(table) - 1));
	(void)fclose(file);
}

TEST_F(added, what_stands_there_otherwise_is_refused_and_nothing_changes)
{
	static const char *const others[] = {
		"vm2-disk0 /dev/a -\n", "other /dev/vg/vm2 -\n", "other /dev/a /dev/vg/vm2-store\n",
		"other /dev/vg/vm2-store -\n", "other /dev/a /dev/vg/vm2\n", "vm2-disk0 /dev/vg/vm2 -\n",
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		temp_file_write(self->path, others[i]);
		EXPECT_GT(0, tracker_table_add(self->path, &new_line, &self->f));
		EXPECT_EQ(CODE_IN_USE, self->f.code);
		EXPECT_STREQ(others[i], get_text(self->path));
	}
}

TEST_F(added, to_a_table_that_is_wrong_is_refused_and_nothing_changes)
{
	temp_file_write(self->path, "vm1\n");
	EXPECT_GT(0, tracker_table_add(self->path, &new_line, &self->f));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, self->f.code);
	EXPECT_STREQ("vm1\n", get_text(self->path));
}

TEST_HARNESS_MAIN
