/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A transfer's progress on one line. PURE. */
#ifndef FAILBACK_LIB_PROGRESS_BAR_H
#define FAILBACK_LIB_PROGRESS_BAR_H

#include <stddef.h>
#include <stdint.h>

struct progress_bar {
	const char *label;
	uint64_t bytes_total; /* 0: not known yet */
	uint64_t bytes_done;
	uint64_t bytes_per_second; /* 0: not known yet */
	uint64_t seconds_left; /* UINT64_MAX: not known */
};

/**
 * progress_bar_format - "label  [#####     ]  50 %  1 GiB of 2 GiB  200 MiB/s  5 s left".
 * @width: columns of the terminal; the bar takes what is left over, down to none. 0: no bar
 * What does not fit into @size bytes is cut.
 */
void progress_bar_format(const struct progress_bar *bar, unsigned int width, char *buf,
			 size_t size);

#endif
