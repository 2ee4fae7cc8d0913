/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small macros that every layer may use. No functions with state, no I/O. */
#ifndef FAILBACK_BASE_MACRO_H
#define FAILBACK_BASE_MACRO_H

#include <stddef.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#define min_of(a, b)                    \
	({                              \
		__typeof__(a) a_ = (a); \
		__typeof__(b) b_ = (b); \
		a_ < b_ ? a_ : b_;      \
	})

#define max_of(a, b)                    \
	({                              \
		__typeof__(a) a_ = (a); \
		__typeof__(b) b_ = (b); \
		a_ > b_ ? a_ : b_;      \
	})

/* Rounding to a power of two. */
#define round_down_to(x, pow2) ((x) & ~((__typeof__(x))(pow2) - 1))
#define round_up_to(x, pow2) round_down_to((x) + (pow2) - 1, pow2)

#define printf_like(fmt_arg, first_arg) __attribute__((__format__(__printf__, fmt_arg, first_arg)))

#endif
