// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * user/daemon/role_swap.c, explored exhaustively: two hosts, whose power may be cut, or daemon alone
 * started anew, between any two steps; every message that was ever sent may arrive at any later time,
 * any number of times, or never; operators give every order that their host takes, again and again.
 *
 * Bounded by two calls a host, one forced step, and one such stop (two with CHECK_LONG). A device is
 * taken to appear as it is recorded that it may: one that is not there yet harms nobody. What is checked:
 *
 *   - both hosts face the VM only after an operator overruled a live host that faced it, or was
 *     about to (`excused`, until one of them does not any more); two primaries never;
 *   - while they do, each refuses whatever the other one ever asked, a reverse as a split brain; and
 *     who faces the VM is in no role in which it would take deltas;
 *   - who was started by force cedes to no failover from before that;
 *   - out of every state, power back and messages delivered, there is a way to one primary that
 *     faces the VM and one replica, without forcing anything once more, and though no replica's disks
 *     have a base any more (failover_has_source());
 *   - two replicas, which there are only after a revert, need no other order for it, whichever of them
 *     has a base;
 *   - where one host is failed over and the other one does not face the VM, nothing but the reverse,
 *     repeated, is needed for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "daemon/relationship.h"
#include "daemon/role_swap.h"

#include "kselftest_harness.h"

#define CALLS_MAX  2 /* of each host */
#define TERM_MAX   9
#define STATES_MAX (1U << 23)
#define STATES_MAX_LONG (1U << 25)

/* All of the world. Packed: it is its own key. */
struct call_state {
	uint8_t ask : 2;
	uint8_t session : 2;
	uint8_t expects : 4;
	uint8_t term; /* 0: not made yet */
	uint16_t replies; /* bit N: an agreement with term N is under way */
};

struct host_state {
	uint8_t role;
	uint8_t term;
	uint8_t facing : 1;
	uint8_t up : 1;
	uint8_t waits : 1; /* for the reply to its last call */
	uint8_t device : 1; /* the VM sees it: as `facing` says, but for the scopes in haste */
	uint8_t nr_calls : 2;
	uint8_t session : 2;
	struct call_state calls[CALLS_MAX];
};

struct world {
	struct host_state hosts[2];
	uint8_t excused : 1;
	uint8_t reverted : 1; /* a failover, since the roles were settled last */
	uint8_t forced : 2; /* bit N: host N was started by force, and is what it was made then */
	uint8_t forces : 2;
	uint8_t stops : 2;
};

struct node {
	struct world world;
	uint32_t parent;
	uint32_t next; /* in its bucket, plus one */
	const char *step;
	uint8_t host;
};

/* What is done before its record is durable, and the daemon killed in between. */
enum haste {
	HASTE_NONE,
	HASTE_REPLY,
	HASTE_SHOW, /* the device, by who takes an agreement */
	HASTE_CEDE, /* the other way round: the record, before the device is out of sight */
};

/* What an exploration is of; numbers are of both hosts together. */
struct scope {
	unsigned int guards;
	enum haste haste;
	unsigned int stops; /* of power, or of the daemon alone */
	unsigned int forces;
	uint32_t states_max; /* a power of two; 0: STATES_MAX */
};

struct exploration {
	struct scope scope;
	struct node *nodes;
	uint32_t nr;
	uint32_t *buckets;
	const char *broken; /* what is wrong with node broken_at, or with a step from there */
	uint32_t broken_at;
};

static struct swap_host host_of(const struct host_state *h)
{
	return (struct swap_host){ .role = h->role, .term = h->term, .session = h->session,
				   .facing = h->facing };
}

static void set_host(struct host_state *h, const struct swap_host *s)
{
	h->role = (uint8_t)s->role;
	h->term = (uint8_t)s->term;
	if (h->facing != s->facing)
		h->device = s->facing;
	h->facing = s->facing;
}

/* What is recorded stays, and what the VM has open. */
static bool stop_daemon(const struct scope *scope, struct world *w, unsigned int i)
{
	if (w->stops == scope->stops)
		return false;
	w->stops++;
	w->hosts[i].session++;
	w->hosts[i].waits = 0;
	return true;
}

static bool both_face(const struct world *w)
{
	return w->hosts[0].device && w->hosts[1].device;
}

static bool is_settled(const struct world *w)
{
	for (unsigned int i = 0; i < 2; i++) {
		if (w->hosts[i].role == SWAP_PRIMARY && w->hosts[i].facing &&
		    w->hosts[!i].role == SWAP_REPLICA && w->hosts[!i].up &&
		    !w->hosts[0].waits && !w->hosts[1].waits)
			return true;
	}
	return false;
}

/* --- the set of states --- */

static uint32_t hash(const struct exploration *e, const struct world *w)
{
	const uint8_t *bytes = (const uint8_t *)w;
	uint64_t h = 1469598103934665603U;

	for (size_t i = 0; i < sizeof(*w); i++)
		h = (h ^ bytes[i]) * 1099511628211U;
	return (uint32_t)(h ^ h >> 29) & (e->scope.states_max - 1);
}

static const char *judge(const struct world *w)
{
	if (both_face(w) && !w->excused)
		return "both hosts face the VM";
	for (unsigned int i = 0; i < 2; i++) {
		if (w->hosts[i].facing && !swap_may_face(w->hosts[i].role))
			return "a host faces the VM in a role that takes the other one's deltas";
	}
	if (w->hosts[0].role == SWAP_PRIMARY && w->hosts[1].role == SWAP_PRIMARY)
		return "both hosts are primaries";
	if (w->hosts[0].role == SWAP_REPLICA && w->hosts[1].role == SWAP_REPLICA && !w->reverted)
		return "both hosts are replicas, and nobody reverted a failover";
	return NULL;
}

/* @what: NULL, or what is wrong at @at. */
static void note(struct exploration *e, uint32_t at, const char *what)
{
	if (!what || e->broken)
		return;
	e->broken = what;
	e->broken_at = at;
}

static void add(struct exploration *e, struct world *w, uint32_t parent, unsigned int host,
		const char *step)
{
	uint32_t bucket;

	if (w->hosts[0].term > TERM_MAX || w->hosts[1].term > TERM_MAX || e->nr == e->scope.states_max)
		return;
	/* Who waits may be about to face the VM. */
	if (!both_face(w) && !w->hosts[0].waits && !w->hosts[1].waits)
		w->excused = 0;
	if (is_settled(w))
		w->reverted = 0;
	bucket = hash(e, w);
	for (uint32_t i = e->buckets[bucket]; i; i = e->nodes[i - 1].next) {
		if (memcmp(&e->nodes[i - 1].world, w, sizeof(*w)) == 0)
			return;
	}
	e->nodes[e->nr] = (struct node){ .world = *w, .parent = parent,
					 .next = e->buckets[bucket], .step = step,
					 .host = (uint8_t)host };
	e->buckets[bucket] = ++e->nr;
	note(e, e->nr - 1, judge(w));
}

/* --- steps --- */

static const char *const ask_steps[] = { "asks for a failover", "asks to resume",
					 "asks to reverse", "asks to confirm" };
static const char *const answer_steps[] = { "agrees to a failover", "agrees to a resume",
					    "agrees to a reverse", "confirms" };
static const char *const take_steps[] = { "takes the failover", "takes the resume",
					  "takes the reverse", "takes the confirmation" };
static const char *const order_steps[] = { "cedes", "is failed over by force",
					   "is started by force", "reverts its failover" };

/* As @w is now, but for the record that host @i did not get to. */
static void die_early(struct exploration *e, const struct world *w, uint32_t from, unsigned int i,
		      const char *step)
{
	struct world dead = *w;

	if (stop_daemon(&e->scope, &dead, i))
		add(e, &dead, from, i, step);
}

static bool may_ask(const struct host_state *h, enum swap_ask ask)
{
	/* what is confirmed already is not asked for */
	return h->up && h->nr_calls < CALLS_MAX && !(ask == SWAP_CONFIRM && h->facing);
}

static void step_ask(struct exploration *e, uint32_t from, unsigned int i, enum swap_ask ask)
{
	struct world w = e->nodes[from].world;
	struct host_state *h = &w.hosts[i];
	struct swap_host self = host_of(h);
	struct swap_host peer = host_of(&w.hosts[!i]);
	struct swap_call call;

	if (!may_ask(h, ask) || swap_ask(&self, ask, &peer, &call))
		return;
	h->calls[h->nr_calls].ask = (uint8_t)ask;
	h->calls[h->nr_calls].term = (uint8_t)call.term;
	h->calls[h->nr_calls].expects = call.expects & 15;
	h->calls[h->nr_calls].session = call.session & 3;
	h->nr_calls++;
	h->waits = 1;
	add(e, &w, from, i, ask_steps[ask]);
}

static struct swap_call call_of(const struct host_state *h, unsigned int nonce)
{
	return (struct swap_call){ .ask = h->calls[nonce].ask, .term = h->calls[nonce].term,
				   .expects = h->calls[nonce].expects,
				   .session = h->calls[nonce].session, .nonce = nonce };
}

/* What an agreement may never be, whatever becomes of it. */
static const char *judge_agreement(const struct world *w, unsigned int i, enum swap_ask ask,
				   enum swap_role next)
{
	if (both_face(w))
		return "a host agrees while both face the VM";
	if (ask == SWAP_CONFIRM && w->forced & 1U << i && next != (enum swap_role)w->hosts[i].role)
		return "who was started by force cedes to a failover before that";
	return NULL;
}

/* The call of host !i arrives at host i. */
static void step_answer(struct exploration *e, uint32_t from, unsigned int i, unsigned int nonce)
{
	struct world w = e->nodes[from].world;
	struct host_state *h = &w.hosts[i];
	struct call_state *call = &w.hosts[!i].calls[nonce];
	struct swap_host self = host_of(h);
	struct swap_call asked = call_of(&w.hosts[!i], nonce);
	enum swap_verdict verdict;
	struct swap_reply reply;
	struct swap_host next;

	if (!h->up)
		return;
	verdict = swap_answer(&self, &asked, e->scope.guards, &next, &reply);
	if (both_face(&w) && asked.ask == SWAP_REVERSE && verdict != SWAP_SPLIT_BRAIN)
		note(e, from, "a reverse is not refused as a split brain");
	if (verdict || reply.term > TERM_MAX)
		return;
	note(e, from, judge_agreement(&w, i, asked.ask, next.role));
	call->replies |= (uint16_t)(1U << reply.term);
	if (e->scope.haste == HASTE_REPLY)
		die_early(e, &w, from, i, "replies, and dies before it has recorded it");
	if (next.role != self.role)
		w.forced &= ~(1U << i) & 3;
	set_host(h, &next);
	add(e, &w, from, i, answer_steps[asked.ask]);
}

/* A reply to one of host i's calls arrives. */
static void step_take(struct exploration *e, uint32_t from, unsigned int i, unsigned int nonce,
		      unsigned int term)
{
	struct world w = e->nodes[from].world;
	struct host_state *h = &w.hosts[i];
	struct swap_host self = host_of(h);
	struct swap_reply reply = { .term = term, .nonce = nonce };
	struct swap_call call;
	struct swap_host next;

	if (!h->up || !h->waits || !(h->calls[nonce].replies & 1U << term))
		return;
	call = call_of(h, h->nr_calls - 1U);
	if (swap_take(&self, &call, &reply, e->scope.guards, &next))
		return;
	if (e->scope.haste == HASTE_SHOW) {
		h->device = 1;
		die_early(e, &w, from, i, "shows the device, and dies before it has recorded it");
	}
	set_host(h, &next);
	h->waits = 0;
	add(e, &w, from, i, take_steps[call.ask]);
}

static void step_order(struct exploration *e, uint32_t from, unsigned int i, enum swap_order order)
{
	bool forces = order == SWAP_FORCE_FAILOVER || order == SWAP_FORCE_START;
	struct world w = e->nodes[from].world;
	struct host_state *peer = &w.hosts[!i];
	struct swap_host self = host_of(&w.hosts[i]);
	struct swap_host next;

	if (!w.hosts[i].up || (forces && w.forces == e->scope.forces) ||
	    (order == SWAP_FORCE_START && self.facing) || swap_order(&self, order, &next))
		return;
	w.forces = (w.forces + forces) & 3;
	w.forced = (w.forced & ~(1U << i)) | (order == SWAP_FORCE_START ? 1U << i : 0);
	w.reverted |= order == SWAP_REVERT;
	w.excused |= forces && peer->up && (peer->facing || peer->waits);
	set_host(&w.hosts[i], &next);
	if (e->scope.haste == HASTE_CEDE && !next.facing && self.facing) {
		w.hosts[i].device = 1;
		die_early(e, &w, from, i, "records that it cedes, and dies before it hides the device");
		w.hosts[i].device = 0;
	}
	add(e, &w, from, i, order_steps[order]);
}

static void step_power(struct exploration *e, uint32_t from, unsigned int i)
{
	struct world w = e->nodes[from].world;
	struct host_state *h = &w.hosts[i];
	struct swap_host self = host_of(h);
	struct swap_host booted;

	if (!h->up) {
		booted = swap_boot(&self, h->session, e->scope.guards);
		set_host(h, &booted);
		h->up = 1;
		add(e, &w, from, i, "boots");
		return;
	}
	if (h->waits) {
		h->waits = 0;
		add(e, &w, from, i, "gives up waiting");
		h->waits = 1;
	}
	if (!stop_daemon(&e->scope, &w, i))
		return;
	add(e, &w, from, i, "has its daemon started anew");
	h->up = h->facing = h->device = 0;
	add(e, &w, from, i, "loses power");
}

static void expand(struct exploration *e, uint32_t from)
{
	for (unsigned int i = 0; i < 2; i++) {
		for (enum swap_ask ask = 0; ask < NR_SWAP_ASKS; ask++)
			step_ask(e, from, i, ask);
		for (unsigned int nonce = 0; nonce < CALLS_MAX; nonce++) {
			if (nonce < e->nodes[from].world.hosts[!i].nr_calls)
				step_answer(e, from, i, nonce);
			for (unsigned int term = 1; term <= TERM_MAX; term++)
				step_take(e, from, i, nonce, term);
		}
		for (enum swap_order order = 0; order < NR_SWAP_ORDERS; order++)
			step_order(e, from, i, order);
		step_power(e, from, i);
	}
}

/* --- exploring --- */

static void exploration_init(struct exploration *e, const struct scope *scope)
{
	struct world start;

	memset(&start, 0, sizeof(start));
	for (unsigned int i = 0; i < 2; i++) {
		start.hosts[i].role = i ? SWAP_REPLICA : SWAP_PRIMARY;
		start.hosts[i].term = 1;
		start.hosts[i].facing = start.hosts[i].device = !i;
		start.hosts[i].up = 1;
	}
	*e = (struct exploration){ .scope = *scope };
	if (!e->scope.states_max)
		e->scope.states_max = STATES_MAX;
	e->nodes = malloc(e->scope.states_max * sizeof(*e->nodes));
	e->buckets = calloc(e->scope.states_max, sizeof(*e->buckets));
	if (!e->nodes || !e->buckets)
		abort();
	add(e, &start, UINT32_MAX, 0, "");
}

static void exploration_free(struct exploration *e)
{
	free(e->nodes);
	free(e->buckets);
}

static void explore(struct exploration *e)
{
	for (uint32_t i = 0; i < e->nr && !e->broken; i++)
		expand(e, i);
}

static void print_trace(const struct exploration *e, uint32_t at)
{
	const struct node *n = &e->nodes[at];

	if (n->parent == UINT32_MAX)
		return;
	print_trace(e, n->parent);
	printf("#   %c %-44s  a: %s %u%s   b: %s %u%s\n", "ab"[n->host], n->step,
	       swap_role_name(n->world.hosts[0].role), n->world.hosts[0].term,
	       n->world.hosts[0].facing ? " *" : "", swap_role_name(n->world.hosts[1].role),
	       n->world.hosts[1].term, n->world.hosts[1].facing ? " *" : "");
	(void)fflush(stdout); /* a test that fails ends without it */
}

/* --- the way on --- */

/* What is durable, and what faces the VM: the network is empty, and both have power. */
#define NR_CORES (2 * 2 * NR_SWAP_ROLES * NR_SWAP_ROLES * 3)

struct core {
	struct swap_host hosts[2];
	unsigned int based; /* bit N: the disks of host N have a base; of a replica, that is */
};

/* Terms count only by their order. */
static unsigned int core_key(const struct core *c)
{
	unsigned int order = c->hosts[0].term < c->hosts[1].term ? 0 :
			     c->hosts[0].term == c->hosts[1].term ? 1 : 2;

	return ((order * NR_SWAP_ROLES + c->hosts[0].role) * NR_SWAP_ROLES + c->hosts[1].role) * 4 +
	       c->hosts[0].facing * 2U + c->hosts[1].facing;
}

static bool core_is_settled(const struct core *c)
{
	for (unsigned int i = 0; i < 2; i++) {
		if (c->hosts[i].role == SWAP_PRIMARY && c->hosts[i].facing &&
		    c->hosts[!i].role == SWAP_REPLICA)
			return true;
	}
	return false;
}

/* As the daemon sees it. A replica is taken to be in state 2, where most is refused. */
static bool core_has_source(const struct core *c, unsigned int i)
{
	static const struct uuid bases[2] = { { { 0 } }, { { 0xe0 } } };
	struct relationship_role roles[2];

	for (unsigned int j = 0; j < 2; j++)
		roles[j] = (struct relationship_role){
			c->hosts[j].role == SWAP_REPLICA ? MODE_REPLICA : MODE_PRIMARY,
			STATE_WAITING_INITIAL };
	return failover_has_source(roles[i], &bases[c->based >> i & 1], roles[!i],
				   &bases[c->based >> !i & 1]);
}

/* Asked, answered and taken, with nothing lost. */
static bool core_ask(const struct core *c, unsigned int i, enum swap_ask ask, unsigned int guards,
		     struct core *ret)
{
	struct swap_reply reply;
	struct swap_call call = { .nonce = 1 };

	*ret = *c;
	return (ask != SWAP_CONFIRM || !c->hosts[i].facing) &&
	       (ask != SWAP_FAILOVER || core_has_source(c, i)) &&
	       swap_ask(&c->hosts[i], ask, &c->hosts[!i], &call) == SWAP_AGREED &&
	       swap_answer(&c->hosts[!i], &call, guards, &ret->hosts[!i], &reply) == SWAP_AGREED &&
	       swap_take(&c->hosts[i], &call, &reply, guards, &ret->hosts[i]) == SWAP_AGREED;
}

struct search {
	struct core queue[NR_CORES];
	size_t nr;
	bool seen[NR_CORES];
};

static void search_add(struct search *s, const struct core *c)
{
	if (s->seen[core_key(c)])
		return;
	s->seen[core_key(c)] = true;
	s->queue[s->nr++] = *c;
}

/* @asks, @orders: bits of what may be used on the way. */
static bool finds_way(const struct core *from, unsigned int guards, unsigned int asks_used,
		      unsigned int orders_used)
{
	struct search s = { .nr = 0 };

	search_add(&s, from);
	for (size_t at = 0; at < s.nr; at++) {
		struct core c = s.queue[at];

		if (core_is_settled(&c))
			return true;
		for (unsigned int i = 0; i < 2; i++) {
			struct core next;

			for (enum swap_ask ask = 0; ask < NR_SWAP_ASKS; ask++) {
				if (asks_used & 1U << ask && core_ask(&c, i, ask, guards, &next))
					search_add(&s, &next);
			}
			for (enum swap_order order = 0; order < NR_SWAP_ORDERS; order++) {
				next = c;
				if (orders_used & 1U << order &&
				    !swap_order(&c.hosts[i], order, &next.hosts[i]))
					search_add(&s, &next);
			}
		}
	}
	return false;
}

static struct core core_of(const struct world *w, unsigned int guards)
{
	struct core c = { .based = 0 };

	for (unsigned int i = 0; i < 2; i++) {
		c.hosts[i] = host_of(&w->hosts[i]);
		if (!w->hosts[i].up)
			c.hosts[i] = swap_boot(&c.hosts[i], 0, guards);
	}
	return c;
}

/* The first state out of which there is no way; e->nr: none. */
static uint32_t find_dead_end(const struct exploration *e, size_t *ret_cores)
{
	static bool known[NR_CORES];
	uint32_t i;

	memset(known, 0, sizeof(known));
	*ret_cores = 0;
	for (i = 0; i < e->nr; i++) {
		struct core c = core_of(&e->nodes[i].world, e->scope.guards);

		if (known[core_key(&c)])
			continue;
		known[core_key(&c)] = true;
		++*ret_cores;
		if (!finds_way(&c, e->scope.guards, ~0U, 1U << SWAP_CEDE | 1U << SWAP_REVERT))
			break;
	}
	return i;
}

static uint32_t find_unrepeatable(const struct exploration *e, size_t *ret_nr)
{
	uint32_t i;

	*ret_nr = 0;
	for (i = 0; i < e->nr; i++) {
		struct core c = core_of(&e->nodes[i].world, e->scope.guards);
		bool applies = false;

		for (unsigned int j = 0; j < 2; j++)
			applies |= c.hosts[j].role == SWAP_FAILED_OVER && !c.hosts[!j].facing &&
				   c.hosts[!j].role != SWAP_FAILED_OVER;
		*ret_nr += applies;
		if (applies && !finds_way(&c, e->scope.guards, 1U << SWAP_REVERSE, 0))
			break;
	}
	return i;
}

/* Two replicas: one is failed over, and reversed. */
static uint32_t find_stuck_replicas(const struct exploration *e, size_t *ret_nr)
{
	uint32_t i;

	*ret_nr = 0;
	for (i = 0; i < e->nr; i++) {
		struct core c = core_of(&e->nodes[i].world, e->scope.guards);
		bool stuck = false;

		if (c.hosts[0].role != SWAP_REPLICA || c.hosts[1].role != SWAP_REPLICA)
			continue;
		++*ret_nr;
		for (c.based = 0; c.based < 4; c.based++)
			stuck |= !finds_way(&c, e->scope.guards,
					    1U << SWAP_FAILOVER | 1U << SWAP_REVERSE, 0);
		if (stuck)
			break;
	}
	return i;
}

static void report(const struct exploration *e, uint32_t at, const char *what)
{
	if (at < e->nr) {
		printf("# %s:\n", what);
		print_trace(e, at);
	}
}

FIXTURE(long_test) {};
FIXTURE_SETUP(long_test) {}
FIXTURE_TEARDOWN(long_test) {}

TEST_F_TIMEOUT(long_test, two_hosts_never_face_the_vm_and_every_state_leads_to_an_end, 600)
{
	bool is_long = getenv("CHECK_LONG") != NULL;
	struct scope scope = { .guards = SWAP_GUARDS_ALL, .stops = is_long ? 2 : 1,
			       .forces = 1,
			       .states_max = is_long ? STATES_MAX_LONG : STATES_MAX };
	struct exploration e;
	size_t nr_cores;
	size_t nr_repeated;
	uint32_t dead_end;
	uint32_t unrepeatable;
	size_t nr_replicas;
	uint32_t stuck;

	exploration_init(&e, &scope);
	explore(&e);
	dead_end = find_dead_end(&e, &nr_cores);
	unrepeatable = find_unrepeatable(&e, &nr_repeated);
	stuck = find_stuck_replicas(&e, &nr_replicas);
	printf("# %u states; a way on from each of %zu pairs of records; "
	       "one reverse, repeated, ends it from %zu states; "
	       "%zu states of two replicas, of which either goes on\n",
	       e.nr, nr_cores, nr_repeated, nr_replicas);
	report(&e, e.broken ? e.broken_at : UINT32_MAX, e.broken);
	report(&e, dead_end, "no way on");
	report(&e, unrepeatable, "a reverse does not end it");
	report(&e, stuck, "two replicas, and no way on");
	(void)fflush(stdout);
	EXPECT_EQ(NULL, e.broken);
	EXPECT_GT(scope.states_max, e.nr);
	EXPECT_LT(100000, e.nr);
	EXPECT_EQ(e.nr, dead_end);
	EXPECT_EQ(e.nr, unrepeatable);
	EXPECT_LT(0, nr_replicas);
	EXPECT_EQ(e.nr, stuck);
	exploration_free(&e);
}

/* Explores with a rule left out and shows what happens then. */
static bool finds_counterexample(const struct scope *scope, const char *what)
{
	struct exploration e;
	bool found;

	exploration_init(&e, scope);
	explore(&e);
	found = e.broken;
	printf("# %s: %s, among %u states\n", what, found ? e.broken : "nothing is broken", e.nr);
	report(&e, found ? e.broken_at : UINT32_MAX, what);
	exploration_free(&e);
	return found;
}

static const struct {
	unsigned int guard;
	const char *name;
	unsigned int stops;
} guards[] = {
	{ SWAP_GUARD_ANSWER_ROLE, "who may face the VM agrees", 1 },
	{ SWAP_GUARD_ANSWER_FENCED, "who faces the VM agrees", 1 },
	{ SWAP_GUARD_ANSWER_EXPECTED, "who has moved since the caller looked agrees", 1 },
	{ SWAP_GUARD_ANSWER_NEWER, "who was started by force since agrees", 2 },
	{ SWAP_GUARD_TAKE_NONCE, "a reply to another call is taken", 1 },
	{ SWAP_GUARD_TAKE_ROLE, "a reply is taken in another role", 1 },
	{ SWAP_GUARD_TAKE_NEWER, "a reply is taken to a term that was agreed to", 1 },
	{ SWAP_GUARD_BOOT, "a host faces the VM after a boot unasked", 1 },
};

TEST(leaving_out_any_rule_is_found)
{
	for (size_t i = 0; i < ARRAY_SIZE(guards); i++) {
		struct scope scope = { .guards = SWAP_GUARDS_ALL & ~guards[i].guard, .stops = guards[i].stops, .forces = 1 };

		EXPECT_TRUE(finds_counterexample(&scope, guards[i].name))
		{
			TH_LOG("not missed: %s", guards[i].name);
		}
	}
}

TEST(replying_before_the_record_is_durable_is_found)
{
	struct scope scope = { .guards = SWAP_GUARDS_ALL, .haste = HASTE_REPLY, .stops = 1,
			       .forces = 1 };

	EXPECT_TRUE(finds_counterexample(&scope, "a reply before its record is durable"));
}

TEST(showing_the_device_before_the_record_is_durable_is_found)
{
	struct scope scope = { .guards = SWAP_GUARDS_ALL, .haste = HASTE_SHOW, .stops = 1 };

	EXPECT_TRUE(finds_counterexample(&scope, "a device in sight before its record is durable"));
}

TEST(ceding_before_the_device_is_out_of_sight_is_found)
{
	struct scope scope = { .guards = SWAP_GUARDS_ALL, .haste = HASTE_CEDE, .stops = 1 };

	EXPECT_TRUE(finds_counterexample(&scope, "a device in sight after its record is durable"));
}

TEST(a_host_that_was_started_by_force_does_not_cede_to_a_failover_before_it)
{
	struct swap_host h = { SWAP_PRIMARY, 5, 0, false };
	struct swap_call call = { SWAP_CONFIRM, 5, 5, 0, 7 };
	struct swap_reply reply;
	struct swap_host next;

	EXPECT_EQ(SWAP_STALE, swap_answer(&h, &call, SWAP_GUARDS_ALL, &next, &reply));
	call.term = 6;
	EXPECT_EQ(SWAP_AGREED, swap_answer(&h, &call, SWAP_GUARDS_ALL, &next, &reply));
	EXPECT_EQ(SWAP_CEDED, next.role);
}

TEST(an_answer_that_is_refused_changes_nothing)
{
	for (unsigned int i = 0; i < NR_SWAP_ASKS * NR_SWAP_ROLES * 2 * 3; i++) {
		struct swap_host h = { i % NR_SWAP_ROLES, 2, 5, i / NR_SWAP_ROLES % 2 };
		struct swap_call call = { i / NR_SWAP_ROLES / 2 % NR_SWAP_ASKS, 3,
					  1 + i / NR_SWAP_ROLES / 2 / NR_SWAP_ASKS, 5, 7 };
		struct swap_host next = { NR_SWAP_ROLES, 99, 0, true };
		struct swap_reply reply = { 99, 99 };

		if (h.facing && !swap_may_face(h.role))
			continue;
		if (swap_answer(&h, &call, SWAP_GUARDS_ALL, &next, &reply)) {
			EXPECT_EQ(NR_SWAP_ROLES, next.role);
			EXPECT_EQ(99, reply.term);
		} else {
			EXPECT_EQ(7, reply.nonce);
			EXPECT_LE(h.term, next.term);
			EXPECT_FALSE(next.facing && !h.facing);
		}
	}
}

TEST_HARNESS_MAIN
