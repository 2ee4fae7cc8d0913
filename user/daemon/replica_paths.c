// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/replica_paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool replica_path_is_allowed(const char *list, const char *path)
{
	char real[PATH_MAX];
	const char *end;

	if (!realpath(path, real)) {
		if (errno != ENOENT)
			return false;
		real[0] = '\0';
	}
	for (const char *at = list; *at; at = *end ? end + 1 : end) {
		char prefix[PATH_MAX];
		size_t len;

		end = strchrnul(at, ' ');
		(void)snprintf(prefix, sizeof(prefix), "%.*s", (int)(end - at), at);
		len = strlen(prefix);
		while (len && prefix[len - 1] == '/')
			prefix[--len] = '\0';
		/* The link itself may be what is listed: /dev/vg/lv leads to /dev/dm-3. */
		if (len && ((strncmp(real, prefix, len) == 0 && real[len] == '/') ||
			    (strncmp(path, prefix, len) == 0 && path[len] == '/' &&
			     !strstr(path, "/../"))))
			return true;
	}
	return false;
}
