// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Instead of tokens, time is kept, which needs no tick: what was sent uses
 * the limit up to a moment, and the bucket is how far that may lie ahead.
 */
#include "lib/rate.h"

#include "base/clock.h"
#include "base/macro.h"

#define BUCKET_NS (NS_PER_S / 10)

void rate_init(struct rate *r, uint64_t bytes_per_s)
{
	*r = (struct rate){ .bytes_per_s = bytes_per_s };
}

uint64_t rate_wait_ns(const struct rate *r, uint64_t now_ns)
{
	uint64_t from_ns = r->paid_ns - min_of(r->paid_ns, BUCKET_NS);

	return from_ns - min_of(from_ns, now_ns);
}

void rate_spend(struct rate *r, uint64_t bytes, uint64_t now_ns)
{
	if (r->bytes_per_s)
		r->paid_ns = max_of(r->paid_ns, now_ns) +
			     (bytes * NS_PER_S + r->bytes_per_s - 1) / r->bytes_per_s;
}
