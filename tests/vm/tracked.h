/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For tests in a virtual machine: mapped devices by dmsetup(8), maps by netlink. Whatever fails
 * here that is not what a test is about ends the test program.
 */
#ifndef FAILBACK_TESTS_VM_TRACKED_H
#define FAILBACK_TESTS_VM_TRACKED_H

#include <err.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/fs.h>

#include "base/macro.h"
#include "lib/nl.h"

#define BLOCK 4096

/* Runs a shell command; its exit status. */
static inline printf_like(1, 2) int run(const char *fmt, ...)
{
	char command[1024];
	va_list ap;
	int status;

	va_start(ap, fmt);
	(void)vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline uint64_t sectors_of(const char *device)
{
	uint64_t bytes;
	int fd = open(device, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes) < 0)
		err(1, "%s", device);
	close(fd);
	return bytes / 512;
}

/* Maps @name as the table line says; the node is /dev/mapper/@name. */
static inline void map_device(const char *name, const char *line)
{
	if (run("dmsetup create %s --table '%s' && dmsetup mknodes %s", name, line, name))
		errx(1, "cannot create %s: %s", name, line);
}

static inline void unmap_device(const char *name)
{
	if (run("dmsetup remove --retry %s", name))
		errx(1, "cannot remove %s", name);
}

/* Tracks @origin as @name; @options as in the table, e.g. "2 block_size 64". */
static inline void track_device(const char *name, const char *origin, const char *options)
{
	char line[256];

	snprintf(line, sizeof(line), "0 %llu cbt %s - %s",
		 (unsigned long long)sectors_of(origin), origin, options);
	map_device(name, line);
}

static inline int open_device(const char *name, int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/dev/mapper/%s", name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static inline void *new_buffer(size_t size)
{
	void *buffer = aligned_alloc(4096, size);

	if (!buffer)
		err(1, "aligned_alloc");
	memset(buffer, 0x5a, size);
	return buffer;
}

static inline struct nl *open_netlink(void)
{
	struct failure f;
	struct nl *nl;

	if (nl_open(&nl, &f) < 0)
		errx(1, "%s", f.text);
	return nl;
}

static inline struct uuid new_epoch(void)
{
	struct uuid u;

	if (uuid_new(&u) < 0)
		err(1, "uuid_new");
	return u;
}

/* Ends the running epoch and forgets it, so that the map is clean. */
static inline void forget_epoch(struct nl *nl, const char *name)
{
	struct uuid epoch = new_epoch();
	struct failure f;

	if (nl_freeze(nl, &name, 1, &epoch, NULL, &f) < 0 ||
	    nl_commit(nl, &name, 1, &epoch, NULL, &f) < 0)
		errx(1, "%s", f.text);
}

static inline int text_add_range(void *context, uint64_t first, uint64_t nr)
{
	char *text = context;

	if (strlen(text) < 900)
		sprintf(text + strlen(text), "%llu+%llu ", (unsigned long long)first,
			(unsigned long long)nr);
	return 0;
}

/* "FIRST+NUMBER " of each run of dirty blocks, "" when the map is clean; valid until the next call. */
static inline const char *map_text(struct nl *nl, const char *name, uint32_t which)
{
	static char text[1024];
	struct failure f;

	text[0] = '\0';
	if (nl_map_get(nl, name, which, NULL, 0, text_add_range, text, NULL, &f) < 0)
		errx(1, "%s", f.text);
	return text;
}

#endif
