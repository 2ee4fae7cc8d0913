// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/cbt_store_print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "base/size.h"
#include "base/text.h"
#include "base/uuid.h"
#include "lib/json.h"
#include "lib/output.h"
#include "lib/table.h"

#define FLAGS_TEXT_LEN 64

static const struct table_column label_and_text[] = { { NULL, false }, { NULL, false } };

static const struct {
	uint32_t flag;
	const char *name;
} flag_names[] = {
	{ CBT_DISK_CLEAN, "clean" },
	{ CBT_DISK_LOST, "lost" },
	{ CBT_DISK_BYPASSED, "bypassed" },
};

static struct uuid uuid_from(const u8 bytes[16])
{
	struct uuid uuid;

	memcpy(uuid.b, bytes, sizeof(uuid.b));
	return uuid;
}

/* Bytes of @nr units of @sectors, at most the disk's. */
static uint64_t bytes_of(const struct cbt_geometry *geo, uint64_t nr, uint32_t sectors)
{
	if (nr > geo->size_sectors / sectors)
		return geo->size_sectors << 9;
	return nr * sectors << 9;
}

static uint64_t capacity_of(const struct cbt_geometry *geo)
{
	return geo->nr_leaves * CBT_DISK_LEAF_BLOCKS * geo->block_sectors << 9;
}

static const char *flags_text(uint32_t flags, char buf[FLAGS_TEXT_LEN])
{
	size_t len = 0;

	(void)snprintf(buf, FLAGS_TEXT_LEN, "%s", flags ? "" : "in use, or not stopped in order");
	for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++)
		if (flags & flag_names[i].flag)
			len += (size_t)snprintf(buf + len, FLAGS_TEXT_LEN - len, "%s%s",
						len ? ", " : "", flag_names[i].name);
	return buf;
}

static void label_text(const struct cbt_super *super, char buf[CBT_DISK_LABEL_LEN + 1])
{
	const char *label = (const char *)super->label;

	text_make_printable(label, strnlen(label, CBT_DISK_LABEL_LEN), buf, CBT_DISK_LABEL_LEN + 1);
}

/* ---- JSON ---- */

static void add_uuid(struct json_object *o, const char *name, const u8 bytes[16])
{
	struct uuid uuid = uuid_from(bytes);

	json_add_uuid(o, name, &uuid);
}

static struct json_object *outcomes_json(const struct cbt_super *super)
{
	struct json_object *array = json_object_new_array();

	for (uint32_t i = 0; i < CBT_DISK_OUTCOMES; i++) {
		/* The oldest first. */
		const struct cbt_super_outcome *o =
			&super->outcomes[(super->nr_outcomes + i) % CBT_DISK_OUTCOMES];
		struct json_object *item;

		if (!o->result)
			continue;
		item = json_object_new_object();
		json_add_uint(item, "epoch", o->epoch);
		add_uuid(item, "uuid", o->epoch_uuid);
		json_add_text(item, "result",
			      o->result == CBT_DISK_COMMITTED ? "committed" : "aborted");
		(void)json_object_array_add(array, item);
	}
	return array;
}

static struct json_object *flags_json(uint32_t flags)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++)
		if (flags & flag_names[i].flag)
			(void)json_object_array_add(array,
						    json_object_new_string(flag_names[i].name));
	return array;
}

static struct json_object *frozen_json(const struct cbt_super *super)
{
	struct json_object *frozen;

	if (!super->frozen_epoch)
		return NULL;
	frozen = json_object_new_object();
	json_add_uint(frozen, "epoch", super->frozen_epoch);
	add_uuid(frozen, "uuid", super->frozen_uuid);
	return frozen;
}

static struct json_object *super_json(const struct cbt_super *super)
{
	struct json_object *o = json_object_new_object();
	const struct cbt_geometry *geo = &super->geo;
	char label[CBT_DISK_LABEL_LEN + 1];

	add_uuid(o, "uuid", super->id.uuid);
	json_add_uint(o, "generation", super->generation);
	json_add_uint(o, "lineage", super->id.lineage);
	json_add_uint(o, "sequence", super->sequence);
	(void)json_object_object_add(o, "flags", flags_json(super->flags));
	json_add_uint(o, "size_bytes", geo->size_sectors << 9);
	json_add_uint(o, "block_bytes", (uint64_t)geo->block_sectors << 9);
	json_add_uint(o, "region_bytes", (uint64_t)geo->region_sectors << 9);
	json_add_uint(o, "capacity_bytes", capacity_of(geo));
	json_add_uint(o, "store_bytes", geo->store_blocks * CBT_DISK_BLOCK);
	json_add_uint(o, "log_bytes", 2 * geo->log_half_blocks * CBT_DISK_BLOCK);
	json_add_uint(o, "diff_slots", geo->nr_diff_slots);
	json_add_uint(o, "epoch", super->epoch);
	json_add_uint(o, "committed", super->committed);
	json_add_uint(o, "log_sequence", super->log_sequence);
	(void)json_object_object_add(o, "frozen", frozen_json(super));
	add_uuid(o, "base", super->base_uuid);
	if (super->fingerprint_seed)
		json_add_uint(o, "fingerprint", super->fingerprint);
	else
		(void)json_object_object_add(o, "fingerprint", NULL);
	(void)json_object_object_add(o, "outcomes", outcomes_json(super));
	label_text(super, label);
	json_add_text(o, "label", label);
	return o;
}

static struct json_object *slots_json(const struct cbt_store_report *report)
{
	struct json_object *array = json_object_new_array();

	for (uint32_t i = 0; i < CBT_DISK_SUPER_SLOTS; i++)
		(void)json_object_array_add(
			array, report->slots[i].error ?
				       NULL :
				       json_object_new_uint64(report->slots[i].sequence));
	return array;
}

static struct json_object *amount_json(const char *unit, uint64_t nr, uint64_t bytes)
{
	struct json_object *o = json_object_new_object();

	json_add_uint(o, unit, nr);
	json_add_uint(o, "bytes", bytes);
	return o;
}

static int print_json(const struct cbt_store_report *r, struct failure *f)
{
	cleanup_json struct json_object *o = output_document();
	const struct cbt_geometry *geo = &r->super.geo;
	const char *problem = cbt_store_problem(r);

	(void)json_object_object_add(o, "store", super_json(&r->super));
	(void)json_object_object_add(o, "slots", slots_json(r));
	(void)json_object_object_add(
		o, "dirty",
		amount_json("blocks", r->nr_dirty, bytes_of(geo, r->nr_dirty, geo->block_sectors)));
	(void)json_object_object_add(o, "suspect",
				     amount_json("regions", r->nr_suspect_regions,
						 bytes_of(geo, r->nr_suspect_regions,
							  geo->region_sectors)));
	json_add_uint(o, "records", r->nr_records);
	json_add_uint(o, "log_blocks", r->nr_log_live);
	json_add_uint(o, "torn_log_blocks", r->nr_log_torn);
	json_add_uint(o, "damaged_blocks", r->nr_damaged);
	if (problem)
		json_add_text(o, "problem", problem);
	else
		(void)json_object_object_add(o, "problem", NULL);
	return output_print(o, f);
}

static int print_plan_json(const struct cbt_store_plan *plan, struct failure *f)
{
	cleanup_json struct json_object *o = output_document();

	json_add_uint(o, "disk_bytes", plan->disk);
	json_add_uint(o, "block_bytes", (uint64_t)plan->geo.block_sectors << 9);
	json_add_uint(o, "region_bytes", (uint64_t)plan->geo.region_sectors << 9);
	json_add_uint(o, "capacity_bytes", capacity_of(&plan->geo));
	json_add_uint(o, "log_bytes", plan->log);
	json_add_uint(o, "map_bytes", plan->map);
	json_add_uint(o, "least_bytes", plan->least);
	json_add_uint(o, "diff_bytes", plan->diff);
	json_add_uint(o, "total_bytes", plan->total);
	return output_print(o, f);
}

/* ---- tables ---- */

static int add_line(struct table *t, const char *label, const char *fmt, ...) printf_like(3, 4);
static int add_line(struct table *t, const char *label, const char *fmt, ...)
{
	char text[CBT_DISK_LABEL_LEN + 128];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return table_add(t, (const char *const[]){ label, text });
}

static int add_bytes(struct table *t, const char *label, uint64_t bytes)
{
	char size[SIZE_TEXT_LEN];

	return add_line(t, label, "%s, %" PRIu64 " bytes", size_format(bytes, size), bytes);
}

static int print_table(struct table *t, int err, struct failure *f)
{
	if (err < 0)
		return failure_no_memory(f);
	table_print(t, stdout);
	return output_flush(f);
}

static int add_plan(struct table *t, const struct cbt_store_plan *plan)
{
	if (add_bytes(t, "Disk", plan->disk) ||
	    add_bytes(t, "Capacity", capacity_of(&plan->geo)) || add_bytes(t, "Log", plan->log) ||
	    add_bytes(t, "Map", plan->map) || add_bytes(t, "Least", plan->least) ||
	    add_bytes(t, "Diff area", plan->diff))
		return -ENOMEM;
	return add_bytes(t, "Total", plan->total);
}

int cbt_store_print_plan(const struct cbt_store_plan *plan, bool json, struct failure *f)
{
	_cleanup_(table_free_at) struct table *t = NULL;
	int err;

	if (json)
		return print_plan_json(plan, f);
	err = table_new(label_and_text, ARRAY_SIZE(label_and_text), &t);
	return print_table(t, err ? err : add_plan(t, plan), f);
}

static int add_epoch(struct table *t, const char *label, uint64_t number, const u8 bytes[16])
{
	struct uuid uuid = uuid_from(bytes);
	char text[UUID_TEXT_LEN + 1];

	if (uuid_is_nil(&uuid))
		return add_line(t, label, "none");
	if (!number)
		return add_line(t, label, "%s", uuid_format(&uuid, text));
	return add_line(t, label, "epoch %" PRIu64 ", %s", number, uuid_format(&uuid, text));
}

static int add_super(struct table *t, const struct cbt_super *s)
{
	char label[CBT_DISK_LABEL_LEN + 1];

	label_text(s, label);
	if (add_line(t, "Generation", "%" PRIu64 " of lineage %" PRIu64, s->generation,
		     s->id.lineage) ||
	    add_line(t, "Sequence", "%" PRIu64, s->sequence) ||
	    add_bytes(t, "Block", (uint64_t)s->geo.block_sectors << 9) ||
	    add_bytes(t, "Region", (uint64_t)s->geo.region_sectors << 9) ||
	    add_bytes(t, "Capacity", capacity_of(&s->geo)) ||
	    add_bytes(t, "Store", s->geo.store_blocks * CBT_DISK_BLOCK) ||
	    add_bytes(t, "Log", 2 * s->geo.log_half_blocks * CBT_DISK_BLOCK) ||
	    add_line(t, "Diff slots", "%" PRIu64, s->geo.nr_diff_slots) ||
	    add_line(t, "Epoch", "%" PRIu64 ", committed up to %" PRIu64, s->epoch, s->committed) ||
	    add_line(t, "Log sequence", "%" PRIu64, s->log_sequence) ||
	    add_epoch(t, "Frozen", s->frozen_epoch, s->frozen_uuid) ||
	    add_epoch(t, "Base", 0, s->base_uuid))
		return -ENOMEM;
	return add_line(t, "Label", "%s", *label ? label : "none");
}

static int add_outcomes(struct table *t, const struct cbt_super *s)
{
	int err = 0;

	for (uint32_t i = 0; i < CBT_DISK_OUTCOMES && !err; i++) {
		const struct cbt_super_outcome *o =
			&s->outcomes[(s->nr_outcomes + i) % CBT_DISK_OUTCOMES];

		if (o->result)
			err = add_epoch(t,
					o->result == CBT_DISK_COMMITTED ? "Committed" : "Aborted",
					o->epoch, o->epoch_uuid);
	}
	return err;
}

static int add_slots(struct table *t, const struct cbt_store_report *r)
{
	int err = 0;

	for (uint32_t i = 0; i < CBT_DISK_SUPER_SLOTS && !err; i++) {
		const struct cbt_store_slot *slot = &r->slots[i];
		const char *label = i ? "Slot 1" : "Slot 0";

		err = slot->error ? add_line(t, label, "%s", slot->why) :
				    add_line(t, label, "sequence %" PRIu64, slot->sequence);
	}
	return err;
}

static int add_totals(struct table *t, const struct cbt_store_report *r)
{
	const struct cbt_geometry *geo = &r->super.geo;
	const char *problem = cbt_store_problem(r);
	char size[SIZE_TEXT_LEN];

	if (add_line(t, "Dirty", "%s in %" PRIu64 " blocks",
		     size_format(bytes_of(geo, r->nr_dirty, geo->block_sectors), size),
		     r->nr_dirty) ||
	    add_line(t, "Suspect", "%s in %" PRIu64 " regions",
		     size_format(bytes_of(geo, r->nr_suspect_regions, geo->region_sectors), size),
		     r->nr_suspect_regions) ||
	    add_line(t, "In the log",
		     "%" PRIu64 " records in %" PRIu64 " blocks; %" PRIu64 " not finished",
		     r->nr_records, r->nr_log_live, r->nr_log_torn) ||
	    add_line(t, "Damaged", "%" PRIu64 " blocks of the map", r->nr_damaged))
		return -ENOMEM;
	return add_line(t, "Result", "%s", problem ? problem : "sound");
}

static int add_report(struct table *t, const struct cbt_store_report *r, bool all)
{
	struct uuid uuid = uuid_from(r->super.id.uuid);
	char flags[FLAGS_TEXT_LEN];
	char text[UUID_TEXT_LEN + 1];

	if (add_line(t, "UUID", "%s", uuid_format(&uuid, text)) ||
	    add_line(t, "State", "%s", flags_text(r->super.flags, flags)) ||
	    add_bytes(t, "Disk", r->super.geo.size_sectors << 9))
		return -ENOMEM;
	if (all && (add_super(t, &r->super) || add_outcomes(t, &r->super)))
		return -ENOMEM;
	if (add_slots(t, r))
		return -ENOMEM;
	return add_totals(t, r);
}

int cbt_store_print_report(const struct cbt_store_report *report, bool all, bool json,
			   struct failure *f)
{
	_cleanup_(table_free_at) struct table *t = NULL;
	int err;

	if (json)
		return print_json(report, f);
	err = table_new(label_and_text, ARRAY_SIZE(label_and_text), &t);
	return print_table(t, err ? err : add_report(t, report, all), f);
}

/* ---- extents ---- */

static void print_extent(const struct cbt_geometry *geo, bool in_bytes, uint64_t start,
			 uint64_t end)
{
	if (in_bytes) {
		start = bytes_of(geo, start, geo->block_sectors);
		end = bytes_of(geo, end, geo->block_sectors);
	}
	printf("%" PRIu64 " %" PRIu64 "\n", start, end - start);
}

int cbt_store_print_extents(const struct cbt_store_report *report, bool in_bytes,
			    struct failure *f)
{
	const struct cbt_map *map = &report->dirty;
	uint64_t at = 0;

	while (at < map->nr_blocks) {
		uint64_t end;

		if (cbt_map_leaf_is_clean(map, at >> CBT_LEAF_SHIFT)) {
			at = ((at >> CBT_LEAF_SHIFT) + 1) << CBT_LEAF_SHIFT;
			continue;
		}
		if (!cbt_map_test(map, at)) {
			at++;
			continue;
		}
		for (end = at + 1; end < map->nr_blocks && cbt_map_test(map, end); end++)
			;
		print_extent(&report->super.geo, in_bytes, at, end);
		at = end;
	}
	return output_flush(f);
}
