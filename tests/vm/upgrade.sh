#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# failback-reload-module exchanges the module under a running writer, as an upgrade of the packages
# does, and what goes wrong there leaves the writer running.
#
# vm: disk=64M disk=32M disk=32M timeout=900 quick=6.12
. "$(dirname "$0")/../lib.sh"
requires root dmsetup jq fio

reload=$top/user/libexec/failback-reload-module
field() { cbtctl show vm1 --json | jq -r ".tracker.$1"; }
running() { cat /sys/module/dm_cbt/srcversion; }
target() { dmsetup table "$1" | cut -d' ' -f3; }

# A place where modules can be installed, over the one that all guests share.
mkdir "$TMPDIR/modules"
mount -t tmpfs tmpfs "$TMPDIR/modules"
mkdir "$TMPDIR"/modules/{upper,work}
mount -t overlay overlay -o "lowerdir=/lib/modules/$(uname -r),upperdir=$TMPDIR/modules/upper,workdir=$TMPDIR/modules/work" \
	"/lib/modules/$(uname -r)"
cleanup_fn umount "$TMPDIR/modules"
cleanup_fn umount -l "/lib/modules/$(uname -r)"
mkdir -p "/lib/modules/$(uname -r)/updates"
# install_module [faults]: its two flavours have different sources, and need the same.
install_module() { cp "$(cbt_module "${1:-}")" "/lib/modules/$(uname -r)/updates/dm-cbt.ko"; }

check "without a running module there is nothing to do" "$reload"
install_module
depmod -a
modprobe dm-cbt
cleanup_fn eval "rmmod dm_cbt 2>/dev/null || true"
cbtctl format /dev/vda /dev/vdb >/dev/null
dmsetup create vm1 --table "0 $(blockdev --getsz /dev/vda) cbt /dev/vda /dev/vdb"
cleanup_fn dmsetup remove --retry vm1
dmsetup create vm2.replica --table "0 $(blockdev --getsz /dev/vdc) cbt /dev/vdc -"
cleanup_fn eval 'dmsetup remove --retry vm2.replica 2>/dev/null || dmsetup remove --retry vm2'
dmsetup mknodes
fio --name=w --filename=/dev/mapper/vm1 --direct=1 --ioengine=io_uring --iodepth=8 --rw=randwrite \
	--bs=4k --size=16m --offset=1m --rate_iops=300 --time_based --runtime=100000 --verify=crc32c \
	--verify_backlog=64 --verify_fatal=1 --output-format=json --output="$TMPDIR/fio" &
fio=$!
cleanup_fn eval "kill $fio 2>/dev/null || true"
stat=/sys/dev/block/$(dmsetup info -c --noheadings -o major,minor vm1)/stat
written() { awk '{ print $5 }' "$stat"; }
more_than() { [ "$(written)" -gt "$1" ]; }
goes_on() { wait_for 60 more_than "$(written)"; }
check "fio writes" goes_on

generation=$(field generation)
check "the module that is installed runs already" "$reload"
check_equal "so that the map goes on" "$(field generation)" "$generation"

old=$(running)
install_module faults
check "another one is exchanged for it" "$reload"
check_equal "which is what runs then" "$(running)" "$(modinfo -F srcversion dm-cbt)"
check "and is not the old one" test "$(running)" != "$old"
check_equal "the tracker is back, in a new generation" "$(field state) $(field generation)" "active $((generation + 1))"
check_equal "and so is one without a store, under its name" "$(target vm2.replica)" cbt
check "fio goes on" goes_on

epoch=$(cbtctl freeze vm1)
dmsetup create image --readonly --table "0 $(blockdev --getsz /dev/vda) cbt-image $(field uuid) $epoch"
install_module
check_fails "an image that is in use is named" 1 'image is an image of a frozen epoch' "$reload"
check_equal "and nothing was touched" "$(field frozen.uuid)" "$epoch"
dmsetup remove --retry image
cbtctl abort --epoch "$epoch" vm1 >/dev/null

: >"/lib/modules/$(uname -r)/updates/dm-cbt.ko"
check_fails "a module that is none is noticed before anything is touched" 1 'the module that runs goes on' "$reload"
check_equal "and the tracker is there" "$(target vm1)" cbt
install_module
# one that has a source, and that no kernel takes
strip --strip-all "/lib/modules/$(uname -r)/updates/dm-cbt.ko"
check_fails "a module that the kernel refuses: what to do is said" 1 "until $reload was run again: vm1, vm2.replica" "$reload"
check_equal "the disks are there without it" "$(target vm1) $(target vm2.replica)" "linear linear"
check "fio goes on" goes_on
check_fails "run again too early, it says so" 1 'guests go on untracked until' "$reload"
install_module
check "and doing that puts the trackers back" "$reload"
check_equal "with the module" "$(field state) $(target vm2.replica)" "active cbt"

# cut_off <signal>: the reload, when it is about to unload the module
mkdir "$TMPDIR/bin"
cut_off()
{
	printf '#!/bin/sh\n[ "$1" != -r ] || { kill -%s $PPID; exit 1; }\nexec %s "$@"\n' "$1" "$(command -v modprobe)" \
		>"$TMPDIR/bin/modprobe"
	chmod +x "$TMPDIR/bin/modprobe"
	PATH="$TMPDIR/bin:$PATH" "$reload"
}

install_module faults
old=$(running)
check_fails "one that is to stop in the middle goes on to its end" any 'cannot be unloaded' cut_off TERM
check_equal "with the module that ran, and the trackers" "$(running) $(field state) $(target vm2.replica)" "$old active cbt"
check_fails "one that is killed in the middle ends" any '' cut_off KILL
# as failbackd does
dmsetup rename vm2.replica vm2
dmsetup mknodes
check_equal "with the disks without trackers" "$(target vm1) $(target vm2)" "linear linear"
check "fio goes on" goes_on
check "run again, it goes on from there" "$reload"
check_equal "with the module that is installed, and the trackers" "$(running) $(field state) $(target vm2)" \
	"$(modinfo -F srcversion dm-cbt) active cbt"
kill -INT $fio
wait $fio || true
check_equal "fio finds all that it wrote and sees no error" \
	"$(jq -c '.jobs[0] | [.error, .read.total_ios > 100]' <(sed -n '/^{/,$p' "$TMPDIR/fio"))" "[0,true]"
