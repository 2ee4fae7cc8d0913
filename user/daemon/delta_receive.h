/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Receiving a delta: the operation of a replica. */
#ifndef FAILBACK_DAEMON_DELTA_RECEIVE_H
#define FAILBACK_DAEMON_DELTA_RECEIVE_H

#include "daemon/calls.h"
#include "daemon/vm.h"
#include "lib/conn.h"

struct receive;

/**
 * receive_open_disks - all disks that @call names, to be overwritten, in its order.
 * @ret: room for call->nr_disks descriptors, which are the caller's
 */
int receive_open_disks(const struct vm *vm, const struct call *call, int *ret, struct failure *f);

/**
 * receive_find_blank - say in @reply which of @call's disks, open as @fds, hold nothing yet.
 *
 * CODE_TIMEOUT: one does not answer within half of call-timeout, or 5 s.
 */
int receive_find_blank(const struct vm *vm, const struct call *call, const int *fds,
		       struct reply *reply, struct failure *f);

/**
 * receive_prepare - check, open the disks, record what comes, start the job. Ends with
 * receive_start() or receive_abandon().
 * @reply: gets the code, and a description of the disks that are to be received whole. CODE_COMPLETED,
 *	and *@ret NULL: there is nothing to be received, the disks hold it
 */
int receive_prepare(struct vm *vm, const struct call *call, struct receive **ret,
		    struct reply *reply, struct failure *f);

/**
 * receive_start - give the connection to the worker, at once or when the others are there. It takes over *@c in
 * any case; failures end the job.
 */
void receive_start(struct receive *receive, struct conn **c);

/**
 * receive_admit - may @c be one of several connections of a delta that @vm receives, as @join says? Once the
 * peer was told so, receive_join() takes it over.
 */
int receive_admit(struct vm *vm, const struct conn *c, const struct call_join *join, struct failure *f);

/** receive_join - *@c is taken over in any case. */
void receive_join(struct daemon *d, const struct call_join *join, struct conn **c);

/**
 * receive_record - the epoch of @call has arrived whole and is on the disks: it is the base, and no
 * journal of it is needed any more.
 * @covered: as for received_note()
 */
int receive_record(struct vm *vm, const struct call *call, int covered, struct failure *f);

/** receive_settle - start the job that settles the journal of @vm, if it has one and is idle. */
void receive_settle(struct vm *vm);

/** receive_abandon - the reply did not reach the peer. */
void receive_abandon(struct receive *receive, const struct failure *why);

#endif
