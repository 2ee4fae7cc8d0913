// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/tracker_json.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/text.h"
#include "lib/devid.h"

const char *tracker_state_name(uint32_t state)
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
	default:
		return "unknown";
	}
}

uint64_t tracker_bytes(const struct tracker_info *info, uint64_t blocks)
{
	uint64_t whole = info->size_sectors / info->block_sectors;

	return (blocks > whole ? info->size_sectors : blocks * info->block_sectors) << 9;
}

static void add_null(struct json_object *o, const char *member)
{
	(void)json_object_object_add(o, member, NULL);
}

/* JSON is UTF-8; device-mapper lets a name hold any byte. */
static void add_name(struct json_object *o, const char *name)
{
	char text[CBT_NAME_LEN + 1];

	text_make_printable(name, strlen(name), text, sizeof(text));
	if (*name)
		json_add_text(o, "name", text);
	else
		add_null(o, "name");
}

static void add_device(struct json_object *o, const char *member, const char *path_member,
		       dev_t dev)
{
	char number[32];
	char path[PATH_MAX];

	(void)snprintf(number, sizeof(number), "%u:%u", major(dev), minor(dev));
	json_add_text(o, member, number);
	if (devid_path(dev, path, NULL) == 0)
		json_add_text(o, path_member, path);
	else
		add_null(o, path_member);
}

static void add_blocks(struct json_object *o, const struct tracker_info *info, uint64_t blocks)
{
	json_add_uint(o, "blocks", blocks);
	json_add_uint(o, "bytes", tracker_bytes(info, blocks));
}

static void add_reason(struct json_object *o, const char *member, const char *reason)
{
	if (*reason)
		json_add_text(o, member, reason);
	else
		add_null(o, member);
}

static struct json_object *frozen_json(const struct tracker_info *info)
{
	struct json_object *frozen;

	if (!info->has_frozen)
		return NULL;
	frozen = json_object_new_object();
	json_add_uint(frozen, "epoch", info->frozen_epoch);
	json_add_uuid(frozen, "uuid", &info->frozen_uuid);
	add_blocks(frozen, info, info->dirty_frozen);
	add_reason(frozen, "broken", info->broken);
	return frozen;
}

static void add_suspects(struct json_object *o, const char *member,
			 const struct tracker_info *info, uint64_t regions)
{
	uint64_t blocks = regions * (info->region_sectors / info->block_sectors);
	struct json_object *suspects = json_object_new_object();

	json_add_uint(suspects, "regions", regions);
	json_add_uint(suspects, "bytes", tracker_bytes(info, blocks));
	(void)json_object_object_add(o, member, suspects);
}

static struct json_object *store_json(const struct tracker_info *info)
{
	struct json_object *store;

	if (!info->has_store)
		return NULL;
	store = json_object_new_object();
	add_device(store, "device", "device_path", info->store_dev);
	json_add_uint(store, "region_bytes", (uint64_t)info->region_sectors << 9);
	add_suspects(store, "suspect", info, info->suspect_active);
	add_suspects(store, "suspect_frozen", info, info->suspect_frozen);
	json_add_uint(store, "diff_slots", info->diff_slots);
	json_add_uint(store, "diff_used", info->diff_used);
	add_reason(store, "failure", info->failure);
	return store;
}

struct json_object *tracker_json(const struct tracker_info *info)
{
	struct json_object *o = json_object_new_object();
	struct json_object *dirty = json_object_new_object();

	add_name(o, info->name);
	json_add_uuid(o, "uuid", &info->uuid);
	add_device(o, "device", "device_path", info->dev);
	add_device(o, "origin", "origin_path", info->origin_dev);
	json_add_text(o, "state", tracker_state_name(info->state));
	json_add_uint(o, "generation", info->generation);
	json_add_uint(o, "epoch", info->epoch);
	json_add_uint(o, "size_bytes", info->size_sectors << 9);
	json_add_uint(o, "block_bytes", (uint64_t)info->block_sectors << 9);
	add_blocks(dirty, info, info->dirty_active);
	(void)json_object_object_add(o, "dirty", dirty);
	(void)json_object_object_add(o, "frozen", frozen_json(info));
	if (info->has_base)
		json_add_uuid(o, "base", &info->base_uuid);
	else
		add_null(o, "base");
	(void)json_object_object_add(o, "store", store_json(info));
	return o;
}

struct json_object *tracker_json_array(const struct tracker_info *infos, size_t nr)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < nr; i++)
		(void)json_object_array_add(array, tracker_json(&infos[i]));
	return array;
}
