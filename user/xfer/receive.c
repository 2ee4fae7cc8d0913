// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The receiving worker, direct mode: what arrives is checked and then written in place.
 *
 * A slot is free, receiving a record, or being written; several are being written while one
 * receives. No byte comes twice in a delta, so writes need no order among each other. After END:
 * wait for all writes, flush every disk, say DURABLE.
 *
 * Zeroes go the cheapest way that the disk knows, found out by trying: deallocate, zero a range,
 * write. Discarded ranges go the same way; they then read as zeroes on this side, which is one of
 * the contents that they may have.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macro.h"
#include "lib/record_io.h"
#include "lib/session.h"
#include "xfer/incoming.h"
#include "xfer/transfer.h"
#include "xfer/worker.h"

/* One request to a device, so that a terminated transfer ends soon. */
#define FALLOCATE_MAX ((uint64_t)1 << 30)

enum zero_way { ZERO_PUNCH, ZERO_RANGE, ZERO_WRITE };

/* An extent being written. */
struct piece {
	struct ring_op op;
	uint64_t next; /* zeroes: where the request after this one starts */
	uint64_t end; /* 0: data */
};

struct slot {
	unsigned int disk;
	uint8_t *body;
	bool busy;
	unsigned int nr_writing; /* pieces */
	uint64_t bytes;
	uint8_t head[WIRE_HEAD_MAX];
	struct extent extents[CBT_WIRE_EXTENTS_MAX];
	struct piece pieces[CBT_WIRE_EXTENTS_MAX];
};

struct receiver {
	struct transfer *t;
	struct receive_session session;
	struct incoming in;
	struct slot *slots; /* NR_SLOTS */
	struct slot *receiving; /* NULL: all slots are being written, or END came */
	unsigned int nr_busy; /* slots */
	bool ended;
	uint64_t bytes_done;
	enum zero_way zero_ways[CBT_WIRE_DISKS_MAX];
	struct ring_op flushes[CBT_WIRE_DISKS_MAX];
	unsigned int nr_flushing;
};

static void receive_next(struct receiver *r)
{
	if (r->receiving || r->ended)
		return;
	for (unsigned int i = 0; i < NR_SLOTS; i++) {
		struct slot *slot = &r->slots[i];

		if (slot->busy)
			continue;
		r->receiving = slot;
		incoming_start(&r->in, slot->head, slot->body, RING_BUFFER_BYTES);
		return;
	}
}

/* --- writing --- */

static void slot_begin(struct receiver *r, struct slot *slot)
{
	slot->disk = r->in.header.disk;
	slot->busy = true;
	slot->nr_writing = r->in.header.nr_extents;
	slot->bytes = 0;
	r->nr_busy++;
}

static void piece_submit(struct receiver *r, struct slot *slot, struct piece *piece)
{
	piece->op.owner = slot;
	ring_submit(r->t->ring, &piece->op);
}

static void write_data(struct receiver *r, struct slot *slot)
{
	const struct disk *disk = &r->t->disks[slot->disk];
	uint8_t *at = slot->body;

	slot_begin(r, slot);
	for (unsigned int i = 0; i < slot->nr_writing; i++) {
		const struct extent *extent = &slot->extents[i];
		bool direct = disk_takes_direct(disk, extent->offset, extent->length, at);

		slot->pieces[i].end = 0;
		slot->pieces[i].op = (struct ring_op){
			.kind = RING_WRITE,
			.file = transfer_file(slot->disk, direct),
			.offset = extent->offset,
			.iov = { { at, extent->length } },
			.nr_iov = 1,
		};
		slot->bytes += extent->length;
		piece_submit(r, slot, &slot->pieces[i]);
		at += extent->length;
	}
}

/* The next request for the zeroes of @piece, from @piece->next on. */
static void piece_zero(struct receiver *r, struct slot *slot, struct piece *piece)
{
	static const int modes[] = {
		[ZERO_PUNCH] = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		[ZERO_RANGE] = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	};
	enum zero_way way = r->zero_ways[slot->disk];
	uint8_t *zeroes = ring_buffer(r->t->ring, NR_SLOTS);
	uint64_t offset = piece->next;
	uint64_t length = min_of(piece->end - offset, FALLOCATE_MAX);

	if (way == ZERO_WRITE) {
		bool direct;

		length = min_of(length, (uint64_t)RING_BUFFER_BYTES);
		direct = disk_takes_direct(&r->t->disks[slot->disk], offset, length, zeroes);
		piece->op = (struct ring_op){
			.kind = RING_WRITE,
			.file = transfer_file(slot->disk, direct),
			.offset = offset,
			.iov = { { zeroes, length } },
			.nr_iov = 1,
		};
	} else {
		piece->op = (struct ring_op){
			.kind = RING_FALLOCATE,
			.file = transfer_file(slot->disk, false),
			.mode = modes[way],
			.offset = offset,
			.length = length,
		};
	}
	piece->next = offset + length;
	piece_submit(r, slot, piece);
}

static void write_zeroes(struct receiver *r, struct slot *slot)
{
	slot_begin(r, slot);
	for (unsigned int i = 0; i < slot->nr_writing; i++) {
		struct piece *piece = &slot->pieces[i];

		piece->next = slot->extents[i].offset;
		piece->end = piece->next + slot->extents[i].length;
		slot->bytes += slot->extents[i].length;
		piece_zero(r, slot, piece);
	}
}

/*
 * The disk does not know the way that @piece went: it goes the next one, and so does what comes
 * after.
 */
static bool piece_retry(struct receiver *r, struct slot *slot, struct piece *piece)
{
	const struct ring_op *op = &piece->op;
	bool refused = op->result == -EOPNOTSUPP || op->result == -EINVAL || op->result == -ENOSYS;
	enum zero_way way = op->mode & FALLOC_FL_PUNCH_HOLE ? ZERO_PUNCH : ZERO_RANGE;

	if (op->kind != RING_FALLOCATE || !refused)
		return false;
	r->zero_ways[slot->disk] = max_of(r->zero_ways[slot->disk], way + 1);
	piece->next = op->offset;
	piece_zero(r, slot, piece);
	return true;
}

static int write_ended(struct receiver *r, struct slot *slot, struct ring_op *op, struct failure *f)
{
	struct piece *piece = container_of(op, struct piece, op);
	bool is_zeroes = piece->end != 0;

	if (op->result && is_zeroes && piece_retry(r, slot, piece))
		return 0;
	if (op->result)
		return failure_set(f, CODE_FAILED, -EIO, "cannot write disk %s at byte %llu: %s",
				   r->t->plan->begin.disks[slot->disk].name,
				   (unsigned long long)op->offset, strerror(-op->result));
	if (is_zeroes && piece->next < piece->end) {
		piece_zero(r, slot, piece);
		return 0;
	}
	if (--slot->nr_writing)
		return 0;

	slot->busy = false;
	r->nr_busy--;
	r->bytes_done += slot->bytes;
	report_progress(&r->t->report, r->bytes_done, r->session.tally.bytes_data);
	receive_next(r);
	return 0;
}

/* --- the conversation --- */

static int answer(struct receiver *r, enum cbt_wire_type type, const void *body, size_t len,
		  struct failure *f)
{
	uint64_t deadline_ns = deadline_in_ms((uint64_t)r->t->idle_timeout_ms);
	int rc;

	r->t->mid_record = true;
	rc = record_write(r->t->connection, type, r->t->sequence_out, body, len, deadline_ns, f);
	if (rc)
		return rc;
	r->t->mid_record = false;
	r->t->sequence_out++;
	return 0;
}

static int record_arrived(struct receiver *r, struct failure *f)
{
	struct slot *slot = r->receiving;
	int event;
	int rc = 0;

	event = receive_session_step(&r->session, &r->in.header, slot->head, slot->body,
				     slot->extents, f);
	if (event < 0)
		return event;
	r->receiving = NULL;
	switch (event) {
	case SESSION_BEGIN:
		report_begin(&r->t->report, r->session.bytes_total);
		rc = answer(r, CBT_WIRE_READY, NULL, 0, f);
		break;
	case SESSION_DATA:
		write_data(r, slot);
		break;
	case SESSION_ZERO:
	case SESSION_DISCARD:
		write_zeroes(r, slot);
		break;
	default:
		r->ended = true;
	}
	if (!rc)
		receive_next(r);
	return rc;
}

static int flush_ended(struct receiver *r, const struct ring_op *op, struct failure *f)
{
	if (op->result)
		return failure_set(f, CODE_FAILED, -EIO, "cannot flush disk %s: %s",
				   r->t->plan->begin.disks[op - r->flushes].name,
				   strerror(-op->result));
	r->nr_flushing--;
	return 0;
}

static int step(struct receiver *r, int timeout_ms, struct failure *f)
{
	const char *waiting_for = r->receiving ? "the sender's next record" : "the target's disks";
	struct ring_op *op;
	int rc;

	rc = transfer_wait(r->t, timeout_ms, waiting_for, &op, f);
	if (rc)
		return rc;
	if (op == &r->in.op) {
		rc = incoming_step(&r->in, f);
		return rc > 0 ? record_arrived(r, f) : rc;
	}
	if (op->kind == RING_FDATASYNC)
		return flush_ended(r, op, f);
	return write_ended(r, op->owner, op, f);
}

static void flush_all(struct receiver *r)
{
	r->nr_flushing = r->t->nr_open_disks;
	for (unsigned int i = 0; i < r->t->nr_open_disks; i++) {
		r->flushes[i] =
			(struct ring_op){ .kind = RING_FDATASYNC, .file = transfer_file(i, false) };
		ring_submit(r->t->ring, &r->flushes[i]);
	}
}

static int converse(struct receiver *r, struct failure *f)
{
	uint8_t body[sizeof(struct cbt_wire_durable)];
	struct wire_durable durable;
	int rc = 0;

	receive_next(r);
	while (!rc && !(r->ended && !r->nr_busy))
		rc = step(r, r->t->idle_timeout_ms, f);
	if (rc)
		return rc;
	flush_all(r);
	while (!rc && r->nr_flushing)
		rc = step(r, FLUSH_TIMEOUT_MS, f);
	if (rc)
		return rc;
	durable = receive_session_durable(&r->session);
	return answer(r, CBT_WIRE_DURABLE, body, wire_durable_encode(&durable, body), f);
}

static void receiver_free_at(struct receiver **r)
{
	if (!*r)
		return;
	free((*r)->slots);
	free(*r);
}

static int receive_run(struct transfer *t, struct failure *f)
{
	_cleanup_(receiver_free_at) struct receiver *r =
		aligned_alloc(64, round_up_to(sizeof(*r), (size_t)64));
	int rc;

	if (!r)
		return failure_set(f, CODE_OUT_OF_MEMORY, -ENOMEM, "out of memory");
	memset(r, 0, sizeof(*r));
	r->t = t;
	r->slots = calloc(NR_SLOTS, sizeof(*r->slots));
	if (!r->slots)
		return failure_set(f, CODE_OUT_OF_MEMORY, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < NR_SLOTS; i++)
		r->slots[i].body = ring_buffer(t->ring, i);
	incoming_init(&r->in, t->ring, FILE_CONNECTION);
	receive_session_init(&r->session, &t->plan->begin);
	rc = converse(r, f);
	if (rc) {
		ring_drain(t->ring); /* before the slots go */
		return rc;
	}
	report_done(&t->report, &r->session.tally, ring_engine_name(t->ring),
		    transfer_is_direct(t));
	return 0;
}

int receive_main(int argc, char **argv)
{
	return worker_main(argc, argv, "failback-receive", PLAN_RECEIVE, receive_run);
}
