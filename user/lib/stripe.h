/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which of several connections a record of the sender's goes over (uapi/cbt-wire.h). PURE.
 */
#ifndef FAILBACK_LIB_STRIPE_H
#define FAILBACK_LIB_STRIPE_H

#include <cbt-wire.h>

struct stripe {
	unsigned int nr; /* connections; at least 1 */
	unsigned int turn; /* the one that the next record goes over */
};

/** stripe_passed - a record of @type went over connection @s->turn. */
static inline void stripe_passed(struct stripe *s, unsigned int type)
{
	if (type == CBT_WIRE_DATA)
		s->turn = (s->turn + 1) % s->nr;
}

#endif
