// SPDX-License-Identifier: GPL-2.0-or-later
/* Trackers and their epochs. nl_map reads maps, nl_control has the other commands. */
#include "lib/nl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/nl_request.h"

/* The list changes under a dump only while trackers come and go. */
#define LIST_ATTEMPTS 10

static int put_epoch(struct nl_msg *msg, const void *epoch)
{
	return nl_put_uuid(msg, CBT_A_EPOCH_UUID, epoch);
}

static int ask_epoch(struct nl *nl, uint8_t command, const struct nl_subject *about,
		     const struct uuid *epoch, struct tracker_info *ret, struct failure *f)
{
	return nl_ask(nl, command, about, &(struct nl_extra){ .put = put_epoch, .context = epoch },
		      ret, f);
}

int nl_tracker_get(struct nl *nl, const char *tracker, struct tracker_info *ret, struct failure *f)
{
	const struct nl_subject about = { "look up", &tracker, 1 };

	return nl_ask(nl, CBT_CMD_TRACKER_GET, &about, &(struct nl_extra){ 0 }, ret, f);
}

int nl_freeze(struct nl *nl, const char *const *trackers, size_t nr, const struct uuid *epoch,
	      struct tracker_info *ret, struct failure *f)
{
	const struct nl_subject about = { "freeze", trackers, nr };

	return ask_epoch(nl, CBT_CMD_FREEZE, &about, epoch, ret, f);
}

int nl_commit(struct nl *nl, const char *const *trackers, size_t nr, const struct uuid *epoch,
	      struct tracker_info *ret, struct failure *f)
{
	const struct nl_subject about = { "commit", trackers, nr };

	return ask_epoch(nl, CBT_CMD_COMMIT, &about, epoch, ret, f);
}

int nl_abort(struct nl *nl, const char *const *trackers, size_t nr, const struct uuid *epoch,
	     struct tracker_info *ret, struct failure *f)
{
	const struct nl_subject about = { "abort", trackers, nr };

	return ask_epoch(nl, CBT_CMD_ABORT, &about, epoch, ret, f);
}

static int list_once(struct nl *nl, struct nl_states *states, struct failure *f)
{
	static const struct nl_subject about = { .verb = "list the trackers" };
	cleanup_request struct nl_msg *msg = NULL;
	int err;

	states->nr = 0;
	err = nl_request_about(nl, CBT_CMD_TRACKER_GET, NLM_F_DUMP, 0, &about, &msg, f);
	return err < 0 ? err : nl_exchange(nl, msg, nl_take_states, states, &about, f);
}

static int by_uuid(const void *a, const void *b)
{
	return memcmp(&((const struct tracker_info *)a)->uuid,
		      &((const struct tracker_info *)b)->uuid, sizeof(struct uuid));
}

/* A tracker that moves in the list while it is read is told twice. */
static void drop_duplicates(struct nl_states *s)
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
	_cleanup_(nl_states_free) struct nl_states states = { 0 };
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
