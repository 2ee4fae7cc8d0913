// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/contents.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <blkid/blkid.h>

#include "base/cleanup.h"

#define SIGNATURES_MAX 100 /* a disk that still has some after so many wipes is not ours to judge */

static void free_probe(blkid_probe *probe)
{
	blkid_free_probe(*probe);
}

static int new_probe(int fd, const char *path, blkid_probe *ret, struct failure *f)
{
	blkid_probe probe = blkid_new_probe();

	if (!probe || blkid_probe_set_device(probe, fd, 0, 0) < 0) {
		blkid_free_probe(probe);
		return failure_set(f, CODE_FAILED, -EIO, "cannot look at the contents of %s: %s",
				   path, strerror(errno ? errno : ENOMEM));
	}
	(void)blkid_probe_enable_superblocks(probe, 1);
	(void)blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE |
							       BLKID_SUBLKS_MAGIC);
	(void)blkid_probe_enable_partitions(probe, 1);
	(void)blkid_probe_set_partitions_flags(probe, BLKID_PARTS_MAGIC);
	*ret = probe;
	return 0;
}

static const char *value_of(blkid_probe probe, const char *name)
{
	const char *value;

	return blkid_probe_lookup_value(probe, name, &value, NULL) == 0 ? value : NULL;
}

int contents_describe(int fd, const char *path, char ret[CONTENTS_TEXT_MAX], struct failure *f)
{
	_cleanup_(free_probe) blkid_probe probe = NULL;
	const char *type;
	const char *usage;
	int rc = new_probe(fd, path, &probe, f);

	if (rc)
		return rc;
	*ret = '\0';
	rc = blkid_do_fullprobe(probe);
	if (rc < 0)
		return failure_set(f, CODE_FAILED, -EIO, "cannot look at the contents of %s: %s",
				   path, strerror(errno ? errno : EIO));
	type = value_of(probe, "TYPE");
	usage = value_of(probe, "USAGE");
	if (type && usage && strcmp(usage, "filesystem") == 0)
		(void)snprintf(ret, CONTENTS_TEXT_MAX, "a file system (%.64s)", type);
	else if (type)
		(void)snprintf(ret, CONTENTS_TEXT_MAX, "%.64s data", type);
	else if (value_of(probe, "PTTYPE"))
		(void)snprintf(ret, CONTENTS_TEXT_MAX, "a partition table (%.64s)",
			       value_of(probe, "PTTYPE"));
	return 0;
}

int contents_wipe(int fd, const char *path, struct failure *f)
{
	_cleanup_(free_probe) blkid_probe probe = NULL;
	int rc = new_probe(fd, path, &probe, f);

	if (rc)
		return rc;
	for (int i = 0; i < SIGNATURES_MAX; i++) {
		rc = blkid_do_probe(probe);
		if (rc == 1)
			return 0;
		if (rc < 0 || blkid_do_wipe(probe, 0) < 0)
			break;
	}
	return failure_set(f, CODE_FAILED, -EIO, "cannot wipe what is on %s: %s", path,
			   strerror(errno ? errno : EIO));
}
