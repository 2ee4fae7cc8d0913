/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happens by itself: a delta every ReplicationInterval, at most `max-transfers` at once, the
 * question after a boot whether the VM may run here, and once a day the one whether it is ready.
 */
#ifndef FAILBACK_DAEMON_SCHEDULE_H
#define FAILBACK_DAEMON_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"

struct daemon;
struct vm;

/**
 * schedule_pick - whose turn is it? PURE.
 * @due_ns: when each is due; UINT64_MAX: never
 * @nr_running, @max_running: transfers now, and at most
 *
 * The one that has waited longest; @nr when nobody is due or no transfer is free: no one waits longer
 * than its interval and the transfers before it.
 */
size_t schedule_pick(const uint64_t *due_ns, size_t nr, uint64_t now_ns, size_t nr_running,
		     size_t max_running);

/** schedule_has_room - may one more transfer run? */
bool schedule_has_room(const struct daemon *d);

int schedule_start(struct daemon *d, struct failure *f);
void schedule_stop(struct daemon *d);

/** schedule_later - the VM's next delta is due an interval from now. */
void schedule_later(struct vm *vm);

/** schedule_now - it is due. */
void schedule_now(struct vm *vm);

#endif
