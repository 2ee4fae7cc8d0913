/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What two daemons say to each other before a transfer: the JSON in CALL and REPLY. PURE.
 *
 *	"look"		how do you stand? Changes nothing.
 *	"reverse-check"	the same, and: what would keep you from becoming my replica?
 *	"failover", "resume", "reverse", "confirm"
 *			the calls of daemon/role_swap.h. REPLY code 0: agreed, and durable there.
 *			"convert" in reverse: also when your disks are not what mine were
 *	"create"	become the replica of a VM that is new to you
 *	"receive"	take a delta. After REPLY code 4096 the connection is the workers'; after
 *			code 0 there is nothing to be sent: the disks hold it. Said again of a delta
 *			that broke, it is gone on with where the journal here has it. "full": of whole disks, whatever yours hold. "instant": it takes the disks to one
 *			instant of the VM's; else what was read from disks in use may be torn.
 *			"bytes": of disk that it covers. "connections": over so many, where that is more than one. The reply's
 *			are at most that many, and where they are more than one, the others join with its "token"
 *
 *	"join"		this is connection number "connection" of those that the delta of "token" comes
 *			over. After REPLY code 4096 it is the workers'
 *
 *	"ready"		would you let the VM fail over, and come home? The callee looks at its half, calls the
 *			caller back at the address that it has of it, and says in "points" what it found.
 *			A host that does not know the call refuses it as it does another version
 *
 *	"definition"	a piece, from "offset" on, of the definition (lib/definition.h) that goes with the epoch
 *			that comes: one frame of lib/pack.h of "size" bytes, "data" in base64. The pieces come in order
 *
 *	"map"		what may differ from the base on one of your disks, in bytes, from "start" on?
 *
 *	CALL	{"call": "join", "version": 4, "vm", "token", "connection"}, or
 *		{"call": "definition", "version": 4, "vm", "base", "epoch", "size", "offset", "data"}, or else
 *		{"call", "version": 4, "vm", "name", "base", "epoch", "aborted": [{"epoch"}],
 *		 "disks": [{"name", "size", "path", "tracker", "all"}],
 *		 "term", "expects", "session", "nonce", "convert", "full", "instant",
 *		 "bytes", "port", "disk", "start", "history", "connections"}
 *	REPLY	{"code", "text", "busy", "resync", "base", "mode", "state", "facing", "term", "session", "nonce",
 *		 "disks": [{"name", "size", "map", "lost", "dirty", "blank"}],
 *		 "aborted": [{"epoch"}], "ranges": [FIRST, LENGTH, ...], "guessed": [FIRST, LENGTH, ...],
 *		 "next", "history", "points": [{"name", "text"}], "connections", "token"}
 *
 * "points": what has to hold, and in "text" why it does not; "": it does.
 *
 * "history": {"mode", "state", "facing", "since", "term", "base", "written"}: what the VM did on the host
 * that speaks.
 *
 * "guessed": where "ranges" are dirty only because the host went down while something was written near by;
 * of the whole disk, with the first part of its map. What is not named there is certain, as far as is known.
 *
 * "busy": the delta before is still on its way to the disks; come again. In ready: a job runs, and the base
 * may be another one soon. "resync": no delta, or no map,
 * will do: the disks have to be compared.
 *
 * "epoch" is, in reverse and failover, the one that the caller received last and may hold (see
 * base_is_covered()); in receive, the one that comes. "base" is that of the host that speaks. "all", in
 * reverse and receive: all of that disk is going to be sent, else what the maps say. "aborted": epochs
 * whose blocks are in the map there too. "map":
 * the tracker there knows all that was written since the base, "dirty" says how much that is. "lost": it
 * did once, and is another one now. "blank",
 * in reverse-check, and in receive of the disks that all is sent of: nothing is on it (lib/blank.h).
 *
 * "connections", in every REPLY: over how many a delta may come. A host that does not say it knows of one, and
 * refuses a CALL that speaks of more, without having done anything.
 *
 * Unknown members are refused in a CALL: a later version that adds one that matters also raises
 * CALLS_VERSION. In a REPLY they are skipped.
 */
#ifndef FAILBACK_DAEMON_CALLS_H
#define FAILBACK_DAEMON_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"
#include "base/uuid.h"
#include "daemon/role_swap.h"
#include "lib/extent.h"
#include "lib/store.h"

#define CALLS_VERSION  4
#define CALL_DISKS_MAX 256
#define CALL_RANGES_MAX 1024
#define CALL_POINTS_MAX 16
#define CALL_PIECE_BYTES 45000 /* of a definition */
#define CALL_DATA_MAX (CALL_PIECE_BYTES / 3 * 4) /* in base64 */

enum call_kind {
	CALL_LOOK,
	CALL_REVERSE_CHECK,
	CALL_FAILOVER,
	CALL_RESUME,
	CALL_REVERSE,
	CALL_CONFIRM,
	CALL_CREATE,
	CALL_RECEIVE,
	CALL_MAP,
	CALL_READY,
	CALL_JOIN,
	CALL_DEFINITION,
	NR_CALLS
};

#define HISTORY_UNKNOWN UINT64_MAX

/* What a VM did on a host: enough to tell two of them apart. */
struct history {
	unsigned int mode;
	unsigned int state;
	bool facing; /* the VM may run there, now */
	uint64_t since_us; /* 1970: in that role; 0: unknown */
	uint64_t term;
	struct uuid base;
	uint64_t written_bytes; /* since the base, of blocks; HISTORY_UNKNOWN */
};

struct call_disk {
	char name[DISK_NAME_MAX + 1];
	uint64_t size_bytes;
	char path[PATH_MAX / 4]; /* create: on the callee's side */
	char tracker[CBT_NAME_LEN + 1]; /* create */
	bool all; /* reverse, receive */
};

/* A connection of a delta that comes over several. */
struct call_join {
	struct uuid vm; /* nil: it is none */
	struct uuid token;
	uint64_t number;
};

struct call {
	enum call_kind kind;
	struct uuid vm;
	char name[VM_NAME_MAX + 1]; /* create */
	struct uuid base; /* of the caller; nil: none */
	struct uuid epoch; /* nil: none; never in CALL_RECEIVE */
	struct uuid aborted[ABORTED_MAX];
	size_t nr_aborted;
	struct call_disk disks[CALL_DISKS_MAX];
	size_t nr_disks;
	uint16_t port; /* create: where the caller listens */
	struct swap_call swap; /* of the calls of role_swap.h */
	bool convert;
	bool full;
	bool instant;
	uint64_t bytes; /* receive: that it covers; ready: that the next one would */
	char disk[DISK_NAME_MAX + 1]; /* map */
	uint64_t start; /* map */
	uint64_t connections; /* receive; 0: one */
	struct uuid token; /* join */
	uint64_t connection; /* join */
	uint64_t size; /* definition: bytes of all pieces */
	uint64_t offset; /* definition */
	char data[CALL_DATA_MAX + 1]; /* definition */
	struct history history;
};

struct reply_disk {
	char name[DISK_NAME_MAX + 1];
	uint64_t size_bytes;
	bool map_reaches_back;
	bool map_lost;
	uint64_t dirty_bytes;
	bool blank;
};

/* One thing that has to hold. */
struct call_point {
	char name[32];
	char text[512]; /* what is wrong, and what to do; "": it holds */
};

struct call_points {
	struct call_point list[CALL_POINTS_MAX];
	size_t nr;
};

struct reply {
	uint32_t code;
	char text[512];
	bool busy;
	bool resync;
	struct uuid base;
	unsigned int mode;
	unsigned int state;
	struct swap_host host; /* without its role: that is in mode and state, unless `ceded` */
	bool ceded;
	uint64_t nonce;
	struct reply_disk disks[CALL_DISKS_MAX];
	size_t nr_disks;
	struct uuid aborted[ABORTED_MAX];
	size_t nr_aborted;
	struct extent ranges[CALL_RANGES_MAX]; /* ascending */
	size_t nr_ranges;
	struct extent guessed[CALL_RANGES_MAX]; /* ascending */
	size_t nr_guessed;
	uint64_t next; /* where the map goes on; 0: these were the last */
	struct history history;
	struct call_points points; /* ready */
	uint64_t connections; /* 0: the host knows of one only */
	struct uuid token; /* receive, over more than one */
};

/** call_asks - which of role_swap.h's calls is it? False: none. */
bool call_asks(enum call_kind kind, enum swap_ask *ret);
enum call_kind call_of_ask(enum swap_ask ask);

/** reply_find_disk - NULL: it is not described. */
const struct reply_disk *reply_find_disk(const struct reply *reply, const char *name);

/**
 * reply_connections - over how many the delta goes that @reply takes, where @asked were asked for. -EPROTO:
 * over more, or nothing says how the others join.
 */
int reply_connections(const struct reply *reply, uint64_t asked, unsigned int *ret, struct failure *f);

/**
 * call_of_relationship - @kind about @r's VM and disks, with its base, epoch and aborted epochs.
 */
void call_of_relationship(enum call_kind kind, const struct relationship_record *r,
			  struct call *ret);

/** call_points_add - NULL: it holds. Beyond CALL_POINTS_MAX nothing is added. */
void call_points_add(struct call_points *points, const char *name, const struct failure *why);

char *call_encode(const struct call *call); /* malloc()ed; NULL when out of memory */

/** call_decode - CODE_NOT_SUPPORTED: another version or an unknown call. */
int call_decode(const char *text, struct call *ret, struct failure *f);

char *reply_encode(const struct reply *reply);
int reply_decode(const char *text, struct reply *ret, struct failure *f);

#endif
