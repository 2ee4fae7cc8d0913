#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The module asks for memory on the way of writes and does not get it: each write succeeds all the
# same, blocks that were never dirty before and frozen ones, and the map misses none. Only the debug
# kernel refuses memory.
#
# vm: disk=512M disk=512M disk=64M timeout=200
# vm-allow: FAULT_INJECTION
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/coverage.bash"
requires fio jq

faults=/sys/kernel/debug
mountpoint -q $faults || mount -t debugfs none $faults
[ -e $faults/failslab/require-start ] ||
	skip_all "only the debug kernel refuses memory (make check-debug-kernel)"

insmod_cbt
sectors=$(blockdev --getsz /dev/vda)
cbtctl format --log-size 256K /dev/vda /dev/vdc >/dev/null
dmsetup create t --table "0 $sectors cbt /dev/vda /dev/vdc"
cleanup_fn dmsetup remove --retry t
dmsetup mknodes

# refuse <percent>: of what is asked for in a call that comes through the module
refuse()
{
	local kind start

	start=$(</sys/module/dm_cbt/sections/.text)
	for kind in failslab fail_page_alloc; do
		echo "$start" >$faults/$kind/require-start
		printf '0x%x\n' $((start + $(</sys/module/dm_cbt/coresize))) >$faults/$kind/require-end
		echo 32 >$faults/$kind/stacktrace-depth
		echo 0 >$faults/$kind/verbose
		echo N >$faults/$kind/ignore-gfp-wait
		echo $most >$faults/$kind/times
		echo "$1" >$faults/$kind/probability
	done
	echo N >$faults/fail_page_alloc/ignore-gfp-highmem
	echo 0 >$faults/fail_page_alloc/min-order
}
most=1000000
cleanup_fn refuse 0

# How often that was done.
nr_refused()
{
	echo $((2 * most - $(<$faults/failslab/times) - $(<$faults/fail_page_alloc/times)))
}

# write_blocks <seed>: the same seed writes the same blocks
write_blocks()
{
	fio --name=w --filename=/dev/mapper/t --direct=1 --ioengine=io_uring --iodepth=16 \
		--rw=randwrite --bs=4k --size=512m --io_size=4m --randseed="$1" \
		--verify=crc32c --verify_fatal=1
}

seed=$(new_seed)
refused=0
for percent in 100 10; do
	refuse $percent
	check "blocks are dirtied while $percent of 100 requests for memory fail" \
		write_blocks $((seed + percent))
	refused=$((refused + $(nr_refused)))
	refuse 0
	check_covered "... and no block is missing from the map" t /dev/vda /dev/vdb

	epoch=$(cbtctl freeze t)
	refuse $percent
	check "frozen blocks are overwritten while $percent of 100 fail" \
		write_blocks $((seed + percent))
	refused=$((refused + $(nr_refused)))
	refuse 0
	check_equal "... the tracker goes on" "$(cbtctl show t --json | jq -r .tracker.state)" active
	cbtctl abort --epoch "$epoch" t >/dev/null
	check_covered "... and no block is missing when the epoch is aborted" t /dev/vda /dev/vdb
done
check_count "memory was refused meanwhile" "$seed" $refused 100
