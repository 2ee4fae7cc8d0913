/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What both workers are made of: command line, plan, disks, ring, signals, and taking leave of the
 * peer.
 *
 * worker_main() reads the command line and the plan, opens the disks and the ring, calls the role's
 * run function, and reports how it ended; to the peer too, unless the peer is how it ended. A receiver,
 * whose bytes are a peer's, has no rights and no more system calls than it needs (lib/sandbox.h) from
 * before it reads the first one.
 */
#ifndef FAILBACK_XFER_TRANSFER_H
#define FAILBACK_XFER_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "lib/extent.h"
#include "lib/ring.h"
#include "lib/stripe.h"
#include "lib/wire.h"
#include "xfer/disk.h"
#include "xfer/plan.h"
#include "xfer/report.h"

/*
 * Nothing moved for so long: the peer is given up. A record of 1 MiB has to pass within it, which
 * takes 17 KiB/s. FAILBACK_IDLE_TIMEOUT_MS in the environment overrides it for tests.
 */
#define IDLE_TIMEOUT_MS	 60000
/* The receiver flushes its disks between END and DURABLE. */
#define FLUSH_TIMEOUT_MS 900000
#define NR_SLOTS	 8U /* records being read, hashed, sent; received, written */
#define NR_SLOTS_MAX	 (NR_SLOTS + CBT_WIRE_CONNECTIONS_MAX - 1) /* one more for each further connection */

/* Indexes of the ring's descriptors. */
#define FILE_CONNECTION 0U /* the first one; the others follow, -1 for those that there are not */
#define FILE_SIGNAL	(FILE_CONNECTION + CBT_WIRE_CONNECTIONS_MAX)
#define FILE_JOURNAL	(FILE_SIGNAL + 1) /* -1: there is none */

struct covered;
struct journal_file;

struct transfer {
	int connections[CBT_WIRE_CONNECTIONS_MAX]; /* -1 beyond */
	unsigned int nr_connections; /* 0: only the journal is applied */
	struct stripe stripe; /* of what this side says, as far as it was said; a receiver's stays at the first */
	unsigned int nr_slots; /* NR_SLOTS to NR_SLOTS_MAX */
	struct journal_file *journal; /* NULL: direct mode, or sending */
	struct covered *covered; /* NULL: nobody wants to know */
	int signal_fd;
	struct report report;
	struct plan *plan;
	struct disk disks[CBT_WIRE_DISKS_MAX];
	unsigned int nr_open_disks;
	struct ring *ring;
	struct ring_op signal_op;
	int idle_timeout_ms;
	uint64_t sequence_out; /* of the next record to the peer, for FAILED */
	bool mid_record; /* a record to the peer was begun and not ended: nothing can be said in its turn */
};

/** transfer_file - the ring's index of a disk. */
static inline unsigned int transfer_file(unsigned int disk, bool direct)
{
	return FILE_JOURNAL + 1 + 2 * disk + direct;
}

/**
 * transfer_say - send a record without extents to the peer, from outside the ring: nothing of
 * ours may be with the socket.
 */
int transfer_say(struct transfer *t, enum cbt_wire_type type, const void *body, size_t len,
		    struct failure *f);

/** transfer_is_direct - whether every disk has direct I/O. */
bool transfer_is_direct(const struct transfer *t);

/**
 * transfer_wait - the next operation that ended.
 *
 * -ECANCELED: a signal asks to stop; -ETIMEDOUT: nothing ended within @timeout_ms (@waiting_for:
 * "the receiver to ...").
 */
int transfer_wait(struct transfer *t, int timeout_ms, const char *waiting_for, struct ring_op **ret,
		  struct failure *f);

/** transfer_quiet - ring_drain(), after which transfer_wait() still notices a signal. */
void transfer_quiet(struct transfer *t);

/**
 * transfer_read - start to read extents of a disk, one after the other into @body.
 * @ops: one for each extent, until transfer_read_ended() was called for all
 */
void transfer_read(struct transfer *t, unsigned int disk, const struct extent *extents,
		   unsigned int nr, uint8_t *body, struct ring_op *ops, void *owner);

/** transfer_read_ended - transfer_wait() returned one of them. */
int transfer_read_ended(const struct transfer *t, unsigned int disk, const struct ring_op *op,
			struct failure *f);

/** transfer_run_fn - one delta from BEGIN to DURABLE. Reports begin, progress and done itself. */
typedef int (*transfer_run_fn)(struct transfer *t, struct failure *f);

/** worker_main - @name as in "usage: NAME ..."; returns the exit status. */
int worker_main(int argc, char **argv, const char *name, enum plan_role role, transfer_run_fn run);

#endif
