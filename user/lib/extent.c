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
