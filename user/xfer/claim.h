/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file that one transfer at a time may write to.
 *
 * CRASH: the claim of a killed worker stands until the last write that it had under way has landed:
 * the ring, or the thread, that writes holds all descriptors until then. A write that landed later
 * would land on the next delta.
 */
#ifndef FAILBACK_XFER_CLAIM_H
#define FAILBACK_XFER_CLAIM_H

/** claim_file - lock @fd (flock) until it is closed, waiting up to 5 s for a killed worker. 0 or -errno; -EWOULDBLOCK. */
int claim_file(int fd);

#endif
