/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables for people: columns as wide as their widest cell, two spaces apart, no space at the end of
 * a line, and every cell printable (base/text.h).
 */
#ifndef FAILBACK_LIB_TABLE_H
#define FAILBACK_LIB_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 16

struct table_column {
	const char *title; /* NULL in all columns: no line of titles */
	bool right; /* numbers */
};

struct table;

/** table_new - @columns must outlive the table; 1 to TABLE_COLUMNS_MAX of them. 0 or -ENOMEM. */
int table_new(const struct table_column *columns, size_t nr_columns, struct table **ret);
void table_free_at(struct table **t);

/** table_add - add a row of copies of @cells, one a column. 0 or -ENOMEM. */
int table_add(struct table *t, const char *const *cells);

/** table_print - errors are left in @out, see ferror(3). */
void table_print(const struct table *t, FILE *out);

#endif
