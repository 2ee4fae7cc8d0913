/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Progress as people watch it: a terminal shows each change in place; elsewhere a new line comes
 * when the step changes, at the end, and now and then.
 */
#ifndef FAILBACK_CLI_PROGRESS_LINE_H
#define FAILBACK_CLI_PROGRESS_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/progress_bar.h"

struct progress_line {
	bool terminal; /* a line may be written over */
	unsigned int width;
	bool open; /* the cursor stands behind it */
	char step[640]; /* what was printed last */
	uint64_t shown_ns;
};

void progress_line_init(struct progress_line *line);

/** progress_line_restart - what comes is about something else: its first line is shown. */
void progress_line_restart(struct progress_line *line);

/** progress_line_show - @step: what is being done; @last: it has ended. */
void progress_line_show(struct progress_line *line, const struct progress_bar *bar,
			const char *step, bool last);

/** progress_line_end - what is printed next starts on a line of its own. */
void progress_line_end(struct progress_line *line);

#endif
