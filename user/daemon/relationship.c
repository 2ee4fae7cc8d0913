// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table [state][event]: at most one mode in which the event is legal in that state, and the
 * role it leads to. What is not in the table is not legal. A self-transition is listed too: it
 * says that the event may happen there.
 *
 * Reverse is two events on two hosts. The old primary takes REVERSED_BY_PEER first, the caller
 * REVERSE after it: a crash between the two leaves two replicas, never two primaries, and the
 * caller, still in state 5 or 6, may repeat it because REVERSED_BY_PEER is legal where it leads
 * to.
 */
#include "daemon/relationship.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"

struct step {
	enum relationship_mode from; /* MODE_NONE: not legal */
	struct relationship_role to;
};

#define STEP(from_mode, to_mode, to_state)                                           \
	{                                                                            \
		.from = MODE_##from_mode, .to = { MODE_##to_mode, STATE_##to_state } \
	}

static const struct step steps[NR_STATES][NR_EVENTS] = {
	[STATE_REPLICATING] = {
		[EVENT_REVERSED_BY_PEER] = STEP(REPLICA, REPLICA, REPLICATING),
		[EVENT_PREPARED] = STEP(PRIMARY, PRIMARY, PREPARED),
		[EVENT_RESUME] = STEP(PRIMARY, PRIMARY, REPLICATING),
		[EVENT_DELTA_SENT] = STEP(PRIMARY, PRIMARY, REPLICATING),
		[EVENT_DELTA_FAILED] = STEP(PRIMARY, PRIMARY, REPLICATING),
		[EVENT_DELTA_REFUSED] = STEP(PRIMARY, PRIMARY, CRITICAL),
		[EVENT_RECEIVE] = STEP(REPLICA, REPLICA, REPLICATING),
		[EVENT_RECEIVED] = STEP(REPLICA, REPLICA, REPLICATING),
		[EVENT_RECEIVE_FAILED] = STEP(REPLICA, REPLICA, REPLICATING),
	},
	[STATE_PREPARED] = {
		[EVENT_REVERSED_BY_PEER] = STEP(PRIMARY, REPLICA, REPLICATING),
		[EVENT_RESUME] = STEP(PRIMARY, PRIMARY, REPLICATING),
	},
	[STATE_RECOVERED] = {
		[EVENT_REVERSE] = STEP(REPLICA, PRIMARY, REPLICATING),
	},
	[STATE_COMMITTED] = {
		[EVENT_REVERSE] = STEP(REPLICA, PRIMARY, REPLICATING),
	},
	[STATE_CRITICAL] = {
		[EVENT_PREPARED] = STEP(PRIMARY, PRIMARY, PREPARED),
		[EVENT_RESUME] = STEP(PRIMARY, PRIMARY, CRITICAL),
		[EVENT_DELTA_SENT] = STEP(PRIMARY, PRIMARY, REPLICATING),
		[EVENT_DELTA_FAILED] = STEP(PRIMARY, PRIMARY, CRITICAL),
		[EVENT_DELTA_REFUSED] = STEP(PRIMARY, PRIMARY, CRITICAL),
	},
};

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
	[EVENT_REVERSE] = "reverse",
	[EVENT_REVERSED_BY_PEER] = "reversed by peer",
	[EVENT_PREPARED] = "prepare for planned failover",
	[EVENT_RESUME] = "resume",
	[EVENT_DELTA_SENT] = "delta sent",
	[EVENT_DELTA_FAILED] = "delta failed",
	[EVENT_DELTA_REFUSED] = "delta refused",
	[EVENT_RECEIVE] = "receive",
	[EVENT_RECEIVED] = "delta received",
	[EVENT_RECEIVE_FAILED] = "receive failed",
};

bool relationship_step(struct relationship_role from, enum relationship_event event,
		       struct relationship_role *ret)
{
	const struct step *step;

	if ((unsigned int)from.state >= NR_STATES || (unsigned int)event >= NR_EVENTS)
		return false;
	step = &steps[from.state][event];
	if (step->from == MODE_NONE || step->from != from.mode)
		return false;
	*ret = step->to;
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

void relationship_needs(enum relationship_event event, char *buf, size_t size)
{
	buf[0] = '\0';
	for (unsigned int state = 0; state < NR_STATES; state++) {
		const struct step *step = &steps[state][event];

		if (step->from == MODE_NONE)
			continue;
		if (buf[0])
			append(buf, size, " or ");
		append_role(buf, size, (struct relationship_role){ step->from, state });
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
