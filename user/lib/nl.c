// SPDX-License-Identifier: GPL-2.0-or-later
/* The commands of dm_cbt. nl_exchange carries them, nl_decode and chunk read the answers. */
#include "lib/nl.h"

#include <errno.h>
#include <string.h>

#include "lib/nl_decode.h"
#include "lib/nl_exchange.h"

/* The list changes under a dump only while trackers come and go. */
#define LIST_ATTEMPTS 10

#define SELECTOR_BYTES (2 * NLA_HDRLEN + CBT_NAME_LEN + 1)
#define OTHER_BYTES 256 /* all attributes of a request but the selectors */

/* ---- requests ---- */

static int put_uuid(struct nl_msg *msg, int type, const struct uuid *uuid)
{
	return nla_put(msg, type, sizeof(uuid->b), uuid->b);
}

static int put_selector(struct nl_msg *msg, const char *tracker)
{
	struct nlattr *nest = nla_nest_start(msg, CBT_A_TRACKER);
	struct uuid uuid;
	int err;

	if (!nest)
		return -ENOMEM;
	if (uuid_parse(tracker, &uuid) == 0)
		err = put_uuid(msg, CBT_TRACKER_A_UUID, &uuid);
	else
		err = nla_put_string(msg, CBT_TRACKER_A_NAME, tracker);
	return err < 0 || nla_nest_end(msg, nest) < 0 ? -ENOMEM : 0;
}

/** new_request - @command with the trackers that it is @about. */
static int new_request(struct nl *nl, uint8_t command, int flags, const struct nl_subject *about,
		       struct nl_msg **ret, struct failure *f)
{
	cleanup_request struct nl_msg *msg = NULL;
	int err;

	for (size_t i = 0; i < about->nr; i++)
		if (!*about->trackers[i] || strlen(about->trackers[i]) > CBT_NAME_LEN)
			return nl_explain(f, -ENODEV, about,
					  "a tracker's name has 1 to 127 characters");
	err = nl_request_new(nl, command, flags, OTHER_BYTES + about->nr * SELECTOR_BYTES, about,
			     &msg, f);
	if (err < 0)
		return err;
	for (size_t i = 0; i < about->nr; i++) {
		err = put_selector(msg, about->trackers[i]);
		if (err < 0)
			return nl_explain(f, err, about, "");
	}
	*ret = steal_ptr(msg);
	return 0;
}

/* ---- commands that answer with states ---- */

struct states {
	struct tracker_info *infos;
	size_t nr;
	size_t room;
};

static void free_states(struct states *s)
{
	free(s->infos);
}

static int add_state(struct states *s, struct nlattr *nest)
{
	int err;

	if (s->nr == s->room) {
		size_t room = s->room ? 2 * s->room : 4;
		struct tracker_info *infos = reallocarray(s->infos, room, sizeof(*infos));

		if (!infos)
			return -ENOMEM;
		s->infos = infos;
		s->room = room;
	}
	err = nl_decode_tracker(nest, &s->infos[s->nr]);
	if (!err)
		s->nr++;
	return err;
}

static int take_states(struct nlattr *attrs, int bytes, void *context)
{
	struct nlattr *attr;
	int left;

	nla_for_each_attr(attr, attrs, bytes, left) {
		int err;

		if (nla_type(attr) != CBT_A_TRACKER)
			continue;
		err = add_state(context, attr);
		if (err < 0)
			return err;
	}
	return 0;
}

/** ask_states - one state comes back for each tracker, in their order. */
static int ask_states(struct nl *nl, uint8_t command, const struct nl_subject *about,
		      const struct uuid *epoch, struct tracker_info *ret, struct failure *f)
{
	_cleanup_(free_states) struct states states = { 0 };
	cleanup_request struct nl_msg *msg = NULL;
	int err;

	if (!about->nr || about->nr > CBT_TRACKERS_MAX)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "cannot %s %zu trackers in one instant: name 1 to %d",
				   about->verb, about->nr, CBT_TRACKERS_MAX);
	err = new_request(nl, command, 0, about, &msg, f);
	if (err < 0)
		return err;
	if (epoch && put_uuid(msg, CBT_A_EPOCH_UUID, epoch) < 0)
		return nl_explain(f, -ENOMEM, about, "");
	err = nl_exchange(nl, msg, take_states, &states, about, f);
	if (err < 0)
		return err;
	if (states.nr != about->nr)
		return nl_explain(f, -EBADMSG, about, "");
	if (ret)
		memcpy(ret, states.infos, states.nr * sizeof(*ret));
	return 0;
}

int nl_tracker_get(struct nl *nl, const char *tracker, struct tracker_info *ret, struct failure *f)
{
	const struct nl_subject about = { "look up", &tracker, 1 };

	return ask_states(nl, CBT_CMD_TRACKER_GET, &about, NULL, ret, f);
}

int nl_freeze(struct nl *nl, const char *const *trackers, size_t nr, const struct uuid *epoch,
	      struct tracker_info *ret, struct failure *f)
{
	const struct nl_subject about = { "freeze", trackers, nr };

	return ask_states(nl, CBT_CMD_FREEZE, &about, epoch, ret, f);
}

int nl_commit(struct nl *nl, const char *const *trackers, size_t nr, const struct uuid *epoch,
	      struct tracker_info *ret, struct failure *f)
{
	const struct nl_subject about = { "commit", trackers, nr };

	return ask_states(nl, CBT_CMD_COMMIT, &about, epoch, ret, f);
}

int nl_abort(struct nl *nl, const char *const *trackers, size_t nr, const struct uuid *epoch,
	     struct tracker_info *ret, struct failure *f)
{
	const struct nl_subject about = { "abort", trackers, nr };

	return ask_states(nl, CBT_CMD_ABORT, &about, epoch, ret, f);
}

static int list_once(struct nl *nl, struct states *states, struct failure *f)
{
	static const struct nl_subject about = { .verb = "list the trackers" };
	cleanup_request struct nl_msg *msg = NULL;
	int err;

	states->nr = 0;
	err = new_request(nl, CBT_CMD_TRACKER_GET, NLM_F_DUMP, &about, &msg, f);
	return err < 0 ? err : nl_exchange(nl, msg, take_states, states, &about, f);
}

static int by_uuid(const void *a, const void *b)
{
	return memcmp(&((const struct tracker_info *)a)->uuid,
		      &((const struct tracker_info *)b)->uuid, sizeof(struct uuid));
}

/* A tracker that moves in the list while it is read is told twice. */
static void drop_duplicates(struct states *s)
{
	size_t kept = 0;

	if (!s->nr)
		return;
	qsort(s->infos, s->nr, sizeof(*s->infos), by_uuid);
	for (size_t i = 1; i < s->nr; i++)
		if (!uuid_equal(&s->infos[kept].uuid, &s->infos[i].uuid))
			s->infos[++kept] = s->infos[i];
	s->nr = kept + 1;
}

int nl_tracker_list(struct nl *nl, struct tracker_info **ret, size_t *ret_nr, struct failure *f)
{
	_cleanup_(free_states) struct states states = { 0 };
	int err = -ESTALE;

	for (int attempt = 0; err == -ESTALE && attempt < LIST_ATTEMPTS; attempt++)
		err = list_once(nl, &states, f);
	if (err < 0)
		return err;
	drop_duplicates(&states);
	*ret_nr = states.nr;
	*ret = steal_ptr(states.infos);
	return 0;
}

/* ---- reading a map ---- */

struct map_reading {
	uint64_t start;
	nl_range_fn fn;
	void *context;
	int fn_error;
	struct tracker_info info; /* as every message repeats it; all zero before the first */
	struct chunk_reader reader;
};

static bool same_map(const struct tracker_info *a, const struct tracker_info *b)
{
	return uuid_equal(&a->uuid, &b->uuid) && a->generation == b->generation &&
	       a->epoch == b->epoch && a->size_sectors == b->size_sectors &&
	       a->block_sectors == b->block_sectors;
}

static int take_identity(struct map_reading *m, struct nlattr *nest)
{
	struct tracker_info info;

	if (!nest || nl_decode_identity(nest, &info) < 0)
		return -EBADMSG;
	if (!m->info.block_sectors) {
		uint64_t nr_blocks = info.size_sectors / info.block_sectors +
				     (info.size_sectors % info.block_sectors != 0);

		m->info = info;
		chunk_reader_init(&m->reader, m->start, nr_blocks, m->fn, m->context);
	}
	return same_map(&m->info, &info) ? 0 : -ESTALE;
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
		struct chunk chunk;

		if (nla_type(attr) != CBT_A_CHUNK)
			continue;
		if (nl_decode_chunk(attr, &chunk) < 0)
			return -EBADMSG;
		err = chunk_read(&m->reader, &chunk);
		if (err < 0) {
			m->fn_error = err == -EBADMSG ? 0 : err;
			return err;
		}
	}
	return 0;
}

static int put_map_request(struct nl_msg *msg, uint32_t which, const struct uuid *epoch,
			   uint64_t start)
{
	if (nla_put_u32(msg, CBT_A_WHICH, which) < 0)
		return -ENOMEM;
	if (start && nla_put_u64(msg, CBT_A_START, start) < 0)
		return -ENOMEM;
	return epoch && put_uuid(msg, CBT_A_EPOCH_UUID, epoch) < 0 ? -ENOMEM : 0;
}

int nl_map_get(struct nl *nl, const char *tracker, uint32_t which, const struct uuid *epoch,
	       uint64_t start, nl_range_fn fn, void *context, struct tracker_info *ret,
	       struct failure *f)
{
	const struct nl_subject about = { "read the map of", &tracker, 1 };
	struct map_reading m = { .start = start, .fn = fn, .context = context };
	cleanup_request struct nl_msg *msg = NULL;
	int err;

	err = new_request(nl, CBT_CMD_MAP_GET, NLM_F_DUMP, &about, &msg, f);
	if (err < 0)
		return err;
	if (put_map_request(msg, which, epoch, start) < 0)
		return nl_explain(f, -ENOMEM, &about, "");
	err = nl_exchange(nl, msg, take_chunks, &m, &about, f);
	if (!err && !m.info.block_sectors)
		err = nl_explain(f, -EBADMSG, &about, "");
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
