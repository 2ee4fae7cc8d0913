// SPDX-License-Identifier: GPL-2.0-or-later
#include "xfer/comparison.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "lib/compare.h"

/* A HASH without an answer. */
struct question {
	unsigned int disk;
	unsigned int nr_extents;
	struct extent extents[CBT_WIRE_EXTENTS_MAX];
};

struct comparison {
	struct mac *mac;
	uint64_t nr_asked;
	uint64_t nr_answered;
	struct question questions[SESSION_HASHES_MAX]; /* by number */
	struct extent_list differing[CBT_WIRE_DISKS_MAX];
};

int comparison_open(const uint8_t key[MAC_KEY_BYTES], struct comparison **ret, struct failure *f)
{
	_cleanup_(comparison_close_at) struct comparison *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return failure_no_memory(f);
	rc = mac_open(key, &c->mac, f);
	if (rc)
		return rc;
	*ret = steal_ptr(c);
	return 0;
}

void comparison_close_at(struct comparison **c)
{
	if (!*c)
		return;
	mac_close_at(&(*c)->mac);
	for (unsigned int i = 0; i < CBT_WIRE_DISKS_MAX; i++)
		extent_list_free(&(*c)->differing[i]);
	free(*c);
	*c = NULL;
}

int comparison_hash(struct comparison *c, unsigned int disk, const struct extent *extents,
		    unsigned int nr, const uint8_t *body, uint8_t *ret_macs, size_t *ret_bytes,
		    struct failure *f)
{
	struct question *question = &c->questions[c->nr_asked % SESSION_HASHES_MAX];
	size_t nr_pieces = 0;
	int rc = compare_hash(c->mac, disk, extents, nr, body, ret_macs, f);

	if (rc)
		return rc;
	for (unsigned int i = 0; i < nr; i++)
		nr_pieces += wire_nr_pieces(&extents[i]);
	question->disk = disk;
	question->nr_extents = nr;
	memcpy(question->extents, extents, nr * sizeof(*extents));
	c->nr_asked++;
	*ret_bytes = nr_pieces * MAC_BYTES;
	return 0;
}

int comparison_differ(struct comparison *c, const uint8_t *bitmap, struct failure *f)
{
	const struct question *question = &c->questions[c->nr_answered % SESSION_HASHES_MAX];
	int rc = compare_push(question->extents, question->nr_extents, bitmap,
			      &c->differing[question->disk]);

	if (rc)
		return failure_no_memory(f);
	c->nr_answered++;
	return 0;
}

int comparison_add_differing(struct comparison *c, unsigned int disk, struct extent_list *list,
			     struct failure *f)
{
	_cleanup_(extent_list_free) struct extent_list both = { 0 };
	struct extent_list old = *list;

	if (extent_combine(list, EXTENT_OR, &c->differing[disk], &both))
		return failure_no_memory(f);
	*list = both;
	both = old;
	return 0;
}
