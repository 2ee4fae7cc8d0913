/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sending a delta: the operation of a primary, with its epoch from freeze to commit or abort. */
#ifndef FAILBACK_DAEMON_DELTA_H
#define FAILBACK_DAEMON_DELTA_H

#include "daemon/job.h"
#include "daemon/vm.h"

/**
 * delta_start - check the trackers and begin; the rest happens in the job.
 * @type: JOB_SEND; JOB_PREPARE: nothing may have the disks open, and the VM is in state 4 when all
 *	is sent; JOB_SEND_INITIAL, JOB_RESYNCHRONIZE: all of the disks, whatever the peer's hold
 *
 * Where something was compared (after a crash, or when no map says what differs), the job's result says
 * what that took: {"schema", "bytes_compared": of disk, "bytes_hashes": of hashes that were sent for that,
 * "bytes_sent": of data that followed}; else it has none. Of a delta that was gone on with, that is what
 * its last connections carried.
 *
 * NULL with a failure: nothing was started.
 */
struct job *delta_start(struct vm *vm, enum job_type type, struct failure *f);

#endif
