// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

int failure_set(struct failure *f, enum code code, int error, const char *fmt, ...)
{
	char raw[sizeof(f->text)];
	va_list ap;

	if (!f)
		return error;
	f->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	text_make_printable(raw, strlen(raw), f->text, sizeof(f->text));
	return error;
}

int failure_no_memory(struct failure *f)
{
	return failure_set(f, CODE_OUT_OF_MEMORY, -ENOMEM,
			   "Out of memory: make some free on this host, and repeat it.");
}

const char *code_name(uint32_t code)
{
	switch (code) {
	case CODE_COMPLETED:
		return "Completed with No Error";
	case CODE_JOB_STARTED:
		return "Method Parameters Checked - Job Started";
	case CODE_FAILED:
		return "Failed";
	case CODE_ACCESS_DENIED:
		return "Access Denied";
	case CODE_NOT_SUPPORTED:
		return "Not Supported";
	case CODE_STATUS_UNKNOWN:
		return "Status is unknown";
	case CODE_TIMEOUT:
		return "Timeout";
	case CODE_INVALID_PARAMETER:
		return "Invalid parameter";
	case CODE_IN_USE:
		return "System is in use";
	case CODE_INVALID_STATE:
		return "Invalid state for this operation";
	case CODE_INCORRECT_DATA_TYPE:
		return "Incorrect data type";
	case CODE_NOT_AVAILABLE:
		return "System is not available";
	case CODE_OUT_OF_MEMORY:
		return "Out of memory";
	case CODE_FILE_NOT_FOUND:
		return "File not found";
	}
	return "Unknown";
}

enum code code_of_errno(int error)
{
	switch (abs(error)) {
	case 0:
		return CODE_COMPLETED;
	case EPERM:
	case EACCES:
		return CODE_ACCESS_DENIED;
	case EOPNOTSUPP:
	case EPROTONOSUPPORT:
		return CODE_NOT_SUPPORTED;
	case ETIMEDOUT:
		return CODE_TIMEOUT;
	case EINVAL:
	case ERANGE:
		return CODE_INVALID_PARAMETER;
	case EBUSY:
		return CODE_IN_USE;
	case ECONNREFUSED:
	case ECONNRESET:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EPIPE:
		return CODE_NOT_AVAILABLE;
	case ENOMEM:
		return CODE_OUT_OF_MEMORY;
	case ENOENT:
	case ENXIO:
	case ENODEV:
		return CODE_FILE_NOT_FOUND;
	default:
		return CODE_FAILED;
	}
}

#define EXIT_OF_FAILED 10

int code_exit_status(uint32_t code)
{
	if (code == CODE_COMPLETED || code == CODE_JOB_STARTED)
		return 0;
	if (code >= CODE_FAILED && code <= CODE_FILE_NOT_FOUND)
		return (int)(code - CODE_FAILED) + EXIT_OF_FAILED;
	return EXIT_OF_FAILED;
}

enum code code_of_exit_status(int status)
{
	enum code code = (enum code)(CODE_FAILED + status - EXIT_OF_FAILED);

	return code > CODE_FAILED && code <= CODE_FILE_NOT_FOUND ? code : CODE_FAILED;
}
