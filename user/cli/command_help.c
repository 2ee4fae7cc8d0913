// SPDX-License-Identifier: GPL-2.0-or-later
/* `failback help states`: the table that decides what a relationship may do next. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "daemon/relationship.h"

int command_help(struct client *client, const struct options *o, struct failure *f)
{
	(void)client;
	if (!o->operand || strcmp(o->operand, "states") != 0)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "The topic of `failback help` is `states`; for the commands, see "
				   "`failback --help`.");
	for (unsigned int i = 0; i < NR_STATES * NR_EVENTS; i++) {
		enum relationship_state state = i / NR_EVENTS;
		enum relationship_event event = i % NR_EVENTS;
		char cell[128];

		relationship_cell_text(state, event, cell, sizeof(cell));
		(void)printf("%u %s; %s: %s\n", (unsigned int)state, state_name(state),
			     event_name(event), cell[0] ? cell : "-");
	}
	return 0;
}
