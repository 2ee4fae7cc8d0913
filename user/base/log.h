/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log of a daemon: one line an event on standard error, which a service manager reads.
 *
 * Only programs and the daemon log; libraries return failures instead. A line says what happened
 * and what the reader can do about it. Control characters are replaced, so that text from a peer
 * cannot forge a line.
 */
#ifndef FAILBACK_BASE_LOG_H
#define FAILBACK_BASE_LOG_H

#include "base/macro.h"

/* The numbers of syslog(3), so that "<N>" in front of a line means the same to the journal. */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
};

/**
 * log_init - @program stands in front of every line when standard error is not the journal; must
 * stay valid.
 */
void log_init(const char *program);

void log_line(enum log_level level, const char *fmt, ...) printf_like(2, 3);

#define log_error(...)	 log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)	 log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_LEVEL_INFO, __VA_ARGS__)

#endif
