/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VM and its relationship, as this host remembers it. */
#ifndef FAILBACK_DAEMON_VM_H
#define FAILBACK_DAEMON_VM_H

#include "daemon/calls.h"
#include "daemon/daemon.h"
#include "daemon/relationship.h"
#include "daemon/role_swap.h"

struct definition_arriving;
struct ready;
struct ready_answer;
struct receive;
struct takeover;
struct written_label;

/* As relationship_record.boot: adopted (adopt.h), and the peer has not agreed since that the VM may run here. */
#define BOOT_ADOPTED "adopted"
/* The same: held, and by the peer's last word the VM may run there. */
#define BOOT_AT_PEER "at peer"

struct vm {
	struct vm *next;
	struct daemon *daemon;
	struct relationship_record r; /* as it is in the store; changed by vm_change() only */
	struct job *job; /* that runs on it; NULL: none */
	struct job *next_job; /* that begins when it ends */
	struct takeover *confirming; /* that the VM may run here after a boot; NULL: nobody asks */
	uint64_t due_ns; /* when the schedule looks at it next; 0: at once */
	/* The peer, as it described itself last; 0: it did not yet. */
	unsigned int peer_mode;
	unsigned int peer_state;
	bool peer_may_face;
	uint64_t peer_seen_us;
	bool is_split; /* both hosts may run it (split_brain.h), and there it is so: */
	struct history split_there;
	/* What stood in the record before it said that the VM is held since the boot; health 0: unknown. */
	char error_before_hold[sizeof(((struct relationship_record *)0)->last_error)];
	unsigned int health_before_hold;
	/* What the next epoch's delta is to compare: an unplanned failover's (map_import.h), by disk; NULL: nothing. */
	struct extent_list *guessed;
	size_t nr_guessed;
	uint64_t bytes_per_second; /* of the last transfer; 0: unknown */
	struct written_label *labels; /* of its disks (labels.h); NULL: none is known to be written */
	size_t nr_labels;
	bool label_failed; /* one could not be written, which was logged */
	uint64_t ready_due_ns; /* when the schedule asks next whether it is ready (ready.h); 0: not known yet */
	char not_ready[512]; /* what it found the last time; "": nothing */
	char unrecorded[512]; /* why what is written is not recorded (watch.h); "": it is, or nothing is */
	char unstored[512]; /* why the last change of the record is not in the database; "": it is */
	char unsettled[512]; /* why its journal could not be settled the last time (journals.h); "": it was, or nobody tried */
	bool unsettled_told; /* to the peer */
	uint64_t unsettled_ns; /* when that was */
	char not_started[512]; /* why it was not started when it was released after a boot; "": it was, or runs by now */
	uint64_t start_due_ns; /* when it is tried again; 0: that would not help */
	bool autostarting; /* that is under way */
	char fence_trouble[512]; /* that was logged; "": the fence stands where it should */
	struct ready *asking; /* that by itself, now; NULL: nobody asks */
	struct ready_answer *answering; /* the peer's question whether it is; NULL: none */
	struct receive *gathering; /* a delta that waits for its connections; NULL: none */
	struct definition_arriving *arriving; /* the VM's definition, in part (definitions.h); NULL: none */
	char definition_trouble[512]; /* why the last one did not reach the peer (definition_send.h); "": nothing */
	uint64_t definition_due_ns; /* when one is offered again to a peer that knows of none; 0: at once */
	uint64_t silent_since_ns; /* the peer's last word, or when its word was first wanted; 0: never */
};

/** vm_load_all - what the store holds. */
int vm_load_all(struct daemon *d, struct failure *f);
void vm_free_all(struct daemon *d);

/** vm_add - a relationship that the store does not hold yet; takes over what @r owns on success. */
int vm_add(struct daemon *d, struct relationship_record *r, struct failure *f);

/**
 * vm_change - make @next durable, then the VM's record, then announce it on D-Bus.
 * @next: a shallow copy of the record with changes; settings and disks may be replaced by new
 *	allocations, which are
 *	taken over on success. On failure nothing changed.
 */
int vm_change(struct vm *vm, const struct relationship_record *next, struct failure *f);

/** vm_copy_disks - for a record in which the disks are to change; malloc()ed. */
int vm_copy_disks(const struct vm *vm, struct disk_record **ret, struct failure *f);

/** vm_change_send - vm_change(), and from now on @send is sent of each disk. */
int vm_change_send(struct vm *vm, struct relationship_record *next, enum disk_send send,
		   struct failure *f);

/**
 * vm_apply_event - set @next's role to where @event leads; CODE_INVALID_STATE names the role and
 * the ones needed.
 */
int vm_apply_event(const struct vm *vm, enum relationship_event event,
		   struct relationship_record *next, struct failure *f);

/**
 * vm_change_role - vm_change(), with the fence on the right side of it.
 *
 * CRASH: where the VM may no longer run, its devices are out of its sight before the record says so;
 * where it may run from now on, they come into sight after it. fence_sync() makes up for a crash in
 * between. CODE_IN_USE: a device that has to go is open; nothing changed.
 */
int vm_change_role(struct vm *vm, const struct relationship_record *next, struct failure *f);

/**
 * vm_sync_fence - put the fence where the record says: after a start or a failure, or when devices came
 * (watch.h). Trouble is logged when it changes.
 */
void vm_sync_fence(struct vm *vm);

/** vm_forget_guesses - the epoch has ended that was to be compared with them, or the disks are others. */
void vm_forget_guesses(struct vm *vm);

/** vm_remove - forget the relationship; frees @vm. */
int vm_remove(struct vm *vm, struct failure *f);

/**
 * vm_health, vm_last_error - of the record, but that a VM of which nothing is recorded is Critical, and that a
 * record that cannot be written and a start that failed are told first; and where none of them has anything to say, what `not_ready` says.
 */
unsigned int vm_health(const struct vm *vm);
const char *vm_last_error(const struct vm *vm);

struct relationship_role vm_role(const struct vm *vm);

/** vm_sends_all - in its state nobody knows what the peer's disks hold, until all was sent. */
bool vm_sends_all(const struct vm *vm);

/** vm_swap_host - the VM's relationship as daemon/role_swap.h sees it. */
struct swap_host vm_swap_host(const struct vm *vm);

/** vm_put_swap - into @next: term, ceded and released as @host says. Mode and state are events'. */
void vm_put_swap(const struct vm *vm, const struct swap_host *host,
		 struct relationship_record *next);

/** vm_history - what the VM did here. */
struct history vm_history(const struct vm *vm);

/**
 * vm_note_peer - the peer has just said how it stands; mode 0: it did not. What keeps a held VM from being
 * started without it is durable then.
 */
void vm_note_peer(struct vm *vm, const struct reply *reply);

/** vm_is_held - it may run here, as far as its role goes, but was not released since the boot. */
bool vm_is_held(const struct vm *vm);

/** vm_check_readable - CODE_STATUS_UNKNOWN: nothing is known of it but its name. */
int vm_check_readable(const struct vm *vm, struct failure *f);

struct vm *vm_find(struct daemon *d, const struct uuid *uuid);

/** vm_find_by_path - an object path on D-Bus; CODE_INVALID_PARAMETER when it is none or unknown. */
int vm_find_by_path(struct daemon *d, const char *path, struct vm **ret, struct failure *f);

/** vm_find_by_name - name or UUID; a name that several VMs have is refused. */
int vm_find_by_name(struct daemon *d, const char *name, struct vm **ret, struct failure *f);

/** vm_check_idle - CODE_IN_USE when a job runs on the VM. */
int vm_check_idle(const struct vm *vm, struct failure *f);

/** vm_check_disks - CODE_FILE_NOT_FOUND when a disk is not there. */
int vm_check_disks(const struct vm *vm, struct failure *f);

const char *vm_path(const struct vm *vm, char *buf); /* buf of BUS_PATH_MAX */

#endif
