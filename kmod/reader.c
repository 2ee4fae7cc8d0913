// SPDX-License-Identifier: GPL-2.0-only
/*
 * A read is submitted by a work, for a device that hangs with its queue full holds who submits one more.
 *
 * Who waits for it may be gone when it ends, and have closed the device: the last of both frees the
 * reader. Until then the module stays, and a mapped device too, which would go from under a read that
 * is on its way; other kinds wait for what they were asked.
 */
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/device-mapper.h>
#include <linux/jiffies.h>
#include <linux/highmem.h>
#include <linux/module.h>
#include <linux/refcount.h>
#include <linux/slab.h>

#include "buffer.h"
#include "layout.h"
#include "queue.h"
#include "reader.h"

#define BLOCKS_SIZE (CBT_RECOVER_BLOCKS * CBT_DISK_BLOCK)

struct cbt_reader {
	struct block_device *bdev;
	struct mapped_device *mapped;	/* held; NULL: the device is none */
	unsigned int timeout_ms;
	void *blocks;
	void *block;
	struct work_struct submit;
	struct work_struct release;
	struct bio bio;
	struct bio_vec vecs[CBT_BUFFER_VECS(BLOCKS_SIZE)];
	struct completion answered;
	bool hangs;			/* a read has the buffers and the bio */
	refcount_t users;
};

static struct workqueue_struct *submitters;

static struct mapped_device *mapped_get(dev_t dev)
{
	struct mapped_device *md = dm_get_md(dev);

	/* It is found by its minor number alone. */
	if (md && disk_devt(dm_disk(md)) != dev) {
		dm_put(md);
		md = NULL;
	}
	return md;
}

static void reader_free(struct cbt_reader *r)
{
	vfree(r->blocks);
	vfree(r->block);
	kfree(r);
}

static void reader_release(struct cbt_reader *r)
{
	if (r->hangs)
		bio_uninit(&r->bio);
	if (r->mapped)
		dm_put(r->mapped);
	reader_free(r);
	module_put(THIS_MODULE);
}

static void release_work(struct work_struct *work)
{
	reader_release(container_of(work, struct cbt_reader, release));
}

static void read_submit(struct work_struct *work)
{
	/* The last that is done to it here: it may have ended when this returns. */
	submit_bio(&container_of(work, struct cbt_reader, submit)->bio);
}

struct cbt_reader *cbt_reader_new(struct block_device *bdev, unsigned int timeout_ms)
{
	struct cbt_reader *r = kzalloc(sizeof(*r), GFP_KERNEL);

	if (!r)
		return NULL;
	r->blocks = vmalloc(BLOCKS_SIZE);
	r->block = vmalloc(CBT_DISK_BLOCK);
	if (!r->blocks || !r->block) {
		reader_free(r);
		return NULL;
	}
	r->bdev = bdev;
	r->mapped = mapped_get(bdev->bd_dev);
	r->timeout_ms = timeout_ms;
	INIT_WORK(&r->submit, read_submit);
	INIT_WORK(&r->release, release_work);
	init_completion(&r->answered);
	refcount_set(&r->users, 1);
	__module_get(THIS_MODULE);
	return r;
}

void cbt_reader_put(struct cbt_reader *r)
{
	if (r && refcount_dec_and_test(&r->users))
		reader_release(r);
}

void *cbt_reader_blocks(struct cbt_reader *r)
{
	return r->blocks;
}

void *cbt_reader_block(struct cbt_reader *r)
{
	return r->block;
}

static void read_end(struct bio *bio)
{
	struct cbt_reader *r = bio->bi_private;

	complete(&r->answered);
	/* In an interrupt, perhaps. */
	if (refcount_dec_and_test(&r->users))
		queue_work(submitters, &r->release);
}

/* Nobody waits for it any more. */
static void abandon(struct cbt_reader *r)
{
	r->hangs = true;
	if (cancel_work(&r->submit))
		cbt_reader_put(r);
}

int cbt_reader_read(void *reader, u64 start, u32 nr, void *buffer)
{
	struct cbt_reader *r = reader;
	int error;

	if (r->hangs)
		return -ETIMEDOUT;
	bio_init(&r->bio, r->bdev, r->vecs, ARRAY_SIZE(r->vecs), REQ_OP_READ | REQ_META);
	r->bio.bi_iter.bi_sector = start * CBT_DISK_SECTORS;
	cbt_bio_add_buffer(&r->bio, buffer, nr * CBT_DISK_BLOCK);
	r->bio.bi_private = r;
	r->bio.bi_end_io = read_end;
	reinit_completion(&r->answered);
	refcount_inc(&r->users);
	queue_work(submitters, &r->submit);
	if (!wait_for_completion_timeout(&r->answered, msecs_to_jiffies(r->timeout_ms))) {
		abandon(r);
		return -ETIMEDOUT;
	}
	error = blk_status_to_errno(r->bio.bi_status);
	bio_uninit(&r->bio);
	if (!error)
		cbt_buffer_was_read(buffer, nr * CBT_DISK_BLOCK);
	return error;
}

int cbt_reader_init(void)
{
	submitters = cbt_queue_new("dm-cbt-read");
	return submitters ? 0 : -ENOMEM;
}

void cbt_reader_exit(void)
{
	cbt_queue_free(&submitters);
}
