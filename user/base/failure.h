/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A failure as its reader sees it: the method's return code and one sentence that says what is
 * wrong and what to do.
 *
 * Functions that know enough to explain themselves take a `struct failure *` as their last
 * parameter, return a negative errno, and fill it exactly when they return negative. They neither
 * log nor print. The codes are those of the Hyper-V replication methods (documented return values
 * of Msvm_ReplicationService), so that one number means the same on D-Bus, in --json, in a job and,
 * less 32758, as the exit status of a tool.
 */
#ifndef FAILBACK_BASE_FAILURE_H
#define FAILBACK_BASE_FAILURE_H

#include <stdint.h>

#include "base/macro.h"

enum code {
	CODE_COMPLETED = 0,
	CODE_JOB_STARTED = 4096,
	CODE_FAILED = 32768,
	CODE_ACCESS_DENIED = 32769,
	CODE_NOT_SUPPORTED = 32770,
	CODE_STATUS_UNKNOWN = 32771,
	CODE_TIMEOUT = 32772,
	CODE_INVALID_PARAMETER = 32773,
	CODE_IN_USE = 32774,
	CODE_INVALID_STATE = 32775,
	CODE_INCORRECT_DATA_TYPE = 32776,
	CODE_NOT_AVAILABLE = 32777,
	CODE_OUT_OF_MEMORY = 32778,
	CODE_FILE_NOT_FOUND = 32779,
};

struct failure {
	uint32_t code; /* enum code */
	char text[512]; /* one sentence, no newline */
};

/**
 * failure_set - describe a failure.
 * @f: may be NULL when the caller does not want to know
 * @code: enum code
 * @error: negative errno, returned unchanged so that callers write `return failure_set(...)`
 *
 * What others said may be quoted: the sentence becomes printable, and valid UTF-8 wherever it was cut, as D-Bus wants it.
 */
int failure_set(struct failure *f, enum code code, int error, const char *fmt, ...)
	printf_like(4, 5);

/** failure_no_memory - CODE_OUT_OF_MEMORY, with what to do about it; -ENOMEM. @f may be NULL. */
int failure_no_memory(struct failure *f);

/** code_name - "System is in use" and so on; "Unknown" for a number that is none of enum code. */
const char *code_name(uint32_t code);

/**
 * code_of_errno - the code that fits a system error best: ENOENT file not found, EACCES access
 * denied, ...
 */
enum code code_of_errno(int error);

/** code_exit_status - 0 for 0 and 4096, 10..21 for 32768..32779, else 10. */
int code_exit_status(uint32_t code);

/** code_of_exit_status - the code that a program ended with; CODE_FAILED for a status that is none. */
enum code code_of_exit_status(int status);

#endif
