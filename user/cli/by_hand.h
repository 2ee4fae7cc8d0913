/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A transfer without failbackd: what its two commands have in common.
 *
 * They say to each other what two daemons say before a transfer (daemon/calls.h): one CALL
 * "receive" and its REPLY. The VM of a transfer by hand is nobody's, and has the epoch's UUID; the
 * one disk is called BY_HAND_DISK.
 */
#ifndef FAILBACK_CLI_BY_HAND_H
#define FAILBACK_CLI_BY_HAND_H

#include <stdbool.h>
#include <stdint.h>

#include <cbt-wire.h>

#include "base/failure.h"
#include "base/uuid.h"
#include "cli/command.h"
#include "daemon/host_config.h"
#include "lib/address.h"
#include "lib/gathering.h"
#include "lib/json.h"
#include "lib/tls.h"

#define BY_HAND_DISK	   "disk0"
#define BY_HAND_PORT	   7408
#define BY_HAND_TIMEOUT_MS 30000 /* of what is said before the transfer */

/** by_hand_address - @text. @option: that gave it, for sentences */
int by_hand_address(const char *text, const char *option, struct address *ret, struct failure *f);

struct by_hand_tls {
	bool used;
	struct host_config config; /* where it is */
};

/**
 * by_hand_tls_load - whether what goes to, or comes from, @where is protected: on a network unless --plain
 * says that there is no need, on loopback when --tls says so.
 *
 * CODE_FILE_NOT_FOUND: it is, and this host has no certificate; the sentence says how to make one.
 */
int by_hand_tls_load(const struct options *o, const struct address *where, struct by_hand_tls *ret,
		     struct failure *f);

/* Who is at the other end of a connection. */
struct by_hand_peer {
	struct address address;
	enum protection protection; /* of the connection */
	char fingerprint[FINGERPRINT_TEXT_MAX]; /* ""; it showed no key */
};

/**
 * by_hand_secure - agree with the peer, whose address is in @peer, on who both are, and learn the rest of it; *@fd
 * may be replaced. Does nothing where nothing is protected.
 */
int by_hand_secure(const struct by_hand_tls *tls, bool listener, uint64_t deadline_ns,
		   struct by_hand_peer *peer, int *fd, struct failure *f);

struct call;
struct reply;

/** by_hand_ask - say @call, as a daemon would, and hear the reply, whatever its code. */
int by_hand_ask(int fd, const struct call *call, uint64_t deadline_ns, struct reply *ret, struct failure *f);

/**
 * by_hand_join - the sender's further connections, 1 to @nr - 1, to where @first leads, join the transfer @vm.
 * @token: that the receiver gave on the first
 * @ret: room for @nr - 1 descriptors; after a failure none is open
 */
int by_hand_join(const struct by_hand_tls *tls, const struct by_hand_peer *first, const struct uuid *vm,
		 const struct uuid *token, unsigned int nr, int *ret, struct failure *f);

/**
 * by_hand_gather - the receiver's: wait for them. Whoever else comes is turned away, and the wait goes on.
 * @ret: as above, by their numbers
 */
int by_hand_gather(const struct by_hand_tls *tls, const struct by_hand_peer *first, int first_fd,
		   int listener, struct gathering *g, int *ret, struct failure *f);

/**
 * by_hand_plan - a plan (xfer/worker.h) for the one disk, to which the caller adds what to do with
 * it.
 * @ret_disk: belongs to the plan
 */
struct json_object *by_hand_plan(const struct uuid *epoch, uint64_t size_bytes,
				 struct json_object **ret_disk);

struct by_hand {
	const char *label; /* of the progress, "Sending /dev/vdb" */
	int (*worker)(int argc, char **argv); /* send_main, receive_main */
	struct json_object *plan;
	int connections[CBT_WIRE_CONNECTIONS_MAX]; /* taken over */
	unsigned int nr_connections;
	enum protection protection; /* of them */
	bool json;
	bool verify; /* standard output is for what differs, in lines as of an extent list */
	uint64_t bytes_differ; /* set, on the side that is told */
	bool began; /* set: the peers agreed on the delta */
	bool durable; /* set: the receiver has it whole */
};

/**
 * by_hand_run - run the worker in a process of its own, and show how it goes on and how it ended.
 * The failure is the worker's.
 */
int by_hand_run(struct by_hand *transfer, struct failure *f);

/**
 * by_hand_send, by_hand_receive - the two sides of a transfer, or of a comparison that is all there
 * is, as the options say. by_hand_send: 1 when @verify found a difference.
 */
int by_hand_send(const struct options *o, bool verify, struct failure *f);
int by_hand_receive(const struct options *o, bool verify, struct failure *f);

#endif
