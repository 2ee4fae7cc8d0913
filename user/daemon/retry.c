// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/retry.h"

#include <string.h>

#include "base/clock.h"
#include "base/macro.h"

#define DELAY_MAX_S 30U
#define FUTILE_MAX  5U

unsigned int retry_delay_s(unsigned int failures)
{
	return failures > 5 ? DELAY_MAX_S : 1U << (failures ? failures - 1 : 0);
}

bool retry_may(const struct daemon *d, struct retry *r)
{
	uint64_t now = clock_ns();

	if (!r->until_ns)
		r->until_ns = now + d->config.resume_for * d->config.second_ms * NS_PER_MS;
	return now < r->until_ns && r->futile < FUTILE_MAX;
}

void retry_failed(struct retry *r, bool connected)
{
	r->failures++;
	r->futile += connected;
}

void retry_gained(struct retry *r)
{
	r->failures = 0;
	r->futile = 0;
	r->until_ns = 0;
}

int retry_wait(struct daemon *d, struct retry *r, sd_event_time_handler_t fn, void *context,
	       unsigned int *ret_s, struct failure *f)
{
	unsigned int delay_s = retry_delay_s(r->failures);
	int rc;

	retry_clear(r);
	rc = sd_event_add_time_relative(d->event, &r->timer, CLOCK_MONOTONIC,
					delay_s * d->config.second_ms * 1000, 0, fn, context);
	if (rc < 0)
		return failure_set(f, CODE_FAILED, rc, "The event loop failed: %s.", strerror(-rc));
	*ret_s = delay_s;
	return 0;
}

void retry_clear(struct retry *r)
{
	r->timer = sd_event_source_disable_unref(r->timer);
}
