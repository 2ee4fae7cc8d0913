// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/follow.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/print.h"
#include "cli/progress_line.h"
#include "lib/output.h"

#define POLL_NS (NS_PER_S / 5)

struct follower {
	struct client *client;
	bool json;
	struct progress_line line;
	char shown[640]; /* of JSON, last */
};

static void follower_init(struct follower *w, struct client *client, bool json)
{
	memset(w, 0, sizeof(*w));
	w->client = client;
	w->json = json;
	progress_line_init(&w->line);
}

static void show_line(struct follower *w, const struct client_job *job)
{
	bool ended = client_job_has_ended(job);
	char label[256];
	struct progress_bar bar = {
		.label = label,
		.bytes_total = job->bytes_total,
		.bytes_done = job->bytes_done,
		.bytes_per_second = job->bytes_per_second,
		.seconds_left = ended ? CLIENT_UNKNOWN : job->seconds_left,
	};

	(void)snprintf(label, sizeof(label), "%s: %s", job->name, job_state_text(job));
	progress_line_show(&w->line, &bar, job->status, ended);
}

static int show_json(struct follower *w, const struct client_job *job, struct failure *f)
{
	char key[sizeof(w->shown)];
	int rc;

	(void)snprintf(key, sizeof(key), "%s %u %llu %s", job->id, job->state,
		       (unsigned long long)job->bytes_done, job->status);
	if (strcmp(key, w->shown) == 0)
		return 0;
	memcpy(w->shown, key, sizeof(key));
	rc = print_job_json(job, f);
	return rc ? rc : output_flush(f);
}

static int show_job(struct follower *w, const struct client_job *job, struct failure *f)
{
	if (w->json)
		return show_json(w, job, f);
	show_line(w, job);
	return 0;
}

static const struct timespec pause_time = { .tv_nsec = POLL_NS };

int await_job(struct client *client, const char *path, struct client_job *ret, struct failure *f)
{
	int rc;

	while (!(rc = client_get_job(client, path, ret, f)) && !client_job_has_ended(ret))
		(void)nanosleep(&pause_time, NULL);
	if (!rc && ret->code)
		rc = failure_set(f, (enum code)ret->code, -EREMOTEIO, "%s", ret->text);
	return rc;
}

int await_answer(struct client *client, const char *path, struct json_object **ret, struct failure *f)
{
	cleanup_free struct client_job *job = calloc(1, sizeof(*job));
	int rc;

	if (!job)
		return failure_no_memory(f);
	rc = await_job(client, path, job, f);
	return rc ? rc : json_parse_object("the answer", job->result, ret, f);
}

/* Until the job has ended; the job's failure is this function's. */
static int follow_one(struct follower *w, const char *path, struct client_job *ret,
		      struct failure *f)
{
	int rc;

	w->shown[0] = '\0';
	progress_line_restart(&w->line);
	for (;;) {
		rc = client_get_job(w->client, path, ret, f);
		if (!rc)
			rc = show_job(w, ret, f);
		if (rc || client_job_has_ended(ret))
			break;
		(void)nanosleep(&pause_time, NULL);
	}
	progress_line_end(&w->line);
	if (!rc && ret->code)
		rc = failure_set(f, (enum code)ret->code, -EREMOTEIO, "%s", ret->text);
	return rc;
}

/* The job, then the one that it led to. */
int follow_jobs(struct client *client, const char *path, bool json, bool wait, struct failure *f)
{
	char next[BUS_PATH_MAX];
	struct client_job job;
	struct follower w;
	int rc = 0;

	follower_init(&w, client, json);
	(void)snprintf(next, sizeof(next), "%s", path);
	if (!wait) {
		rc = client_get_job(client, path, &job, f);
		return rc ? rc : show_job(&w, &job, f);
	}
	while (!rc && strcmp(next, "/") != 0) {
		rc = follow_one(&w, next, &job, f);
		memcpy(next, job.follow_up, sizeof(next));
	}
	return rc;
}

int follow_job(struct client *client, const char *path, bool json, struct client_job *ret,
	       struct failure *f)
{
	struct follower w;

	follower_init(&w, client, json);
	return follow_one(&w, path, ret, f);
}
