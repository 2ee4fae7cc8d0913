// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/split_brain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/size.h"
#include "lib/json.h"

#define TIME_TEXT_LEN 32

static const char *time_text(uint64_t us, char buf[TIME_TEXT_LEN])
{
	time_t seconds = (time_t)(us / 1000000);
	struct tm utc;

	if (!us || !gmtime_r(&seconds, &utc) ||
	    !strftime(buf, TIME_TEXT_LEN, "%Y-%m-%d %H:%M:%SZ", &utc))
		(void)snprintf(buf, TIME_TEXT_LEN, "an unknown time");
	return buf;
}

static const char *bytes_text(uint64_t bytes, char buf[SIZE_TEXT_LEN])
{
	return bytes == HISTORY_UNKNOWN ? "an unknown number of bytes" : size_format(bytes, buf);
}

static int explain(const struct vm *vm, const struct history *here, const struct history *there,
		   struct failure *f)
{
	char since[2][TIME_TEXT_LEN];
	char written[2][SIZE_TEXT_LEN];

	return failure_set(
		f, CODE_INVALID_STATE, -EBADE,
		"Split brain: both hosts may run VM %.64s. One is %s since %s, with %s written since "
		"both held the same; the other %s since %s, with %s. Choose whose writes are given "
		"up: shut the VM down there, and `failback yield %.64s` (a primary) or `failback "
		"revert %.64s` (failed over) on it.",
		vm->r.name, state_name(here->state), time_text(here->since_us, since[0]),
		bytes_text(here->written_bytes, written[0]), state_name(there->state),
		time_text(there->since_us, since[1]), bytes_text(there->written_bytes, written[1]),
		vm->r.name, vm->r.name);
}

void split_brain_look(struct vm *vm, const struct history *there)
{
	struct relationship_record next = vm->r;
	struct history here = vm_history(vm);
	struct failure why;

	vm->is_split = here.facing && there->facing;
	if (!vm->is_split)
		return;
	vm->split_there = *there;
	(void)explain(vm, &here, there, &why);
	if (strcmp(why.text, next.last_error) == 0)
		return;
	log_error("VM %s: %s", vm->r.name, why.text);
	memcpy(next.last_error, why.text, sizeof(next.last_error));
	next.health = HEALTH_CRITICAL;
	(void)vm_change(vm, &next, NULL);
}

int split_brain_refuse(struct vm *vm, const struct history *there, struct failure *f)
{
	struct history here = vm_history(vm);

	return explain(vm, &here, there, f);
}

static struct json_object *host_to_json(const char *host, const struct history *h)
{
	struct json_object *object = json_object_new_object();

	json_add_text(object, "host", host);
	json_add_uint(object, "mode", h->mode);
	json_add_text(object, "mode_name", mode_name(h->mode));
	json_add_uint(object, "state", h->state);
	json_add_text(object, "state_name", state_name(h->state));
	json_add_uint(object, "since_us", h->since_us);
	json_add_uint(object, "term", h->term);
	json_add_uuid(object, "base", &h->base);
	if (h->written_bytes == HISTORY_UNKNOWN)
		(void)json_object_object_add(object, "written_bytes", NULL);
	else
		json_add_uint(object, "written_bytes", h->written_bytes);
	return object;
}

char *split_brain_to_json(const struct vm *vm)
{
	cleanup_json struct json_object *hosts = json_object_new_array();
	struct history here = vm_history(vm);

	if (!vm->is_split)
		return strdup("");
	(void)json_object_array_add(hosts, host_to_json("this host", &here));
	(void)json_object_array_add(hosts, host_to_json(vm->r.peer, &vm->split_there));
	return json_text(hosts);
}
