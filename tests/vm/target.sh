#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The device-mapper side: tables that are refused, reload, status, a module in use.
#
# vm: disk=64M disk=64M timeout=240 quick=6.12
. "$(dirname "$0")/../lib.sh"

insmod_cbt
sectors=$(blockdev --getsz /dev/vda)

# refused <claim> <regex of the kernel's sentence> <table>
refused()
{
	dmesg --clear
	if dmsetup create bad --table "$3" >/dev/null 2>&1; then
		dmsetup remove bad
		not_ok "$1"
	elif dmesg | grep -qE "$2"; then
		ok "$1"
	else
		not_ok "$1"
		dmesg | diag
	fi
	dmsetup remove bad >/dev/null 2>&1 || true
}

refused "a missing origin is refused" "Cannot open the origin" "0 $sectors cbt /dev/nosuch -"
refused "too few arguments are refused" "Usage: <origin>" "0 $sectors cbt /dev/vda"
refused "a table that covers a part is refused" "whole origin" "0 $((sectors - 8)) cbt /dev/vda -"
refused "a store that was not formatted is refused" "holds no store: format it" \
	"0 $sectors cbt /dev/vda /dev/vdb"
refused "a missing store is refused" "Cannot open the store" "0 $sectors cbt /dev/vda /dev/nosuch"
refused "the origin as its own store is refused" "same device" "0 $sectors cbt /dev/vda /dev/vda"
for n in 0 4 9 12 4096 -8 x 18446744073709551624; do
	refused "block_size $n is refused" "power of two" "0 $sectors cbt /dev/vda - 2 block_size $n"
done
refused "an unknown option is refused" "Unknown option" "0 $sectors cbt /dev/vda - 2 colour red"
refused "an option without value is refused" "Unknown option" "0 $sectors cbt /dev/vda - 1 block_size"
refused "too many options are refused" "Wrong number" "0 $sectors cbt /dev/vda - 3 block_size 8 8"
refused "a trailing argument is refused" "Too many arguments" \
	"0 $sectors cbt /dev/vda - 2 block_size 8 more"

mkfs.ext4 -q /dev/vdb
mkdir "$TMPDIR/mnt"
mount /dev/vdb "$TMPDIR/mnt"
refused "a mounted origin is refused" "missing or in use" "0 $sectors cbt /dev/vdb -"
umount "$TMPDIR/mnt"

dmsetup create t1 --table "0 $sectors cbt /dev/vda -"
dmsetup mknodes
check_equal "the table reads back as it was given" \
	"$(dmsetup table t1)" "0 $sectors cbt 254:0 -"
refused "a second device on the origin is refused" "belongs to another tracker" \
	"0 $sectors cbt /dev/vda -"
refused "a tracker on a tracker is refused" "cannot be stacked" \
	"0 $sectors cbt /dev/mapper/t1 -"
check_fails "the module cannot be removed while in use" any "in use" rmmod dm_cbt

uuid=$(dmsetup status t1 | cut -d' ' -f4)
dd if=/dev/urandom of=/dev/mapper/t1 bs=4k count=3 seek=5 oflag=direct status=none
dmsetup reload t1 --table "0 $sectors cbt /dev/vda -"
dmsetup suspend t1
dmsetup resume t1
check_equal "a reload keeps the tracker and its map" "$(dmsetup status t1)" \
	"0 $sectors cbt $uuid 1 volatile 1 8 $((sectors / 8)) 3 - 0"
dd if=/dev/urandom of=/dev/mapper/t1 bs=4k count=1 seek=100 oflag=direct status=none
check_equal "... and goes on tracking" "$(dmsetup status t1 | cut -d' ' -f10)" 4

# reload_refused <claim> <regex> <table>
reload_refused()
{
	dmesg --clear
	if ! dmsetup reload t1 --table "$3" >/dev/null 2>&1 && dmesg | grep -qE "$2"; then
		ok "$1"
	else
		not_ok "$1"
		dmesg | diag
	fi
	dmsetup clear t1
}

reload_refused "a reload with another block size is refused" "block size differs" \
	"0 $sectors cbt /dev/vda - 2 block_size 16"
reload_refused "a reload with another origin is refused" "tracks another origin" \
	"0 $(blockdev --getsz /dev/vdb) cbt /dev/vdb -"
check_equal "... and changes nothing" "$(dmsetup status t1 | cut -d' ' -f4,10)" "$uuid 4"

dmsetup rename t1 t2
dmsetup mknodes
check_equal "a renamed device is found by its new name" \
	"$(cbtctl show t2 --json | grep -o "$uuid" | head -1)" "$uuid"
check_fails "... and not by its old one" any "t1" cbtctl show t1

# Without DM_TARGET_NOWAIT every write of io_uring would be refused here.
cat >"$TMPDIR/nowait.py" <<'PY'
import mmap, os, sys
fd = os.open("/dev/mapper/t2", os.O_RDWR | os.O_DIRECT)
page = mmap.mmap(-1, int(sys.argv[1]))
RWF_NOWAIT = 8
print(os.pwritev(fd, [page], 5 * 4096, RWF_NOWAIT))
PY
check_equal "a NOWAIT write to a dirty leaf goes through" "$(python3 "$TMPDIR/nowait.py" 4096)" 4096
dmsetup remove t2

dmsetup create below --table "0 $sectors linear /dev/vda 0"
dmsetup mknodes
dmsetup create t3 --table "0 $sectors cbt /dev/mapper/below - 2 block_size 16"
check_equal "a removed device's map is gone" "$(dmsetup status t3 | cut -d' ' -f7-)" \
	"1 16 $((sectors / 16)) 0 - 0"
dmsetup mknodes
sed -i 's,/t2,/t3,' "$TMPDIR/nowait.py"
# An origin that makes whoever writes wait refuses those who would not.
dmsetup suspend below
python3 "$TMPDIR/nowait.py" 1048576 >"$TMPDIR/nowait.out" 2>&1 &
is_marked() { [ "$(dmsetup status t3 | cut -d' ' -f10)" = 129 ]; }
wait_for 60 is_marked
dmsetup resume below
wait $! || true
check_equal "a NOWAIT write that a worker submits is not refused when the origin makes it wait" \
	"$(tail -n 1 "$TMPDIR/nowait.out")" 1048576
dmsetup remove t3
dmsetup remove below

# A table that is loaded but not live sees no writes: it must not promise anything.
dmsetup create t4 --table "0 $sectors linear /dev/vda 0"
dmsetup mknodes
dmsetup reload t4 --table "0 $sectors cbt /dev/vda -"
check_fails "a tracker cannot be frozen before its table is live" 15 "no such tracker" \
	cbtctl freeze t4
check_equal "... and is not listed" "$(cbtctl list --json | jq '.trackers | length')" 0
dd if=/dev/urandom of=/dev/mapper/t4 bs=4k count=1 oflag=direct status=none
dmsetup suspend t4
dmsetup resume t4
check "... but when it is" cbtctl freeze t4
dmsetup remove t4

dmsetup create below --table "0 $sectors linear /dev/vda 0"
dmsetup mknodes
dmsetup create above --table "0 $sectors cbt /dev/mapper/below -"
dmesg --clear
check_fails "the origin of a tracker cannot become a tracker" any "" \
	dmsetup reload below --table "0 $sectors cbt /dev/vda -"
check "... and the kernel says why" grep -q "cannot be stacked" <(dmesg)
dmsetup remove above
dmsetup remove below

dmsetup create huge --table "0 $((1 << 49)) zero"
dmsetup mknodes
refused "an origin with too many blocks is refused" "larger block_size" \
	"0 $((1 << 49)) cbt /dev/mapper/huge -"
dmsetup remove huge
