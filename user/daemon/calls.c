// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/calls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "base/text.h"
#include "lib/json.h"

static const char *const kind_names[NR_CALLS] = {
	[CALL_REVERSE_CHECK] = "reverse-check",
	[CALL_REVERSE] = "reverse",
	[CALL_RECEIVE] = "receive",
};

static const char what[] = "the message of the peer";

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

char *call_encode(const struct call *call)
{
	cleanup_json struct json_object *object = json_object_new_object();
	struct json_object *aborted = json_object_new_array();
	struct json_object *disks = json_object_new_array();

	json_add_text(object, "call", kind_names[call->kind]);
	json_add_uint(object, "version", CALLS_VERSION);
	json_add_uuid(object, "vm", &call->vm);
	json_add_uuid(object, "base", &call->base);
	json_add_uuid(object, "epoch", &call->epoch);
	for (size_t i = 0; i < call->nr_aborted; i++) {
		struct json_object *item = json_object_new_object();

		json_add_uuid(item, "epoch", &call->aborted[i]);
		(void)json_object_array_add(aborted, item);
	}
	(void)json_object_object_add(object, "aborted", aborted);
	for (size_t i = 0; i < call->nr_disks; i++) {
		struct json_object *item = json_object_new_object();

		json_add_text(item, "name", call->disks[i].name);
		json_add_uint(item, "size", call->disks[i].size_bytes);
		(void)json_object_array_add(disks, item);
	}
	(void)json_object_object_add(object, "disks", disks);
	return json_text(object);
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

static int decode_aborted(struct json_object *object, struct call *call, struct failure *f)
{
	static const char *const members[] = { "epoch" };
	struct json_object *array = NULL;
	int rc = json_get_array(what, object, "aborted", false, ABORTED_MAX, &array, f);

	for (size_t i = 0; !rc && array && i < json_object_array_length(array); i++) {
		struct json_object *item = json_object_array_get_idx(array, i);

		rc = json_check_members(what, item, members, ARRAY_SIZE(members), f);
		if (!rc)
			rc = json_get_uuid(what, item, "epoch", true, &call->aborted[i], f);
		call->nr_aborted = i + 1;
	}
	return rc;
}

static int decode_disk(struct json_object *item, struct call_disk *ret, struct failure *f)
{
	static const char *const members[] = { "name", "size" };
	int rc;

	rc = json_check_members(what, item, members, ARRAY_SIZE(members), f);
	if (!rc)
		rc = json_get_text(what, item, "name", true, ret->name, sizeof(ret->name), f);
	if (!rc)
		rc = json_get_uint(what, item, "size", true, INT64_MAX, &ret->size_bytes, f);
	return rc;
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

int call_decode(const char *text, struct call *ret, struct failure *f)
{
	static const char *const members[] = { "call",	"version", "vm",   "base",
					       "epoch", "aborted", "disks" };
	cleanup_json struct json_object *object = NULL;
	struct call call = { 0 };
	int rc;

	rc = json_parse_object(what, text, &object, f);
	if (!rc)
		rc = decode_kind(object, &call.kind, f);
	if (!rc)
		rc = json_check_members(what, object, members, ARRAY_SIZE(members), f);
	if (!rc)
		rc = json_get_uuid(what, object, "vm", true, &call.vm, f);
	if (!rc)
		rc = json_get_uuid(what, object, "base", false, &call.base, f);
	if (!rc)
		rc = json_get_uuid(what, object, "epoch", call.kind == CALL_RECEIVE, &call.epoch,
				   f);
	if (!rc)
		rc = decode_aborted(object, &call, f);
	if (!rc)
		rc = decode_disks(object, &call, f);
	if (rc)
		return rc;
	*ret = call;
	return 0;
}

char *reply_encode(const struct reply *reply)
{
	cleanup_json struct json_object *object = json_object_new_object();

	json_add_uint(object, "code", reply->code);
	json_add_text(object, "text", reply->text);
	json_add_uuid(object, "base", &reply->base);
	return json_text(object);
}

int reply_decode(const char *text, struct reply *ret, struct failure *f)
{
	cleanup_json struct json_object *object = NULL;
	struct reply reply = { 0 };
	char raw[sizeof(reply.text)] = "";
	uint64_t code = 0;
	int rc;

	rc = json_parse_object(what, text, &object, f);
	if (!rc)
		rc = json_get_uint(what, object, "code", true, CODE_FILE_NOT_FOUND, &code, f);
	if (!rc)
		rc = json_get_text(what, object, "text", false, raw, sizeof(raw), f);
	if (!rc)
		rc = json_get_uuid(what, object, "base", false, &reply.base, f);
	if (rc)
		return rc;
	reply.code = (uint32_t)code;
	text_make_printable(raw, strlen(raw), reply.text, sizeof(reply.text));
	*ret = reply;
	return 0;
}
