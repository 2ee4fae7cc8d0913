/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this host knows of its VMs and trackers as OpenMetrics text, version 1.0.0 (the specification of
 * that name, section 4). Relationships have the labels `vm`, a name, and `uuid`, trackers the label
 * `tracker`, with the name of their device. What is not known has no sample.
 */
#ifndef FAILBACK_CLI_METRICS_H
#define FAILBACK_CLI_METRICS_H

#include <stdio.h>

#include "lib/client.h"
#include "lib/nl_control.h"

#define METRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct metrics_tracker {
	struct tracker_info info;
	struct tracker_stats stats;
};

struct metrics {
	bool up; /* failbackd answers; else there are no VMs here */
	struct client_vm *vms;
	char **statistics; /* of each VM, JSON, or NULL */
	size_t nr_vms;
	bool tracking; /* the module answers; else there are no trackers here */
	struct metrics_tracker *trackers;
	size_t nr_trackers;
};

/** metrics_print - an error of @out is left for the caller to find. */
void metrics_print(FILE *out, const struct metrics *m);

/** metrics_free - what it points to. */
void metrics_free(struct metrics *m);

#endif
