/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who knows whether a VM runs, and stops and starts it: the setting vm-driver. Either way it is a process
 * that is asked, so that one that hangs can be killed.
 *
 * exec: the commands vm-running, vm-stop and vm-start, of which each may be missing. A command is words
 * separated by spaces, the first of them a path; there is no shell and no quoting. In a word, %n is the VM's
 * name, %u its UUID and %% a percent sign.
 *
 * libvirt: failback-libvirt, which asks the libvirt at libvirt-uri about the domain that has the VM's UUID. It alone
 * has definitions; what came from the peer, it is given with VM_READY too, on standard input.
 *
 * The exit status of a process that was asked whether a VM runs is 0: it does, 1: it does not; anything else:
 * it cannot tell. Of one that was to stop or start it, 0: it was asked to, or it runs.
 */
#ifndef FAILBACK_DAEMON_VM_DRIVER_H
#define FAILBACK_DAEMON_VM_DRIVER_H

#include <sys/types.h>

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

/* VM_READY: could it be stopped, or started, now? Of commands all that is asked is whether it runs. */
/* VM_AUTOSTART: start it if its hypervisor should have when the host started, before its disks were in sight. */
/* VM_DUMP: print its definition (lib/definition.h). VM_DEFINE: bring the one on standard input here. */
/* VM_REDEFINE: the same for a VM that may have run here since, and whose own files are newer then. */
enum vm_question { VM_RUNNING, VM_READY, VM_STOP, VM_START, VM_AUTOSTART, VM_DUMP, VM_DEFINE, VM_REDEFINE };

struct vm_driver {
	/* PURE: what is run, as people know it. NULL: nothing is, that cannot be asked. */
	const char *(*command)(const struct host_config *config, enum vm_question question);
	/* Runs it with @fds as its standard input, output and error, and nothing else open. */
	int (*start)(const struct vm *vm, enum vm_question question, const int fds[3], pid_t *ret,
		     struct failure *f);
	/* The last line on its standard error says why it failed, and its exit status is that of the code. */
	bool explains;
};

/** vm_driver_of - PURE: that of the setting vm-driver. */
const struct vm_driver *vm_driver_of(const struct host_config *config);

#endif
