/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events on standard output as they come, a line each; with JSON an object a line:
 *
 *   { "schema": 1, "sequence": 7, "event": "frozen", "tracker": "<uuid>", "device": "252:0",
 *     "generation": 1, "epoch": 3, "state": "active", "epoch_uuid": null | "<uuid>",
 *     "reason": null | "<sentence>" }
 */
#ifndef FAILBACK_LIB_EVENT_PRINT_H
#define FAILBACK_LIB_EVENT_PRINT_H

#include <stdbool.h>

#include "lib/nl_control.h"

/** tracker_event_name - "frozen"; "unknown" for a kind of a newer module. */
const char *tracker_event_name(uint32_t kind);

/** event_print - 0, or -errno of writing. */
int event_print(const struct tracker_event *event, bool json);

#endif
