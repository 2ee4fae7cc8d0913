/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of failback, and what they can be told. */
#ifndef FAILBACK_CLI_COMMAND_H
#define FAILBACK_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/failure.h"
#include "base/macro.h"
#include "lib/client.h"

/* Options, as bits of what a command takes; --json and --bus-address go with every one. */
enum command_option {
	OPTION_NO_WAIT = 1 << 0,
	OPTION_SETTINGS = 1 << 1,
	OPTION_CONSENT = 1 << 2,
	OPTION_FORCE = 1 << 3,
	OPTION_WAIT_FOR = 1 << 4, /* --state, --timeout */
	OPTION_SOURCE = 1 << 5, /* --all, --tracker, --epoch, --compare, --compress, --connections */
	OPTION_JOURNAL = 1 << 6,
	OPTION_PLAIN = 1 << 7, /* --plain, --tls */
	OPTION_TO = 1 << 8, /* --to, --extents, --rate */
	OPTION_LISTEN = 1 << 9,
	OPTION_CONFIG = 1 << 10,
	OPTION_HTTP = 1 << 11,
	OPTION_PAIR = 1 << 12, /* --fingerprint, --replace */
	OPTION_PROTECT = 1 << 13, /* --to, --disk, --vg, --peer-vg, --uuid, --replica, --dry-run, --table */
};

#define OPTION_DISKS_MAX 256

struct options {
	const char *bus_address;
	const char *settings_file;
	const char *operand;
	const char *consent;
	const char *state;
	const char *timeout;
	const char *to;
	const char *extents;
	const char *epoch;
	const char *compress;
	const char *rate;
	const char *connections;
	const char *listen;
	const char *journal;
	const char *config;
	const char *fingerprint;
	const char *vg;
	const char *peer_vg;
	const char *uuid;
	const char *table;
	const char *disks[OPTION_DISKS_MAX]; /* --disk may be given more than once */
	size_t nr_disks;
	bool json;
	bool no_wait;
	bool force;
	bool all;
	bool tracker;
	bool plain;
	bool tls;
	bool compare;
	bool http;
	bool replace;
	bool replica;
	bool dry_run;
};

/** struct option_doc - how an option is written, whose it is, and which member it sets. */
struct option_doc {
	const char *name;
	const char *value; /* NULL: a flag */
	unsigned int commands; /* enum command_option; 0: every command */
	size_t member; /* of struct options: const char *, or bool of a flag */
	const char *doc;
};

/** option_docs - all, in the order of the help; *@ret_nr of them. */
const struct option_doc *option_docs(size_t *ret_nr);

struct command {
	const char *name; /* one word or two: "host init" */
	const char *operand; /* NULL: none; in brackets: may be left out */
	unsigned int options;
	bool local; /* needs no failbackd */
	int (*run)(struct client *client, const struct options *o, struct failure *f);
	const char *doc;
};

/** commands - all, in the order of the help; *@ret_nr of them. */
const struct command *commands(size_t *ret_nr);

/**
 * command_find - of which @words, ended by NULL, are the name and what follows it; *@ret_nr of them are the
 * name. NULL: there is none.
 */
const struct command *command_find(char *const *words, int *ret_nr);

/** command_start - call @method for the VM that is named, when a delta of the schedule has ended. */
int command_start(struct client *client, const struct options *o, const char *method,
		  char ret_job[BUS_PATH_MAX], struct failure *f);

/** usage_error - say what is wrong with the command line; its exit status. */
int usage_error(const char *fmt, ...) printf_like(1, 2);

/* Where a command has more to it than a call, it has a file of its own: command_NAME.c. */
int command_reverse(struct client *client, const struct options *o, struct failure *f);
int command_test(struct client *client, const struct options *o, struct failure *f);
int command_ready(struct client *client, const struct options *o, struct failure *f);
int command_plan(struct client *client, const struct options *o, struct failure *f);
int command_create(struct client *client, const struct options *o, struct failure *f);
int command_protect(struct client *client, const struct options *o, struct failure *f);
int command_settings(struct client *client, const struct options *o, struct failure *f);
int command_watch(struct client *client, const struct options *o, struct failure *f);
int command_wait(struct client *client, const struct options *o, struct failure *f);
int command_log(struct client *client, const struct options *o, struct failure *f);
int command_apply(struct client *client, const struct options *o, struct failure *f);
int command_adopt(struct client *client, const struct options *o, struct failure *f);
int command_export(struct client *client, const struct options *o, struct failure *f);
int command_send(struct client *client, const struct options *o, struct failure *f);
int command_verify(struct client *client, const struct options *o, struct failure *f);
int command_receive(struct client *client, const struct options *o, struct failure *f);
int command_metrics(struct client *client, const struct options *o, struct failure *f);
int command_host_init(struct client *client, const struct options *o, struct failure *f);
int command_host_show(struct client *client, const struct options *o, struct failure *f);
int command_host_pair(struct client *client, const struct options *o, struct failure *f);
int command_help(struct client *client, const struct options *o, struct failure *f);

/**
 * create_relationship - as `failback create` does, from the text of its file, and wait until it is there.
 * command_initial - `failback initial`.
 */
int create_relationship(struct client *client, const struct options *o, const char *json, bool wait,
			struct failure *f);
int command_initial(struct client *client, const struct options *o, struct failure *f);

/**
 * read_text_file - the whole of a file, "-" for standard input, as a string without NUL; at most
 * @max bytes.
 */
int read_text_file(const char *path, size_t max, char **ret, struct failure *f);

#endif
