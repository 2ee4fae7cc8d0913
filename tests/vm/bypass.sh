#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The module is replaced under a running writer: bypass, rmmod, insmod, restore. fio, which reads
# back all that it writes, sees no error, and nobody may take the tracker that comes back for one
# that saw everything.
#
# vm: disk=64M disk=32M timeout=240 long=1200
. "$(dirname "$0")/../lib.sh"
requires root dmsetup jq fio

field() { cbtctl show t --json | jq -r ".tracker.$1"; }

insmod_cbt
sectors=$(blockdev --getsz /dev/vda)
uuid=$(cbtctl format /dev/vda /dev/vdb)
dmsetup create t --table "0 $sectors cbt /dev/vda /dev/vdb"
cleanup_fn dmsetup remove --retry t
dmsetup mknodes

fio --name=w --filename=/dev/mapper/t --direct=1 --ioengine=io_uring --iodepth=8 --rw=randwrite \
	--bs=4k --size=16m --offset=1m --rate_iops=300 --time_based --runtime=100000 --verify=crc32c \
	--verify_backlog=64 --verify_fatal=1 --output-format=json --output="$TMPDIR/fio" &
fio=$!
cleanup_fn eval "kill $fio 2>/dev/null || true"
is_dirty() { [ "$(field dirty.blocks)" -gt 100 ]; }

# completed <statistic of the block layer>: of the device, whatever is below it
completed() { awk -v n="$1" '{ print $n }' "$stat"; }
more_than() { [ "$(completed "$1")" -gt "$2" ]; }
reads=1 writes=5

# goes_on <statistic>: fio adds to it
goes_on() { wait_for 60 more_than "$1" "$(completed "$1")"; }

stat=/sys/dev/block/$(dmsetup info -c --noheadings -o major,minor t)/stat
rounds=0
required=$(required 2 40)
while [ $rounds -lt "$required" ]; do
	wait_for 300 is_dirty || bail "fio does not write"
	base=$(cbtctl freeze t)
	cbtctl commit --epoch "$base" t >/dev/null
	frozen=$(cbtctl freeze t)
	generation=$(field generation)
	timeout 60 cbtctl bypass t || break
	rmmod dm_cbt || break
	goes_on $writes || break
	insmod "$(cbt_module)" || break
	goes_on $writes || break
	timeout 60 cbtctl restore t /dev/vdb || break
	if [ "$(field uuid)" != "$uuid" ] || [ "$(field generation)" -le "$generation" ] ||
		[ "$(field base)" != null ] || [ "$(field frozen)" != null ] ||
		cbtctl commit --epoch "$frozen" t 2>/dev/null; then
		diag "$(cbtctl show t)"
		break
	fi
	goes_on $writes || break
	rounds=$((rounds + 1))
done
check_count "the module is replaced again and again, in a new generation without base each time" \
	0 $rounds "$required"
goes_on $reads || not_ok "fio reads back what it wrote"
kill -INT $fio
wait $fio || true
check_equal "fio finds all that it wrote and sees no error" \
	"$(jq -c '.jobs[0] | [.error, .read.total_ios > 100]' <(sed -n '/^{/,$p' "$TMPDIR/fio"))" "[0,true]"
