// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/cbt_store_check.h"

#include <errno.h>
#include <string.h>

static int cannot_read(const struct cbt_store *store, int err, struct failure *f)
{
	return failure_set(f, code_of_errno(err), err, "store %s cannot be read: %s", store->path,
			   strerror(-err));
}

static int out_of_memory(struct failure *f)
{
	return failure_no_memory(f);
}

static void look_at_slots(struct cbt_store *store, struct cbt_store_report *report, void *buffer)
{
	struct cbt_super super;

	for (uint32_t i = 0; i < CBT_DISK_SUPER_SLOTS; i++) {
		struct cbt_store_slot *slot = &report->slots[i];

		slot->why = "it cannot be read";
		slot->error = cbt_store_read(store, cbt_super_slot(i), 1, buffer);
		if (!slot->error)
			slot->error = cbt_super_decode(&super, buffer, &slot->why);
		if (!slot->error)
			slot->sequence = super.sequence;
	}
}

static bool is_blank(const void *block)
{
	const uint64_t *p = block;

	for (size_t i = 0; i < CBT_DISK_BLOCK / sizeof(*p); i++)
		if (p[i])
			return false;
	return true;
}

/* Not live is one that was retired, or is another tracker's, or whose write did not end. */
static bool is_torn(const struct cbt_disk_log *log)
{
	struct cbt_disk_log copy = *log;

	cbt_log_seal(&copy);
	return !is_blank(log) &&
	       (le32_to_cpu(log->magic) != CBT_DISK_LOG_MAGIC || copy.crc != log->crc);
}

static int look_at_log(struct cbt_store *store, struct cbt_store_report *report, void *buffer)
{
	const struct cbt_super *super = &report->super;
	uint64_t half_blocks = super->geo.log_half_blocks;

	for (uint64_t at = 0; at < 2 * half_blocks; at++) {
		int err = cbt_store_read(store, CBT_DISK_LOG_START + at, 1, buffer);

		if (err < 0)
			return err;
		if (cbt_log_is_live(buffer, super, at >= half_blocks, (u32)(at % half_blocks)))
			report->nr_log_live++;
		else if (is_torn(buffer))
			report->nr_log_torn++;
	}
	return 0;
}

static int recover(struct cbt_store *store, struct cbt_store_report *report, void *buffer,
		   void *index)
{
	struct cbt_recovery r = {
		.super = report->super,
		.dirty = &report->dirty,
		.suspect = &report->suspect,
	};
	int err = cbt_recover(&r, cbt_store_read, store, buffer, index);

	if (err < 0)
		return err;
	report->nr_damaged = r.nr_damaged;
	report->nr_records = r.nr_records;
	report->nr_dirty = (uint64_t)atomic64_read(&report->dirty.nr_dirty);
	report->nr_suspect_regions = (uint64_t)atomic64_read(&report->suspect.nr_dirty);
	return 0;
}

int cbt_store_check(struct cbt_store *store, struct cbt_store_report *ret, struct failure *f)
{
	cleanup_free char *buffer = cbt_store_buffer(CBT_RECOVER_BLOCKS);
	cleanup_free void *index = cbt_store_buffer(1);
	int err;

	memset(ret, 0, sizeof(*ret));
	if (!buffer || !index)
		return out_of_memory(f);
	err = cbt_store_super(store, &ret->super, f);
	if (err < 0)
		return err;
	look_at_slots(store, ret, index);
	ret->device_blocks = store->nr_blocks;
	ret->too_small = store->nr_blocks < ret->super.geo.store_blocks;
	if (ret->too_small)
		return 0;
	if (cbt_map_init(&ret->dirty, cbt_geometry_nr_blocks(&ret->super.geo)) < 0 ||
	    cbt_map_init(&ret->suspect, cbt_geometry_nr_regions(&ret->super.geo)) < 0)
		return out_of_memory(f);
	err = look_at_log(store, ret, index);
	if (!err)
		err = recover(store, ret, buffer, index);
	return err < 0 ? cannot_read(store, err, f) : 0;
}

void cbt_store_report_free(struct cbt_store_report *report)
{
	cbt_map_exit(&report->dirty);
	cbt_map_exit(&report->suspect);
}

const char *cbt_store_problem(const struct cbt_store_report *report)
{
	if (report->too_small)
		return "the device is smaller than the store on it";
	if (report->nr_damaged)
		return "blocks of the map are damaged: what they stand for counts as dirty";
	return NULL;
}
