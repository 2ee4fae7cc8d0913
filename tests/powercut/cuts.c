// SPDX-License-Identifier: GPL-2.0-or-later
#include "cuts.h"

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../count.h"

/* Where cuts may fall. */
struct window {
	uint64_t first, last; /* positions */
	uint64_t *notable; /* records between them that change what survives */
	uint64_t nr_notable;
};

static bool is_notable(const struct log *log, const struct log_record *r)
{
	if (r->kind == LOG_END)
		r = log->records[r->offset];
	return r->kind == LOG_FLUSH || r->kind == LOG_MARK || (log_is_change(r) && r->flags & LOG_FUA);
}

static bool is_begin(const struct log_record *r)
{
	return r->kind == LOG_MARK && r->length == 5 && !memcmp(log_data(r), "begin", 5);
}

static void window_init(struct window *window, const struct log *log)
{
	*window = (struct window){ .last = log->nr };
	while (window->first < log->nr && log->records[window->first]->kind == LOG_DEVICE)
		window->first++;
	for (uint64_t i = window->first; i < log->nr; i++)
		if (is_begin(log->records[i]))
			window->first = i + 1;
	window->notable = calloc(log->nr + 1, sizeof(*window->notable));
	if (!window->notable)
		errx(1, "out of memory");
	for (uint64_t i = window->first; i < log->nr; i++)
		if (is_notable(log, log->records[i]))
			window->notable[window->nr_notable++] = i;
}

static uint64_t choose_position(const struct window *window, uint64_t seed)
{
	uint64_t random = seed;

	if (window->nr_notable && next_random(&random) & 1)
		return window->notable[next_random(&random) % window->nr_notable] +
		       (next_random(&random) & 1);
	return window->first + next_random(&random) % (window->last - window->first + 1);
}

static int check_one(const struct replay *replay, uint64_t seed, cut_check *check, void *context)
{
	struct cut cut = { seed, replay, { NULL } };
	int rc;

	for (unsigned int i = 0; i < replay_nr_disks(replay); i++)
		cut.disks[i] = replay_cut(replay, i, seed);
	rc = check(context, &cut);
	if (rc)
		warnx("wrong after the cut seed=%" PRIu64 " at record %" PRIu64, seed,
		      replay_position(replay));
	for (unsigned int i = 0; i < replay_nr_disks(replay); i++)
		image_free(cut.disks[i]);
	return rc;
}

struct place {
	uint64_t position, seed;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->position != y->position)
		return x->position < y->position ? -1 : 1;
	return x->seed < y->seed ? -1 : x->seed > y->seed;
}

int64_t cuts_run(const struct cuts *cuts, cut_check *check, void *context)
{
	struct replay *replay = replay_new(cuts->log, &cuts->faults);
	struct place *places = calloc(cuts->required, sizeof(*places));
	uint64_t done = 0, wrong = 0;
	struct window window;

	if (!replay || !places) {
		free(places);
		return -1;
	}
	window_init(&window, cuts->log);
	for (uint64_t i = 0; i < cuts->required; i++)
		places[i] = (struct place){ choose_position(&window, cuts->seed + i), cuts->seed + i };
	qsort(places, cuts->required, sizeof(*places), compare_places);
	for (; done < cuts->required && wrong <= cuts->tolerated; done++) {
		while (replay_position(replay) < places[done].position && replay_step(replay))
			;
		if (check_one(replay, places[done].seed, check, context))
			wrong++;
	}
	printf("# seed=%" PRIu64 " done=%" PRIu64 "/required=%" PRIu64 " wrong=%" PRIu64 "\n",
	       cuts->seed, done, cuts->required, wrong);
	replay_free(replay);
	free(window.notable);
	free(places);
	return wrong;
}

int cuts_one(const struct cuts *cuts, uint64_t seed, cut_check *check, void *context)
{
	struct replay *replay = replay_new(cuts->log, &cuts->faults);
	struct window window;
	uint64_t position;
	int rc;

	if (!replay)
		return -1;
	window_init(&window, cuts->log);
	position = choose_position(&window, seed);
	while (replay_position(replay) < position && replay_step(replay))
		;
	rc = check_one(replay, seed, check, context);
	replay_free(replay);
	free(window.notable);
	return rc;
}
