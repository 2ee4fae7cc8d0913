// SPDX-License-Identifier: GPL-2.0-or-later
/* Reading a map. Every message repeats whose map it is; chunk checks what the chunks say. */
#include <errno.h>
#include <string.h>

#include "lib/nl_decode.h"
#include "lib/nl_request.h"

struct map_reading {
	const struct nl_map_want *want;
	int fn_error;
	struct tracker_info info; /* as every message repeats it; all zero before the first */
	struct chunk_reader reader;
	struct chunk_reader suspects;
	bool suspects_read; /* all of them: blocks follow */
};

static bool same_map(const struct tracker_info *a, const struct tracker_info *b)
{
	return uuid_equal(&a->uuid, &b->uuid) && a->generation == b->generation &&
	       a->epoch == b->epoch && a->size_sectors == b->size_sectors &&
	       a->block_sectors == b->block_sectors;
}

static uint64_t count_units(const struct tracker_info *info, uint32_t sectors)
{
	return info->size_sectors / sectors + (info->size_sectors % sectors != 0);
}

static void begin_reading(struct map_reading *m, const struct tracker_info *info)
{
	const struct nl_map_want *w = m->want;
	uint32_t blocks = info->region_sectors / info->block_sectors;

	chunk_reader_init(&m->reader, w->start, count_units(info, info->block_sectors), w->fn,
			  w->context);
	if (info->region_sectors)
		chunk_reader_init(&m->suspects, w->start / blocks,
				  count_units(info, info->region_sectors), w->suspect_fn,
				  w->context);
}

static int take_identity(struct map_reading *m, struct nlattr *nest)
{
	struct tracker_info info;

	if (!nest || nl_decode_identity(nest, &info) < 0)
		return -EBADMSG;
	if (!m->info.block_sectors) {
		m->info = info;
		begin_reading(m, &info);
	}
	return same_map(&m->info, &info) ? 0 : -ESTALE;
}

static int end_suspects(struct map_reading *m)
{
	bool any = m->want->suspect_fn && m->info.region_sectors && !m->suspects_read;

	m->suspects_read = true;
	return any ? min_of(chunk_reader_end(&m->suspects), 0) : 0;
}

static int take_chunk(struct map_reading *m, struct nlattr *attr)
{
	bool suspect = nla_type(attr) == CBT_A_SUSPECT;
	struct chunk chunk;
	int err = 0;

	if (nl_decode_chunk(attr, &chunk) < 0 ||
	    (suspect && (m->suspects_read || !m->info.region_sectors)))
		return -EBADMSG;
	if (!suspect)
		err = end_suspects(m);
	if (!err && (!suspect || m->want->suspect_fn))
		err = chunk_read(suspect ? &m->suspects : &m->reader, &chunk);
	if (err < 0 && err != -EBADMSG)
		m->fn_error = err;
	return err;
}

static int take_chunks(struct nlattr *attrs, int bytes, void *context)
{
	struct map_reading *m = context;
	struct nlattr *attr;
	int left;
	int err;

	err = take_identity(m, nla_find(attrs, bytes, CBT_A_TRACKER));
	if (err < 0)
		return err;
	nla_for_each_attr(attr, attrs, bytes, left) {
		if (nla_type(attr) != CBT_A_CHUNK && nla_type(attr) != CBT_A_SUSPECT)
			continue;
		err = take_chunk(m, attr);
		if (err < 0)
			return err;
	}
	return 0;
}

static int put_map_request(struct nl_msg *msg, const struct nl_map_want *w)
{
	if (nla_put_u32(msg, CBT_A_WHICH, w->which) < 0)
		return -ENOMEM;
	if (w->start && nla_put_u64(msg, CBT_A_START, w->start) < 0)
		return -ENOMEM;
	return w->epoch && nl_put_uuid(msg, CBT_A_EPOCH_UUID, w->epoch) < 0 ? -ENOMEM : 0;
}

int nl_map_read(struct nl *nl, const char *tracker, const struct nl_map_want *want,
		struct tracker_info *ret, struct failure *f)
{
	const struct nl_subject about = { "read the map of", &tracker, 1 };
	struct map_reading m = { .want = want };
	cleanup_request struct nl_msg *msg = NULL;
	int err;

	err = nl_request_about(nl, CBT_CMD_MAP_GET, NLM_F_DUMP, 0, &about, &msg, f);
	if (err < 0)
		return err;
	if (put_map_request(msg, want) < 0)
		return nl_explain(f, -ENOMEM, &about, "");
	err = nl_exchange(nl, msg, take_chunks, &m, &about, f);
	if (!err && !m.info.block_sectors)
		err = nl_explain(f, -EBADMSG, &about, "");
	if (!err)
		m.fn_error = err = end_suspects(&m);
	if (!err)
		m.fn_error = err = min_of(chunk_reader_end(&m.reader), 0);
	if (m.fn_error < 0)
		return failure_set(f, code_of_errno(err), err, "gave up reading the map of %s: %s",
				   tracker, strerror(-err));
	if (err < 0)
		return err;
	if (ret)
		*ret = m.info;
	return 0;
}

int nl_map_get(struct nl *nl, const char *tracker, uint32_t which, const struct uuid *epoch,
	       uint64_t start, nl_range_fn fn, void *context, struct tracker_info *ret,
	       struct failure *f)
{
	const struct nl_map_want want = {
		.which = which,
		.epoch = epoch,
		.start = start,
		.fn = fn,
		.context = context,
	};

	return nl_map_read(nl, tracker, &want, ret, f);
}
