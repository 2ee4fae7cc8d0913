/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Telling zeroes from data, so that zeroes need not travel. PURE. */
#ifndef FAILBACK_LIB_ZERO_H
#define FAILBACK_LIB_ZERO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/extent.h"

/** is_zero - whether all of @buf is zero; @len 0 is. */
bool is_zero(const void *buf, size_t len);

/**
 * struct zero_split - the same disk ranges in two lists, each ascending, neither adjacent nor
 * overlapping.
 */
struct zero_split {
	size_t nr_data;
	size_t nr_zero;
	size_t bytes_data;
	struct extent *data; /* room for max */
	struct extent *zero; /* room for max */
};

/**
 * zero_split - sort the @nr extents whose contents stand in @body one after the other.
 *
 * An extent is taken apart only where that is worth an extent more: at runs of zeroes of at least
 * 32 KiB, or when it is zero from end to end. What remains as data is moved together at the start
 * of @body.
 * @max: extents that each list has room for, at least @nr
 * @ret: its two lists are the caller's
 */
void zero_split(const struct extent *extents, size_t nr, uint8_t *body, size_t max,
		struct zero_split *ret);

#endif
