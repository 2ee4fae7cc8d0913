#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A store on a disk that hangs with its queue full: who submits one more request to it waits for as
# long as it hangs, and that must not be the guest's writes. They go on, uncovered, within the bound,
# and the module takes its leave only when the disk has answered.
#
# vm: disk=64M timeout=300 quick=6.1
# vm-allow: blk_update_request|I/O error, dev|Buffer I/O error on dev|rejecting I/O
. "$(dirname "$0")/../lib.sh"
requires jq

hung_s=13 # each of the requests, of which three are before ours
# deadline, the time until that is looked at, hold; and emulation on a busy machine
bound_s=$((5 + 1 + 3 + 16))
adapter=/sys/bus/pseudo/drivers/scsi_debug

insmod_cbt
modprobe -a sd_mod
modprobe scsi_debug dev_size_mb=32 max_queue=1 delay=0
cleanup_fn eval 'dmsetup remove --retry t 2>/dev/null; modprobe -r scsi_debug'
disk_name() { ls $adapter/adapter*/host*/target*/*/block 2>/dev/null; }
wait_for 20 disk_name >/dev/null || bail "no disk"
disk=$(disk_name)
wait_for 20 test -b "/dev/$disk"
echo 200 >"/sys/block/$disk/device/timeout"
# a scheduler has room of its own for requests
echo none >"/sys/block/$disk/queue/scheduler"

# answers_after <seconds>: the store's disk, each of its requests; in ticks of Debian's kernels
answers_after() { echo $(($1 * 250)) 2>/dev/null >$adapter/delay; }

# fill_queue: others use the same disk
fill_queue()
{
	local i

	for i in 1 2 3; do
		dd if=/dev/zero of="/dev/$disk" bs=4k count=1 seek=$((5000 + i)) oflag=direct status=none &
	done
	sleep 1
}

is_over() { ! kill -0 "$1" 2>/dev/null; }

sectors=$(blockdev --getsz /dev/vda)
cbtctl format --log-size 64K /dev/vda "/dev/$disk" >/dev/null
dmsetup create t --table "0 $sectors cbt /dev/vda /dev/$disk"
dmsetup mknodes
dd if=/dev/zero of=/dev/mapper/t bs=4k count=1 seek=100 oflag=direct status=none
sleep 1
answers_after $hung_s
fill_queue
dd if=/dev/zero of=/dev/mapper/t bs=4k count=1 seek=9000 oflag=direct status=none &
write=$!
check "a write that needs coverage goes on" wait_for $bound_s is_over $write
check_equal "... the tracker is lost" "$(cbtctl show t --json | jq -r .tracker.state)" lost
check "... and no other write waits" \
	timeout 5 dd if=/dev/zero of=/dev/mapper/t bs=4k count=1 seek=12000 oflag=direct status=none
check "the device goes when the disk has answered" timeout $((12 * hung_s)) dmsetup remove t
wait_for 60 answers_after 0

# --- an attach to a full queue ---

cbtctl format --force --log-size 64K /dev/vda "/dev/$disk" >/dev/null
answers_after $hung_s
fill_queue
dmsetup create t --notable
dmsetup load t --table "0 $sectors cbt /dev/vda /dev/$disk"
start=$SECONDS
check_fails "an attach to a disk whose queue is full is refused" any . dmsetup resume t
check "... in time" test $((SECONDS - start)) -le $bound_s
check "... and the device can be removed" timeout $bound_s dmsetup remove t
check "... the disk is there again when it has answered" wait_for $((12 * hung_s)) answers_after 0

# --- a read that nobody waits for any more ---

cbtctl format --force --log-size 64K /dev/vda "/dev/$disk" >/dev/null
read_s=${CHECK_SHORT:+60} # on the debug kernel a command takes many seconds
read_s=${read_s:-10}
answers_after $read_s
dmsetup create t --table "0 $sectors cbt /dev/vda /dev/$disk" 2>/dev/null || true
dmsetup remove t 2>/dev/null || true
check_fails "the module stays while a read is on its way" any 'in use' rmmod dm_cbt
check "... and goes when it has ended" wait_for $((read_s + 60)) rmmod dm_cbt
wait_for 60 answers_after 0
insmod "$(cbt_module)"
