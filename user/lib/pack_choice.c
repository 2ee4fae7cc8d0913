// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Time is cut into spans. After a change of the way a first one is not counted: the buffers of the
 * connection still hold what the other way made. A span has some records at least, so that it says
 * something about a slow link, and some time at least, so that it says something about a fast one.
 */
#include "lib/pack_choice.h"

#include "base/clock.h"
#include "base/macro.h"

#define SETTLE_NS    (20 * NS_PER_MS)
#define SPAN_NS	     (60 * NS_PER_MS)
#define SPAN_RECORDS 8U
#define PATIENCE_MIN 4U
#define PATIENCE_MAX 64U
#define SKIPS_MAX    16U
#define GAIN	     1.05 /* packing is work: what it gains has to be more than chance */

static void span_begin(struct pack_choice *c, uint64_t now_ns)
{
	c->begin_ns = now_ns;
	c->bytes = 0;
	c->nr_records = 0;
}

static void go(struct pack_choice *c, bool packs, bool on_trial)
{
	c->packs = packs;
	c->on_trial = on_trial;
	c->settled = false;
	c->nr_skips = c->nr_skipped = 0;
}

void pack_choice_init(struct pack_choice *c, uint64_t now_ns)
{
	*c = (struct pack_choice){ .patience = PATIENCE_MIN };
	go(c, true, false);
	span_begin(c, now_ns);
}

bool pack_choice_tries(struct pack_choice *c)
{
	if (!c->packs)
		return false;
	if (c->nr_skipped == c->nr_skips)
		return true;
	c->nr_skipped++;
	return false;
}

void pack_choice_tried(struct pack_choice *c, bool shrank)
{
	c->nr_skips = shrank ? 0 : min_of(2 * c->nr_skips + 1, SKIPS_MAX);
	c->nr_skipped = 0;
}

static void judge(struct pack_choice *c)
{
	bool packing_wins = c->rates[true] > c->rates[false] * GAIN;

	if (packing_wins == c->packs) {
		c->on_trial = false;
		c->patience = PATIENCE_MIN;
	} else {
		c->patience = min_of(2 * c->patience, PATIENCE_MAX);
		go(c, packing_wins, false);
	}
	c->nr_spans = c->patience;
}

static void span_end(struct pack_choice *c, uint64_t now_ns)
{
	c->rates[c->packs] = (double)c->bytes / (double)(now_ns - c->begin_ns);
	if (c->on_trial)
		judge(c);
	else if (c->nr_spans)
		c->nr_spans--;
	else
		go(c, !c->packs, true);
}

void pack_choice_sent(struct pack_choice *c, uint64_t bytes, uint64_t now_ns)
{
	c->bytes += bytes;
	c->nr_records++;
	if (c->nr_records < SPAN_RECORDS ||
	    now_ns - c->begin_ns < (c->settled ? SPAN_NS : SETTLE_NS))
		return;
	if (c->settled)
		span_end(c, now_ns);
	else
		c->settled = true;
	span_begin(c, now_ns);
}
