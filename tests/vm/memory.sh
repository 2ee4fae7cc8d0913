#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Little memory: a program that needs more than there is, with its swap on a tracker, beside a
# writer through another one, while epochs are frozen and overwritten. What needs memory in order to
# write must not wait for memory that only its writing would free.
#
# vm: disk=256M disk=256M disk=96M disk=64M disk=96M mem=288 timeout=600 long=3000 quick=6.12
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/coverage.bash"
requires fio mkswap swapon

insmod_cbt
cleanup_fn eval 'for d in swap data; do dmsetup remove --retry $d 2>/dev/null || true; done'

# track <name> <origin> <store>
track()
{
	cbtctl format --log-size 256K "$2" "$3" >/dev/null
	dmsetup create "$1" --table "0 $(blockdev --getsz "$2") cbt $2 $3"
	dmsetup mknodes
}

track swap /dev/vda /dev/vdc
track data /dev/vdd /dev/vde
mkswap /dev/mapper/swap >/dev/null
swapon /dev/mapper/swap
cleanup_fn eval 'swapoff -a'

seed=$(new_seed)
rounds=$(required 1 20)
memory=$(awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo)
dmesg --clear
"$top/build/tests/vm/hog" $((memory + 24)) "$seed" "$rounds" >"$TMPDIR/hog" 2>&1 &
hog=$!
fio --name=w --filename=/dev/mapper/data --direct=1 --ioengine=io_uring --iodepth=8 --rw=randwrite \
	--bs=4k --size=12m --verify=crc32c --verify_fatal=1 >"$TMPDIR/fio" 2>&1 &
fio=$!

# pages that the tracker was given; not every kernel counts those that it swaps
written=/sys/dev/block/$(dmsetup info -c --noheadings -o major,minor --separator : swap)/stat
pages_out() { awk '{ print int($7 / 8) }' "$written"; }
swapped() { [ "$(pages_out)" -gt "$1" ]; }
epochs=0
while kill -0 $hog 2>/dev/null; do
	# writes that wait for memory may be in flight for longer than a freeze waits for them
	epoch=$(cbtctl freeze swap data) || { [ $? = 14 ] && continue; }
	before=$(pages_out)
	wait_for 30 eval "swapped $((before + 1000)) || ! kill -0 $hog 2>/dev/null" || true
	cbtctl abort --epoch "$epoch" swap data >/dev/null
	epochs=$((epochs + 1))
done
for what in hog fio; do
	if wait ${!what}; then
		ok "$what ends well and finds what it wrote"
	else
		not_ok "$what ends well and finds what it wrote"
		diag <"$TMPDIR/$what"
	fi
done
check_count "epochs were frozen meanwhile" "$seed" $epochs 1
check "memory was swapped through the tracker" swapped 5000
check_equal "nothing was killed for memory" "$(dmesg | grep -ciE 'out of memory|oom-kill')" 0
check "the swap can be taken away" swapoff /dev/mapper/swap

# the base: nothing but zeroes
check_covered "no block of the swap is missing from the map" swap /dev/vda /dev/vdb
