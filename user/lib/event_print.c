// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/event_print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "base/macro.h"
#include "lib/output.h"
#include "lib/tracker_json.h"

static const char *const names[] = {
	[CBT_EVENT_ADDED] = "added",
	[CBT_EVENT_REMOVED] = "removed",
	[CBT_EVENT_STATE] = "state",
	[CBT_EVENT_FROZEN] = "frozen",
	[CBT_EVENT_COMMITTED] = "committed",
	[CBT_EVENT_ABORTED] = "aborted",
	[CBT_EVENT_BROKEN] = "broken",
	[CBT_EVENT_DIFF_WATERMARK] = "diff-watermark",
	[CBT_EVENT_STORE_ERROR] = "store-error",
	[CBT_EVENT_GENERATION] = "generation",
	[CBT_EVENT_LOST] = "lost",
};

const char *tracker_event_name(uint32_t kind)
{
	return kind < ARRAY_SIZE(names) && names[kind] ? names[kind] : "unknown";
}

static int print_line(const struct tracker_event *e)
{
	char uuid[UUID_TEXT_LEN + 1];

	printf("%" PRIu64 " %s %s %u:%u %s generation %" PRIu64 " epoch %" PRIu64, e->sequence,
	       tracker_event_name(e->kind), uuid_format(&e->tracker, uuid), major(e->dev), minor(e->dev),
	       tracker_state_name(e->state), e->generation, e->epoch);
	if (!uuid_is_nil(&e->epoch_uuid))
		printf(" about %s", uuid_format(&e->epoch_uuid, uuid));
	if (*e->reason)
		printf(": %s", e->reason);
	return putchar('\n') == EOF || fflush(stdout) == EOF ? -errno : 0;
}

static int print_json(const struct tracker_event *e)
{
	cleanup_json struct json_object *o = output_document();
	cleanup_free char *text = NULL;
	char device[32];

	(void)snprintf(device, sizeof(device), "%u:%u", major(e->dev), minor(e->dev));
	json_add_uint(o, "sequence", e->sequence);
	json_add_text(o, "event", tracker_event_name(e->kind));
	json_add_uuid(o, "tracker", &e->tracker);
	json_add_text(o, "device", device);
	json_add_uint(o, "generation", e->generation);
	json_add_uint(o, "epoch", e->epoch);
	json_add_text(o, "state", tracker_state_name(e->state));
	json_add_uuid(o, "epoch_uuid", &e->epoch_uuid);
	if (*e->reason)
		json_add_text(o, "reason", e->reason);
	else
		(void)json_object_object_add(o, "reason", NULL);
	text = json_text(o);
	if (!text)
		return -ENOMEM;
	return puts(text) == EOF || fflush(stdout) == EOF ? -errno : 0;
}

int event_print(const struct tracker_event *event, bool json)
{
	return json ? print_json(event) : print_line(event);
}
