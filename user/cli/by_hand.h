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

#include "base/failure.h"
#include "base/uuid.h"
#include "cli/command.h"
#include "daemon/host_config.h"
#include "lib/address.h"
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

/**
 * by_hand_secure - agree with the peer on who both are; *@fd may be replaced. Does nothing where nothing is
 * protected.
 */
int by_hand_secure(const struct by_hand_tls *tls, const struct address *peer, bool listener, int *fd,
		   enum protection *ret, struct failure *f);

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
	int connection; /* taken over */
	enum protection protection; /* of it */
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
