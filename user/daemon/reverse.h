/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ReverseReplicationRelationship: the operation of the host on which the VM was failed over. */
#ifndef FAILBACK_DAEMON_REVERSE_H
#define FAILBACK_DAEMON_REVERSE_H

#include "daemon/job.h"
#include "daemon/vm.h"

/**
 * reverse_start - check all that this host can tell, and begin; the rest happens in the job.
 * @setting_data: ReplicationSettingData as CIM-XML or JSON; "": the current settings
 * @plan_only: end with the plan as the job's result, before anything is changed
 *
 * NULL with a failure: nothing was started and nothing changed. When the job completes, this host
 * is durably the primary and the peer durably its replica, and a transfer was started as its
 * follow-up. A plan that overwrites what only the old primary has needs its digest as consent
 * (AdditionalSettings).
 */
struct job *reverse_start(struct vm *vm, const char *setting_data, bool plan_only,
			  struct failure *f);

#endif
