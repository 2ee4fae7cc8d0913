#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A tracker with a store: what outlives a stop, a crash and a growth, what begins a generation, and
# a store that fails, hangs or does not fit.
#
# A crash is played on copies: what is on the disks at an instant is copied below the tracker and
# attached after the tracker is gone. Unflushed writes are there, too; tests/powercut drops them.
#
# vm: disk=192M disk=48M disk=192M disk=48M disk=64M timeout=240 quick=6.1
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/coverage.bash"

origin=/dev/vda store=/dev/vdb origin_copy=/dev/vdc store_copy=/dev/vdd
insmod_cbt
sectors=$(blockdev --getsz $origin)
cleanup_fn eval 'for d in t t2 store origin; do dmsetup remove --retry $d 2>/dev/null || true; done'

format() { cbtctl format --force "$@" >"$TMPDIR/uuid"; }

attach()
{
	dmsetup create "${3:-t}" --table "0 $(blockdev --getsz "$1") cbt $1 $2"
	dmsetup mknodes
}

# field <n>: of `dmsetup status t`, the tracker's fields from 1 on
field() { dmsetup status t | awk -v n="$1" '{ print $(n + 3) }'; }

# The tracker is wherever its worker is: what waits is done when a write is.
write_blocks()
{
	dd if=/dev/urandom of=/dev/mapper/t bs=4k seek="$1" count="$2" oflag=direct status=none
}

scatter()
{
	fio --name=scatter --filename=/dev/mapper/t --direct=1 --ioengine=io_uring --iodepth=16 \
		--rw=randwrite --bs=4k --io_size="$1" --randseed="$2" >/dev/null
}

refused()
{
	dmesg --clear
	if dmsetup create bad --table "$3" >/dev/null 2>&1; then
		not_ok "$1"
	elif dmesg | grep -qE "$2"; then
		ok "$1"
	else
		not_ok "$1"
		dmesg | diag
	fi
	dmsetup remove bad >/dev/null 2>&1 || true
}

# crash: copy both disks below the running tracker
crash()
{
	blockdev --flushbufs $origin $store
	dd if=$origin of=$origin_copy bs=1M oflag=direct status=none
	dd if=$store of=$store_copy bs=1M oflag=direct status=none
}

# --- a stop ---

format $origin $store
attach $origin $store
check_equal "a new store begins with a clean map" "$(field 7)" 0
check_equal "... in generation 1, active" "$(field 2) $(field 3)" "1 active"
check_equal "... under the UUID that format printed" "$(field 1)" \
	"$(grep -oE '[0-9a-f]{8}-[0-9a-f-]{27}' "$TMPDIR/uuid" | head -1)"
write_blocks 5 3
write_blocks 40000 2
before=$(cbtctl map t)
dmsetup remove t
attach $origin $store
check_equal "the map outlives a stop" "$(cbtctl map t)" "$before"
check_equal "... in the same generation" "$(field 2)" 1
epoch=$(cbtctl freeze t)
write_blocks 100 1
cbtctl commit --epoch "$epoch" t >/dev/null
check_equal "a commit leaves what was written since" "$(cbtctl map t)" "100 1"
dmsetup remove t
attach $origin $store
check_equal "... also after a stop" "$(cbtctl map t)" "100 1"
check "... and a repeated commit is known" cbtctl commit --epoch "$epoch" t
epoch=$(cbtctl freeze t)
write_blocks 200 1
dmsetup remove t
attach $origin $store
check_equal "a stop while frozen aborts the epoch" "$(cbtctl map t | tr '\n' ' ')" "100 1 200 1 "
check_fails "... and its commit is refused" 17 "aborted" cbtctl commit --epoch "$epoch" t
dmsetup remove t

# --- a crash ---

format --log-size 64K $origin $store
dd if=$origin of=$origin_copy bs=1M oflag=direct status=none
attach $origin $store
scatter 12m 1
fio --name=line --filename=/dev/mapper/t --direct=1 --ioengine=io_uring --iodepth=8 --rw=write \
	--bs=64k --offset=96m --size=24m >/dev/null
blkdiscard -z -o $((130 << 20)) -l $((9 << 20)) /dev/mapper/t
differing $origin $origin_copy >"$TMPDIR/differing"
crash
exact=$(field 7)
dmsetup remove t
attach $origin_copy $store_copy
mapped t >"$TMPDIR/mapped"
check_equal "after a crash no written block is missing, through many checkpoints" \
	"$(comm -23 "$TMPDIR/differing" "$TMPDIR/mapped" | wc -l)" 0
check "... and something was written" test -s "$TMPDIR/differing"
check "... and the excess is bounded by the hot regions" \
	test "$(field 7)" -le $((exact + 1024 * 1024))
diag "written $exact, after the crash $(field 7)"
check_equal "... the generation goes on" "$(field 2)" 1
dmsetup remove t
attach $origin_copy $store_copy
check_equal "a second attach finds the same" "$(mapped t | cmp - "$TMPDIR/mapped" && echo same)" same
dmsetup remove t

format $origin $store
attach $origin $store
write_blocks 7 1
committed=$(cbtctl freeze t)
cbtctl commit --epoch "$committed" t >/dev/null
write_blocks 3000 1
frozen=$(cbtctl freeze t)
write_blocks 9000 1
crash
dmsetup remove t
attach $origin_copy $store_copy
check_equal "after a crash what was committed is not in the map, what was frozen is" \
	"$(cbtctl map t | tr '\n' ' ')" "3000 1 9000 1 "
check "... the commit is known" cbtctl commit --epoch "$committed" t
check_fails "... the frozen epoch is aborted" 17 "aborted" cbtctl commit --epoch "$frozen" t
check_equal "... and the base stands" "$(cbtctl show t --json | jq -r .tracker.base)" "$committed"
dmsetup remove t

# --- behind its back ---

format $origin $store
attach $origin $store
write_blocks 7 1
dmsetup remove t
dd if=/dev/urandom of=$origin bs=4k count=1 oflag=direct status=none
attach $origin $store
check_equal "an origin that was written meanwhile begins a generation" "$(field 2) $(field 7)" "2 0"
dmsetup remove t

# --- growth ---

dmsetup create origin --table "0 $((sectors / 2)) linear $origin 0"
dmsetup mknodes
format --capacity "$((sectors * 512))" /dev/mapper/origin $store
attach /dev/mapper/origin $store
write_blocks 7 1
dmsetup suspend origin
dmsetup reload origin --table "0 $sectors linear $origin 0"
dmsetup resume origin
dmsetup reload t --table "0 $sectors cbt /dev/mapper/origin $store"
dmsetup suspend t
dmsetup resume t
check_equal "a disk that grows keeps its map, and what was added is in it" \
	"$(cbtctl map t | tr '\n' ' ')" "7 1 $((sectors / 16)) $((sectors / 16)) "
check_equal "... in a new generation" "$(field 2)" 2
crash
dmsetup remove t
attach $origin_copy $store_copy
check_equal "... also after a crash" "$(cbtctl map t | tr '\n' ' ')" \
	"7 1 $((sectors / 16)) $((sectors / 16)) "
dmsetup remove t
dmsetup remove origin

# --- what does not fit ---

format $origin $store
format --capacity 64M /dev/vde $store
refused "a store for a smaller disk is refused" "larger than what the store was formatted for" \
	"0 $sectors cbt $origin $store"
format $origin $store
refused "another block size than the store's is refused" "another block size" \
	"0 $sectors cbt $origin $store 2 block_size 16"
dmsetup create short --table "0 16384 linear $store 0"
dmsetup mknodes
refused "a store device that is too small is refused" "smaller than the store" \
	"0 $sectors cbt $origin /dev/mapper/short"
dmsetup remove short
attach $origin $store
refused "a store that is in use is refused" "belongs to another tracker" \
	"0 $sectors cbt $origin_copy $store"
refused "a store as origin is refused" "is an origin, or the other way round" \
	"0 $(blockdev --getsz $store) cbt $store -"
crash
refused "a copy of a store that is in use is refused" "same UUID" \
	"0 $sectors cbt $origin_copy $store_copy"
dmsetup remove t

# --- failure ---

flaky_store()
{
	dmsetup create store --table "0 $(blockdev --getsz $store) linear $store 0"
	dmsetup mknodes
	format $origin /dev/mapper/store
	attach $origin /dev/mapper/store
}

flaky_store
write_blocks 7 1
dmsetup suspend --nolockfs store
dmsetup reload store --table "0 $(blockdev --getsz $store) error"
dmsetup resume store
check "with a store that fails the guest goes on" write_blocks 30000 8
check "... and the tracker is lost" wait_for 60 eval '[ "$(field 3)" = lost ]'
check_fails "... which a freeze says" any "lost" cbtctl freeze t
dmsetup remove t
dmsetup suspend --nolockfs store
dmsetup reload store --table "0 $(blockdev --getsz $store) linear $store 0"
dmsetup resume store
attach $origin /dev/mapper/store
check_equal "... and remembered, though the store could not note it" "$(field 2) $(field 7)" "2 0"
dmsetup remove t
dmsetup remove store

flaky_store
write_blocks 7 1
dmsetup suspend --nolockfs --noflush store
start=$SECONDS
check "with a store that hangs the guest goes on" timeout 60 dd if=/dev/zero of=/dev/mapper/t bs=4k \
	seek=30000 count=1 oflag=direct status=none
diag "after $((SECONDS - start)) s"
check_equal "... and the tracker is lost" "$(field 3)" lost
dmsetup resume store
check "... a bit later the device can be removed" dmsetup remove --retry t
attach $origin /dev/mapper/store
check_equal "... and the next attach begins a generation" "$(field 2)" 2
dmsetup remove t
dmsetup remove store
