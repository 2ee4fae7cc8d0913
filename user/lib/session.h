/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two sides of one delta, as drawn in uapi/cbt-wire.h. PURE: the caller does all reading and
 * writing.
 *
 * The caller reads a header, decodes it (wire_header_decode(); how much follows is known and
 * bounded then), reads the rest and gives the whole record to step(). A positive event says what
 * the record is and that it is right: in order, undamaged, at its place in the conversation, inside
 * the disk. What is wrong is a negative errno with a sentence:
 *
 *	-EPROTO		the record is damaged or must not come here
 *	-EREMOTEIO	the peer sent FAILED: code and sentence are the peer's
 *	-ESTALE		the peer's delta is not the one in the plan
 *
 * After a negative return the session is over; every further step returns -EPROTO. Sessions own no
 * memory.
 */
#ifndef FAILBACK_LIB_SESSION_H
#define FAILBACK_LIB_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "lib/extent.h"
#include "lib/wire.h"

/** struct session_tally - what has passed so far. */
struct session_tally {
	uint64_t nr_records; /* DATA, ZERO and DISCARD */
	uint64_t bytes_data;
	uint64_t bytes_zero;
	uint64_t bytes_discard;
	uint64_t bytes_sent; /* of bodies; less than @bytes_data when some are packed */
	struct wire_digest digest;
};

/** session_tally_bytes - bytes of disk that have passed. */
static inline uint64_t session_tally_bytes(const struct session_tally *tally)
{
	return tally->bytes_data + tally->bytes_zero + tally->bytes_discard;
}

enum session_state {
	SESSION_FRESH, /* COMPARE or BEGIN is due */
	SESSION_COMPARING, /* HASH and DIFFER; then BEGIN is due, or END */
	SESSION_OFFERED, /* sender only: READY is due */
	SESSION_STREAMING,
	SESSION_ENDED, /* DURABLE is due */
	SESSION_OVER,
};

enum session_event {
	SESSION_BEGIN = 1, /* receiver: answer READY, with receive_session_ready() */
	SESSION_READY, /* sender: stream from @mark on, or refuse it */
	SESSION_DATA, /* receiver: write the extents */
	SESSION_ZERO,
	SESSION_DISCARD,
	SESSION_END, /* receiver: wait for all writes, flush, answer DURABLE */
	SESSION_DURABLE, /* sender: the delta is acknowledged */
	SESSION_MARK, /* receiver: answer it once what came before is durable; sender: it is */
	SESSION_COMPARE, /* receiver: HASHes come, made with @compare.key */
	SESSION_HASH, /* receiver: compare the extents, answer DIFFER */
	SESSION_DIFFER, /* sender: the answer to the oldest HASH that had none */
};

/* HASHes that may be without an answer at a time: enough for a disk of 1 GB/s at the other end of 100 ms. */
#define SESSION_HASHES_MAX 128U

#define SESSION_MARK_BYTES (WIRE_HEADER_BYTES + sizeof(struct cbt_wire_mark))

/* --- sender --- */

struct send_session {
	enum session_state state;
	const struct wire_begin *begin;
	uint64_t sequence_out; /* of the next record to be sent */
	uint64_t sequence_in;
	uint64_t mark_interval; /* from SESSION_READY on; 0: the receiver wants no marks */
	struct wire_mark mark; /* READY's, then the last one that the receiver answered */
	struct wire_mark mark_sent;
	struct session_tally tally;
	uint64_t nr_hashes; /* sent */
	uint64_t nr_differ; /* answered */
	uint16_t nr_pieces[SESSION_HASHES_MAX]; /* of those between, by number */
};

/** send_session_init - @begin stays the caller's and must outlive the session. */
void send_session_init(struct send_session *s, const struct wire_begin *begin);

/*
 * These make the next record of the conversation. BEGIN and END: the body, whose length is
 * returned, to be sealed by record_write() with the sequence number that @s->sequence_out held
 * before; COMPARE likewise. DATA, ZERO and DISCARD: the head, sealed, for @h with type, disk,
 * nr_extents and body_len; HASH likewise. MARK: the whole record, sealed.
 *
 * After COMPARE: no HASH while send_session_may_hash() says no; BEGIN, or END of a comparison that
 * is all there is, once send_session_compared() says so.
 */
size_t send_session_compare(struct send_session *s, const struct wire_compare *compare,
			    uint8_t body[sizeof(struct cbt_wire_compare)]);
void send_session_hash(struct send_session *s, struct wire_header *h, const struct extent *extents,
		       const void *macs, uint8_t *head);
size_t send_session_begin(struct send_session *s, uint8_t body[WIRE_BEGIN_MAX]);
void send_session_record(struct send_session *s, struct wire_header *h,
			 const struct extent *extents, const void *body, uint8_t *head);
void send_session_mark(struct send_session *s, const struct wire_mark *mark,
		       uint8_t record[SESSION_MARK_BYTES]);
size_t send_session_end(struct send_session *s, uint8_t body[sizeof(struct cbt_wire_end)]);

static inline bool send_session_may_hash(const struct send_session *s)
{
	return s->nr_hashes - s->nr_differ < SESSION_HASHES_MAX;
}

static inline bool send_session_compared(const struct send_session *s)
{
	return s->nr_hashes == s->nr_differ;
}

/** send_session_step - a record of the receiver. */
int send_session_step(struct send_session *s, const struct wire_header *h, const uint8_t *head,
		      const uint8_t *body, struct failure *f);

/* --- receiver --- */

struct receive_session {
	enum session_state state;
	const struct wire_begin *plan;
	bool only_compares;
	struct wire_compare compare; /* the sender's, from SESSION_COMPARE on */
	uint64_t bytes_compared; /* of HASHes that came */
	uint64_t nr_hashes; /* that came */
	uint64_t nr_differ; /* that were answered */
	uint32_t hash_disk; /* where the last one ended */
	uint64_t hash_end;
	struct wire_begin begin; /* the sender's, from SESSION_BEGIN on */
	uint64_t bytes_total; /* as the sender announced */
	uint64_t bytes_held; /* before the place from which the sender goes on */
	uint64_t sequence_in;
	bool wants_marks;
	struct wire_mark mark; /* the last one */
	struct session_tally tally;
};

/**
 * receive_session_init - @plan is what this side expects; its bytes_total is not looked at. It
 * stays the caller's.
 * @only_compares: nothing but a comparison is expected, and no delta after it
 */
void receive_session_init(struct receive_session *s, const struct wire_begin *plan,
			  bool only_compares);

/**
 * receive_session_step - a record of the sender.
 * @body: of packed DATA as it came: whether it can be unpacked is the caller's to find out
 * @extents: room for CBT_WIRE_EXTENTS_MAX; filled for DATA, ZERO, DISCARD and HASH
 */
int receive_session_step(struct receive_session *s, const struct wire_header *h,
			 const uint8_t *head, const uint8_t *body, struct extent *extents,
			 struct failure *f);

/**
 * receive_session_ready - the body of READY, after SESSION_BEGIN.
 * @ready: the mark is one that the sender of the same delta sent before, or all 0
 */
size_t receive_session_ready(struct receive_session *s, const struct wire_ready *ready,
			     uint8_t body[sizeof(struct cbt_wire_ready)]);

/** receive_session_differ - the oldest HASH without an answer is being answered. */
static inline void receive_session_differ(struct receive_session *s)
{
	s->nr_differ++;
}

/** receive_session_durable - the body of DURABLE, valid after SESSION_END. */
struct wire_durable receive_session_durable(const struct receive_session *s);

#endif
