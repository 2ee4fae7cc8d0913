/* SPDX-License-Identifier: GPL-2.0-or-later OR MIT */
/*
 * Failback's wire format: what two hosts say to each other over a stream connection, or several.
 *
 * All integers are little-endian. Everything is a *record*: a header, then nr_extents extents,
 * then body_len bytes of body. The check covers all three, so that one flipped bit anywhere is
 * found before the record is used:
 *
 *	check = XXH3-64(body, seed = XXH3-64(header with check = 0, then extents))
 *
 * Between the daemons (each CALL is answered by one REPLY; nothing else may stand between them):
 *
 *	caller                                   listener
 *	  | CALL    {"call": "...", ...}  ------>  |
 *	  |  <------  REPLY {"code": 0, ...}       |
 *	  ...                                      ...
 *	  | CALL    {"call": "receive", ...} --->  |    opens and checks the disks, starts the receive worker
 *	  |  <------  REPLY {"code": 4096}         |
 *
 * Over TLS 1.3, which is the rule between hosts, both sides show certificates, and the listener's
 * first byte within the session is CBT_WIRE_WELCOME: it took the caller's. The caller says nothing
 * before.
 *
 * After REPLY 4096 the connection belongs to the two workers, and carries one delta of all disks of a
 * VM. Sequence numbers begin again at 0 in both directions:
 *
 *	sender                                   receiver
 *	  | COMPARE (struct cbt_wire_compare) -->  |    only where the sender does not know what differs
 *	  | HASH    (extents, MACs)  ----------->  |    many, without waiting; ascending, no byte twice
 *	  |  <------  DIFFER (a bit for each MAC)  |    one for each HASH, in their order
 *	  ...                                      |
 *	  | BEGIN   (struct cbt_wire_begin) ---->  |    compares VM, epoch, base, sizes with its own plan
 *	  |  <------  READY (struct cbt_wire_ready)     or FAILED; says from which place on to send
 *	  | DATA, ZERO, DISCARD ...  ----------->  |    no byte twice
 *	  | MARK    (struct cbt_wire_mark) ----->  |    between them, where READY asked for marks
 *	  |  <------  MARK (the same)              |    what came before it is durable here; may come late, or
 *	  ...                                      |    not at all when a later one is answered
 *	  | END     (struct cbt_wire_end) ------>  |    counts and digest compared, all made durable
 *	  |  <------  DURABLE (struct cbt_wire_durable)
 *
 * Several connections: where one does not fill a link, since its window or its losses keep it below that, the
 * delta is carried by up to CBT_WIRE_CONNECTIONS_MAX. They are agreed on before the workers start:
 *
 *	caller                                   listener
 *	  | CALL    {"call": "receive", "connections": 4, ...} -->  |
 *	  |  <------  REPLY {"code": 4096, "connections": 3, "token": "..."}
 *
 *	the first one waits, and on each further one, which are numbered from 1 on:
 *	  | CALL    {"call": "join", "token": "...", "connection": 1, ...} -->  |
 *	  |  <------  REPLY {"code": 4096}         |
 *
 * A further connection goes to the same listener, and is as safe as the first: the same certificates, or
 * the same address where there is no TLS. The token is random, of this one delta, and void once all are
 * there; each number joins once. A host that knows nothing of this refuses a CALL with "connections", and says no
 * "connections" in its REPLY: it is asked again without. One connection: neither CALL nor delta differ from
 * what they were.
 *
 * What the receiver says, it says on the first connection, number 0. The sender's records are in one order, that
 * of their sequence numbers, and are dealt out: all up to the first DATA go over connection 0, and
 * after each DATA the next connection is used, after the last one the first. (Not after each record: a
 * ZERO between every two DATA would leave half of the connections without any.) So both sides know the
 * connection of each record, and nothing says it. A connection that ends before the next record that is to come
 * over it ends the delta.
 *
 * A sender goes through disks and offsets in ascending order, from MARK to MARK: what a mark names
 * as passed is the whole delta below that place. So a mark is also a place to go on from: after a
 * broken connection the sender offers the same delta again, and READY names the last mark that is
 * durable. A sender whose own extents below that place are not as many bytes as the mark says has
 * another delta: it says FAILED.
 *
 * Compare: disks are cut into pieces at every multiple of CBT_WIRE_PIECE bytes; a HASH carries the
 * MAC of each piece of its extents, and DIFFER says which of them the receiver's disk does not have.
 * The delta that BEGIN announces then has those pieces and not the others. All DIFFER are there before
 * BEGIN is sent. A MAC is AES-128-GMAC with the key of COMPARE, which is random and used for this one
 * session, over the bytes of the piece; its nonce is the disk (__le32) and the offset (__le64) of the
 * piece. With CBT_WIRE_COMPARE_ONLY the sender wants to know and no more: END with nothing in it
 * follows instead of BEGIN, and DURABLE answers it. The receiver writes nothing then.
 *
 * Base: the receiver takes a delta when what it holds is the delta's base, or one of the epochs
 * aborted into the delta (an epoch that arrived here whole and whose DURABLE was lost).
 *
 * Either side may send FAILED (code, sentence) instead of its next record, and closes. A
 * connection that ends before DURABLE means: not acknowledged; the sender tries again while its
 * epoch stands, or aborts the epoch, and the next delta covers it.
 */
#ifndef CBT_WIRE_H
#define CBT_WIRE_H

#include <linux/types.h>

#define CBT_WIRE_MAGIC		0x31746263U	/* "cbt1" */
#define CBT_WIRE_VERSION	4

#define CBT_WIRE_WELCOME	0x57		/* one byte, over TLS only */

#define CBT_WIRE_BODY_MAX	(1U << 20)	/* bytes of body of DATA */
#define CBT_WIRE_TEXT_MAX	(1U << 16)	/* bytes of body of CALL, REPLY, FAILED */
#define CBT_WIRE_EXTENTS_MAX	1024U		/* extents in one record */
#define CBT_WIRE_DISKS_MAX	256U
#define CBT_WIRE_CONNECTIONS_MAX 8U		/* that carry one delta */
#define CBT_WIRE_ABORTED_MAX	64U
#define CBT_WIRE_PIECE		4096U		/* bytes of disk that one MAC is of, at most */
#define CBT_WIRE_HASH_MAX	(1U << 20)	/* bytes of disk that one HASH is of */
#define CBT_WIRE_MAC_BYTES	16U
#define CBT_WIRE_KEY_BYTES	16U
/* MACs in one HASH: each extent may add a piece that is cut off at its start and one at its end */
#define CBT_WIRE_MACS_MAX	(CBT_WIRE_HASH_MAX / CBT_WIRE_PIECE + 2 * CBT_WIRE_EXTENTS_MAX)
#define CBT_WIRE_ALIGN		512U		/* every offset and length of an extent is a multiple */

enum cbt_wire_type {
	CBT_WIRE_CALL = 1,	/* body: JSON text, no extents */
	CBT_WIRE_REPLY = 2,	/* body: JSON text, no extents */
	CBT_WIRE_BEGIN = 3,	/* body: struct cbt_wire_begin, then its disks, then the aborted epochs */
	CBT_WIRE_READY = 4,	/* body: struct cbt_wire_ready */
	CBT_WIRE_DATA = 5,	/* extents; body: their contents one after the other, as long as their sum; or packed */
	CBT_WIRE_ZERO = 6,	/* extents that read as zeroes; no body */
	CBT_WIRE_DISCARD = 7,	/* extents whose contents no longer matter and may be deallocated; no body */
	CBT_WIRE_END = 8,	/* body: struct cbt_wire_end */
	CBT_WIRE_DURABLE = 9,	/* body: struct cbt_wire_durable */
	CBT_WIRE_FAILED = 10,	/* body: struct cbt_wire_failed, then a sentence in UTF-8 without NUL */
	CBT_WIRE_MARK = 11,	/* body: struct cbt_wire_mark */
	CBT_WIRE_COMPARE = 12,	/* body: struct cbt_wire_compare */
	CBT_WIRE_HASH = 13,	/* extents of at most CBT_WIRE_HASH_MAX bytes; body: the MACs of their pieces */
	CBT_WIRE_DIFFER = 14,	/* body: a bit for each MAC, the lowest bit of the first byte first; 1: differs */
};

/*
 * DATA only: the body is one zstd frame that says how much it holds and becomes the contents of the extents, to the
 * byte; they are at most CBT_WIRE_BODY_MAX, and the frame is shorter. No dictionary. A sender decides for each record.
 */
#define CBT_WIRE_PACKED		(1U << 0)

/** struct cbt_wire_header - start of every record; 32 bytes. */
struct cbt_wire_header {
	__le32 magic;		/* CBT_WIRE_MAGIC */
	__le16 type;		/* enum cbt_wire_type */
	__le16 flags;		/* CBT_WIRE_PACKED on DATA, or 0; any other value is refused */
	__le16 disk;		/* index into the disks of BEGIN; 0 for records without extents */
	__le16 nr_extents;
	__le32 body_len;	/* bytes */
	__le64 sequence;	/* 0 for the first record of a direction (see above for when), then one more each */
	__le64 check;
};

/** struct cbt_wire_extent - a piece of a disk, in bytes; @length is not 0; ascending within a record. */
struct cbt_wire_extent {
	__le64 offset;
	__le64 length;
};

#define CBT_WIRE_COMPARE_ONLY	(1U << 0)	/* nothing will be sent */

struct cbt_wire_compare {
	__le32 version;		/* CBT_WIRE_VERSION */
	__le32 flags;		/* CBT_WIRE_COMPARE_ONLY or 0 */
	__u8 vm[16];
	__u8 epoch[16];
	__u8 key[CBT_WIRE_KEY_BYTES];
	__le64 bytes_total;	/* of disk that will be compared */
};

/** struct cbt_wire_begin - followed by @nr_disks struct cbt_wire_disk and @nr_aborted UUIDs. */
struct cbt_wire_begin {
	__le32 version;		/* CBT_WIRE_VERSION */
	__le32 nr_disks;	/* 1 to CBT_WIRE_DISKS_MAX */
	__u8 vm[16];
	__u8 epoch[16];
	__u8 base[16];		/* all zero: none */
	__le64 bytes_total;	/* bytes of disk that the delta covers */
	__le32 nr_aborted;	/* epochs whose blocks this delta covers too; at most CBT_WIRE_ABORTED_MAX */
	__le32 reserved;	/* 0 */
};

struct cbt_wire_disk {
	__le64 size_bytes;
	char name[56];		/* padded with NUL; at most 55 characters */
};

/** struct cbt_wire_mark - all of the delta before byte @offset of disk @disk, and all of lower disks. */
struct cbt_wire_mark {
	__le32 disk;
	__le32 reserved;	/* 0 */
	__le64 offset;
	__le64 bytes;		/* of the delta up to there */
};

struct cbt_wire_ready {
	__le64 mark_interval;	/* bytes of the delta from one MARK to the next; 0: no marks wanted */
	struct cbt_wire_mark mark;	/* go on from here; all 0: from the start */
};

/** struct cbt_wire_end - what the sender believes it sent since READY; a difference fails the delta on the receiving side. */
struct cbt_wire_end {
	__le64 nr_records;	/* DATA, ZERO and DISCARD together */
	__le64 bytes_data;
	__le64 bytes_zero;
	__le64 bytes_discard;
	__le64 digest;		/* XXH3-64 over the check fields of those records, in order, as they stand on the wire */
};

struct cbt_wire_durable {
	__u8 epoch[16];
	__le64 digest;		/* as in END */
};

struct cbt_wire_failed {
	__le32 code;		/* 32768 to 32779 */
};

#endif
