// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define JSON_SCHEMA 1

void output_begin(void)
{
	int fd;

	/* Read-only: writing to it fails as it would to the closed one. */
	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	(void)close_fd(fd);
	(void)signal(SIGPIPE, SIG_IGN);
}

int output_failed(struct failure *f, int error)
{
	return failure_set(f, CODE_FAILED, error, "cannot write to the standard output: %s",
			   strerror(-error));
}

int output_flush(struct failure *f)
{
	if (fflush(stdout) != 0)
		return output_failed(f, -errno);
	return ferror(stdout) ? output_failed(f, -EIO) : 0;
}

int output_end(struct failure *f)
{
	int err = output_flush(f);

	if (fclose(stdout) != 0 && !err)
		err = output_failed(f, -errno);
	return err;
}

struct json_object *output_document(void)
{
	struct json_object *document = json_object_new_object();

	json_add_uint(document, "schema", JSON_SCHEMA);
	return document;
}

int output_print(struct json_object *document, struct failure *f)
{
	cleanup_free char *text = json_text(document);

	if (!text)
		return failure_no_memory(f);
	return puts(text) < 0 ? output_failed(f, -errno) : 0;
}
