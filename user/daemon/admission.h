/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this host asks of a relationship that it does not have yet, however it comes: created here or by a
 * peer, applied, adopted.
 */
#ifndef FAILBACK_DAEMON_ADMISSION_H
#define FAILBACK_DAEMON_ADMISSION_H

#include <stdbool.h>

#include "base/failure.h"
#include "lib/store.h"

/**
 * admission_check_name - PURE: may a VM be named so? The name is given to commands of root's, and stands in
 * those that an operator is told to type, whole and without quotes. CODE_INVALID_PARAMETER.
 */
int admission_check_name(const char *name, struct failure *f);

/**
 * admission_check_table - CODE_INVALID_STATE: by its line in the table of trackers at @path a disk of @r is
 * in the VM's sight from the boot on, before the peer was asked. A table that cannot be read has no lines.
 */
int admission_check_table(const char *path, const struct relationship_record *r, struct failure *f);

/** admission_same_disks - PURE: are the disks configured alike, in the same order? */
bool admission_same_disks(const struct relationship_record *a, const struct relationship_record *b);

#endif
