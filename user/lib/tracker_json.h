/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a tracker in JSON, as every tool prints it:
 *
 *   {
 *     "name": "vm1-disk0" | null,        null while the mapped device is being removed
 *     "uuid": "<uuid>",
 *     "device": "252:0", "device_path": "/dev/dm-0" | null,
 *     "origin": "253:0", "origin_path": "/dev/vda" | null,
 *     "state": "volatile" | "active" | "committing" | "lost" | "bypassed",
 *     "generation": 1,
 *     "epoch": 3,                        the running one
 *     "size_bytes": 68719476736,
 *     "block_bytes": 4096,
 *     "dirty": { "blocks": 5, "bytes": 20480 },
 *     "frozen": null | { "epoch": 2, "uuid": "<uuid>", "blocks": 1, "bytes": 4096,
 *                         "broken": null | "<why it can only be aborted>" },
 *     "base": null | "<uuid>",           the epoch committed last
 *     "store": null | { "device": "253:16", "device_path": "/dev/vdb" | null,
 *                       "region_bytes": 4194304,
 *                       "suspect": { "regions": 1, "bytes": 4194304 }, "suspect_frozen": {...},
 *                       "diff_slots": 1000, "diff_used": 0, "failure": null | "<sentence>" }
 *   }
 *
 * Members may be added. Bytes are those of whole blocks, at most the size of the disk.
 */
#ifndef FAILBACK_LIB_TRACKER_JSON_H
#define FAILBACK_LIB_TRACKER_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "lib/json.h"
#include "lib/nl.h"

/** tracker_state_name - "volatile" and so on; "unknown" for a state of a newer module. */
const char *tracker_state_name(uint32_t state);

/** tracker_bytes - the bytes of @blocks blocks, at most the disk's. */
uint64_t tracker_bytes(const struct tracker_info *info, uint64_t blocks);

/** tracker_json - an object as above; the caller's. As in json.h, memory is assumed. */
struct json_object *tracker_json(const struct tracker_info *info);

/** tracker_json_array - an array of such objects; the caller's. */
struct json_object *tracker_json_array(const struct tracker_info *infos, size_t nr);

#endif
