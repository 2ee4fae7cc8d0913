#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A store fails in a way that keeps it from saying so: failbackd writes down that the tracker is
# lost, and lets the guest go on. When the store comes back, and says that all is well, failbackd
# knows better.
#
# vm: disk=64M disk=64M disk=16M timeout=300 quick=6.12
# vm-allow: blk_update_request|I/O error, dev|Buffer I/O error on dev
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../e2e/controller.bash"

ip link set lo up
insmod_cbt
size=$(blockdev --getsize64 /dev/vda)
cat /dev/vda >/dev/vdb
store_sectors=$(blockdev --getsz /dev/vdc)
cleanup_fn eval 'for d in t t.replica store; do dmsetup remove --retry $d 2>/dev/null || true; done'

# store_is <target and its arguments after the device and its offset>
store_is()
{
	dmsetup load store --table "0 $store_sectors $1 /dev/vdc 0 ${*:2}"
	dmsetup suspend --nolockfs store
	dmsetup resume store
}
breaks() { store_is flakey 0 3600 1 error_writes; }
mends() { store_is linear; }

attach()
{
	dmsetup create t --table "0 $((size / 512)) cbt /dev/vdb /dev/mapper/store"
	dmsetup mknodes
}

tracker() { cbtctl show t --json | jq -r ".tracker.$1"; }
state_is() { [ "$(tracker state)" = "$1" ]; }
reloads_module() { rmmod dm_cbt && insmod "$(cbt_module)"; }

# write_block <block>: and note how long it took
write_block()
{
	local begin=${EPOCHREALTIME/./}

	timeout 60 dd if=/dev/urandom of=/dev/mapper/t bs=4k seek="$1" count=1 oflag=direct status=none ||
		return 1
	echo $(((${EPOCHREALTIME/./} - begin) / 1000)) >"$TMPDIR/took"
}

dmsetup create store --table "0 $store_sectors linear /dev/vdc 0"
dmsetup mknodes
cbtctl format --log-size 64K /dev/vdb /dev/mapper/store >/dev/null
attach
breaks
check "without a daemon the guest goes on" write_block 3000
alone_ms=$(<"$TMPDIR/took")
dmsetup remove --retry t
mends
cbtctl format --force --log-size 64K /dev/vdb /dev/mapper/store >/dev/null
attach

relationship 1 4 b "$(disk disk0 "$size" /dev/vda "")" >"$TMPDIR/a.json"
relationship 2 5 a "$(disk disk0 "$size" /dev/vdb t)" >"$TMPDIR/b.json"
for host in a b; do
	start_bus $host
	start_daemon $host
	on $host failback apply "$TMPDIR/$host.json" >/dev/null
done
check "the relationship is reversed" on b failback reverse vm1

lost() { [ "$(vm_property b LastError | grep -c 'is not recorded')" -eq 1 ]; }

# fails_unnoticed <claim> <block>: but for failbackd
fails_unnoticed()
{
	breaks
	check "$1: the guest goes on" write_block "$2"
	check "... and waits for failbackd, not for the hold time ($(<"$TMPDIR/took") ms, alone $alone_ms)" \
		[ "$(<"$TMPDIR/took")" -lt "$alone_ms" ]
	check_equal "... the tracker is lost" "$(tracker state)" lost
	check "... which the relationship says" lost
	check_equal "... critically" "$(vm_property b ReplicationHealth)" 3
	# as after a power cut: nobody but the database remembers
	dmsetup remove --retry t
	mends
	reloads_module
	attach
	check_equal "... the store that came back says nothing of it" \
		"$(tracker state) $(tracker generation) $([ "$(tracker base)" = null ] || echo base)" "active 1 base"
	check_fails "... and no delta goes by it" any 'resynchronisation is needed' on b failback resume vm1
}

base() { write_block 10 && on b failback resume vm1; }

check "a delta gives the tracker a base" base
fails_unnoticed "a store fails" 3000
stop_daemon b
start_daemon b
check_fails "a daemon that was started anew knows it, too" any 'resynchronisation is needed' on b failback resume vm1
check "a resynchronisation sends all" on b failback resync vm1
blockdev --flushbufs /dev/vda /dev/vdb
check "... and the disks are identical" cmp /dev/vda /dev/vdb
check "... from where deltas go on" base
fails_unnoticed "the store fails again, with a module that was loaded anew" 6000

# --- a database that is full at that moment ---

check "a resynchronisation sends all once more" on b failback resync vm1
check "... from where deltas go on" base
stop_daemon b
mkdir "$TMPDIR/full"
mount -t tmpfs -o size=512k tmpfs "$TMPDIR/full"
cleanup_fn umount "$TMPDIR/full"
cp -a "$TMPDIR"/b.state/. "$TMPDIR/full"
mount --bind "$TMPDIR/full" "$TMPDIR/b.state"
cleanup_fn eval "stop_daemons; umount $TMPDIR/b.state"
start_daemon b
dd if=/dev/zero of="$TMPDIR/b.state/fill" bs=4k status=none 2>/dev/null || true
breaks
check "the store fails while the database is full: the guest goes on" write_block 9000
check "... the loss cannot be recorded" wait_for 20 grep -q 'cannot be recorded yet: .*full; make room' "$TMPDIR/b.log"
rm "$TMPDIR/b.state/fill"
check "... but is when there is room" wait_for 20 lost
