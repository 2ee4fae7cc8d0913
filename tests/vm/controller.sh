#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The controller with the module: a mounted file system is failed back while it is being
# written, and the last delta makes the disks equal.
#
# vm: disk=96M disk=96M timeout=300
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../e2e/controller.bash"

ip link set lo up
insmod_cbt
size=$(blockdev --getsize64 /dev/vda)

# both hosts hold the same at the failover
mkfs.ext4 -q /dev/vda
mkdir "$TMPDIR/mnt"
mount /dev/vda "$TMPDIR/mnt"
cp -r /usr/share/doc/bash "$TMPDIR/mnt/"
umount "$TMPDIR/mnt"
cat /dev/vda >/dev/vdb
sync

dmsetup create vm1-disk0 --table "0 $((size / 512)) cbt /dev/vdb -"
cleanup_fn dmsetup remove vm1-disk0.replica
dmsetup mknodes
chmod 660 /dev/mapper/vm1-disk0
mount /dev/mapper/vm1-disk0 "$TMPDIR/mnt"
cleanup_fn eval "mountpoint -q $TMPDIR/mnt && umount $TMPDIR/mnt || true"

relationship 1 4 b "$(disk disk0 "$size" /dev/vda "")" >"$TMPDIR/a.json"
relationship 2 5 a "$(disk disk0 "$size" /dev/vdb vm1-disk0)" >"$TMPDIR/b.json"
start_bus a
start_bus b
start_daemon a
start_daemon b
on a failback apply "$TMPDIR/a.json" >/dev/null
on b failback apply "$TMPDIR/b.json" >/dev/null

jq '.relationships[0].disks[0].tracker = "nosuch"' "$TMPDIR/b.json" >"$TMPDIR/tracker.json"
on b failback apply "$TMPDIR/tracker.json" >/dev/null
check_fails "a tracker that does not exist is 32777 and is named" 19 'nosuch' on b failback reverse vm1
on b failback apply "$TMPDIR/b.json" >/dev/null

mount /dev/vda -o ro /mnt
check_fails "a disk that is mounted on the old primary is 32774 and says where" 16 'mounted on /mnt' \
	on b failback reverse vm1
umount /mnt
dmsetup create other --table "0 $((size / 512)) linear /dev/vda 0"
check_fails "a disk that is held there is 32774 and names the holder" 16 'other' on b failback reverse vm1
dmsetup remove other
dmsetup create slow --table "0 $((size / 512)) linear /dev/vda 0"
dmsetup mknodes
dmsetup suspend slow
jq '.relationships[0].disks[0].path = "/dev/mapper/slow"' "$TMPDIR/a.json" >"$TMPDIR/slow.json"
on a failback apply "$TMPDIR/slow.json" >/dev/null
check_fails "a disk that does not answer there is 32772 and is named" 14 'disk0 .*slow.* does not answer' on b failback plan vm1
check "... and its host does" on a failback status
dmsetup resume slow
on a failback apply "$TMPDIR/a.json" >/dev/null
wait_for 30 dmsetup remove slow
check_equal "none of that changed a role" "$(role a), $(role b)" "1 4, 2 5"

# --- the file system is in use while it is failed back ---

(
	i=0
	while [ ! -e "$TMPDIR/stop" ]; do
		dd if=/dev/urandom of="$TMPDIR/mnt/file$((i++ % 20))" bs=64k count=8 conv=fsync status=none
	done
) &
writer=$!
check "it is reversed while it is being written" on b failback reverse vm1
check_equal "the roles are swapped" "$(role a), $(role b)" "2 3, 1 3"
check_refused "preparing a failover needs it closed" b 32774 'is open' RequestReplicationStateChange oq $vm_path 4
touch "$TMPDIR/stop"
wait $writer
umount "$TMPDIR/mnt"

check "the last delta is sent" on b failback prepare vm1
check_equal "and the VM is prepared" "$(role b)" "1 4"
blockdev --flushbufs /dev/vda /dev/vdb
check "the disks are identical" cmp /dev/vda /dev/vdb
check "the file system is sound" e2fsck -fn /dev/vda
check_equal "nothing is dirty" "$(vm_property b DirtyBytes)" 0
check "cbtctl sees the same base as the relationship" \
	grep -q "$(vm_property b Base | tr -d '"')" <(cbtctl show vm1-disk0.replica)
check "the VM's device is not there any more under its name" test ! -e /dev/mapper/vm1-disk0
check_equal "and is for root alone" "$(stat -Lc %a /dev/mapper/vm1-disk0.replica)" 600

# write_file <mapped device> <name> <size>: a file with new contents in the VM's file system
write_file()
{
	mount "/dev/mapper/$1" "$TMPDIR/mnt"
	head -c "$3" /dev/urandom >"$TMPDIR/mnt/$2"
	umount "$TMPDIR/mnt"
}

# --- the way home, and away again, by commands ---

dmsetup create home-disk0.replica --table "0 $((size / 512)) cbt /dev/vda -"
cleanup_fn dmsetup remove home-disk0.replica
dmsetup mknodes
chmod 660 /dev/mapper/home-disk0.replica
jq '.relationships[0].disks[0].tracker = "home-disk0"' "$TMPDIR/a.json" >"$TMPDIR/home.json"
on a failback apply "$TMPDIR/home.json" >/dev/null
check_equal "a device that was made hidden is for root alone, too" "$(stat -Lc %a /dev/mapper/home-disk0.replica)" 600
check "the VM is failed over to its home" on a failback failover vm1
check "it is reversed there" on a failback reverse vm1
check_equal "the roles are exchanged" "$(role a), $(role b)" "1 3, 2 3"
write_file home-disk0 at-home 3M
check "a delta goes through the tracker of the replica" on a failback resume vm1
check_equal "and is all that was written there" "$(vm_property b DirtyBytes), $(vm_property b LastError)" '0, ""'

stray() { vm_property b LastError | grep -q 'Something but failbackd wrote to the replica: 8 KiB'; }

dd if=/dev/urandom of=/dev/mapper/vm1-disk0.replica bs=4k seek=$((size / 4096 - 2)) oflag=direct status=none || true
write_file home-disk0 at-home 1M
check "a delta arrives at a replica that somebody else wrote to" on a failback resume vm1
check "... which its host tells" stray
check_equal "... as a warning" "$(vm_property b ReplicationHealth)" 2
check_equal "... and its map keeps" "$(vm_property b DirtyBytes)" 8192
on a failback suspend vm1
check "a resynchronisation repairs it" on a failback resync vm1
blockdev --flushbufs /dev/vda /dev/vdb
check "... so that the disks are identical" cmp /dev/vda /dev/vdb
check_equal "... and nobody has anything to tell" "$(vm_property b DirtyBytes), $(vm_property b LastError)" '0, ""'
check "the last delta is sent from home" on a failback prepare vm1
blockdev --flushbufs /dev/vda /dev/vdb
check "the disks are identical" cmp /dev/vda /dev/vdb
check_equal "what was received is not dirty" "$(vm_property b DirtyBytes)" 0
check "the VM is failed over again" on b failback failover vm1
check "its device is back" test -b /dev/mapper/vm1-disk0
check_equal "for the group that it belongs to, too" "$(stat -Lc %a /dev/mapper/vm1-disk0)" 660
write_file vm1-disk0 away 2M
check "it is reversed again" on b failback reverse vm1
blockdev --flushbufs /dev/vda /dev/vdb
check "the disks are identical" cmp /dev/vda /dev/vdb

# --- the replica's tracker is not there, as after a boot without its store ---

# stand_in <target and its arguments after the device and its offset>
stand_in()
{
	dmsetup reload home-disk0.replica --table "0 $((size / 512)) $1 /dev/vda 0 ${*:2}"
	dmsetup suspend home-disk0.replica
	dmsetup resume home-disk0.replica
}
untracked() { vm_property a LastError | grep -q 'What is received is not recorded.*not tracked.*cbtctl activate home-disk0'; }

stand_in linear
write_file vm1-disk0 untracked 2M
check "a delta is received by what stands in the tracker's place" on b failback resume vm1
blockdev --flushbufs /dev/vda /dev/vdb
check "the disks are identical" cmp /dev/vda /dev/vdb
check "... and the replica says what is missing" wait_for 30 untracked
check_equal "... as a warning" "$(vm_property a ReplicationHealth)" 2
stand_in flakey 3600 0
write_file vm1-disk0 elsewhere 1M
check_fails "nothing else that is made of the disk stands in" 15 'not the tracker of disk disk0' on b failback resume vm1
stand_in linear
check "and prepared for home" on b failback prepare vm1
