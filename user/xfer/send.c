// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The sending worker.
 *
 * A *slot* is a buffer on its way: free, being read, read, sealed, being sent, free. Slots are used
 * in turn, so that records leave in the order of the disk although reads end in any order:
 *
 *	next_send <= next_seal <= next_read <= next_send + NR_SLOTS
 *
 * They are counted on for ever, modulo NR_SLOTS.
 *
 * A slot takes extents of one disk until its buffer or its list is full: one record then carries a
 * full record however small the extents are. Sealing (zeroes out, hash) is the work of this thread;
 * while it seals one slot, the kernel reads those behind and the socket drains the one before.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macro.h"
#include "lib/session.h"
#include "lib/zero.h"
#include "xfer/incoming.h"
#include "xfer/release.h"
#include "xfer/source.h"
#include "xfer/transfer.h"
#include "xfer/worker.h"

/*
 * Half of what a record may hold: what is read, hashed and sent one after the other then stays in a
 * processor's cache.
 */
#define RECORD_BYTES (512U << 10)
#define SEALED_AHEAD 2U /* slots hashed and not yet sent */
#define CUT_ALIGN \
	4096U /* where an extent is cut in two, to keep its second half fit for direct I/O */
#define FAREWELL_TIMEOUT_MS 1000

struct slot {
	unsigned int disk;
	uint8_t *body;
	unsigned int nr_extents;
	unsigned int nr_reading;
	size_t bytes;
	size_t bytes_data; /* what is left of it without zeroes */
	uint64_t next_sequence; /* of the record that follows the slot's */
	struct extent extents[CBT_WIRE_EXTENTS_MAX];
	struct ring_op reads[CBT_WIRE_EXTENTS_MAX];
	uint8_t data_head[WIRE_HEAD_MAX];
	uint8_t zero_head[WIRE_HEAD_MAX];
	uint8_t mark[SESSION_MARK_BYTES];
	struct ring_op send;
};

/* Where the next read starts. */
struct cursor {
	unsigned int disk;
	size_t extent;
	uint64_t done; /* bytes of that extent */
};

struct sender {
	struct transfer *t;
	struct wire_begin begin;
	struct send_session session;
	struct extent_list lists[CBT_WIRE_DISKS_MAX];
	struct cursor cursor;

	struct slot *slots; /* NR_SLOTS */
	uint64_t next_read;
	uint64_t next_seal;
	uint64_t next_send;
	bool sending; /* slot next_send is with the socket */
	bool listening; /* @in is with the socket */
	uint64_t bytes_sealed; /* of the delta, up to where the next slot starts */
	uint64_t bytes_done;
	uint64_t bytes_sent;

	struct release release;
	struct incoming in;
	uint8_t in_head[WIRE_HEAD_MAX];
	uint8_t in_body[CBT_WIRE_TEXT_MAX];
	int in_event; /* of the session, 0: none since it was looked at */
};

static struct slot *slot_at(const struct sender *s, uint64_t number)
{
	return &s->slots[number % NR_SLOTS];
}

/* --- reading --- */

static bool all_read(const struct sender *s)
{
	return s->cursor.disk == s->begin.nr_disks;
}

static void cursor_settle(struct sender *s)
{
	while (!all_read(s) && s->cursor.extent == s->lists[s->cursor.disk].nr) {
		s->cursor.disk++;
		s->cursor.extent = 0;
	}
}

/*
 * How much of @left bytes at @offset to take into @room: all, or up to a cut that leaves the rest
 * aligned; maybe nothing.
 */
static uint64_t piece_length(uint64_t offset, uint64_t left, uint64_t room)
{
	uint64_t end;

	if (left <= room)
		return left;
	end = round_down_to(offset + room, (uint64_t)CUT_ALIGN);
	return end > offset ? end - offset : 0;
}

/* Move the next piece of disk from the cursor to the slot. False: the slot is full. */
static bool slot_take(struct sender *s, struct slot *slot)
{
	const struct extent *extent = &s->lists[s->cursor.disk].extents[s->cursor.extent];
	uint64_t offset = extent->offset + s->cursor.done;
	uint64_t left = extent->length - s->cursor.done;
	uint64_t length = piece_length(offset, left, RECORD_BYTES - slot->bytes);

	if (!length || slot->nr_extents == CBT_WIRE_EXTENTS_MAX)
		return false;
	slot->extents[slot->nr_extents++] = (struct extent){ offset, length };
	slot->bytes += length;
	s->cursor.done += length;
	if (s->cursor.done == extent->length) {
		s->cursor.done = 0;
		s->cursor.extent++;
	}
	return true;
}

static void slot_read(struct sender *s, struct slot *slot)
{
	const struct disk *disk = &s->t->disks[slot->disk];
	uint8_t *at = slot->body;

	slot->nr_reading = slot->nr_extents;
	for (unsigned int i = 0; i < slot->nr_extents; i++) {
		const struct extent *extent = &slot->extents[i];
		bool direct = disk_takes_direct(disk, extent->offset, extent->length, at);

		slot->reads[i] = (struct ring_op){
			.kind = RING_READ,
			.file = transfer_file(slot->disk, direct),
			.offset = extent->offset,
			.iov = { { at, extent->length } },
			.nr_iov = 1,
			.owner = slot,
		};
		ring_submit(s->t->ring, &slot->reads[i]);
		at += extent->length;
	}
}

static void read_ahead(struct sender *s)
{
	for (; s->next_read < s->next_send + NR_SLOTS && !all_read(s); s->next_read++) {
		struct slot *slot = slot_at(s, s->next_read);
		const struct extent_list *list = &s->lists[s->cursor.disk];

		slot->disk = s->cursor.disk;
		slot->nr_extents = 0;
		slot->bytes = 0;
		while (s->cursor.extent < list->nr && slot_take(s, slot))
			;
		slot_read(s, slot);
		cursor_settle(s);
	}
}

static int read_ended(struct sender *s, struct slot *slot, const struct ring_op *op,
		      struct failure *f)
{
	if (op->result)
		return failure_set(f, CODE_FAILED, -EIO, "cannot read disk %s at byte %llu: %s",
				   s->begin.disks[slot->disk].name, (unsigned long long)op->offset,
				   op->result == -ENODATA ? "the disk ends there"
							  : strerror(-op->result));
	slot->nr_reading--;
	return 0;
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
		.body_len = (uint32_t)body_len,
	};
	struct iovec *iov = slot->send.iov;

	if (!nr_extents)
		return;
	send_session_record(&s->session, &h, extents, slot->body, head);
	iov[slot->send.nr_iov++] =
		(struct iovec){ head, WIRE_HEADER_BYTES + nr_extents * WIRE_EXTENT_BYTES };
	if (body_len)
		iov[slot->send.nr_iov++] = (struct iovec){ slot->body, body_len };
}

/* Behind the slot, when enough has passed since the last mark. */
static void add_mark(struct sender *s, struct slot *slot)
{
	const struct extent *last = &slot->extents[slot->nr_extents - 1];
	const struct send_session *session = &s->session;
	struct wire_mark mark = { .disk = slot->disk, .offset = last->offset + last->length };

	s->bytes_sealed += slot->bytes;
	mark.bytes = s->bytes_sealed;
	if (!session->mark_interval ||
	    mark.bytes - session->mark_sent.bytes < session->mark_interval)
		return;
	send_session_mark(&s->session, &mark, slot->mark);
	slot->send.iov[slot->send.nr_iov++] = (struct iovec){ slot->mark, sizeof(slot->mark) };
}

static void slot_seal(struct sender *s, struct slot *slot)
{
	struct extent data[CBT_WIRE_EXTENTS_MAX];
	struct extent zero[CBT_WIRE_EXTENTS_MAX];
	struct zero_split split = { .data = data, .zero = zero };

	zero_split(slot->extents, slot->nr_extents, slot->body, CBT_WIRE_EXTENTS_MAX, &split);
	slot->send = (struct ring_op){ .kind = RING_SEND, .file = FILE_CONNECTION, .owner = slot };
	add_record(s, slot, CBT_WIRE_ZERO, zero, split.nr_zero, 0, slot->zero_head);
	add_record(s, slot, CBT_WIRE_DATA, data, split.nr_data, split.bytes_data, slot->data_head);
	add_mark(s, slot);
	slot->bytes_data = split.bytes_data;
	slot->next_sequence = s->session.sequence_out;
}

static void send_next(struct sender *s)
{
	struct slot *slot = slot_at(s, s->next_send);

	if (s->sending || s->next_send == s->next_seal)
		return;
	s->sending = true;
	s->t->mid_record = true;
	ring_submit(s->t->ring, &slot->send);
}

static void seal_ahead(struct sender *s)
{
	while (s->next_seal < s->next_read && s->next_seal < s->next_send + SEALED_AHEAD &&
	       !slot_at(s, s->next_seal)->nr_reading) {
		slot_seal(s, slot_at(s, s->next_seal++));
		send_next(s);
	}
}

static int send_ended(struct sender *s, struct slot *slot, const struct ring_op *op,
		      struct failure *f)
{
	s->sending = false;
	if (op->result)
		return failure_set(f, CODE_NOT_AVAILABLE, op->result,
				   "the receiver closed the connection: %s", strerror(-op->result));
	s->t->mid_record = false;
	s->t->sequence_out = slot->next_sequence; /* slots behind it may be sealed already */
	s->bytes_done += slot->bytes;
	s->bytes_sent += slot->bytes_data;
	s->next_send++;
	report_progress(&s->t->report, s->bytes_done, s->bytes_sent);
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
	s->in_event = rc;
	if (rc != SESSION_DURABLE)
		listen_on(s);
	return 0;
}

static int step(struct sender *s, int timeout_ms, const char *waiting_for, struct failure *f)
{
	struct ring_op *op;
	int rc;

	rc = transfer_wait(s->t, timeout_ms, waiting_for, &op, f);
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
	const struct extent_list *list = &s->lists[mark->disk];
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < mark->disk && i < s->begin.nr_disks; i++)
		bytes += s->lists[i].total;
	s->cursor = (struct cursor){ .disk = min_of(mark->disk, s->begin.nr_disks) };
	for (; !all_read(s) && s->cursor.extent < list->nr; s->cursor.extent++) {
		const struct extent *extent = &list->extents[s->cursor.extent];

		if (extent->offset >= mark->offset)
			break;
		s->cursor.done = min_of(extent->length, mark->offset - extent->offset);
		bytes += s->cursor.done;
		if (s->cursor.done < extent->length)
			break;
		s->cursor.done = 0;
	}
	if (bytes != mark->bytes)
		return failure_set(f, CODE_INVALID_STATE, -ESTALE,
				   "the receiver holds %llu bytes of this delta where it has %llu: "
				   "it cannot be gone on with",
				   (unsigned long long)mark->bytes, (unsigned long long)bytes);
	s->bytes_sealed = bytes;
	s->bytes_done = bytes;
	release_up_to(&s->release, s->t->plan, s->lists, mark);
	return 0;
}

static int stream(struct sender *s, struct failure *f)
{
	cursor_settle(s);
	for (;;) {
		const char *waiting_for;
		int rc;

		read_ahead(s);
		send_next(s);
		seal_ahead(s);
		if (s->next_send == s->next_read)
			return 0;
		waiting_for = s->sending ? "the receiver to take a record" : "a read of the source";
		rc = step(s, s->t->idle_timeout_ms, waiting_for, f);
		if (rc)
			return rc;
	}
}

static int converse(struct sender *s, struct failure *f)
{
	uint8_t body[WIRE_BEGIN_MAX];
	int rc;

	rc = transfer_say(s->t, CBT_WIRE_BEGIN, body, send_session_begin(&s->session, body), f);
	if (rc)
		return rc;
	report_begin(&s->t->report, s->begin.bytes_total);
	listen_on(s);
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

/*
 * The delta failed. End the record that the socket is in the middle of, so that FAILED can follow
 * it; and where the connection broke, look whether the receiver's own sentence is still to be had.
 */
static int part(struct sender *s, int rc, struct failure *f)
{
	uint64_t deadline_ns = deadline_in_ms(FAREWELL_TIMEOUT_MS);

	while (rc != -EREMOTEIO && (rc == -ECONNRESET ? s->listening : s->sending)) {
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
		int rc = source_extents(s->t->plan, i, &s->lists[i], f);

		if (rc)
			return rc;
		if (__builtin_add_overflow(s->begin.bytes_total, s->lists[i].total,
					   &s->begin.bytes_total))
			return failure_set(f, CODE_INVALID_PARAMETER, -ERANGE,
					   "the disks are too large");
	}
	return 0;
}

static void sender_free_at(struct sender **s)
{
	if (!*s)
		return;
	for (uint32_t i = 0; i < CBT_WIRE_DISKS_MAX; i++)
		extent_list_free(&(*s)->lists[i]);
	free((*s)->slots);
	free(*s);
}

static int send_run(struct transfer *t, struct failure *f)
{
	_cleanup_(sender_free_at) struct sender *s =
		aligned_alloc(64, round_up_to(sizeof(*s), (size_t)64));
	int rc;

	if (!s)
		return failure_set(f, CODE_OUT_OF_MEMORY, -ENOMEM, "out of memory");
	memset(s, 0, sizeof(*s));
	s->t = t;
	s->begin = t->plan->begin;
	s->slots = calloc(NR_SLOTS, sizeof(*s->slots));
	if (!s->slots)
		return failure_set(f, CODE_OUT_OF_MEMORY, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < NR_SLOTS; i++)
		s->slots[i].body = ring_buffer(t->ring, i);
	incoming_init(&s->in, t->ring, FILE_CONNECTION);
	rc = collect_extents(s, f);
	if (rc)
		return rc;

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
