// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "base/text.h"

#define GAP 2

struct table {
	const struct table_column *columns;
	size_t nr_columns;
	size_t width[TABLE_COLUMNS_MAX];
	char **cells; /* nr_columns a row */
	size_t nr_cells;
	size_t room;
};

/* Characters on the screen: bytes that do not continue a UTF-8 sequence. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static char *printable_copy(const char *text)
{
	size_t len = strlen(text);
	char *copy = malloc(len + 1);

	if (copy)
		text_make_printable(text, len, copy, len + 1);
	return copy;
}

int table_new(const struct table_column *columns, size_t nr_columns, struct table **ret)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->columns = columns;
	t->nr_columns = nr_columns;
	for (size_t i = 0; i < nr_columns; i++)
		if (columns[i].title)
			t->width[i] = width_of(columns[i].title);
	*ret = t;
	return 0;
}

void table_free_at(struct table **t)
{
	if (!*t)
		return;
	for (size_t i = 0; i < (*t)->nr_cells; i++)
		free((*t)->cells[i]);
	free((*t)->cells);
	free(*t);
	*t = NULL;
}

static int make_room(struct table *t)
{
	size_t room = t->room ? 2 * t->room : 8 * t->nr_columns;
	char **cells;

	if (t->nr_cells + t->nr_columns <= t->room)
		return 0;
	cells = reallocarray(t->cells, room, sizeof(*cells));
	if (!cells)
		return -ENOMEM;
	t->cells = cells;
	t->room = room;
	return 0;
}

int table_add(struct table *t, const char *const *cells)
{
	size_t first = t->nr_cells;

	if (make_room(t) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < t->nr_columns; i++) {
		char *cell = printable_copy(cells[i]);

		if (!cell) {
			while (t->nr_cells > first)
				free(t->cells[--t->nr_cells]);
			return -ENOMEM;
		}
		t->cells[t->nr_cells++] = cell;
	}
	for (size_t i = 0; i < t->nr_columns; i++)
		t->width[i] = max_of(t->width[i], width_of(t->cells[first + i]));
	return 0;
}

/* @cells: one a column, NULL for the titles. */
static void print_row(const struct table *t, char *const *cells, FILE *out)
{
	size_t spaces = 0; /* due before the next text */

	for (size_t i = 0; i < t->nr_columns; i++) {
		const char *text = cells ? cells[i] : t->columns[i].title;
		size_t pad = t->width[i] - width_of(text);

		if (t->columns[i].right)
			spaces += pad;
		if (*text) {
			(void)fprintf(out, "%*s%s", (int)spaces, "", text);
			spaces = 0;
		}
		spaces += GAP + (t->columns[i].right ? 0 : pad);
	}
	(void)fputc('\n', out);
}

void table_print(const struct table *t, FILE *out)
{
	if (t->columns[0].title)
		print_row(t, NULL, out);
	for (size_t cell = 0; cell < t->nr_cells; cell += t->nr_columns)
		print_row(t, &t->cells[cell], out);
}
