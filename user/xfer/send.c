// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The sending worker.
 *
 * A *slot* is a buffer on its way: free, being read, read, sealed, being sent, free. Slots are used
 * in turn, so that records leave in the order of the disk although reads end in any order:
 *
 *	next_sent <= next_send <= next_seal <= next_read <= next_sent + nr_slots
 *
 * They are counted on for ever, modulo nr_slots.
 *
 * A slot takes extents of one disk until its buffer or its list is full: one record then carries a
 * full record however small the extents are. Sealing (zeroes out, hash) is the work of this thread;
 * while it seals one slot, the kernel reads those behind and the socket drains the one before.
 *
 * A slot has no more than one DATA, and that last: all of it goes over one connection, and the next slot over the next
 * connection (lib/stripe.h). So as many slots are being sent as there are connections, in any order but
 * that of each. A MARK stands before the slot that follows its place.
 *
 * A comparison goes through the same slots, with what may differ for extents and hashes for what is
 * sent; what the receiver answers becomes the delta.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macro.h"
#include "lib/cursor.h"
#include "lib/rate.h"
#include "lib/session.h"
#include "lib/zero.h"
#include "xfer/comparison.h"
#include "xfer/incoming.h"
#include "xfer/packing.h"
#include "xfer/release.h"
#include "xfer/source.h"
#include "xfer/tracker_release.h"
#include "xfer/transfer.h"
#include "xfer/worker.h"

/*
 * Half of what a record may hold: what is read, hashed and sent one after the other then stays in a
 * processor's cache.
 */
#define RECORD_BYTES (512U << 10)
#define FAREWELL_TIMEOUT_MS 1000

struct slot {
	unsigned int disk;
	uint8_t *body;
	unsigned int nr_extents;
	unsigned int nr_reading;
	size_t bytes;
	size_t bytes_data; /* what is left of it without zeroes */
	size_t bytes_sent; /* what travels in its place: packed, or hashes */
	uint64_t next_sequence; /* of the record that follows the slot's */
	unsigned int connection;
	unsigned int next_turn; /* the connection of that record */
	bool sent;
	struct extent extents[CBT_WIRE_EXTENTS_MAX];
	struct ring_op reads[CBT_WIRE_EXTENTS_MAX];
	uint8_t data_head[WIRE_HEAD_MAX];
	uint8_t zero_head[WIRE_HEAD_MAX];
	uint8_t mark[SESSION_MARK_BYTES];
	struct ring_op send;
	uint8_t macs[CBT_WIRE_MACS_MAX * CBT_WIRE_MAC_BYTES];
};

struct sender {
	struct transfer *t;
	struct wire_begin begin;
	struct send_session session;
	struct extent_list lists[CBT_WIRE_DISKS_MAX]; /* the delta */
	struct extent_list suspects[CBT_WIRE_DISKS_MAX]; /* what may belong to it */
	struct cursor cursor; /* where the next read starts */
	struct comparison *comparison; /* while there is one */
	struct packing *packing; /* NULL: nothing is packed */
	struct rate rate;
	uint64_t bytes_suspect;

	struct slot *slots;
	uint64_t next_read;
	uint64_t next_seal;
	uint64_t next_send;
	uint64_t next_sent; /* the first one that is not wholly sent */
	unsigned int nr_sending;
	bool busy[CBT_WIRE_CONNECTIONS_MAX]; /* a slot is with the socket */
	struct stripe stripe; /* of what is sealed next */
	bool listening; /* @in is with the socket */
	struct wire_mark place; /* of the delta, where the next slot starts or before */
	uint64_t bytes_done;
	uint64_t bytes_sent; /* of data, as it travels, or of hashes */

	struct release release;
	struct tracker_release *tracker_release; /* its context; NULL: no tracker is told */
	struct incoming in;
	uint8_t in_head[WIRE_HEAD_MAX];
	uint8_t in_body[CBT_WIRE_TEXT_MAX];
	int in_event; /* of the session, 0: none since it was looked at */
};

static struct slot *slot_at(const struct sender *s, uint64_t number)
{
	return &s->slots[number % s->t->nr_slots];
}

/* Slots hashed and not yet sent: one for each connection, and one that is sealed while these are sent. */
static unsigned int sealed_ahead(const struct sender *s)
{
	return s->t->nr_connections + 1;
}

/* --- reading --- */

static void read_ahead(struct sender *s)
{
	size_t room = s->comparison ? CBT_WIRE_HASH_MAX : RECORD_BYTES;

	for (; s->next_read < s->next_sent + s->t->nr_slots && !cursor_at_end(&s->cursor);
	     s->next_read++) {
		struct slot *slot = slot_at(s, s->next_read);

		slot->bytes = cursor_take(&s->cursor, room, &slot->disk, slot->extents,
					  &slot->nr_extents);
		slot->nr_reading = slot->nr_extents;
		transfer_read(s->t, slot->disk, slot->extents, slot->nr_extents, slot->body,
			      slot->reads, slot);
	}
}

static int read_ended(struct sender *s, struct slot *slot, const struct ring_op *op,
		      struct failure *f)
{
	slot->nr_reading--;
	return transfer_read_ended(s->t, slot->disk, op, f);
}

/* --- sealing and sending --- */

static void add_record(struct sender *s, struct slot *slot, enum cbt_wire_type type,
		       const struct extent *extents, size_t nr_extents, size_t body_len,
		       uint8_t *head)
{
	struct wire_header h = {
		.type = (uint16_t)type,
		.disk = (uint16_t)slot->disk,
		.nr_extents = (uint16_t)nr_extents,
	};
	struct iovec *iov = slot->send.iov;
	const uint8_t *body = slot->body;

	if (!nr_extents)
		return;
	if (body_len)
		h.flags = packing_body(s->packing, &body, &body_len);
	h.body_len = (uint32_t)body_len;
	send_session_record(&s->session, &h, extents, body, head);
	iov[slot->send.nr_iov++] =
		(struct iovec){ head, WIRE_HEADER_BYTES + nr_extents * WIRE_EXTENT_BYTES };
	if (body_len)
		iov[slot->send.nr_iov++] = (struct iovec){ (void *)body, body_len };
	slot->bytes_sent += body_len;
	stripe_passed(&s->stripe, type);
}

/* Before the slot, when enough has passed since the last mark. */
static void add_mark(struct sender *s, struct slot *slot)
{
	const struct send_session *session = &s->session;

	if (!session->mark_interval ||
	    s->place.bytes - session->mark_sent.bytes < session->mark_interval)
		return;
	send_session_mark(&s->session, &s->place, slot->mark);
	slot->send.iov[slot->send.nr_iov++] = (struct iovec){ slot->mark, sizeof(slot->mark) };
}

static void pass(struct sender *s, const struct slot *slot)
{
	const struct extent *last = &slot->extents[slot->nr_extents - 1];

	s->place = (struct wire_mark){
		.disk = slot->disk,
		.offset = last->offset + last->length,
		.bytes = s->place.bytes + slot->bytes,
	};
}

/* All of it is one operation, on the connection whose turn it is. */
static void begin_sealing(struct sender *s, struct slot *slot)
{
	slot->connection = s->stripe.turn;
	slot->sent = false;
	slot->send = (struct ring_op){
		.kind = RING_SEND,
		.file = FILE_CONNECTION + slot->connection,
		.owner = slot,
	};
}

static void end_sealing(struct sender *s, struct slot *slot)
{
	slot->next_sequence = s->session.sequence_out;
	slot->next_turn = s->stripe.turn;
}

static void slot_seal(struct sender *s, struct slot *slot)
{
	struct extent data[CBT_WIRE_EXTENTS_MAX];
	struct extent zero[CBT_WIRE_EXTENTS_MAX];
	struct zero_split split = { .data = data, .zero = zero };

	zero_split(slot->extents, slot->nr_extents, slot->body, CBT_WIRE_EXTENTS_MAX, &split);
	begin_sealing(s, slot);
	slot->bytes_data = split.bytes_data;
	slot->bytes_sent = 0;
	add_mark(s, slot);
	add_record(s, slot, CBT_WIRE_ZERO, zero, split.nr_zero, 0, slot->zero_head);
	add_record(s, slot, CBT_WIRE_DATA, data, split.nr_data, split.bytes_data, slot->data_head);
	pass(s, slot);
	end_sealing(s, slot);
}

/* The same for a comparison: hashes go where the data would. */
static int slot_hash(struct sender *s, struct slot *slot, struct failure *f)
{
	struct wire_header h = {
		.type = CBT_WIRE_HASH,
		.disk = (uint16_t)slot->disk,
		.nr_extents = (uint16_t)slot->nr_extents,
	};
	size_t bytes = 0;
	int rc;

	rc = comparison_hash(s->comparison, slot->disk, slot->extents, slot->nr_extents, slot->body,
			     slot->macs, &bytes, f);
	if (rc)
		return rc;
	h.body_len = (uint32_t)bytes;
	send_session_hash(&s->session, &h, slot->extents, slot->macs, slot->data_head);
	begin_sealing(s, slot);
	slot->send.iov[0] = (struct iovec){
		slot->data_head, WIRE_HEADER_BYTES + slot->nr_extents * WIRE_EXTENT_BYTES
	};
	slot->send.iov[1] = (struct iovec){ slot->macs, bytes };
	slot->send.nr_iov = 2;
	slot->bytes_sent = bytes;
	end_sealing(s, slot);
	return 0;
}

/* Something is sealed, and its connection is free. */
static bool may_send(const struct sender *s)
{
	return s->next_send < s->next_seal && !s->busy[slot_at(s, s->next_send)->connection];
}

/* How long the limit holds the next slot back, rounded up; 0: not at all, or there is none. */
static int held_back_ms(const struct sender *s)
{
	if (!may_send(s))
		return 0;
	return (int)((rate_wait_ns(&s->rate, clock_ns()) + NS_PER_MS - 1) / NS_PER_MS);
}

/* What is said next comes behind all that was given to a socket; slots behind it may be sealed already. */
static void send_next(struct sender *s)
{
	while (may_send(s) && !held_back_ms(s)) {
		struct slot *slot = slot_at(s, s->next_send++);

		for (unsigned int i = 0; i < slot->send.nr_iov; i++)
			rate_spend(&s->rate, slot->send.iov[i].iov_len, clock_ns());
		s->busy[slot->connection] = true;
		s->nr_sending++;
		s->t->mid_record = true;
		s->t->sequence_out = slot->next_sequence;
		s->t->stripe.turn = slot->next_turn;
		ring_submit(s->t->ring, &slot->send);
	}
}

static int seal_ahead(struct sender *s, struct failure *f)
{
	while (s->next_seal < s->next_read && s->next_seal < s->next_sent + sealed_ahead(s) &&
	       !slot_at(s, s->next_seal)->nr_reading) {
		struct slot *slot = slot_at(s, s->next_seal);
		int rc = 0;

		if (s->comparison && !send_session_may_hash(&s->session))
			return 0;
		if (s->comparison)
			rc = slot_hash(s, slot, f);
		else
			slot_seal(s, slot);
		if (rc)
			return rc;
		s->next_seal++;
		send_next(s);
	}
	return 0;
}

static int send_ended(struct sender *s, struct slot *slot, const struct ring_op *op,
		      struct failure *f)
{
	s->nr_sending--;
	s->busy[slot->connection] = false;
	if (op->result)
		return failure_set(f, CODE_NOT_AVAILABLE, op->result,
				   "the receiver closed the connection: %s", strerror(-op->result));
	s->t->mid_record = s->nr_sending;
	s->bytes_done += slot->bytes;
	s->bytes_sent += slot->bytes_sent;
	slot->sent = true;
	while (s->next_sent < s->next_send && slot_at(s, s->next_sent)->sent)
		s->next_sent++;
	if (!s->comparison)
		packing_sent(s->packing, slot->bytes_data);
	report_progress(&s->t->report, s->comparison ? "comparing" : "progress", s->bytes_done,
			s->bytes_sent);
	return 0;
}

/* --- what the receiver says --- */

static void listen_on(struct sender *s)
{
	s->listening = true;
	incoming_start(&s->in, s->in_head, s->in_body, sizeof(s->in_body));
}

static int incoming_ended(struct sender *s, struct failure *f)
{
	int rc = incoming_step(&s->in, f);

	if (!rc)
		return 0;
	s->listening = false;
	if (rc < 0)
		return rc;
	rc = send_session_step(&s->session, &s->in.header, s->in_head, s->in_body, f);
	if (rc < 0)
		return rc;
	if (rc == SESSION_MARK)
		release_up_to(&s->release, s->t->plan, s->lists, &s->session.mark);
	if (rc == SESSION_DIFFER && comparison_differ(s->comparison, s->in_body, f))
		return -ENOMEM;
	s->in_event = rc;
	if (rc != SESSION_DURABLE)
		listen_on(s);
	return 0;
}

static int step(struct sender *s, int timeout_ms, const char *waiting_for, struct failure *f)
{
	int held_ms = held_back_ms(s);
	struct ring_op *op;
	int rc;

	rc = transfer_wait(s->t, held_ms ? min_of(held_ms, timeout_ms) : timeout_ms, waiting_for, &op, f);
	if (rc == -ETIMEDOUT && held_ms)
		return 0;
	if (rc)
		return rc;
	if (op == &s->in.op)
		return incoming_ended(s, f);
	if (op->kind == RING_SEND)
		return send_ended(s, op->owner, op, f);
	return read_ended(s, op->owner, op, f);
}

static int await(struct sender *s, enum session_event event, int timeout_ms,
		 const char *waiting_for, struct failure *f)
{
	int rc = 0;

	s->in_event = 0;
	while (!rc && s->in_event != (int)event)
		rc = step(s, timeout_ms, waiting_for, f);
	return rc;
}

/* --- the conversation --- */

/*
 * Go on where the receiver's mark is. It stands in this very delta, or the receiver has another
 * one: then there is as much of ours before the place as it says, or not.
 */
static int seek(struct sender *s, const struct wire_mark *mark, struct failure *f)
{
	uint64_t bytes = cursor_seek(&s->cursor, mark);

	if (bytes != mark->bytes)
		return failure_set(f, CODE_INVALID_STATE, -ESTALE,
				   "the receiver holds %llu bytes of this delta where it has %llu: "
				   "it cannot be gone on with",
				   (unsigned long long)mark->bytes, (unsigned long long)bytes);
	s->place = *mark;
	s->bytes_done = bytes;
	release_up_to(&s->release, s->t->plan, s->lists, mark);
	return 0;
}

static int stream(struct sender *s, struct failure *f)
{
	for (;;) {
		const char *waiting_for = "a read of the source";
		int rc;

		read_ahead(s);
		send_next(s);
		rc = seal_ahead(s, f);
		if (rc)
			return rc;
		if (s->next_sent == s->next_read &&
		    (!s->comparison || send_session_compared(&s->session)))
			return 0;
		if (s->nr_sending)
			waiting_for = "the receiver to take a record";
		else if (s->next_send == s->next_read || !slot_at(s, s->next_send)->nr_reading)
			waiting_for = "the receiver to compare";
		rc = step(s, s->t->idle_timeout_ms, waiting_for, f);
		if (rc)
			return rc;
	}
}

/* --- comparison --- */

/* What differs at the receiver becomes a part of the delta. */
static int take_differing(struct sender *s, struct failure *f)
{
	s->begin.bytes_total = 0;
	for (uint32_t i = 0; i < s->begin.nr_disks; i++) {
		int rc = comparison_add_differing(s->comparison, i, &s->lists[i], f);

		if (rc)
			return rc;
		s->begin.bytes_total += s->lists[i].total; /* a part of what was added up before */
	}
	comparison_close_at(&s->comparison);
	s->bytes_done = 0;
	s->bytes_sent = 0;
	return 0;
}

static int compare(struct sender *s, struct failure *f)
{
	struct wire_compare compare = {
		.only = s->t->plan->verify,
		.vm = s->begin.vm,
		.epoch = s->begin.epoch,
		.bytes_total = s->bytes_suspect,
	};
	uint8_t body[sizeof(struct cbt_wire_compare)];
	int rc;

	rc = mac_key_new(compare.key, f);
	if (!rc)
		rc = comparison_open(compare.key, &s->comparison, f);
	if (!rc)
		rc = transfer_say(s->t, CBT_WIRE_COMPARE, body,
				  send_session_compare(&s->session, &compare, body), f);
	if (rc)
		return rc;
	report_compare(&s->t->report, s->bytes_suspect);
	listen_on(s);
	s->cursor = (struct cursor){ .lists = s->suspects, .nr_disks = s->begin.nr_disks };
	rc = stream(s, f);
	report_compared(&s->t->report, s->bytes_done, s->bytes_sent);
	return rc ? rc : take_differing(s, f);
}

/* Nothing follows but what was found. */
static int verify(struct sender *s, struct failure *f)
{
	uint8_t body[sizeof(struct cbt_wire_end)];
	int rc;

	rc = transfer_say(s->t, CBT_WIRE_END, body, send_session_end(&s->session, body), f);
	if (!rc)
		rc = await(s, SESSION_DURABLE, s->t->idle_timeout_ms, "the receiver to agree", f);
	for (uint32_t i = 0; !rc && i < s->begin.nr_disks; i++)
		for (size_t k = 0; k < s->lists[i].nr; k++)
			report_differ(&s->t->report, s->begin.disks[i].name, &s->lists[i].extents[k]);
	return rc;
}

/* --- the delta --- */

static int send_delta(struct sender *s, struct failure *f)
{
	uint8_t body[WIRE_BEGIN_MAX];
	int rc;

	rc = transfer_say(s->t, CBT_WIRE_BEGIN, body, send_session_begin(&s->session, body), f);
	if (rc)
		return rc;
	report_begin(&s->t->report, s->begin.bytes_total);
	if (!s->listening)
		listen_on(s);
	s->cursor = (struct cursor){ .lists = s->lists, .nr_disks = s->begin.nr_disks };
	if (s->t->plan->compress)
		rc = packing_open(RECORD_BYTES, sealed_ahead(s), &s->packing, f);
	if (!rc)
		rc = await(s, SESSION_READY, s->t->idle_timeout_ms, "the receiver to be ready", f);
	if (!rc)
		rc = seek(s, &s->session.mark, f);
	if (!rc)
		rc = stream(s, f);
	if (!rc)
		rc = transfer_say(s->t, CBT_WIRE_END, body, send_session_end(&s->session, body),
				     f);
	if (!rc)
		rc = await(s, SESSION_DURABLE, FLUSH_TIMEOUT_MS, "the receiver to flush its disks",
			   f);
	return rc;
}

static int converse(struct sender *s, struct failure *f)
{
	int rc = 0;

	if (s->bytes_suspect || s->t->plan->verify)
		rc = compare(s, f);
	if (rc)
		return rc;
	return s->t->plan->verify ? verify(s, f) : send_delta(s, f);
}

/*
 * The delta failed. End the record that the socket is in the middle of, so that FAILED can follow
 * it; and where the connection broke, look whether the receiver's own sentence is still to be had.
 */
static int part(struct sender *s, int rc, struct failure *f)
{
	uint64_t deadline_ns = deadline_in_ms(FAREWELL_TIMEOUT_MS);

	while (rc != -EREMOTEIO && (rc == -ECONNRESET ? s->listening : s->nr_sending != 0)) {
		int left_ms = deadline_left_ms(deadline_ns);
		struct failure other;

		if (!left_ms)
			break;
		if (step(s, left_ms, "the peer", &other) == -EREMOTEIO) {
			*f = other;
			return -EREMOTEIO;
		}
	}
	return rc;
}

static int collect_extents(struct sender *s, struct failure *f)
{
	for (uint32_t i = 0; i < s->begin.nr_disks; i++) {
		int rc = source_extents(s->t->plan, i, &s->lists[i], &s->suspects[i], f);

		if (rc)
			return rc;
		s->bytes_suspect += s->suspects[i].total; /* less than what is added up below */
		if (__builtin_add_overflow(s->begin.bytes_total, s->lists[i].total,
					   &s->begin.bytes_total) ||
		    __builtin_add_overflow(s->begin.bytes_total, s->suspects[i].total,
					   &s->begin.bytes_total))
			return failure_set(f, CODE_INVALID_PARAMETER, -ERANGE,
					   "the disks are too large");
	}
	return 0;
}

/*
 * What was compared has to be read again when a broken transfer is gone on with: nothing of such a
 * delta is released before its end.
 */
static void release_setup(struct sender *s)
{
	if (s->bytes_suspect)
		return;
	s->tracker_release = tracker_release_open(s->t->plan);
	if (s->tracker_release)
		s->release = (struct release){ .fn = tracker_release, .context = s->tracker_release };
}

static void sender_free_at(struct sender **s)
{
	if (!*s)
		return;
	for (uint32_t i = 0; i < CBT_WIRE_DISKS_MAX; i++) {
		extent_list_free(&(*s)->lists[i]);
		extent_list_free(&(*s)->suspects[i]);
	}
	comparison_close_at(&(*s)->comparison);
	packing_close_at(&(*s)->packing);
	tracker_release_close_at(&(*s)->tracker_release);
	free((*s)->slots);
	free(*s);
}

static int send_run(struct transfer *t, struct failure *f)
{
	_cleanup_(sender_free_at) struct sender *s =
		aligned_alloc(64, round_up_to(sizeof(*s), (size_t)64));
	int rc;

	if (!s)
		return failure_no_memory(f);
	memset(s, 0, sizeof(*s));
	s->t = t;
	s->begin = t->plan->begin;
	s->stripe = t->stripe;
	s->slots = calloc(t->nr_slots, sizeof(*s->slots));
	if (!s->slots)
		return failure_no_memory(f);
	for (unsigned int i = 0; i < t->nr_slots; i++)
		s->slots[i].body = ring_buffer(t->ring, i);
	incoming_init(&s->in, t->ring, FILE_CONNECTION);
	rc = collect_extents(s, f);
	if (rc)
		return rc;

	release_setup(s);
	rate_init(&s->rate, t->plan->rate);
	send_session_init(&s->session, &s->begin);
	rc = converse(s, f);
	if (rc) {
		rc = part(s, rc, f);
		ring_drain(t->ring); /* before the slots go */
		return rc;
	}
	report_done(&t->report, &s->session.tally, ring_engine_name(t->ring),
		    transfer_is_direct(t));
	return 0;
}

int send_main(int argc, char **argv)
{
	return worker_main(argc, argv, "failback-send", PLAN_SEND, send_run);
}
