/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A store says that its disk was written without its tracker, where the module is not there to note it. */
#ifndef FAILBACK_LIB_STORE_BYPASS_H
#define FAILBACK_LIB_STORE_BYPASS_H

#include "base/failure.h"

#define STORE_BYPASS_MS 5000U /* what the module gives a store, too */

/**
 * store_bypass_note - durably, so that the next attach begins a new generation. Repeating it is
 * harmless: a store that says so already is only read, also while its tracker stops.
 * @timeout_ms: for a store that does not answer. The process that asks it is left behind then, and
 * keeps others off the store until it has its answer; the note may be there after all.
 *
 * CODE_IN_USE: something has the store; -ETIMEDOUT; others as cbt_store_super(). Not for programs
 * with threads.
 */
int store_bypass_note(const char *store, unsigned int timeout_ms, struct failure *f);

#endif
