/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When to try again what a broken connection ended. */
#ifndef FAILBACK_DAEMON_RETRY_H
#define FAILBACK_DAEMON_RETRY_H

#include <stdbool.h>

#include "daemon/daemon.h"

struct retry {
	sd_event_source *timer;
	unsigned int failures; /* since something was gained last */
	unsigned int futile; /* of these, those that had a connection */
	uint64_t until_ns; /* 0: nothing failed yet */
};

/** retry_delay_s - PURE: 1, 2, 4, 8, 16, then 30 seconds after @failures in a row. */
unsigned int retry_delay_s(unsigned int failures);

/**
 * retry_may - is it worth while? For the setting resume-for after the first failure, and for five
 * connections in a row that gained nothing.
 */
bool retry_may(const struct daemon *d, struct retry *r);

/** retry_failed - @connected: it came to more than a try to connect. */
void retry_failed(struct retry *r, bool connected);

/** retry_gained - from here on failures count anew. */
void retry_gained(struct retry *r);

/**
 * retry_wait - call @fn when it is time.
 * @ret_s: for how long that is
 */
int retry_wait(struct daemon *d, struct retry *r, sd_event_time_handler_t fn, void *context,
	       unsigned int *ret_s, struct failure *f);

void retry_clear(struct retry *r);

#endif
