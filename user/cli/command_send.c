// SPDX-License-Identifier: GPL-2.0-or-later
/* `failback send`: a disk, by hand, to a host where `failback receive` waits for it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/size.h"
#include "cli/by_hand.h"
#include "cli/command.h"
#include "daemon/calls.h"
#include "lib/devid.h"
#include "lib/dial.h"
#include "lib/dm_image.h"
#include "lib/nl.h"
#include "lib/rate.h"
#include "xfer/worker.h"

/* What is to be sent, and from where. */
struct source {
	char path[PATH_MAX];
	uint64_t size_bytes;
	struct uuid epoch;
	char extents[PATH_MAX];
	char image[UUID_TEXT_LEN + 16]; /* made for this transfer; "": none */
};

static void source_end(struct source *source)
{
	if (source->image[0])
		(void)dm_image_remove(source->image, NULL);
}

/* The frozen epoch of a tracker: its image, or its origin when there is no store to keep one on. */
static int take_tracker(const struct options *o, struct source *ret, struct failure *f)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	char tracker[UUID_TEXT_LEN + 1];
	char name[sizeof(ret->image)];
	struct tracker_info info;
	int rc;

	if (o->epoch)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "--epoch does not go with --tracker: it has an epoch.");
	rc = nl_open(&nl, f);
	if (!rc)
		rc = nl_tracker_get(nl, o->operand, &info, f);
	if (rc)
		return rc;
	if (!info.has_frozen)
		return failure_set(f, CODE_INVALID_STATE, -ESTALE,
				   "Tracker %s has no frozen epoch: `cbtctl freeze %s` first.",
				   o->operand, o->operand);
	ret->epoch = info.frozen_uuid;
	ret->size_bytes = info.size_sectors * 512;
	if (!info.has_store)
		return devid_path(info.origin_dev, ret->path, f);
	(void)snprintf(name, sizeof(name), "failback-send-%s", uuid_format(&info.uuid, tracker));
	(void)dm_image_remove(name, NULL); /* of a sender that was killed */
	rc = dm_image_create(name, &info.uuid, &info.frozen_uuid, info.size_sectors, ret->path, f);
	if (!rc)
		memcpy(ret->image, name, sizeof(name));
	return rc;
}

/* The worker's standard input is its plan: what comes through ours needs another descriptor. */
static int take_extents(const struct options *o, struct source *ret, struct failure *f)
{
	int fd;

	if (!o->extents || strcmp(o->extents, "-") != 0) {
		(void)snprintf(ret->extents, sizeof(ret->extents), "%s",
			       o->extents ? o->extents : "");
		return 0;
	}
	fd = fcntl(STDIN_FILENO, F_DUPFD, 3);
	if (fd < 0)
		return failure_set(f, CODE_FAILED, -errno, "Cannot read the standard input: %s.",
				   strerror(errno));
	(void)snprintf(ret->extents, sizeof(ret->extents), "/dev/fd/%d", fd);
	return 0;
}

static int take_disk(const struct options *o, struct source *ret, struct failure *f)
{
	int rc = devid_size(o->operand, &ret->size_bytes, f);

	if (rc)
		return rc;
	if (!ret->size_bytes || ret->size_bytes % 512)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "%s has %llu bytes: a disk has a multiple of 512, and some.",
				   o->operand, (unsigned long long)ret->size_bytes);
	(void)snprintf(ret->path, sizeof(ret->path), "%s", o->operand);
	rc = o->epoch ? uuid_parse(o->epoch, &ret->epoch) : uuid_new(&ret->epoch);
	if (rc || uuid_is_nil(&ret->epoch))
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL, "%s is no UUID.", o->epoch);
	return take_extents(o, ret, f);
}

static int source_take(const struct options *o, bool verify, struct source *ret, struct failure *f)
{
	if (!verify && o->all + o->tracker + (o->extents != NULL) != 1)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "Say what to send: --all, --extents FILE or --tracker.");
	return o->tracker ? take_tracker(o, ret, f) : take_disk(o, ret, f);
}

static void add_flag(struct json_object *object, const char *name, bool flag)
{
	if (flag)
		(void)json_object_object_add(object, name, json_object_new_boolean(true));
}

static const char *compress_of(const struct options *o)
{
	return o->compress ? o->compress : "auto";
}

static struct json_object *plan_of(const struct options *o, bool verify, uint64_t rate,
				   const struct source *source)
{
	struct json_object *what = json_object_new_object();
	struct json_object *disk;
	struct json_object *plan = by_hand_plan(&source->epoch, source->size_bytes, &disk);

	if (o->tracker)
		json_add_text(what, "tracker", o->operand);
	else if (o->extents)
		json_add_text(what, "extents", source->extents);
	add_flag(what, "all", !o->tracker && !o->extents);
	add_flag(what, "compare", o->compare);
	add_flag(plan, "verify", verify);
	add_flag(plan, "compress", !verify && strcmp(compress_of(o), "auto") == 0);
	json_add_uint(plan, "rate", rate);
	json_add_text(disk, "path", source->path);
	(void)json_object_object_add(disk, "source", what);
	return plan;
}

/*
 * What is coming, and the receiver's answer.
 * @connections: that are asked for
 * @ret_token: what the others join with, where there are any
 */
static int announce(int fd, const struct options *o, const struct source *source, uint64_t connections,
		    unsigned int *ret_nr, struct uuid *ret_token, struct failure *f)
{
	uint64_t deadline_ns = deadline_in_ms(BY_HAND_TIMEOUT_MS);
	cleanup_free struct call *call = calloc(1, sizeof(*call));
	cleanup_free struct reply *reply = calloc(1, sizeof(*reply));
	int rc;

	if (!call || !reply)
		return failure_no_memory(f);
	call->kind = CALL_RECEIVE;
	call->vm = source->epoch;
	call->epoch = source->epoch;
	call->full = o->all;
	call->connections = connections;
	call->nr_disks = 1;
	(void)snprintf(call->disks[0].name, sizeof(call->disks[0].name), "%s", BY_HAND_DISK);
	call->disks[0].size_bytes = source->size_bytes;
	rc = by_hand_ask(fd, call, deadline_ns, reply, f);
	if (!rc && reply->code != CODE_JOB_STARTED)
		rc = failure_set(f, reply->code < CODE_FAILED ? CODE_FAILED : reply->code,
				 -EREMOTEIO, "The receiver%s: %s",
				 connections > 1 && !reply->connections ?
					 " knows of one connection only: leave --connections out" :
					 "",
				 reply->text);
	*ret_token = reply->token;
	return rc ? rc : reply_connections(reply, connections, ret_nr, f);
}

/* All connections to where the receiver listens, agreed on with it. */
static int connect_all(const struct options *o, uint64_t connections, const struct address *to,
		       const struct by_hand_tls *tls, const struct source *source,
		       struct by_hand *by_hand, struct failure *f)
{
	uint64_t deadline_ns = deadline_in_ms(BY_HAND_TIMEOUT_MS);
	struct by_hand_peer first = { .address = *to };
	cleanup_fd int fd = -1;
	struct uuid token;
	unsigned int nr;
	int rc;

	rc = dial(to, NULL, deadline_ns, &fd, f);
	if (!rc)
		rc = by_hand_secure(tls, false, deadline_in_ms(BY_HAND_TIMEOUT_MS), &first, &fd, f);
	if (!rc)
		rc = announce(fd, o, source, connections, &nr, &token, f);
	if (!rc)
		rc = by_hand_join(tls, &first, &source->epoch, &token, nr, &by_hand->connections[1], f);
	if (rc)
		return rc;
	by_hand->connections[0] = steal_fd(&fd);
	by_hand->nr_connections = nr;
	by_hand->protection = first.protection;
	return 0;
}

static int transfer(const struct options *o, bool verify, uint64_t rate, uint64_t connections,
		    const struct address *to, const struct by_hand_tls *tls,
		    const struct source *source, struct failure *f)
{
	cleanup_json struct json_object *plan = plan_of(o, verify, rate, source);
	char epoch[UUID_TEXT_LEN + 1];
	char label[PATH_MAX + 32];
	struct by_hand by_hand = {
		.label = label,
		.worker = send_main,
		.plan = plan,
		.json = o->json,
		.verify = verify,
	};
	struct failure why;
	int rc;

	rc = connect_all(o, connections, to, tls, source, &by_hand, f);
	if (rc)
		return rc;
	(void)snprintf(label, sizeof(label), "%s %s", verify ? "Verifying" : "Sending", o->operand);
	rc = by_hand_run(&by_hand, &why);
	if (!rc)
		return by_hand.bytes_differ != 0;
	if (by_hand.began && !o->tracker)
		return failure_set(f, why.code, rc,
				   "%s With a --journal there, --epoch %s goes on.", why.text,
				   uuid_format(&source->epoch, epoch));
	*f = why;
	return rc;
}

/* 1 where nothing is said. */
static int take_connections(const struct options *o, uint64_t *ret, struct failure *f)
{
	const char *text = o->connections ? o->connections : "1";

	*ret = (uint64_t)(text[0] - '0');
	if (text[0] >= '1' && *ret <= CBT_WIRE_CONNECTIONS_MAX && !text[1])
		return 0;
	return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL, "--connections is a number from 1 to %u, not %s.",
			   CBT_WIRE_CONNECTIONS_MAX, text);
}

int by_hand_send(const struct options *o, bool verify, struct failure *f)
{
	_cleanup_(source_end) struct source source = { 0 };
	struct by_hand_tls tls;
	uint64_t connections = 1;
	uint64_t rate = 0;
	struct address to;
	int rc;

	if (o->rate && (size_parse(o->rate, &rate) || rate < RATE_MIN))
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "--rate is a size like 500K or 20M, and at least 64K, not %s.", o->rate);
	if (strcmp(compress_of(o), "auto") != 0 && strcmp(compress_of(o), "off") != 0)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "--compress is auto or off, not %s.", o->compress);
	rc = take_connections(o, &connections, f);
	if (!rc)
		rc = by_hand_address(o->to, "--to", &to, f);
	if (!rc)
		rc = by_hand_tls_load(o, &to, &tls, f);
	if (!rc)
		rc = source_take(o, verify, &source, f);
	return rc ? rc : transfer(o, verify, rate, connections, &to, &tls, &source, f);
}

int command_send(struct client *client, const struct options *o, struct failure *f)
{
	(void)client;
	return by_hand_send(o, false, f);
}
