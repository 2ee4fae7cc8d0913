// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/reverse_plan.h"

#include <stdio.h>
#include <string.h>

#include "daemon/relationship.h"

static const char *const method_names[NR_METHODS] = { "delta", "two-sided", "compare", "full" };

static const struct {
	const char *code;
	const char *text;
} reasons[NR_REASONS] = {
	[REASON_PLANNED] = { "planned", "both hosts held the same at the failover, and nothing was "
					"written on the old primary since." },
	[REASON_NOT_PREPARED] = { "not-prepared", "the old primary was not prepared: it may hold "
						  "writes that never arrived here." },
	[REASON_WRITTEN] = { "written", "the old primary was written to after its last delta." },
	[REASON_OTHER_BASE] = { "other-base", "the hosts do not name one epoch that both held." },
	[REASON_MAP_LOST] = { "map-lost", "the map of the tracker here does not reach back to the "
					  "last replication." },
	[REASON_PEER_MAP_LOST] = { "peer-map-lost", "the map of the tracker on the old primary does not "
						    "say what was written there since the last "
						    "replication." },
	[REASON_UNKNOWN_CONTENTS] = { "unknown-contents", "nobody knows what the old primary's "
							  "disks hold." },
	[REASON_BLANK] = { "blank", "no map says what differs, and the disk on the old primary is "
				    "blank." },
};

static enum plan_reason find_reason(const struct plan_facts *facts, size_t i,
				    const struct reply_disk *there)
{
	const struct relationship_record *r = facts->r;
	const struct reply *peer = facts->peer;

	bool given_up = peer->mode == MODE_REPLICA && peer->state == STATE_WAITING_INITIAL;

	if (given_up && (!there || !there->map_reaches_back))
		return REASON_UNKNOWN_CONTENTS;
	/* This host was the receiver: its base has to be theirs. */
	if (!base_is_covered(&r->base, &r->epoch, &peer->base, peer->aborted, peer->nr_aborted))
		return REASON_OTHER_BASE;
	if (!facts->map_reaches_back[i])
		return REASON_MAP_LOST;
	/* Who was prepared wrote nothing since, but it may be another disk that is there now. */
	if (peer->mode == MODE_PRIMARY && there && there->map_lost)
		return REASON_PEER_MAP_LOST;
	if (given_up || (peer->mode == MODE_PRIMARY && peer->state != STATE_PREPARED))
		return there && there->map_reaches_back ? REASON_NOT_PREPARED :
							  REASON_PEER_MAP_LOST;
	if (peer->mode == MODE_PRIMARY && there && there->dirty_bytes)
		return REASON_WRITTEN;
	return REASON_PLANNED;
}

static enum plan_method method_of(enum plan_reason reason)
{
	switch (reason) {
	case REASON_PLANNED:
		return METHOD_DELTA;
	case REASON_NOT_PREPARED:
	case REASON_WRITTEN:
		return METHOD_TWO_SIDED;
	case REASON_BLANK:
		return METHOD_FULL;
	default:
		return METHOD_COMPARE;
	}
}

/*
 * A peer that has become the replica agreed to it before. Where the bases differ, its map starts at
 * another one than what is here.
 */
static uint64_t find_lost(const struct plan_facts *facts, enum plan_reason reason,
			  const struct reply_disk *there)
{
	if (reason == REASON_PLANNED || facts->peer->mode == MODE_REPLICA)
		return 0;
	return there && there->map_reaches_back && reason != REASON_OTHER_BASE ? there->dirty_bytes :
										 PLAN_UNKNOWN;
}

static void plan_disk_make(const struct plan_facts *facts, size_t i, struct plan_disk *ret)
{
	const struct disk_record *disk = &facts->r->disks[i];
	const struct reply_disk *there = reply_find_disk(facts->peer, disk->name);

	(void)snprintf(ret->name, sizeof(ret->name), "%s", disk->name);
	ret->reason = find_reason(facts, i, there);
	ret->lost_bytes = find_lost(facts, ret->reason, there);
	if (method_of(ret->reason) == METHOD_COMPARE && there && there->blank)
		ret->reason = REASON_BLANK;
	ret->method = method_of(ret->reason);
	ret->cost_bytes = disk->size_bytes;
	if (ret->method == METHOD_DELTA)
		ret->cost_bytes = facts->dirty_bytes[i];
	else if (ret->method == METHOD_TWO_SIDED)
		ret->cost_bytes = facts->dirty_bytes[i] + there->dirty_bytes;
}

/*
 * What the operator agrees to: methods and reasons, on these bases and terms. Not the bytes, which
 * change while the VM writes. FNV-1a: it tells plans apart, it proves nothing.
 */
static void digest_add(uint64_t *digest, const void *data, size_t len)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < len; i++)
		*digest = (*digest ^ bytes[i]) * UINT64_C(1099511628211);
}

static void digest_make(const struct plan_facts *facts, struct reverse_plan *plan)
{
	uint64_t digest = UINT64_C(14695981039346656037);

	digest_add(&digest, &facts->r->vm, sizeof(facts->r->vm));
	digest_add(&digest, &facts->r->base, sizeof(facts->r->base));
	digest_add(&digest, &facts->peer->base, sizeof(facts->peer->base));
	digest_add(&digest, &facts->peer->host.term, sizeof(facts->peer->host.term));
	digest_add(&digest, &facts->r->term, sizeof(facts->r->term));
	for (size_t i = 0; i < plan->nr_disks; i++) {
		const struct plan_disk *disk = &plan->disks[i];

		digest_add(&digest, disk->name, strlen(disk->name) + 1);
		digest_add(&digest, &disk->method, sizeof(disk->method));
		digest_add(&digest, &disk->reason, sizeof(disk->reason));
	}
	(void)snprintf(plan->digest, sizeof(plan->digest), "%016llx", (unsigned long long)digest);
}

void reverse_plan_make(const struct plan_facts *facts, struct reverse_plan *ret)
{
	ret->nr_disks = facts->r->nr_disks;
	ret->planned = true;
	ret->needs_consent = false;
	ret->cost_bytes = 0;
	ret->lost_bytes = 0;
	for (size_t i = 0; i < ret->nr_disks; i++) {
		struct plan_disk *disk = &ret->disks[i];

		plan_disk_make(facts, i, disk);
		ret->planned &= disk->method == METHOD_DELTA;
		ret->needs_consent |= disk->lost_bytes != 0;
		ret->cost_bytes += disk->cost_bytes;
		if (disk->lost_bytes == PLAN_UNKNOWN || ret->lost_bytes == PLAN_UNKNOWN)
			ret->lost_bytes = PLAN_UNKNOWN;
		else
			ret->lost_bytes += disk->lost_bytes;
	}
	digest_make(facts, ret);
}

const char *plan_method_name(enum plan_method method)
{
	return (unsigned int)method < NR_METHODS ? method_names[method] : "?";
}

const char *plan_reason_code(enum plan_reason reason)
{
	return (unsigned int)reason < NR_REASONS ? reasons[reason].code : "?";
}

const char *plan_reason_text(enum plan_reason reason)
{
	return (unsigned int)reason < NR_REASONS ? reasons[reason].text : "?";
}
