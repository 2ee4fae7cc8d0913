// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A conversation of any records, sealed rightly and in sequence, at both sides: no byte beyond a
 * disk, never more bytes than announced, never an END that the counts do not bear out. The first
 * byte picks the side, and whether it compares; then each record is a header, extents and body as on the wire.
 */
#include <string.h>

#include "lib/session.h"

#include "fuzz.h"

static uint8_t head[WIRE_HEAD_MAX];
static uint8_t body[CBT_WIRE_BODY_MAX];
static struct extent raw_extents[CBT_WIRE_EXTENTS_MAX];
static struct extent extents[CBT_WIRE_EXTENTS_MAX];
static struct wire_begin plan;

/* The next record of the input with its sequence number and check made right; false: none is left. */
static int record_next(const uint8_t **data, size_t *size, uint64_t sequence, struct wire_header *h)
{
	size_t rest;

	if (*size < WIRE_HEADER_BYTES || wire_header_decode(*data, h))
		return 0;
	rest = wire_rest_bytes(h);
	if (*size - WIRE_HEADER_BYTES < rest)
		return 0;
	memcpy(raw_extents, *data + WIRE_HEADER_BYTES, h->nr_extents * WIRE_EXTENT_BYTES);
	memcpy(body, *data + WIRE_HEADER_BYTES + rest - h->body_len, h->body_len);
	h->sequence = sequence;
	wire_seal(h, raw_extents, body, head);
	*data += WIRE_HEADER_BYTES + rest;
	*size -= WIRE_HEADER_BYTES + rest;
	return 1;
}

static void receive(const uint8_t *data, size_t size, bool only_compares)
{
	static struct receive_session s;
	static const struct wire_ready ready = { .mark_interval = 4096 };
	uint8_t ready_body[sizeof(struct cbt_wire_ready)];
	struct wire_header h;

	receive_session_init(&s, &plan, only_compares);
	for (uint64_t sequence = 0; record_next(&data, &size, sequence, &h); sequence++) {
		int event = receive_session_step(&s, &h, head, body, extents, NULL);

		if (event < 0)
			return;
		if (event == SESSION_BEGIN)
			(void)receive_session_ready(&s, &ready, ready_body);
		CLAIM(session_tally_bytes(&s.tally) <= s.bytes_total);
		CLAIM(s.bytes_compared <= s.compare.bytes_total);
		CLAIM(s.nr_hashes - s.nr_differ <= SESSION_HASHES_MAX);
		CLAIM(!only_compares || !s.bytes_total);
		if (event == SESSION_HASH && h.sequence % 3)
			receive_session_differ(&s);
		if (event == SESSION_HASH || event == SESSION_DATA || event == SESSION_ZERO || event == SESSION_DISCARD)
			CLAIM(extents[h.nr_extents - 1].offset + extents[h.nr_extents - 1].length <=
			      plan.disks[h.disk].size_bytes);
		if (event == SESSION_END)
			CLAIM(session_tally_bytes(&s.tally) == s.bytes_total);
	}
}

/* Two HASHes wait for their answer. */
static void ask(struct send_session *s)
{
	static const struct wire_compare compare = { .bytes_total = 1 << 20 };
	static const struct extent extent = { 512, 8192 };
	uint8_t compare_body[sizeof(struct cbt_wire_compare)];
	struct wire_header h = { .type = CBT_WIRE_HASH, .nr_extents = 1, .body_len = 48 };

	(void)send_session_compare(s, &compare, compare_body);
	send_session_hash(s, &h, &extent, body, head);
	send_session_hash(s, &h, &extent, body, head);
}

static void send(const uint8_t *data, size_t size, bool compares)
{
	static struct send_session s;
	static uint8_t begin_body[WIRE_BEGIN_MAX];
	struct wire_header h;

	send_session_init(&s, &plan);
	if (compares)
		ask(&s);
	else
		(void)send_session_begin(&s, begin_body);
	for (uint64_t sequence = 0; record_next(&data, &size, sequence, &h); sequence++) {
		int event = send_session_step(&s, &h, head, body, NULL);

		if (event < 0)
			return;
		if (compares)
			CLAIM(event == SESSION_DIFFER && h.body_len == 1 && !(body[0] & 0xf8));
		else
			CLAIM(event == SESSION_READY || event == SESSION_DURABLE);
		if (event == SESSION_READY)
			(void)send_session_end(&s, begin_body);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	plan = (struct wire_begin){ .nr_disks = 2, .bytes_total = 65536 };
	plan.disks[0] = (struct wire_disk){ 1 << 20, "disk0" };
	plan.disks[1] = (struct wire_disk){ 1 << 20, "disk1" };
	if (!size)
		return 0;
	if (data[0] & 1)
		receive(data + 1, size - 1, data[0] & 2);
	else
		send(data + 1, size - 1, data[0] & 2);
	return 0;
}
