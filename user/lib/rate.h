/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A limit in bytes per second. PURE: the caller tells the time.
 *
 * A token bucket that holds a tenth of a second: what was not sent in a while may be sent at once up to
 * that, and no more. What is larger than the bucket passes when it is full enough, and is paid for after.
 */
#ifndef FAILBACK_LIB_RATE_H
#define FAILBACK_LIB_RATE_H

#include <stdint.h>

/* The least that makes sense: a record of half a MiB takes eight seconds. */
#define RATE_MIN (UINT64_C(64) << 10)

struct rate {
	uint64_t bytes_per_s; /* 0: no limit */
	uint64_t paid_ns; /* until when what was sent uses the limit up */
};

/** rate_init - @bytes_per_s: 0, or at least RATE_MIN */
void rate_init(struct rate *r, uint64_t bytes_per_s);

/** rate_wait_ns - how long to wait before anything may be sent; 0: not at all. */
uint64_t rate_wait_ns(const struct rate *r, uint64_t now_ns);

/** rate_spend - @bytes are being sent; at most 16 GiB at a time. */
void rate_spend(struct rate *r, uint64_t bytes, uint64_t now_ns);

#endif
