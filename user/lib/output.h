/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Standard output of a tool, in which every failed write is noticed: what was printed to a full
 * disk must not pass for the answer.
 */
#ifndef FAILBACK_LIB_OUTPUT_H
#define FAILBACK_LIB_OUTPUT_H

#include "base/failure.h"
#include "lib/json.h"

/**
 * output_begin - to be called first in main(): a closed pipe becomes an error instead of a signal,
 * and a standard descriptor that is closed cannot become another file's, which would then be
 * printed to.
 */
void output_begin(void);

/**
 * output_failed - say that @error (negative errno, returned) kept the output from being written.
 */
int output_failed(struct failure *f, int error);

/** output_flush - everything printed so far is written, or this fails. */
int output_flush(struct failure *f);

/** output_end - flush and close; nothing can be printed after it. */
int output_end(struct failure *f);

/**
 * output_document - a new object for --json with its "schema": 1; members are only ever added. The
 * caller's.
 */
struct json_object *output_document(void);

/** output_print - print @document on one line. */
int output_print(struct json_object *document, struct failure *f);

#endif
