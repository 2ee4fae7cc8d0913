// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/map_print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "lib/output.h"
#include "lib/tracker_json.h"
#include "lib/tracker_print.h"

static const char *which_name(uint32_t which)
{
	switch (which) {
	case CBT_MAP_ACTIVE:
		return "active";
	case CBT_MAP_FROZEN:
		return "frozen";
	default:
		return "both";
	}
}

/* Everything up to the first extent. Not before there is one, or none: the map may be refused. */
static int print_head(const struct map_print *m)
{
	cleanup_json struct json_object *head = output_document();
	cleanup_free char *text = NULL;

	(void)json_object_object_add(head, "tracker", tracker_json(&m->info));
	json_add_text(head, "which", which_name(m->which));
	json_add_uint(head, "start", m->start);
	if (!m->totals)
		json_add_text(head, "unit", m->in_bytes ? "bytes" : "blocks");
	text = json_text(head);
	if (!text)
		return -ENOMEM;
	text[strlen(text) - 1] = '\0'; /* the brace: more members follow */
	return printf("%s%s", text, m->totals ? "" : ",\"extents\":[") < 0 ? -errno : 0;
}

static int print_extent(const struct map_print *m, uint64_t start, uint64_t length)
{
	int rc = 0;

	if (m->json && !m->nr_ranges)
		rc = print_head(m);
	if (rc < 0)
		return rc;
	if (m->json)
		rc = printf("%s\n[%" PRIu64 ",%" PRIu64 "]", m->nr_ranges ? "," : "",
			    start, length);
	else
		rc = printf("%" PRIu64 " %" PRIu64 "\n", start, length);
	return rc < 0 ? -errno : 0;
}

int map_print_range(void *context, uint64_t first_block, uint64_t nr_blocks)
{
	struct map_print *m = context;
	uint64_t offset = tracker_bytes(&m->info, first_block);
	uint64_t bytes = tracker_bytes(&m->info, first_block + nr_blocks) - offset;
	int err = 0;

	if (!m->totals && m->in_bytes)
		err = print_extent(m, offset, bytes);
	else if (!m->totals)
		err = print_extent(m, first_block, nr_blocks);
	m->nr_ranges++;
	m->nr_blocks += nr_blocks;
	m->nr_bytes += bytes;
	return err;
}

static int print_tail(const struct map_print *m)
{
	int err = m->totals || !m->nr_ranges ? print_head(m) : 0;

	if (err < 0)
		return err;
	if (printf("%s,\"ranges\":%" PRIu64 ",\"blocks\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n",
		   m->totals ? "" : "\n]", m->nr_ranges, m->nr_blocks, m->nr_bytes) < 0)
		return -errno;
	return 0;
}

int map_print_end(const struct map_print *m, struct failure *f)
{
	int err = 0;

	if (m->json)
		err = print_tail(m);
	else if (m->totals)
		return tracker_print_totals(&m->info, m->nr_ranges, m->nr_blocks, m->nr_bytes, f);
	return err < 0 ? output_failed(f, err) : output_flush(f);
}
