#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# cbtctl format, store-dump and store-check, on files and loop devices, without the
# module. store.py writes blocks of a store independently of the code under test.
#
# e2e: timeout=120
. "$(dirname "$0")/../lib.sh"
requires jq

origin=$TMPDIR/origin store=$TMPDIR/store
truncate -s 1G "$origin"
truncate -s 100M "$store"

field() { cbtctl "${@:2}" --json | jq -r "$1"; }
blocks() { python3 "$(dirname "$0")/store.py" "$store" "$@"; }
digest() { sha256sum <"$store"; }

### planning

check_equal "a plan tells the sizes of the parts" \
	"$(field '[.log_bytes, .map_bytes, .least_bytes, .diff_bytes, .total_bytes] | tojson' \
		format --plan 1T)" '[8388608,67112960,75567104,54975582208,55051149312]'
check_equal "... of a disk as of its size" \
	"$(cbtctl format --plan "$origin")" "$(cbtctl format --plan 1G)"
check_equal "larger blocks make the map smaller" \
	"$(field .map_bytes format --plan 1T --block-size 64K)" $((8192 / 16 * 8192 + 4096))
check_equal "capacity makes room for growth" \
	"$(field '[.capacity_bytes, .map_bytes] | tojson' format --plan 1G --capacity 2G)" \
	"[2147483648,$((16 * 8192 + 4096))]"
check_equal "a small log makes a small store" \
	"$(field .least_bytes format --plan 1G --log-size 64K)" $((65536 + 65536 + 4096 + 8 * 8192))
check_fails "an impossible block size is refused" 15 'power of two' \
	cbtctl format --plan 1G --block-size 12K
check_fails "an impossible region size is refused" 15 'region size must be' \
	cbtctl format --plan 1G --region-size 8K
check_fails "a log that is too small is refused" 15 'half of the log' \
	cbtctl format --plan 1G --log-size 4K
check_fails "a disk that is too large for its blocks is refused" 15 'larger block size' \
	cbtctl format --plan 5000T
check_fails "a size that is none is wrong usage" 2 "'x' is not a size for --log-size" \
	cbtctl format --plan 1G --log-size x
check_fails "a plan is about one disk" 2 'one disk or size' cbtctl format --plan 1G 2G
check_fails "a store is not formatted without its origin" 2 'must be named' cbtctl format "$store"
check_fails "a disk that is not there is refused" 21 'No such file' cbtctl format --plan "$TMPDIR/x"

### formatting

uuid=$(cbtctl format "$origin" "$store")
check "format prints the tracker's UUID" \
	grep -qE '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' <<<"$uuid"
check_equal "the store says so" "$(field .store.uuid store-dump "$store")" "$uuid"
check_equal "it begins with generation 1 and epoch 1, clean and with nothing committed" \
	"$(field '.store | [.generation, .lineage, .epoch, .committed, .flags[0], .fingerprint] | tojson' \
		store-dump "$store")" '[1,1,1,0,"clean",null]'
check_equal "both superblocks are there" "$(field '.slots | tojson' store-dump "$store")" '[2,1]'
check_equal "what is left is the diff area" "$(field .store.diff_slots store-dump "$store")" \
	$(((104857600 - 65536 - 8388608 - 4096 - 8 * 8192) / 4096))
check "a new store is sound" cbtctl store-check "$store"
check_equal "... and clean" "$(field '[.dirty.blocks, .suspect.regions, .records] | tojson' \
	store-check "$store")" '[0,0,0]'
before=$(digest)
check_fails "a store is not formatted twice" 16 "holds the map of tracker $uuid; --force" \
	cbtctl format "$origin" "$store"
check_equal "... and nothing was written" "$(digest)" "$before"
check_fails "origin and store are two" 15 'the same disk' cbtctl format "$origin" "$origin"
ln "$origin" "$TMPDIR/link"
check_fails "... whatever their names" 15 'the same disk' cbtctl format "$origin" "$TMPDIR/link"
truncate -s 8000000 "$TMPDIR/small"
check_fails "a store that is too small is refused with the size needed" 15 \
	'too small: it has 7999488 bytes, 8523776 are needed' cbtctl format "$origin" "$TMPDIR/small"
check_fails "a directory is no store" 15 'neither a block device' cbtctl format "$origin" "$TMPDIR"
check_fails "what holds no store cannot be checked" 17 'holds no store' cbtctl store-check "$origin"

### what a crash would leave, and damage

blocks range 100 5
check_equal "a record of the log is dirty and not suspect" \
	"$(field '[.dirty.blocks, .suspect.regions, .records, .log_blocks] | tojson' \
		store-check "$store")" '[5,0,1,1]'
blocks region 1024 1024
check_equal "a region's is suspect, too" \
	"$(field '[.dirty.blocks, .dirty.bytes, .suspect.regions, .suspect.bytes] | tojson' \
		store-check "$store")" '[1029,4214784,1,4194304]'
blocks page 2 7 8
check_equal "so are pages that the index names" "$(cbtctl store-dump --extents "$store")" \
	$'100 5\n1024 1024\n32775 2'
check_equal "... in bytes" "$(cbtctl store-dump --extents --bytes "$store" | head -n 1)" \
	"409600 20480"
check "all that is sound" cbtctl store-check "$store"
blocks torn 5
check_equal "a torn log block is no damage" \
	"$(field '[.torn_log_blocks, .problem] | tojson' store-check "$store")" '[1,null]'
blocks damage-super 0
check_equal "one superblock is enough" "$(field '.slots | tojson' store-check "$store")" '[null,1]'
check_equal "... and which is not valid is shown" \
	"$(cbtctl store-check "$store" | grep '^Slot 0')" "Slot 0      the superblock is damaged"
blocks damage-page 2
check_fails "a damaged page is not sound" 10 'blocks of the map are damaged' \
	cbtctl store-check "$store"
check_equal "... and counts as dirty and suspect" \
	"$(cbtctl store-dump "$store" --json | jq -c '[.dirty.blocks, .suspect.regions, .damaged_blocks]')" \
	'[17413,17,1]'
blocks damage-super 1
check_fails "without a superblock there is no store" 10 'the superblock is damaged' \
	cbtctl store-check "$store"
check_fails "a store whose superblocks are damaged is not lost by mistake" 16 \
	'damaged or of another version; --force' cbtctl format "$origin" "$store"
check "--force makes it anew" cbtctl format --force --block-size 64K "$origin" "$store"
check_equal "... with nothing left of the old one" \
	"$(field '[.dirty.blocks, .records, .damaged_blocks, .store.block_bytes] | tojson' \
		store-check "$store")" '[0,0,0,65536]'
truncate -s 50M "$store"
check_fails "a store that was cut short is not sound" 10 'smaller than the store on it' \
	cbtctl store-check "$store"
truncate -s 100M "$store"

### what a store must not destroy

mkfs.ext4 -qF "$store"
check_fails "a file system is not overwritten" 16 'holds a file system \(ext4\); --force' \
	cbtctl format "$origin" "$store"
mkswap "$store" >/dev/null 2>&1
check_fails "nor is what else is known" 16 'holds swap data' cbtctl format "$origin" "$store"
truncate -s 0 "$store"
truncate -s 64M "$store"
printf 'a disk of a database' | dd of="$store" bs=1 seek=20000 conv=notrunc status=none
check_fails "nor what nothing here knows" 16 'is not blank.* --force' cbtctl format "$origin" "$store"
check_equal "... which is still there" "$(dd if="$store" bs=1 skip=20000 count=20 status=none)" "a disk of a database"
check "--force overwrites it" cbtctl format --force "$origin" "$store"
check_equal "... and all that it was known by" "$(blkid -p "$store")" ""

if [ "$(id -u)" = 0 ] && losetup -f >/dev/null 2>&1; then
	dev=$(loop_file "$store" 100M)
	cleanup_fn losetup -d "$dev"
	check "a store on a device is checked" cbtctl store-check "$dev"
	python3 -c '
import os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_EXCL)
open(sys.argv[2], "w").close()
time.sleep(100)' "$dev" "$TMPDIR/held" &
	wait_for 60 test -e "$TMPDIR/held"
	check_fails "a store in use is not checked" 16 'is in use' cbtctl store-check "$dev"
	check_fails "... nor formatted" 16 'is in use' cbtctl format --force "$origin" "$dev"
	check "... but dumped" cbtctl store-dump "$dev"
	kill $!
	wait $! 2>/dev/null || true
	origin_dev=$(loop_file "$TMPDIR/whole" 300M)
	cleanup_fn losetup -d "$origin_dev"
	check "a store on a device is made" cbtctl format --force "$origin_dev" "$dev"
	check_fails "a device is no store for itself" 15 'the same disk' \
		cbtctl format --force "$dev" "$dev"
else
	skip "stores on devices" "no loop devices"
fi
