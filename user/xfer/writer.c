// SPDX-License-Identifier: GPL-2.0-or-later
#include "xfer/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdbool.h>
#include <string.h>

#include "base/macro.h"
#include "lib/covered.h"

/* One request to a device, so that a terminated transfer ends soon. */
#define FALLOCATE_MAX ((uint64_t)1 << 30)

static void piece_submit(struct writer *w, struct write_job *job, struct write_piece *piece)
{
	piece->op.owner = job;
	ring_submit(w->t->ring, &piece->op);
}

static void data_start(struct writer *w, struct write_job *job, const struct extent *extents,
		       uint8_t *body)
{
	const struct disk *disk = &w->t->disks[job->disk];
	uint8_t *at = body;
	unsigned int nr = job->nr_writing;

	for (unsigned int i = 0; i < nr; i++) {
		const struct extent *extent = &extents[i];
		bool direct = disk_takes_direct(disk, extent->offset, extent->length, at);

		job->pieces[i].end = 0;
		job->pieces[i].op = (struct ring_op){
			.kind = RING_WRITE,
			.file = transfer_file(job->disk, direct),
			.offset = extent->offset,
			.iov = { { at, extent->length } },
			.nr_iov = 1,
		};
		job->bytes += extent->length;
		piece_submit(w, job, &job->pieces[i]);
		at += extent->length;
	}
}

/* The next request for the zeroes of @piece, from @piece->next on. */
static void piece_zero(struct writer *w, struct write_job *job, struct write_piece *piece)
{
	static const int modes[] = {
		[ZERO_PUNCH] = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		[ZERO_RANGE] = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	};
	enum zero_way way = w->zero_ways[job->disk];
	uint8_t *zeroes = ring_buffer(w->t->ring, w->t->nr_slots);
	uint64_t offset = piece->next;
	uint64_t length = min_of(piece->end - offset, FALLOCATE_MAX);

	if (way == ZERO_WRITE) {
		bool direct;

		length = min_of(length, (uint64_t)RING_BUFFER_BYTES);
		direct = disk_takes_direct(&w->t->disks[job->disk], offset, length, zeroes);
		piece->op = (struct ring_op){
			.kind = RING_WRITE,
			.file = transfer_file(job->disk, direct),
			.offset = offset,
			.iov = { { zeroes, length } },
			.nr_iov = 1,
		};
	} else {
		piece->op = (struct ring_op){
			.kind = RING_FALLOCATE,
			.file = transfer_file(job->disk, false),
			.mode = modes[way],
			.offset = offset,
			.length = length,
		};
	}
	piece->next = offset + length;
	piece_submit(w, job, piece);
}

static void zeroes_start(struct writer *w, struct write_job *job, const struct extent *extents)
{
	unsigned int nr = job->nr_writing;

	for (unsigned int i = 0; i < nr; i++) {
		struct write_piece *piece = &job->pieces[i];

		piece->next = extents[i].offset;
		piece->end = piece->next + extents[i].length;
		job->bytes += extents[i].length;
		piece_zero(w, job, piece);
	}
}

void writer_start(struct writer *w, struct write_job *job, const struct wire_header *record,
		  const struct extent *extents, uint8_t *body)
{
	job->disk = record->disk;
	job->nr_writing = record->nr_extents;
	job->bytes = 0;
	covered_add(w->t->covered, record->disk, extents, record->nr_extents);
	if (record->type == CBT_WIRE_DATA)
		data_start(w, job, extents, body);
	else
		zeroes_start(w, job, extents);
}

/*
 * The disk does not know the way that @piece went: it goes the next one, and so does what comes
 * after.
 */
static bool piece_retry(struct writer *w, struct write_job *job, struct write_piece *piece)
{
	const struct ring_op *op = &piece->op;
	bool refused = op->result == -EOPNOTSUPP || op->result == -EINVAL || op->result == -ENOSYS;
	enum zero_way way = op->mode & FALLOC_FL_PUNCH_HOLE ? ZERO_PUNCH : ZERO_RANGE;

	if (op->kind != RING_FALLOCATE || !refused)
		return false;
	w->zero_ways[job->disk] = max_of(w->zero_ways[job->disk], way + 1);
	piece->next = op->offset;
	piece_zero(w, job, piece);
	return true;
}

int writer_ended(struct writer *w, struct ring_op *op, struct failure *f)
{
	struct write_piece *piece = container_of(op, struct write_piece, op);
	struct write_job *job = op->owner;
	bool is_zeroes = piece->end != 0;

	if (op->result && is_zeroes && piece_retry(w, job, piece))
		return 0;
	if (op->result)
		return failure_set(f, CODE_FAILED, -EIO, "cannot write disk %s at byte %llu: %s",
				   w->t->plan->begin.disks[job->disk].name,
				   (unsigned long long)op->offset, strerror(-op->result));
	if (is_zeroes && piece->next < piece->end) {
		piece_zero(w, job, piece);
		return 0;
	}
	return --job->nr_writing == 0;
}

int writer_flush(struct writer *w, struct failure *f)
{
	unsigned int nr = w->t->nr_open_disks;
	struct ring_op *op;

	for (unsigned int i = 0; i < nr; i++) {
		w->flushes[i] =
			(struct ring_op){ .kind = RING_FDATASYNC, .file = transfer_file(i, false) };
		ring_submit(w->t->ring, &w->flushes[i]);
	}
	for (unsigned int i = 0; i < nr; i++) {
		int rc = transfer_wait(w->t, FLUSH_TIMEOUT_MS, "the target's disks", &op, f);

		if (rc)
			return rc;
		if (op->result)
			return failure_set(f, CODE_FAILED, -EIO, "cannot flush disk %s: %s",
					   w->t->plan->begin.disks[op - w->flushes].name,
					   strerror(-op->result));
	}
	return 0;
}
