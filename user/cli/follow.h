/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A job is followed by asking for it a few times a second, which goes on working when signals are
 * lost.
 */
#ifndef FAILBACK_CLI_FOLLOW_H
#define FAILBACK_CLI_FOLLOW_H

#include <stdbool.h>

#include "lib/client.h"
#include "lib/json.h"

/**
 * follow_job - show a job until it has ended; its failure is this function's.
 * @ret: the job as it was then
 */
int follow_job(struct client *client, const char *path, bool json, struct client_job *ret,
	       struct failure *f);

/** await_job - the same without showing it. */
int await_job(struct client *client, const char *path, struct client_job *ret, struct failure *f);

/** await_answer - the same for a job whose result is an object; the caller's in *@ret. */
int await_answer(struct client *client, const char *path, struct json_object **ret, struct failure *f);

/** follow_jobs - the job, then the one that it led to. @wait false: show how it stands, once. */
int follow_jobs(struct client *client, const char *path, bool json, bool wait, struct failure *f);

#endif
