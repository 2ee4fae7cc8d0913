#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a tracker counts, times and traces, each number after something that changes it in a known
# way; and the event of a diff area that fills up.
. "$(dirname "$0")/../lib.sh"
requires root dmsetup jq fio

modprobe brd rd_nr=2 rd_size=65536
cleanup_fn rmmod brd
insmod_cbt copy_pool_kib=64
origin=/dev/ram0
sectors=$(blockdev --getsz $origin)
tracing=/sys/kernel/tracing
mountpoint -q $tracing || mount -t tracefs none $tracing
echo 1 >$tracing/events/dm_cbt/enable
cleanup_fn eval "echo 0 >$tracing/events/dm_cbt/enable; echo >$tracing/trace"

# room for log, map and 64 blocks of diff area or so
dmsetup create store --table "0 1024 linear /dev/ram1 0"
cleanup_fn dmsetup remove --retry store
dmsetup mknodes
cbtctl format --log-size 64K $origin /dev/mapper/store >/dev/null
cbtctl monitor --json >"$TMPDIR/events" &
monitor=$!
cleanup_fn eval "kill $monitor 2>/dev/null || true"
dmsetup create t --table "0 $sectors cbt $origin /dev/mapper/store"
cleanup_fn dmsetup remove --retry t
dmsetup mknodes

write_blocks()
{
	dd if=/dev/urandom of=/dev/mapper/t bs=4k seek="$1" count="$2" oflag=direct status=none
}

# grew NAME...: by how much each number grew since grew was called last; with =NAME, how it is now
echo '{"counts":{}}' >"$TMPDIR/stats"
grew()
{
	mv "$TMPDIR/stats" "$TMPDIR/before"
	cbtctl stats t --json >"$TMPDIR/stats"
	jq -rn --slurpfile a "$TMPDIR/before" --slurpfile b "$TMPDIR/stats" '
		def value($s): $s[0] as $s | . as $n | $s.counts[$n] // $s.histograms[$n].count;
		[$ARGS.positional[] | if startswith("=") then .[1:] | value($b)
			else value($b) - value($a) end] | join(" ")' --args "$@"
}
traced() { grep -cE "$1" $tracing/trace || true; }

### the log

grew >/dev/null
write_blocks 10 1
check_equal "a cold write takes one block of the log, with a range, and is timed" \
	"$(grew cold_misses log_blocks range_records region_records store_writes store_bytes \
		store_wait cold_wait group_size =hot_regions)" "1 1 1 0 1 4096 1 1 1 0"
check_equal "... and traced" "$(traced 'cbt_group_commit: .* writes=1 records=1 .* error=0')" 1
write_blocks 20 1
check_equal "the second miss takes the region, which is hot then" \
	"$(grew log_blocks range_records region_records =hot_regions)" "1 0 1 1"
write_blocks 20 1
check_equal "a dirty block costs nothing" \
	"$(grew queued_writes cold_misses log_blocks store_writes store_bytes)" "0 0 0 0 0"

### the checkpoint

cbtctl checkpoint t
# page, index and superblock; a flush, and one with the superblock
check_equal "a checkpoint counts the leaf that it writes, and no region stays hot" \
	"$(grew checkpoints checkpoint_leaves checkpoint_time store_writes store_bytes store_flushes \
		store_wait =hot_regions)" "1 1 1 3 16384 2 4 0"
check_equal "... and is traced" "$(traced 'cbt_checkpoint: .* leaves=1 .* error=0')" 1

### writes that wait

dmsetup suspend --nolockfs --noflush store
write_blocks 5000 1 &
waits() { [ "$(grew =waiting_writes)" = "$1" ]; }
check "a write that waits for the store is seen waiting" wait_for 4 waits 1
dmsetup resume store
rc=0
wait $! || rc=$?
check_equal "... until it goes" "$rc $(grew =waiting_writes)" "0 0"

fio --name=w --filename=/dev/mapper/t --rw=randwrite --bs=4k --size=32m --offset=32m --direct=1 \
	--ioengine=io_uring --iodepth=16 --time_based --runtime=1000 --output=/dev/null &
fio=$!
cleanup_fn eval "kill $fio 2>/dev/null || true"
freeze_meets_a_write()
{
	cbtctl abort --epoch "$(cbtctl freeze t)" t
	[ "$(grew =gate_waits)" -gt 0 ]
}
check "a write that meets a freeze is counted" wait_for 60 freeze_meets_a_write
kill $fio
wait $fio || true
grew >/dev/null
check_equal "... and timed, and none is left waiting" \
	"$(jq -c '[.counts.gate_waits == .histograms.gate_wait.count, .counts.waiting_writes]' \
		"$TMPDIR/stats")" "[true,0]"

### copies

slots=$(cbtctl show t --json | jq .tracker.store.diff_slots)
write_blocks 1000 "$slots"
epoch=$(cbtctl freeze t)
grew >/dev/null
write_blocks 1000 1
check_equal "an overwrite of a frozen block waits for its copy" \
	"$(grew copy_waits copy_wait copied_blocks copied_bytes)" "1 1 1 4096"
check_equal "... and the copy is traced" \
	"$(traced 'cbt_copy: .* first=1000 blocks=1 duration=[1-9][0-9]* error=0')" 1
nr_told()
{
	jq -s "[.[] | select(.event == \"diff-watermark\" and .epoch_uuid == \"$epoch\")] | length" \
		"$TMPDIR/events"
}
told() { [ "$(nr_told)" -gt 0 ]; }
cbtctl release --epoch "$epoch" t 1000+1 12288+7
check_equal "released blocks are counted" "$(grew released_blocks)" 8
write_blocks 1001 $((slots / 2))
check_fails "of a diff area that is half full nothing is told" 1 '' told
write_blocks $((1001 + slots / 2)) $((slots - slots / 2 - 1))
check "three quarters are told" wait_for 20 told
check_equal "... once" "$(nr_told)" 1
cbtctl commit --epoch "$epoch" t

### a store that fails

write_blocks 6000 1
dmsetup suspend --nolockfs store
dmsetup reload store --table "0 1024 error"
dmsetup resume store
grew >/dev/null
check_fails "a checkpoint that cannot be written fails" 10 'lost' cbtctl checkpoint t
check_equal "... is not counted, but the store's failure is" \
	"$(grew checkpoints store_errors)" "0 1"
check_equal "... and both are traced" "$(traced 'cbt_checkpoint: .* error=-5')" 1
check "stats has a table of all" \
	grep -q '^store_bytes  *[1-9]' <(cbtctl stats t)

### the same for monitoring

failback metrics | "$top/tests/openmetrics.py" >"$TMPDIR/samples"
check "metrics are well-formed" test -s "$TMPDIR/samples"
# of the counts, and by name
sample() { sed -n "s/^failback_tracker_$1 //p" "$TMPDIR/samples"; }
check_equal "... say that the store failed" "$(sample 'lost{tracker="t"}')" 1
check_equal "... count the same" \
	"$(for name in cold_misses commits released_blocks; do sample "${name}_total{tracker=\"t\"}"; done | paste -sd' ')" \
	"$(cbtctl stats t --json | jq -r '.counts | "\(.cold_misses) \(.commits) \(.released_blocks)"')"
check_equal "... and how many writes waited for a copy" "$(sample 'write_wait_seconds_count{tracker="t",reason="copy"}')" \
	"$(cbtctl stats t --json | jq .histograms.copy_wait.count)"
check_equal "... in bytes what is dirty" "$(sample 'dirty_bytes{tracker="t"}')" \
	"$(cbtctl show t --json | jq '.tracker.dirty.blocks * 4096')"
