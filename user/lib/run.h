/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Running a program of the system and waiting until it has ended. For a single-threaded caller. */
#ifndef FAILBACK_LIB_RUN_H
#define FAILBACK_LIB_RUN_H

#include <stdbool.h>

#include "base/failure.h"

#define RUN_OUTPUT_MAX ((size_t)4 << 20)

/**
 * run_program - run @argv, whose first word is looked for in $PATH and where the system keeps its programs
 * for root. It reads nothing.
 * @package: that it comes with, for sentences
 * @changes: it changes something: what would end the caller waits until it has ended
 * @ret_output: NULL, or what it printed, malloc()ed
 *
 * A status other than 0 is CODE_FAILED with what it wrote to its standard error last;
 * CODE_NOT_SUPPORTED: there is no such program.
 */
int run_program(const char *const *argv, const char *package, bool changes, char **ret_output,
		struct failure *f);

#endif
