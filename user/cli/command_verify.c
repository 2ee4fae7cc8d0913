// SPDX-License-Identifier: GPL-2.0-or-later
/* `failback verify`: do two disks hold the same? On both hosts; it writes to neither. */
#include <errno.h>

#include "cli/by_hand.h"
#include "cli/command.h"

int command_verify(struct client *client, const struct options *o, struct failure *f)
{
	(void)client;
	if (!o->to == !o->listen)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "Give --listen ADDRESS on one host, and then --to ADDRESS on the "
				   "other, which prints what differs.");
	return o->to ? by_hand_send(o, true, f) : by_hand_receive(o, true, f);
}
