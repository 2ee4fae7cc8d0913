#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# ext4 and xfs on a tracker with a store: a second disk is kept equal to the tracked one by the
# frozen epochs alone, read from their images while the file system is written by fio, which
# verifies, by tests/vm/fsload.c and by fstrim. In the end the map covers every block in which the
# disks differ.
#
# vm: disk=320M disk=320M disk=256M timeout=400 long=3000 quick=6.1
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/coverage.bash"
requires fio mkfs.ext4 mkfs.xfs fstrim

origin=/dev/vda copy=/dev/vdb store=/dev/vdc mnt=$TMPDIR/mnt
modprobe brd rd_nr=1 rd_size=65536
cleanup_fn rmmod brd
# Under emulation a copy may stand still for as long as the machine is busy.
insmod_cbt copy_stall_ms=60000
sectors=$(blockdev --getsz $origin)
mkdir "$mnt"
cleanup_fn eval "umount $mnt 2>/dev/null || true
	for d in image replay t; do dmsetup remove --retry \$d 2>/dev/null || true; done"

# end_epoch: what it wrote goes from its image to the copy
end_epoch()
{
	local epoch

	epoch=$(cbtctl freeze t)
	dmsetup create image --readonly --table "0 $sectors cbt-image $uuid $epoch"
	dmsetup mknodes
	cbtctl map t --frozen --epoch "$epoch" >"$TMPDIR/frozen"
	"$top/tests/copy_extents.py" /dev/mapper/image $copy <"$TMPDIR/frozen" ||
		bail "the image is $(dmsetup status image), the tracker $(cbtctl show t)"
	dmsetup remove --retry image
	cbtctl commit --epoch "$epoch" t >/dev/null
	diag "an epoch of $(awk '/^[0-9]/ { n += $2 } END { print n + 0 }' "$TMPDIR/frozen") blocks"
}

# copy_is_sound <fs>: on a snapshot of it, where the journal is replayed
copy_is_sound()
{
	local rc=0 options=rw

	# the origin is mounted under the same UUID
	[ "$1" != xfs ] || options=nouuid

	modprobe dm-snapshot
	dd if=/dev/zero of=/dev/ram0 bs=64k count=1 oflag=direct status=none
	dmsetup create replay --table "0 $sectors snapshot $copy /dev/ram0 N 8"
	dmsetup mknodes
	mount -o $options /dev/mapper/replay "$TMPDIR/copy" && umount "$TMPDIR/copy" || rc=1
	case $1 in
	ext4) e2fsck -fn /dev/mapper/replay || rc=1 ;;
	xfs) xfs_repair -n /dev/mapper/replay || rc=1 ;;
	esac
	dmsetup remove --retry replay
	return $rc
}

verify()
{
	fio --directory="$mnt" --name="$1" --size=8m --rw=randwrite --bs=4k --fsync=64 \
		--verify=crc32c --verify_fatal=1 "${@:2}"
}

start_load()
{
	"$top/build/tests/vm/fsload" write "$mnt/one" "$seed" "$number" >"$TMPDIR/one" 2>&1 &
	one=$!
	"$top/build/tests/vm/fsload" write "$mnt/two" $((seed + 1)) "$number" >"$TMPDIR/two" 2>&1 &
	two=$!
	{
		verify direct --direct=1 --ioengine=io_uring --iodepth=16 &&
			verify mapped --ioengine=mmap && fstrim "$mnt"
	} >"$TMPDIR/fio" 2>&1 &
	fio=$!
}

# ended_well <claim> <process> <what it said>
ended_well()
{
	if wait "$2"; then
		ok "$1"
	else
		not_ok "$1"
		diag <"$3"
	fi
}

loads_run() { kill -0 $one || kill -0 $two || kill -0 $fio; } 2>/dev/null

# on_file_system <fs> <mkfs>...
on_file_system()
{
	local fs=$1 epochs=0
	shift

	"$@" /dev/mapper/t
	mount -t "$fs" /dev/mapper/t "$mnt"
	start_load
	while loads_run; do
		end_epoch
		epochs=$((epochs + 1))
	done
	ended_well "$fs: fsload ends well" $one "$TMPDIR/one"
	ended_well "$fs: ... also the second" $two "$TMPDIR/two"
	ended_well "$fs: fio finds what it wrote, and fstrim works" $fio "$TMPDIR/fio"
	check_count "$fs: epochs end meanwhile" "$seed" $epochs 1
	end_epoch
	check "$fs: the copy that the epochs made is a sound file system" copy_is_sound "$fs"
	verify last --size=2m --direct=1 --ioengine=psync >/dev/null
	rm "$mnt"/mapped*
	fstrim "$mnt"
	umount "$mnt"
	check_covered "$fs: no block is missing that differs from what was frozen last" t $origin $copy
	mount -t "$fs" /dev/mapper/t "$mnt"
	check "$fs: the files are what they should be" \
		"$top/build/tests/vm/fsload" check "$mnt/one" "$seed" "$number"
	check "$fs: ... also the second's" \
		"$top/build/tests/vm/fsload" check "$mnt/two" $((seed + 1)) "$number"
	umount "$mnt"
}

seed=$(new_seed)
number=$(required 1500 30000)
mkdir "$TMPDIR/copy"
# The base: both disks equal, not empty.
dd if=/dev/urandom of=$origin bs=1M count=4 seek=60 status=none
dd if=$origin of=$copy bs=1M status=none
uuid=$(cbtctl format --log-size 1M $origin $store)
dmsetup create t --table "0 $sectors cbt $origin $store"
dmsetup mknodes
on_file_system ext4 mkfs.ext4 -q -E nodiscard
on_file_system xfs mkfs.xfs -q -f -K
