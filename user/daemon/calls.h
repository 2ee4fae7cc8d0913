/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What two daemons say to each other before a transfer: the JSON in CALL and REPLY. PURE.
 *
 *	"reverse-check"	may the listener, the old primary, become the caller's replica?
 *	"reverse"	become it. REPLY code 0 means that the new role is durable there.
 *	"receive"	take a delta. After REPLY code 4096 the connection is the workers'.
 *
 *	CALL	{"call", "version": 1, "vm", "base", "epoch", "aborted": [{"epoch"}],
 *		 "disks": [{"name", "size"}]}
 *	REPLY	{"code", "text", "base"}
 *
 * "epoch" is, in reverse, the one that the caller received last and may hold (see
 * base_is_covered()); in receive, the one that comes. "base" is that of the host that speaks.
 *
 * Unknown members are refused: a later version that adds one that matters also raises
 * CALLS_VERSION.
 */
#ifndef FAILBACK_DAEMON_CALLS_H
#define FAILBACK_DAEMON_CALLS_H

#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"
#include "base/uuid.h"
#include "lib/store.h"

#define CALLS_VERSION  1
#define CALL_DISKS_MAX 256

enum call_kind { CALL_REVERSE_CHECK, CALL_REVERSE, CALL_RECEIVE, NR_CALLS };

struct call_disk {
	char name[DISK_NAME_MAX + 1];
	uint64_t size_bytes;
};

struct call {
	enum call_kind kind;
	struct uuid vm;
	struct uuid base; /* of the caller; nil: none */
	struct uuid epoch; /* nil: none; never in CALL_RECEIVE */
	struct uuid aborted[ABORTED_MAX];
	size_t nr_aborted;
	struct call_disk disks[CALL_DISKS_MAX];
	size_t nr_disks;
};

struct reply {
	uint32_t code;
	char text[512];
	struct uuid base;
};

/**
 * call_of_relationship - @kind about @r's VM and disks, with its base, epoch and aborted epochs.
 */
void call_of_relationship(enum call_kind kind, const struct relationship_record *r,
			  struct call *ret);

char *call_encode(const struct call *call); /* malloc()ed; NULL when out of memory */

/** call_decode - CODE_NOT_SUPPORTED: another version or an unknown call. */
int call_decode(const char *text, struct call *ret, struct failure *f);

char *reply_encode(const struct reply *reply);
int reply_decode(const char *text, struct reply *ret, struct failure *f);

#endif
