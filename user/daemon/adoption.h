/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the labels and the trackers of a VM's disks prove of its relationship, when the database is
 * lost. PURE: no I/O, no globals.
 *
 * Who may run the VM is not proved: a label is as old as the host's last word, and the peer may have
 * failed the VM over since. So nothing that is adopted faces the VM (daemon/role_swap.h); it asks the
 * peer first, as after a boot.
 *
 * What the disks hold is the trackers' word: the base that they all name, and what was written since.
 * A replica that was written to since its last delta is between two instants, or was while its
 * journal, which is lost, was applied: it holds none.
 */
#ifndef FAILBACK_DAEMON_ADOPTION_H
#define FAILBACK_DAEMON_ADOPTION_H

#include "lib/nl.h"
#include "lib/store.h"
#include "lib/store_label.h"

struct labelled_tracker {
	struct tracker_info info;
	struct store_label label;
};

struct adoption {
	struct relationship_record r; /* to be cleared; its base is nil unless @base_known */
	bool base_known; /* else all has to be compared */
	bool settings_lost; /* they are the defaults now */
	uint8_t peer_key[FINGERPRINT_BYTES]; /* zero: not known */
};

/** adoption_newest - the label that was written last. */
const struct store_label *adoption_newest(const struct labelled_tracker *list, size_t nr);

/**
 * adoption_make - the relationship of @nr trackers, at least one, whose labels name one VM.
 * @list: is put into the order of the disks
 *
 * CODE_FILE_NOT_FOUND: a disk is missing; CODE_INVALID_PARAMETER: the labels contradict each other;
 * CODE_STATUS_UNKNOWN: what they say makes no sense. The sentence names the trackers.
 */
int adoption_make(struct labelled_tracker *list, size_t nr, struct adoption *ret,
		  struct failure *f);

#endif
