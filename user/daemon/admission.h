/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this host asks of a relationship that it does not have yet. */
#ifndef FAILBACK_DAEMON_ADMISSION_H
#define FAILBACK_DAEMON_ADMISSION_H

#include <stdbool.h>

#include "lib/store.h"

/** admission_same_disks - PURE: are the disks configured alike, in the same order? */
bool admission_same_disks(const struct relationship_record *a, const struct relationship_record *b);

#endif
