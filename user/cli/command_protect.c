// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * protect: from a VM on logical volumes to one that is replicated, in one command on each host. The disks are
 * cli/protect.c's, and relationship and copy are what `failback create` and `failback initial` do.
 *
 * A host makes volumes only for its own operator: what the other one has to make is printed as the command
 * for it, and nothing is asked of its failbackd but the relationship.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/size.h"
#include "cli/command.h"
#include "cli/protect.h"
#include "daemon/admission.h"
#include "daemon/host_config.h"
#include "daemon/relationship.h"
#include "daemon/replica_paths.h"
#include "lib/address.h"
#include "lib/output.h"

static const char what[] = "the export of failbackd";

/* --- options --- */

static int check_options(const struct options *o, struct failure *f)
{
	struct uuid ignored;

	if (geteuid() != 0)
		return failure_set(f, CODE_ACCESS_DENIED, -EPERM, "Only root makes volumes and trackers.");
	if (o->replica && (o->to || o->peer_vg || o->uuid || o->settings_file))
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "--replica is for the other host: --to, --peer-vg, --uuid and --settings are given "
				   "where the VM runs.");
	if (!o->replica && !o->to)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "Say which host becomes the replica of VM %.64s: --to ADDRESS.", o->operand);
	if (o->peer_vg && !lvm_is_name(o->peer_vg))
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL, "--peer-vg %.64s names no volume group.",
				   o->peer_vg);
	if (o->uuid && (uuid_parse(o->uuid, &ignored) || uuid_is_nil(&ignored)))
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL, "--uuid %.64s is no UUID.", o->uuid);
	return 0;
}

/* --- what is told --- */

static const char *peer_path(const struct options *o, const struct protect_disk *d, char buf[LVM_PATH_MAX])
{
	struct lvm_name volume = d->volume;

	if (o->peer_vg)
		(void)strcpy(volume.group, o->peer_vg);
	return lvm_path(&volume, buf);
}

/* For the other host's operator; malloc()ed, NULL when out of memory. */
static char *peer_command(const struct options *o, const struct protect *p)
{
	char path[LVM_PATH_MAX];
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	(void)fprintf(file, "failback protect %s --replica", p->vm);
	for (const struct protect_disk *d = p->disks; d < p->disks + p->nr_disks; d++)
		(void)fprintf(file, " --disk %s=%s:%" PRIu64, d->name, peer_path(o, d, path), d->bytes);
	if (fclose(file) == 0)
		return text;
	free(text);
	return NULL;
}

static void tell_peer_command(FILE *file, const struct options *o, const struct protect *p)
{
	cleanup_free char *command = peer_command(o, p);

	(void)fprintf(file, "On %s, as root, unless it is done already:\n\n    %s\n\n", o->to,
		      command ? command : "");
}

/* The steps of a disk, one a call of @tell. */
static void each_step(const struct protect *p, const struct protect_disk *d,
		      void (*tell)(void *context, const char *text), void *context)
{
	char text[1024];
	char bytes[SIZE_TEXT_LEN];

	if (d->makes_volume) {
		(void)snprintf(text, sizeof(text), "make %s, %s", d->path, size_format(d->bytes, bytes));
		tell(context, text);
	}
	if (d->makes_store) {
		(void)snprintf(text, sizeof(text), "make %s, %s", d->entry.store,
			       size_format(d->store_bytes, bytes));
		tell(context, text);
	}
	if (d->formats) {
		(void)snprintf(text, sizeof(text), "format %s", d->entry.store);
		tell(context, text);
	}
	if (d->adds_line) {
		(void)snprintf(text, sizeof(text), "add to %.200s: %s %s %s", p->table, d->entry.name,
			       d->entry.origin, d->entry.store);
		tell(context, text);
	}
	if (d->activates) {
		(void)snprintf(text, sizeof(text), "activate tracker %s", d->entry.name);
		tell(context, text);
	}
}

static void print_step(void *context, const char *text)
{
	(void)printf("%s: would %s\n", (const char *)context, text);
}

static void add_step(void *context, const char *text)
{
	(void)json_object_array_add(context, json_object_new_string(text));
}

static int tell_json(const struct options *o, const struct protect *p, struct failure *f)
{
	cleanup_json struct json_object *object = output_document();
	cleanup_free char *command = o->replica ? NULL : peer_command(o, p);
	struct json_object *disks = json_object_new_array();

	json_add_text(object, "vm", p->vm);
	(void)json_object_object_add(object, "dry_run", json_object_new_boolean(o->dry_run));
	(void)json_object_object_add(object, "disks", disks);
	for (const struct protect_disk *d = p->disks; d < p->disks + p->nr_disks; d++) {
		struct json_object *disk = json_object_new_object();
		struct json_object *steps = json_object_new_array();

		json_add_text(disk, "name", d->name);
		json_add_text(disk, "path", d->path);
		json_add_uint(disk, "bytes", d->bytes);
		json_add_text(disk, "tracker", d->entry.name);
		json_add_text(disk, "store", d->entry.store);
		(void)json_object_object_add(disk, "steps", steps);
		each_step(p, d, add_step, steps);
		(void)json_object_array_add(disks, disk);
	}
	if (command)
		json_add_text(object, "peer_command", command);
	return output_print(object, f);
}

/* What would be done of the disks; that nothing would is told, too. */
static void tell_steps(const struct protect *p)
{
	for (struct protect_disk *d = p->disks; d < p->disks + p->nr_disks; d++) {
		if (!d->makes_volume && !d->makes_store && !d->formats && !d->adds_line && !d->activates)
			(void)printf("%s: %s has its tracker, %s\n", d->name, d->path, d->entry.name);
		each_step(p, d, print_step, d->name);
	}
}

/* --- the relationship --- */

/* Do the disks of the relationship go with those that are asked for? */
static int check_disks(const struct options *o, const struct protect *p, struct json_object *relationship,
		       struct failure *f)
{
	struct json_object *array = NULL;
	size_t nr_found = 0;
	int rc = json_get_array(what, relationship, "disks", true, OPTION_DISKS_MAX, &array, f);

	for (size_t i = 0; !rc && i < json_object_array_length(array); i++) {
		struct json_object *item = json_object_array_get_idx(array, i);
		char name[DISK_NAME_MAX + 1] = "";
		char tracker[TRACKER_ENTRY_NAME] = "";

		rc = json_get_text(what, item, "name", true, name, sizeof(name), f);
		if (!rc)
			rc = json_get_text(what, item, "tracker", false, tracker, sizeof(tracker), f);
		for (size_t j = 0; !rc && j < p->nr_disks; j++)
			nr_found += strcmp(p->disks[j].name, name) == 0 &&
				    strcmp(p->disks[j].entry.name, tracker) == 0;
	}
	if (rc || (nr_found == p->nr_disks && nr_found == json_object_array_length(array)))
		return rc;
	return failure_set(f, CODE_INVALID_STATE, -EEXIST,
			   "VM %.64s is replicated with other disks or trackers: `failback export` shows them, and "
			   "`failback apply` changes them.",
			   o->operand);
}

static int check_export(struct client *client, const struct options *o, const struct protect *p,
			const char *id, struct failure *f)
{
	cleanup_json struct json_object *document = NULL;
	cleanup_free char *text = NULL;
	struct json_object *array = NULL;
	int rc = client_export(client, &text, f);

	if (!rc)
		rc = json_parse_object(what, text, &document, f);
	if (!rc)
		rc = json_get_array(what, document, "relationships", true, SIZE_MAX, &array, f);
	for (size_t i = 0; !rc && i < json_object_array_length(array); i++) {
		struct json_object *item = json_object_array_get_idx(array, i);
		char vm[UUID_TEXT_LEN + 1] = "";

		rc = json_get_text(what, item, "vm", true, vm, sizeof(vm), f);
		if (!rc && strcmp(vm, id) == 0)
			return check_disks(o, p, item, f);
	}
	return rc ? rc : failure_set(f, CODE_STATUS_UNKNOWN, -ENOENT, "VM %.64s stands not in %s.", o->operand, what);
}

static int check_vm(struct client *client, const struct options *o, const struct protect *p,
		    const struct client_vm *vm, struct failure *f)
{
	char text[ADDRESS_TEXT_MAX];
	struct address peer;
	int rc = address_parse(o->to, PEER_PORT, &peer, f);

	if (rc)
		return rc;
	if (vm->mode != MODE_PRIMARY)
		return failure_set(f, CODE_INVALID_STATE, -EEXIST,
				   "VM %.64s is %s on this host already: it is protected from the host where it runs.",
				   o->operand, vm->mode_name);
	if (strcmp(vm->peer, address_format(&peer, text)) != 0)
		return failure_set(f, CODE_INVALID_STATE, -EEXIST,
				   "VM %.64s is replicated to %s already: `failback remove` ends that.", o->operand,
				   vm->peer);
	if (o->uuid && strcasecmp(o->uuid, vm->id) != 0)
		return failure_set(f, CODE_INVALID_STATE, -EEXIST, "VM %.64s is replicated already, as %s.",
				   o->operand, vm->id);
	return check_export(client, o, p, vm->id, f);
}

/* 1: there is one, in *@ret; 0: none. */
static int find_vm(struct client *client, const char *name, struct client_vm *ret, struct failure *f)
{
	cleanup_free struct client_vm *vms = NULL;
	size_t nr = 0;
	int rc = client_list_vms(client, &vms, &nr, f);

	for (size_t i = 0; !rc && i < nr; i++) {
		if (strcmp(vms[i].name, name) != 0)
			continue;
		*ret = vms[i];
		return 1;
	}
	return rc;
}

/*
 * The same in each call for the same disks: where the answer of the peer was lost, its half is there
 * already, and is this relationship's. Never a tracker's own, which is of another version.
 */
static void derive_uuid(const struct protect *p, struct uuid *ret)
{
	*ret = p->disks[0].tracker_uuid;
	ret->b[6] = (uint8_t)((ret->b[6] & 0x0f) | 0x80);
}

static int create(struct client *client, const struct options *o, const struct protect *p, struct failure *f)
{
	cleanup_json struct json_object *object = json_object_new_object();
	struct json_object *disks = json_object_new_array();
	cleanup_free char *text = NULL;
	char path[LVM_PATH_MAX];
	struct uuid uuid;

	if (!o->uuid || uuid_parse(o->uuid, &uuid))
		derive_uuid(p, &uuid);
	json_add_uuid(object, "vm", &uuid);
	json_add_text(object, "name", p->vm);
	json_add_text(object, "peer", o->to);
	(void)json_object_object_add(object, "disks", disks);
	for (const struct protect_disk *d = p->disks; d < p->disks + p->nr_disks; d++) {
		struct json_object *disk = json_object_new_object();

		json_add_text(disk, "name", d->name);
		json_add_text(disk, "path", d->path);
		json_add_text(disk, "tracker", d->entry.name);
		json_add_text(disk, "peer_path", peer_path(o, d, path));
		json_add_text(disk, "peer_tracker", d->tracker);
		(void)json_object_array_add(disks, disk);
	}
	text = json_text(object);
	if (!text)
		return failure_no_memory(f);
	return create_relationship(client, o, text, true, f);
}

/* Once the VM's devices are let go. */
static void tell_devices(const struct options *o, const struct protect *p)
{
	for (const struct protect_disk *d = p->disks; !o->json && d < p->disks + p->nr_disks; d++)
		(void)printf("%s: VM %s has to use /dev/mapper/%s from now on, never %s\n", d->name, p->vm,
			     d->entry.name, d->path);
	(void)fflush(stdout);
}

static int begin(struct client *client, const struct options *o, const struct client_vm *vm, struct failure *f)
{
	if (vm->state == STATE_READY || vm->state == STATE_WAITING_INITIAL)
		return command_initial(client, o, f);
	if (!o->json)
		(void)printf("VM %s is replicated to %s: %s.\n", vm->name, vm->peer, vm->state_name);
	return 0;
}

/* --- the two halves --- */

static int dry_run(const struct options *o, const struct protect *p, bool is_created, struct failure *f)
{
	if (o->json)
		return tell_json(o, p, f);
	tell_steps(p);
	if (o->replica)
		return 0;
	if (!is_created) {
		(void)printf("VM %s: would create the relationship with %s, and begin the initial replication\n",
			     p->vm, o->to);
		tell_peer_command(stdout, o, p);
	}
	return 0;
}

static int protect_primary(const struct options *o, struct protect *p, struct failure *f)
{
	_cleanup_(client_close_at) struct client *client = NULL;
	struct client_vm vm = { 0 };
	struct address ignored;
	int is_created = 0;
	int rc = address_parse(o->to, PEER_PORT, &ignored, f);

	if (!rc)
		rc = client_open(o->bus_address, &client, f);
	if (!rc)
		rc = protect_look(p, o, f);
	if (!rc)
		rc = is_created = find_vm(client, o->operand, &vm, f);
	if (rc > 0)
		rc = check_vm(client, o, p, &vm, f);
	else if (!rc)
		rc = admission_check_name(p->vm, f);
	if (rc || o->dry_run)
		return rc ? rc : dry_run(o, p, is_created, f);
	rc = protect_make(p, f);
	if (!rc && o->json)
		rc = tell_json(o, p, f);
	if (rc)
		return rc;
	if (!is_created) {
		tell_devices(o, p);
		rc = create(client, o, p, f);
		if (rc && !o->json)
			tell_peer_command(stderr, o, p);
		if (!rc)
			rc = find_vm(client, o->operand, &vm, f);
		if (rc < 0)
			return rc;
	}
	return begin(client, o, &vm, f);
}

/* The failbackd of this host has to let the peer name them. */
static int check_paths(const struct options *o, const struct protect *p, struct failure *f)
{
	cleanup_free struct host_config *config = calloc(1, sizeof(*config));
	int rc;

	if (!config)
		return failure_no_memory(f);
	rc = host_config_read(o->config, config, f);
	for (const struct protect_disk *d = p->disks; !rc && d < p->disks + p->nr_disks; d++) {
		if (replica_path_is_allowed(config->replica_paths, d->path))
			continue;
		rc = failure_set(f, CODE_INVALID_STATE, -EACCES,
				 "No peer may name %s for a replica on this host: add /dev/%s to `replica-paths` in "
				 "failbackd.conf, `systemctl restart failbackd`, and repeat this.",
				 d->path, d->volume.group);
	}
	return rc;
}

static int protect_replica(const struct options *o, struct protect *p, struct failure *f)
{
	int rc = protect_look(p, o, f);

	if (!rc)
		rc = admission_check_name(p->vm, f);
	if (!rc)
		rc = check_paths(o, p, f);
	if (rc || o->dry_run)
		return rc ? rc : dry_run(o, p, false, f);
	rc = protect_make(p, f);
	if (rc || o->json)
		return rc ? rc : tell_json(o, p, f);
	(void)printf("VM %s: what its replica needs is there; repeat `failback protect` on the host where it runs\n",
		     p->vm);
	return 0;
}

int command_protect(struct client *client, const struct options *o, struct failure *f)
{
	_cleanup_(protect_clear) struct protect p = { 0 };
	int rc = check_options(o, f);

	(void)client;
	if (rc)
		return rc;
	return o->replica ? protect_replica(o, &p, f) : protect_primary(o, &p, f);
}
