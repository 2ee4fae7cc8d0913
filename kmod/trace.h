/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints, in /sys/kernel/tracing/events/dm_cbt. Each stands on a slow path; durations are in
 * nanoseconds, devices are the mapped ones.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM dm_cbt

#if !defined(CBT_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define CBT_TRACE_H

#include <linux/types.h>
#include <linux/kdev_t.h>
#include <linux/tracepoint.h>

/* A write found blocks that the store does not cover, and waits. */
TRACE_EVENT(cbt_cold_miss,
	TP_PROTO(dev_t dev, u64 first, u64 last),
	TP_ARGS(dev, first, last),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, first)
		__field(u64, last)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->first = first;
		__entry->last = last;
	),
	TP_printk("dev=%u:%u first=%llu last=%llu", MAJOR(__entry->dev), MINOR(__entry->dev),
		  __entry->first, __entry->last)
);

/* One durable write of the log ended, for all the writes that waited for it. */
TRACE_EVENT(cbt_group_commit,
	TP_PROTO(dev_t dev, u32 nr_writes, u32 nr_records, u64 duration_ns, int error),
	TP_ARGS(dev, nr_writes, nr_records, duration_ns, error),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u32, nr_writes)
		__field(u32, nr_records)
		__field(u64, duration_ns)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->nr_writes = nr_writes;
		__entry->nr_records = nr_records;
		__entry->duration_ns = duration_ns;
		__entry->error = error;
	),
	TP_printk("dev=%u:%u writes=%u records=%u duration=%llu error=%d", MAJOR(__entry->dev),
		  MINOR(__entry->dev), __entry->nr_writes, __entry->nr_records,
		  __entry->duration_ns, __entry->error)
);

/* The old contents of frozen blocks were read, so that they can be overwritten. */
TRACE_EVENT(cbt_copy,
	TP_PROTO(dev_t dev, u64 first, u32 nr_blocks, u64 duration_ns, int error),
	TP_ARGS(dev, first, nr_blocks, duration_ns, error),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, first)
		__field(u32, nr_blocks)
		__field(u64, duration_ns)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->first = first;
		__entry->nr_blocks = nr_blocks;
		__entry->duration_ns = duration_ns;
		__entry->error = error;
	),
	TP_printk("dev=%u:%u first=%llu blocks=%u duration=%llu error=%d", MAJOR(__entry->dev),
		  MINOR(__entry->dev), __entry->first, __entry->nr_blocks, __entry->duration_ns,
		  __entry->error)
);

/* Half of the log was retired, or could not be. */
TRACE_EVENT(cbt_checkpoint,
	TP_PROTO(dev_t dev, u64 nr_leaves, u64 duration_ns, int error),
	TP_ARGS(dev, nr_leaves, duration_ns, error),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, nr_leaves)
		__field(u64, duration_ns)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->nr_leaves = nr_leaves;
		__entry->duration_ns = duration_ns;
		__entry->error = error;
	),
	TP_printk("dev=%u:%u leaves=%llu duration=%llu error=%d", MAJOR(__entry->dev),
		  MINOR(__entry->dev), __entry->nr_leaves, __entry->duration_ns, __entry->error)
);

/* Gates were closed for an instant, from the first that closed to the last that opened. */
TRACE_EVENT(cbt_freeze,
	TP_PROTO(u32 nr_trackers, u64 duration_ns, int error),
	TP_ARGS(nr_trackers, duration_ns, error),
	TP_STRUCT__entry(
		__field(u32, nr_trackers)
		__field(u64, duration_ns)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->nr_trackers = nr_trackers;
		__entry->duration_ns = duration_ns;
		__entry->error = error;
	),
	TP_printk("trackers=%u duration=%llu error=%d", __entry->nr_trackers, __entry->duration_ns,
		  __entry->error)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
