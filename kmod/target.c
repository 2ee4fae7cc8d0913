// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads pass. A write-type bio of any kind (discard, write zeroes and secure erase too) marks
 * every block that it touches, first to last, before it goes down. map() never sleeps, allocates,
 * waits or splits: max_io_len stays unset and whatever would wait is queued, also what asked not to
 * wait (NOWAIT): its submitter does not.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/log2.h>
#include <linux/module.h>

#include "target.h"
#include "track.h"

#define DM_MSG_PREFIX "cbt"

#define BLOCK_SECTORS_MAX	2048

struct cbt_target {
	struct dm_dev *origin;
	struct dm_dev *store;		/* NULL: "-" */
	u32 block_sectors;		/* as the table says; 0: it does not */
	struct cbt_tracker *tracker;
};

/* Per bio. */
struct cbt_io {
	struct cbt_write write;
	bool counted;
};

static struct bio *io_bio(struct cbt_io *io)
{
	return dm_bio_from_per_bio_data(io, sizeof(*io));
}

/*--------------------------------------------------------------------------------------------------
 * What the tracker asks of the mapped device
 */

static void owner_go(struct cbt_write *write)
{
	struct cbt_io *io = container_of(write, struct cbt_io, write);
	struct bio *bio = io_bio(io);

	io->counted = true;
	/*
	 * Nobody polls for a bio that another context submits. Nor is there a submitter any more who
	 * must not wait: an EAGAIN from below would now reach the owner as the write's result.
	 */
	bio->bi_opf &= ~(REQ_POLLED | REQ_NOWAIT);
	dm_submit_bio_remap(bio, NULL);
}

static void owner_drop(struct cbt_write *write)
{
	bio_endio(io_bio(container_of(write, struct cbt_io, write)));
}

static int owner_name(void *owner, char name[CBT_NAME_LEN + 1])
{
	BUILD_BUG_ON(CBT_NAME_LEN + 1 < DM_NAME_LEN);
	return dm_copy_name_and_uuid(owner, name, NULL);
}

static dev_t owner_dev(void *owner)
{
	return disk_devt(dm_disk(owner));
}

static const struct cbt_owner_ops owner_ops = {
	.go = owner_go,
	.drop = owner_drop,
	.name = owner_name,
	.dev = owner_dev,
};

/*--------------------------------------------------------------------------------------------------
 * Constructor
 */

static int parse_origin(struct dm_target *ti, struct cbt_target *target, const char *path)
{
	int error = dm_get_device(ti, path, dm_table_get_mode(ti->table), &target->origin);

	if (error) {
		ti->error = "Cannot open the origin device: it is missing or in use";
		return error;
	}
	if (ti->begin || ti->len != bdev_nr_sectors(target->origin->bdev)) {
		ti->error = "The table must cover the whole origin device";
		return -EINVAL;
	}
	if (bdev_is_zoned(target->origin->bdev)) {
		ti->error = "Zoned origin devices are not supported";
		return -EINVAL;
	}
	return 0;
}

static int parse_store(struct dm_target *ti, struct cbt_target *target, const char *path)
{
	int error;

	if (!strcmp(path, "-"))
		return 0;
	error = dm_get_device(ti, path, dm_table_get_mode(ti->table), &target->store);
	if (error) {
		ti->error = "Cannot open the store device: it is missing or in use";
		return error;
	}
	if (target->store->bdev == target->origin->bdev) {
		ti->error = "The store and the origin are the same device";
		return -EINVAL;
	}
	if (bdev_is_zoned(target->store->bdev)) {
		ti->error = "Zoned store devices are not supported";
		return -EINVAL;
	}
	return 0;
}

static int parse_options(struct dm_target *ti, struct dm_arg_set *as, u32 *ret_block_sectors)
{
	static const struct dm_arg args[] = {
		{ 0, 2, "Wrong number of options" },
	};
	const char *name;
	unsigned int nr;
	int error;

	if (!as->argc)
		return 0;
	error = dm_read_arg_group(args, as, &nr, &ti->error);
	if (error)
		return error;
	while (nr) {
		name = dm_shift_arg(as);
		if (strcmp(name, "block_size") || nr < 2) {
			ti->error = "Unknown option, or an option without its value";
			return -EINVAL;
		}
		if (kstrtou32(dm_shift_arg(as), 10, ret_block_sectors) ||
		    !is_power_of_2(*ret_block_sectors) || *ret_block_sectors < CBT_BLOCK_SECTORS_MIN ||
		    *ret_block_sectors > BLOCK_SECTORS_MAX) {
			ti->error = "block_size must be a power of two from 8 to 2048 sectors";
			return -EINVAL;
		}
		nr -= 2;
	}
	if (as->argc) {
		ti->error = "Too many arguments";
		return -EINVAL;
	}
	return 0;
}

static struct cbt_tracker_params tracker_params(struct dm_target *ti)
{
	struct cbt_target *target = ti->private;

	return (struct cbt_tracker_params){
		.origin = target->origin->bdev->bd_dev,
		.origin_bdev = target->origin->bdev,
		.store_bdev = target->store ? target->store->bdev : NULL,
		.owner = dm_table_get_md(ti->table),
		.ops = &owner_ops,
		.size_sectors = ti->len,
		.block_sectors = target->block_sectors,
	};
}

static int get_tracker(struct dm_target *ti, struct cbt_target *target)
{
	struct cbt_tracker_params params = tracker_params(ti);
	const char *why;

	target->tracker = cbt_tracker_get(&params, &why);
	if (IS_ERR(target->tracker)) {
		int error = PTR_ERR(target->tracker);

		target->tracker = NULL;
		ti->error = (char *)why;
		return error;
	}
	return 0;
}

/* Tolerates a half-built target. */
static void target_free(struct dm_target *ti, struct cbt_target *target)
{
	if (target->tracker)
		cbt_tracker_put(target->tracker);
	if (target->store)
		dm_put_device(ti, target->store);
	if (target->origin)
		dm_put_device(ti, target->origin);
	kfree(target);
}

static void set_features(struct dm_target *ti)
{
	ti->num_flush_bios = 1;
	ti->num_discard_bios = 1;
	ti->num_secure_erase_bios = 1;
	ti->num_write_zeroes_bios = 1;
	ti->accounts_remapped_io = true;
	ti->limit_swap_bios = true;
	ti->per_io_data_size = sizeof(struct cbt_io);
}

static int cbt_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct dm_arg_set as = { .argc = argc, .argv = argv };
	struct cbt_target *target;
	const char *origin, *store;
	int error;

	if (argc < 2) {
		ti->error = "Usage: <origin> <store|-> [<#options> <option> <value> ...]";
		return -EINVAL;
	}
	target = kzalloc(sizeof(*target), GFP_KERNEL);
	if (!target) {
		ti->error = "Out of memory";
		return -ENOMEM;
	}
	ti->private = target;
	origin = dm_shift_arg(&as);
	store = dm_shift_arg(&as);
	error = parse_origin(ti, target, origin);
	if (!error)
		error = parse_store(ti, target, store);
	if (!error)
		error = parse_options(ti, &as, &target->block_sectors);
	if (!error)
		error = get_tracker(ti, target);
	if (error) {
		target_free(ti, target);
		return error;
	}
	set_features(ti);
	return 0;
}

static void cbt_dtr(struct dm_target *ti)
{
	target_free(ti, ti->private);
}

/*
 * Nothing is on its way here, under this table or another: now the store can be read, and now the
 * tracker passes from one table to the next. Also after a mere suspend.
 */
static int cbt_preresume(struct dm_target *ti)
{
	struct cbt_tracker_params params = tracker_params(ti);
	struct cbt_target *target = ti->private;
	const char *why;
	int error = cbt_tracker_start(target->tracker, &params, &why);

	if (error)
		DMERR("%s: cannot start: %s (%d)", target->origin->name, why, error);
	return error;
}

/*--------------------------------------------------------------------------------------------------
 * I/O
 */

static enum cbt_write_kind write_kind(const struct bio *bio)
{
	switch (bio_op(bio)) {
	case REQ_OP_DISCARD:
		return CBT_WRITE_DISCARD;
	case REQ_OP_SECURE_ERASE:
		return CBT_WRITE_ERASE;
	default:
		return CBT_WRITE_DATA;
	}
}

static int cbt_map(struct dm_target *ti, struct bio *bio)
{
	struct cbt_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct cbt_target *target = ti->private;
	struct cbt_tracker *tracker = target->tracker;
	enum cbt_admission admission;

	/* The target begins at sector 0 of both devices: only the device changes. */
	bio_set_dev(bio, target->origin->bdev);
	io->counted = false;
	/* A flush without data has nothing to mark. */
	if (!op_is_write(bio_op(bio)) || !bio_sectors(bio))
		return DM_MAPIO_REMAPPED;

	io->write.first = bio->bi_iter.bi_sector >> tracker->block_shift;
	io->write.last = (bio_end_sector(bio) - 1) >> tracker->block_shift;
	io->write.kind = write_kind(bio);
	admission = cbt_write_try(tracker, &io->write);
	if (admission == CBT_ADMITTED) {
		io->counted = true;
		return DM_MAPIO_REMAPPED;
	}
	if (admission == CBT_NEEDLESS)
		bio_endio(bio);
	else
		cbt_write_queue(tracker, &io->write, admission);
	return DM_MAPIO_SUBMITTED;
}

static int cbt_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	struct cbt_io *io = dm_per_bio_data(bio, sizeof(*io));
	struct cbt_target *target = ti->private;

	if (io->counted)
		cbt_write_end(target->tracker);
	if (*error && bio->bi_opf & REQ_PREFLUSH)
		cbt_tracker_flush_failed(target->tracker);
	return DM_ENDIO_DONE;
}

static int cbt_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct cbt_target *target = ti->private;

	return fn(ti, target->origin, 0, ti->len, data);
}

/*--------------------------------------------------------------------------------------------------
 * Status
 */

static const char *state_name(enum cbt_tracker_state state)
{
	switch (state) {
	case CBT_STATE_VOLATILE:
		return "volatile";
	case CBT_STATE_ACTIVE:
		return "active";
	case CBT_STATE_COMMITTING:
		return "committing";
	case CBT_STATE_LOST:
		return "lost";
	case CBT_STATE_BYPASSED:
		return "bypassed";
	}
	return "-";
}

/*
 * STATUSTYPE_INFO: <uuid> <generation> <state> <epoch> <sectors per block> <blocks> <dirty blocks>
 *	<frozen epoch | -> <blocks frozen>
 * state: "volatile" (tracking in RAM only), "active", "committing", "lost" or "bypassed"; nothing but
 * "-" before the device was resumed for the first time
 */
static void status_info(struct cbt_tracker *t, char *result, unsigned int maxlen)
{
	unsigned int sz = 0;

	if (!t->started) {
		DMEMIT("-");
		return;
	}
	DMEMIT("%pUb %llu %s %llu %u %llu %lld", &t->uuid, t->generation,
	       state_name(cbt_tracker_state(t)), t->epoch, 1U << t->block_shift,
	       t->active->nr_blocks, atomic64_read(&t->active->nr_dirty));
	if (t->frozen)
		DMEMIT(" %llu %lld", t->frozen_epoch, atomic64_read(&t->frozen->nr_dirty));
	else
		DMEMIT(" - 0");
}

static void status_table(struct cbt_target *target, char *result, unsigned int maxlen)
{
	unsigned int sz = 0;

	DMEMIT("%s %s", target->origin->name, target->store ? target->store->name : "-");
	if (target->block_sectors)
		DMEMIT(" 2 block_size %u", target->block_sectors);
}

static void status_ima(struct dm_target *ti, struct cbt_target *target, char *result,
		       unsigned int maxlen)
{
	unsigned int sz = 0;

	DMEMIT_TARGET_NAME_VERSION(ti->type);
	DMEMIT(",origin=%s,store=%s,block_size=%u;", target->origin->name,
	       target->store ? target->store->name : "-", 1U << target->tracker->block_shift);
}

static void cbt_status(struct dm_target *ti, status_type_t type, unsigned int flags, char *result,
		       unsigned int maxlen)
{
	struct cbt_target *target = ti->private;

	cbt_control_lock();
	switch (type) {
	case STATUSTYPE_INFO:
		status_info(target->tracker, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		status_table(target, result, maxlen);
		break;
	case STATUSTYPE_IMA:
		status_ima(ti, target, result, maxlen);
		break;
	}
	cbt_control_unlock();
}

static struct target_type cbt_target_type = {
	.name = "cbt",
	.version = { 1, 0, 0 },
	.features = DM_TARGET_SINGLETON | DM_TARGET_NOWAIT,
	.module = THIS_MODULE,
	.ctr = cbt_ctr,
	.dtr = cbt_dtr,
	.preresume = cbt_preresume,
	.map = cbt_map,
	.end_io = cbt_end_io,
	.status = cbt_status,
	.iterate_devices = cbt_iterate_devices,
};

int cbt_target_init(void)
{
	return dm_register_target(&cbt_target_type);
}

void cbt_target_exit(void)
{
	dm_unregister_target(&cbt_target_type);
}
