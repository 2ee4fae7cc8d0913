#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The module asks for memory on the way of writes and does not get it: each write succeeds all the
# same, blocks that were never dirty before and frozen ones, and the map misses none. Only the debug
# kernel refuses memory.
#
# vm: disk=512M disk=512M disk=64M timeout=200 smp=2 debug
# vm-allow: FAULT_INJECTION
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/coverage.bash"
requires fio jq

faults=/sys/kernel/debug
mountpoint -q $faults || mount -t debugfs none $faults
[ -e $faults/failslab/task-filter ] || skip_all "only the debug kernel refuses memory (make check-debug-kernel)"

insmod_cbt
sectors=$(blockdev --getsz /dev/vda)
cbtctl format --log-size 256K /dev/vda /dev/vdc >/dev/null
dmsetup create t --table "0 $sectors cbt /dev/vda /dev/vdc"
cleanup_fn dmsetup remove --retry t
dmsetup mknodes

# All that the module asks memory for on the way of a write, it asks for in a worker of the kernel.
mark_workers()
{
	local worker

	while :; do
		for worker in $(pgrep '^kworker'); do
			echo 1 2>/dev/null >/proc/"$worker"/make-it-fail || true
		done
		sleep 0.2
	done
}

# refuse <percent>: of what the workers ask for; some of the refusals are logged, with who asked
refuse()
{
	local kind

	for kind in failslab fail_page_alloc; do
		echo Y >$faults/$kind/task-filter
		echo 2 >$faults/$kind/verbose
		echo 1000 >$faults/$kind/verbose_ratelimit_interval_ms
		echo 20 >$faults/$kind/verbose_ratelimit_burst
		echo N >$faults/$kind/ignore-gfp-wait
		echo -1 >$faults/$kind/times
		echo "$1" >$faults/$kind/probability
	done
	echo N >$faults/fail_page_alloc/ignore-gfp-highmem
	echo 0 >$faults/fail_page_alloc/min-order
}
cleanup_fn refuse 0
mark_workers &
marker=$!
cleanup_fn eval "kill $marker 2>/dev/null || true"

# How many of the logged refusals came through the module.
nr_refused()
{
	dmesg | awk '/forcing a failure/ { counted = 0 } /\[dm_cbt\]/ && !counted { nr++; counted = 1 } END { print nr + 0 }'
}

# write_blocks <seed>: the same seed writes the same blocks
write_blocks()
{
	fio --name=w --filename=/dev/mapper/t --direct=1 --ioengine=io_uring --iodepth=16 \
		--rw=randwrite --bs=4k --size=512m --io_size=4m --randseed="$1" \
		--verify=crc32c --verify_fatal=1
}

seed=$(new_seed)
dmesg --clear
for percent in 100 10; do
	refuse $percent
	check "blocks are dirtied while $percent of 100 requests for memory fail" \
		write_blocks $((seed + percent))
	refuse 0
	check_covered "... and no block is missing from the map" t /dev/vda /dev/vdb

	epoch=$(cbtctl freeze t)
	refuse $percent
	check "frozen blocks are overwritten while $percent of 100 fail" \
		write_blocks $((seed + percent))
	refuse 0
	check_equal "... the tracker goes on" "$(cbtctl show t --json | jq -r .tracker.state)" active
	cbtctl abort --epoch "$epoch" t >/dev/null
	check_covered "... and no block is missing when the epoch is aborted" t /dev/vda /dev/vdb
done
check_count "the module was refused memory meanwhile" "$seed" "$(nr_refused)" 20
