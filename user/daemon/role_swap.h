/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who of two hosts may run the VM: the protocol behind failover, resume, reverse and boot. PURE: no
 * I/O, no globals. The daemon uses it as it stands here, and tests/unit/role_swap.c explores it
 * exhaustively: crashes at every step, of a host or of its daemon alone, messages lost, doubled and
 * late, an operator who repeats himself.
 *
 * A host *faces* the VM while the VM's device is there under the name that the VM uses. It may, in
 * two roles: PRIMARY and FAILED_OVER. CEDED is a primary that has stopped facing for good: prepared
 * for a planned failover, or chosen as the loser of a split brain.
 *
 *	PRIMARY --prepare, yield--> CEDED ----answers reverse----> REPLICA
 *	   ^  ^----resume agreed------'                            |    ^
 *	   |                                    failover agreed, forced  | revert
 *	   '--------- reverse agreed ---------- FAILED_OVER <------'----'
 *
 * Each step that lets a host face the VM needs the word of the other one (a *call* and its
 * *agreement*), or the operator's word that the other one is dead. Every change of a record raises
 * its *term*; a call names the callee's, and its session, as the caller saw them last: it is agreed
 * to only while the callee has not moved since, and so at most once. After a boot a host faces nothing until the other
 * one has confirmed that it did not take over meanwhile.
 *
 * The operator's word is not put to the test. Two orders overrule the other host unheard: a forced
 * failover, and a forced start, which guard-policy = start gives in his place. Given while the other
 * host lives and faces the VM, either of them leads to a *split brain*, and nothing else does. From
 * then on each host refuses all that the other one asks, and nothing flows, since who faces the VM
 * takes no deltas; until one of them yields or reverts.
 *
 * The caller's part: a call asks, the callee makes what swap_answer() returns durable before it
 * replies, the caller makes what swap_take() returns durable before it acts on it. Before a record
 * with a role that may not face the VM is durable, the device is out of the VM's sight.
 */
#ifndef FAILBACK_DAEMON_ROLE_SWAP_H
#define FAILBACK_DAEMON_ROLE_SWAP_H

#include <stdbool.h>
#include <stdint.h>

enum swap_role {
	SWAP_PRIMARY,
	SWAP_CEDED,
	SWAP_REPLICA,
	SWAP_FAILED_OVER,
	NR_SWAP_ROLES
};

/* What one host asks of the other. */
enum swap_ask {
	SWAP_FAILOVER, /* a replica: may I take over? */
	SWAP_RESUME, /* a ceded primary: may I go on as the primary? */
	SWAP_REVERSE, /* a failed-over replica: become my replica */
	SWAP_CONFIRM, /* after a boot: you did not take over, did you? */
	NR_SWAP_ASKS
};

/* What the operator of one host decides, without the other one. */
enum swap_order {
	SWAP_CEDE, /* prepare or yield: the VM is off */
	SWAP_FORCE_FAILOVER, /* the primary is dead */
	SWAP_FORCE_START, /* the other host does not face the VM */
	SWAP_REVERT, /* give a failover up: the VM is off */
	NR_SWAP_ORDERS
};

struct swap_host {
	enum swap_role role; /* durable */
	uint64_t term; /* durable */
	uint64_t session; /* of the daemon: another one after every start */
	bool facing; /* now */
};

struct swap_call {
	enum swap_ask ask;
	uint64_t term; /* the new one; CONFIRM: the caller's */
	uint64_t expects; /* the callee's */
	uint64_t session; /* the callee's */
	uint64_t nonce; /* of this call alone; its reply repeats it */
};

struct swap_reply {
	uint64_t term; /* of the callee, now */
	uint64_t nonce;
};

enum swap_verdict {
	SWAP_AGREED = 0,
	SWAP_WRONG_ROLE,
	SWAP_STALE, /* a host has moved since; look again, and repeat */
	SWAP_SPLIT_BRAIN, /* both hosts face the VM */
};

/*
 * The rules that keep the VM on one host. The daemon passes SWAP_GUARDS_ALL; leaving any out lets
 * the exploration find two hosts that face the VM, one that faces it in a role that may not, two replicas
 * of which neither gave a failover up, or (ANSWER_NEWER) a host that was started by force and cedes to a
 * failover from before that.
 */
enum swap_guard {
	SWAP_GUARD_ANSWER_ROLE = 1 << 0, /* who may face the VM agrees to nothing that takes it */
	SWAP_GUARD_ANSWER_FENCED = 1 << 1, /* nor who faces it now */
	SWAP_GUARD_ANSWER_EXPECTED = 1 << 2, /* nor who has moved since the caller looked */
	SWAP_GUARD_ANSWER_NEWER = 1 << 3, /* of two that may face the VM, the later one does */
	SWAP_GUARD_TAKE_NONCE = 1 << 4, /* a reply belongs to its call */
	SWAP_GUARD_TAKE_ROLE = 1 << 5, /* the caller is still what it was when it asked */
	SWAP_GUARD_TAKE_NEWER = 1 << 6, /* and has not agreed to that term itself */
	SWAP_GUARD_BOOT = 1 << 7, /* after a boot, nothing faces the VM by itself */
	SWAP_GUARDS_ALL = (1 << 8) - 1,
};

/** swap_may_face - may a host in that role face the VM, once it has been released? */
bool swap_may_face(enum swap_role role);

/**
 * swap_ask - the call with which @h asks.
 * @peer: as it was last heard of
 *
 * SWAP_WRONG_ROLE: a host in this role has nothing to ask for. @ret->nonce is left to the caller.
 */
enum swap_verdict swap_ask(const struct swap_host *h, enum swap_ask ask,
			   const struct swap_host *peer, struct swap_call *ret);

/**
 * swap_answer - what @h becomes when it is called, and what it replies. Outputs are untouched
 * unless SWAP_AGREED.
 */
enum swap_verdict swap_answer(const struct swap_host *h, const struct swap_call *call,
			      unsigned int guards, struct swap_host *ret,
			      struct swap_reply *ret_reply);

/**
 * swap_take - what the caller @h becomes with the agreement.
 * @call: the one that waits for a reply; NULL: none does
 */
enum swap_verdict swap_take(const struct swap_host *h, const struct swap_call *call,
			    const struct swap_reply *reply, unsigned int guards,
			    struct swap_host *ret);

/** swap_order - what @h becomes when its operator says so. */
enum swap_verdict swap_order(const struct swap_host *h, enum swap_order order,
			     struct swap_host *ret);

/** swap_boot - what is left of @h after a boot, in a new @session. */
struct swap_host swap_boot(const struct swap_host *h, uint64_t session, unsigned int guards);

const char *swap_role_name(enum swap_role role);
const char *swap_ask_name(enum swap_ask ask);

#endif
