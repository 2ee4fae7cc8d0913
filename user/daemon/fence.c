// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/fence.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "lib/dm.h"

#define MODE_HIDDEN  0600
#define MODE_VISIBLE 0660 /* as udev makes disks; whose they are stays */

static const char *hidden_name(const struct disk_record *disk, char buf[FENCE_NAME_MAX])
{
	(void)snprintf(buf, FENCE_NAME_MAX, "%s" FENCE_SUFFIX, disk->tracker);
	return buf;
}

int fence_check_tracker(const struct disk_record *disk, struct failure *f)
{
	size_t len = strlen(disk->tracker);
	size_t suffix = strlen(FENCE_SUFFIX);

	if (len < suffix || strcmp(disk->tracker + len - suffix, FENCE_SUFFIX) != 0)
		return 0;
	return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
			   "Disk %s cannot have the tracker %.128s: a tracker has a name that ends in "
			   FENCE_SUFFIX " only where its VM may not run. Give the name without it.",
			   disk->name, disk->tracker);
}

const char *fence_name(const struct disk_record *disk, char buf[FENCE_NAME_MAX])
{
	if (!dm_exists(disk->tracker) && dm_exists(hidden_name(disk, buf)))
		return buf;
	(void)snprintf(buf, FENCE_NAME_MAX, "%s", disk->tracker);
	return buf;
}

/* Who gets no answer may not take it for a no. */
static int look(const char *name, bool *ret_exists, struct failure *f)
{
	unsigned int count;
	int rc = dm_open_count(name, &count, f);

	*ret_exists = !rc;
	return rc == -ENXIO ? 0 : rc;
}

/* Follows the link that the node may be. Where there is none, nobody opens it by that name. */
static void set_mode(const char *name, mode_t mode)
{
	char path[sizeof("/dev/mapper/") + FENCE_NAME_MAX];

	(void)snprintf(path, sizeof(path), "/dev/mapper/%s", name);
	(void)chmod(path, mode);
}

static int check_closed(const struct relationship_record *r, const struct disk_record *disk,
			struct failure *f)
{
	unsigned int count = 0;
	int rc = dm_open_count(disk->tracker, &count, f);

	if (rc || !count)
		return rc;
	return failure_set(f, CODE_IN_USE, -EBUSY,
			   "Disk %s of VM %.64s is open (/dev/mapper/%s): shut the VM down first.",
			   disk->name, r->name, disk->tracker);
}

static int show(const struct disk_record *disk, const char *hidden, struct failure *f)
{
	int rc = dm_rename(hidden, disk->tracker, f);

	if (!rc)
		set_mode(disk->tracker, MODE_VISIBLE);
	return rc;
}

static int hide(const struct relationship_record *r, const struct disk_record *disk,
		struct failure *f)
{
	char hidden[FENCE_NAME_MAX];
	unsigned int count = 0;
	int rc = check_closed(r, disk, f);

	if (!rc)
		rc = dm_rename(disk->tracker, hidden_name(disk, hidden), f);
	if (rc)
		return rc;
	set_mode(hidden, MODE_HIDDEN);
	/* Someone may have opened it just before; from now on nobody can. */
	rc = dm_open_count(hidden, &count, f);
	if (!rc && !count)
		return 0;
	(void)show(disk, hidden, NULL);
	if (rc)
		return rc;
	return failure_set(f, CODE_IN_USE, -EBUSY,
			   "Disk %s of VM %.64s was opened just now (/dev/mapper/%s): shut the VM "
			   "down first.",
			   disk->name, r->name, disk->tracker);
}

static int check_not_open(const struct relationship_record *r, const struct disk_record *disk,
			  struct failure *f)
{
	bool in_sight;
	int rc = look(disk->tracker, &in_sight, f);

	return rc || !in_sight ? rc : check_closed(r, disk, f);
}

/* @ret_hid: whether it was in sight. */
static int raise(const struct relationship_record *r, const struct disk_record *disk, bool *ret_hid,
		 struct failure *f)
{
	char hidden[FENCE_NAME_MAX];
	bool in_sight;
	int rc = look(disk->tracker, &in_sight, f);

	*ret_hid = false;
	if (rc)
		return rc;
	if (!in_sight) {
		set_mode(hidden_name(disk, hidden), MODE_HIDDEN);
		return 0;
	}
	rc = hide(r, disk, f);
	*ret_hid = !rc;
	return rc;
}

int fence_raise(const struct relationship_record *r, struct failure *f)
{
	cleanup_free bool *hid = calloc(max_of(r->nr_disks, (size_t)1), sizeof(*hid));
	char hidden[FENCE_NAME_MAX];
	int rc = 0;
	size_t i;

	if (!hid)
		return failure_no_memory(f);
	/* All or none, and none for a moment: whoever looks again and again would take them away as often. */
	for (i = 0; !rc && i < r->nr_disks; i++) {
		if (r->disks[i].tracker[0])
			rc = check_not_open(r, &r->disks[i], f);
	}
	for (i = 0; !rc && i < r->nr_disks; i++) {
		if (r->disks[i].tracker[0])
			rc = raise(r, &r->disks[i], &hid[i], f);
	}
	/* What was out of sight before stays so. */
	while (rc && i--) {
		if (hid[i])
			(void)show(&r->disks[i], hidden_name(&r->disks[i], hidden), NULL);
	}
	return rc;
}

int fence_lower(const struct relationship_record *r, struct failure *f)
{
	char hidden[FENCE_NAME_MAX];
	int rc = 0;

	for (size_t i = 0; !rc && i < r->nr_disks; i++) {
		const struct disk_record *disk = &r->disks[i];
		bool is_hidden = false;

		if (disk->tracker[0])
			rc = look(hidden_name(disk, hidden), &is_hidden, f);
		if (!rc && is_hidden)
			rc = show(disk, hidden, f);
	}
	return rc;
}
