// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A record of any bytes: what is decoded is within the bounds of uapi/cbt-wire.h, and comes out the
 * same when it is encoded again. Checks are made right, or no input would get behind them.
 */
#include <string.h>

#include "lib/wire.h"

#include "fuzz.h"

static void extents(const struct wire_header *h, const uint8_t *head)
{
	static struct extent decoded[CBT_WIRE_EXTENTS_MAX];
	uint64_t end = 0;
	uint64_t sum;

	if (wire_extents_decode(h, head, decoded, &sum))
		return;
	for (unsigned int i = 0; i < h->nr_extents; i++) {
		CLAIM(decoded[i].length && decoded[i].offset >= end);
		CLAIM((decoded[i].offset | decoded[i].length) % CBT_WIRE_ALIGN == 0);
		end = decoded[i].offset + decoded[i].length;
		CLAIM(end <= INT64_MAX);
	}
	if (h->flags & CBT_WIRE_PACKED)
		CLAIM(h->type == CBT_WIRE_DATA && sum > h->body_len && sum <= CBT_WIRE_BODY_MAX);
	else
		CLAIM(h->type != CBT_WIRE_DATA || sum == h->body_len);
	CLAIM(h->type != CBT_WIRE_HASH || sum <= CBT_WIRE_HASH_MAX);
}

static void begin(const uint8_t *body, size_t len)
{
	static uint8_t again[WIRE_BEGIN_MAX];
	static struct wire_begin decoded;

	if (wire_begin_decode(body, len, &decoded))
		return;
	CLAIM(decoded.nr_disks && decoded.nr_disks <= CBT_WIRE_DISKS_MAX);
	CLAIM(decoded.nr_aborted <= CBT_WIRE_ABORTED_MAX);
	CLAIM(wire_begin_encode(&decoded, again) == len && memcmp(again, body, len) == 0);
}

static void compare(const uint8_t *body)
{
	uint8_t again[sizeof(struct cbt_wire_compare)];
	struct wire_compare decoded;

	if (!wire_compare_decode(body, &decoded))
		CLAIM(wire_compare_encode(&decoded, again) == sizeof(again) &&
		      memcmp(again, body, sizeof(again)) == 0);
}

static void body(const struct wire_header *h, const uint8_t *at)
{
	struct wire_ready ready;
	struct wire_mark mark;
	struct failure failure;

	if (h->type == CBT_WIRE_BEGIN)
		begin(at, h->body_len);
	if (h->type == CBT_WIRE_READY)
		(void)wire_ready_decode(at, &ready);
	if (h->type == CBT_WIRE_COMPARE)
		compare(at);
	if (h->type == CBT_WIRE_MARK && !wire_mark_decode(at, &mark))
		CLAIM(mark.disk < CBT_WIRE_DISKS_MAX && mark.offset % CBT_WIRE_ALIGN == 0);
	if (h->type == CBT_WIRE_FAILED && !wire_failed_decode(at, h->body_len, &failure))
		CLAIM(strlen(failure.text) < sizeof(failure.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_header h;

	if (size < WIRE_HEADER_BYTES || wire_header_decode(data, &h))
		return 0;
	CLAIM(h.body_len <= CBT_WIRE_BODY_MAX && h.nr_extents <= CBT_WIRE_EXTENTS_MAX);
	if (size - WIRE_HEADER_BYTES < wire_rest_bytes(&h))
		return 0;
	(void)wire_check_matches(&h, data, data + size - h.body_len);
	if (h.nr_extents)
		extents(&h, data);
	body(&h, data + WIRE_HEADER_BYTES + h.nr_extents * WIRE_EXTENT_BYTES);
	return 0;
}
