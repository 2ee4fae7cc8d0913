// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/progress.h"

#include <stdbool.h>

#include "base/clock.h"
#include "base/macro.h"

/* Rates of shorter spans than this jump about; a rate looks back over about this many of them. */
#define SPAN_NS (NS_PER_S / 2)
#define WEIGHT	0.3
#define STALL_NS (5 * NS_PER_S) /* with no report for so long, the rate is history */

void progress_begin(struct progress *p, uint64_t now_ns)
{
	*p = (struct progress){ .rate = -1, .measured_ns = now_ns };
}

void progress_add(struct progress *p, uint64_t now_ns, uint64_t bytes_done, uint64_t bytes_sent)
{
	double rate;

	p->bytes_done = max_of(p->bytes_done, bytes_done);
	p->bytes_sent = max_of(p->bytes_sent, bytes_sent);
	if (now_ns < p->measured_ns + SPAN_NS)
		return;
	rate = (double)(p->bytes_done - p->measured_done) * (double)NS_PER_S /
	       (double)(now_ns - p->measured_ns);
	p->rate = p->rate < 0 ? rate : p->rate + WEIGHT * (rate - p->rate);
	p->measured_ns = now_ns;
	p->measured_done = p->bytes_done;
}

unsigned int progress_percent(const struct progress *p)
{
	if (!p->bytes_total)
		return 0;
	if (p->bytes_done >= p->bytes_total)
		return 100;
	return (unsigned int)((double)p->bytes_done / (double)p->bytes_total * 100);
}

static bool stalls(const struct progress *p, uint64_t now_ns)
{
	return now_ns > p->measured_ns + STALL_NS;
}

uint64_t progress_rate(const struct progress *p, uint64_t now_ns)
{
	return p->rate < 0 || stalls(p, now_ns) ? 0 : (uint64_t)p->rate;
}

uint64_t progress_seconds_left(const struct progress *p, uint64_t now_ns)
{
	if (p->bytes_total && p->bytes_done >= p->bytes_total)
		return 0;
	if (!p->bytes_total || p->rate < 1 || stalls(p, now_ns))
		return PROGRESS_UNKNOWN;
	return (uint64_t)((double)(p->bytes_total - p->bytes_done) / p->rate) + 1;
}
