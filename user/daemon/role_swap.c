// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Three tables: what a call needs in its callee, what an agreement makes of its caller, and what an
 * operator may decide alone. The functions only look up and compare.
 *
 * Why it is enough: to begin to face the VM, a host needs an agreement to a term above its own. The
 * agreement binds the other host, which is not in a role that may face the VM any more, to that term;
 * to begin itself, it would need an agreement to a higher one, from a host that by then refuses. Two
 * agreements never cross: of two hosts that ask at once each raises its own term by answering, and
 * takes no reply to a term that it has agreed to.
 */
#include "daemon/role_swap.h"

#include <stddef.h>

#include "base/macro.h"

enum {
	ANSWER_ROLE = SWAP_GUARD_ANSWER_ROLE,
	ANSWER_FENCED = SWAP_GUARD_ANSWER_FENCED,
	ANSWER_EXPECTED = SWAP_GUARD_ANSWER_EXPECTED,
	ANSWER_NEWER = SWAP_GUARD_ANSWER_NEWER,
};

/* [what is asked][role of the callee]: the rules, and the role that it goes on in. */
static const struct {
	unsigned int guards;
	enum swap_role next;
} answers[NR_SWAP_ASKS][NR_SWAP_ROLES] = {
	[SWAP_FAILOVER] = {
		[SWAP_PRIMARY] = { ANSWER_FENCED | ANSWER_EXPECTED, SWAP_CEDED },
		[SWAP_CEDED] = { ANSWER_EXPECTED, SWAP_CEDED },
		[SWAP_REPLICA] = { ANSWER_EXPECTED, SWAP_REPLICA },
		[SWAP_FAILED_OVER] = { ANSWER_ROLE, SWAP_FAILED_OVER },
	},
	[SWAP_RESUME] = {
		[SWAP_PRIMARY] = { ANSWER_ROLE, SWAP_PRIMARY },
		[SWAP_CEDED] = { ANSWER_EXPECTED, SWAP_CEDED },
		[SWAP_REPLICA] = { ANSWER_EXPECTED, SWAP_REPLICA },
		[SWAP_FAILED_OVER] = { ANSWER_ROLE, SWAP_FAILED_OVER },
	},
	[SWAP_REVERSE] = {
		[SWAP_PRIMARY] = { ANSWER_FENCED | ANSWER_EXPECTED, SWAP_REPLICA },
		[SWAP_CEDED] = { ANSWER_EXPECTED, SWAP_REPLICA },
		[SWAP_REPLICA] = { ANSWER_EXPECTED, SWAP_REPLICA },
		[SWAP_FAILED_OVER] = { ANSWER_ROLE, SWAP_FAILED_OVER },
	},
	[SWAP_CONFIRM] = {
		[SWAP_PRIMARY] = { ANSWER_FENCED | ANSWER_NEWER, SWAP_CEDED },
		[SWAP_CEDED] = { 0, SWAP_CEDED },
		[SWAP_REPLICA] = { 0, SWAP_REPLICA },
		[SWAP_FAILED_OVER] = { ANSWER_ROLE, SWAP_FAILED_OVER },
	},
};

#define BIT(role) (1U << SWAP_##role)

/* [what was asked]: who may ask, in which term, and what the agreement makes of it. */
static const struct {
	unsigned int from; /* bits of roles */
	bool new_term;
	bool keeps_role;
	enum swap_role next;
} asks[NR_SWAP_ASKS] = {
	[SWAP_FAILOVER] = { BIT(REPLICA), true, false, SWAP_FAILED_OVER },
	[SWAP_RESUME] = { BIT(CEDED), true, false, SWAP_PRIMARY },
	[SWAP_REVERSE] = { BIT(FAILED_OVER), true, false, SWAP_PRIMARY },
	[SWAP_CONFIRM] = { BIT(PRIMARY) | BIT(FAILED_OVER), false, true, SWAP_PRIMARY },
};

/* [order][role]: the role that it leads to; NR_SWAP_ROLES: none. */
static const enum swap_role orders[NR_SWAP_ORDERS][NR_SWAP_ROLES] = {
	[SWAP_CEDE] = { SWAP_CEDED, NR_SWAP_ROLES, NR_SWAP_ROLES, NR_SWAP_ROLES },
	[SWAP_FORCE_FAILOVER] = { NR_SWAP_ROLES, NR_SWAP_ROLES, SWAP_FAILED_OVER, NR_SWAP_ROLES },
	[SWAP_FORCE_START] = { SWAP_PRIMARY, SWAP_PRIMARY, NR_SWAP_ROLES, SWAP_FAILED_OVER },
	[SWAP_REVERT] = { NR_SWAP_ROLES, NR_SWAP_ROLES, NR_SWAP_ROLES, SWAP_REPLICA },
};

bool swap_may_face(enum swap_role role)
{
	return role == SWAP_PRIMARY || role == SWAP_FAILED_OVER;
}

enum swap_verdict swap_ask(const struct swap_host *h, enum swap_ask ask,
			   const struct swap_host *peer, struct swap_call *ret)
{
	if (!(asks[ask].from & 1U << h->role))
		return SWAP_WRONG_ROLE;
	ret->ask = ask;
	ret->term = asks[ask].new_term ? max_of(h->term, peer->term) + 1 : h->term;
	ret->expects = peer->term;
	ret->session = peer->session;
	return SWAP_AGREED;
}

enum swap_verdict swap_answer(const struct swap_host *h, const struct swap_call *call,
			      unsigned int guards, struct swap_host *ret,
			      struct swap_reply *ret_reply)
{
	unsigned int rules = answers[call->ask][h->role].guards & guards;
	struct swap_host next = { .role = answers[call->ask][h->role].next,
				  .term = max_of(h->term, call->term),
				  .session = h->session };

	/* Only who asks for a reverse faces the VM, too. */
	if (rules & ANSWER_ROLE || (rules & ANSWER_FENCED && h->facing))
		return call->ask == SWAP_REVERSE ? SWAP_SPLIT_BRAIN : SWAP_WRONG_ROLE;
	if ((rules & ANSWER_EXPECTED &&
	     (call->expects != h->term || call->session != h->session)) ||
	    (rules & ANSWER_NEWER && call->term <= h->term))
		return SWAP_STALE;
	next.facing = h->facing; /* what a VM has open cannot be taken from it */
	*ret_reply = (struct swap_reply){ .term = next.term, .nonce = call->nonce };
	*ret = next;
	return SWAP_AGREED;
}

enum swap_verdict swap_take(const struct swap_host *h, const struct swap_call *call,
			    const struct swap_reply *reply, unsigned int guards,
			    struct swap_host *ret)
{
	if (!call)
		return SWAP_STALE;
	if (guards & SWAP_GUARD_TAKE_NONCE && reply->nonce != call->nonce)
		return SWAP_STALE;
	if (guards & SWAP_GUARD_TAKE_ROLE && !(asks[call->ask].from & 1U << h->role))
		return SWAP_WRONG_ROLE;
	if (guards & SWAP_GUARD_TAKE_NEWER && asks[call->ask].new_term && call->term <= h->term)
		return SWAP_STALE;
	*ret = (struct swap_host){
		.role = asks[call->ask].keeps_role ? h->role : asks[call->ask].next,
		.term = max_of(h->term, reply->term),
		.session = h->session,
		.facing = true,
	};
	return SWAP_AGREED;
}

enum swap_verdict swap_order(const struct swap_host *h, enum swap_order order,
			     struct swap_host *ret)
{
	enum swap_role next = orders[order][h->role];

	if (next == NR_SWAP_ROLES)
		return SWAP_WRONG_ROLE;
	/* A term of its own: what was asked for or agreed to before is stale from here on. */
	*ret = (struct swap_host){ .role = next, .term = h->term + 1, .session = h->session,
				   .facing = swap_may_face(next) };
	return SWAP_AGREED;
}

struct swap_host swap_boot(const struct swap_host *h, uint64_t session, unsigned int guards)
{
	return (struct swap_host){ .role = h->role, .term = h->term, .session = session,
				   .facing = !(guards & SWAP_GUARD_BOOT) && swap_may_face(h->role) };
}

const char *swap_role_name(enum swap_role role)
{
	static const char *const names[NR_SWAP_ROLES] = { "primary", "ceded", "replica",
							  "failed over" };

	return (unsigned int)role < NR_SWAP_ROLES ? names[role] : "?";
}

const char *swap_ask_name(enum swap_ask ask)
{
	static const char *const names[NR_SWAP_ASKS] = { "failover", "resume", "reverse",
							 "confirm" };

	return (unsigned int)ask < NR_SWAP_ASKS ? names[ask] : "?";
}
