/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A small file of text for a test to have read. */
#ifndef FAILBACK_TESTS_TEMP_FILE_H
#define FAILBACK_TESTS_TEMP_FILE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEMP_PATH_MAX 64

/** temp_file_make - an empty file; its path into @path. False: there is none. */
static inline bool temp_file_make(char path[TEMP_PATH_MAX])
{
	int fd;

	(void)strcpy(path, "/tmp/failback-test.XXXXXX");
	fd = mkstemp(path);
	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

/** temp_file_write - @text is all of it. */
static inline void temp_file_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	(void)fputs(text, file);
	(void)fclose(file);
}

#endif
