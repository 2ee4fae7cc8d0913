/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sizes, rates and durations as people write and read them. For programs, print the exact numbers.
 */
#ifndef FAILBACK_BASE_SIZE_H
#define FAILBACK_BASE_SIZE_H

#include <stdint.h>

#define SIZE_TEXT_LEN 32 /* with the NUL; enough for each of these */

/**
 * size_format - "0 B", "512 B", "4 KiB", "1.5 GiB": at most one decimal, none where it would be 0.
 * Returns @buf.
 */
const char *size_format(uint64_t bytes, char buf[SIZE_TEXT_LEN]);

/** rate_format - "1.5 GiB/s" of @bytes in @ns; "-" when @ns is 0. Returns @buf. */
const char *rate_format(uint64_t bytes, uint64_t ns, char buf[SIZE_TEXT_LEN]);

/** duration_format - "0.4 s", "59 s", "1 min 5 s", "2 h 3 min", "4 d 5 h". Returns @buf. */
const char *duration_format(uint64_t ns, char buf[SIZE_TEXT_LEN]);

/**
 * size_parse - "4096", "4K", "4KiB", "1.5G", "64 MiB", in any case: powers of 1024, B alone or at
 * the end.
 *
 * -EINVAL: none of these, or not a whole number of bytes; -ERANGE: above 2^63 - 1.
 */
int size_parse(const char *text, uint64_t *ret);

#endif
