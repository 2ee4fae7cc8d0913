// SPDX-License-Identifier: GPL-2.0-only
/*
 * A read is cut into runs that one source has, and goes to that source, below the tracker: the
 * origin, the diff area, or a buffer in RAM. Whether what came back is still what was frozen is
 * asked again when it is done.
 *
 * The image holds origin and store open by itself, and of the tracker only what knows where blocks
 * are, so the tracker can be removed under it; see cow.h. map() never sleeps or waits.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/kdev_t.h>
#include <linux/module.h>

#include "image.h"
#include "track.h"

#define DM_MSG_PREFIX "cbt-image"

/* Of one bio: longer runs are searched under a lock, with interrupts off. */
#define RUN_SECTORS_MAX	2048

struct image {
	uuid_t tracker;
	uuid_t epoch;
	u64 epoch_number;
	struct cbt_cow *cow;
	u32 block_shift;
	struct dm_dev *origin;
	struct dm_dev *diff;
};

/*--------------------------------------------------------------------------------------------------
 * Constructor
 */

static int open_device(struct dm_target *ti, dev_t dev, struct dm_dev **ret)
{
	char path[24];
	int error;

	snprintf(path, sizeof(path), "%u:%u", MAJOR(dev), MINOR(dev));
	error = dm_get_device(ti, path, dm_table_get_mode(ti->table), ret);
	if (error)
		ti->error = "Cannot open the tracker's origin or store";
	return error;
}

static int get_epoch(struct dm_target *ti, struct image *image, char **argv)
{
	const char *why;

	if (uuid_parse(argv[0], &image->tracker) || uuid_parse(argv[1], &image->epoch)) {
		ti->error = "A UUID is malformed";
		return -EINVAL;
	}
	image->cow = cbt_tracker_image(&image->tracker, &image->epoch, &image->epoch_number, &why);
	if (IS_ERR(image->cow)) {
		int error = PTR_ERR(image->cow);

		image->cow = NULL;
		ti->error = (char *)why;
		return error;
	}
	if (ti->begin || ti->len != READ_ONCE(cbt_cow_params(image->cow)->size_sectors)) {
		ti->error = "The table must cover the whole tracker";
		return -EINVAL;
	}
	return 0;
}

/* Tolerates a half-built image. */
static void image_free(struct dm_target *ti, struct image *image)
{
	if (image->diff)
		dm_put_device(ti, image->diff);
	if (image->origin)
		dm_put_device(ti, image->origin);
	cbt_cow_put(image->cow);
	kfree(image);
}

static int image_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct image *image;
	int error;

	if (argc != 2) {
		ti->error = "Usage: <tracker uuid> <epoch uuid>";
		return -EINVAL;
	}
	image = kzalloc(sizeof(*image), GFP_KERNEL);
	if (!image) {
		ti->error = "Out of memory";
		return -ENOMEM;
	}
	error = get_epoch(ti, image, argv);
	if (!error)
		error = open_device(ti, cbt_cow_params(image->cow)->origin_dev, &image->origin);
	if (!error)
		error = open_device(ti, cbt_cow_params(image->cow)->diff_dev, &image->diff);
	if (error) {
		image_free(ti, image);
		return error;
	}
	image->block_shift = cbt_cow_params(image->cow)->block_shift;
	ti->per_io_data_size = sizeof(struct cbt_cow_read);
	ti->private = image;
	return 0;
}

static void image_dtr(struct dm_target *ti)
{
	image_free(ti, ti->private);
}

/*--------------------------------------------------------------------------------------------------
 * I/O
 */

static int image_map(struct dm_target *ti, struct bio *bio)
{
	struct cbt_cow_read *read = dm_per_bio_data(bio, sizeof(*read));
	sector_t start = bio->bi_iter.bi_sector, end;
	struct image *image = ti->private;
	u32 shift = image->block_shift;

	read->source = CBT_SOURCE_NONE;
	if (bio_op(bio) != REQ_OP_READ || !bio_sectors(bio))
		return DM_MAPIO_KILL;

	end = min(bio_end_sector(bio), start + RUN_SECTORS_MAX);
	read->epoch = image->epoch_number;
	read->first = start >> shift;
	read->last = (end - 1) >> shift;
	if (!cbt_cow_read_begin(image->cow, read))
		return DM_MAPIO_KILL;
	end = min(end, (sector_t)(read->last + 1) << shift);
	if (end < bio_end_sector(bio))
		dm_accept_partial_bio(bio, end - start);

	switch (read->source) {
	case CBT_SOURCE_ORIGIN:
		bio_set_dev(bio, image->origin->bdev);
		return DM_MAPIO_REMAPPED;
	case CBT_SOURCE_DIFF:
		bio_set_dev(bio, image->diff->bdev);
		bio->bi_iter.bi_sector = cbt_cow_params(image->cow)->diff_start +
					 ((sector_t)read->slot << shift) +
					 (start - ((sector_t)read->first << shift));
		return DM_MAPIO_REMAPPED;
	default:
		cbt_cow_read_buffer(image->cow, read, bio);
		bio_endio(bio);
		return DM_MAPIO_SUBMITTED;
	}
}

static int image_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	struct cbt_cow_read *read = dm_per_bio_data(bio, sizeof(*read));
	struct image *image = ti->private;

	if (read->source != CBT_SOURCE_NONE && !cbt_cow_read_end(image->cow, read) && !*error)
		*error = BLK_STS_IOERR;
	return DM_ENDIO_DONE;
}

static int image_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct image *image = ti->private;
	const struct cbt_cow_params *params = cbt_cow_params(image->cow);
	int rc = fn(ti, image->origin, 0, ti->len, data);

	if (!rc && params->nr_slots)
		rc = fn(ti, image->diff, params->diff_start,
			(sector_t)params->nr_slots << image->block_shift, data);
	return rc;
}

/*--------------------------------------------------------------------------------------------------
 * Status
 */

static void image_status(struct dm_target *ti, status_type_t type, unsigned int flags,
			 char *result, unsigned int maxlen)
{
	struct image *image = ti->private;
	unsigned int sz = 0;

	switch (type) {
	case STATUSTYPE_INFO:
		DMEMIT("%llu %s", image->epoch_number,
		       cbt_cow_state_text(image->cow, image->epoch_number));
		break;
	case STATUSTYPE_TABLE:
		DMEMIT("%pUb %pUb", &image->tracker, &image->epoch);
		break;
	case STATUSTYPE_IMA:
		DMEMIT_TARGET_NAME_VERSION(ti->type);
		DMEMIT(",tracker=%pUb,epoch=%pUb;", &image->tracker, &image->epoch);
		break;
	}
}

static struct target_type image_target_type = {
	.name = "cbt-image",
	.version = { 1, 0, 0 },
	.features = DM_TARGET_SINGLETON | DM_TARGET_NOWAIT,
	.module = THIS_MODULE,
	.ctr = image_ctr,
	.dtr = image_dtr,
	.map = image_map,
	.end_io = image_end_io,
	.status = image_status,
	.iterate_devices = image_iterate_devices,
};

int cbt_image_init(void)
{
	return dm_register_target(&image_target_type);
}

void cbt_image_exit(void)
{
	dm_unregister_target(&image_target_type);
}
