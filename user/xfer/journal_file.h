/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file or device that holds the receiver's journal (lib/journal.h), opened and claimed.
 *
 * Headers are written here, one at a time and each flushed before the call returns; entries are
 * written by their owner, through the ring. It is opened for direct I/O where that works.
 */
#ifndef FAILBACK_XFER_JOURNAL_FILE_H
#define FAILBACK_XFER_JOURNAL_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "lib/journal.h"
#include "xfer/plan.h"

struct journal_file {
	int fd;
	bool is_device;
	bool is_given; /* as a descriptor: whoever made it said how large it may be */
	uint64_t size; /* bytes */
	struct journal_header header; /* what stands there; meaningless before the first begin */
	uint8_t *buf; /* one slot, aligned, to be written with */
};

/**
 * journal_file_open - a missing file is made.
 *
 * CODE_IN_USE: another process has it. CODE_INVALID_PARAMETER: what stands there is neither a
 * journal nor zeroes.
 */
int journal_file_open(const struct plan_journal *plan, struct journal_file **ret, struct failure *f);
void journal_file_close_at(struct journal_file **j); /* NULL inside is fine */

/**
 * journal_file_begin - make room for the delta @begin and forget what was there. The room is
 * allocated before anything is forgotten: -ENOSPC leaves all as it was. One that was given has its
 * room: a peer that is let in cannot fill the file system by announcing more than it did before.
 */
int journal_file_begin(struct journal_file *j, const struct wire_begin *begin, struct failure *f);

/** journal_file_check_size - does it reach to where its header says that its entries end? -EBADMSG: it was cut short. */
int journal_file_check_size(const struct journal_file *j, struct failure *f);

/** journal_file_commit - write @next as the header and flush it; @j->header is @next then. */
int journal_file_commit(struct journal_file *j, const struct journal_header *next,
			struct failure *f);

/** journal_file_failed - the sentence for an I/O error on the journal. */
int journal_file_failed(int error, const char *what, struct failure *f);

#endif
