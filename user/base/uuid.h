/* SPDX-License-Identifier: GPL-2.0-or-later */
/* 16-byte identifiers in RFC 9562 byte order, and their 36-character text. */
#ifndef FAILBACK_BASE_UUID_H
#define FAILBACK_BASE_UUID_H

#include <stdbool.h>
#include <stdint.h>

#define UUID_BYTES	  16
#define UUID_TEXT_LEN 36

struct uuid {
	uint8_t b[UUID_BYTES];
};

/** uuid_new - a random (version 4) UUID. 0 or -errno of getrandom(2). */
int uuid_new(struct uuid *ret);

/**
 * uuid_parse - @text must be exactly 8-4-4-4-12 hex digits, either case, braces not accepted. 0 or
 * -EINVAL.
 */
int uuid_parse(const char *text, struct uuid *ret);

/** uuid_format - lower-case text with NUL into @buf; returns @buf. */
const char *uuid_format(const struct uuid *u, char buf[UUID_TEXT_LEN + 1]);

bool uuid_is_nil(const struct uuid *u);
bool uuid_equal(const struct uuid *a, const struct uuid *b);

#endif
