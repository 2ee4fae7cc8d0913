// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define LINE_MAX_BYTES 2048

static const char *program_name = "failback";
static bool to_journal;

void log_init(const char *program)
{
	program_name = program;
	/* Set by systemd exactly when standard error is connected to the journal. */
	to_journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char raw[LINE_MAX_BYTES];
	char line[LINE_MAX_BYTES];
	int saved = errno;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	text_make_printable(raw, strlen(raw), line, sizeof(line));
	if (to_journal)
		(void)fprintf(stderr, "<%d>%s\n", (int)level, line);
	else
		(void)fprintf(stderr, "%s: %s\n", program_name, line);
	errno = saved;
}
