// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/admission.h"

#include <string.h>

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
