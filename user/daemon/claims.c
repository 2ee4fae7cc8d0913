// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/claims.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/host_config.h"
#include "lib/address.h"
#include "lib/devid.h"

struct claim {
	const struct relationship_record *r;
	const struct disk_record *disk;
	struct devid id;
};

void claims_clear(struct claims *claims)
{
	free(claims->list);
	*claims = (struct claims){ 0 };
}

static bool same_tracker(const struct claim *a, const struct claim *b)
{
	return a->disk->tracker[0] && strcmp(a->disk->tracker, b->disk->tracker) == 0;
}

static bool same_path(const struct claim *a, const struct claim *b)
{
	if (a->id.exists && b->id.exists)
		return devid_is_same(&a->id, &b->id);
	return a->disk->path[0] && strcmp(a->disk->path, b->disk->path) == 0;
}

static bool same_peer(const struct relationship_record *a, const struct relationship_record *b)
{
	struct address peer_a, peer_b;

	return address_parse(a->peer, PEER_PORT, &peer_a, NULL) == 0 &&
	       address_parse(b->peer, PEER_PORT, &peer_b, NULL) == 0 &&
	       address_is_same_host(&peer_a, &peer_b);
}

static int refuse(const struct claims *claims, const struct claim *wanted, const struct claim *other,
		  const char *what, const char *name, struct failure *f)
{
	struct failure why;
	int rc;

	if (wanted->r == other->r)
		return failure_set(f, CODE_INVALID_PARAMETER, -EEXIST,
				   "Disk %s of VM %.64s cannot have %s %.128s: disk %s of VM %.64s has "
				   "it. Name another one.",
				   wanted->disk->name, wanted->r->name, what, name, other->disk->name,
				   other->r->name);
	rc = failure_set(&why, CODE_INVALID_PARAMETER, -EEXIST,
			 "Disk %s of VM %.64s cannot have %s %.128s: disk %s of VM %.64s has it on "
			 "that host. Name another one, or `failback remove %.64s` there, if that is not "
			 "wanted any more.",
			 wanted->disk->name, wanted->r->name, what, name, other->disk->name,
			 other->r->name, other->r->name);
	if (!claims->tells_peer || same_peer(wanted->r, other->r))
		return failure_set(f, CODE_INVALID_PARAMETER, rc, "%s", why.text);
	log_warning("%s", why.text);
	return failure_set(f, CODE_INVALID_PARAMETER, rc,
			   "Disk %s of VM %.64s cannot have %s %.128s: it is another VM's on that host, "
			   "whose log names it. Name another one.",
			   wanted->disk->name, wanted->r->name, what, name);
}

static int check(const struct claims *claims, const struct claim *wanted, struct failure *f)
{
	const struct disk_record *disk = wanted->disk;

	for (size_t i = 0; i < claims->nr; i++) {
		const struct claim *other = &claims->list[i];
		bool tracker = same_tracker(wanted, other);

		if (!tracker && !same_path(wanted, other))
			continue;
		return refuse(claims, wanted, other, tracker ? "the tracker" : "the path",
			      tracker ? disk->tracker : disk->path, f);
	}
	return 0;
}

static int add(struct claims *claims, const struct relationship_record *r, bool checks,
	       struct failure *f)
{
	struct claim *grown = reallocarray(claims->list, claims->nr + r->nr_disks + 1, sizeof(*grown));
	int rc = 0;

	if (!grown)
		return failure_no_memory(f);
	claims->list = grown;
	for (size_t i = 0; !rc && i < r->nr_disks; i++) {
		struct claim claim = { r, &r->disks[i], devid_of(r->disks[i].path) };

		rc = checks ? check(claims, &claim, f) : 0;
		claims->list[claims->nr++] = claim;
	}
	return rc;
}

int claims_add(struct claims *claims, const struct relationship_record *r, struct failure *f)
{
	return add(claims, r, false, f);
}

int claims_take(struct claims *claims, const struct relationship_record *r, struct failure *f)
{
	return add(claims, r, true, f);
}
