// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A record changes several times a delta, its label does not: what was written is remembered, by the
 * tracker that has it, and compared without its date. After a start it is read from the store.
 */
#include "daemon/labels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/realtime.h"
#include "daemon/fence.h"
#include "daemon/trackers.h"
#include "lib/nl_control.h"
#include "lib/store_label.h"

struct written_label {
	struct uuid tracker; /* nil: none is known to be written */
	uint8_t bytes[CBT_LABEL_LEN]; /* with no date */
};

void labels_free(struct vm *vm)
{
	free(vm->labels);
	vm->labels = NULL;
	vm->nr_labels = 0;
}

/* --- what they should be --- */

/* The key that stands last for the peer's address; one that replaces another is put below it. */
static void find_peer_key(const struct vm *vm, uint8_t ret[FINGERPRINT_BYTES])
{
	struct known_peer known;
	struct address peer;

	memset(ret, 0, FINGERPRINT_BYTES);
	if (address_parse(vm->r.peer, PEER_PORT, &peer, NULL) ||
	    known_peers_find(vm->daemon->config.tls_peers, &peer, &known, NULL))
		return;
	for (size_t i = 0; i < known.nr; i++) {
		if (!known.identities[i].name[0])
			memcpy(ret, known.identities[i].fingerprint, FINGERPRINT_BYTES);
	}
}

static unsigned int flags_of(const struct relationship_record *r, const struct disk_record *disk)
{
	bool sends_all = disk->send == SEND_ALL || disk->send == SEND_BOTH;

	return (r->ceded ? STORE_LABEL_CEDED : 0) |
	       (r->inconsistent ? STORE_LABEL_INCONSISTENT : 0) |
	       (disk->map_lost ? STORE_LABEL_MAP_LOST : 0) | (sends_all ? STORE_LABEL_SEND_ALL : 0);
}

/* Not when it is too long: what is cut would be another one. */
static bool copy_whole(char ret[STORE_LABEL_TEXT_MAX + 1], const char *text)
{
	size_t len = strlen(text);

	if (len > STORE_LABEL_TEXT_MAX)
		return false;
	memcpy(ret, text, len + 1);
	return true;
}

static struct store_label label_of(const struct relationship_record *r, size_t i,
				   const uint8_t peer_key[FINGERPRINT_BYTES])
{
	const struct disk_record *disk = &r->disks[i];
	struct store_label label = {
		.vm = r->vm,
		.term = r->term,
		.size_bytes = disk->size_bytes,
		.mode = r->mode,
		.state = r->state,
		.flags = flags_of(r, disk),
		.disk = (unsigned int)i,
		.nr_disks = (unsigned int)r->nr_disks,
	};

	memcpy(label.peer_key, peer_key, sizeof(label.peer_key));
	memcpy(label.disk_name, disk->name, sizeof(label.disk_name));
	memcpy(label.vm_name, r->name, sizeof(label.vm_name));
	memcpy(label.peer, r->peer, sizeof(label.peer));
	(void)copy_whole(label.path, disk->path);
	if (!copy_whole(label.settings, r->settings ? r->settings : ""))
		label.flags |= STORE_LABEL_NO_SETTINGS;
	return label;
}

/* --- what they are --- */

/* The tracker of that disk, if it can have a label. */
static bool find_tracker(struct nl *nl, const struct disk_record *disk, struct tracker_info *ret)
{
	char name[FENCE_NAME_MAX];

	return disk->tracker[0] && nl_tracker_get(nl, fence_name(disk, name), ret, NULL) == 0 &&
	       ret->has_store && (!disk->path[0] || trackers_is_over(disk, ret));
}

/* As it stands on the store, with no date. */
static bool is_on_store(struct nl *nl, const char *tracker, const uint8_t wanted[CBT_LABEL_LEN])
{
	uint8_t bytes[CBT_LABEL_LEN];
	struct store_label label;

	if (nl_label_get(nl, tracker, bytes, NULL) ||
	    store_label_decode(bytes, &label) != STORE_LABEL_SOUND)
		return false;
	label.written_us = 0;
	return store_label_encode(&label, bytes) == 0 && memcmp(bytes, wanted, sizeof(bytes)) == 0;
}

static int write_label(struct nl *nl, const char *tracker, struct store_label *label,
		       struct failure *f)
{
	uint8_t bytes[CBT_LABEL_LEN];

	label->written_us = realtime_us();
	(void)store_label_encode(label, bytes);
	return nl_label_set(nl, tracker, bytes, sizeof(bytes), f);
}

static int update(struct vm *vm, size_t i, struct nl *nl, const uint8_t peer_key[FINGERPRINT_BYTES],
		  struct failure *f)
{
	struct store_label label = label_of(&vm->r, i, peer_key);
	struct written_label *written = &vm->labels[i];
	uint8_t wanted[CBT_LABEL_LEN];
	struct tracker_info info;
	int rc = 0;

	if (!find_tracker(nl, &vm->r.disks[i], &info))
		return 0;
	if (store_label_encode(&label, wanted))
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "a name of its has characters that no label may have.");
	if (uuid_equal(&written->tracker, &info.uuid) &&
	    memcmp(written->bytes, wanted, sizeof(wanted)) == 0)
		return 0;
	if (!is_on_store(nl, info.name, wanted))
		rc = write_label(nl, info.name, &label, f);
	if (rc)
		return rc;
	written->tracker = info.uuid;
	memcpy(written->bytes, wanted, sizeof(wanted));
	return 0;
}

static bool make_room(struct vm *vm)
{
	if (vm->nr_labels == vm->r.nr_disks)
		return vm->nr_labels != 0;
	labels_free(vm);
	vm->labels = calloc(vm->r.nr_disks, sizeof(*vm->labels));
	vm->nr_labels = vm->labels ? vm->r.nr_disks : 0;
	return vm->labels;
}

void labels_write(struct vm *vm)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	uint8_t peer_key[FINGERPRINT_BYTES];
	struct failure why;
	bool failed = false;

	if (vm->r.unreadable || !make_room(vm) || nl_open(&nl, NULL))
		return;
	find_peer_key(vm, peer_key);
	for (size_t i = 0; i < vm->r.nr_disks; i++) {
		if (!update(vm, i, nl, peer_key, &why))
			continue;
		failed = true;
		if (!vm->label_failed)
			log_warning("VM %s: the label on the store of disk %s cannot be written, and "
				    "`failback adopt` would not find it as it is: %s",
				    vm->r.name, vm->r.disks[i].name, why.text);
	}
	vm->label_failed = failed;
}

/* --- whose they are --- */

int labels_check_free(const struct relationship_record *r, bool tells_peer, struct failure *f)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;
	char whose[VM_NAME_MAX + sizeof("another VM")];
	uint8_t bytes[CBT_LABEL_LEN];
	struct store_label label;
	struct tracker_info info;

	if (nl_open(&nl, NULL))
		return 0;
	for (size_t i = 0; i < r->nr_disks; i++) {
		if (!find_tracker(nl, &r->disks[i], &info) ||
		    nl_label_get(nl, info.name, bytes, NULL) ||
		    store_label_decode(bytes, &label) != STORE_LABEL_SOUND ||
		    uuid_equal(&label.vm, &r->vm))
			continue;
		log_warning("Disk %s was wanted for VM %.64s, but its store says that it is VM %.64s's",
			    r->disks[i].name, r->name, label.vm_name);
		(void)snprintf(whose, sizeof(whose), "%s%s", tells_peer ? "another VM" : "VM ",
			       tells_peer ? "" : label.vm_name);
		return failure_set(f, CODE_INVALID_PARAMETER, -EEXIST,
				   "The store of disk %s says that it is %s's: `failback adopt` on that host "
				   "makes that relationship again. If it is not wanted any more: `cbtctl "
				   "label %s --set \"\"`.",
				   r->disks[i].name, whose, info.name);
	}
	return 0;
}

/* --- the end --- */

static bool has_tracker(const struct relationship_record *r, const char *tracker)
{
	for (size_t i = 0; r && i < r->nr_disks; i++) {
		if (strcmp(r->disks[i].tracker, tracker) == 0)
			return true;
	}
	return false;
}

static void clear(struct nl *nl, const struct relationship_record *r, const struct disk_record *disk)
{
	static const uint8_t empty[CBT_LABEL_LEN];
	uint8_t bytes[CBT_LABEL_LEN];
	struct store_label label;
	struct tracker_info info;
	struct failure why;

	if (!find_tracker(nl, disk, &info) || nl_label_get(nl, info.name, bytes, NULL) ||
	    store_label_decode(bytes, &label) != STORE_LABEL_SOUND || !uuid_equal(&label.vm, &r->vm))
		return;
	if (nl_label_set(nl, info.name, empty, sizeof(empty), &why))
		log_warning("The store of tracker %s still says that it is VM %s's: %s", info.name,
			    r->name, why.text);
}

void labels_clear(const struct relationship_record *r, const struct relationship_record *keeps)
{
	_cleanup_(nl_close_at) struct nl *nl = NULL;

	for (size_t i = 0; i < r->nr_disks; i++) {
		if (!r->disks[i].tracker[0] || has_tracker(keeps, r->disks[i].tracker))
			continue;
		if (!nl && nl_open(&nl, NULL))
			return;
		clear(nl, r, &r->disks[i]);
	}
}
