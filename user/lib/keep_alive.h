/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FAILBACK_LIB_KEEP_ALIVE_H
#define FAILBACK_LIB_KEEP_ALIVE_H

/**
 * keep_alive - find out within about a minute that the peer of a TCP connection is gone, also while
 * nothing is said: a host that lost its power closes nothing. Does nothing to other descriptors.
 */
void keep_alive(int fd);

#endif
