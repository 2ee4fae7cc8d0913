#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A delta is what the disk held at the freeze, also while the VM overwrites it: it is sent from an
# image. The image goes with the epoch, also when the daemon was killed, and an epoch whose old
# contents found no room fails with that reason.
#
# vm: disk=64M disk=64M disk=16M timeout=240 quick=6.1
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../e2e/controller.bash"

ip link set lo up
insmod_cbt copy_pool_kib=1024
size=$(blockdev --getsize64 /dev/vda)

head -c "$size" /dev/urandom >/dev/vda
cat /dev/vda >/dev/vdb
cbtctl format /dev/vdb /dev/vdc >/dev/null
dmsetup create vm1-disk0 --table "0 $((size / 512)) cbt /dev/vdb /dev/vdc"
cleanup_fn dmsetup remove --retry vm1-disk0
dmsetup mknodes

# What the sender does before it sends stands in $TMPDIR/before.
mkdir "$TMPDIR/bin"
ln -s "$top/build/bin/failback-receive" "$TMPDIR/bin/"
cat >"$TMPDIR/bin/failback-send" <<-SH
	#!/bin/bash
	. "$TMPDIR/before"
	exec "$top/build/bin/failback-send" "\$@"
SH
chmod +x "$TMPDIR/bin/failback-send"

# overwrite <first MiB> <number of MiB>: as the VM does, in 1 MiB requests
overwrite()
{
	dd if=/dev/urandom of=/dev/mapper/vm1-disk0 bs=1M seek="$1" count="$2" oflag=direct status=none
}

freeze_contents()
{
	blockdev --flushbufs /dev/vdb
	dd if=/dev/vdb of="$TMPDIR/frozen" bs=1M iflag=direct status=none
}

images() { dmsetup ls | grep -c ^failback-image- || true; }

relationship 1 4 b "$(disk disk0 "$size" /dev/vda "")" >"$TMPDIR/a.json"
relationship 2 5 a "$(disk disk0 "$size" /dev/vdb vm1-disk0)" >"$TMPDIR/b.json"
start_bus a
start_bus b
start_daemon a
start_daemon b --libexec-dir "$TMPDIR/bin"
on a failback apply "$TMPDIR/a.json" >/dev/null
on b failback apply "$TMPDIR/b.json" >/dev/null
: >"$TMPDIR/before"
overwrite 1 2
check "it is reversed" on b failback reverse vm1

overwrite 3 3
freeze_contents
cat >"$TMPDIR/before" <<-'SH'
	dd if=/dev/urandom of=/dev/mapper/vm1-disk0 bs=4k seek=$((4 << 8)) count=600 oflag=direct status=none
	dmsetup ls | grep -c ^failback-image- >"$TMPDIR/images"
SH
check "a delta is sent while the VM overwrites it" on b failback resume vm1
check_equal "from an image" "$(<"$TMPDIR/images")" 1
blockdev --flushbufs /dev/vda /dev/vdb
check "the receiver holds what the disk held at the freeze" cmp /dev/vda "$TMPDIR/frozen"
check_equal "which is not what it holds now" "$(cmp -s /dev/vda /dev/vdb; echo $?)" 1
check_equal "what was written since is dirty" "$(vm_property b DirtyBytes)" $((600 * 4096))
check_equal "the image is gone" "$(images)" 0
: >"$TMPDIR/before"
check "the next delta brings it" on b failback resume vm1
blockdev --flushbufs /dev/vda /dev/vdb
check "and the disks are identical" cmp /dev/vda /dev/vdb

# --- more is overwritten than the diff area holds ---

overwrite 16 16
cat >"$TMPDIR/before" <<-'SH'
	dd if=/dev/urandom of=/dev/mapper/vm1-disk0 bs=1M seek=16 count=16 oflag=direct status=none
SH
check_fails "an epoch whose old contents find no room fails, and says why" 10 'epoch broke: .*diff area.*Nothing is lost' \
	on b failback resume vm1
check_equal "its image is gone" "$(images)" 0
: >"$TMPDIR/before"
check "the next delta covers it" on b failback resume vm1
blockdev --flushbufs /dev/vda /dev/vdb
check "and the disks are identical" cmp /dev/vda /dev/vdb

# --- a daemon that is killed, while someone has the image open ---

overwrite 0 1
cat >"$TMPDIR/before" <<-'SH'
	setsid sleep 100 </dev/mapper/failback-image-* 3>&- 4>&- &
	echo $! >"$TMPDIR/reader"
	exec sleep 100
SH
call b RequestReplicationStateChange oq "$vm_path" 3 >/dev/null
check "someone has the image open" wait_for 20 test -s "$TMPDIR/reader"
stop_daemon b KILL
check_equal "a killed daemon leaves the image" "$(images)" 1
start_daemon b
check_equal "the next one ends the epoch" "$(vm_property b DirtyBytes)" $((1 << 20))
kill "$(<"$TMPDIR/reader")"
no_image() { [ "$(images)" = 0 ]; }
check "the image goes when its last reader does" wait_for 60 no_image
check "and a delta succeeds" wait_for 20 on b failback resume vm1
blockdev --flushbufs /dev/vda /dev/vdb
check "and the disks are identical" cmp /dev/vda /dev/vdb
