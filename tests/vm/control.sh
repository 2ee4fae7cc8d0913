#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# cbtctl's commands about a tracker with a store: release, mark, checkpoint, label, stats,
# events, bypass and restore under a running writer.
#
# vm: disk=64M disk=64M disk=64M timeout=300
. "$(dirname "$0")/../lib.sh"
requires root dmsetup jq fio

field() { cbtctl "${@:2}" --json | jq -r "$1"; }
write_blocks()
{
	dd if=/dev/urandom of="/dev/mapper/$1" bs=4k seek="$2" count="$3" oflag=direct status=none
}

insmod_cbt
sectors=$(blockdev --getsz /dev/vda)
uuid=$(cbtctl format /dev/vda /dev/vdb)
check_fails "events need the capability" 11 'listen to events|CAP_SYS_ADMIN|not permitted' \
	setpriv --reuid=65534 --regid=65534 --clear-groups cbtctl monitor
cbtctl monitor --json >"$TMPDIR/events" &
monitor=$!
cleanup_fn eval "kill $monitor 2>/dev/null || true"
dmsetup create vm1 --table "0 $sectors cbt /dev/vda /dev/vdb"
cleanup_fn dmsetup remove --retry vm1
dmsetup create ram --table "0 $sectors cbt /dev/vdc -"
cleanup_fn dmsetup remove --retry ram
dmsetup mknodes

check_equal "a tracker has the UUID of its store" "$(field .tracker.uuid show vm1)" "$uuid"
check_equal "... and is active" "$(field .tracker.state show vm1)" active
check_equal "show tells its store" "$(field .tracker.store.device_path show vm1)" /dev/vdb
check_equal "... and nothing of one that it has not" "$(field .tracker.store show ram)" null
check_fails "a store in use is not checked" 16 'in use' cbtctl store-check /dev/vdb
check_fails "... nor formatted" 16 'in use' cbtctl format --force /dev/vda /dev/vdb

### mark and checkpoint

write_blocks vm1 10 2
check "blocks are marked" cbtctl mark vm1 100+5 200+1
check_equal "... and are dirty" "$(cbtctl map vm1)" $'10 2\n100 5\n200 1'
check_equal "... on the store, too" \
	"$(cbtctl store-dump --extents /dev/vdb | awk '$1 <= 10 && $1 + $2 >= 12' | wc -l)" 1
check_fails "a range past the end marks nothing" 15 'vm1: a range is not inside' \
	cbtctl mark vm1 300+1 16384+1
check_equal "... not even the others" "$(field .blocks map vm1 --totals)" 8
check_fails "a range without blocks is wrong usage" 2 'START\+NUMBER' cbtctl mark vm1 5+0
check "the map is written" cbtctl checkpoint vm1
check_equal "... exactly, and the log is empty" \
	"$(cbtctl store-dump --extents /dev/vdb; field .records store-dump /dev/vdb)" \
	$'10 2\n100 5\n200 1\n0'
check_equal "nothing is suspect without a crash" "$(cbtctl map --suspect vm1)" ""
check_fails "without a store there is no checkpoint" 15 'no store' cbtctl checkpoint ram
check "a loss that did not happen may be acknowledged" cbtctl lost-ack vm1

### label

check "a label is set" cbtctl label vm1 --set 'relationship 7'
check_equal "... and kept" "$(cbtctl label vm1)" "relationship 7"
check_equal "... by the store" "$(field .store.label store-dump /dev/vdb)" "relationship 7"
check_fails "a label has 512 bytes" 15 'at most 512 bytes' \
	cbtctl label vm1 --set "$(printf 'x%.0s' {1..513})"
check_fails "without a store there is no label" 15 'no store' cbtctl label ram

### release, and events of epochs

epoch=$(cbtctl freeze vm1)
check "frozen blocks are released" cbtctl release --epoch "$epoch" vm1 100+5 10+1
check_fails "... of the frozen epoch only" 17 'not the frozen one' \
	cbtctl release --epoch "$uuid" vm1 100+5
check_fails "... and inside the disk" 15 'not inside' \
	cbtctl release --epoch "$epoch" vm1 16380+5
check_fails "... and not more blocks than there are" 15 'overlap' \
	cbtctl release --epoch "$epoch" vm1 0+16384 0+1
check_fails "the same of marks" 15 'overlap' cbtctl mark vm1 0+16384 0+1
check_equal "they stay frozen, for an abort" "$(field .tracker.frozen.blocks show vm1)" 8
cbtctl commit --epoch "$epoch" vm1
seen() { jq -se "any(.event == \"$1\" and .epoch_uuid == \"$epoch\")" "$TMPDIR/events" >/dev/null; }
check "a freeze is told" wait_for 20 seen frozen
check "... and a commit" wait_for 20 seen committed
check_equal "events are numbered without a gap" \
	"$(jq -s '[.[].sequence] | . == [range(.[0]; .[0] + length)]' "$TMPDIR/events")" true

### statistics

check_equal "freezes and commits are counted" \
	"$(field '[.counts.freezes, .counts.commits, .histograms.freeze_time.count] | tojson' stats vm1)" \
	"[1,1,1]"
check_equal "writes to the store are" "$(field '.counts.store_writes > 0' stats vm1)" true
check_equal "a tracker in memory has none" "$(field .counts.store_writes stats ram)" 0
before=$(field '[.counts.store_writes, .counts.store_flushes] | tojson' stats vm1)
write_blocks vm1 50 1
check_equal "a first touch costs writes of the store" \
	"$([ "$before" != "$(field '[.counts.store_writes, .counts.store_flushes] | tojson' stats vm1)" ] &&
		echo yes)" yes
check "stats has a table" grep -q '^freeze_time  *1 ' <(cbtctl stats vm1)

### bypass and restore under a running writer

fio --name=w --filename=/dev/mapper/vm1 --rw=randwrite --bs=4k --size=32m --direct=1 \
	--ioengine=psync --rate_iops=300 --time_based --runtime=1000 --output="$TMPDIR/fio" &
fio=$!
cleanup_fn eval "kill $fio 2>/dev/null || true"
generation=$(field .tracker.generation show vm1)
check "a tracker is bypassed under a writer" timeout 60 cbtctl bypass vm1
check_equal "... its device is a linear one" \
	"$(dmsetup table vm1 | cut -d' ' -f3-)" "linear 254:0 0"
check_fails "... and the tracker is gone" 15 'no such tracker' cbtctl show vm1
check_equal "... whose store says so" \
	"$(field '.store.flags | index("bypassed") != null' store-dump /dev/vdb)" true
check_fails "a store that is none does not come under the device" any 'store /dev/vdc ' \
	timeout 60 cbtctl restore vm1 /dev/vdc
check "the writer writes on" kill -0 "$fio"
check "a tracker is restored" timeout 60 cbtctl restore vm1 /dev/vdb
check_equal "... in a new generation" \
	"$(field ".tracker.generation > $generation" show vm1)" true
dirty() { [ "$(field .tracker.dirty.blocks show vm1)" -gt 0 ]; }
check "... and the writer's blocks become dirty" wait_for 30 dirty
check_fails "what was not bypassed is not restored" 17 'not one that was bypassed' \
	cbtctl restore ram -
kill "$fio"
rc=0
wait "$fio" || rc=$?
check_equal "the writer saw no error" "$(grep -c 'err= *[1-9]' "$TMPDIR/fio" || true)" 0

### restore of a device that was made linear at boot, while the store was away

epoch=$(cbtctl freeze vm1)
cbtctl commit --epoch "$epoch" vm1 >/dev/null
generation=$(field .tracker.generation show vm1)
dmsetup remove --retry vm1
dmsetup create vm1 --table "0 $sectors linear /dev/vda 0"
dmsetup mknodes
write_blocks vm1 5000 1
check "it is restored by hand" timeout 60 cbtctl restore vm1 /dev/vdb
check_equal "... in a new generation, for nobody saw what was written" \
	"$(field "[.tracker.generation > $generation, .tracker.base] | tojson" show vm1)" "[true,null]"
