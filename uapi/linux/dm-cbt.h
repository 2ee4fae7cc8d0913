/* SPDX-License-Identifier: GPL-2.0-or-later OR MIT */
/*
 * dm-cbt generic netlink interface: the manual of the family "dm_cbt".
 *
 * The family lives in the initial network namespace. Every command needs CAP_SYS_ADMIN and is
 * refused with EPERM otherwise. Every refusal carries an extended-ack sentence, and the offset of
 * the attribute that it is about: with several trackers, the CBT_A_TRACKER of the one that
 * refused. Integers are host-endian (netlink never leaves the host). In replies, 64-bit attributes
 * may be preceded by a PAD attribute.
 *
 * Without a sentence come only the refusals of generic netlink itself (EOPNOTSUPP: no such command,
 * or not as a dump) and ENOBUFS and ENOMEM for a reply that found no room; what was asked for is
 * done then, and can be asked for again. Of an attribute that should stand once, the last counts.
 *
 * A *tracker* is selected by a nest CBT_A_TRACKER holding exactly one of CBT_TRACKER_A_UUID (16
 * bytes) or CBT_TRACKER_A_NAME (the device-mapper name of its mapped device). In replies the same
 * nest holds its state.
 *
 * CBT_CMD_TRACKER_GET
 *	do:	one CBT_A_TRACKER selector. Reply: CBT_A_TRACKER with the full state.
 *	dump:	no attribute. One message per tracker. NLM_F_DUMP_INTR when trackers came or went
 *		meanwhile: ask again.
 *	ENODEV	no such tracker
 *
 * CBT_CMD_FREEZE
 *	One or more CBT_A_TRACKER selectors, and CBT_A_EPOCH_UUID: the name that the caller gives
 *	to the epoch that ends now. All named trackers end their running epoch in one instant: a
 *	write that was acknowledged before FREEZE is in the frozen maps, a write submitted after
 *	the reply is not. Reply: CBT_A_TRACKER of each, in the order asked. Repeating FREEZE with
 *	the same UUID and trackers while that epoch is frozen changes nothing and succeeds.
 *	EBUSY		a tracker holds another frozen epoch
 *	EEXIST		the UUID belongs to an epoch that was committed or aborted before, or to one that is frozen on
 *			some but not all of the trackers
 *	ETIMEDOUT	a tracker's writes in flight did not end within 500 ms; nothing was frozen
 *	EIO		a tracker is bypassed or lost
 *	EINVAL, E2BIG	no tracker, one named twice, or more than CBT_TRACKERS_MAX; no epoch UUID, or all zeroes
 *
 * CBT_CMD_COMMIT
 *	CBT_A_TRACKER selectors and CBT_A_EPOCH_UUID. The receiver holds that epoch durably: the
 *	frozen map is dropped and the epoch becomes the tracker's base. To be called only with the
 *	receiver's durable acknowledgement in hand. Idempotent by UUID: repeating it succeeds. All
 *	selectors are checked before the first tracker is changed: one that refuses leaves the
 *	others frozen, to be ended by a request without it.
 *	ENOENT		no such epoch is frozen here, nor among the last 16 that ended
 *	ECANCELED	that epoch was aborted; or it is broken, or the origin failed to flush since the
 *			freeze, and stays frozen: abort it
 *	EIO		the store failed: the tracker is lost
 *
 * CBT_CMD_ABORT
 *	As COMMIT, but the frozen map is merged back: active = active OR frozen. Nothing is
 *	forgotten.
 *	ENOENT		as for COMMIT
 *	EALREADY	that epoch was committed
 *
 * CBT_CMD_MAP_GET (dump only)
 *	One CBT_A_TRACKER selector, CBT_A_WHICH, optionally CBT_A_START (first block to report, for
 *	going on after an interrupted dump; blocks before it are reported clean) and
 *	CBT_A_EPOCH_UUID (the frozen epoch that the caller means; needs CBT_MAP_FROZEN). Messages
 *	hold CBT_A_TRACKER (identity only: UUID, generation, epoch, size, block size) and
 *	CBT_A_CHUNK nests in ascending order that do not overlap; what no chunk covers is clean. A
 *	frozen map does not change while it is read. The active map collects writes meanwhile: each
 *	block is reported as it stood at some moment during the dump. Before the first of them come,
 *	in the same form but counting regions (CBT_TRACKER_A_REGION_SECTORS), CBT_A_SUSPECT nests:
 *	in these regions blocks are dirty only because a crash left no better knowledge, and it may
 *	pay to compare them before they are sent.
 *	ENODEV		no such tracker
 *	ENOENT		CBT_MAP_FROZEN alone was asked for and nothing is frozen, or another epoch is
 *	ESTALE		(ends the dump) an epoch was frozen, committed or aborted, or the tracker went away
 *			or was started anew, during the dump
 *
 * CBT_CMD_RELEASE
 *	One CBT_A_TRACKER selector, CBT_A_EPOCH_UUID and CBT_A_RANGES: these blocks of the frozen
 *	epoch are with the receiver and will not be read from its image any more, where they fail
 *	from now on. They need no copy when they are overwritten, and their copies are dropped. They
 *	stay frozen, for ABORT. Reply: CBT_A_TRACKER.
 *	ENOENT		the epoch is not the frozen one
 *	ERANGE		a range is not inside the disk, or all of them have more blocks than it has: they
 *			overlap; nothing was released
 *	ENOMEM		some may be released: repeat it
 *	ECANCELED	the epoch is broken
 *
 * CBT_CMD_MARK
 *	One CBT_A_TRACKER selector and CBT_A_RANGES: blocks that differ from the base, as is known
 *	from elsewhere, become dirty in the running epoch. Reply, when that is durable:
 *	CBT_A_TRACKER.
 *	ERANGE		as for RELEASE; nothing was marked
 *	EINPROGRESS	also while the store has not noted a growth
 *	EIO		the store failed: the tracker is lost
 *
 * CBT_CMD_CHECKPOINT
 *	One CBT_A_TRACKER selector. What the log covers is written into the map, so that a crash
 *	from now on leaves few suspects. Reply: CBT_A_TRACKER.
 *	ENODEV, EIO	there is no store; it failed
 *
 * CBT_CMD_BYPASS
 *	One CBT_A_TRACKER selector. The store notes durably that writes are about to go past the
 *	tracker, whose mapped device can then be given another table; a new generation begins when
 *	the tracker is used again. Reply: CBT_A_TRACKER.
 *	ENODEV, EIO	as for CHECKPOINT
 *
 * CBT_CMD_LOST_ACK
 *	One CBT_A_TRACKER selector. Whoever sends it has noted durably that the tracker is lost:
 *	writes that were held for that may go. Harmless otherwise. Reply: CBT_A_TRACKER.
 *
 * CBT_CMD_LABEL_GET, CBT_CMD_LABEL_SET
 *	One CBT_A_TRACKER selector; SET has a CBT_A_LABEL, too. Bytes that the store keeps for the
 *	controller, whatever they mean to it. Reply of GET: CBT_A_LABEL, CBT_LABEL_LEN bytes, as it
 *	was set and filled up with zeroes. Reply of SET, when it is durable: CBT_A_TRACKER.
 *	ENODEV, EIO	as for CHECKPOINT
 *
 * CBT_CMD_STATS_GET
 *	do:	one CBT_A_TRACKER selector. Reply: CBT_A_TRACKER (identity only) and CBT_A_STATS.
 *	dump:	no attribute. One such message per tracker, as for TRACKER_GET.
 *
 * FREEZE, COMMIT, MARK, CHECKPOINT, BYPASS and LABEL_SET wait for the store, for no longer than a second.
 *	EINPROGRESS	it was begun and is not durable yet: the same request again waits on
 *
 * CBT_CMD_EVENT (sent to the multicast group "events", which takes CAP_SYS_ADMIN to join)
 *	CBT_A_EVENT, CBT_A_SEQUENCE, and CBT_A_TRACKER with UUID, DEV, GENERATION, EPOCH and STATE
 *	as they were then; CBT_A_EPOCH_UUID where it is about an epoch, CBT_A_REASON where there is
 *	one to give. Multicast is lossy, and events are few: after a gap in the sequence numbers,
 *	ask TRACKER_GET.
 */
#ifndef _UAPI_LINUX_DM_CBT_H
#define _UAPI_LINUX_DM_CBT_H

#include <linux/types.h>

#define CBT_GENL_NAME		"dm_cbt"
#define CBT_GENL_VERSION	1

#define CBT_UUID_LEN		16	/* bytes, in RFC 9562 order */
#define CBT_NAME_LEN		127	/* characters of a mapped device's name, without the NUL */
#define CBT_TRACKERS_MAX	256	/* selectors in one FREEZE, COMMIT or ABORT */
#define CBT_RANGES_MAX		4000	/* in one CBT_A_RANGES */
#define CBT_LABEL_LEN		512
#define CBT_GENL_EVENTS		"events"

enum cbt_cmd {
	CBT_CMD_UNSPEC,
	CBT_CMD_TRACKER_GET,
	CBT_CMD_FREEZE,
	CBT_CMD_COMMIT,
	CBT_CMD_ABORT,
	CBT_CMD_MAP_GET,
	CBT_CMD_RELEASE,
	CBT_CMD_MARK,
	CBT_CMD_CHECKPOINT,
	CBT_CMD_BYPASS,
	CBT_CMD_LOST_ACK,
	CBT_CMD_LABEL_GET,
	CBT_CMD_LABEL_SET,
	CBT_CMD_STATS_GET,
	CBT_CMD_EVENT,

	__CBT_CMD_AFTER_LAST,
	CBT_CMD_MAX = __CBT_CMD_AFTER_LAST - 1
};

enum cbt_attr {
	CBT_A_UNSPEC,
	CBT_A_PAD,
	CBT_A_TRACKER,		/* nest of cbt_tracker_attr; may repeat */
	CBT_A_EPOCH_UUID,	/* 16 bytes, not all zero */
	CBT_A_WHICH,		/* u32, cbt_map_which */
	CBT_A_START,		/* u64, block */
	CBT_A_CHUNK,		/* nest of cbt_chunk_attr; may repeat */
	CBT_A_SUSPECT,		/* nest of cbt_chunk_attr, in regions; may repeat */
	CBT_A_RANGES,		/* array of struct cbt_blocks, 1 to CBT_RANGES_MAX */
	CBT_A_LABEL,		/* at most CBT_LABEL_LEN bytes */
	CBT_A_STATS,		/* nest of cbt_stats_attr */
	CBT_A_EVENT,		/* u32, cbt_event_kind */
	CBT_A_SEQUENCE,		/* u64, of the event, from 1 */
	CBT_A_REASON,		/* string */

	__CBT_A_AFTER_LAST,
	CBT_A_MAX = __CBT_A_AFTER_LAST - 1
};

enum cbt_tracker_attr {
	CBT_TRACKER_A_UNSPEC,
	CBT_TRACKER_A_PAD,
	CBT_TRACKER_A_UUID,		/* 16 bytes */
	CBT_TRACKER_A_NAME,		/* string; absent while the device is being removed */
	CBT_TRACKER_A_DEV,		/* u64, the mapped device as in st_rdev */
	CBT_TRACKER_A_ORIGIN_DEV,	/* u64, the origin as in st_rdev */
	CBT_TRACKER_A_GENERATION,	/* u64, from 1 */
	CBT_TRACKER_A_EPOCH,		/* u64, number of the running epoch, from 1 */
	CBT_TRACKER_A_SIZE_SECTORS,	/* u64, 512-byte sectors */
	CBT_TRACKER_A_BLOCK_SECTORS,	/* u32, power of two, 8 to 2048 */
	CBT_TRACKER_A_STATE,		/* u32, cbt_tracker_state */
	CBT_TRACKER_A_DIRTY_ACTIVE,	/* u64, blocks dirty in the running epoch */
	CBT_TRACKER_A_DIRTY_FROZEN,	/* u64, blocks; absent when none is frozen */
	CBT_TRACKER_A_FROZEN_EPOCH,	/* u64; absent when none is frozen */
	CBT_TRACKER_A_FROZEN_UUID,	/* 16 bytes; absent when none is frozen */
	CBT_TRACKER_A_BASE_UUID,	/* 16 bytes, epoch committed last; absent before */
	CBT_TRACKER_A_STORE_DEV,	/* u64, as in st_rdev; this and what follows up to
					 * DIFF_USED absent without a store */
	CBT_TRACKER_A_REGION_SECTORS,	/* u32, power of two; the identity has it, too */
	CBT_TRACKER_A_SUSPECT_ACTIVE,	/* u64, regions */
	CBT_TRACKER_A_SUSPECT_FROZEN,	/* u64, regions; absent when none is frozen */
	CBT_TRACKER_A_DIFF_SLOTS,	/* u64, blocks that the diff area has room for */
	CBT_TRACKER_A_DIFF_USED,	/* u64, of them in use */
	CBT_TRACKER_A_BROKEN,		/* string: why the frozen epoch can only be aborted; absent
					 * when it can be committed */
	CBT_TRACKER_A_FAILURE,		/* string: why the store failed; absent when it did not */

	__CBT_TRACKER_A_AFTER_LAST,
	CBT_TRACKER_A_MAX = __CBT_TRACKER_A_AFTER_LAST - 1
};

enum cbt_tracker_state {
	CBT_STATE_VOLATILE,	/* tracking in RAM only (store "-"): a reboot loses the map */
	CBT_STATE_ACTIVE,	/* tracking, and the map survives a crash */
	CBT_STATE_COMMITTING,	/* a commit was begun and its outcome is not known yet */
	CBT_STATE_LOST,		/* the store failed: writes go untracked, the map proves nothing */
	CBT_STATE_BYPASSED,	/* the same, on purpose */
};

enum cbt_map_which {
	CBT_MAP_ACTIVE = 1,	/* what the running epoch wrote */
	CBT_MAP_FROZEN = 2,	/* the delta being sent */
	CBT_MAP_BOTH = 3,	/* their union */
};

/*
 * A chunk reports blocks [START, START + BLOCKS). With RUNS or BITS only those named are dirty;
 * with neither, all are.
 */
enum cbt_chunk_attr {
	CBT_CHUNK_A_UNSPEC,
	CBT_CHUNK_A_PAD,
	CBT_CHUNK_A_START,	/* u64, block */
	CBT_CHUNK_A_BLOCKS,	/* u64, number of blocks, not 0 */
	CBT_CHUNK_A_RUNS,	/* array of struct cbt_run, ascending, with gaps between */
	CBT_CHUNK_A_BITS,	/* BLOCKS bits: bit i%8 of byte i/8; zeroes to 8 bytes */

	__CBT_CHUNK_A_AFTER_LAST,
	CBT_CHUNK_A_MAX = __CBT_CHUNK_A_AFTER_LAST - 1
};

/** struct cbt_run - dirty blocks inside a chunk: START + @start ... for @nr blocks, @nr not 0. */
struct cbt_run {
	__u32 start;
	__u32 nr;
};

/** struct cbt_blocks - @nr blocks of a disk from @start on, @nr not 0. */
struct cbt_blocks {
	__u64 start;
	__u64 nr;
};

/* What a tracker counts, since its module was loaded or it came to be. */
enum cbt_stats_attr {
	CBT_STATS_A_UNSPEC,
	CBT_STATS_A_PAD,

	/* u64, counters */
	CBT_STATS_A_QUEUED_WRITES,	/* writes that could not go at once, for whatever reason */
	CBT_STATS_A_COLD_MISSES,	/* ... because the store did not cover their blocks */
	CBT_STATS_A_GATE_WAITS,		/* ... because of a freeze */
	CBT_STATS_A_COPY_WAITS,		/* ... because frozen blocks had to be copied first */
	CBT_STATS_A_STORE_WRITES,	/* requests to the store: log, map, index, superblock */
	CBT_STATS_A_STORE_FLUSHES,	/* flushes of the store, and writes with FUA */
	CBT_STATS_A_STORE_BYTES,	/* written to the store, the diff area not counted */
	CBT_STATS_A_STORE_ERRORS,	/* the store was given up: then the tracker is lost */
	CBT_STATS_A_LOG_BLOCKS,		/* written, each with what waited by then */
	CBT_STATS_A_REGION_RECORDS,	/* in them: whole regions */
	CBT_STATS_A_RANGE_RECORDS,	/* in them: exact blocks */
	CBT_STATS_A_CHECKPOINTS,	/* that ended; one of them when the store is opened */
	CBT_STATS_A_CHECKPOINT_LEAVES,	/* map leaves written by checkpoints */
	CBT_STATS_A_FREEZES,
	CBT_STATS_A_COMMITS,
	CBT_STATS_A_ABORTS,
	CBT_STATS_A_BROKEN_EPOCHS,	/* overflow or a failed copy */
	CBT_STATS_A_COPIED_BLOCKS,
	CBT_STATS_A_COPIED_BYTES,
	CBT_STATS_A_SPILLED_BYTES,	/* of them, written on to the diff area */
	CBT_STATS_A_RELEASED_BLOCKS,	/* named by RELEASE, each time */

	/* u64, gauges: how it is now */
	CBT_STATS_A_HOT_REGIONS,	/* in which a first touch costs no write of the log */
	CBT_STATS_A_POOL_BYTES,		/* copies held in RAM */
	CBT_STATS_A_WAITING_WRITES,	/* queued, and not submitted yet */

	/* struct cbt_histogram; times in nanoseconds */
	CBT_STATS_A_COLD_WAIT,		/* of a write for its coverage */
	CBT_STATS_A_COPY_WAIT,		/* of a write for a copy */
	CBT_STATS_A_GATE_WAIT,		/* of a write for the end of a freeze */
	CBT_STATS_A_GROUP_SIZE,		/* writes served by one write of the log; no time */
	CBT_STATS_A_STORE_WAIT,		/* of a request to the store */
	CBT_STATS_A_FREEZE_TIME,	/* gates closed */
	CBT_STATS_A_CHECKPOINT_TIME,
	CBT_STATS_A_COMMIT_TIME,

	__CBT_STATS_A_AFTER_LAST,
	CBT_STATS_A_MAX = __CBT_STATS_A_AFTER_LAST - 1,

	CBT_STATS_A_FIRST_COUNT = CBT_STATS_A_QUEUED_WRITES,
	CBT_STATS_A_LAST_COUNT = CBT_STATS_A_WAITING_WRITES,
	CBT_STATS_A_FIRST_HISTOGRAM = CBT_STATS_A_COLD_WAIT,
	CBT_STATS_A_LAST_HISTOGRAM = CBT_STATS_A_COMMIT_TIME
};

#define CBT_HISTOGRAM_BUCKETS	40

/**
 * struct cbt_histogram - how many values there were of each size.
 *
 * Bucket i counts values from 2^i to 2^(i+1) - 1; bucket 0 zeroes too, the last one all above.
 */
struct cbt_histogram {
	__u64 sum;
	__u64 max;
	__u64 bucket[CBT_HISTOGRAM_BUCKETS];
};

enum cbt_event_kind {
	CBT_EVENT_UNSPEC,
	CBT_EVENT_ADDED,		/* the tracker came */
	CBT_EVENT_REMOVED,		/* the tracker went */
	CBT_EVENT_STATE,		/* its state is another one */
	CBT_EVENT_FROZEN,		/* an epoch was frozen */
	CBT_EVENT_COMMITTED,		/* ... ended by COMMIT */
	CBT_EVENT_ABORTED,		/* ... ended by ABORT, or by a growth of the disk */
	CBT_EVENT_BROKEN,		/* ... can only be aborted: overflow, a failed copy */
	CBT_EVENT_DIFF_WATERMARK,	/* three quarters of the diff area are in use */
	CBT_EVENT_STORE_ERROR,		/* a request to the store failed or took too long */
	CBT_EVENT_GENERATION,		/* a new generation began: what was known of it is void */
	CBT_EVENT_LOST			/* writes are about to go untracked: answer with LOST_ACK */
};

#endif
