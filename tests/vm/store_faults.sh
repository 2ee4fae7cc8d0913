#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A store that fails, hangs or goes away at each step, and an origin that fails: the guest sees only
# the origin's own errors and never waits longer than deadline and hold time (kmod/store.h); nothing
# that was lost is trusted later.
#
# vm: disk=64M disk=16M timeout=900 quick=6.1
# vm-allow: blk_update_request|I/O error, dev|Buffer I/O error on dev|rejecting I/O
. "$(dirname "$0")/../lib.sh"

insmod_cbt
sectors=$(blockdev --getsz /dev/vda)
# the parts of a store for 64 MiB with 64 KiB of log, in sectors
declare -A first=([super]=0 [log]=128 [map]=256 [diff]=280)
declare -A length=([super]=128 [log]=128 [map]=24 [diff]=$(($(blockdev --getsz /dev/vdb) - 280)))
# deadline, the time until that is looked at, hold; and emulation on a busy machine
slow=${CHECK_SHORT:+4} # times, on the debug kernel, of whose time nobody expects anything
slow=${slow:-1}
bound_ms=$(((5000 + 500 + 3000 + 5000) * slow))
cleanup_fn eval 'for d in t store origin; do dmsetup remove --retry $d 2>/dev/null || true; done'

field() { cbtctl show t --json | jq -r ".tracker.$1"; }
state_is() { [ "$(field state)" = "$1" ]; }

# store_table [<part> <target>]: of the store, where a part may be another target than linear
store_table()
{
	local part target

	for part in super log map diff; do
		case $part/${1:-}/${2:-} in
		"$part/$part/error") target=error ;;
		"$part/$part/error_writes")
			target="flakey /dev/vdb ${first[$part]} 0 3600 1 error_writes"
			;;
		*) target="linear /dev/vdb ${first[$part]}" ;;
		esac
		echo "${first[$part]} ${length[$part]} $target"
	done
}

set_store()
{
	dmsetup suspend --nolockfs store
	store_table "$@" | dmsetup reload store
	dmsetup resume store
}

attach()
{
	dmsetup create t --table "0 $sectors cbt ${1:-/dev/vda} /dev/mapper/store"
	dmsetup mknodes
}

new_tracker()
{
	cbtctl format --force --log-size 64K "${1:-/dev/vda}" /dev/mapper/store >/dev/null
	attach "$@"
	write_block 7
}

# write_block <block>: and note how long it took
write_block()
{
	local begin=${EPOCHREALTIME/./} rc=0

	timeout 60 dd if=/dev/urandom of=/dev/mapper/t bs=4k seek="$1" count=1 oflag=direct \
		status=none || rc=$?
	took_ms=$(((${EPOCHREALTIME/./} - begin) / 1000))
	echo $took_ms >>"$TMPDIR/took"
	return $rc
}

# Outside of what is dirty: each needs coverage of its own.
write_cold()
{
	local block

	for block in 1000 5000 9000 13000; do
		write_block $block || return 1
	done
}

# goes_on <claim>: the guest does, and the tracker is lost, which nobody takes for sound. An epoch
# that is frozen can be aborted, unless it is being committed: nobody knows whether it was.
goes_on()
{
	check "$1: the guest's writes go on" write_cold
	check "$1: ... the tracker is lost" wait_for 20 state_is lost
	if [ "$step" = commit ]; then
		check_fails "$1: ... its outcome is not known" any committed \
			cbtctl abort --epoch "$epoch" t
		check_equal "$1: ... and not shown as the base" "$(field base)" null
	else
		[ "$(field frozen)" = null ] || cbtctl abort --epoch "$(field frozen.uuid)" t
		check_fails "$1: ... which a freeze says" any lost cbtctl freeze t
	fi
	dmsetup resume store
	dmsetup remove --retry t
	set_store
	attach
	check_equal "$1: ... and the next attach begins a generation, with no base" \
		"$(field generation) $(field base)" "2 null"
	dmsetup remove --retry t
}

# step <name>: something that uses the store, with or without success
epoch=
step()
{
	case $1 in
	write) write_block 3000 ;;
	mark) cbtctl mark t 4000+1 ;;
	checkpoint) cbtctl checkpoint t ;;
	label) cbtctl label t --set 'a label' ;;
	freeze) cbtctl freeze t ;;
	commit) cbtctl commit --epoch "$epoch" t ;;
	esac >"$TMPDIR/step" 2>&1 || true
}

store_table | dmsetup create store
dmsetup mknodes

# --- errors ---

for case in write/log mark/log checkpoint/map checkpoint/super label/super freeze/super commit/super; do
	step=${case%/*} part=${case#*/}
	new_tracker
	[ "$step" != commit ] || epoch=$(cbtctl freeze t)
	set_store "$part" error
	step "$step"
	# a step that failed as a whole is behind us; what follows finds the same store
	goes_on "$step with an error of the store's $part"
done

new_tracker
set_store map error
write_block 3000 # what was dirty before may be in a checkpoint already
dmsetup remove --retry t
set_store
attach
if [ $slow = 1 ] || [ "$(field generation)" != 1 ]; then
	check_equal "a stop whose checkpoint fails begins a generation" "$(field generation) $(field base)" "2 null"
else # its time was over before it failed
	check_equal "a stop whose checkpoint does not end is as a crash, which loses nothing" \
		"$(cbtctl map t | paste -sd' ')" "7 1 3000 1"
fi
dmsetup remove --retry t
new_tracker
set_store super error
dmsetup remove --retry t
set_store
attach
check_equal "a stop that the superblock cannot tell of is as a crash, which loses nothing" \
	"$(field generation) $(cbtctl map t)" "1 7 1"
dmsetup remove --retry t

for case in super/error log/error map/error super/error_writes map/error_writes; do
	new_tracker
	before=$(cbtctl map t)
	dmsetup remove --retry t
	set_store "${case%/*}" "${case#*/}"
	check_fails "an attach with ${case#*/} of the store's ${case%/*} is refused" any . \
		dmsetup create t --table "0 $sectors cbt /dev/vda /dev/mapper/store"
	dmsetup remove t 2>/dev/null || true
	set_store
	attach
	check_equal "... and loses nothing" "$(field generation) $(cbtctl map t)" "1 $before"
	dmsetup remove --retry t
done

# --- hangs ---

for step in write checkpoint freeze; do
	new_tracker
	dmsetup suspend --nolockfs --noflush store
	step "$step" &
	waits=$!
	if [ $step != freeze ]; then
		write_block 7
		check "what is dirty already is written meanwhile" test $took_ms -lt $((4000 * slow))
	fi
	goes_on "$step with a store that hangs"
	wait $waits
done
dmsetup remove --retry store

# --- pulled out ---

modprobe sd_mod
modprobe scsi_debug dev_size_mb=16
scsi_disk() { ls /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block; }
wait_for 20 scsi_disk >/dev/null 2>&1
disk=/dev/$(scsi_disk)
cbtctl format --log-size 64K /dev/vda "$disk" >/dev/null
dmsetup create t --table "0 $sectors cbt /dev/vda $disk"
dmsetup mknodes
fio --name=w --filename=/dev/mapper/t --direct=1 --ioengine=io_uring --iodepth=8 --rw=randwrite \
	--bs=4k --size=48m --io_size=48m --verify=crc32c --verify_fatal=1 >"$TMPDIR/fio" 2>&1 &
writer=$!
written() { [ "$(field dirty.blocks)" -gt 100 ]; }
check "a store is written" wait_for 300 written
echo 1 >"/sys/block/${disk#/dev/}/device/delete"
if wait $writer; then
	ok "... and pulled out under fio, which finds all that it wrote"
else
	not_ok "... and pulled out under fio, which finds all that it wrote"
	diag <"$TMPDIR/fio"
fi
check "... and a write goes on that needs coverage" write_block 13000
check_equal "... the tracker is lost" "$(field state)" lost
check "... and the device can be removed" dmsetup remove --retry t
check "... and then the driver" wait_for 20 rmmod scsi_debug

# --- an origin ---

# origin_table <target of its second quarter>
quarter=$((sectors / 4))
origin_table()
{
	echo "0 $quarter linear /dev/vda 0"
	echo "$quarter $quarter $1"
	echo "$((2 * quarter)) $((sectors - 2 * quarter)) linear /dev/vda $((2 * quarter))"
}

set_origin()
{
	dmsetup suspend --nolockfs origin
	origin_table "$@" | dmsetup reload origin
	dmsetup resume origin
}

sound="linear /dev/vda $quarter"
store_table | dmsetup create store
origin_table "$sound" | dmsetup create origin
dmsetup mknodes
new_tracker /dev/mapper/origin
set_origin "flakey /dev/vda $quarter 0 3600 1 error_writes"
check_fails "an origin's error reaches the guest" any 'Input/output error' write_block $((quarter / 8 + 9))
check "... from where it is only" write_block 9
check_equal "... the tracker goes on" "$(field state)" active
check_equal "... and takes what may have been written for written" \
	"$(cbtctl map t | tr '\n' ' ')" "7 1 9 1 $((quarter / 8 + 9)) 1 "
epoch=$(cbtctl freeze t)
check_fails "a commit is refused while the origin cannot be flushed" any 'failed to flush.*abort it' cbtctl commit --epoch "$epoch" t
set_origin "$sound"
check_fails "... and when it can again, since it does not say twice what it lost" any 'failed to flush.*abort it' \
	cbtctl commit --epoch "$epoch" t
check "... the epoch is aborted" cbtctl abort --epoch "$epoch" t
check_equal "... and its blocks are dirty" "$(cbtctl map t | tr '\n' ' ')" "7 1 9 1 $((quarter / 8 + 9)) 1 "
epoch=$(cbtctl freeze t)
set_origin "flakey /dev/vda $quarter 0 3600 1 error_writes"
check_fails "... a flush of the guest's fails while the next one is frozen" any 'Input/output error' sync /dev/mapper/t
set_origin "$sound"
check_fails "... and a commit of that is refused, too, though its own flush succeeds" any 'failed to flush.*abort it' \
	cbtctl commit --epoch "$epoch" t
cbtctl abort --epoch "$epoch" t
epoch=$(cbtctl freeze t)
check "... the one after it is committed" cbtctl commit --epoch "$epoch" t
check_equal "... nothing is dirty then" "$(cbtctl map t)" ""
dmsetup remove --retry t

longest_ms=$(sort -n "$TMPDIR/took" | tail -1)
diag "longest write ${longest_ms} ms, bound $bound_ms"
check "no write waited longer than deadline and hold time" test $longest_ms -le $bound_ms
