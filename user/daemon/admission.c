// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/admission.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "lib/devid.h"
#include "lib/tracker_table.h"

#define NAME_MAX_SHOWN 64 /* sentences cut it there */

int admission_check_name(const char *name, struct failure *f)
{
	if (tracker_table_is_name(name) && !strchr("-#", name[0]) && strlen(name) <= NAME_MAX_SHOWN)
		return 0;
	return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
			   "No VM can be named \"%.128s\" here: a name has at most 64 letters, digits and "
			   "characters of #+-.:=@_, and begins with neither - nor #. Give it another one; "
			   "`virsh domrename` renames a domain of libvirt.",
			   name);
}

/* By whichever of its names the disk stands there. */
static bool is_of(const struct tracker_entry *entry, const struct disk_record *disk)
{
	struct devid origin = devid_of(entry->origin);
	struct devid own = devid_of(disk->path);

	return strcmp(entry->name, disk->tracker) == 0 || strcmp(entry->origin, disk->path) == 0 ||
	       devid_is_same(&origin, &own);
}

int admission_check_table(const char *path, const struct relationship_record *r, struct failure *f)
{
	cleanup_free struct tracker_entry *entries = NULL;
	size_t nr = 0;
	int rc = 0;

	/* Nor does `cbtctl activate` make any device of it. */
	if (tracker_table_read(path, &entries, &nr, NULL))
		return 0;
	for (size_t i = 0; !rc && i < nr; i++) {
		for (size_t j = 0; !rc && entries[i].start && j < r->nr_disks; j++) {
			if (is_of(&entries[i], &r->disks[j]))
				rc = tracker_table_check_fenced(path, &entries[i], r->name, f);
		}
	}
	return rc;
}

static bool same_disk(const struct disk_record *a, const struct disk_record *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->path, b->path) == 0 &&
	       strcmp(a->tracker, b->tracker) == 0 && a->size_bytes == b->size_bytes;
}

bool admission_same_disks(const struct relationship_record *a, const struct relationship_record *b)
{
	bool same = a->nr_disks == b->nr_disks;

	for (size_t i = 0; same && i < a->nr_disks; i++)
		same = same_disk(&a->disks[i], &b->disks[i]);
	return same;
}
