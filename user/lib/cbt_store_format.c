// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CRASH: both superblocks go first, durably, then log, index and map are cleared, durably, and only
 * then is there a superblock again. So no old superblock ever stands over a map that was cleared.
 */
#include "lib/cbt_store_format.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <linux/fs.h>

#include "base/size.h"
#include "base/uuid.h"
#include "lib/blank.h"
#include "lib/contents.h"
#include "lib/devid.h"

#define DIFF_SHARE 20
#define DIFF_LEAST (UINT64_C(64) << 20)
#define DISK_BYTES_MAX (UINT64_C(1) << 62)

/* ---- planning ---- */

static int sectors_of(const char *what, uint64_t bytes, uint64_t standard, uint32_t *ret,
		      struct failure *f)
{
	uint64_t sectors = (bytes ? bytes : standard) >> 9;

	if (sectors << 9 != (bytes ? bytes : standard) || sectors > UINT32_MAX)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "a %s size of %" PRIu64 " bytes is impossible", what, bytes);
	*ret = (uint32_t)sectors;
	return 0;
}

static int fill_geometry(uint64_t disk_bytes, const struct cbt_store_sizes *sizes,
			 struct cbt_geometry *geo, struct failure *f)
{
	uint64_t leaf_bytes;
	int err;

	*geo = (struct cbt_geometry){ .size_sectors = disk_bytes >> 9 };
	if (!disk_bytes || disk_bytes & 511 || disk_bytes > DISK_BYTES_MAX ||
	    sizes->capacity > DISK_BYTES_MAX)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "a disk of %" PRIu64 " bytes cannot be tracked", disk_bytes);
	err = sectors_of("block", sizes->block, CBT_DISK_BLOCK, &geo->block_sectors, f);
	if (err < 0)
		return err;
	/* At least 16 blocks, so that large blocks need no option more. */
	err = sectors_of("region", sizes->region,
			 geo->block_sectors > CBT_REGION_SECTORS / 16 ?
				 (uint64_t)geo->block_sectors * 16 << 9 :
				 (uint64_t)CBT_REGION_SECTORS << 9,
			 &geo->region_sectors, f);
	if (err < 0)
		return err;
	geo->log_half_blocks = sizes->log ? sizes->log / 2 / CBT_DISK_BLOCK : CBT_LOG_HALF_BLOCKS;
	leaf_bytes = ((uint64_t)geo->block_sectors << 9) * CBT_DISK_LEAF_BLOCKS;
	if (sizes->capacity && leaf_bytes)
		geo->nr_leaves = DIV_ROUND_UP(sizes->capacity, leaf_bytes);
	return 0;
}

static uint64_t recommended_diff(uint64_t disk_bytes)
{
	uint64_t diff = disk_bytes / DIFF_SHARE;

	if (diff < DIFF_LEAST)
		diff = DIFF_LEAST;
	return diff < disk_bytes ? diff : disk_bytes;
}

int cbt_store_plan(uint64_t disk_bytes, const struct cbt_store_sizes *sizes,
		   struct cbt_store_plan *ret, struct failure *f)
{
	struct cbt_geometry geo;
	const char *why = "";
	int err = fill_geometry(disk_bytes, sizes, &geo, f);

	if (err < 0)
		return err;
	err = cbt_geometry_plan(&geo, &why);
	/* It says how large the store must be. */
	if (err == -ENOSPC)
		err = cbt_geometry_plan(&geo, &why);
	if (err < 0)
		return failure_set(f, CODE_INVALID_PARAMETER, err, "%s", why);
	*ret = (struct cbt_store_plan){
		.geo = geo,
		.disk = disk_bytes,
		.log = 2 * geo.log_half_blocks * CBT_DISK_BLOCK,
		.map = (geo.store_blocks - geo.index_start) * CBT_DISK_BLOCK,
		.least = geo.store_blocks * CBT_DISK_BLOCK,
		.diff = recommended_diff(disk_bytes),
	};
	ret->diff = DIV_ROUND_UP(ret->diff, CBT_DISK_BLOCK) * CBT_DISK_BLOCK;
	ret->total = geo.diff_start * CBT_DISK_BLOCK + ret->diff;
	return 0;
}

int cbt_store_disk_bytes(const char *path, uint64_t *ret, struct failure *f)
{
	cleanup_fd int fd = -1;
	struct stat st;
	int err = devid_exists(path, f);

	if (err < 0)
		return err;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return failure_set(f, code_of_errno(-errno), -errno, "%s cannot be opened: %s", path,
				   strerror(errno));
	*ret = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, ret) < 0)
		return failure_set(f, CODE_FAILED, -errno, "the size of %s is not known: %s", path,
				   strerror(errno));
	return 0;
}

/* ---- refusing ---- */

static int check_apart(const char *origin, const char *store, struct failure *f)
{
	bool together;
	int err = devid_overlap(origin, store, &together, f);

	if (err < 0 || !together)
		return err;
	return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
			   "store %s and origin %s are the same disk, or one is part of the other",
			   store, origin);
}

static int check_store_is_blank(struct cbt_store *store, struct failure *f)
{
	char what[CONTENTS_TEXT_MAX];
	char uuid[UUID_TEXT_LEN + 1];
	struct cbt_super super;
	struct uuid id;
	int err = cbt_store_super(store, &super, f);

	if (!err) {
		memcpy(id.b, super.id.uuid, sizeof(id.b));
		return failure_set(f, CODE_IN_USE, -EEXIST,
				   "store %s holds the map of tracker %s; --force destroys it",
				   store->path, uuid_format(&id, uuid));
	}
	if (err != -ENODATA && err != -ENXIO)
		return failure_set(f, CODE_IN_USE, -EEXIST,
				   "store %s holds the map of a tracker, damaged or of another "
				   "version; --force destroys it",
				   store->path);
	err = contents_describe(store->fd, store->path, what, f);
	if (err < 0)
		return err;
	if (*what)
		return failure_set(f, CODE_IN_USE, -EEXIST,
				   "store %s holds %s; --force destroys it", store->path, what);
	if (!blank_disk(store->fd, store->nr_blocks * CBT_DISK_BLOCK))
		return failure_set(f, CODE_IN_USE, -EEXIST,
				   "store %s is not blank: what it holds is not known here; --force "
				   "destroys it", store->path);
	return 0;
}

/* ---- writing ---- */

static int clear_all(struct cbt_store *store, const struct cbt_geometry *geo)
{
	int err = cbt_store_zero(store, 0, CBT_DISK_LOG_START);

	if (!err)
		err = cbt_store_flush(store);
	if (!err)
		err = cbt_store_zero(store, CBT_DISK_LOG_START,
				     geo->map_start + 2 * geo->nr_leaves - CBT_DISK_LOG_START);
	return err ? err : cbt_store_flush(store);
}

static int write_supers(struct cbt_store *store, struct cbt_super *super)
{
	cleanup_free void *block = cbt_store_buffer(1);

	if (!block)
		return -ENOMEM;
	for (super->sequence = 1; super->sequence <= CBT_DISK_SUPER_SLOTS; super->sequence++) {
		int err;

		cbt_super_encode(super, block);
		err = cbt_store_write(store, cbt_super_slot(super->sequence), block);
		if (err < 0)
			return err;
	}
	super->sequence--;
	return cbt_store_flush(store);
}

static int new_super(const struct cbt_geometry *geo, struct cbt_super *ret)
{
	struct uuid uuid;
	int err = uuid_new(&uuid);

	if (err < 0)
		return err;
	*ret = (struct cbt_super){
		.id.lineage = 1,
		.geo = *geo,
		.generation = 1,
		.flags = CBT_DISK_CLEAN,
		.epoch = 1,
		.log_sequence = 1,
	};
	memcpy(ret->id.uuid, uuid.b, sizeof(ret->id.uuid));
	return 0;
}

static int lay_out(const char *origin, struct cbt_store *store,
		   const struct cbt_store_sizes *sizes, struct cbt_geometry *ret, struct failure *f)
{
	struct cbt_store_plan plan;
	char need[SIZE_TEXT_LEN];
	uint64_t bytes;
	const char *why = "";
	int err = cbt_store_disk_bytes(origin, &bytes, f);

	if (!err)
		err = cbt_store_plan(bytes, sizes, &plan, f);
	if (err < 0)
		return err;
	if (store->nr_blocks < plan.geo.store_blocks)
		return failure_set(f, CODE_INVALID_PARAMETER, -ENOSPC,
				   "store %s is too small: it has %" PRIu64 " bytes, %" PRIu64
				   " are needed, and %s are recommended",
				   store->path, store->nr_blocks * CBT_DISK_BLOCK, plan.least,
				   size_format(plan.total, need));
	plan.geo.store_blocks = store->nr_blocks;
	err = cbt_geometry_plan(&plan.geo, &why);
	if (err < 0)
		return failure_set(f, CODE_INVALID_PARAMETER, err, "%s", why);
	*ret = plan.geo;
	return 0;
}

int cbt_store_format(const char *origin, const char *path, const struct cbt_store_sizes *sizes,
		     bool force, struct cbt_super *ret, struct failure *f)
{
	cleanup_cbt_store struct cbt_store store = CBT_STORE_CLOSED;
	struct cbt_geometry geo = { 0 };
	struct cbt_super super;
	int err = check_apart(origin, path, f);

	if (!err)
		err = cbt_store_open(&store, path, CBT_STORE_FORMAT, f);
	if (!err)
		err = lay_out(origin, &store, sizes, &geo, f);
	if (!err)
		err = force ? contents_wipe(store.fd, path, f) : check_store_is_blank(&store, f);
	if (err < 0)
		return err;
	err = new_super(&geo, &super);
	if (!err)
		err = clear_all(&store, &geo);
	if (!err)
		err = write_supers(&store, &super);
	if (err < 0)
		return failure_set(f, code_of_errno(err), err, "store %s cannot be written: %s",
				   path, strerror(-err));
	*ret = super;
	return 0;
}
