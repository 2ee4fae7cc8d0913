/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Logical volumes: which there are, and making more. The only file that knows LVM, whose programs it
 * runs. Nothing here removes, shrinks or overwrites a volume.
 */
#ifndef FAILBACK_LIB_LVM_H
#define FAILBACK_LIB_LVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"

#define LVM_NAME_MAX 128 /* with NUL */
#define LVM_PATH_MAX (5 + 2 * LVM_NAME_MAX) /* /dev/VG/LV with NUL */

struct lvm_name {
	char group[LVM_NAME_MAX];
	char volume[LVM_NAME_MAX];
};

struct lvm_volume {
	char name[LVM_NAME_MAX];
	uint64_t bytes;
	bool is_new; /* made by lvm_create(), and lvm_settle() was not called yet */
};

struct lvm_group {
	uint64_t extent_bytes;
	uint64_t free_bytes;
	struct lvm_volume *volumes; /* malloc()ed */
	size_t nr_volumes;
};

/** lvm_parse - PURE: @path as /dev/VG/LV; CODE_INVALID_PARAMETER: it is not. */
int lvm_parse(const char *path, struct lvm_name *ret, struct failure *f);

/** lvm_is_name - PURE: can a volume group or volume have that name? */
bool lvm_is_name(const char *name);

const char *lvm_path(const struct lvm_name *name, char buf[LVM_PATH_MAX]);

/** lvm_round_up - PURE: what a volume of @bytes takes; 0: more than there can be. */
uint64_t lvm_round_up(const struct lvm_group *group, uint64_t bytes);

/**
 * lvm_read_group - CODE_FILE_NOT_FOUND: there is no such volume group. CODE_NOT_SUPPORTED: there is no LVM
 * on this host. Clear the group in any case.
 */
int lvm_read_group(const char *name, struct lvm_group *ret, struct failure *f);
void lvm_clear_group(struct lvm_group *group);

/** lvm_find - NULL: there is none. */
const struct lvm_volume *lvm_find(const struct lvm_group *group, const char *volume);

/**
 * lvm_create - make a volume of @bytes, rounded up to extents. What its place held before may be there
 * still. From here on it is new, across crashes of the host too, until lvm_settle().
 */
int lvm_create(const struct lvm_name *name, uint64_t bytes, struct failure *f);

/** lvm_settle - it is not new any more. */
int lvm_settle(const struct lvm_name *name, struct failure *f);

#endif
