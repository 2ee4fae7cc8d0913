// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/tracker_print.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "base/size.h"
#include "lib/devid.h"
#include "lib/output.h"
#include "lib/table.h"
#include "lib/tracker_json.h"

#define SHARE_LEN 32

static const struct table_column label_and_text[] = { { NULL, false }, { NULL, false } };

/* Never rounded to none or to all. */
static const char *share_text(uint64_t part, uint64_t whole, char buf[SHARE_LEN])
{
	double percent = 100.0 * (double)part / (double)whole;

	if (part == 0 || part == whole)
		(void)snprintf(buf, SHARE_LEN, "%s", part ? "100 %" : "0 %");
	else if (percent < 0.01)
		(void)snprintf(buf, SHARE_LEN, "<0.01 %%");
	else if (percent > 99.99)
		(void)snprintf(buf, SHARE_LEN, ">99.99 %%");
	else
		(void)snprintf(buf, SHARE_LEN, "%.2f %%", percent);
	return buf;
}

static int add_line(struct table *t, const char *label, const char *fmt, ...) printf_like(3, 4);
static int add_line(struct table *t, const char *label, const char *fmt, ...)
{
	cleanup_free char *text = NULL;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return table_add(t, (const char *const[]){ label, text });
}

static int print_table(struct table *t, int err, struct failure *f)
{
	if (err < 0)
		return failure_no_memory(f);
	table_print(t, stdout);
	return output_flush(f);
}

/* ---- list ---- */

static int add_tracker(struct table *t, const struct tracker_info *info)
{
	char uuid[UUID_TEXT_LEN + 1];
	char size[SIZE_TEXT_LEN];
	char block[SIZE_TEXT_LEN];
	char dirty[SIZE_TEXT_LEN];
	char frozen[SIZE_TEXT_LEN] = "-";

	if (info->has_frozen)
		(void)size_format(tracker_bytes(info, info->dirty_frozen), frozen);
	return table_add(t, (const char *const[]){
				    *info->name ? info->name : "-",
				    size_format(info->size_sectors << 9, size),
				    size_format((uint64_t)info->block_sectors << 9, block),
				    size_format(tracker_bytes(info, info->dirty_active), dirty),
				    frozen,
				    tracker_state_name(info->state),
				    uuid_format(&info->uuid, uuid),
			    });
}

int tracker_print_list(const struct tracker_info *infos, size_t nr, struct failure *f)
{
	static const struct table_column columns[] = {
		{ "NAME", false },   { "SIZE", true },	 { "BLOCK", true }, { "DIRTY", true },
		{ "FROZEN", true }, { "STATE", false }, { "UUID", false },
	};
	_cleanup_(table_free_at) struct table *t = NULL;
	int err = table_new(columns, ARRAY_SIZE(columns), &t);

	for (size_t i = 0; i < nr && err == 0; i++)
		err = add_tracker(t, &infos[i]);
	return print_table(t, err, f);
}

/* ---- one tracker ---- */

static int add_device(struct table *t, const char *label, dev_t dev)
{
	char path[PATH_MAX];
	struct failure unknown;

	return add_line(t, label, "%s",
			devid_path(dev, path, &unknown) == 0 ? path : unknown.text);
}

static int add_frozen(struct table *t, const struct tracker_info *info)
{
	char uuid[UUID_TEXT_LEN + 1];
	char size[SIZE_TEXT_LEN];

	if (!info->has_frozen)
		return add_line(t, "Frozen", "nothing");
	return add_line(t, "Frozen", "epoch %" PRIu64 ", %s, %s in %" PRIu64 " blocks",
			info->frozen_epoch, uuid_format(&info->frozen_uuid, uuid),
			size_format(tracker_bytes(info, info->dirty_frozen), size),
			info->dirty_frozen);
}

static int add_dirty(struct table *t, const struct tracker_info *info)
{
	uint64_t bytes = tracker_bytes(info, info->dirty_active);
	char size[SIZE_TEXT_LEN];
	char share[SHARE_LEN];

	return add_line(t, "Dirty", "%s in %" PRIu64 " blocks, %s of the disk",
			size_format(bytes, size), info->dirty_active,
			share_text(bytes, info->size_sectors << 9, share));
}

static int add_store(struct table *t, const struct tracker_info *info)
{
	uint64_t regions = info->suspect_active + info->suspect_frozen;
	char size[SIZE_TEXT_LEN];

	if (add_device(t, "Store", info->store_dev) ||
	    add_line(t, "Suspect", "%s in %" PRIu64 " regions",
		     size_format(regions * info->region_sectors << 9, size), regions) ||
	    add_line(t, "Diff area", "%" PRIu64 " of %" PRIu64 " blocks in use", info->diff_used,
		     info->diff_slots))
		return -ENOMEM;
	return *info->failure ? add_line(t, "Failure", "%s", info->failure) : 0;
}

static int add_details(struct table *t, const struct tracker_info *info)
{
	char uuid[UUID_TEXT_LEN + 1];
	char size[SIZE_TEXT_LEN];

	if (add_line(t, "Name", "%s", *info->name ? info->name : "-") ||
	    add_line(t, "UUID", "%s", uuid_format(&info->uuid, uuid)) ||
	    add_device(t, "Device", info->dev) || add_device(t, "Origin", info->origin_dev) ||
	    add_line(t, "State", "%s", tracker_state_name(info->state)) ||
	    add_line(t, "Size", "%s, %" PRIu64 " sectors",
		     size_format(info->size_sectors << 9, size), info->size_sectors) ||
	    add_line(t, "Block", "%s", size_format((uint64_t)info->block_sectors << 9, size)) ||
	    add_line(t, "Generation", "%" PRIu64, info->generation) ||
	    add_line(t, "Epoch", "%" PRIu64, info->epoch) || add_dirty(t, info) ||
	    add_frozen(t, info) || (*info->broken && add_line(t, "Broken", "%s", info->broken)))
		return -ENOMEM;
	if (add_line(t, "Base", "%s",
		     info->has_base ? uuid_format(&info->base_uuid, uuid) : "none yet"))
		return -ENOMEM;
	return info->has_store ? add_store(t, info) : 0;
}

int tracker_print(const struct tracker_info *info, struct failure *f)
{
	_cleanup_(table_free_at) struct table *t = NULL;
	int err = table_new(label_and_text, ARRAY_SIZE(label_and_text), &t);

	if (!err)
		err = add_details(t, info);
	return print_table(t, err, f);
}

/* ---- totals ---- */

int tracker_print_totals(const struct tracker_info *info, uint64_t nr_ranges, uint64_t nr_blocks,
			 uint64_t bytes, struct failure *f)
{
	_cleanup_(table_free_at) struct table *t = NULL;
	uint64_t disk_bytes = info->size_sectors << 9;
	int err = table_new(label_and_text, ARRAY_SIZE(label_and_text), &t);
	char size[SIZE_TEXT_LEN];
	char share[SHARE_LEN];

	if (!err)
		err = add_line(t, "Ranges", "%" PRIu64, nr_ranges);
	if (!err)
		err = add_line(t, "Blocks", "%" PRIu64, nr_blocks);
	if (!err)
		err = add_line(t, "Size", "%s, %" PRIu64 " bytes", size_format(bytes, size), bytes);
	if (!err)
		err = add_line(t, "Share", "%s of %s", share_text(bytes, disk_bytes, share),
			       size_format(disk_bytes, size));
	return print_table(t, err, f);
}
