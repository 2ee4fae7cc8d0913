// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/uuid.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

static bool dash_at(unsigned int i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

static unsigned int hex_value(char c)
{
	return isdigit((unsigned char)c) ? (unsigned int)(c - '0')
					 : (unsigned int)(tolower((unsigned char)c) - 'a') + 10;
}

int uuid_new(struct uuid *ret)
{
	struct uuid u;

	/* At most 256 bytes are never cut short once the kernel's pool is ready. */
	if (getrandom(u.b, sizeof(u.b), 0) != (ssize_t)sizeof(u.b))
		return errno ? -errno : -EIO;
	u.b[6] = (uint8_t)((u.b[6] & 0x0f) | 0x40);
	u.b[8] = (uint8_t)((u.b[8] & 0x3f) | 0x80);
	*ret = u;
	return 0;
}

int uuid_parse(const char *text, struct uuid *ret)
{
	struct uuid u = { 0 };
	unsigned int nr = 0;

	for (unsigned int i = 0; i < UUID_TEXT_LEN; i++) {
		if (dash_at(i)) {
			if (text[i] != '-')
				return -EINVAL;
			continue;
		}
		if (!isxdigit((unsigned char)text[i]))
			return -EINVAL;
		u.b[nr / 2] = (uint8_t)(u.b[nr / 2] << 4 | hex_value(text[i]));
		nr++;
	}
	if (text[UUID_TEXT_LEN])
		return -EINVAL;
	*ret = u;
	return 0;
}

const char *uuid_format(const struct uuid *u, char buf[UUID_TEXT_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";
	unsigned int nr = 0;

	for (unsigned int i = 0; i < UUID_TEXT_LEN; i++) {
		if (dash_at(i)) {
			buf[i] = '-';
			continue;
		}
		buf[i] = digits[nr % 2 ? u->b[nr / 2] & 15 : u->b[nr / 2] >> 4];
		nr++;
	}
	buf[UUID_TEXT_LEN] = '\0';
	return buf;
}

bool uuid_is_nil(const struct uuid *u)
{
	static const struct uuid nil;

	return uuid_equal(u, &nil);
}

bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}
