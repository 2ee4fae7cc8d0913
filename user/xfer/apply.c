// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Entries are read one after the other, since only an entry says how long it is, and written many
 * at a time: no byte comes twice in a delta, so writes need no order among each other.
 */
#include "xfer/apply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "xfer/journal_file.h"
#include "xfer/writer.h"

struct slot {
	uint8_t *first; /* JOURNAL_HEAD_MAX */
	uint8_t *body;
	struct extent extents[CBT_WIRE_EXTENTS_MAX];
	struct write_job job;
};

struct applier {
	struct transfer *t;
	struct writer writer;
	struct slot *slots; /* NR_SLOTS */
	uint64_t index; /* of the next entry */
	uint64_t offset; /* where it stands */
};

static int read_at(const struct applier *a, uint8_t *buf, size_t len, uint64_t offset,
		   struct failure *f)
{
	if (len > a->t->journal->header.end - offset)
		return failure_set(f, CODE_FAILED, -EBADMSG,
				   "entry %llu of the journal reaches beyond its end",
				   (unsigned long long)a->index);
	while (len) {
		ssize_t got = pread(a->t->journal->fd, buf, len, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return journal_file_failed(got ? -errno : -ENODATA, "read", f);
		buf += got;
		len -= (size_t)got;
		offset += (size_t)got;
	}
	return 0;
}

static int entry_read(struct applier *a, struct slot *slot, struct journal_entry *ret,
		      struct failure *f)
{
	const struct journal_header *h = &a->t->journal->header;
	struct journal_entry entry;
	uint64_t body_offset;
	int rc;

	rc = read_at(a, slot->first, JOURNAL_ALIGN, a->offset, f);
	if (rc)
		return rc;
	if (!journal_entry_decode(slot->first, h->salt, a->index, &entry))
		return failure_set(f, CODE_FAILED, -EBADMSG, "entry %llu of the journal is damaged",
				   (unsigned long long)a->index);
	body_offset = a->offset + entry.head_bytes;
	if (entry.head_bytes > JOURNAL_ALIGN)
		rc = read_at(a, slot->first + JOURNAL_ALIGN, entry.head_bytes - JOURNAL_ALIGN,
			     a->offset + JOURNAL_ALIGN, f);
	if (!rc && entry.body_bytes)
		rc = read_at(a, slot->body, entry.body_bytes, body_offset, f);
	if (rc)
		return rc;
	if (!journal_entry_open(&entry, slot->first, slot->body, &h->begin, slot->extents))
		return failure_set(f, CODE_FAILED, -EBADMSG, "entry %llu of the journal is damaged",
				   (unsigned long long)a->index);
	a->index++;
	a->offset = body_offset + entry.body_bytes;
	*ret = entry;
	return 0;
}

static void rewind_entries(struct applier *a)
{
	a->index = 0;
	a->offset = JOURNAL_DATA_OFFSET;
}

/* The first @nr, which end at @end. */
static int verify_entries(struct applier *a, uint64_t nr, uint64_t end, struct failure *f)
{
	struct journal_entry entry;
	int rc = 0;

	rewind_entries(a);
	while (!rc && a->index < nr)
		rc = entry_read(a, &a->slots[0], &entry, f);
	if (!rc && a->offset != end)
		rc = failure_set(f, CODE_FAILED, -EBADMSG,
				 "the journal does not end where it says");
	return rc;
}

static struct slot *slot_free(const struct applier *a)
{
	for (unsigned int i = 0; i < NR_SLOTS; i++)
		if (!a->slots[i].job.nr_writing)
			return &a->slots[i];
	return NULL;
}

static int step(struct applier *a, struct failure *f)
{
	struct ring_op *op;
	int rc = transfer_wait(a->t, FLUSH_TIMEOUT_MS, "the target's disks", &op, f);

	return rc ? rc : min_of(writer_ended(&a->writer, op, f), 0);
}

static int write_all(struct applier *a, struct failure *f)
{
	const struct journal_header *h = &a->t->journal->header;
	int rc = 0;

	rewind_entries(a);
	while (!rc && a->index < h->nr_entries) {
		struct slot *slot = slot_free(a);
		struct journal_entry entry;

		if (!slot) {
			rc = step(a, f);
			continue;
		}
		rc = entry_read(a, slot, &entry, f);
		if (!rc)
			writer_start(&a->writer, &slot->job, &entry.record, slot->extents,
				     slot->body);
	}
	for (unsigned int i = 0; i < NR_SLOTS; i++)
		while (!rc && a->slots[i].job.nr_writing)
			rc = step(a, f);
	return rc;
}

static int check_disks(const struct transfer *t, struct failure *f)
{
	const struct wire_begin *held = &t->journal->header.begin;
	const struct wire_begin *plan = &t->plan->begin;
	bool same = uuid_equal(&held->vm, &plan->vm) && held->nr_disks == plan->nr_disks;

	for (uint32_t i = 0; same && i < plan->nr_disks; i++)
		same = strcmp(held->disks[i].name, plan->disks[i].name) == 0 &&
		       held->disks[i].size_bytes == plan->disks[i].size_bytes;
	if (same)
		return 0;
	return failure_set(f, CODE_INVALID_STATE, -ESTALE,
			   "the journal holds a complete delta of another virtual machine or of "
			   "other disks than the plan's");
}

static int apply(struct applier *a, bool verify, struct failure *f)
{
	struct journal_header next = a->t->journal->header;
	int rc = verify ? verify_entries(a, next.nr_entries, next.end, f) : 0;

	if (!rc)
		rc = write_all(a, f);
	if (!rc)
		rc = writer_flush(&a->writer, f);
	if (rc)
		return rc;
	/* CRASH: before this the journal is applied again, to the same effect */
	next.sequence++;
	next.state = JOURNAL_EMPTY;
	next.nr_entries = 0;
	next.end = JOURNAL_DATA_OFFSET;
	return journal_file_commit(a->t->journal, &next, f);
}

static void applier_free_at(struct applier **a)
{
	if (!*a)
		return;
	for (unsigned int i = 0; (*a)->slots && i < NR_SLOTS; i++)
		free((*a)->slots[i].first);
	free((*a)->slots);
	free(*a);
}

static int applier_new(struct transfer *t, struct applier **ret, struct failure *f)
{
	_cleanup_(applier_free_at) struct applier *a = calloc(1, sizeof(*a));

	if (a)
		a->slots = calloc(NR_SLOTS, sizeof(*a->slots));
	if (!a || !a->slots)
		return failure_no_memory(f);
	a->t = t;
	a->writer.t = t;
	for (unsigned int i = 0; i < NR_SLOTS; i++) {
		a->slots[i].body = ring_buffer(t->ring, i);
		a->slots[i].first = aligned_alloc(JOURNAL_ALIGN, JOURNAL_HEAD_MAX);
		if (!a->slots[i].first)
			return failure_no_memory(f);
	}
	*ret = steal_ptr(a);
	return 0;
}

int journal_verify(struct transfer *t, uint64_t nr_entries, uint64_t end, struct failure *f)
{
	_cleanup_(applier_free_at) struct applier *a = NULL;
	int rc = applier_new(t, &a, f);

	return rc ? rc : verify_entries(a, nr_entries, end, f);
}

int journal_apply(struct transfer *t, bool verify, struct failure *f)
{
	_cleanup_(applier_free_at) struct applier *a = NULL;
	int rc = check_disks(t, f);

	if (!rc)
		rc = applier_new(t, &a, f);
	if (rc)
		return rc;
	rc = apply(a, verify, f);
	if (rc)
		ring_drain(t->ring); /* before the slots go */
	return rc;
}
