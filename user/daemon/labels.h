/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The labels of the stores (lib/store_label.h): what a half of a relationship can be made again from
 * when its database is lost (adopt.h). The database is the truth as long as it is there: a label that
 * cannot be written is logged, once, and fails nothing.
 */
#ifndef FAILBACK_DAEMON_LABELS_H
#define FAILBACK_DAEMON_LABELS_H

#include "daemon/vm.h"

/**
 * labels_write - after each change of the record, and when trackers may have come: write the labels that
 * are not as they should be. No delta by itself changes one. A tracker that is not there, is another
 * disk's or has no store is passed over.
 */
void labels_write(struct vm *vm);

/**
 * labels_check_free - does no store of @r's trackers say that it is another VM's?
 * @tells_peer: the sentence goes to another host, which is not told whose it is
 *
 * -EEXIST, CODE_INVALID_PARAMETER: one does.
 */
int labels_check_free(const struct relationship_record *r, bool tells_peer, struct failure *f);

/**
 * labels_clear - the stores are not this relationship's any more.
 * @keeps: NULL, or its record from now on: which trackers it still has
 */
void labels_clear(const struct relationship_record *r, const struct relationship_record *keeps);

/** labels_free - what is remembered of those that were written. */
void labels_free(struct vm *vm);

#endif
