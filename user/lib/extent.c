// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/extent.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"

void extent_list_free(struct extent_list *list)
{
	free(list->extents);
	*list = (struct extent_list){ 0 };
}

static int list_grow(struct extent_list *list)
{
	size_t room = list->room ? list->room * 2 : 64;
	struct extent *extents = reallocarray(list->extents, room, sizeof(*extents));

	if (!extents)
		return -ENOMEM;
	list->extents = extents;
	list->room = room;
	return 0;
}

int extent_push(struct extent_list *list, uint64_t offset, uint64_t length)
{
	struct extent *last = list->nr ? &list->extents[list->nr - 1] : NULL;
	uint64_t end = last ? last->offset + last->length : 0;
	int rc;

	if (!length || offset < end)
		return -EINVAL;
	if (offset > INT64_MAX || length > INT64_MAX - offset)
		return -ERANGE;
	if (last && offset == end) {
		last->length += length;
	} else {
		rc = list->nr == list->room ? list_grow(list) : 0;
		if (rc)
			return rc;
		list->extents[list->nr++] = (struct extent){ offset, length };
	}
	list->total += length; /* extents do not overlap: below 2^63 */
	return 0;
}

static bool rule_keeps(enum extent_rule rule, bool in_a, bool in_b)
{
	switch (rule) {
	case EXTENT_OR:
		return in_a || in_b;
	case EXTENT_AND:
		return in_a && in_b;
	default:
		return in_a && !in_b;
	}
}

/*
 * Whether byte @at is in @list, whose extents below @*index end before it; the next byte from which
 * on that is otherwise.
 */
static bool look_at(const struct extent_list *list, size_t *index, uint64_t at, uint64_t *ret_until)
{
	const struct extent *extent;

	while (*index < list->nr &&
	       list->extents[*index].offset + list->extents[*index].length <= at)
		(*index)++;
	extent = *index < list->nr ? &list->extents[*index] : NULL;
	if (!extent)
		*ret_until = UINT64_MAX;
	else
		*ret_until = extent->offset > at ? extent->offset : extent->offset + extent->length;
	return extent && extent->offset <= at;
}

int extent_combine(const struct extent_list *a, enum extent_rule rule,
		   const struct extent_list *b, struct extent_list *ret)
{
	size_t index_a = 0;
	size_t index_b = 0;
	uint64_t at = 0;

	for (;;) {
		uint64_t until_a;
		uint64_t until_b;
		bool in_a = look_at(a, &index_a, at, &until_a);
		bool in_b = look_at(b, &index_b, at, &until_b);
		uint64_t until = min_of(until_a, until_b);
		int rc;

		if (until == UINT64_MAX)
			return 0;
		rc = rule_keeps(rule, in_a, in_b) ? extent_push(ret, at, until - at) : 0;
		if (rc)
			return rc;
		at = until;
	}
}

void extent_clip(struct extent_list *list, uint64_t size)
{
	while (list->nr) {
		struct extent *last = &list->extents[list->nr - 1];
		uint64_t end = last->offset + last->length;
		uint64_t kept = last->offset < size ? min_of(end, size) - last->offset : 0;

		list->total -= last->length - kept;
		last->length = kept;
		if (kept)
			break;
		list->nr--;
	}
}

/* --- parsing --- */

struct cursor {
	const char *at;
	const char *end;
};

static void skip_blanks(struct cursor *c)
{
	while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\r'))
		c->at++;
}

static bool number_parse(struct cursor *c, uint64_t *ret)
{
	uint64_t value = 0;
	bool any = false;

	skip_blanks(c);
	for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*c->at - '0'), &value))
			return false;
		any = true;
	}
	*ret = value;
	return any;
}

static const char *line_parse(struct cursor line, struct extent_list *list)
{
	uint64_t offset;
	uint64_t length;

	skip_blanks(&line);
	if (line.at == line.end || *line.at == '#')
		return NULL;
	if (!number_parse(&line, &offset) || line.at == line.end ||
	    (*line.at != ' ' && *line.at != '\t') || !number_parse(&line, &length))
		return "is not \"OFFSET LENGTH\" in bytes";
	skip_blanks(&line);
	if (line.at != line.end)
		return "has more than an offset and a length";
	if ((offset | length) % 512)
		return "is not aligned to 512 bytes";
	switch (extent_push(list, offset, length)) {
	case 0:
		return NULL;
	case -EINVAL:
		return length ? "overlaps or precedes the extent before it" : "has the length 0";
	case -ERANGE:
		return "ends beyond the largest offset";
	default:
		return "needs more memory than there is";
	}
}

int extent_parse(const char *text, size_t len, const char *name, struct extent_list *list,
		 struct failure *f)
{
	struct cursor rest = { text, text + len };

	for (size_t number = 1; rest.at < rest.end; number++) {
		const char *end = memchr(rest.at, '\n', (size_t)(rest.end - rest.at));
		struct cursor line = { rest.at, end ? end : rest.end };
		const char *wrong = line_parse(line, list);

		if (wrong)
			return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL, "line %zu of %s %s",
					   number, name, wrong);
		rest.at = end ? end + 1 : rest.end;
	}
	return 0;
}
