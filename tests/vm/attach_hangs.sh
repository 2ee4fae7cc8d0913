#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A store that hangs at some moment of an attach: the resume is refused within the bound, and nothing
# that the store says is lost. What it still owes stands in nobody's way but the next attach's, and that
# of who removes the device. So also when the store is a file in a file system on the very device.
#
# vm: disk=64M disk=16M disk=64M timeout=400 quick=6.1
# vm-allow: blk_update_request|I/O error, dev|Buffer I/O error on dev|cannot start
. "$(dirname "$0")/../lib.sh"
requires jq losetup mkfs.ext4

insmod_cbt
modprobe -a dm-delay loop ext4
cleanup_fn eval 'for d in t under store disk; do dmsetup remove --retry $d 2>/dev/null || true; done'

sectors=$(blockdev --getsz /dev/vda)
# the parts of a store for 64 MiB with 64 KiB of log, in sectors
declare -A first=([super]=0 [log]=128 [map]=256 [diff]=280)
declare -A length=([super]=128 [log]=128 [map]=24 [diff]=$(($(blockdev --getsz /dev/vdb) - 280)))
# deadline, the time until that is looked at, what is waited for; and emulation on a busy machine
slow=${CHECK_SHORT:+4}
slow=${slow:-1}
bound_s=$(((5 + 1 + 1 + 8) * slow))
hangs_ms=$((10 * bound_s * 1000))

field() { cbtctl show t --json | jq -r ".tracker.$1"; }
said() { dmesg | grep -qE "$1"; }

# set_store [<part> <reads|writes>]: which of that part hang; those under way end
set_store()
{
	local part reads writes

	dmsetup suspend --nolockfs store
	for part in super log map diff; do
		reads=0 writes=0
		if [ $part = "${1:-}" ]; then
			local "$2=$hangs_ms"
		fi
		echo "${first[$part]} ${length[$part]} delay /dev/vdb ${first[$part]} $reads /dev/vdb ${first[$part]} $writes"
	done | dmsetup load store
	dmsetup resume store
}

load_t() { dmsetup load t --table "0 $sectors cbt /dev/vda /dev/mapper/store"; }

# refused <claim> <regex>: a resume of t, in time, and the kernel log says why
refused()
{
	dmesg --clear
	start=$SECONDS
	check_fails "$1" any . dmsetup resume t
	check "... in time" test $((SECONDS - start)) -le $bound_s
	check "... and the log says why" said "$2"
}

write_block() { dd if=/dev/urandom of=/dev/mapper/t bs=4k count=1 seek="$1" oflag=direct status=none; }

dmsetup create store --table "0 $(blockdev --getsz /dev/vdb) linear /dev/vdb 0"
dmsetup mknodes
cbtctl format --force --log-size 64K /dev/vda /dev/mapper/store >/dev/null
set_store
dmsetup create t --notable
load_t
dmsetup resume t
dmsetup mknodes
write_block 7
before="$(field uuid) $(field generation) $(cbtctl map t)"

# --- reads ---

for part in super log map; do
	dmsetup remove --retry t
	set_store $part reads
	dmsetup create t --notable
	load_t
	refused "an attach to a store whose $part hangs is refused" 'does not answer'
	check "... and nothing holds who removes the device" timeout $bound_s dmsetup remove t
	set_store
	dmsetup create t --notable
	load_t
	check "... a store that answers again is attached to" dmsetup resume t
	dmsetup mknodes
	check_equal "... and lost nothing" "$(field uuid) $(field generation) $(cbtctl map t)" "$before"
done

# --- a store that is removed while it owes an answer ---

dmsetup remove --retry t
dmsetup create under --table "0 $(blockdev --getsz /dev/mapper/store) linear /dev/mapper/store 0"
dmsetup mknodes
set_store super reads
dmsetup create t --notable
dmsetup load t --table "0 $sectors cbt /dev/vda /dev/mapper/under"
refused "an attach is refused over a store on a device that hangs" 'does not answer'
check "... the device can be removed" timeout $bound_s dmsetup remove t
dmsetup remove under &
removal=$!
check "... the store's device goes" eval 'sleep 2; kill -0 $removal'
set_store
check "... when it has answered" wait $removal
dmsetup create t --notable
load_t
dmsetup resume t
dmsetup mknodes

# --- writes ---

for part in super map; do
	dmsetup remove --retry t
	set_store $part writes
	dmsetup create t --notable
	load_t
	refused "an attach that cannot write the store's $part is refused" 'does not answer'
	refused "... and so is the next, as long as the store owes an answer" 'not answered yet'
	check_equal "... who lists trackers does not wait" "$(timeout $bound_s cbtctl list --json | jq '.trackers | length')" 0
	set_store
	check "... when it has answered it is attached to" dmsetup resume t
	dmsetup mknodes
	check_equal "... and lost nothing" "$(field uuid) $(field generation) $(cbtctl map t)" "$before"
done

dmsetup remove --retry t
set_store map writes
dmsetup create t --notable
load_t
refused "an attach that cannot write is refused" 'does not answer'
dmsetup remove t &
removal=$!
check "... who removes the device waits for what the store owes" eval 'sleep 2; kill -0 $removal'
set_store
check "... and no longer" wait $removal
dmsetup create t --notable
load_t
check "... and then it is attached to" dmsetup resume t
dmsetup mknodes
check_equal "... and nothing is lost" "$(field uuid) $(field generation) $(cbtctl map t)" "$before"
dmsetup remove --retry t

# --- a file on the device itself ---

linear="0 $(blockdev --getsz /dev/vdc) linear /dev/vdc 0"
dmsetup create t --table "$linear"
dmsetup mknodes
mkfs.ext4 -q /dev/mapper/t
mkdir "$TMPDIR/fs"
mount /dev/mapper/t "$TMPDIR/fs"
truncate -s 16M "$TMPDIR/fs/store"
loop=$(losetup --find --show "$TMPDIR/fs/store")
cbtctl format --log-size 64K /dev/vdc "$loop" >/dev/null
# so much of it can be read without the disk
dd if="$loop" of=/dev/null bs=4k count=16 status=none
dmsetup suspend t
dmsetup load t --table "0 $(blockdev --getsz /dev/vdc) cbt /dev/vdc $loop"
refused "a store in a file system on the very device is refused" 'does not answer'
dmsetup load t --table "$linear"
check "... which the old table brings back" timeout $bound_s dmsetup resume t
check "... with its file system" eval 'echo it is >"$TMPDIR/fs/file" && sync "$TMPDIR/fs/file"'
umount "$TMPDIR/fs" 2>/dev/null || true
losetup -d "$loop"
check "... and all can be taken apart" wait_for 20 eval '! mountpoint -q "$TMPDIR/fs" || umount "$TMPDIR/fs"'
check "... the device too" dmsetup remove --retry t
