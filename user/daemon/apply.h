/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Relationships as JSON, for configuration management: `failback export` and `failback apply`.
 *
 *	{
 *	  "version": 1,
 *	  "relationships": [ {
 *	    "vm": "<uuid>",
 *	    "name": "web1",
 *	    "peer": "192.0.2.2:7407",
 *	    "mode": 2, "state": 5, "base": "<uuid>" | null,
 *	    "settings": {"ReplicationInterval": 300},
 *	    "disks": [ {"name": "disk0", "size": 68719476736,
 *	                "path": "/dev/vg/web1", "tracker": "web1-disk0"} ]
 *	  } ]
 *	}
 *
 * "mode", "state" and "base" say where a relationship starts that this host does not know yet (1
 * and 3 when they are left out). For one that it knows they are ignored: where it stands now is
 * what happened, not what is configured. Everything else becomes as the file says. Relationships
 * that the file does not name stay as they are.
 */
#ifndef FAILBACK_DAEMON_APPLY_H
#define FAILBACK_DAEMON_APPLY_H

#include <stdbool.h>

#include "daemon/daemon.h"

/**
 * apply_relationships - the whole text is checked before anything is changed; applying it again
 * changes nothing.
 * @ret_changed: whether something changed
 * @text: one sentence about what was done, on success; @size bytes
 */
int apply_relationships(struct daemon *d, const char *json, bool *ret_changed, char *text,
			size_t size, struct failure *f);

/**
 * export_relationships - all of this host, in the form that apply takes; malloc()ed, NULL when
 * out of memory.
 */
char *export_relationships(const struct daemon *d);

#endif
