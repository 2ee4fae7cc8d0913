// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/calls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "daemon/relationship.h"
#include "lib/json.h"

static const char *const kind_names[NR_CALLS] = {
	[CALL_LOOK] = "look",
	[CALL_REVERSE_CHECK] = "reverse-check",
	[CALL_FAILOVER] = "failover",
	[CALL_RESUME] = "resume",
	[CALL_REVERSE] = "reverse",
	[CALL_CONFIRM] = "confirm",
	[CALL_CREATE] = "create",
	[CALL_RECEIVE] = "receive",
	[CALL_MAP] = "map",
	[CALL_READY] = "ready",
	[CALL_JOIN] = "join",
	[CALL_DEFINITION] = "definition",
};

static const enum call_kind ask_kinds[NR_SWAP_ASKS] = {
	[SWAP_FAILOVER] = CALL_FAILOVER,
	[SWAP_RESUME] = CALL_RESUME,
	[SWAP_REVERSE] = CALL_REVERSE,
	[SWAP_CONFIRM] = CALL_CONFIRM,
};

bool call_asks(enum call_kind kind, enum swap_ask *ret)
{
	for (unsigned int i = 0; i < NR_SWAP_ASKS; i++) {
		if (ask_kinds[i] != kind)
			continue;
		*ret = i;
		return true;
	}
	return false;
}

enum call_kind call_of_ask(enum swap_ask ask)
{
	return ask_kinds[ask];
}

static const char what[] = "the message of the peer";

/* Far from where adding one would overflow. */
#define CALL_TERM_MAX (INT64_MAX / 2)

void call_of_relationship(enum call_kind kind, const struct relationship_record *r,
			  struct call *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->kind = kind;
	ret->vm = r->vm;
	ret->base = r->base;
	ret->epoch = r->epoch;
	memcpy(ret->aborted, r->aborted, sizeof(ret->aborted));
	ret->nr_aborted = r->nr_aborted;
	ret->nr_disks = min_of(r->nr_disks, (size_t)CALL_DISKS_MAX);
	for (size_t i = 0; i < ret->nr_disks; i++) {
		memcpy(ret->disks[i].name, r->disks[i].name, sizeof(ret->disks[i].name));
		ret->disks[i].size_bytes = r->disks[i].size_bytes;
	}
}

static void add_flag(struct json_object *object, const char *name, bool flag)
{
	(void)json_object_object_add(object, name, json_object_new_boolean(flag));
}

static void add_aborted(struct json_object *object, const struct uuid *epochs, size_t nr)
{
	struct json_object *aborted = json_object_new_array();

	for (size_t i = 0; i < nr; i++) {
		struct json_object *item;

		if (uuid_is_nil(&epochs[i]))
			continue;
		item = json_object_new_object();
		json_add_uuid(item, "epoch", &epochs[i]);
		(void)json_object_array_add(aborted, item);
	}
	(void)json_object_object_add(object, "aborted", aborted);
}

static void add_history(struct json_object *object, const struct history *history)
{
	struct json_object *item = json_object_new_object();

	json_add_uint(item, "mode", history->mode);
	json_add_uint(item, "state", history->state);
	add_flag(item, "facing", history->facing);
	json_add_uint(item, "since", history->since_us);
	json_add_uint(item, "term", history->term);
	json_add_uuid(item, "base", &history->base);
	if (history->written_bytes != HISTORY_UNKNOWN)
		json_add_uint(item, "written", history->written_bytes);
	(void)json_object_object_add(object, "history", item);
}

static int decode_history(struct json_object *object, struct history *ret, struct failure *f)
{
	struct history history = { .written_bytes = HISTORY_UNKNOWN };
	struct json_object *item;
	uint64_t mode = 0;
	uint64_t state = 0;
	int rc;

	if (!json_object_object_get_ex(object, "history", &item))
		return 0;
	rc = json_get_uint(what, item, "mode", true, NR_MODES - 1, &mode, f);
	if (!rc)
		rc = json_get_uint(what, item, "state", true, NR_STATES - 1, &state, f);
	if (!rc)
		rc = json_get_flag(what, item, "facing", &history.facing, f);
	if (!rc)
		rc = json_get_uint(what, item, "since", true, INT64_MAX, &history.since_us, f);
	if (!rc)
		rc = json_get_uint(what, item, "term", true, CALL_TERM_MAX, &history.term, f);
	if (!rc)
		rc = json_get_uuid(what, item, "base", false, &history.base, f);
	if (!rc)
		rc = json_get_uint(what, item, "written", false, INT64_MAX, &history.written_bytes, f);
	if (rc)
		return rc;
	history.mode = (unsigned int)mode;
	history.state = (unsigned int)state;
	*ret = history;
	return 0;
}

/* A further connection says this and no more. */
static char *encode_join(struct json_object *object, const struct call *call)
{
	json_add_uuid(object, "token", &call->token);
	json_add_uint(object, "connection", call->connection);
	return json_text(object);
}

static char *encode_definition(struct json_object *object, const struct call *call)
{
	json_add_uuid(object, "base", &call->base);
	json_add_uuid(object, "epoch", &call->epoch);
	json_add_uint(object, "size", call->size);
	json_add_uint(object, "offset", call->offset);
	json_add_text(object, "data", call->data);
	return json_text(object);
}

char *call_encode(const struct call *call)
{
	cleanup_json struct json_object *object = json_object_new_object();
	struct json_object *disks;

	json_add_text(object, "call", kind_names[call->kind]);
	json_add_uint(object, "version", CALLS_VERSION);
	json_add_uuid(object, "vm", &call->vm);
	if (call->kind == CALL_JOIN)
		return encode_join(object, call);
	if (call->kind == CALL_DEFINITION)
		return encode_definition(object, call);
	json_add_uuid(object, "base", &call->base);
	json_add_uuid(object, "epoch", &call->epoch);
	add_aborted(object, call->aborted, call->nr_aborted);
	disks = json_object_new_array();
	for (size_t i = 0; i < call->nr_disks; i++) {
		struct json_object *item = json_object_new_object();

		json_add_text(item, "name", call->disks[i].name);
		json_add_uint(item, "size", call->disks[i].size_bytes);
		if (call->kind == CALL_CREATE) {
			json_add_text(item, "path", call->disks[i].path);
			json_add_text(item, "tracker", call->disks[i].tracker);
		}
		if (call->disks[i].all)
			add_flag(item, "all", true);
		(void)json_object_array_add(disks, item);
	}
	(void)json_object_object_add(object, "disks", disks);
	if (call->kind == CALL_CREATE) {
		json_add_text(object, "name", call->name);
		json_add_uint(object, "port", call->port);
	}
	if (call->kind == CALL_MAP) {
		json_add_text(object, "disk", call->disk);
		json_add_uint(object, "start", call->start);
	}
	json_add_uint(object, "term", call->swap.term);
	json_add_uint(object, "expects", call->swap.expects);
	json_add_uint(object, "session", call->swap.session);
	json_add_uint(object, "nonce", call->swap.nonce);
	add_flag(object, "convert", call->convert);
	add_flag(object, "full", call->full);
	add_flag(object, "instant", call->instant);
	json_add_uint(object, "bytes", call->bytes);
	add_history(object, &call->history);
	/* only where there are several: a host that does not know of them refuses it */
	if (call->connections > 1)
		json_add_uint(object, "connections", call->connections);
	return json_text(object);
}

static int decode_swap(struct json_object *object, struct call *call, struct failure *f)
{
	enum swap_ask ask = SWAP_FAILOVER;
	bool asks = call_asks(call->kind, &ask);
	int rc;

	call->swap.ask = ask;
	rc = json_get_uint(what, object, "term", asks, CALL_TERM_MAX, &call->swap.term, f);
	if (!rc)
		rc = json_get_uint(what, object, "expects", asks, INT64_MAX, &call->swap.expects,
				   f);
	if (!rc)
		rc = json_get_uint(what, object, "session", asks, INT64_MAX, &call->swap.session,
				   f);
	if (!rc)
		rc = json_get_uint(what, object, "nonce", asks, INT64_MAX, &call->swap.nonce, f);
	if (!rc)
		rc = json_get_flag(what, object, "convert", &call->convert, f);
	return rc;
}

static int decode_delta(struct json_object *object, struct call *call, struct failure *f)
{
	int rc = json_get_flag(what, object, "full", &call->full, f);

	if (!rc)
		rc = json_get_flag(what, object, "instant", &call->instant, f);
	return rc ? rc : json_get_uint(what, object, "bytes", call->kind == CALL_RECEIVE, INT64_MAX,
				       &call->bytes, f);
}

static int decode_kind(struct json_object *object, enum call_kind *ret, struct failure *f)
{
	uint64_t version = 0;
	char name[32] = "";
	int rc;

	/* The version first: another one may have other members. */
	rc = json_get_uint(what, object, "version", true, INT32_MAX, &version, f);
	if (!rc)
		rc = json_get_text(what, object, "call", true, name, sizeof(name), f);
	if (rc)
		return rc;
	for (unsigned int i = 0; version == CALLS_VERSION && i < NR_CALLS; i++) {
		if (strcmp(kind_names[i], name) != 0)
			continue;
		*ret = i;
		return 0;
	}
	return failure_set(
		f, CODE_NOT_SUPPORTED, -EPROTONOSUPPORT,
		"The peer asks for \"%s\" of version %llu; this host knows version %d. Bring both "
		"hosts to the "
		"same version of Failback.",
		name, (unsigned long long)version, CALLS_VERSION);
}

static int decode_map(struct json_object *object, struct call *call, struct failure *f)
{
	bool asks = call->kind == CALL_MAP;
	int rc = json_get_text(what, object, "disk", asks, call->disk, sizeof(call->disk), f);

	return rc ? rc :
		    json_get_uint(what, object, "start", asks, INT64_MAX, &call->start, f);
}

/* One is as good as none. */
static int decode_connections(struct json_object *object, struct call *call, struct failure *f)
{
	uint64_t nr = 0;
	int rc = json_get_uint(what, object, "connections", false, INT32_MAX, &nr, f);

	if (!rc && call->kind == CALL_RECEIVE && nr > 1)
		call->connections = nr;
	return rc;
}

static int decode_join(struct json_object *object, struct call *call, struct failure *f)
{
	static const char *const members[] = { "call", "version", "vm", "token", "connection" };
	int rc = json_check_members(what, object, members, ARRAY_SIZE(members), f);

	if (!rc)
		rc = json_get_uuid(what, object, "vm", true, &call->vm, f);
	if (!rc)
		rc = json_get_uuid(what, object, "token", true, &call->token, f);
	return rc ? rc :
		    json_get_uint(what, object, "connection", true, INT32_MAX, &call->connection, f);
}

/* Of what it speaks. */
static int decode_epochs(struct json_object *object, struct call *call, struct failure *f)
{
	bool needed = call->kind == CALL_RECEIVE || call->kind == CALL_DEFINITION;
	int rc = json_get_uuid(what, object, "vm", true, &call->vm, f);

	if (!rc)
		rc = json_get_uuid(what, object, "base", false, &call->base, f);
	return rc ? rc : json_get_uuid(what, object, "epoch", needed, &call->epoch, f);
}

static int decode_definition(struct json_object *object, struct call *call, struct failure *f)
{
	static const char *const members[] = { "call",	"version", "vm",     "base",
					       "epoch", "size",	   "offset", "data" };
	int rc = json_check_members(what, object, members, ARRAY_SIZE(members), f);

	if (!rc)
		rc = decode_epochs(object, call, f);
	if (!rc)
		rc = json_get_uint(what, object, "size", true, INT32_MAX, &call->size, f);
	if (!rc)
		rc = json_get_uint(what, object, "offset", true, INT32_MAX, &call->offset, f);
	return rc ? rc : json_get_text(what, object, "data", true, call->data, sizeof(call->data), f);
}

static int decode_aborted(struct json_object *object, struct uuid *ret, size_t *ret_nr,
			  struct failure *f)
{
	static const char *const members[] = { "epoch" };
	struct json_object *array = NULL;
	int rc = json_get_array(what, object, "aborted", false, ABORTED_MAX, &array, f);

	for (size_t i = 0; !rc && array && i < json_object_array_length(array); i++) {
		struct json_object *item = json_object_array_get_idx(array, i);

		rc = json_check_members(what, item, members, ARRAY_SIZE(members), f);
		if (!rc)
			rc = json_get_uuid(what, item, "epoch", true, &ret[i], f);
		*ret_nr = i + 1;
	}
	return rc;
}

static int decode_disk(struct json_object *item, struct call_disk *ret, struct failure *f)
{
	static const char *const members[] = { "name", "size", "path", "tracker", "all" };
	int rc;

	rc = json_check_members(what, item, members, ARRAY_SIZE(members), f);
	if (!rc)
		rc = json_get_text(what, item, "name", true, ret->name, sizeof(ret->name), f);
	if (!rc)
		rc = json_get_uint(what, item, "size", true, INT64_MAX, &ret->size_bytes, f);
	if (!rc)
		rc = json_get_text(what, item, "path", false, ret->path, sizeof(ret->path), f);
	if (!rc)
		rc = json_get_text(what, item, "tracker", false, ret->tracker,
				   sizeof(ret->tracker), f);
	return rc ? rc : json_get_flag(what, item, "all", &ret->all, f);
}

static int decode_disks(struct json_object *object, struct call *call, struct failure *f)
{
	struct json_object *array = NULL;
	int rc = json_get_array(what, object, "disks", true, CALL_DISKS_MAX, &array, f);

	for (size_t i = 0; !rc && i < json_object_array_length(array); i++) {
		rc = decode_disk(json_object_array_get_idx(array, i), &call->disks[i], f);
		call->nr_disks = i + 1;
	}
	return rc;
}

static int decode_other(struct json_object *object, struct call *call, struct failure *f)
{
	static const char *const members[] = { "call",	  "version", "vm",	"name",	 "base",
					       "epoch",	  "aborted", "disks",	"term",	 "expects",
					       "session", "nonce",   "convert", "full",	 "port",
					       "instant", "bytes",   "disk",	"start", "history",
					       "connections" };
	uint64_t port = 0;
	int rc = json_check_members(what, object, members, ARRAY_SIZE(members), f);

	if (!rc)
		rc = decode_epochs(object, call, f);
	if (!rc)
		rc = json_get_text(what, object, "name", call->kind == CALL_CREATE, call->name,
				   sizeof(call->name), f);
	if (!rc)
		rc = json_get_uint(what, object, "port", call->kind == CALL_CREATE, UINT16_MAX,
				   &port, f);
	call->port = (uint16_t)port;
	if (!rc)
		rc = decode_swap(object, call, f);
	if (!rc)
		rc = decode_delta(object, call, f);
	if (!rc)
		rc = decode_map(object, call, f);
	if (!rc)
		rc = decode_connections(object, call, f);
	if (!rc)
		rc = decode_history(object, &call->history, f);
	if (!rc)
		rc = decode_aborted(object, call->aborted, &call->nr_aborted, f);
	if (!rc)
		rc = decode_disks(object, call, f);
	return rc;
}

int call_decode(const char *text, struct call *ret, struct failure *f)
{
	cleanup_json struct json_object *object = NULL;
	struct call call = { 0 };
	int rc;

	rc = json_parse_object(what, text, &object, f);
	if (!rc)
		rc = decode_kind(object, &call.kind, f);
	if (!rc)
		rc = call.kind == CALL_JOIN	  ? decode_join(object, &call, f) :
		     call.kind == CALL_DEFINITION ? decode_definition(object, &call, f) :
						    decode_other(object, &call, f);
	if (rc)
		return rc;
	*ret = call;
	return 0;
}

const struct reply_disk *reply_find_disk(const struct reply *reply, const char *name)
{
	for (size_t i = 0; i < reply->nr_disks; i++) {
		if (strcmp(reply->disks[i].name, name) == 0)
			return &reply->disks[i];
	}
	return NULL;
}

int reply_connections(const struct reply *reply, uint64_t asked, unsigned int *ret, struct failure *f)
{
	uint64_t most = asked ? asked : 1;

	if (reply->connections > 1 && most > 1 &&
	    (reply->connections > most || uuid_is_nil(&reply->token)))
		return failure_set(f, CODE_FAILED, -EPROTO,
				   "The peer takes %llu connections where %llu were asked for, or does not "
				   "say how they join.",
				   (unsigned long long)reply->connections, (unsigned long long)most);
	*ret = most > 1 && reply->connections ? (unsigned int)reply->connections : 1;
	return 0;
}

static void add_ranges(struct json_object *object, const char *name, const struct extent *ranges,
		       size_t nr)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < nr; i++) {
		(void)json_object_array_add(array, json_object_new_int64((int64_t)ranges[i].offset));
		(void)json_object_array_add(array, json_object_new_int64((int64_t)ranges[i].length));
	}
	(void)json_object_object_add(object, name, array);
}

void call_points_add(struct call_points *points, const char *name, const struct failure *why)
{
	struct call_point *point = &points->list[points->nr];

	if (points->nr == CALL_POINTS_MAX)
		return;
	(void)snprintf(point->name, sizeof(point->name), "%s", name);
	(void)snprintf(point->text, sizeof(point->text), "%s", why ? why->text : "");
	points->nr++;
}

static void add_points(struct json_object *object, const struct call_points *points)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < points->nr; i++) {
		struct json_object *item = json_object_new_object();

		json_add_text(item, "name", points->list[i].name);
		json_add_text(item, "text", points->list[i].text);
		(void)json_object_array_add(array, item);
	}
	(void)json_object_object_add(object, "points", array);
}

char *reply_encode(const struct reply *reply)
{
	cleanup_json struct json_object *object = json_object_new_object();
	struct json_object *disks = json_object_new_array();

	json_add_uint(object, "code", reply->code);
	json_add_text(object, "text", reply->text);
	add_flag(object, "busy", reply->busy);
	add_flag(object, "resync", reply->resync);
	json_add_uuid(object, "base", &reply->base);
	json_add_uint(object, "mode", reply->mode);
	json_add_uint(object, "state", reply->state);
	add_flag(object, "ceded", reply->ceded);
	add_flag(object, "facing", reply->host.facing);
	json_add_uint(object, "term", reply->host.term);
	json_add_uint(object, "session", reply->host.session);
	json_add_uint(object, "nonce", reply->nonce);
	for (size_t i = 0; i < reply->nr_disks; i++) {
		struct json_object *item = json_object_new_object();

		json_add_text(item, "name", reply->disks[i].name);
		json_add_uint(item, "size", reply->disks[i].size_bytes);
		add_flag(item, "map", reply->disks[i].map_reaches_back);
		add_flag(item, "lost", reply->disks[i].map_lost);
		json_add_uint(item, "dirty", reply->disks[i].dirty_bytes);
		add_flag(item, "blank", reply->disks[i].blank);
		(void)json_object_array_add(disks, item);
	}
	(void)json_object_object_add(object, "disks", disks);
	add_aborted(object, reply->aborted, reply->nr_aborted);
	add_ranges(object, "ranges", reply->ranges, reply->nr_ranges);
	add_ranges(object, "guessed", reply->guessed, reply->nr_guessed);
	json_add_uint(object, "next", reply->next);
	add_history(object, &reply->history);
	if (reply->points.nr)
		add_points(object, &reply->points);
	json_add_uint(object, "connections", reply->connections);
	if (!uuid_is_nil(&reply->token))
		json_add_uuid(object, "token", &reply->token);
	return json_text(object);
}

/* What the peer says is shown on D-Bus, and has to be fit for it. */
static int decode_points(struct json_object *object, struct call_points *ret, struct failure *f)
{
	struct json_object *array = NULL;
	int rc = json_get_array(what, object, "points", false, CALL_POINTS_MAX, &array, f);

	for (size_t i = 0; !rc && array && i < json_object_array_length(array); i++) {
		struct json_object *item = json_object_array_get_idx(array, i);
		struct call_point *point = &ret->list[i];
		struct call_point raw = { 0 };

		rc = json_get_text(what, item, "name", true, raw.name, sizeof(raw.name), f);
		if (!rc)
			rc = json_get_text(what, item, "text", true, raw.text, sizeof(raw.text), f);
		text_make_printable(raw.name, strlen(raw.name), point->name, sizeof(point->name));
		text_make_printable(raw.text, strlen(raw.text), point->text, sizeof(point->text));
		ret->nr = i + 1;
	}
	return rc;
}

static int decode_range(struct json_object *array, size_t i, struct extent *ret, struct failure *f)
{
	struct json_object *first = json_object_array_get_idx(array, 2 * i);
	struct json_object *length = json_object_array_get_idx(array, 2 * i + 1);
	int64_t offset = json_object_get_int64(first);
	int64_t bytes = json_object_get_int64(length);

	if (!json_object_is_type(first, json_type_int) ||
	    !json_object_is_type(length, json_type_int) || offset < 0 || bytes <= 0 ||
	    offset > INT64_MAX - bytes)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "%s: range %zu of the map is none.", what, i);
	*ret = (struct extent){ (uint64_t)offset, (uint64_t)bytes };
	return 0;
}

static int decode_ranges(struct json_object *object, const char *name,
			 struct extent ret[CALL_RANGES_MAX], size_t *ret_nr, struct failure *f)
{
	struct json_object *array = NULL;
	int rc = json_get_array(what, object, name, false, 2 * (size_t)CALL_RANGES_MAX, &array, f);

	for (size_t i = 0; !rc && array && i < (json_object_array_length(array) + 1) / 2; i++) {
		rc = decode_range(array, i, &ret[i], f);
		*ret_nr = i + 1;
	}
	return rc;
}

static int decode_reply_disks(struct json_object *object, struct reply *reply, struct failure *f)
{
	struct json_object *array = NULL;
	int rc = json_get_array(what, object, "disks", false, CALL_DISKS_MAX, &array, f);

	for (size_t i = 0; !rc && array && i < json_object_array_length(array); i++) {
		struct json_object *item = json_object_array_get_idx(array, i);
		struct reply_disk *disk = &reply->disks[i];

		rc = json_get_text(what, item, "name", true, disk->name, sizeof(disk->name), f);
		if (!rc)
			rc = json_get_uint(what, item, "size", true, INT64_MAX, &disk->size_bytes,
					   f);
		if (!rc)
			rc = json_get_uint(what, item, "dirty", false, INT64_MAX,
					   &disk->dirty_bytes, f);
		if (!rc)
			rc = json_get_flag(what, item, "map", &disk->map_reaches_back, f);
		if (!rc)
			rc = json_get_flag(what, item, "lost", &disk->map_lost, f);
		if (!rc)
			rc = json_get_flag(what, item, "blank", &disk->blank, f);
		reply->nr_disks = i + 1;
	}
	return rc;
}

static int decode_reply_role(struct json_object *object, struct reply *reply, struct failure *f)
{
	uint64_t mode = 0;
	uint64_t state = 0;
	int rc;

	rc = json_get_uint(what, object, "mode", false, NR_MODES - 1, &mode, f);
	if (!rc)
		rc = json_get_uint(what, object, "state", false, NR_STATES - 1, &state, f);
	if (!rc)
		rc = json_get_flag(what, object, "ceded", &reply->ceded, f);
	if (!rc)
		rc = json_get_flag(what, object, "facing", &reply->host.facing, f);
	if (!rc)
		rc = json_get_uint(what, object, "term", false, CALL_TERM_MAX, &reply->host.term,
				   f);
	if (!rc)
		rc = json_get_uint(what, object, "session", false, INT64_MAX,
				   &reply->host.session, f);
	reply->mode = (unsigned int)mode;
	reply->state = (unsigned int)state;
	return rc ? rc : json_get_uint(what, object, "nonce", false, INT64_MAX, &reply->nonce, f);
}

int reply_decode(const char *text, struct reply *ret, struct failure *f)
{
	cleanup_json struct json_object *object = NULL;
	cleanup_free struct reply *reply = calloc(1, sizeof(*reply));
	char raw[sizeof(reply->text)] = "";
	uint64_t code = 0;
	int rc;

	if (!reply)
		return failure_no_memory(f);
	rc = json_parse_object(what, text, &object, f);
	if (!rc)
		rc = json_get_uint(what, object, "code", true, CODE_FILE_NOT_FOUND, &code, f);
	if (!rc)
		rc = json_get_text(what, object, "text", false, raw, sizeof(raw), f);
	if (!rc)
		rc = json_get_flag(what, object, "busy", &reply->busy, f);
	if (!rc)
		rc = json_get_flag(what, object, "resync", &reply->resync, f);
	if (!rc)
		rc = json_get_uuid(what, object, "base", false, &reply->base, f);
	if (!rc)
		rc = decode_reply_role(object, reply, f);
	if (!rc)
		rc = decode_reply_disks(object, reply, f);
	if (!rc)
		rc = decode_aborted(object, reply->aborted, &reply->nr_aborted, f);
	if (!rc)
		rc = decode_ranges(object, "ranges", reply->ranges, &reply->nr_ranges, f);
	if (!rc)
		rc = decode_ranges(object, "guessed", reply->guessed, &reply->nr_guessed, f);
	if (!rc)
		rc = json_get_uint(what, object, "next", false, INT64_MAX, &reply->next, f);
	if (!rc)
		rc = decode_history(object, &reply->history, f);
	if (!rc)
		rc = decode_points(object, &reply->points, f);
	if (!rc)
		rc = json_get_uint(what, object, "connections", false, INT32_MAX,
				   &reply->connections, f);
	if (!rc)
		rc = json_get_uuid(what, object, "token", false, &reply->token, f);
	if (rc)
		return rc;
	reply->code = (uint32_t)code;
	text_make_printable(raw, strlen(raw), reply->text, sizeof(reply->text));
	*ret = *reply;
	return 0;
}
