// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/zero.h"

#include <string.h>

#include "base/macro.h"

#define UNIT_BYTES    ((size_t)4096)
#define RUN_MIN_BYTES ((size_t)32768)

bool is_zero(const void *buf, size_t len)
{
	static const uint8_t zeroes[16];

	/*
	 * Each byte equals the one 16 before it, and the first 16 are zero. memcmp() is the fastest
	 * loop there is.
	 */
	if (len <= sizeof(zeroes))
		return memcmp(buf, zeroes, len) == 0;
	return memcmp(buf, zeroes, sizeof(zeroes)) == 0 &&
	       memcmp(buf, (const uint8_t *)buf + sizeof(zeroes), len - sizeof(zeroes)) == 0;
}

/* Units from @start on that are all zero, or all not; returns the end of the run. */
static size_t run_end(const uint8_t *body, size_t start, size_t len, bool *ret_zero)
{
	size_t end = start;
	bool zero = false;

	while (end < len) {
		size_t unit = min_of(UNIT_BYTES, len - end);
		bool unit_zero = is_zero(body + end, unit);

		if (end != start && unit_zero != zero)
			break;
		zero = unit_zero;
		end += unit;
	}
	*ret_zero = zero;
	return end;
}

static void add_zero(struct zero_split *split, uint64_t offset, size_t len)
{
	split->zero[split->nr_zero++] = (struct extent){ offset, len };
}

static void add_data(struct zero_split *split, uint8_t *body, uint64_t offset, const uint8_t *src,
		     size_t len)
{
	struct extent *last = split->nr_data ? &split->data[split->nr_data - 1] : NULL;
	uint8_t *dst = body + split->bytes_data;

	if (dst != src)
		memmove(dst, src, len);
	if (last && last->offset + last->length == offset)
		last->length += len;
	else
		split->data[split->nr_data++] = (struct extent){ offset, len };
	split->bytes_data += len;
}

void zero_split(const struct extent *extents, size_t nr, uint8_t *body, size_t max,
		struct zero_split *ret)
{
	const uint8_t *src = body;

	ret->nr_data = 0;
	ret->nr_zero = 0;
	ret->bytes_data = 0;
	for (size_t i = 0; i < nr; i++) {
		size_t length = (size_t)extents[i].length;
		size_t end;

		for (size_t start = 0; start < length; start = end) {
			/* every extent still to come, and the end of this one, must find room */
			bool has_room = ret->nr_data + (nr - i) < max &&
					ret->nr_zero + (nr - i) < max;
			bool zero;

			end = run_end(src, start, length, &zero);
			if (zero &&
			    (end - start == length || (end - start >= RUN_MIN_BYTES && has_room)))
				add_zero(ret, extents[i].offset + start, end - start);
			else
				add_data(ret, body, extents[i].offset + start, src + start,
					 end - start);
		}
		src += length;
	}
}
