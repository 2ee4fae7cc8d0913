// SPDX-License-Identifier: GPL-2.0-or-later
#include "xfer/claim.h"

#include <errno.h>
#include <sys/file.h>
#include <time.h>

#define WAIT_MS	     5000U
#define WAIT_STEP_MS 50U

int claim_file(int fd)
{
	static const struct timespec step = { .tv_nsec = WAIT_STEP_MS * 1000000L };

	for (unsigned int ms = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; ms += WAIT_STEP_MS) {
		if (errno != EWOULDBLOCK || ms >= WAIT_MS)
			return -errno;
		(void)nanosleep(&step, NULL);
	}
	return 0;
}
