/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stores on standard output, as tables for people and as JSON (with "schema": 1) for programs:
 *
 *   plan     { "disk_bytes", "block_bytes", "region_bytes", "capacity_bytes", "log_bytes",
 *              "map_bytes", "least_bytes", "diff_bytes", "total_bytes" }
 *   report   { "store": { "uuid", "generation", "lineage", "sequence", "flags": [...],
 *              "size_bytes", "block_bytes", "region_bytes", "capacity_bytes", "store_bytes",
 *              "log_bytes", "diff_slots", "epoch", "committed", "log_sequence",
 *              "frozen": null | { "epoch", "uuid" }, "base", "fingerprint", "outcomes": [...],
 *              "label" }, "slots": [ null | sequence, ... ],
 *              "dirty": { "blocks", "bytes" }, "suspect": { "regions", "bytes" },
 *              "records", "log_blocks", "torn_log_blocks", "damaged_blocks",
 *              "problem": null | "<sentence>" }
 *
 * Members may be added. Bytes are those of whole blocks or regions, at most the disk's.
 */
#ifndef FAILBACK_LIB_CBT_STORE_PRINT_H
#define FAILBACK_LIB_CBT_STORE_PRINT_H

#include <stdbool.h>

#include "lib/cbt_store_check.h"
#include "lib/cbt_store_format.h"

int cbt_store_print_plan(const struct cbt_store_plan *plan, bool json, struct failure *f);

/** cbt_store_print_report - @all: the whole superblock, else what a check is about. */
int cbt_store_print_report(const struct cbt_store_report *report, bool all, bool json,
			   struct failure *f);

/** cbt_store_print_extents - a line "START LENGTH" for each run of dirty blocks. */
int cbt_store_print_extents(const struct cbt_store_report *report, bool in_bytes,
			    struct failure *f);

#endif
