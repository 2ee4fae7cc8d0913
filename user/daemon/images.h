/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The images from which a delta is sent: of each disk whose tracker has a store, what it held at
 * the freeze, however the VM goes on writing.
 *
 * Their names follow from the epoch, so that who finds a recorded epoch after a crash finds them.
 */
#ifndef FAILBACK_DAEMON_IMAGES_H
#define FAILBACK_DAEMON_IMAGES_H

#include <limits.h>

#include "base/failure.h"
#include "lib/nl.h"
#include "lib/store.h"

/**
 * images_source - what disk @i of @r is to be read from while r->epoch is frozen: its image, which
 * is made, or the origin of a tracker that has no store to keep an image on.
 */
int images_source(const struct relationship_record *r, size_t i, const struct tracker_info *info,
		  char ret_path[PATH_MAX], struct failure *f);

/** images_remove - all of r->epoch that are there. Who still reads from one keeps it until then. */
void images_remove(const struct relationship_record *r);

#endif
