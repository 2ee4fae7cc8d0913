// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * org.failback1.ReplicationRelationship: a VM and how its replication stands. Times in
 * microseconds since 1970, UTC.
 */
#include "daemon/objects.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "base/realtime.h"
#include "daemon/split_brain.h"
#include "daemon/trackers.h"
#include "daemon/vm.h"
#include "lib/bus.h"

#define UNKNOWN UINT64_MAX

static int find(sd_bus *bus, const char *path, const char *interface, void *context, void **ret,
		sd_bus_error *error)
{
	struct vm *vm;

	(void)bus;
	(void)interface;
	(void)error;
	if (vm_find_by_path(context, path, &vm, NULL))
		return 0;
	*ret = vm;
	return 1;
}

static int enumerate(sd_bus *bus, const char *prefix, void *context, char ***ret,
		     sd_bus_error *error)
{
	struct daemon *d = context;
	char path[BUS_PATH_MAX];
	char **paths = NULL;
	size_t nr = 0;

	(void)bus;
	(void)prefix;
	(void)error;
	for (struct vm *vm = d->vms; vm; vm = vm->next) {
		int rc = bus_paths_add(&paths, &nr, vm_path(vm, path));

		if (rc)
			return rc;
	}
	*ret = paths;
	return 0;
}

/* --- properties --- */

BUS_GETTER(get_text)
{
	const struct vm *vm = context;
	const struct relationship_record *r = &vm->r;
	const char *text = "";

	if (strcmp(property, "ElementName") == 0)
		text = r->name;
	else if (strcmp(property, "ReplicationModeName") == 0)
		text = mode_name(r->mode);
	else if (strcmp(property, "ReplicationStateName") == 0)
		text = state_name(r->state);
	else if (strcmp(property, "ReplicationHealthName") == 0)
		text = health_name(vm_health(vm));
	else if (strcmp(property, "Peer") == 0)
		text = r->peer;
	else if (strcmp(property, "LastError") == 0)
		text = vm_last_error(vm);
	else if (strcmp(property, "ReplicationSettingData") == 0)
		text = r->settings ? r->settings : "{}";
	return sd_bus_message_append(reply, "s", text);
}

BUS_GETTER(get_split)
{
	cleanup_free char *text = split_brain_to_json(context);

	return text ? sd_bus_message_append(reply, "s", text) : -ENOMEM;
}

BUS_GETTER(get_uuid)
{
	const struct relationship_record *r = &((const struct vm *)context)->r;
	const struct uuid *uuid = strcmp(property, "Name") == 0 ? &r->vm : &r->base;
	char text[UUID_TEXT_LEN + 1];

	return sd_bus_message_append(reply, "s", uuid_is_nil(uuid) ? "" : uuid_format(uuid, text));
}

BUS_GETTER(get_u16)
{
	const struct vm *vm = context;
	unsigned int number = vm->r.state;

	if (strcmp(property, "ReplicationMode") == 0)
		number = vm->r.mode;
	else if (strcmp(property, "ReplicationHealth") == 0)
		number = vm_health(vm);
	return sd_bus_message_append(reply, "q", (uint16_t)number);
}

/* Asked for at each reading: the kernel counts. */
BUS_GETTER(get_dirty_bytes)
{
	const struct vm *vm = context;
	uint64_t bytes = UNKNOWN;

	(void)trackers_dirty_bytes(&vm->r, &bytes, NULL);
	return sd_bus_message_append(reply, "t", bytes);
}

BUS_GETTER(get_last_time)
{
	const struct vm *vm = context;

	return sd_bus_message_append(reply, "t", vm->r.last_replication_us);
}

BUS_GETTER(get_may_run)
{
	return sd_bus_message_append(reply, "b", vm_swap_host(context).facing);
}

BUS_GETTER(get_peer_u16)
{
	const struct vm *vm = context;

	return sd_bus_message_append(reply, "q",
				     (uint16_t)(strcmp(property, "PeerMode") == 0 ?
							vm->peer_mode :
							vm->peer_state));
}

BUS_GETTER(get_peer_name)
{
	const struct vm *vm = context;

	return sd_bus_message_append(reply, "s",
				     vm->peer_mode ? state_name(vm->peer_state) : "");
}

/* How old is what the replica holds? Nothing is old while nothing was written. */
static uint64_t lag_us(const struct vm *vm)
{
	uint64_t now = realtime_us();
	uint64_t dirty = 0;

	if (vm->r.mode != MODE_PRIMARY || !vm->r.last_replication_us ||
	    trackers_dirty_bytes(&vm->r, &dirty, NULL))
		return UNKNOWN;
	/* The clock may have been set back since. */
	return dirty ? now - min_of(now, vm->r.last_replication_us) : 0;
}

static uint64_t seconds_to_catch_up(const struct vm *vm)
{
	uint64_t dirty = 0;

	if (vm->r.mode != MODE_PRIMARY || !vm->bytes_per_second ||
	    trackers_dirty_bytes(&vm->r, &dirty, NULL))
		return UNKNOWN;
	return (dirty + vm->bytes_per_second - 1) / vm->bytes_per_second;
}

BUS_GETTER(get_u64)
{
	const struct vm *vm = context;
	uint64_t number = vm->r.term;

	if (strcmp(property, "Lag") == 0)
		number = lag_us(vm);
	else if (strcmp(property, "SecondsToCatchUp") == 0)
		number = seconds_to_catch_up(vm);
	else if (strcmp(property, "PeerSeen") == 0)
		number = vm->peer_seen_us;
	return sd_bus_message_append(reply, "t", number);
}

BUS_GETTER(get_consistent)
{
	const struct vm *vm = context;

	return sd_bus_message_append(reply, "b", !vm->r.inconsistent);
}

BUS_GETTER(get_disks)
{
	const struct relationship_record *r = &((const struct vm *)context)->r;
	int rc = sd_bus_message_open_container(reply, 'a', "(ssst)");

	for (size_t i = 0; rc >= 0 && i < r->nr_disks; i++)
		rc = sd_bus_message_append(reply, "(ssst)", r->disks[i].name, r->disks[i].tracker,
					   r->disks[i].path, r->disks[i].size_bytes);
	return rc < 0 ? rc : sd_bus_message_close_container(reply);
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	BUS_PROPERTY_CONST("Name", "s", get_uuid),
	BUS_PROPERTY_CHANGING("ElementName", "s", get_text),
	BUS_PROPERTY_CHANGING("ReplicationMode", "q", get_u16),
	BUS_PROPERTY_CHANGING("ReplicationModeName", "s", get_text),
	BUS_PROPERTY_CHANGING("ReplicationState", "q", get_u16),
	BUS_PROPERTY_CHANGING("ReplicationStateName", "s", get_text),
	BUS_PROPERTY_CHANGING("ReplicationHealth", "q", get_u16),
	BUS_PROPERTY_CHANGING("ReplicationHealthName", "s", get_text),
	BUS_PROPERTY_CHANGING("Peer", "s", get_text),
	BUS_PROPERTY_CHANGING("Base", "s", get_uuid),
	BUS_PROPERTY_CHANGING("Consistent", "b", get_consistent),
	BUS_PROPERTY_CHANGING("MayRun", "b", get_may_run),
	BUS_PROPERTY_CHANGING("Term", "t", get_u64),
	BUS_PROPERTY_CHANGING("PeerMode", "q", get_peer_u16),
	BUS_PROPERTY_CHANGING("PeerState", "q", get_peer_u16),
	BUS_PROPERTY_CHANGING("PeerStateName", "s", get_peer_name),
	BUS_PROPERTY_CHANGING("PeerSeen", "t", get_u64),
	SD_BUS_PROPERTY("SplitBrain", "s", get_split, 0, 0),
	SD_BUS_PROPERTY("Lag", "t", get_u64, 0, 0),
	SD_BUS_PROPERTY("SecondsToCatchUp", "t", get_u64, 0, 0),
	BUS_PROPERTY_CHANGING("LastReplicationTime", "t", get_last_time),
	BUS_PROPERTY_CHANGING("LastError", "s", get_text),
	BUS_PROPERTY_CHANGING("ReplicationSettingData", "s", get_text),
	BUS_PROPERTY_CHANGING("Disks", "a(ssst)", get_disks),
	SD_BUS_PROPERTY("DirtyBytes", "t", get_dirty_bytes, 0, 0),
	SD_BUS_VTABLE_END,
};

int relationship_object_export(struct daemon *d)
{
	int rc = sd_bus_add_fallback_vtable(d->bus, NULL, BUS_VM_PREFIX, BUS_RELATIONSHIP_INTERFACE,
					    vtable, find, d);

	return rc < 0 ? rc : sd_bus_add_node_enumerator(d->bus, NULL, BUS_VM_PREFIX, enumerate, d);
}

/* --- announcements --- */

void relationship_object_added(struct vm *vm)
{
	char path[BUS_PATH_MAX];

	if (vm->daemon->bus)
		(void)sd_bus_emit_object_added(vm->daemon->bus, vm_path(vm, path));
}

void relationship_object_changed(struct vm *vm)
{
	char path[BUS_PATH_MAX];

	if (!vm->daemon->bus)
		return;
	(void)sd_bus_emit_properties_changed(vm->daemon->bus, vm_path(vm, path),
					     BUS_RELATIONSHIP_INTERFACE, "ElementName",
					     "ReplicationMode", "ReplicationModeName",
					     "ReplicationState", "ReplicationStateName",
					     "ReplicationHealth", "ReplicationHealthName", "Peer",
					     "Base", "Consistent", "MayRun", "Term",
					     "PeerMode", "PeerState", "PeerStateName", "PeerSeen",
					     "LastReplicationTime",
					     "LastError", "ReplicationSettingData", "Disks", NULL);
}

void relationship_object_removed(struct vm *vm)
{
	char path[BUS_PATH_MAX];

	if (vm->daemon->bus)
		(void)sd_bus_emit_object_removed(vm->daemon->bus, vm_path(vm, path));
}
