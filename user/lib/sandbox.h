/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a process gives up that has all it needs and is about to read what a peer sends. sandbox.c is the
 * only file that knows libseccomp.
 *
 * Two steps, in this order: sandbox_drop() before anything that inherits rights is made (threads, rings),
 * sandbox_filter() after, since their making needs what it takes.
 */
#ifndef FAILBACK_LIB_SANDBOX_H
#define FAILBACK_LIB_SANDBOX_H

#include "base/failure.h"

/* Of the workers; where there is no such user, the one that owns nothing (65534). */
#define SANDBOX_USER "failback"

/**
 * sandbox_drop - from root to SANDBOX_USER; no groups, no capabilities, nothing that an execve could give
 * back, no debugger. Descriptors stay open, the signal of a parent's death stays set, and locked memory
 * is not limited where it was not.
 */
int sandbox_drop(struct failure *f);

/**
 * sandbox_filter - from now on this process and all its threads read and write the descriptors that they
 * have, and get memory and time. An execve kills it; whatever else is asked for (to open, to connect, to
 * start a process) is refused with EPERM.
 */
int sandbox_filter(struct failure *f);

#endif
