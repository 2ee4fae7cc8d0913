// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Both sides share how a record comes in (check, sequence, FAILED) and the tally that END compares.
 * What is due is the state alone; a record of a type that is not due ends the session, whatever
 * else is right about it.
 */
#include "lib/session.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

static void tally_init(struct session_tally *tally)
{
	*tally = (struct session_tally){ 0 };
	wire_digest_init(&tally->digest);
}

static void tally_add(struct session_tally *tally, const struct wire_header *h, uint64_t bytes)
{
	tally->nr_records++;
	tally->bytes_sent += h->body_len;
	if (h->type == CBT_WIRE_DATA)
		tally->bytes_data += bytes;
	else if (h->type == CBT_WIRE_ZERO)
		tally->bytes_zero += bytes;
	else
		tally->bytes_discard += bytes;
	wire_digest_add(&tally->digest, h->check);
}

static struct wire_end tally_end(const struct session_tally *tally)
{
	return (struct wire_end){
		.nr_records = tally->nr_records,
		.bytes_data = tally->bytes_data,
		.bytes_zero = tally->bytes_zero,
		.bytes_discard = tally->bytes_discard,
		.digest = wire_digest_value(&tally->digest),
	};
}

/* --- what both sides do with a record that comes in --- */

static int refuse(const struct wire_header *h, enum wire_fault fault, struct failure *f)
{
	return failure_set(f, CODE_FAILED, -EPROTO, "record %llu of the peer (%s) %s",
			   (unsigned long long)h->sequence, wire_type_name(h->type),
			   wire_fault_text(fault));
}

static int refuse_type(const struct wire_header *h, const char *due, struct failure *f)
{
	return failure_set(f, CODE_FAILED, -EPROTO, "the peer sent %s where %s is due",
			   wire_type_name(h->type), due);
}

/* Whole, in order, and not FAILED. */
static int record_accept(const struct wire_header *h, const uint8_t *head, const uint8_t *body,
			 uint64_t due, struct failure *f)
{
	enum wire_fault fault;
	struct failure peer;

	if (!wire_check_matches(h, head, body))
		return failure_set(f, CODE_FAILED, -EPROTO, "record %llu of the peer (%s) %s",
				   (unsigned long long)due, wire_type_name(h->type),
				   wire_fault_text(WIRE_FAULT_CHECK));
	if (h->sequence != due)
		return failure_set(f, CODE_FAILED, -EPROTO,
				   "the peer sent record %llu where %llu is due",
				   (unsigned long long)h->sequence, (unsigned long long)due);
	if (h->type != CBT_WIRE_FAILED)
		return 0;
	fault = wire_failed_decode(body, h->body_len, &peer);
	if (fault)
		return refuse(h, fault, f);
	return failure_set(f, peer.code, -EREMOTEIO, "the peer: %s", peer.text);
}

static int session_end(enum session_state *state, int rc)
{
	if (rc < 0)
		*state = SESSION_OVER;
	return rc;
}

/* --- sender --- */

void send_session_init(struct send_session *s, const struct wire_begin *begin)
{
	*s = (struct send_session){ .state = SESSION_FRESH, .begin = begin };
	tally_init(&s->tally);
}

size_t send_session_compare(struct send_session *s, const struct wire_compare *compare,
			    uint8_t body[sizeof(struct cbt_wire_compare)])
{
	s->sequence_out++;
	s->state = SESSION_COMPARING;
	return wire_compare_encode(compare, body);
}

void send_session_hash(struct send_session *s, struct wire_header *h, const struct extent *extents,
		       const void *macs, uint8_t *head)
{
	h->sequence = s->sequence_out++;
	wire_seal(h, extents, macs, head);
	s->nr_pieces[s->nr_hashes++ % SESSION_HASHES_MAX] =
		(uint16_t)(h->body_len / CBT_WIRE_MAC_BYTES);
}

size_t send_session_begin(struct send_session *s, uint8_t body[WIRE_BEGIN_MAX])
{
	s->sequence_out++;
	s->state = SESSION_OFFERED;
	return wire_begin_encode(s->begin, body);
}

void send_session_record(struct send_session *s, struct wire_header *h,
			 const struct extent *extents, const void *body, uint8_t *head)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < h->nr_extents; i++)
		bytes += extents[i].length;
	h->sequence = s->sequence_out++;
	wire_seal(h, extents, body, head);
	tally_add(&s->tally, h, bytes);
}

void send_session_mark(struct send_session *s, const struct wire_mark *mark,
		       uint8_t record[SESSION_MARK_BYTES])
{
	uint8_t *body = record + WIRE_HEADER_BYTES;
	struct wire_header h = {
		.type = CBT_WIRE_MARK,
		.body_len = (uint32_t)wire_mark_encode(mark, body),
		.sequence = s->sequence_out++,
	};

	wire_seal(&h, NULL, body, record);
	s->mark_sent = *mark;
}

size_t send_session_end(struct send_session *s, uint8_t body[sizeof(struct cbt_wire_end)])
{
	struct wire_end end = tally_end(&s->tally);

	s->sequence_out++;
	s->state = SESSION_ENDED;
	return wire_end_encode(&end, body);
}

static int durable_step(struct send_session *s, const uint8_t *body, struct failure *f)
{
	struct wire_durable durable;

	wire_durable_decode(body, &durable);
	if (!uuid_equal(&durable.epoch, &s->begin->epoch) ||
	    durable.digest != wire_digest_value(&s->tally.digest))
		return failure_set(f, CODE_FAILED, -EPROTO,
				   "the peer acknowledged another delta than this one");
	s->state = SESSION_OVER;
	return SESSION_DURABLE;
}

static int ready_step(struct send_session *s, const struct wire_header *h, const uint8_t *body,
		      struct failure *f)
{
	struct wire_ready ready;
	enum wire_fault fault;

	if (h->type != CBT_WIRE_READY)
		return refuse_type(h, "READY", f);
	fault = wire_ready_decode(body, &ready);
	if (fault)
		return refuse(h, fault, f);
	s->mark_interval = ready.mark_interval;
	s->mark = ready.mark;
	s->mark_sent = ready.mark;
	s->state = SESSION_STREAMING;
	return SESSION_READY;
}

/* The bytes before a mark grow from mark to mark. */
static int mark_answered(struct send_session *s, const struct wire_header *h, const uint8_t *body,
			 struct failure *f)
{
	struct wire_mark mark;
	enum wire_fault fault = wire_mark_decode(body, &mark);

	if (fault)
		return refuse(h, fault, f);
	if (mark.bytes <= s->mark.bytes || mark.bytes > s->mark_sent.bytes)
		return failure_set(f, CODE_FAILED, -EPROTO,
				   "the peer answered a mark that it was not given");
	s->mark = mark;
	return SESSION_MARK;
}

/* A bit for each MAC of the oldest HASH without an answer, and none beyond. */
static int differ_step(struct send_session *s, const struct wire_header *h, const uint8_t *body,
		       struct failure *f)
{
	unsigned int nr = s->nr_pieces[s->nr_differ % SESSION_HASHES_MAX];

	if (send_session_compared(s))
		return refuse_type(h, "nothing", f);
	if (h->type != CBT_WIRE_DIFFER)
		return refuse_type(h, "DIFFER", f);
	if (h->body_len != (nr + 7) / 8 || (nr % 8 && body[nr / 8] >> nr % 8))
		return failure_set(f, CODE_FAILED, -EPROTO,
				   "the peer compared another number of pieces than it was given");
	s->nr_differ++;
	return SESSION_DIFFER;
}

static int send_step(struct send_session *s, const struct wire_header *h, const uint8_t *head,
		     const uint8_t *body, struct failure *f)
{
	int rc = record_accept(h, head, body, s->sequence_in, f);

	if (rc)
		return rc;
	s->sequence_in++;
	switch (s->state) {
	case SESSION_COMPARING:
		return differ_step(s, h, body, f);
	case SESSION_OFFERED:
		return ready_step(s, h, body, f);
	case SESSION_STREAMING:
		if (h->type != CBT_WIRE_MARK)
			return refuse_type(h, "MARK", f);
		return mark_answered(s, h, body, f);
	case SESSION_ENDED:
		if (h->type == CBT_WIRE_MARK)
			return mark_answered(s, h, body, f);
		if (h->type != CBT_WIRE_DURABLE)
			return refuse_type(h, "DURABLE", f);
		return durable_step(s, body, f);
	default:
		return refuse_type(h, "nothing", f);
	}
}

int send_session_step(struct send_session *s, const struct wire_header *h, const uint8_t *head,
		      const uint8_t *body, struct failure *f)
{
	return session_end(&s->state, send_step(s, h, head, body, f));
}

/* --- receiver --- */

void receive_session_init(struct receive_session *s, const struct wire_begin *plan,
			  bool only_compares)
{
	*s = (struct receive_session){
		.state = SESSION_FRESH,
		.plan = plan,
		.only_compares = only_compares,
	};
	tally_init(&s->tally);
}

static int compare_uuid(const char *what, const struct uuid *theirs, const struct uuid *ours,
			struct failure *f)
{
	char their_text[UUID_TEXT_LEN + 1];
	char our_text[UUID_TEXT_LEN + 1];

	if (uuid_equal(theirs, ours))
		return 0;
	return failure_set(f, CODE_INVALID_STATE, -ESTALE,
			   "the sender's %s is %s, the receiver expects %s", what,
			   uuid_is_nil(theirs) ? "none" : uuid_format(theirs, their_text),
			   uuid_is_nil(ours) ? "none" : uuid_format(ours, our_text));
}

static int compare_disks(const struct wire_begin *theirs, const struct wire_begin *ours,
			 struct failure *f)
{
	if (theirs->nr_disks != ours->nr_disks)
		return failure_set(f, CODE_INVALID_STATE, -ESTALE,
				   "the sender has %u disks, the receiver expects %u",
				   theirs->nr_disks, ours->nr_disks);
	for (uint32_t i = 0; i < ours->nr_disks; i++) {
		const struct wire_disk *their = &theirs->disks[i];
		const struct wire_disk *our = &ours->disks[i];
		char name[sizeof(their->name)];

		text_make_printable(their->name, strlen(their->name), name, sizeof(name));
		if (strcmp(their->name, our->name) != 0)
			return failure_set(f, CODE_INVALID_STATE, -ESTALE,
					   "disk %u of the sender is %s, the receiver expects %s",
					   i, name, our->name);
		if (their->size_bytes != our->size_bytes)
			return failure_set(
				f, CODE_INVALID_STATE, -ESTALE,
				"the sender's disk %s has %llu bytes, the receiver expects %llu",
				our->name, (unsigned long long)their->size_bytes,
				(unsigned long long)our->size_bytes);
	}
	return 0;
}

/* What this side holds is the delta's base, or an epoch that the sender took for lost. */
static int compare_base(const struct wire_begin *theirs, const struct uuid *ours, struct failure *f)
{
	for (uint32_t i = 0; i < theirs->nr_aborted; i++)
		if (uuid_equal(&theirs->aborted[i], ours))
			return 0;
	return compare_uuid("base", &theirs->base, ours, f);
}

/* The plan's disks cannot be more bytes than they have. */
static int check_total(const struct receive_session *s, uint64_t bytes_total, struct failure *f)
{
	uint64_t room = 0;

	for (uint32_t i = 0; i < s->plan->nr_disks; i++)
		if (__builtin_add_overflow(room, s->plan->disks[i].size_bytes, &room))
			room = UINT64_MAX;
	if (bytes_total <= room)
		return 0;
	return failure_set(f, CODE_FAILED, -EPROTO,
			   "the sender announced more bytes than its disks have");
}

static int compare_step(struct receive_session *s, const struct wire_header *h, const uint8_t *body,
			struct failure *f)
{
	struct wire_compare theirs = { 0 };
	enum wire_fault fault = wire_compare_decode(body, &theirs);
	int rc;

	if (fault)
		return refuse(h, fault, f);
	rc = compare_uuid("virtual machine", &theirs.vm, &s->plan->vm, f);
	if (!rc)
		rc = compare_uuid("epoch", &theirs.epoch, &s->plan->epoch, f);
	if (!rc)
		rc = check_total(s, theirs.bytes_total, f);
	if (rc)
		return rc;
	if (theirs.only != s->only_compares)
		return failure_set(f, CODE_INVALID_STATE, -ESTALE,
				   "the sender wants to %s, the receiver expects to %s",
				   theirs.only ? "verify" : "send", theirs.only ? "be sent to" : "be verified");
	s->compare = theirs;
	s->state = SESSION_COMPARING;
	return SESSION_COMPARE;
}

static int begin_step(struct receive_session *s, const struct wire_header *h, const uint8_t *body,
		      struct failure *f)
{
	const struct wire_begin *ours = s->plan;
	struct wire_begin theirs = { 0 };
	enum wire_fault fault;
	int rc;

	if (s->only_compares)
		return refuse_type(h, s->state == SESSION_FRESH ? "COMPARE" : "HASH or END", f);
	if (s->nr_hashes != s->nr_differ)
		return failure_set(f, CODE_FAILED, -EPROTO,
				   "the sender begins before its hashes are answered");
	fault = wire_begin_decode(body, h->body_len, &theirs);
	if (fault)
		return refuse(h, fault, f);
	rc = compare_uuid("virtual machine", &theirs.vm, &ours->vm, f);
	if (!rc)
		rc = compare_uuid("epoch", &theirs.epoch, &ours->epoch, f);
	if (!rc)
		rc = compare_base(&theirs, &ours->base, f);
	if (!rc)
		rc = compare_disks(&theirs, ours, f);
	if (!rc)
		rc = check_total(s, theirs.bytes_total, f);
	if (rc)
		return rc;
	s->begin = theirs;
	s->bytes_total = theirs.bytes_total;
	s->state = SESSION_OFFERED;
	return SESSION_BEGIN;
}

size_t receive_session_ready(struct receive_session *s, const struct wire_ready *ready,
			     uint8_t body[sizeof(struct cbt_wire_ready)])
{
	s->bytes_held = ready->mark.bytes;
	s->wants_marks = ready->mark_interval != 0;
	s->mark = ready->mark;
	s->state = SESSION_STREAMING;
	return wire_ready_encode(ready, body);
}

static uint64_t bytes_so_far(const struct receive_session *s)
{
	return s->bytes_held + session_tally_bytes(&s->tally);
}

static int mark_step(struct receive_session *s, const struct wire_header *h, const uint8_t *body,
		     struct failure *f)
{
	struct wire_mark mark;
	enum wire_fault fault = wire_mark_decode(body, &mark);

	if (fault)
		return refuse(h, fault, f);
	if (!s->wants_marks)
		return refuse_type(h, "DATA, ZERO, DISCARD or END", f);
	if (mark.bytes != bytes_so_far(s) || mark.bytes <= s->mark.bytes ||
	    mark.disk >= s->plan->nr_disks ||
	    mark.offset > s->plan->disks[mark.disk].size_bytes)
		return failure_set(f, CODE_FAILED, -EPROTO,
				   "the sender marks a place that its records have not reached");
	s->mark = mark;
	return SESSION_MARK;
}

/* The extents of a record, on a disk of the plan and within it. */
static int take_extents(const struct receive_session *s, const struct wire_header *h,
			const uint8_t *head, struct extent *extents, uint64_t *ret_sum,
			struct failure *f)
{
	const struct extent *last = &extents[h->nr_extents - 1];
	enum wire_fault fault;

	if (h->disk >= s->plan->nr_disks)
		return refuse(h, WIRE_FAULT_DISK, f);
	fault = wire_extents_decode(h, head, extents, ret_sum);
	if (fault)
		return refuse(h, fault, f);
	if (last->offset + last->length > s->plan->disks[h->disk].size_bytes)
		return failure_set(f, CODE_FAILED, -EPROTO,
				   "record %llu of the peer (%s) reaches beyond disk %s",
				   (unsigned long long)h->sequence, wire_type_name(h->type),
				   s->plan->disks[h->disk].name);
	return 0;
}

static int hash_step(struct receive_session *s, const struct wire_header *h, const uint8_t *head,
		     struct extent *extents, struct failure *f)
{
	const struct extent *last = &extents[h->nr_extents - 1];
	uint64_t sum;
	int rc = take_extents(s, h, head, extents, &sum, f);

	if (rc)
		return rc;
	if (h->disk < s->hash_disk || (h->disk == s->hash_disk && extents[0].offset < s->hash_end))
		return failure_set(f, CODE_FAILED, -EPROTO,
				   "the sender hashes a place twice, or out of order");
	if (sum > s->compare.bytes_total - s->bytes_compared)
		return failure_set(f, CODE_FAILED, -EPROTO,
				   "the sender hashes more bytes than it announced");
	if (s->nr_hashes - s->nr_differ == SESSION_HASHES_MAX)
		return failure_set(f, CODE_FAILED, -EPROTO,
				   "the sender does not wait for its hashes to be answered");
	s->hash_disk = h->disk;
	s->hash_end = last->offset + last->length;
	s->bytes_compared += sum;
	s->nr_hashes++;
	return SESSION_HASH;
}

static int extents_step(struct receive_session *s, const struct wire_header *h, const uint8_t *head,
			struct extent *extents, struct failure *f)
{
	uint64_t sum;
	int rc = take_extents(s, h, head, extents, &sum, f);

	if (rc)
		return rc;
	if (sum > s->bytes_total - bytes_so_far(s))
		return failure_set(f, CODE_FAILED, -EPROTO,
				   "the sender sent more bytes than it announced");
	tally_add(&s->tally, h, sum);
	if (h->type == CBT_WIRE_DATA)
		return SESSION_DATA;
	return h->type == CBT_WIRE_ZERO ? SESSION_ZERO : SESSION_DISCARD;
}

static int end_step(struct receive_session *s, const uint8_t *body, struct failure *f)
{
	struct wire_end ours = tally_end(&s->tally);
	struct wire_end theirs;

	wire_end_decode(body, &theirs);
	if (theirs.nr_records != ours.nr_records || theirs.bytes_data != ours.bytes_data ||
	    theirs.bytes_zero != ours.bytes_zero || theirs.bytes_discard != ours.bytes_discard)
		return failure_set(
			f, CODE_FAILED, -EPROTO,
			"the sender counts %llu records where %llu arrived, or other bytes in them",
			(unsigned long long)theirs.nr_records, (unsigned long long)ours.nr_records);
	if (theirs.digest != ours.digest)
		return failure_set(
			f, CODE_FAILED, -EPROTO,
			"the digest of the delta is not that of the records that arrived");
	if (bytes_so_far(s) != s->bytes_total)
		return failure_set(f, CODE_FAILED, -EPROTO,
				   "the sender sent fewer bytes than it announced");
	s->state = SESSION_ENDED;
	return SESSION_END;
}

static int comparing_step(struct receive_session *s, const struct wire_header *h,
			  const uint8_t *head, const uint8_t *body, struct extent *extents,
			  struct failure *f)
{
	if (h->type == CBT_WIRE_HASH)
		return hash_step(s, h, head, extents, f);
	if (h->type == CBT_WIRE_BEGIN)
		return begin_step(s, h, body, f);
	if (h->type == CBT_WIRE_END && s->only_compares && s->nr_hashes == s->nr_differ)
		return end_step(s, body, f);
	return refuse_type(h, s->only_compares ? "HASH or END" : "HASH or BEGIN", f);
}

static int receive_step(struct receive_session *s, const struct wire_header *h, const uint8_t *head,
			const uint8_t *body, struct extent *extents, struct failure *f)
{
	int rc = record_accept(h, head, body, s->sequence_in, f);

	if (rc)
		return rc;
	s->sequence_in++;
	if (s->state == SESSION_FRESH && h->type == CBT_WIRE_COMPARE)
		return compare_step(s, h, body, f);
	if (s->state == SESSION_FRESH && h->type != CBT_WIRE_BEGIN)
		return refuse_type(h, "COMPARE or BEGIN", f);
	if (s->state == SESSION_FRESH)
		return begin_step(s, h, body, f);
	if (s->state == SESSION_COMPARING)
		return comparing_step(s, h, head, body, extents, f);
	if (s->state != SESSION_STREAMING)
		return refuse_type(h, "nothing", f);
	switch (h->type) {
	case CBT_WIRE_DATA:
	case CBT_WIRE_ZERO:
	case CBT_WIRE_DISCARD:
		return extents_step(s, h, head, extents, f);
	case CBT_WIRE_MARK:
		return mark_step(s, h, body, f);
	case CBT_WIRE_END:
		return end_step(s, body, f);
	default:
		return refuse_type(h, "DATA, ZERO, DISCARD, MARK or END", f);
	}
}

int receive_session_step(struct receive_session *s, const struct wire_header *h,
			 const uint8_t *head, const uint8_t *body, struct extent *extents,
			 struct failure *f)
{
	return session_end(&s->state, receive_step(s, h, head, body, extents, f));
}

struct wire_durable receive_session_durable(const struct receive_session *s)
{
	return (struct wire_durable){
		.epoch = s->plan->epoch,
		.digest = wire_digest_value(&s->tally.digest),
	};
}
