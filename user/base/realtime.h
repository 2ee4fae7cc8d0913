/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Time of day, for records that people read; base/clock.h has the clock to measure with. */
#ifndef FAILBACK_BASE_REALTIME_H
#define FAILBACK_BASE_REALTIME_H

#include <stdint.h>
#include <time.h>

/** realtime_us - microseconds since 1970, UTC. */
static inline uint64_t realtime_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

#endif
