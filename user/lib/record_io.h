/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One record at a time over a stream socket, for the control records, which are few and small.
 *
 * Exactly the bytes of the record are read, never more, so that the descriptor can be handed on
 * between two records. The descriptor may be blocking or not. Deadlines are moments of base/clock.h
 * and hold for the whole record.
 *
 * -ETIMEDOUT: the deadline passed; -ECONNRESET: the peer closed or reset the connection; -EPROTO:
 * what arrived is no sound record or not one that is due here. After a failure the stream's
 * position is unknown: the connection is of no further use, except that -ETIMEDOUT of a read that
 * has not got a single byte leaves it as it was.
 */
#ifndef FAILBACK_LIB_RECORD_IO_H
#define FAILBACK_LIB_RECORD_IO_H

#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"
#include "lib/wire.h"

/** record_write - seal and send one record without extents. */
int record_write(int fd, enum cbt_wire_type type, uint64_t sequence, const void *body, size_t len,
		 uint64_t deadline_ns, struct failure *f);

/**
 * record_read - receive one record without extents (no DATA, ZERO, DISCARD), checked.
 * @sequence: the one that is due
 * @ret_body: malloc()ed, with a NUL behind it that does not count; text can be used as a string
 * after checking for NUL in it
 */
int record_read(int fd, uint64_t sequence, struct wire_header *ret, uint8_t **ret_body,
		uint64_t deadline_ns, struct failure *f);

/** record_write_text - CALL or REPLY with @text, which is at most CBT_WIRE_TEXT_MAX bytes. */
int record_write_text(int fd, enum cbt_wire_type type, uint64_t sequence, const char *text,
		      uint64_t deadline_ns, struct failure *f);

/**
 * record_read_text - the text of a record that must be of @type.
 *
 * -EREMOTEIO: the peer sent FAILED instead; the failure holds its code and sentence.
 */
int record_read_text(int fd, enum cbt_wire_type type, uint64_t sequence, char **ret_text,
		     uint64_t deadline_ns, struct failure *f);

/** record_write_failed - tell the peer why nothing more will come. */
int record_write_failed(int fd, uint64_t sequence, const struct failure *why, uint64_t deadline_ns);

#endif
