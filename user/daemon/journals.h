/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The journals of deltas that are received: one file per VM, from before its delta is accepted until
 * that is applied or dropped.
 *
 * Its path is recorded before the delta is accepted (relationship_record.journal). While it is, what
 * the disks hold is known only with the file: whoever wants them settles it first.
 */
#ifndef FAILBACK_DAEMON_JOURNALS_H
#define FAILBACK_DAEMON_JOURNALS_H

#include "daemon/calls.h"
#include "daemon/vm.h"

/**
 * journal_make - a file with room for the delta of @call, where the settings say.
 * @ret_fd: the caller's
 *
 * -EOPNOTSUPP: the settings, or a delta of whole disks, ask for none. Any other failure says why it
 * cannot be had. Without one the delta is received in place.
 */
int journal_make(struct daemon *d, const struct call *call, char ret_path[PATH_MAX], int *ret_fd,
		 struct failure *f);

/**
 * journal_check_none - does no file stand where the journal of VM @vm would be? -EEXIST,
 * CODE_INVALID_STATE: one does, and no record says what is in it.
 */
int journal_check_none(const struct daemon *d, const struct uuid *vm, struct failure *f);

/**
 * journal_check_room - would there be room for the journal of a delta of @bytes? Beside the one that is
 * there, if there is one. -EOPNOTSUPP: the settings ask for none.
 */
int journal_check_room(const struct daemon *d, uint64_t bytes, struct failure *f);

/**
 * journal_is_partial - does the journal of @vm hold the beginning of a delta, which may be gone on with?
 * False also when nobody can tell.
 */
bool journal_is_partial(const struct vm *vm);

/**
 * journal_reopen - the partial one, when it is of @call's delta; @ret_fd is the caller's. False: it is
 * not, or none is wanted any more.
 */
bool journal_reopen(const struct vm *vm, const struct call *call, int *ret_fd);

/** journal_drop - forget a partial one: nothing of it is on the disks. */
int journal_drop(struct vm *vm, struct failure *f);

/**
 * journal_is_away - does the record name one, and neither it nor what is left beside one that is gone is there, or
 * another delta's is? Then its directory is not: most likely it is not mounted, or something else is.
 */
bool journal_is_away(const struct vm *vm);

/** journal_sweep - at the start: remove a file that a crash kept from being recorded. */
void journal_sweep(const struct vm *vm);

/** journal_remove - the file at @path, after the record stopped naming it. "" is fine. */
void journal_remove(const char *path);

struct settling;

/**
 * journal_settle - bring the disks of @vm, which has a journal, to one epoch: a complete delta is
 * applied, an incomplete one dropped. Then the record names no journal, and the file is removed.
 * @done: once, in a later turn; @f NULL: it is settled, the record says what the disks hold. The
 *	caller frees *@ret then.
 *
 * A journal that is gone takes the base with it: the VM's disks are inconsistent, until all is
 * sent. One that is away (journal_is_away()) fails at once, CODE_FILE_NOT_FOUND. Whatever fails, @vm->unsettled
 * says why.
 */
int journal_settle(struct vm *vm, void (*done)(void *context, const struct failure *f),
		   void *context, struct settling **ret, struct failure *f);

/** settling_terminate - ask for its end; done() follows, and nothing is settled. */
void settling_terminate(struct settling *s);

/** settling_free_at - *@s may be NULL, and is then. */
void settling_free_at(struct settling **s);

#endif
