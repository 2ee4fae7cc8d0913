// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/transfer_plan.h"

#include <errno.h>
#include <limits.h>

#include "base/macro.h"
#include "daemon/images.h"
#include "daemon/vm_settings.h"
#include "lib/devid.h"
#include "lib/json.h"

#define MARK_MIN_BYTES (UINT64_C(1) << 20)
#define MARK_MAX_BYTES (UINT64_C(64) << 20)
#define GUESSES_MAX    16384 /* of all disks: with them a plan is half as long as a worker reads */

static struct json_object *plan_new(const struct uuid *vm, const struct uuid *epoch,
				    const struct uuid *base, struct json_object **ret_disks)
{
	struct json_object *plan = json_object_new_object();

	json_add_uint(plan, "version", 1);
	json_add_uuid(plan, "vm", vm);
	json_add_uuid(plan, "epoch", epoch);
	json_add_uuid(plan, "base", base);
	*ret_disks = json_object_new_array();
	(void)json_object_object_add(plan, "disks", *ret_disks);
	return plan;
}

static struct json_object *disk_new(struct json_object *disks, const char *name,
				    uint64_t size_bytes)
{
	struct json_object *disk = json_object_new_object();

	json_add_text(disk, "name", name);
	json_add_uint(disk, "size", size_bytes);
	(void)json_object_array_add(disks, disk);
	return disk;
}

static int plan_text(struct json_object *plan, char **ret, struct failure *f)
{
	char *text = json_text(plan);

	if (!text)
		return failure_no_memory(f);
	*ret = text;
	return 0;
}

static void add_aborted(struct json_object *plan, const struct relationship_record *r)
{
	struct json_object *aborted = json_object_new_array();
	char text[UUID_TEXT_LEN + 1];

	for (size_t i = 0; i < r->nr_aborted; i++)
		(void)json_object_array_add(
			aborted, json_object_new_string(uuid_format(&r->aborted[i], text)));
	(void)json_object_object_add(plan, "aborted", aborted);
}

/* @room: how many more there may be. */
static void add_guessed(struct json_object *source, const struct extent_list *guessed, size_t *room)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < guessed->nr && *room; i++, --*room) {
		const struct extent *e = &guessed->extents[i];

		(void)json_object_array_add(array, json_object_new_int64((int64_t)e->offset));
		(void)json_object_array_add(array, json_object_new_int64((int64_t)e->length));
	}
	(void)json_object_object_add(source, "guessed", array);
}

static bool is_full(const struct relationship_record *r, const bool *all)
{
	bool full = true;

	for (size_t i = 0; i < r->nr_disks; i++)
		full &= all[i];
	return full;
}

int send_plan(const struct relationship_record *r, const struct tracker_info *infos,
	      const bool *all, const bool *compare, const struct extent_list *guessed, uint64_t rate,
	      char **ret, struct failure *f)
{
	size_t room = GUESSES_MAX;
	static const struct uuid nil;
	struct json_object *disks;
	bool full = is_full(r, all);
	cleanup_json struct json_object *plan =
		plan_new(&r->vm, &r->epoch, full ? &nil : &r->base, &disks);

	if (!full)
		add_aborted(plan, r);
	json_add_uint(plan, "rate", rate);
	if (vm_compresses(r))
		(void)json_object_object_add(plan, "compress", json_object_new_boolean(true));
	for (size_t i = 0; i < r->nr_disks; i++) {
		struct json_object *disk =
			disk_new(disks, r->disks[i].name, r->disks[i].size_bytes);
		struct json_object *source = json_object_new_object();
		char path[PATH_MAX];
		int rc = all[i] ? devid_path(infos[i].origin_dev, path, f)
			      : images_source(r, i, &infos[i], path, f);

		if (all[i])
			(void)json_object_object_add(source, "all", json_object_new_boolean(true));
		else
			json_add_text(source, "tracker", infos[i].name);
		if (compare[i])
			(void)json_object_object_add(source, "compare", json_object_new_boolean(true));
		if (!all[i] && guessed && guessed[i].nr)
			add_guessed(source, &guessed[i], &room);
		(void)json_object_object_add(disk, "source", source);
		if (rc)
			return rc;
		json_add_text(disk, "path", path);
	}
	return plan_text(plan, ret, f);
}

/* Marks cost a flush each: sixteen, or more where what is lost between two of them is worth one. */
static uint64_t mark_interval(uint64_t bytes)
{
	uint64_t interval = max_of(bytes / 16, MARK_MIN_BYTES);

	return min_of(interval, MARK_MAX_BYTES);
}

int receive_plan(const struct call *call, const struct uuid *base, int first_fd, bool with_journal,
		 char **ret, struct failure *f)
{
	struct json_object *disks;
	cleanup_json struct json_object *plan =
		plan_new(&call->vm, &call->epoch, base, &disks);

	for (size_t i = 0; i < call->nr_disks; i++) {
		struct json_object *disk =
			disk_new(disks, call->disks[i].name, call->disks[i].size_bytes);

		json_add_uint(disk, "fd", (uint64_t)first_fd + i);
	}
	if (with_journal) {
		struct json_object *journal = json_object_new_object();

		json_add_uint(journal, "fd", (uint64_t)first_fd + call->nr_disks);
		json_add_uint(journal, "mark_interval", mark_interval(call->bytes));
		(void)json_object_object_add(plan, "journal", journal);
	}
	json_add_uint(plan, "covered_fd", (uint64_t)first_fd + call->nr_disks + with_journal);
	return plan_text(plan, ret, f);
}
