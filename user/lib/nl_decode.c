// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/nl_decode.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

/* An attribute of fixed length and the member that it is copied into. */
struct field {
	size_t offset;
	size_t bytes; /* 0: not such an attribute */
	bool identity; /* comes with a map, too */
	bool optional;
};

#define FIELD(member, ...)                                            \
	{                                                             \
		.offset = offsetof(struct tracker_info, member),      \
		.bytes = sizeof(((struct tracker_info *)0)->member),  \
		__VA_ARGS__                                           \
	}

static const struct field fields[CBT_TRACKER_A_MAX + 1] = {
	[CBT_TRACKER_A_UUID] = FIELD(uuid, .identity = true),
	[CBT_TRACKER_A_DEV] = FIELD(dev),
	[CBT_TRACKER_A_ORIGIN_DEV] = FIELD(origin_dev),
	[CBT_TRACKER_A_GENERATION] = FIELD(generation, .identity = true),
	[CBT_TRACKER_A_EPOCH] = FIELD(epoch, .identity = true),
	[CBT_TRACKER_A_SIZE_SECTORS] = FIELD(size_sectors, .identity = true),
	[CBT_TRACKER_A_BLOCK_SECTORS] = FIELD(block_sectors, .identity = true),
	[CBT_TRACKER_A_STATE] = FIELD(state),
	[CBT_TRACKER_A_DIRTY_ACTIVE] = FIELD(dirty_active),
	[CBT_TRACKER_A_DIRTY_FROZEN] = FIELD(dirty_frozen, .optional = true),
	[CBT_TRACKER_A_FROZEN_EPOCH] = FIELD(frozen_epoch, .optional = true),
	[CBT_TRACKER_A_FROZEN_UUID] = FIELD(frozen_uuid, .optional = true),
	[CBT_TRACKER_A_BASE_UUID] = FIELD(base_uuid, .optional = true),
	[CBT_TRACKER_A_STORE_DEV] = FIELD(store_dev, .optional = true),
	[CBT_TRACKER_A_REGION_SECTORS] = FIELD(region_sectors, .identity = true, .optional = true),
	[CBT_TRACKER_A_SUSPECT_ACTIVE] = FIELD(suspect_active, .optional = true),
	[CBT_TRACKER_A_SUSPECT_FROZEN] = FIELD(suspect_frozen, .optional = true),
	[CBT_TRACKER_A_DIFF_SLOTS] = FIELD(diff_slots, .optional = true),
	[CBT_TRACKER_A_DIFF_USED] = FIELD(diff_used, .optional = true),
};

_Static_assert(sizeof(dev_t) == sizeof(uint64_t) && sizeof(struct uuid) == CBT_UUID_LEN,
	       "members are as long as their attributes");

static int copy_field(const struct field *field, struct nlattr *attr, struct tracker_info *info)
{
	if (!attr)
		return field->optional ? 0 : -EBADMSG;
	if ((size_t)nla_len(attr) != field->bytes)
		return -EBADMSG;
	memcpy((char *)info + field->offset, nla_data(attr), field->bytes);
	return 0;
}

static int copy_fields(struct nlattr **tb, bool identity_only, struct tracker_info *info)
{
	for (int type = 0; type <= CBT_TRACKER_A_MAX; type++) {
		const struct field *field = &fields[type];
		int err;

		if (!field->bytes || (identity_only && !field->identity))
			continue;
		err = copy_field(field, tb[type], info);
		if (err < 0)
			return err;
	}
	return 0;
}

static int copy_name(struct nlattr *attr, struct tracker_info *info)
{
	size_t room;
	size_t len;

	if (!attr)
		return 0;
	room = (size_t)nla_len(attr);
	len = strnlen(nla_data(attr), room);
	if (!len || len == room || len > CBT_NAME_LEN)
		return -EBADMSG;
	memcpy(info->name, nla_data(attr), len);
	return 0;
}

static int copy_reason(struct nlattr *attr, char reason[NL_REASON_LEN + 1])
{
	size_t room;
	size_t len;

	if (!attr)
		return 0;
	room = (size_t)nla_len(attr);
	len = strnlen(nla_data(attr), room);
	if (!len || len == room)
		return -EBADMSG;
	text_make_printable(nla_data(attr), len, reason, NL_REASON_LEN + 1);
	return 0;
}

/* The members of a frozen epoch come together or not at all. */
static int note_optional(struct nlattr **tb, struct tracker_info *info)
{
	info->has_base = tb[CBT_TRACKER_A_BASE_UUID];
	info->has_frozen = tb[CBT_TRACKER_A_FROZEN_UUID];
	if (info->has_frozen != !!tb[CBT_TRACKER_A_FROZEN_EPOCH] ||
	    info->has_frozen != !!tb[CBT_TRACKER_A_DIRTY_FROZEN])
		return -EBADMSG;
	info->has_store = tb[CBT_TRACKER_A_STORE_DEV];
	if (info->has_store != !!tb[CBT_TRACKER_A_SUSPECT_ACTIVE] ||
	    info->has_store != !!tb[CBT_TRACKER_A_REGION_SECTORS] ||
	    copy_reason(tb[CBT_TRACKER_A_BROKEN], info->broken) < 0 ||
	    copy_reason(tb[CBT_TRACKER_A_FAILURE], info->failure) < 0)
		return -EBADMSG;
	return 0;
}

static bool identity_is_sound(const struct tracker_info *info)
{
	uint32_t block = info->block_sectors;
	uint32_t region = info->region_sectors;

	return !uuid_is_nil(&info->uuid) && info->generation && info->epoch &&
	       info->size_sectors && info->size_sectors <= INT64_MAX >> 9 && block >= 8 &&
	       block <= 2048 && (block & (block - 1)) == 0 && (region & (region - 1)) == 0 &&
	       (!region || region >= block);
}

int nl_decode_identity(struct nlattr *nest, struct tracker_info *ret)
{
	struct nlattr *tb[CBT_TRACKER_A_MAX + 1];
	struct tracker_info info = { 0 };

	if (nla_parse_nested(tb, CBT_TRACKER_A_MAX, nest, NULL) < 0)
		return -EBADMSG;
	if (copy_fields(tb, true, &info) < 0 || !identity_is_sound(&info))
		return -EBADMSG;
	*ret = info;
	return 0;
}

int nl_decode_tracker(struct nlattr *nest, struct tracker_info *ret)
{
	struct nlattr *tb[CBT_TRACKER_A_MAX + 1];
	struct tracker_info info = { 0 };

	if (nla_parse_nested(tb, CBT_TRACKER_A_MAX, nest, NULL) < 0)
		return -EBADMSG;
	if (copy_fields(tb, false, &info) < 0 || !identity_is_sound(&info))
		return -EBADMSG;
	if (copy_name(tb[CBT_TRACKER_A_NAME], &info) < 0 || note_optional(tb, &info) < 0)
		return -EBADMSG;
	*ret = info;
	return 0;
}

static int get_u64(struct nlattr *attr, uint64_t *ret)
{
	if (!attr || nla_len(attr) != sizeof(*ret))
		return -EBADMSG;
	memcpy(ret, nla_data(attr), sizeof(*ret));
	return 0;
}

int nl_decode_chunk(struct nlattr *nest, struct chunk *ret)
{
	struct nlattr *tb[CBT_CHUNK_A_MAX + 1];
	struct chunk c = { 0 };

	if (nla_parse_nested(tb, CBT_CHUNK_A_MAX, nest, NULL) < 0)
		return -EBADMSG;
	if (get_u64(tb[CBT_CHUNK_A_START], &c.start) < 0 ||
	    get_u64(tb[CBT_CHUNK_A_BLOCKS], &c.nr_blocks) < 0)
		return -EBADMSG;
	if (tb[CBT_CHUNK_A_RUNS]) {
		c.runs = nla_data(tb[CBT_CHUNK_A_RUNS]);
		c.runs_bytes = (size_t)nla_len(tb[CBT_CHUNK_A_RUNS]);
	}
	if (tb[CBT_CHUNK_A_BITS]) {
		c.bits = nla_data(tb[CBT_CHUNK_A_BITS]);
		c.bits_bytes = (size_t)nla_len(tb[CBT_CHUNK_A_BITS]);
	}
	*ret = c;
	return 0;
}

/* ---- statistics and events ---- */

static int copy_exactly(struct nlattr *attr, void *to, size_t bytes)
{
	if (!attr || (size_t)nla_len(attr) != bytes)
		return -EBADMSG;
	memcpy(to, nla_data(attr), bytes);
	return 0;
}

int nl_decode_stats(struct nlattr *nest, struct tracker_stats *ret)
{
	struct nlattr *tb[CBT_STATS_A_MAX + 1];
	int err = nla_parse_nested(tb, CBT_STATS_A_MAX, nest, NULL) < 0 ? -EBADMSG : 0;

	for (int i = 0; i < NL_NR_COUNTS && !err; i++)
		if (tb[CBT_STATS_A_FIRST_COUNT + i])
			err = get_u64(tb[CBT_STATS_A_FIRST_COUNT + i], &ret->counts[i]);
	for (int i = 0; i < NL_NR_HISTOGRAMS && !err; i++)
		if (tb[CBT_STATS_A_FIRST_HISTOGRAM + i])
			err = copy_exactly(tb[CBT_STATS_A_FIRST_HISTOGRAM + i],
					   &ret->histograms[i], sizeof(ret->histograms[i]));
	return err;
}

static int copy_event_tracker(struct nlattr *nest, struct tracker_event *e)
{
	struct nlattr *tb[CBT_TRACKER_A_MAX + 1];

	if (!nest || nla_parse_nested(tb, CBT_TRACKER_A_MAX, nest, NULL) < 0 ||
	    copy_exactly(tb[CBT_TRACKER_A_UUID], &e->tracker, sizeof(e->tracker)) < 0 ||
	    copy_exactly(tb[CBT_TRACKER_A_DEV], &e->dev, sizeof(e->dev)) < 0 ||
	    copy_exactly(tb[CBT_TRACKER_A_GENERATION], &e->generation, sizeof(e->generation)) < 0 ||
	    copy_exactly(tb[CBT_TRACKER_A_EPOCH], &e->epoch, sizeof(e->epoch)) < 0)
		return -EBADMSG;
	return copy_exactly(tb[CBT_TRACKER_A_STATE], &e->state, sizeof(e->state));
}

int nl_decode_event(struct nlattr *attrs, int bytes, struct tracker_event *ret)
{
	struct nlattr *epoch = nla_find(attrs, bytes, CBT_A_EPOCH_UUID);
	struct tracker_event e = { 0 };

	if (copy_exactly(nla_find(attrs, bytes, CBT_A_EVENT), &e.kind, sizeof(e.kind)) < 0 ||
	    get_u64(nla_find(attrs, bytes, CBT_A_SEQUENCE), &e.sequence) < 0 ||
	    copy_event_tracker(nla_find(attrs, bytes, CBT_A_TRACKER), &e) < 0 ||
	    (epoch && copy_exactly(epoch, &e.epoch_uuid, sizeof(e.epoch_uuid)) < 0) ||
	    copy_reason(nla_find(attrs, bytes, CBT_A_REASON), e.reason) < 0)
		return -EBADMSG;
	*ret = e;
	return 0;
}
