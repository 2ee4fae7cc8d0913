// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table [state][event]: for each mode in which the event is legal in that state, the role that
 * it leads to. What is not in the table is not legal. A self-transition is listed too: it says that
 * the event may happen there. `failback help states` prints it.
 *
 * Which host may run the VM is not decided here but by daemon/role_swap.c: its roles are what is
 * the same here but for the replication (swap_role_of()).
 */
#include "daemon/relationship.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"

struct step {
	struct relationship_role to[MODE_REPLICA + 1]; /* by the mode that it happens in */
	bool legal[MODE_REPLICA + 1];
};

#define NONE(mode, state) \
	.to[MODE_NONE] = { MODE_##mode, STATE_##state }, .legal[MODE_NONE] = true
#define P(mode, state) \
	.to[MODE_PRIMARY] = { MODE_##mode, STATE_##state }, .legal[MODE_PRIMARY] = true
#define R(mode, state) \
	.to[MODE_REPLICA] = { MODE_##mode, STATE_##state }, .legal[MODE_REPLICA] = true

static const struct step steps[NR_STATES][NR_EVENTS] = {
	[STATE_DISABLED] = {
		[EVENT_CREATE] = { NONE(PRIMARY, READY) },
		[EVENT_CREATED_BY_PEER] = { NONE(REPLICA, WAITING_INITIAL) },
	},
	[STATE_READY] = {
		[EVENT_REMOVE] = { P(NONE, DISABLED) },
		[EVENT_START] = { P(PRIMARY, WAITING_INITIAL) },
		[EVENT_YIELD] = { P(PRIMARY, CRITICAL) },
		[EVENT_CONVERTED_BY_PEER] = { P(REPLICA, WAITING_INITIAL) },
	},
	[STATE_WAITING_INITIAL] = {
		[EVENT_REMOVE] = { P(NONE, DISABLED), R(NONE, DISABLED) },
		[EVENT_START] = { P(PRIMARY, WAITING_INITIAL) },
		[EVENT_RESUME] = { P(PRIMARY, WAITING_INITIAL) },
		[EVENT_DELTA_SENT] = { P(PRIMARY, REPLICATING) },
		[EVENT_DELTA_FAILED] = { P(PRIMARY, WAITING_INITIAL) },
		[EVENT_DELTA_REFUSED] = { P(PRIMARY, WAITING_INITIAL) },
		[EVENT_RESYNCHRONIZE] = { P(PRIMARY, WAITING_INITIAL) },
		[EVENT_YIELD] = { P(PRIMARY, CRITICAL) },
		[EVENT_RECEIVE] = { R(REPLICA, WAITING_INITIAL) },
		[EVENT_RECEIVED] = { R(REPLICA, REPLICATING) },
		[EVENT_RECEIVE_FAILED] = { R(REPLICA, WAITING_INITIAL) },
		[EVENT_FAILOVER] = { R(REPLICA, RECOVERED) },
		[EVENT_REVERSED_BY_PEER] = { R(REPLICA, WAITING_INITIAL) },
		[EVENT_CONVERTED_BY_PEER] = { P(REPLICA, WAITING_INITIAL),
					      R(REPLICA, WAITING_INITIAL) },
	},
	[STATE_REPLICATING] = {
		[EVENT_REMOVE] = { P(NONE, DISABLED), R(NONE, DISABLED) },
		[EVENT_SUSPEND] = { P(PRIMARY, SUSPENDED), R(REPLICA, SUSPENDED) },
		[EVENT_RESUME] = { P(PRIMARY, REPLICATING), R(REPLICA, REPLICATING) },
		[EVENT_DELTA_SENT] = { P(PRIMARY, REPLICATING) },
		[EVENT_DELTA_FAILED] = { P(PRIMARY, REPLICATING) },
		[EVENT_DELTA_REFUSED] = { P(PRIMARY, CRITICAL) },
		[EVENT_RESYNC_NEEDED] = { P(PRIMARY, WAITING_RESYNCHRONIZE) },
		[EVENT_PREPARED] = { P(PRIMARY, PREPARED) },
		[EVENT_YIELD] = { P(PRIMARY, CRITICAL) },
		[EVENT_RECEIVE] = { R(REPLICA, REPLICATING) },
		[EVENT_RECEIVED] = { R(REPLICA, REPLICATING) },
		[EVENT_RECEIVE_FAILED] = { R(REPLICA, REPLICATING) },
		[EVENT_FAILOVER] = { R(REPLICA, RECOVERED) },
		[EVENT_REVERSED_BY_PEER] = { R(REPLICA, REPLICATING) },
		[EVENT_CONVERTED_BY_PEER] = { P(REPLICA, WAITING_INITIAL),
					      R(REPLICA, WAITING_INITIAL) },
	},
	[STATE_PREPARED] = {
		[EVENT_REMOVE] = { P(NONE, DISABLED) },
		[EVENT_CANCEL_PREPARED] = { P(PRIMARY, REPLICATING) },
		[EVENT_YIELD] = { P(PRIMARY, PREPARED) },
		[EVENT_REVERSED_BY_PEER] = { P(REPLICA, REPLICATING) },
		[EVENT_CONVERTED_BY_PEER] = { P(REPLICA, WAITING_INITIAL) },
	},
	[STATE_RECOVERED] = {
		[EVENT_REMOVE] = { R(NONE, DISABLED) },
		[EVENT_REVERT] = { R(REPLICA, REPLICATING) },
		[EVENT_REVERT_WRITTEN] = { R(REPLICA, WAITING_INITIAL) },
		[EVENT_COMMIT] = { R(REPLICA, COMMITTED) },
		[EVENT_REVERSE] = { R(PRIMARY, REPLICATING) },
		[EVENT_REVERSE_UNPLANNED] = { R(PRIMARY, WAITING_INITIAL) },
	},
	[STATE_COMMITTED] = {
		[EVENT_REMOVE] = { R(NONE, DISABLED) },
		[EVENT_REVERSE] = { R(PRIMARY, REPLICATING) },
		[EVENT_REVERSE_UNPLANNED] = { R(PRIMARY, WAITING_INITIAL) },
	},
	[STATE_SUSPENDED] = {
		[EVENT_REMOVE] = { P(NONE, DISABLED), R(NONE, DISABLED) },
		[EVENT_RESUME] = { P(PRIMARY, REPLICATING), R(REPLICA, REPLICATING) },
		[EVENT_RESYNCHRONIZE] = { P(PRIMARY, RESYNCHRONIZING) },
		[EVENT_YIELD] = { P(PRIMARY, CRITICAL) },
		[EVENT_FAILOVER] = { R(REPLICA, RECOVERED) },
		[EVENT_REVERSED_BY_PEER] = { R(REPLICA, REPLICATING) },
		[EVENT_CONVERTED_BY_PEER] = { P(REPLICA, WAITING_INITIAL),
					      R(REPLICA, WAITING_INITIAL) },
	},
	[STATE_CRITICAL] = {
		[EVENT_REMOVE] = { P(NONE, DISABLED) },
		[EVENT_SUSPEND] = { P(PRIMARY, SUSPENDED) },
		[EVENT_RESUME] = { P(PRIMARY, CRITICAL) },
		[EVENT_DELTA_SENT] = { P(PRIMARY, REPLICATING) },
		[EVENT_DELTA_FAILED] = { P(PRIMARY, CRITICAL) },
		[EVENT_DELTA_REFUSED] = { P(PRIMARY, CRITICAL) },
		[EVENT_RESYNC_NEEDED] = { P(PRIMARY, WAITING_RESYNCHRONIZE) },
		[EVENT_RESYNCHRONIZE] = { P(PRIMARY, RESYNCHRONIZING) },
		[EVENT_PREPARED] = { P(PRIMARY, PREPARED) },
		[EVENT_CANCEL_PREPARED] = { P(PRIMARY, CRITICAL) },
		[EVENT_YIELD] = { P(PRIMARY, CRITICAL) },
		[EVENT_CONVERTED_BY_PEER] = { P(REPLICA, WAITING_INITIAL) },
	},
	[STATE_WAITING_RESYNCHRONIZE] = {
		[EVENT_REMOVE] = { P(NONE, DISABLED) },
		[EVENT_SUSPEND] = { P(PRIMARY, SUSPENDED) },
		[EVENT_RESUME] = { P(PRIMARY, WAITING_RESYNCHRONIZE) },
		[EVENT_DELTA_SENT] = { P(PRIMARY, REPLICATING) },
		[EVENT_DELTA_FAILED] = { P(PRIMARY, WAITING_RESYNCHRONIZE) },
		[EVENT_DELTA_REFUSED] = { P(PRIMARY, WAITING_RESYNCHRONIZE) },
		[EVENT_RESYNC_NEEDED] = { P(PRIMARY, WAITING_RESYNCHRONIZE) },
		[EVENT_RESYNCHRONIZE] = { P(PRIMARY, RESYNCHRONIZING) },
		[EVENT_YIELD] = { P(PRIMARY, CRITICAL) },
		[EVENT_CONVERTED_BY_PEER] = { P(REPLICA, WAITING_INITIAL) },
	},
	[STATE_RESYNCHRONIZING] = {
		[EVENT_REMOVE] = { P(NONE, DISABLED) },
		[EVENT_SUSPEND] = { P(PRIMARY, RESYNCHRONIZE_SUSPENDED) },
		[EVENT_RESUME] = { P(PRIMARY, RESYNCHRONIZING) },
		[EVENT_DELTA_SENT] = { P(PRIMARY, REPLICATING) },
		[EVENT_DELTA_FAILED] = { P(PRIMARY, RESYNCHRONIZING) },
		[EVENT_DELTA_REFUSED] = { P(PRIMARY, WAITING_RESYNCHRONIZE) },
		[EVENT_YIELD] = { P(PRIMARY, CRITICAL) },
		[EVENT_CONVERTED_BY_PEER] = { P(REPLICA, WAITING_INITIAL) },
	},
	[STATE_RESYNCHRONIZE_SUSPENDED] = {
		[EVENT_REMOVE] = { P(NONE, DISABLED) },
		[EVENT_RESUME] = { P(PRIMARY, RESYNCHRONIZING) },
		[EVENT_RESYNCHRONIZE] = { P(PRIMARY, RESYNCHRONIZING) },
		[EVENT_YIELD] = { P(PRIMARY, CRITICAL) },
		[EVENT_CONVERTED_BY_PEER] = { P(REPLICA, WAITING_INITIAL) },
	},
};

#undef NONE
#undef P
#undef R

static const char *const mode_names[NR_MODES] = {
	"None", "Primary", "Replica", "Test replica", "Extended replica",
};

static const char *const state_names[NR_STATES] = {
	"Disabled",
	"Ready for replication",
	"Waiting to complete initial replication",
	"Replicating",
	"Synced replication complete",
	"Recovered",
	"Committed",
	"Suspended",
	"Critical",
	"Waiting to start resynchronization",
	"Resynchronizing",
	"Resynchronization suspended",
	"Failover in progress",
	"Failback in progress",
	"Failback complete",
	"Disk update in progress",
	"Disk update critical",
	"Unknown",
	"Repurpose replication in progress",
	"Prepared for sync replication",
	"Prepared for group reverse replication",
	"Firedrill in progress",
};

static const char *const health_names[NR_HEALTHS] = { "Not applicable", "OK", "Warning",
						      "Critical" };

static const char *const event_names[NR_EVENTS] = {
	[EVENT_CREATE] = "create",
	[EVENT_CREATED_BY_PEER] = "created by peer",
	[EVENT_REMOVE] = "remove",
	[EVENT_START] = "start the initial replication",
	[EVENT_SUSPEND] = "suspend",
	[EVENT_RESUME] = "resume",
	[EVENT_DELTA_SENT] = "delta sent",
	[EVENT_DELTA_FAILED] = "delta failed",
	[EVENT_DELTA_REFUSED] = "delta refused",
	[EVENT_RESYNC_NEEDED] = "resynchronisation needed",
	[EVENT_RESYNCHRONIZE] = "resynchronise",
	[EVENT_PREPARED] = "prepare for planned failover",
	[EVENT_CANCEL_PREPARED] = "cancel a prepared failover",
	[EVENT_YIELD] = "yield",
	[EVENT_RECEIVE] = "receive",
	[EVENT_RECEIVED] = "delta received",
	[EVENT_RECEIVE_FAILED] = "receive failed",
	[EVENT_FAILOVER] = "failover",
	[EVENT_REVERT] = "revert",
	[EVENT_REVERT_WRITTEN] = "revert, written to",
	[EVENT_COMMIT] = "commit",
	[EVENT_REVERSE] = "reverse",
	[EVENT_REVERSE_UNPLANNED] = "reverse, unplanned",
	[EVENT_REVERSED_BY_PEER] = "reversed by peer",
	[EVENT_CONVERTED_BY_PEER] = "converted by peer",
};

static const struct step *find_step(struct relationship_role from, enum relationship_event event)
{
	const struct step *step;

	if ((unsigned int)from.state >= NR_STATES || (unsigned int)event >= NR_EVENTS ||
	    (unsigned int)from.mode > MODE_REPLICA)
		return NULL;
	step = &steps[from.state][event];
	return step->legal[from.mode] ? step : NULL;
}

bool relationship_step(struct relationship_role from, enum relationship_event event,
		       struct relationship_role *ret)
{
	const struct step *step = find_step(from, event);

	if (!step)
		return false;
	*ret = step->to[from.mode];
	return true;
}

static void append(char *buf, size_t size, const char *fmt, ...) printf_like(3, 4);

static void append(char *buf, size_t size, const char *fmt, ...)
{
	size_t len = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(buf + len, size - len, fmt, ap);
	va_end(ap);
}

static void append_role(char *buf, size_t size, struct relationship_role role)
{
	append(buf, size, "%s in state %u (%s)", mode_name(role.mode), (unsigned int)role.state,
	       state_name(role.state));
}

void relationship_role_text(struct relationship_role role, char *buf, size_t size)
{
	buf[0] = '\0';
	append_role(buf, size, role);
}

/* False: @role has no room, nor has what would stand for those after it. */
static bool append_or(char *buf, size_t size, const char *role, const char *rest)
{
	const char *or = buf[0] ? " or " : "";

	if (strlen(buf) + strlen(or) + strlen(role) + strlen(rest) >= size)
		return false;
	append(buf, size, "%s%s", or, role);
	return true;
}

void relationship_needs(enum relationship_event event, char *buf, size_t size)
{
	static const char rest[] = ", ...";
	char role[96];

	buf[0] = '\0';
	for (unsigned int i = 0; i < NR_STATES * (MODE_REPLICA + 1); i++) {
		struct relationship_role from = { i % (MODE_REPLICA + 1), i / (MODE_REPLICA + 1) };

		if (!find_step(from, event))
			continue;
		relationship_role_text(from, role, sizeof(role));
		if (append_or(buf, size, role, rest))
			continue;
		append(buf, size, "%s", rest);
		return;
	}
}

void relationship_cell_text(enum relationship_state state, enum relationship_event event, char *buf,
			    size_t size)
{
	buf[0] = '\0';
	for (unsigned int mode = MODE_NONE; mode <= MODE_REPLICA; mode++) {
		struct relationship_role to;

		if (!relationship_step((struct relationship_role){ mode, state }, event, &to))
			continue;
		append(buf, size, "%s%s -> %s %u", buf[0] ? ", " : "", mode_name(mode),
		       mode_name(to.mode), (unsigned int)to.state);
	}
}

const char *mode_name(unsigned int mode)
{
	return mode < NR_MODES ? mode_names[mode] : "Unknown";
}

const char *state_name(unsigned int state)
{
	return state < NR_STATES ? state_names[state] : "Unknown";
}

const char *health_name(unsigned int health)
{
	return health < NR_HEALTHS ? health_names[health] : "Unknown";
}

const char *event_name(enum relationship_event event)
{
	return (unsigned int)event < NR_EVENTS ? event_names[event] : "unknown";
}

bool failover_has_source(struct relationship_role own, const struct uuid *base,
			 struct relationship_role peer, const struct uuid *peer_base)
{
	if (own.state != STATE_WAITING_INITIAL || !uuid_is_nil(base))
		return true;
	return peer.mode == MODE_REPLICA && peer.state == STATE_WAITING_INITIAL &&
	       uuid_is_nil(peer_base);
}

bool base_is_covered(const struct uuid *own, const struct uuid *incoming, const struct uuid *base,
		     const struct uuid *aborted, size_t nr)
{
	if (uuid_equal(own, base))
		return true;
	if (!uuid_is_nil(incoming) && uuid_equal(incoming, base))
		return true;
	for (size_t i = 0; i < nr; i++) {
		if (uuid_equal(own, &aborted[i]))
			return true;
	}
	return false;
}
