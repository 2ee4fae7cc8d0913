/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Would a peer answer, and does it know the VM? Asked before it matters. */
#ifndef FAILBACK_DAEMON_TEST_CONNECTION_H
#define FAILBACK_DAEMON_TEST_CONNECTION_H

#include <stdint.h>

#include "daemon/job.h"
#include "daemon/vm.h"

/**
 * test_connection_start - @host: "" and @port 0: those of the present peer.
 *
 * The job's result says how the peer stands: {"peer", "protection", "fingerprint", "mode",
 * "state", "facing", "term"}; "fingerprint" is "" without TLS. NULL with a failure: nothing was
 * started.
 */
struct job *test_connection_start(struct vm *vm, const char *host, uint16_t port,
				  struct failure *f);

#endif
