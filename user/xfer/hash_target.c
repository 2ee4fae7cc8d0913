// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The peer's MACs make room for what is read; ours never leave this host (lib/mac.h).
 */
#include "xfer/hash_target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "lib/compare.h"

struct job {
	bool busy;
	uint64_t number;
	unsigned int disk;
	unsigned int nr_extents;
	unsigned int nr_reading;
	size_t nr_pieces;
	uint8_t *body;
	struct extent extents[CBT_WIRE_EXTENTS_MAX];
	struct ring_op reads[CBT_WIRE_EXTENTS_MAX];
	uint8_t theirs[CBT_WIRE_MACS_MAX * MAC_BYTES];
	uint8_t ours[CBT_WIRE_MACS_MAX * MAC_BYTES];
};

struct hash_target {
	struct transfer *t;
	struct mac *mac;
	uint64_t nr_started;
	uint64_t nr_answered;
	struct job jobs[NR_SLOTS_MAX];
};

int hash_target_open(struct transfer *t, const uint8_t key[MAC_KEY_BYTES], struct hash_target **ret,
		     struct failure *f)
{
	_cleanup_(hash_target_close_at) struct hash_target *h = calloc(1, sizeof(*h));
	int rc;

	if (!h)
		return failure_no_memory(f);
	h->t = t;
	rc = mac_open(key, &h->mac, f);
	if (rc)
		return rc;
	*ret = steal_ptr(h);
	return 0;
}

void hash_target_close_at(struct hash_target **h)
{
	if (!*h)
		return;
	mac_close_at(&(*h)->mac);
	free(*h);
	*h = NULL;
}

void hash_target_start(struct hash_target *h, unsigned int slot, const struct wire_header *record,
		       const struct extent *extents, uint8_t *body)
{
	struct job *job = &h->jobs[slot];

	job->busy = true;
	job->number = h->nr_started++;
	job->disk = record->disk;
	job->nr_extents = record->nr_extents;
	job->nr_pieces = record->body_len / MAC_BYTES;
	job->body = body;
	memcpy(job->theirs, body, record->body_len);
	memcpy(job->extents, extents, job->nr_extents * sizeof(*extents));
	job->nr_reading = job->nr_extents;
	transfer_read(h->t, job->disk, job->extents, job->nr_extents, job->body, job->reads, job);
}

int hash_target_ended(struct hash_target *h, const struct ring_op *op, struct failure *f)
{
	struct job *job = op->owner;

	job->nr_reading--;
	return transfer_read_ended(h->t, job->disk, op, f);
}

int hash_target_answer(struct hash_target *h, uint8_t *ret, size_t *ret_bytes,
		       unsigned int *ret_slot, struct failure *f)
{
	for (unsigned int i = 0; i < h->t->nr_slots; i++) {
		struct job *job = &h->jobs[i];
		int rc;

		if (!job->busy || job->nr_reading || job->number != h->nr_answered)
			continue;
		rc = compare_hash(h->mac, job->disk, job->extents, job->nr_extents, job->body,
				  job->ours, f);
		if (rc)
			return rc;
		compare_macs(job->theirs, job->ours, job->nr_pieces, ret);
		*ret_bytes = compare_nr_bytes(job->nr_pieces);
		*ret_slot = i;
		job->busy = false;
		h->nr_answered++;
		return 1;
	}
	return 0;
}
