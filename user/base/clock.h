/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Monotonic time in nanoseconds, and deadlines: a deadline is a moment of that clock. */
#ifndef FAILBACK_BASE_CLOCK_H
#define FAILBACK_BASE_CLOCK_H

#include <limits.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

static inline uint64_t clock_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static inline uint64_t deadline_in_ms(uint64_t ms)
{
	return clock_ns() + ms * NS_PER_MS;
}

/** deadline_left_ms - for poll(2): rounded up, 0 when the deadline has passed. */
static inline int deadline_left_ms(uint64_t deadline_ns)
{
	uint64_t now = clock_ns();
	uint64_t ms;

	if (now >= deadline_ns)
		return 0;
	ms = (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

#endif
