// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/table.c: what a table looks like. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/table.h"

#include "kselftest_harness.h"

static const struct table_column titled[] = { { "NAME", false }, { "SIZE", true }, { "STATE", false } };
static const struct table_column plain[] = { { NULL, false }, { NULL, false } };

FIXTURE(table)
{
	struct table *t;
	char *text;
	size_t len;
};

FIXTURE_SETUP(table)
{
	memset(self, 0, sizeof(*self));
}

FIXTURE_TEARDOWN(table)
{
	table_free_at(&self->t);
	free(self->text);
}

static const char *print(struct table *t, char **text, size_t *len)
{
	FILE *out;

	free(*text);
	out = open_memstream(text, len);
	table_print(t, out);
	(void)fclose(out);
	return *text;
}

#define PRINTED() print(self->t, &self->text, &self->len)
#define ADD(...) table_add(self->t, (const char *const[]){ __VA_ARGS__ })

TEST_F(table, columns_are_as_wide_as_their_widest_cell_and_lines_end_without_spaces)
{
	ASSERT_EQ(0, table_new(titled, 3, &self->t));
	ASSERT_EQ(0, ADD("vm1-disk0", "4 KiB", "volatile"));
	ASSERT_EQ(0, ADD("x", "12.5 MiB", ""));
	EXPECT_STREQ("NAME           SIZE  STATE\n"
		     "vm1-disk0     4 KiB  volatile\n"
		     "x          12.5 MiB\n",
		     PRINTED());
}

TEST_F(table, a_table_without_rows_is_its_titles)
{
	ASSERT_EQ(0, table_new(titled, 3, &self->t));
	EXPECT_STREQ("NAME  SIZE  STATE\n", PRINTED());
}

TEST_F(table, without_titles_there_is_no_line_of_titles)
{
	ASSERT_EQ(0, table_new(plain, 2, &self->t));
	EXPECT_STREQ("", PRINTED());
	ASSERT_EQ(0, ADD("Size", "1"));
	ASSERT_EQ(0, ADD("Generation", "2"));
	EXPECT_STREQ("Size        1\nGeneration  2\n", PRINTED());
}

TEST_F(table, a_cell_cannot_command_the_terminal)
{
	ASSERT_EQ(0, table_new(plain, 2, &self->t));
	ASSERT_EQ(0, ADD("a\033[2Jb\nc", "\xff"));
	EXPECT_STREQ("a?[2Jb?c  ?\n", PRINTED());
}

TEST_F(table, width_is_counted_in_characters)
{
	ASSERT_EQ(0, table_new(plain, 2, &self->t));
	ASSERT_EQ(0, ADD("\xc3\xa4\xc3\xb6", "1"));
	ASSERT_EQ(0, ADD("abc", "2"));
	EXPECT_STREQ("\xc3\xa4\xc3\xb6   1\nabc  2\n", PRINTED());
}

TEST_F(table, many_rows_are_kept_in_order)
{
	char cell[16];
	char *at;

	ASSERT_EQ(0, table_new(plain, 2, &self->t));
	for (int i = 100; i < 1100; i++) {
		(void)snprintf(cell, sizeof(cell), "%04d", i);
		ASSERT_EQ(0, ADD(cell, "."));
	}
	at = (char *)PRINTED();
	for (int i = 100; i < 1100; i++, at += strlen("0000  .\n"))
		ASSERT_EQ(i, atoi(at));
	EXPECT_EQ('\0', *at);
}

TEST_HARNESS_MAIN
