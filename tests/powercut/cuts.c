// SPDX-License-Identifier: GPL-2.0-or-later
#include "cuts.h"

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../count.h"

/* Some records. */
struct positions {
	uint64_t *at;
	uint64_t nr;
};

/* Where cuts may fall. */
struct window {
	uint64_t first, last; /* positions */
	struct positions durable; /* what is between them and changes what survives */
	struct positions marks; /* what the guest remarked */
};

static bool makes_durable(const struct log *log, const struct log_record *r)
{
	if (r->kind == LOG_END)
		r = log->records[r->offset];
	return r->kind == LOG_FLUSH || (log_is_change(r) && r->flags & LOG_FUA);
}

static void positions_init(struct positions *positions, const struct log *log)
{
	*positions = (struct positions){ .at = calloc(log->nr + 1, sizeof(*positions->at)) };
	if (!positions->at)
		errx(1, "out of memory");
}

static bool is_begin(const struct log_record *r)
{
	return r->kind == LOG_MARK && r->length == 5 && !memcmp(log_data(r), "begin", 5);
}

static void window_init(struct window *window, const struct cuts *cuts)
{
	const struct log *log = cuts->log;

	*window = (struct window){ .last = log->nr };
	while (window->first < log->nr && log->records[window->first]->kind == LOG_DEVICE)
		window->first++;
	for (uint64_t i = window->first; i < log->nr; i++)
		if (is_begin(log->records[i]))
			window->first = i + 1;
	if (cuts->at_end)
		window->first = window->last;
	positions_init(&window->durable, log);
	positions_init(&window->marks, log);
	for (uint64_t i = window->first; i < log->nr; i++)
		if (log->records[i]->kind == LOG_MARK)
			window->marks.at[window->marks.nr++] = i;
		else if (makes_durable(log, log->records[i]))
			window->durable.at[window->durable.nr++] = i;
}

static void window_exit(struct window *window)
{
	free(window->durable.at);
	free(window->marks.at);
}

static uint64_t choose_position(const struct window *window, uint64_t seed)
{
	uint64_t random = seed, how = next_random(&random) % 4;
	const struct positions *near = how == 0 ? &window->marks : &window->durable;

	if (how < 2 && near->nr)
		return near->at[next_random(&random) % near->nr] + (next_random(&random) & 1);
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
	window_init(&window, cuts);
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
	window_exit(&window);
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
	window_init(&window, cuts);
	position = choose_position(&window, seed);
	while (replay_position(replay) < position && replay_step(replay))
		;
	rc = check_one(replay, seed, check, context);
	replay_free(replay);
	window_exit(&window);
	return rc;
}
