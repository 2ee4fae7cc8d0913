/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which disks a peer may name for replicas of its VMs: the setting replica-paths. */
#ifndef FAILBACK_DAEMON_REPLICA_PATHS_H
#define FAILBACK_DAEMON_REPLICA_PATHS_H

#include <stdbool.h>

/**
 * replica_path_is_allowed - is @path, links resolved, below one of the directories in @list, separated by
 * spaces? A disk that is not there yet: its path as it is written.
 */
bool replica_path_is_allowed(const char *list, const char *path);

#endif
