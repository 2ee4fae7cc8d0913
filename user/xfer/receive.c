// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The receiving worker.
 *
 * A slot is free, receiving a record, or being written; several are being written while one
 * receives. No byte comes twice in a delta, so writes need no order among each other.
 *
 * With several connections (a *lane* each) one slot receives on each of them, since a connection whose buffers
 * nobody empties stops; what has arrived is taken in its turn (lib/stripe.h), and so is the end of a
 * connection: what comes before it may be the peer's own word about it. A lane has at most one slot and there
 * are more slots than lanes: the one whose turn it is gets its slot in the end. Until READY nothing comes but
 * over the first, and after END nothing at all: then no other lane receives, and what waits for a disk in a loop of
 * its own (xfer/apply.h, writer_flush()) meets no operations but its own.
 *
 * Direct mode writes what arrives, checked, in place. After END: wait for all writes, flush every
 * disk, say DURABLE.
 *
 * Journal mode writes records to the journal (lib/journal.h). At a MARK, once all entries before it
 * are written: flush, write the header that counts them, flush, answer the mark; records behind it
 * go on being written meanwhile. After END the same with the state COMPLETE, and DURABLE for an
 * answer; only then the disks are touched. A connection that breaks leaves a journal that the next
 * one goes on with, from the last mark.
 *
 * A comparison before the delta uses the same slots: a HASH is looked up on the disks, and answered
 * in its turn.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "lib/covered.h"
#include "lib/pack.h"
#include "lib/session.h"
#include "xfer/apply.h"
#include "xfer/hash_target.h"
#include "xfer/incoming.h"
#include "xfer/journal_file.h"
#include "xfer/transfer.h"
#include "xfer/worker.h"
#include "xfer/writer.h"

struct slot {
	bool receiving; /* it is a lane's */
	bool busy;
	uint8_t *first; /* JOURNAL_HEAD_MAX; the record's head stands at JOURNAL_ENTRY_BYTES */
	uint8_t *body;
	struct extent extents[CBT_WIRE_EXTENTS_MAX];
	uint64_t bytes;
	struct write_job job; /* direct mode */
	struct ring_op entry_op; /* journal mode */
	uint64_t entry; /* its number */
};

/* What the journal's header will say. */
struct milestone {
	uint64_t nr_entries;
	uint64_t end;
	struct wire_mark mark;
};

struct lane {
	struct incoming in;
	uint8_t *packed; /* CBT_WIRE_BODY_MAX */
	struct slot *slot; /* that it receives into; NULL: all slots are being written, or END came */
	int arrived; /* 1: a record, which waits for its turn; negative: it broke, as @why says; 0: not yet */
	struct failure why;
};

struct receiver {
	struct transfer *t;
	struct receive_session session;
	struct lane lanes[CBT_WIRE_CONNECTIONS_MAX];
	struct stripe stripe; /* whose turn it is */
	unsigned int nr_receiving; /* lanes, from that on */
	struct unpack *unpack;
	struct writer writer;
	struct hash_target *hash_target; /* NULL: nothing was compared */
	struct slot *slots;
	unsigned int nr_busy; /* slots */
	bool ended;
	uint64_t bytes_done;
	uint64_t bytes_hashes;

	/* journal mode */
	bool goes_on; /* with what another process wrote: */
	uint64_t nr_entries_before;
	uint64_t end_before;
	uint64_t nr_entries; /* begun */
	uint64_t end;
	bool has_wanted;
	struct milestone wanted; /* the newest mark that is not being made durable */
	bool flushing;
	struct milestone flushed; /* the one that is */
	bool completing; /* the flush is that of the whole delta */
	struct ring_op flush_op;
};

static struct slot *free_slot(const struct receiver *r)
{
	for (unsigned int i = 0; i < r->t->nr_slots; i++)
		if (!r->slots[i].busy && !r->slots[i].receiving)
			return &r->slots[i];
	return NULL;
}

/* Every lane that has none gets a slot, as long as there are any; the one whose turn it is, first. */
static void receive_next(struct receiver *r)
{
	for (unsigned int i = 0; !r->ended && i < r->nr_receiving; i++) {
		struct lane *lane = &r->lanes[(r->stripe.turn + i) % r->stripe.nr];
		struct slot *slot = lane->slot ? NULL : free_slot(r);

		if (!slot)
			continue;
		lane->slot = slot;
		slot->receiving = true;
		incoming_start(&lane->in, slot->first + JOURNAL_ENTRY_BYTES, slot->body,
			       RING_BUFFER_BYTES);
	}
}

static void slot_done(struct receiver *r, struct slot *slot)
{
	slot->busy = false;
	r->nr_busy--;
	r->bytes_done += slot->bytes;
	report_progress(&r->t->report, "progress", r->bytes_done, r->session.tally.bytes_sent);
	receive_next(r);
}

/* --- comparison --- */

/*
 * A delta that is complete and not yet on the disks comes first: it may be the very one that is
 * offered, and then nothing differs any more.
 */
static int compare_arrived(struct receiver *r, struct failure *f)
{
	const struct wire_compare *compare = &r->session.compare;
	int rc = 0;

	if (r->t->journal && r->t->journal->header.state == JOURNAL_COMPLETE)
		rc = journal_apply(r->t, true, f);
	if (!rc)
		rc = hash_target_open(r->t, compare->key, &r->hash_target, f);
	if (!rc)
		report_compare(&r->t->report, compare->bytes_total);
	return rc;
}

static int hash_ended(struct receiver *r, const struct ring_op *op, struct failure *f)
{
	uint8_t differ[CBT_WIRE_MACS_MAX / 8];
	unsigned int slot;
	size_t bytes;
	int rc = hash_target_ended(r->hash_target, op, f);

	while (!rc && (rc = hash_target_answer(r->hash_target, differ, &bytes, &slot, f)) > 0) {
		receive_session_differ(&r->session);
		rc = transfer_say(r->t, CBT_WIRE_DIFFER, differ, bytes, f);
		r->slots[slot].busy = false;
		r->nr_busy--;
		r->bytes_done += r->slots[slot].bytes;
	}
	if (rc)
		return rc;
	report_progress(&r->t->report, "comparing", r->bytes_done, 0);
	receive_next(r);
	return 0;
}

static void hash_arrived(struct receiver *r, const struct wire_header *h, struct slot *slot)
{
	slot->busy = true;
	slot->bytes = 0;
	for (unsigned int i = 0; i < h->nr_extents; i++)
		slot->bytes += slot->extents[i].length;
	r->nr_busy++;
	r->bytes_hashes += h->body_len;
	/* What is found to be equal already was written with a delta that broke. */
	covered_add(r->t->covered, h->disk, slot->extents, h->nr_extents);
	hash_target_start(r->hash_target, (unsigned int)(slot - r->slots), h, slot->extents,
			  slot->body);
}

/* --- journal mode --- */

static int entry_write(struct receiver *r, const struct wire_header *record, struct slot *slot,
		       struct failure *f)
{
	const struct journal_header *h = &r->t->journal->header;
	struct journal_entry entry;

	slot->entry = r->nr_entries;
	entry = journal_entry_seal(record, h->salt, slot->entry, slot->first);
	if (entry.head_bytes + (uint64_t)entry.body_bytes > r->t->journal->size - r->end)
		return failure_set(f, CODE_FAILED, -ENOSPC,
				   "the journal is full: the sender cuts its records smaller than "
				   "there is room for");
	memset(slot->body + record->body_len, 0, entry.body_bytes - record->body_len);
	slot->entry_op = (struct ring_op){
		.kind = RING_WRITE,
		.file = FILE_JOURNAL,
		.offset = r->end,
		.iov = { { slot->first, entry.head_bytes }, { slot->body, entry.body_bytes } },
		.nr_iov = entry.body_bytes ? 2 : 1,
		.owner = slot,
	};
	r->nr_entries++;
	r->end += entry.head_bytes + entry.body_bytes;
	ring_submit(r->t->ring, &slot->entry_op);
	return 0;
}

static struct milestone milestone_here(const struct receiver *r, struct wire_mark mark)
{
	return (struct milestone){ .nr_entries = r->nr_entries, .end = r->end, .mark = mark };
}

static bool all_written(const struct receiver *r, uint64_t nr_entries)
{
	for (unsigned int i = 0; i < r->t->nr_slots; i++)
		if (r->slots[i].busy && r->slots[i].entry < nr_entries)
			return false;
	return true;
}

/* ORDER: entries written, flushed, then the header that counts them. */
static void flush_when_written(struct receiver *r)
{
	if (!r->has_wanted || r->flushing || !all_written(r, r->wanted.nr_entries))
		return;
	r->flushed = r->wanted;
	r->has_wanted = false;
	r->flushing = true;
	r->flush_op = (struct ring_op){ .kind = RING_FDATASYNC, .file = FILE_JOURNAL };
	ring_submit(r->t->ring, &r->flush_op);
}

static int milestone_commit(struct receiver *r, const struct milestone *m, enum journal_state state,
			    struct failure *f)
{
	struct journal_header next = r->t->journal->header;

	next.sequence++;
	next.state = state;
	next.nr_entries = m->nr_entries;
	next.end = m->end;
	next.mark = m->mark;
	return journal_file_commit(r->t->journal, &next, f);
}

static int flush_ended(struct receiver *r, struct failure *f)
{
	enum journal_state state = r->completing ? JOURNAL_COMPLETE : JOURNAL_FILLING;
	uint8_t body[sizeof(struct cbt_wire_mark)];
	int rc;

	r->flushing = false;
	if (r->flush_op.result)
		return journal_file_failed(r->flush_op.result, "flush", f);
	rc = milestone_commit(r, &r->flushed, state, f);
	if (rc || state == JOURNAL_COMPLETE)
		return rc;
	rc = transfer_say(r->t, CBT_WIRE_MARK, body, wire_mark_encode(&r->flushed.mark, body), f);
	flush_when_written(r);
	return rc;
}

/* What the journal, or the disks, have of the delta that is offered: all, the start, or nothing. */
static int journal_offer(struct receiver *r, struct wire_mark *ret, struct failure *f)
{
	struct journal_file *j = r->t->journal;
	int rc = 0;

	/* The same epoch's, of which the sender has compared more, or less, than now. */
	if (j->header.state == JOURNAL_COMPLETE && !journal_continues(&j->header, &r->session.begin))
		rc = journal_apply(r->t, true, f);
	if (rc)
		return rc;
	/* EMPTY and this delta: it was applied, and the acknowledgement was lost */
	r->goes_on = journal_continues(&j->header, &r->session.begin);
	rc = r->goes_on ? journal_file_check_size(j, f) : journal_file_begin(j, &r->session.begin, f);
	if (rc)
		return rc;
	r->nr_entries = r->nr_entries_before = j->header.nr_entries;
	r->end = r->end_before = j->header.end;
	*ret = j->header.mark;
	return 0;
}

/* All that the delta has is in the journal: make that durable, and say so. */
static struct wire_mark mark_of_all(const struct receiver *r)
{
	const struct wire_begin *begin = &r->session.begin;

	return (struct wire_mark){
		.disk = begin->nr_disks - 1,
		.offset = begin->disks[begin->nr_disks - 1].size_bytes,
		.bytes = begin->bytes_total,
	};
}

/* --- the conversation --- */

static int begin_arrived(struct receiver *r, struct failure *f)
{
	uint8_t body[sizeof(struct cbt_wire_ready)];
	struct wire_ready ready = { 0 };
	int rc = 0;

	if (r->t->journal) {
		ready.mark_interval = r->t->plan->journal.mark_interval;
		rc = journal_offer(r, &ready.mark, f);
	}
	if (rc)
		return rc;
	report_compared(&r->t->report, r->session.bytes_compared, r->bytes_hashes);
	report_begin(&r->t->report, r->session.bytes_total);
	r->bytes_done = ready.mark.bytes;
	r->nr_receiving = r->stripe.nr;
	return transfer_say(r->t, CBT_WIRE_READY, body,
			       receive_session_ready(&r->session, &ready, body), f);
}

/* From here on it is as if it had come so. */
static int unpack_body(struct receiver *r, struct lane *lane, struct slot *slot, uint64_t bytes,
		       struct failure *f)
{
	struct wire_header *h = &lane->in.header;

	if (!unpack_data(r->unpack, lane->packed, h->body_len, slot->body, bytes))
		return failure_set(f, CODE_FAILED, -EPROTO, "record %llu of the peer (%s) %s",
				   (unsigned long long)h->sequence, wire_type_name(h->type),
				   wire_fault_text(WIRE_FAULT_PACKED));
	h->flags = 0;
	h->body_len = (uint32_t)bytes;
	if (r->t->journal)
		wire_seal(h, slot->extents, slot->body, lane->in.head);
	return 0;
}

static int extents_arrived(struct receiver *r, struct lane *lane, struct slot *slot, uint64_t bytes,
			   struct failure *f)
{
	const struct wire_header *h = &lane->in.header;
	int rc = h->flags & CBT_WIRE_PACKED ? unpack_body(r, lane, slot, bytes, f) : 0;

	if (rc)
		return rc;
	slot->busy = true;
	slot->bytes = bytes;
	r->nr_busy++;
	if (r->t->journal)
		return entry_write(r, h, slot, f);
	writer_start(&r->writer, &slot->job, h, slot->extents, slot->body);
	return 0;
}

static int record_arrived(struct receiver *r, struct lane *lane, struct failure *f)
{
	struct slot *slot = lane->slot;
	uint64_t before = session_tally_bytes(&r->session.tally);
	int event;
	int rc = 0;

	event = receive_session_step(&r->session, &lane->in.header, lane->in.head, lane->in.body,
				     slot->extents, f);
	if (event < 0)
		return event;
	stripe_passed(&r->stripe, lane->in.header.type);
	lane->slot = NULL;
	slot->receiving = false;
	switch (event) {
	case SESSION_COMPARE:
		rc = compare_arrived(r, f);
		break;
	case SESSION_HASH:
		hash_arrived(r, &lane->in.header, slot);
		break;
	case SESSION_BEGIN:
		rc = begin_arrived(r, f);
		break;
	case SESSION_DATA:
	case SESSION_ZERO:
	case SESSION_DISCARD:
		rc = extents_arrived(r, lane, slot, session_tally_bytes(&r->session.tally) - before, f);
		break;
	case SESSION_MARK:
		r->wanted = milestone_here(r, r->session.mark);
		r->has_wanted = true;
		flush_when_written(r);
		break;
	default:
		r->ended = true;
	}
	if (!rc)
		receive_next(r);
	return rc;
}

static int lane_ended(struct receiver *r, struct lane *lane, struct failure *f)
{
	int rc = 0;

	lane->arrived = incoming_step(&lane->in, &lane->why);
	for (lane = &r->lanes[r->stripe.turn]; !rc && !r->ended && lane->arrived;
	     lane = &r->lanes[r->stripe.turn]) {
		if (lane->arrived < 0) {
			*f = lane->why;
			return lane->arrived;
		}
		lane->arrived = 0;
		rc = record_arrived(r, lane, f);
	}
	return rc;
}

static int write_ended(struct receiver *r, struct ring_op *op, struct failure *f)
{
	int rc;

	if (!r->t->journal) {
		struct write_job *job = op->owner;

		rc = writer_ended(&r->writer, op, f);
		if (rc > 0)
			slot_done(r, container_of(job, struct slot, job));
		return min_of(rc, 0);
	}
	if (op->result)
		return journal_file_failed(op->result, "write", f);
	slot_done(r, op->owner);
	flush_when_written(r);
	return 0;
}

static int step(struct receiver *r, int timeout_ms, struct failure *f)
{
	const char *waiting_for = r->lanes[r->stripe.turn].slot ? "the sender's next record" :
				  r->t->journal			? "the journal" :
								  "the target's disks";
	struct ring_op *op;
	int rc;

	rc = transfer_wait(r->t, timeout_ms, waiting_for, &op, f);
	if (rc)
		return rc;
	if (op->kind == RING_RECV)
		return lane_ended(r, container_of(op, struct lane, in.op), f);
	if (op == &r->flush_op)
		return flush_ended(r, f);
	if (op->kind == RING_READ)
		return hash_ended(r, op, f);
	return write_ended(r, op, f);
}

/* CRASH: before it is said to be durable. What is damaged is forgotten, unless a disk may have a part of it. */
static int verify_what_was_there(struct receiver *r, struct failure *f)
{
	struct failure ignored;
	int rc = journal_verify(r->t, r->nr_entries_before, r->end_before, f);

	if (rc == -EBADMSG && r->t->journal->header.state == JOURNAL_FILLING)
		(void)journal_file_begin(r->t->journal, &r->session.begin, &ignored);
	return rc;
}

static int complete_journal(struct receiver *r, struct failure *f)
{
	int rc = r->goes_on ? verify_what_was_there(r, f) : 0;

	if (rc)
		return rc;

	if (r->t->journal->header.state != JOURNAL_FILLING)
		return 0; /* the acknowledgement was lost the last time */
	r->wanted = milestone_here(r, mark_of_all(r));
	r->has_wanted = true;
	r->completing = true;
	flush_when_written(r);
	while (!rc && r->flushing)
		rc = step(r, FLUSH_TIMEOUT_MS, f);
	return rc;
}

static int converse(struct receiver *r, struct failure *f)
{
	uint8_t body[sizeof(struct cbt_wire_durable)];
	bool writes = !r->t->plan->verify;
	struct wire_durable durable;
	int rc = 0;

	receive_next(r);
	while (!rc && (!r->ended || r->nr_busy || r->flushing))
		rc = step(r, r->flushing ? FLUSH_TIMEOUT_MS : r->t->idle_timeout_ms, f);
	if (!rc && r->stripe.nr > 1)
		transfer_quiet(r->t); /* on the other lanes, what will not come is waited for */
	/* CRASH: what was found to be equal, a delta that broke may just have written in place: no journal has it. */
	if (!rc && writes && (!r->t->journal || r->hash_target))
		rc = writer_flush(&r->writer, f);
	if (!rc && writes && r->t->journal)
		rc = complete_journal(r, f);
	if (rc)
		return rc;
	durable = receive_session_durable(&r->session);
	return transfer_say(r->t, CBT_WIRE_DURABLE, body, wire_durable_encode(&durable, body), f);
}

/* --- the worker --- */

static void receiver_free_at(struct receiver **r)
{
	if (!*r)
		return;
	for (unsigned int i = 0; (*r)->slots && i < (*r)->t->nr_slots; i++)
		free((*r)->slots[i].first);
	for (unsigned int i = 0; i < CBT_WIRE_CONNECTIONS_MAX; i++)
		free((*r)->lanes[i].packed);
	free((*r)->slots);
	unpack_close_at(&(*r)->unpack);
	hash_target_close_at(&(*r)->hash_target);
	free(*r);
}

static int slots_init(struct receiver *r, struct failure *f)
{
	r->slots = calloc(r->t->nr_slots, sizeof(*r->slots));
	if (!r->slots)
		return failure_no_memory(f);
	for (unsigned int i = 0; i < r->t->nr_slots; i++) {
		r->slots[i].body = ring_buffer(r->t->ring, i);
		r->slots[i].first = aligned_alloc(JOURNAL_ALIGN, JOURNAL_HEAD_MAX);
		if (!r->slots[i].first)
			return failure_no_memory(f);
	}
	return 0;
}

static int lanes_init(struct receiver *r, struct failure *f)
{
	r->stripe = r->t->stripe;
	r->nr_receiving = 1;
	for (unsigned int i = 0; i < r->stripe.nr; i++) {
		struct lane *lane = &r->lanes[i];

		incoming_init(&lane->in, r->t->ring, FILE_CONNECTION + i);
		lane->packed = malloc(CBT_WIRE_BODY_MAX);
		if (!lane->packed)
			return failure_no_memory(f);
		lane->in.packed = lane->packed;
	}
	return unpack_open(&r->unpack, f);
}

static int receive_delta(struct transfer *t, struct failure *f)
{
	_cleanup_(receiver_free_at) struct receiver *r =
		aligned_alloc(64, round_up_to(sizeof(*r), (size_t)64));
	int rc;

	if (!r)
		return failure_no_memory(f);
	memset(r, 0, sizeof(*r));
	r->t = t;
	r->writer.t = t;
	rc = slots_init(r, f);
	if (!rc)
		rc = lanes_init(r, f);
	if (rc)
		return rc;
	receive_session_init(&r->session, &t->plan->begin, t->plan->verify);
	rc = converse(r, f);
	if (rc) {
		ring_drain(t->ring); /* before the slots go */
		return rc;
	}
	if (t->journal)
		report_durable(&t->report);
	report_compared(&t->report, r->session.bytes_compared, r->bytes_hashes);
	if (t->journal && t->journal->header.state == JOURNAL_COMPLETE)
		rc = journal_apply(t, false, f);
	if (!rc)
		report_done(&t->report, &r->session.tally, ring_engine_name(t->ring),
			    transfer_is_direct(t));
	return rc;
}

/* What the disks hold, as far as the journal knows: its last delta's epoch once that is applied. */
static const struct uuid *epoch_held(const struct journal_header *h)
{
	return h->state == JOURNAL_EMPTY ? &h->begin.epoch : &h->begin.base;
}

/*
 * A complete delta that a crash kept from being applied comes before what the plan wants, unless it
 * is what the plan wants: then the sender does not know yet that it arrived.
 *
 * A plan made without knowing that the journal's delta took the disks from the plan's base to the
 * next epoch is corrected: the journal knows what the disks hold.
 */
static int settle_journal(struct transfer *t, bool applies_only, struct failure *f)
{
	const struct journal_header *h = &t->journal->header;
	bool wanted = !applies_only && uuid_equal(&h->begin.epoch, &t->plan->begin.epoch);
	int rc = 0;

	if (h->state == JOURNAL_COMPLETE && !wanted)
		rc = journal_apply(t, true, f);
	if (!rc && !wanted && h->state == JOURNAL_EMPTY && h->begin.nr_disks &&
	    uuid_equal(&h->begin.vm, &t->plan->begin.vm) &&
	    uuid_equal(&h->begin.base, &t->plan->begin.base))
		t->plan->begin.base = h->begin.epoch;
	return rc;
}

static int receive_run(struct transfer *t, struct failure *f)
{
	bool applies_only = !t->nr_connections;
	int rc = t->journal ? settle_journal(t, applies_only, f) : 0;

	if (rc)
		return rc;
	if (!applies_only)
		return receive_delta(t, f);
	report_applied(&t->report, epoch_held(&t->journal->header));
	return 0;
}

int receive_main(int argc, char **argv)
{
	return worker_main(argc, argv, "failback-receive", PLAN_RECEIVE, receive_run);
}
