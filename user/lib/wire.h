/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records of uapi/cbt-wire.h: encode, decode, check. PURE: no I/O, no allocation, no globals; the
 * only file that knows xxhash.
 *
 * Reading a record takes three steps, and none may be left out:
 *
 *	wire_header_decode()	on its first WIRE_HEADER_BYTES: after this, and only after it, the
 *				lengths in it are bounded
 *	wire_check_matches()	on the whole of it, before any of it is used
 *	wire_extents_decode(), wire_begin_decode(), ...
 *
 * A *head* is a header with its extents behind it, as on the wire. What is wrong with a record is a
 * positive enum wire_fault; outputs are untouched then.
 */
#ifndef FAILBACK_LIB_WIRE_H
#define FAILBACK_LIB_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cbt-wire.h>

#include "base/failure.h"
#include "base/uuid.h"
#include "lib/extent.h"

#define WIRE_HEADER_BYTES sizeof(struct cbt_wire_header)
#define WIRE_EXTENT_BYTES sizeof(struct cbt_wire_extent)
#define WIRE_HEAD_MAX	  (WIRE_HEADER_BYTES + CBT_WIRE_EXTENTS_MAX * WIRE_EXTENT_BYTES)
#define WIRE_BEGIN_MAX \
	(sizeof(struct cbt_wire_begin) + CBT_WIRE_DISKS_MAX * sizeof(struct cbt_wire_disk) + \
	 CBT_WIRE_ABORTED_MAX * UUID_BYTES)
#define WIRE_NAME_MAX (sizeof(((struct cbt_wire_disk *)0)->name) - 1)

enum wire_fault {
	WIRE_SOUND = 0,
	WIRE_FAULT_MAGIC,
	WIRE_FAULT_TYPE,
	WIRE_FAULT_FLAGS,
	WIRE_FAULT_DISK,
	WIRE_FAULT_NR_EXTENTS,
	WIRE_FAULT_BODY_LEN,
	WIRE_FAULT_CHECK,
	WIRE_FAULT_EXTENT_ALIGN,
	WIRE_FAULT_EXTENT_EMPTY,
	WIRE_FAULT_EXTENT_RANGE,
	WIRE_FAULT_EXTENT_ORDER,
	WIRE_FAULT_EXTENT_SUM,
	WIRE_FAULT_VERSION,
	WIRE_FAULT_NR_DISKS,
	WIRE_FAULT_DISK_NAME,
	WIRE_FAULT_DISK_SIZE,
	WIRE_FAULT_CODE,
	WIRE_FAULT_NR_ABORTED,
	WIRE_FAULT_RESERVED,
	WIRE_FAULT_MARK,
	WIRE_FAULT_COMPARE,
	WIRE_FAULT_PACKED,
	NR_WIRE_FAULTS,
};

/** wire_fault_text - "has a wrong check" and so on: goes on after "record N of the peer ". */
const char *wire_fault_text(enum wire_fault fault);

/** wire_type_name - "DATA" and so on, "?" for a number that is no type. */
const char *wire_type_name(unsigned int type);

struct wire_header {
	uint16_t type; /* enum cbt_wire_type */
	uint16_t flags; /* CBT_WIRE_PACKED, or 0 */
	uint16_t disk;
	uint16_t nr_extents;
	uint32_t body_len; /* bytes */
	uint64_t sequence;
	uint64_t check;
};

struct wire_disk {
	uint64_t size_bytes;
	char name[WIRE_NAME_MAX + 1];
};

struct wire_begin {
	struct uuid vm;
	struct uuid epoch;
	struct uuid base; /* nil: none */
	uint64_t bytes_total;
	uint32_t nr_disks;
	struct wire_disk disks[CBT_WIRE_DISKS_MAX];
	uint32_t nr_aborted;
	struct uuid aborted[CBT_WIRE_ABORTED_MAX];
};

struct wire_compare {
	bool only; /* nothing will be sent */
	struct uuid vm;
	struct uuid epoch;
	uint8_t key[CBT_WIRE_KEY_BYTES];
	uint64_t bytes_total;
};

/** struct wire_mark - a place in a delta; all 0: its start. */
struct wire_mark {
	uint32_t disk;
	uint64_t offset;
	uint64_t bytes; /* of the delta before it */
};

struct wire_ready {
	uint64_t mark_interval; /* 0: none */
	struct wire_mark mark;
};

struct wire_end {
	uint64_t nr_records;
	uint64_t bytes_data;
	uint64_t bytes_zero;
	uint64_t bytes_discard;
	uint64_t digest;
};

struct wire_durable {
	struct uuid epoch;
	uint64_t digest;
};

/**
 * wire_header_decode - magic, type, flags, and disk, nr_extents and body_len against the bounds of
 * the type.
 */
enum wire_fault wire_header_decode(const uint8_t buf[WIRE_HEADER_BYTES], struct wire_header *ret);

/** wire_rest_bytes - what follows the header of a decoded record: extents and body. */
static inline size_t wire_rest_bytes(const struct wire_header *h)
{
	return h->nr_extents * WIRE_EXTENT_BYTES + h->body_len;
}

/**
 * wire_seal - write a head: @h with its check computed, and @h->nr_extents of @extents.
 * @h: its check is set
 * @head: room for WIRE_HEADER_BYTES + @h->nr_extents * WIRE_EXTENT_BYTES; @body: @h->body_len bytes
 */
void wire_seal(struct wire_header *h, const struct extent *extents, const void *body,
	       uint8_t *head);

/** wire_check_matches - whether head and body are what the sender sealed. */
bool wire_check_matches(const struct wire_header *h, const uint8_t *head, const void *body);

/** wire_nr_pieces - into how many pieces a comparison cuts an extent. */
static inline uint64_t wire_nr_pieces(const struct extent *extent)
{
	uint64_t last = extent->offset + extent->length - 1;

	return last / CBT_WIRE_PIECE - extent->offset / CBT_WIRE_PIECE + 1;
}

/**
 * wire_extents_decode - all @h->nr_extents: aligned, not empty, below 2^63, ascending, not
 * overlapping; of DATA also: their sum is the body's length, or more when it is packed, and no more than
 * CBT_WIRE_BODY_MAX; of HASH: the body has a MAC for each of their pieces, and they are no more than
 * CBT_WIRE_HASH_MAX.
 * @head: where the record starts; @ret: room for @h->nr_extents; @ret_sum: bytes
 */
enum wire_fault wire_extents_decode(const struct wire_header *h, const uint8_t *head,
				    struct extent *ret, uint64_t *ret_sum);

/*
 * Bodies. Each encode returns the number of bytes written; @buf has room for the largest body of
 * its kind.
 */

size_t wire_begin_encode(const struct wire_begin *begin, uint8_t buf[WIRE_BEGIN_MAX]);
enum wire_fault wire_begin_decode(const uint8_t *body, size_t len, struct wire_begin *ret);

size_t wire_compare_encode(const struct wire_compare *compare,
			   uint8_t buf[sizeof(struct cbt_wire_compare)]);
enum wire_fault wire_compare_decode(const uint8_t body[sizeof(struct cbt_wire_compare)],
				    struct wire_compare *ret);

size_t wire_mark_encode(const struct wire_mark *mark, uint8_t buf[sizeof(struct cbt_wire_mark)]);
enum wire_fault wire_mark_decode(const uint8_t body[sizeof(struct cbt_wire_mark)],
				 struct wire_mark *ret);

size_t wire_ready_encode(const struct wire_ready *ready,
			 uint8_t buf[sizeof(struct cbt_wire_ready)]);
enum wire_fault wire_ready_decode(const uint8_t body[sizeof(struct cbt_wire_ready)],
				  struct wire_ready *ret);

size_t wire_end_encode(const struct wire_end *end, uint8_t buf[sizeof(struct cbt_wire_end)]);
void wire_end_decode(const uint8_t body[sizeof(struct cbt_wire_end)], struct wire_end *ret);

size_t wire_durable_encode(const struct wire_durable *durable,
			   uint8_t buf[sizeof(struct cbt_wire_durable)]);
void wire_durable_decode(const uint8_t body[sizeof(struct cbt_wire_durable)],
			 struct wire_durable *ret);

/**
 * wire_failed_encode - @buf has room for sizeof(struct cbt_wire_failed) + sizeof(@failure->text).
 */
size_t wire_failed_encode(const struct failure *failure, uint8_t *buf);

/**
 * wire_failed_decode - the sentence is cut to what a failure holds and made printable, one line,
 * valid UTF-8.
 */
enum wire_fault wire_failed_decode(const uint8_t *body, size_t len, struct failure *ret);

/** wire_hash - XXH3-64, for what keeps records elsewhere than on the wire. */
uint64_t wire_hash(const void *buf, size_t len, uint64_t seed);

/*
 * The digest of a delta: fed with the check of each DATA, ZERO and DISCARD record in the order of
 * the wire.
 */

struct wire_digest {
	_Alignas(64) unsigned char opaque[576];
};

void wire_digest_init(struct wire_digest *digest);
void wire_digest_add(struct wire_digest *digest, uint64_t check);
uint64_t wire_digest_value(const struct wire_digest *digest);

#endif
