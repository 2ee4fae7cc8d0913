/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A transfer worker (xfer/worker.h) as a supervised child process of the daemon. */
#ifndef FAILBACK_DAEMON_WORKER_H
#define FAILBACK_DAEMON_WORKER_H

#include <stddef.h>

#include "daemon/daemon.h"

#define WORKER_DISK_FD 5 /* descriptor of the first disk in the worker, for its plan */

struct worker;

struct worker_events {
	/* Before begin(), where something is compared; progress is that of it then. NULL: not heeded */
	void (*compare)(void *context, uint64_t bytes_total);
	void (*begin)(void *context, uint64_t bytes_total);
	void (*progress)(void *context, uint64_t bytes_done, uint64_t bytes_sent);
	/* With "done", where something was compared: of disk, of hashes on the wire, of data behind them. NULL as above */
	void (*compared)(void *context, uint64_t bytes_compared, uint64_t bytes_hashes,
			 uint64_t bytes_sent);
	void (*durable)(void *context); /* receiving with a journal: acknowledged. NULL: not heeded */
	void (*applied)(void *context, const struct uuid *epoch); /* of --apply; NULL as above */
	/*
	 * The last one; the process is gone. @why: NULL after "done". The owner frees the worker.
	 */
	void (*end)(void *context, const struct failure *why);
};

/**
 * worker_start - run @program of the libexec directory.
 * @plan: its standard input
 * @connections: in the order of their numbers; none: to apply a journal (--apply)
 * @disks: and a journal, which is in its plan too
 *
 * Descriptors stay the caller's; the worker gets copies.
 */
int worker_start(struct daemon *d, const char *program, const char *plan, const int *connections,
		 size_t nr_connections, const int *disks, size_t nr_disks,
		 const struct worker_events *events, void *context, struct worker **ret,
		 struct failure *f);

/** worker_terminate - ask it to end, force it after a few seconds; end() follows. */
void worker_terminate(struct worker *w);

/**
 * worker_free_at - *@w may be NULL, and is then. A process that still runs is killed, without
 * end().
 */
void worker_free_at(struct worker **w);

#endif
