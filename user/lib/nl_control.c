// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/nl_control.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"
#include "lib/nl_decode.h"
#include "lib/nl_request.h"

/* ---- ranges ---- */

/* In one request. Marks are fewer, so that each is durable within the kernel's patience. */
#define RELEASE_RANGES CBT_RANGES_MAX
#define MARK_RANGES 1024

struct ranges {
	const struct uuid *epoch; /* NULL: none */
	const struct cbt_blocks *blocks;
	size_t nr;
};

static int put_ranges(struct nl_msg *msg, const void *context)
{
	const struct ranges *r = context;

	if (r->epoch && nl_put_uuid(msg, CBT_A_EPOCH_UUID, r->epoch) < 0)
		return -ENOMEM;
	return nla_put(msg, CBT_A_RANGES, (int)(r->nr * sizeof(*r->blocks)), r->blocks);
}

static int ask_ranges(struct nl *nl, uint8_t command, const struct nl_subject *about,
		      struct ranges all, size_t at_once, struct failure *f)
{
	while (all.nr) {
		struct ranges now = { all.epoch, all.blocks, min_of(all.nr, at_once) };
		struct nl_extra extra = {
			.room = now.nr * sizeof(*now.blocks),
			.put = put_ranges,
			.context = &now,
		};
		int err = nl_ask(nl, command, about, &extra, NULL, f);

		if (err < 0)
			return err;
		all.blocks += now.nr;
		all.nr -= now.nr;
	}
	return 0;
}

int nl_release(struct nl *nl, const char *tracker, const struct uuid *epoch,
	       const struct cbt_blocks *ranges, size_t nr, struct failure *f)
{
	const struct nl_subject about = { "release blocks of", &tracker, 1 };

	return ask_ranges(nl, CBT_CMD_RELEASE, &about, (struct ranges){ epoch, ranges, nr },
			  RELEASE_RANGES, f);
}

int nl_mark(struct nl *nl, const char *tracker, const struct cbt_blocks *ranges, size_t nr,
	    struct failure *f)
{
	const struct nl_subject about = { "mark blocks of", &tracker, 1 };

	return ask_ranges(nl, CBT_CMD_MARK, &about, (struct ranges){ NULL, ranges, nr },
			  MARK_RANGES, f);
}

/* ---- without more than the tracker ---- */

static int ask_plainly(struct nl *nl, uint8_t command, const char *verb, const char *tracker,
		       struct failure *f)
{
	const struct nl_subject about = { verb, &tracker, 1 };

	return nl_ask(nl, command, &about, &(struct nl_extra){ 0 }, NULL, f);
}

int nl_checkpoint(struct nl *nl, const char *tracker, struct failure *f)
{
	return ask_plainly(nl, CBT_CMD_CHECKPOINT, "checkpoint", tracker, f);
}

int nl_bypass(struct nl *nl, const char *tracker, struct failure *f)
{
	return ask_plainly(nl, CBT_CMD_BYPASS, "bypass", tracker, f);
}

int nl_lost_ack(struct nl *nl, const char *tracker, struct failure *f)
{
	return ask_plainly(nl, CBT_CMD_LOST_ACK, "acknowledge the loss of", tracker, f);
}

/* ---- labels and statistics ---- */

struct label {
	const void *bytes;
	size_t nr;
};

static int put_label(struct nl_msg *msg, const void *context)
{
	const struct label *label = context;

	return nla_put(msg, CBT_A_LABEL, (int)label->nr, label->bytes);
}

int nl_label_set(struct nl *nl, const char *tracker, const void *label, size_t bytes,
		 struct failure *f)
{
	const struct nl_subject about = { "label", &tracker, 1 };
	const struct label l = { label, bytes };
	const struct nl_extra extra = { .room = CBT_LABEL_LEN + NLA_HDRLEN, put_label, &l };

	if (bytes > CBT_LABEL_LEN)
		return failure_set(f, CODE_INVALID_PARAMETER, -EINVAL,
				   "a label has at most %d bytes", CBT_LABEL_LEN);
	return nl_ask(nl, CBT_CMD_LABEL_SET, &about, &extra, NULL, f);
}

/* One answer, with one attribute that counts. */
static int ask_for(struct nl *nl, uint8_t command, const struct nl_subject *about,
		   nl_answer_fn fn, void *context, struct failure *f)
{
	cleanup_request struct nl_msg *msg = NULL;
	int err = nl_request_about(nl, command, 0, 0, about, &msg, f);

	return err < 0 ? err : nl_exchange(nl, msg, fn, context, about, f);
}

static int take_label(struct nlattr *attrs, int bytes, void *context)
{
	struct nlattr *attr = nla_find(attrs, bytes, CBT_A_LABEL);

	if (!attr || nla_len(attr) != CBT_LABEL_LEN)
		return -EBADMSG;
	memcpy(context, nla_data(attr), CBT_LABEL_LEN);
	return 0;
}

int nl_label_get(struct nl *nl, const char *tracker, uint8_t ret[CBT_LABEL_LEN],
		 struct failure *f)
{
	const struct nl_subject about = { "read the label of", &tracker, 1 };
	uint8_t label[CBT_LABEL_LEN] = { 0 };
	int err = ask_for(nl, CBT_CMD_LABEL_GET, &about, take_label, label, f);

	if (!err)
		memcpy(ret, label, sizeof(label));
	return err;
}

static int take_stats(struct nlattr *attrs, int bytes, void *context)
{
	struct nlattr *attr = nla_find(attrs, bytes, CBT_A_STATS);

	return attr ? nl_decode_stats(attr, context) : -EBADMSG;
}

int nl_stats_get(struct nl *nl, const char *tracker, struct tracker_stats *ret,
		 struct failure *f)
{
	const struct nl_subject about = { "read the statistics of", &tracker, 1 };
	struct tracker_stats stats = { 0 };
	int err = ask_for(nl, CBT_CMD_STATS_GET, &about, take_stats, &stats, f);

	if (!err)
		*ret = stats;
	return err;
}
