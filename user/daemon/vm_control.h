/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does a VM run, and stopping and starting it: by commands that the configuration names (vm-running,
 * vm-stop, vm-start). Without them the controller knows a VM only by who has its devices open.
 *
 * A command is words separated by spaces, the first of them a path; there is no shell and no quoting.
 * In a word, %n is the VM's name, %u its UUID and %% a percent sign. It runs with nothing open but its
 * standard input (/dev/null), output and error (the daemon's log), and is killed with all that it
 * started after vm-timeout seconds.
 */
#ifndef FAILBACK_DAEMON_VM_CONTROL_H
#define FAILBACK_DAEMON_VM_CONTROL_H

#include "daemon/vm.h"

#define VM_WORDS_MAX	  16
#define VM_WORD_BYTES_MAX 512

struct vm_words {
	char texts[VM_WORDS_MAX][VM_WORD_BYTES_MAX];
	const char *argv[VM_WORDS_MAX + 1]; /* ends with NULL */
};

/** vm_words_make - PURE: the words of @command, for a VM. CODE_INVALID_PARAMETER says what is wrong with it. */
int vm_words_make(const char *command, const char *name, const char *uuid, struct vm_words *ret,
		  struct failure *f);

struct vm_control;

/** vm_control_done - once, in a later turn; the owner frees what it holds then. @why NULL: it is so. */
typedef void (*vm_control_done)(void *context, const struct failure *why);

/**
 * vm_control_stop - see to it that @vm does not run: ask, stop it, ask until it is so. CODE_IN_USE: it
 * runs, and no command stops it.
 *
 * 1, and no done(): no command can tell.
 */
int vm_control_stop(struct vm *vm, vm_control_done done, void *context, struct vm_control **ret,
		    struct failure *f);

/** vm_control_start - @vm is to run. 1, and no done(): no command starts it. */
int vm_control_start(struct vm *vm, vm_control_done done, void *context, struct vm_control **ret,
		     struct failure *f);

/** vm_control_free_at - *@c may be NULL, and is then. A command that runs is killed, without done(). */
void vm_control_free_at(struct vm_control **c);

#endif
