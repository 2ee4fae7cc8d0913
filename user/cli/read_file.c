// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/command.h"

int read_text_file(const char *path, size_t max, char **ret, struct failure *f)
{
	cleanup_free char *text = malloc(max + 1);
	cleanup_fd int opened = -1;
	int fd = STDIN_FILENO;
	size_t len = 0;
	ssize_t got;

	if (!text)
		return failure_no_memory(f);
	if (strcmp(path, "-") != 0)
		fd = opened = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return failure_set(f, code_of_errno(errno), -errno, "Cannot read %s: %s.", path,
				   strerror(errno));
	while ((got = read(fd, text + len, max + 1 - len)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return failure_set(f, code_of_errno(errno), -errno, "Cannot read %s: %s.",
					   path, strerror(errno));
		len += (size_t)got;
		if (len > max)
			return failure_set(f, CODE_INVALID_PARAMETER, -EFBIG,
					   "%s is larger than %zu bytes.", path, max);
	}
	if (memchr(text, '\0', len))
		return failure_set(f, CODE_INCORRECT_DATA_TYPE, -EINVAL,
				   "%s is not text: it contains NUL.", path);
	text[len] = '\0';
	*ret = steal_ptr(text);
	return 0;
}
