#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Invariants I1 and I7 under load: whatever file systems, fio and discards do, while epochs are
# frozen and aborted all the time, every block that differs from the base is in the map.
#
# vm: disk=192M disk=192M timeout=300 quick=6.12
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/coverage.bash"

insmod_cbt
sectors=$(blockdev --getsz /dev/vda)

toggle_epochs()
{
	local epoch

	while [ ! -e "$TMPDIR/stop" ]; do
		epoch=$(cat /proc/sys/kernel/random/uuid)
		cbtctl freeze --epoch "$epoch" t >/dev/null || exit 1
		cbtctl abort --epoch "$epoch" t >/dev/null || exit 1
		echo >>"$TMPDIR/epochs"
	done
}

# covered <what>: the claim, on what has been done to the device so far
covered() { check_covered "$1: no differing block is missing from the map" t /dev/vda /dev/vdb; }

# The base: both disks equal, not empty.
dd if=/dev/urandom of=/dev/vda bs=1M count=32 seek=60 status=none
dd if=/dev/vda of=/dev/vdb bs=1M status=none

dmsetup create t --table "0 $sectors cbt /dev/vda -"
dmsetup mknodes
toggle_epochs &
toggler=$!
cleanup_fn dmsetup remove --retry t
cleanup_fn eval "touch $TMPDIR/stop; wait $toggler || true"

fio --name=random --filename=/dev/mapper/t --direct=1 --ioengine=io_uring --iodepth=16 \
	--rw=randwrite --bsrange=512-128k --size=150m --io_size=24m --numjobs=2 >/dev/null
blkdiscard -o $((64 << 20)) -l $((20 << 20)) /dev/mapper/t
blkdiscard -z -o $((90 << 20)) -l $((9 << 20)) /dev/mapper/t
covered "fio, discard, write zeroes"

mkfs.ext4 -q -E nodiscard /dev/mapper/t
mkdir "$TMPDIR/mnt"
mount -o discard /dev/mapper/t "$TMPDIR/mnt"
cp -a /usr/include/linux "$TMPDIR/mnt/"
rm -rf "$TMPDIR/mnt/linux/netfilter"*
fstrim "$TMPDIR/mnt"
umount "$TMPDIR/mnt"
covered "ext4 with files made, removed and trimmed"

touch "$TMPDIR/stop"
if wait "$toggler"; then
	ok "freeze and abort never failed"
else
	not_ok "freeze and abort never failed"
fi
diag "$(wc -l <"$TMPDIR/epochs") epochs"
