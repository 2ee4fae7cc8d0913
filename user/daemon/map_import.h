/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking over the peer's map: what it wrote while it was the primary, and what never arrived here,
 * is dirty here afterwards, and so part of the next delta.
 */
#ifndef FAILBACK_DAEMON_MAP_IMPORT_H
#define FAILBACK_DAEMON_MAP_IMPORT_H

#include "daemon/calls.h"
#include "daemon/vm.h"
#include "lib/conn.h"

struct map_import;

/** map_import_needed - does a disk of @vm wait for its peer's map (SEND_BOTH)? */
bool map_import_needed(const struct vm *vm);

/**
 * map_import_start - of all disks that wait for it, over @conn, idle and the caller's.
 * @done: once, in a later turn. @error 0: all of it is durable in the trackers here, and the record
 *	says so. -ENODATA: the peer has lost it. The caller frees *@ret then.
 *
 * CRASH: until that record is there, all is asked for again; to mark what is marked changes nothing.
 */
int map_import_start(struct vm *vm, struct conn *conn,
		     void (*done)(void *context, int error, const struct failure *why), void *context,
		     struct map_import **ret, struct failure *f);

/** map_import_free_at - *@import may be NULL, and is then. In the middle: done() does not follow. */
void map_import_free_at(struct map_import **import);

/**
 * map_answer - the peer's half: into @reply, the map of the disk that @call names, which this replica
 * has kept from its life as the primary.
 */
int map_answer(const struct vm *vm, const struct call *call, struct reply *reply, struct failure *f);

#endif
