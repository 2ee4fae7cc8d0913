/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ReplicationSettingData, as it concerns one VM. */
#ifndef FAILBACK_DAEMON_VM_SETTINGS_H
#define FAILBACK_DAEMON_VM_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/settings.h"
#include "lib/store.h"

struct vm_settings {
	char peer[PEER_TEXT_MAX]; /* where to send: what the data says, else the present peer */
	char *kept; /* JSON of what is remembered; malloc()ed */
	char consent[17]; /* the digest of a plan; "": none */
};

/**
 * vm_settings_take - check @setting_data (CIM-XML, JSON or "") against @r, and merge it with what @r
 * has. *@ret is untouched on failure.
 */
int vm_settings_take(const struct relationship_record *r, const char *setting_data,
		     struct vm_settings *ret, struct failure *f);
void vm_settings_clear(struct vm_settings *s);

/** vm_interval_s - ReplicationInterval: seconds between two deltas. */
uint64_t vm_interval_s(const struct relationship_record *r);

/** vm_compresses - CompressionEnabled. */
bool vm_compresses(const struct relationship_record *r);

#endif
