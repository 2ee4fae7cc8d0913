/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many power cuts out of one recorded run. A cut has a seed, which decides when it happens and what
 * survives it; the same seed, log and faults are the same cut. A test brings a function that says
 * whether the disks found after a cut are right.
 */
#ifndef FAILBACK_TESTS_POWERCUT_CUTS_H
#define FAILBACK_TESTS_POWERCUT_CUTS_H

#include <stdbool.h>

#include "replay.h"

struct cut {
	uint64_t seed;
	const struct replay *replay; /* stands at the cut: marks, bases, what reads returned */
	struct image *disks[LOG_DEVICES_MAX]; /* what each holds after it */
};

/**
 * typedef cut_check - whether all is right after @cut.
 * Return: 0, or not 0 having said on stderr what is wrong.
 */
typedef int cut_check(void *context, const struct cut *cut);

struct cuts {
	const struct log *log;
	struct replay_faults faults;
	uint64_t seed; /* of the first cut; the others follow */
	uint64_t required;
	bool at_end; /* none falls before the end of the log */
	uint64_t tolerated; /* wrong cuts after which it goes no further; 0: none is tolerated */
};

/**
 * cuts_run() - makes all cuts and checks each. They fall after the mark "begin" where there is one.
 * Half of them fall anywhere, a quarter beside a flush, a FUA write or an answer to one of these, a
 * quarter beside a mark. Prints `seed=S done=N/required=N wrong=W` as a comment of TAP.
 * Return: number of cuts that were wrong; negative when the log cannot be replayed.
 */
int64_t cuts_run(const struct cuts *cuts, cut_check *check, void *context);

/** cuts_one() - only the cut of @seed. Return: as of the check; -1 when it cannot be replayed. */
int cuts_one(const struct cuts *cuts, uint64_t seed, cut_check *check, void *context);

#endif
