/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Jobs: what runs, how far it is, how it ended. Numbers are those of Msvm_ConcreteJob.
 *
 * A job is in the history (store) from its start on, an object on D-Bus until job-retention after
 * its end.
 */
#ifndef FAILBACK_DAEMON_JOB_H
#define FAILBACK_DAEMON_JOB_H

#include <stdbool.h>

#include "daemon/daemon.h"
#include "daemon/progress.h"

enum job_type {
	JOB_CREATE = 91,
	JOB_MODIFY = 92,
	JOB_REMOVE = 93,
	JOB_START = 94,
	JOB_STATE_CHANGE = 96,
	JOB_FAILOVER = 97,
	JOB_REVERT = 98,
	JOB_COMMIT = 99,
	JOB_PREPARE = 100,
	JOB_CANCEL_PREPARED = 101,
	JOB_REVERSE = 104,
	JOB_SEND = 105,
	JOB_RECEIVE = 106,
	JOB_RESYNCHRONIZE = 107,
	JOB_STATISTICS = 111,
	JOB_TEST_CONNECTION = 115,
	JOB_SEND_INITIAL = 116,
	/* ours */
	JOB_TEST_READINESS = 130,
	JOB_PLAN_REVERSE = 131,
};

enum job_state {
	JOB_NEW = 2,
	JOB_STARTING = 3,
	JOB_RUNNING = 4,
	JOB_SUSPENDED = 5,
	JOB_SHUTTING_DOWN = 6,
	JOB_COMPLETED = 7,
	JOB_TERMINATED = 8,
	JOB_KILLED = 9,
	JOB_EXCEPTION = 10,
};

/** job_cancel_fn - end the operation early: job_end() is called, now or in a later turn. */
typedef void (*job_cancel_fn)(void *operation);

struct job {
	struct job *next;
	struct daemon *daemon;
	struct vm *vm; /* NULL: the VM that was named is unknown */
	struct job_record r;
	struct progress progress;
	char status[128]; /* what it is doing */
	char channel[48]; /* what protects the connections that its bytes go through; "": none yet */
	char *result; /* JSON; malloc()ed, NULL: none */
	struct uuid follow_up; /* a job that was started because this one completed; nil: none */
	uint64_t started_ns;
	uint64_t ended_ns;
	uint64_t announced_ns; /* when progress was announced last */
	bool terminating; /* someone asked for its end */
	bool applying; /* what was received goes to the disks: it ends by itself */
	bool pausing; /* a transfer that waits for its connection, and takes none of the others' room */
	uint64_t sent_before; /* bytes that went before the phase that runs */
	void (*begin)(void *operation); /* of job_start_behind() */
	sd_event_source *begin_source;
	bool refused; /* it never ran, and is in no history */
	job_cancel_fn cancel; /* NULL: cannot be cancelled now */
	void *operation;
	sd_event_source *removal;
};

/**
 * job_start - a running job of @vm, which must be idle. NULL with a failure when it cannot be
 * recorded, or the daemon is being stopped.
 */
struct job *job_start(struct vm *vm, enum job_type type, struct failure *f);

/**
 * job_start_behind - the same while another job of @vm runs, which is to end first: then
 * @begin(job->operation) is called, or its end is asked for (job->cancel) when the daemon is being
 * stopped. At most one waits.
 */
struct job *job_start_behind(struct vm *vm, enum job_type type, void (*begin)(void *operation),
			     struct failure *f);

/**
 * job_refuse - a job that ended before it began, so that a refusal has a sentence. NULL when out
 * of memory.
 */
struct job *job_refuse(struct daemon *d, struct vm *vm, enum job_type type,
		       const struct failure *why);

/** job_succeed - a job that was done at once. */
struct job *job_succeed(struct vm *vm, enum job_type type, struct failure *f);

void job_set_status(struct job *job, const char *fmt, ...) printf_like(2, 3);

/** job_set_channel - @what goes on over @nr connections, which @protection protects. */
void job_set_channel(struct job *job, const char *what, const char *protection, unsigned int nr);

/**
 * job_begin_phase - the bytes that are counted from now on are those of @what: "comparing", "sending".
 */
void job_begin_phase(struct job *job, const char *what, uint64_t bytes_total);
void job_add_progress(struct job *job, uint64_t bytes_done, uint64_t bytes_sent);

/** job_set_follow_up - @next was started because @job completed. */
void job_set_follow_up(struct job *job, const struct job *next);

/**
 * job_end - NULL: completed. Terminated when that was asked for, else ended with @why's code and
 * sentence. @job stays valid until the next turn of the loop at least.
 */
void job_end(struct job *job, const struct failure *why);

bool job_has_ended(const struct job *job);
uint64_t job_elapsed_us(const struct job *job);
struct job *job_find(struct daemon *d, const struct uuid *id);
void job_free_all(struct daemon *d);

const char *job_type_name(unsigned int type);
const char *job_state_name(unsigned int state);

#endif
