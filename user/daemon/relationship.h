/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a relationship may do next. Pure: no I/O, no globals; the daemon looks up a step here,
 * makes its outcome durable, and only then acts on it.
 *
 * Modes and states carry the numbers and names of Msvm_ComputerSystem.ReplicationMode and
 * Msvm_ReplicationRelationship.ReplicationState.
 */
#ifndef FAILBACK_DAEMON_RELATIONSHIP_H
#define FAILBACK_DAEMON_RELATIONSHIP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/uuid.h"

enum relationship_mode {
	MODE_NONE,
	MODE_PRIMARY,
	MODE_REPLICA,
	MODE_TEST_REPLICA,
	MODE_EXTENDED_REPLICA,
	NR_MODES
};

enum relationship_state {
	STATE_DISABLED,
	STATE_READY,
	STATE_WAITING_INITIAL,
	STATE_REPLICATING,
	STATE_PREPARED,
	STATE_RECOVERED,
	STATE_COMMITTED,
	STATE_SUSPENDED,
	STATE_CRITICAL,
	STATE_WAITING_RESYNCHRONIZE,
	STATE_RESYNCHRONIZING,
	STATE_RESYNCHRONIZE_SUSPENDED,
	STATE_FAILOVER_IN_PROGRESS,
	STATE_FAILBACK_IN_PROGRESS,
	STATE_FAILBACK_COMPLETE,
	STATE_DISK_UPDATE_IN_PROGRESS,
	STATE_DISK_UPDATE_CRITICAL,
	STATE_UNKNOWN,
	STATE_REPURPOSE_IN_PROGRESS,
	STATE_PREPARED_SYNC,
	STATE_PREPARED_GROUP_REVERSE,
	STATE_FIREDRILL,
	NR_STATES
};

enum relationship_health {
	HEALTH_NOT_APPLICABLE,
	HEALTH_OK,
	HEALTH_WARNING,
	HEALTH_CRITICAL,
	NR_HEALTHS
};

/*
 * What can happen to a relationship. The host it happens on is in the comment where only one role
 * can see it.
 */
enum relationship_event {
	EVENT_CREATE, /* the operator makes this host the primary */
	EVENT_CREATED_BY_PEER, /* the peer's operator makes this host the replica */
	EVENT_REMOVE,
	EVENT_START, /* primary: the initial replication begins */
	EVENT_SUSPEND, /* deltas neither go nor come; what is written stays marked */
	EVENT_RESUME, /* primary: a delta is to be sent; both: go on after a suspension */
	EVENT_DELTA_SENT, /* primary: the peer acknowledged a delta as durable */
	EVENT_DELTA_FAILED, /* primary: a delta failed in a way that the next one heals */
	EVENT_DELTA_REFUSED, /* primary: the peer will refuse every delta until someone acts */
	EVENT_RESYNC_NEEDED, /* primary: no map proves what differs */
	EVENT_RESYNCHRONIZE, /* primary: the whole disks are to be sent */
	EVENT_PREPARED, /* primary: the last delta before a planned failover is durable */
	EVENT_CANCEL_PREPARED, /* primary: the peer agreed that it did not take over */
	EVENT_YIELD, /* primary: its operator chose it as the loser of a split brain */
	EVENT_RECEIVE, /* replica: the peer wants to send a delta */
	EVENT_RECEIVED, /* replica: a delta is applied and flushed */
	EVENT_RECEIVE_FAILED, /* replica: a delta ended early */
	EVENT_FAILOVER, /* replica: the VM may run here from now on */
	EVENT_REVERT, /* replica: the VM did not write after the failover */
	EVENT_REVERT_WRITTEN, /* replica: it did, the disks need a resynchronisation */
	EVENT_COMMIT, /* replica: the failover is final */
	EVENT_REVERSE, /* replica: the peer is durably our replica, equal but for our map */
	EVENT_REVERSE_UNPLANNED, /* replica: the same, but what its disks hold is not known */
	EVENT_REVERSED_BY_PEER, /* old primary, prepared: become the caller's replica */
	EVENT_CONVERTED_BY_PEER, /* old primary, not prepared: the same */
	NR_EVENTS
};

struct relationship_role {
	enum relationship_mode mode;
	enum relationship_state state;
};

/* None in state 0: not in the database. */
#define ROLE_NONE ((struct relationship_role){ MODE_NONE, STATE_DISABLED })

/**
 * relationship_step - where @event leads from @from; false, with *@ret untouched, if it is not
 * legal there.
 */
bool relationship_step(struct relationship_role from, enum relationship_event event,
		       struct relationship_role *ret);

/**
 * relationship_needs - what @event needs, as text: "Primary in state 4 (Prepared for planned
 * failover) or ...". Always NUL-terminated. Roles that find no room are left out, whole: ", ...".
 */
void relationship_needs(enum relationship_event event, char *buf, size_t size);

/**
 * relationship_cell_text - a cell of the table, as "Primary -> Primary 7, Replica -> Replica 7"; ""
 * where the event is not legal.
 */
void relationship_cell_text(enum relationship_state state, enum relationship_event event, char *buf,
			    size_t size);

/** relationship_role_text - "Replica in state 5 (Recovered)". */
void relationship_role_text(struct relationship_role role, char *buf, size_t size);

const char *
mode_name(unsigned int mode); /* "Unknown" outside the enumeration; so do the next two */
const char *state_name(unsigned int state);
const char *health_name(unsigned int health);
const char *event_name(enum relationship_event event);

/**
 * failover_has_source - do the disks of a replica in role @own hold something to run the VM from?
 * @base: its own; nil in state 2: nothing was sent yet, or what was written here was given up
 * @peer, @peer_base: as it answered; ROLE_NONE: it did not
 *
 * A replica in state 2 was a primary that an unplanned reverse has converted: until something is sent,
 * its disks are as they were. What was given up counts only where the peer has given up its own as well:
 * there is nothing better then.
 */
bool failover_has_source(struct relationship_role own, const struct uuid *base,
			 struct relationship_role peer, const struct uuid *peer_base);

/**
 * base_is_covered - does a delta bring a receiver to its epoch?
 * @own: what the receiver's disks hold, whole epochs only
 * @incoming: the epoch that was being received last and may have been acknowledged without a
 *	record of it; nil: none
 * @base: of the delta
 * @aborted, @nr: epochs whose blocks were merged into the delta
 *
 * True when the receiver holds the base, or an epoch that was merged into the delta because its
 * acknowledgement was lost, or when the sender's base proves that the receiver's last epoch was
 * acknowledged: a sender only takes an epoch as base with that acknowledgement in hand.
 */
bool base_is_covered(const struct uuid *own, const struct uuid *incoming, const struct uuid *base,
		     const struct uuid *aborted, size_t nr);

#endif
