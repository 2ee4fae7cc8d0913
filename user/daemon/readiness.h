/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is everything as a failover, and the way home after it, will need it? Found out before they are
 * needed. Each point is looked at by itself: one that does not hold does not hide the others.
 */
#ifndef FAILBACK_DAEMON_READINESS_H
#define FAILBACK_DAEMON_READINESS_H

#include "daemon/calls.h"
#include "daemon/vm.h"

/**
 * readiness_check - this host's half, into @ret.
 * @bytes: that the next delta would cover, if this host received it
 */
void readiness_check(const struct vm *vm, uint64_t bytes, struct call_points *ret);

/** readiness_compare - does what the peer says of its half go with this one? */
void readiness_compare(const struct vm *vm, const struct reply *peer, struct call_points *ret);

/** readiness_wrong - the first point that does not hold; NULL: all do. */
const struct call_point *readiness_wrong(const struct call_points *points);

#endif
