// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/*
 * The length of the UTF-8 character at @src, 0 when there is none: overlong forms and surrogates
 * are none.
 */
static size_t character_bytes(const unsigned char *src, size_t len)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t point;
	size_t nr;

	if (src[0] < 0x80)
		return 1;
	if ((src[0] & 0xe0) == 0xc0)
		nr = 2;
	else if ((src[0] & 0xf0) == 0xe0)
		nr = 3;
	else if ((src[0] & 0xf8) == 0xf0)
		nr = 4;
	else
		return 0;
	if (nr > len)
		return 0;

	point = src[0] & (0x7fU >> nr);
	for (size_t i = 1; i < nr; i++) {
		if ((src[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (src[i] & 0x3fU);
	}
	if (point < smallest[nr] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return 0;
	return nr;
}

static bool is_control(const unsigned char *src, size_t nr)
{
	if (nr == 1)
		return src[0] < 0x20 || src[0] == 0x7f;
	return nr == 2 && src[0] == 0xc2 && src[1] < 0xa0;
}

void text_make_printable(const char *src, size_t len, char *buf, size_t room)
{
	const unsigned char *at = (const unsigned char *)src;
	const unsigned char *end = at + len;

	while (at < end) {
		size_t nr = character_bytes(at, (size_t)(end - at));
		bool shown = nr && !is_control(at, nr);
		size_t written = shown ? nr : 1;

		if (written >= room)
			break;
		if (shown)
			memcpy(buf, at, nr);
		else
			*buf = '?';
		buf += written;
		room -= written;
		at += nr ? nr : 1;
	}
	*buf = '\0';
}

const char *text_full_stop(const char *text)
{
	size_t len = strlen(text);

	return len && strchr(".!?", text[len - 1]) ? "" : ".";
}
