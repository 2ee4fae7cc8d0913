/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two hosts that both may run a VM: since an operator failed it over by force while its primary lived.
 * Nothing flows until one of them is chosen as the loser; what each has done is shown for that.
 */
#ifndef FAILBACK_DAEMON_SPLIT_BRAIN_H
#define FAILBACK_DAEMON_SPLIT_BRAIN_H

#include "daemon/calls.h"
#include "daemon/vm.h"

/** split_brain_refuse - the peer, which has said @there, asked for what only one host can do. */
int split_brain_refuse(struct vm *vm, const struct history *there, struct failure *f);

/** split_brain_look - the peer has said @there: is it so? Then it is noted, and told to the operator. */
void split_brain_look(struct vm *vm, const struct history *there);

/**
 * split_brain_to_json - both histories, ours first: [{"host", "mode", "mode_name", "state",
 * "state_name", "since_us", "term", "base", "written_bytes"}, ...]; "" where there is none. malloc()ed, NULL: out of memory.
 */
char *split_brain_to_json(const struct vm *vm);

#endif
