/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ReverseReplicationRelationship: the operation of the host on which the VM was failed over. */
#ifndef FAILBACK_DAEMON_REVERSE_H
#define FAILBACK_DAEMON_REVERSE_H

#include "daemon/job.h"
#include "daemon/vm.h"

/**
 * reverse_start - check all that this host can tell, and begin; the rest happens in the job.
 * @setting_data: ReplicationSettingData as CIM-XML or JSON; "": the current settings
 *
 * NULL with a failure: nothing was started and nothing changed. When the job completes, this host
 * is durably the primary and the peer durably its replica, and a delta was started as its
 * follow-up.
 */
struct job *reverse_start(struct vm *vm, const char *setting_data, struct failure *f);

#endif
