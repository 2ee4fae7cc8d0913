/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Goes through the log of a run (log.h), and says at any record what the disks held, and what they
 * may hold when the power is cut there. Nothing here reads or writes a disk.
 *
 * After a cut a disk holds all that is durable: what a flush covered that had been answered (a
 * flush covers what was answered before it arrived), and what was written with FUA and answered. Of
 * everything later, in flight or answered, each is there, or not, or in part: cut at the sectors'
 * borders, any of the pieces. Disks are independent of each other.
 */
#ifndef FAILBACK_TESTS_POWERCUT_REPLAY_H
#define FAILBACK_TESTS_POWERCUT_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "image.h"
#include "log.h"

struct replay;

/*
 * Promises of a disk that are broken, so that a test can show that it notices: a mask of disks each,
 * bit i for disk i.
 */
struct replay_faults {
	uint32_t ignore_flush;
	uint32_t ignore_fua;
};

/**
 * replay_new() - at the beginning of @log, which must stay open. Ends in replay_free().
 * Return: NULL, having said why on stderr, when a disk's first contents cannot be read.
 */
struct replay *replay_new(const struct log *log, const struct replay_faults *faults);
void replay_free(struct replay *replay);

/** replay_step() - to the next record; false at the end of the log. */
bool replay_step(struct replay *replay);

/** replay_position() - how many records have happened. */
uint64_t replay_position(const struct replay *replay);

unsigned int replay_nr_disks(const struct replay *replay);
const char *replay_name(const struct replay *replay, unsigned int disk);

/** replay_find() - the disk of that name, or -1. */
int replay_find(const struct replay *replay, const char *name);

/** replay_now() - what a read of @disk returns here. Borrowed, until the next step. */
const struct image *replay_now(const struct replay *replay, unsigned int disk);

/** replay_cut() - what @disk may hold after a cut here; @seed decides. Ends in image_free(). */
struct image *replay_cut(const struct replay *replay, unsigned int disk, uint64_t seed);

/** replay_mark() - text @number (from 0) that the guest remarked, or NULL after the last. */
const char *replay_mark(const struct replay *replay, uint64_t number);

/**
 * replay_last_mark() - the latest text that the guest remarked and that begins with @prefix,
 * without the prefix, or NULL. Valid until the next step.
 */
const char *replay_last_mark(const struct replay *replay, const char *prefix);

/**
 * replay_base() - a disk as it was when the guest remarked "base NAME DISK" last, or NULL. Borrowed,
 * until the next step.
 */
const struct image *replay_base(const struct replay *replay, const char *name);

#endif
