// SPDX-License-Identifier: GPL-2.0-or-later
#include "xfer/packing.h"

#include <errno.h>
#include <stdlib.h>

#include <cbt-wire.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "lib/pack.h"
#include "lib/pack_choice.h"

struct packing {
	struct pack *pack;
	struct pack_choice choice;
	uint8_t *frames[PACKING_AHEAD_MAX];
	unsigned int ahead; /* of them are used */
	unsigned int next;
};

int packing_open(size_t body_max, unsigned int ahead, struct packing **ret, struct failure *f)
{
	_cleanup_(packing_close_at) struct packing *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return failure_no_memory(f);
	p->ahead = ahead;
	for (unsigned int i = 0; i < ahead; i++) {
		p->frames[i] = malloc(pack_room(body_max));
		if (!p->frames[i])
			return failure_no_memory(f);
	}
	rc = pack_open(&p->pack, f);
	if (rc)
		return rc;
	pack_choice_init(&p->choice, clock_ns());
	*ret = steal_ptr(p);
	return 0;
}

void packing_close_at(struct packing **p)
{
	if (!*p)
		return;
	for (unsigned int i = 0; i < (*p)->ahead; i++)
		free((*p)->frames[i]);
	pack_close_at(&(*p)->pack);
	free(*p);
	*p = NULL;
}

uint16_t packing_body(struct packing *p, const uint8_t **body, size_t *bytes)
{
	uint8_t *frame;
	size_t len;

	if (!p || !pack_choice_tries(&p->choice))
		return 0;
	frame = p->frames[p->next];
	len = pack_data(p->pack, *body, *bytes, frame);
	pack_choice_tried(&p->choice, len);
	if (!len)
		return 0;
	p->next = (p->next + 1) % p->ahead;
	*body = frame;
	*bytes = len;
	return CBT_WIRE_PACKED;
}

void packing_sent(struct packing *p, size_t bytes)
{
	if (p && bytes)
		pack_choice_sent(&p->choice, bytes, clock_ns());
}
