// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/progress_line.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

#define LINE_EVERY_NS (5 * NS_PER_S) /* when nobody watches it move */

void progress_line_init(struct progress_line *line)
{
	struct winsize size;

	*line = (struct progress_line){ .terminal = isatty(STDOUT_FILENO) };
	if (line->terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		line->width = size.ws_col;
}

void progress_line_restart(struct progress_line *line)
{
	line->step[0] = '\0';
}

void progress_line_show(struct progress_line *line, const struct progress_bar *bar,
			const char *step, bool last)
{
	char text[sizeof(line->step)];
	uint64_t now = clock_ns();

	/* the last column stays free: there the cursor would wrap */
	progress_bar_format(bar, line->width ? line->width - 1 : 0, text, sizeof(text));
	if (line->terminal) {
		(void)printf("\r\033[K%.*s", line->width ? (int)line->width - 1 : (int)strlen(text),
			     text);
		line->open = true;
	} else if (last || now - line->shown_ns >= LINE_EVERY_NS || strcmp(line->step, step) != 0) {
		(void)printf("%s\n", text);
		(void)snprintf(line->step, sizeof(line->step), "%s", step);
		line->shown_ns = now;
	}
	(void)fflush(stdout);
}

void progress_line_end(struct progress_line *line)
{
	if (line->open)
		(void)printf("\n");
	line->open = false;
}
