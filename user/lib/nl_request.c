// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/nl_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/nl_decode.h"

#define SELECTOR_BYTES (2 * NLA_HDRLEN + CBT_NAME_LEN + 1)
#define OTHER_BYTES 256 /* all attributes of a request but selectors and what has a room of its own */

/* The kernel waits for a store for a second at most, and wants to be asked again. */
#define DURABLE_ATTEMPTS 30

int nl_put_uuid(struct nl_msg *msg, int type, const struct uuid *uuid)
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
		err = nl_put_uuid(msg, CBT_TRACKER_A_UUID, &uuid);
	else
		err = nla_put_string(msg, CBT_TRACKER_A_NAME, tracker);
	return err < 0 || nla_nest_end(msg, nest) < 0 ? -ENOMEM : 0;
}

int nl_request_about(struct nl *nl, uint8_t command, int flags, size_t room,
		     const struct nl_subject *about, struct nl_msg **ret, struct failure *f)
{
	cleanup_request struct nl_msg *msg = NULL;
	int err;

	for (size_t i = 0; i < about->nr; i++)
		if (!*about->trackers[i] || strlen(about->trackers[i]) > CBT_NAME_LEN)
			return nl_explain(f, -ENODEV, about,
					  "a tracker's name has 1 to 127 characters");
	err = nl_request_new(nl, command, flags,
			     OTHER_BYTES + room + about->nr * SELECTOR_BYTES, about, &msg, f);
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

/* ---- answers with states ---- */

void nl_states_free(struct nl_states *s)
{
	free(s->infos);
}

static int add_state(struct nl_states *s, struct nlattr *nest)
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

int nl_take_states(struct nlattr *attrs, int bytes, void *context)
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

/* One state comes back for each tracker, in their order. */
static int ask_once(struct nl *nl, uint8_t command, const struct nl_subject *about,
		    const struct nl_extra *extra, struct nl_states *states, struct failure *f)
{
	cleanup_request struct nl_msg *msg = NULL;
	int err = nl_request_about(nl, command, 0, extra->room, about, &msg, f);

	if (err < 0)
		return err;
	if (extra->put && extra->put(msg, extra->context) < 0)
		return nl_explain(f, -ENOMEM, about, "");
	states->nr = 0;
	return nl_exchange(nl, msg, nl_take_states, states, about, f);
}

int nl_ask(struct nl *nl, uint8_t command, const struct nl_subject *about,
	   const struct nl_extra *extra, struct tracker_info *ret, struct failure *f)
{
	_cleanup_(nl_states_free) struct nl_states states = { 0 };
	int err = -EINPROGRESS;

	if (!about->nr || about->nr > CBT_TRACKERS_MAX)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "cannot %s %zu trackers in one instant: name 1 to %d",
				   about->verb, about->nr, CBT_TRACKERS_MAX);
	for (int attempt = 0; err == -EINPROGRESS && attempt < DURABLE_ATTEMPTS; attempt++)
		err = ask_once(nl, command, about, extra, &states, f);
	if (err < 0)
		return err;
	if (states.nr != about->nr)
		return nl_explain(f, -EBADMSG, about, "");
	if (ret)
		memcpy(ret, states.infos, states.nr * sizeof(*ret));
	return 0;
}
