// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/adoption.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "daemon/calls.h"
#include "daemon/fence.h"
#include "daemon/host_config.h"
#include "daemon/relationship.h"
#include "lib/address.h"
#include "lib/settings.h"

/* --- are these all of them, and no others? --- */

static bool is_newer(const struct store_label *a, const struct store_label *b)
{
	return a->term != b->term ? a->term > b->term : a->written_us > b->written_us;
}

const struct store_label *adoption_newest(const struct labelled_tracker *list, size_t nr)
{
	const struct store_label *newest = &list[0].label;

	for (size_t i = 1; i < nr; i++) {
		if (is_newer(&list[i].label, newest))
			newest = &list[i].label;
	}
	return newest;
}

static int by_disk(const void *a, const void *b)
{
	const struct labelled_tracker *left = a;
	const struct labelled_tracker *right = b;

	return (int)left->label.disk - (int)right->label.disk;
}

static int check_pair(const struct labelled_tracker *a, const struct labelled_tracker *b,
		      struct failure *f)
{
	const char *vm = a->label.vm_name;

	if (a->label.nr_disks != b->label.nr_disks)
		return failure_set(f, CODE_INVALID_PARAMETER, -EEXIST,
				   "VM %.64s has %u disks by the store of tracker %s, and %u by that of "
				   "%s: clear the label of the one that is not its any more (`cbtctl label "
				   "TRACKER --set \"\"`).",
				   vm, a->label.nr_disks, a->info.name, b->label.nr_disks, b->info.name);
	if (a->label.disk == b->label.disk || strcmp(a->label.disk_name, b->label.disk_name) == 0)
		return failure_set(f, CODE_INVALID_PARAMETER, -EEXIST,
				   "The stores of trackers %s and %s are both of disk %s of VM %.64s: one "
				   "must be a copy. Remove its tracker, or clear its label (`cbtctl label "
				   "TRACKER --set \"\"`).",
				   a->info.name, b->info.name, b->label.disk_name, vm);
	return 0;
}

static int check_set(const struct labelled_tracker *list, size_t nr, struct failure *f)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < nr; i++) {
		if (!list[i].info.name[0])
			rc = failure_set(f, CODE_STATUS_UNKNOWN, -ENODEV,
					 "The tracker of disk %s of VM %.64s has no mapped device with a "
					 "name.",
					 list[i].label.disk_name, list[i].label.vm_name);
		for (size_t j = 0; !rc && j < i; j++)
			rc = check_pair(&list[j], &list[i], f);
	}
	if (!rc && nr < list[0].label.nr_disks)
		rc = failure_set(f, CODE_FILE_NOT_FOUND, -ENOENT,
				 "VM %.64s has %u disks, and only %zu of their trackers are here (%s%s): "
				 "make the others as well (`cbtctl activate`), then repeat.",
				 list[0].label.vm_name, list[0].label.nr_disks, nr, list[0].info.name,
				 nr > 1 ? ", ..." : "");
	return rc;
}

static int check_sense(const struct store_label *label, struct failure *f)
{
	struct relationship_role role = { label->mode, label->state };
	struct relationship_role ignored;
	struct address peer;

	/* What is legal in each role that there is. */
	if ((label->mode != MODE_PRIMARY && label->mode != MODE_REPLICA) ||
	    !relationship_step(role, EVENT_REMOVE, &ignored) || uuid_is_nil(&label->vm) ||
	    label->nr_disks > CALL_DISKS_MAX || label->term > INT64_MAX / 2)
		return failure_set(f, CODE_STATUS_UNKNOWN, -EBADMSG,
				   "The labels of VM %.64s make no sense (mode %u, state %u, term %llu, %u "
				   "disks).",
				   label->vm_name, label->mode, label->state,
				   (unsigned long long)label->term, label->nr_disks);
	if (address_parse(label->peer, PEER_PORT, &peer, NULL))
		return failure_set(f, CODE_STATUS_UNKNOWN, -EBADMSG,
				   "The labels of VM %.64s name the peer \"%.64s\", which is no address.",
				   label->vm_name, label->peer);
	return 0;
}

/* --- what they prove --- */

/* A role that sends what its map says, or will: the VM runs there, or did last. */
static bool has_map(const struct relationship_record *r)
{
	return r->mode == MODE_PRIMARY || r->state == STATE_RECOVERED || r->state == STATE_COMMITTED;
}

static bool is_clean(const struct tracker_info *info)
{
	return !info->dirty_active && !info->has_frozen && info->state != CBT_STATE_LOST &&
	       info->state != CBT_STATE_BYPASSED;
}

/* Do all name one base, and does a replica hold just that? */
static bool find_base(const struct labelled_tracker *list, size_t nr,
		      const struct relationship_record *r, struct uuid *ret)
{
	for (size_t i = 0; i < nr; i++) {
		const struct tracker_info *info = &list[i].info;

		if (!info->has_base || !uuid_equal(&info->base_uuid, &list[0].info.base_uuid) ||
		    (!has_map(r) && !is_clean(info)))
			return false;
	}
	*ret = list[0].info.base_uuid;
	return true;
}

static void note_aborted(struct relationship_record *r, const struct uuid *epoch)
{
	for (size_t i = 0; i < r->nr_aborted; i++) {
		if (uuid_equal(&r->aborted[i], epoch))
			return;
	}
	if (r->nr_aborted < ABORTED_MAX)
		r->aborted[r->nr_aborted++] = *epoch;
}

static void disk_make(const struct labelled_tracker *from, bool base_known, bool has_map,
		      struct disk_record *ret)
{
	const struct tracker_info *info = &from->info;
	size_t len = strlen(info->name);
	size_t suffix = strlen(FENCE_SUFFIX);

	if (len > suffix && strcmp(info->name + len - suffix, FENCE_SUFFIX) == 0)
		len -= suffix;
	memcpy(ret->name, from->label.disk_name, sizeof(ret->name));
	memcpy(ret->tracker, info->name, len);
	(void)snprintf(ret->path, sizeof(ret->path), "%s", from->label.path);
	ret->size_bytes = from->label.size_bytes;
	if (from->label.flags & STORE_LABEL_SEND_ALL)
		ret->send = SEND_ALL;
	/* A replica notes none: whose map counts is seen when the VM comes to run there. */
	if (!has_map)
		return;
	ret->tracker_uuid = info->uuid;
	ret->tracker_generation = info->generation;
	ret->map_lost = !base_known || from->label.flags & STORE_LABEL_MAP_LOST ||
			info->state == CBT_STATE_LOST || info->state == CBT_STATE_BYPASSED;
}

static void role_make(const struct store_label *label, struct relationship_record *r)
{
	struct address peer;

	r->vm = label->vm;
	memcpy(r->name, label->vm_name, sizeof(r->name));
	r->mode = label->mode;
	r->state = label->state;
	r->term = max_of(label->term, UINT64_C(1));
	r->ceded = label->flags & STORE_LABEL_CEDED;
	r->inconsistent = label->flags & STORE_LABEL_INCONSISTENT;
	(void)address_parse(label->peer, PEER_PORT, &peer, NULL);
	(void)address_format(&peer, r->peer);
}

static void disks_make(const struct labelled_tracker *list, size_t nr, struct adoption *adoption)
{
	struct relationship_record *r = &adoption->r;

	adoption->base_known = find_base(list, nr, r, &r->base);
	for (size_t i = 0; i < nr; i++) {
		disk_make(&list[i], adoption->base_known, has_map(r), &r->disks[i]);
		/* The peer may hold it, though nobody here heard so. */
		if (r->mode == MODE_PRIMARY && list[i].info.has_frozen)
			note_aborted(r, &list[i].info.frozen_uuid);
	}
	r->nr_disks = nr;
	if (!has_map(r) && !adoption->base_known)
		r->inconsistent = true;
}

static bool is_settings(const char *text)
{
	_cleanup_(settings_clear) struct settings settings = { 0 };

	return settings_parse(text, &settings, NULL) == 0;
}

int adoption_make(struct labelled_tracker *list, size_t nr, struct adoption *ret,
		  struct failure *f)
{
	_cleanup_(relationship_record_clear) struct relationship_record r = { 0 };
	struct adoption adoption = { 0 };
	const struct store_label *newest;
	int rc;

	qsort(list, nr, sizeof(*list), by_disk);
	newest = adoption_newest(list, nr);
	rc = check_set(list, nr, f);
	if (!rc)
		rc = check_sense(newest, f);
	if (rc)
		return rc;
	adoption.settings_lost = newest->flags & STORE_LABEL_NO_SETTINGS || !is_settings(newest->settings);
	r.disks = calloc(nr, sizeof(*r.disks));
	if (newest->settings[0] && !adoption.settings_lost)
		r.settings = strdup(newest->settings);
	if (!r.disks || (newest->settings[0] && !adoption.settings_lost && !r.settings))
		return failure_no_memory(f);
	role_make(newest, &r);
	adoption.r = r;
	memset(&r, 0, sizeof(r));
	disks_make(list, nr, &adoption);
	memcpy(adoption.peer_key, newest->peer_key, sizeof(adoption.peer_key));
	*ret = adoption;
	return 0;
}
