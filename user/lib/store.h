/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a host remembers: relationships, their disks and the history of jobs, in one SQLite
 * database. The only file that knows SQLite.
 *
 * A put returns after the record is durable (WAL, synchronous=FULL); a crash leaves the old
 * record or the new one. A put that fails changes nothing, but for one: store_put_relationship() says
 * -ENOTRECOVERABLE when the record cannot be flushed; whether it is there is known when the database is opened
 * anew. The database belongs to one process.
 */
#ifndef FAILBACK_LIB_STORE_H
#define FAILBACK_LIB_STORE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/dm-cbt.h>

#include "base/failure.h"
#include "base/uuid.h"

struct store;

#define DISK_NAME_MAX 55 /* as on the wire (cbt-wire.h) */
#define VM_NAME_MAX   255
#define PEER_TEXT_MAX 64 /* ADDRESS:PORT, numeric */
#define ABORTED_MAX   4
#define BOOT_TEXT_MAX 40
#define JOBS_KEPT     10000

/*
 * What the next delta sends of a disk. In a state in which nobody knows what the peer's disks hold, the
 * usual is all of it, else what the map says.
 */
enum disk_send {
	SEND_USUAL,
	SEND_MAP, /* what the map says, whatever the state */
	SEND_BOTH, /* and what the peer's map says, which has to be fetched first */
	SEND_ALL, /* until all of it was sent: the tracker that is noted says nothing about the base */
	NR_DISK_SENDS
};

struct disk_record {
	char name[DISK_NAME_MAX + 1];
	char tracker[CBT_NAME_LEN +
		     1]; /* mapped device where the VM runs; "" if it never runs here */
	char path[PATH_MAX]; /* what receives when this host is the replica */
	uint64_t size_bytes;
	/* The tracker whose map is known to start at the base; nil: none was noted yet. */
	struct uuid tracker_uuid;
	uint64_t tracker_generation;
	bool map_lost; /* and misses writes, whatever it says itself */
	enum disk_send send; /* as a primary */
};

struct relationship_record {
	struct uuid vm;
	char name[VM_NAME_MAX + 1];
	unsigned int mode; /* numbers of daemon/relationship.h */
	unsigned int state;
	unsigned int health;
	char peer[PEER_TEXT_MAX];
	struct uuid base; /* nil: none but what the operator asserted */
	struct uuid epoch; /* being sent, or received last; nil: none */
	bool epoch_durable; /* sending: the peer acknowledged @epoch */
	bool unreadable; /* nothing but @vm and @name is known: the rest of the row is damaged */
	bool inconsistent; /* receiving: the disks hold no instant of the VM's, but for `journal` */
	bool instant; /* receiving: @epoch is one instant of the VM's, and not read while it wrote */
	char journal[PATH_MAX]; /* receiving: file that may hold @epoch; to be settled before the
				   disks are used. "": none */
	struct uuid
		aborted[ABORTED_MAX]; /* epochs merged into the next delta that the peer may hold */
	size_t nr_aborted;
	uint64_t term; /* of daemon/role_swap.h; from 1 */
	bool ceded; /* a primary on which the VM may not run */
	char boot[BOOT_TEXT_MAX]; /* the boot in which the VM's devices were released; "": they are not */
	char *settings; /* JSON of ReplicationSettingData; malloc()ed, NULL: none */
	uint64_t role_since_us; /* since 1970: when it came to be what role_swap.h calls its role */
	uint64_t last_replication_us; /* since 1970; 0: never */
	char last_error[512]; /* "" when the last transfer went well */
	struct disk_record *disks; /* malloc()ed */
	size_t nr_disks;
};

struct job_record {
	struct uuid id;
	struct uuid vm;
	unsigned int type;
	unsigned int state;
	uint32_t code;
	char text[512];
	uint64_t started_us; /* since 1970 */
	uint64_t ended_us; /* 0: not ended */
	uint64_t bytes_total;
	uint64_t bytes_done;
	uint64_t bytes_sent;
};

void relationship_record_clear(struct relationship_record *r);

/**
 * store_open - create the database at @path or bring it to this version. -EPROTONOSUPPORT: it is
 * newer than this.
 */
int store_open(const char *path, struct store **ret, struct failure *f);
void store_close(struct store *store); /* NULL is fine */

int store_put_relationship(struct store *store, const struct relationship_record *r,
			   struct failure *f);

/** store_delete_relationship - and its disks; its jobs stay in the history. */
int store_delete_relationship(struct store *store, const struct uuid *vm, struct failure *f);

/**
 * store_load_relationships - all, by name; *@ret is malloc()ed, its members are to be cleared. One
 * that cannot be read is among them, and says so.
 */
int store_load_relationships(struct store *store, struct relationship_record **ret, size_t *ret_nr,
			     struct failure *f);

/** store_put_job - insert or replace; the oldest beyond JOBS_KEPT are forgotten. */
int store_put_job(struct store *store, const struct job_record *job, struct failure *f);

/** store_settle_jobs - jobs without an end get state, code, text and end; *@ret_nr of them. */
int store_settle_jobs(struct store *store, const struct job_record *outcome, size_t *ret_nr,
		      struct failure *f);

/** store_load_jobs - the newest @max first; *@ret is malloc()ed. */
int store_load_jobs(struct store *store, size_t max, struct job_record **ret, size_t *ret_nr,
		    struct failure *f);

typedef void (*store_job_fn)(void *context, const struct job_record *job);

/**
 * store_visit_jobs - those of @vm, in the order in which they were started, from *@since_us on; it becomes
 * later where the history does not reach back so far.
 */
int store_visit_jobs(struct store *store, const struct uuid *vm, uint64_t *since_us,
		     store_job_fn fn, void *context, struct failure *f);

#endif
