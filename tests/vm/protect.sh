#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# failback protect with LVM and the module: volumes and stores are made, also where old ones were, the disk
# comes under its tracker, is replicated, and a delta follows. Two hosts in one kernel: the primary's
# tracker has a name of its own, which it keeps.
#
# vm: disk=192M disk=192M timeout=300 quick=6.12
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../e2e/controller.bash"
requires lvcreate

ip link set lo up
insmod_cbt
export LVM_SUPPRESS_FD_WARNINGS=1
quietly() { "$@" >/dev/null 2>"$TMPDIR/quietly" || bail "$*: $(<"$TMPDIR/quietly")"; }
cleanup_fn quietly vgchange -an va vb
quietly vgcreate va /dev/vda
quietly vgcreate vb /dev/vdb
for name in vm1 vm2; do
	quietly lvcreate -L 32M -n $name va
done
quietly mkfs.ext4 -q /dev/va/vm1
# volumes that are removed leave what they held where the new stores will be
quietly lvcreate -L 32M -n before vb
for group in va vb; do
	quietly lvcreate -L 80M -n old $group
	quietly cbtctl format --force /dev/va/vm1 /dev/$group/old
	quietly lvremove -f $group/old
done
quietly lvremove -f vb/before

start_bus a
start_bus b
start_daemon a
start_daemon b --replica-paths /dev/vb
printf '[failbackd]\nreplica-paths = /dev/vb\n' >"$TMPDIR/b.conf"
on_a() { on a failback protect "$1" --to "${address[b]}:$port" --peer-vg vb --table "$TMPDIR/a.trackers" "${@:2}"; }
on_b() { on b failback protect "$1" --replica --table "$TMPDIR/b.trackers" --config "$TMPDIR/b.conf" "${@:2}"; }
tags() { lvs --noheadings -o lv_tags "$1" | tr -d ' \n'; }

# --- a disk that has nothing yet ---

exec 3<>/dev/va/vm2
check_fails "a disk in use cannot get under a tracker" 16 'in use: .*shut VM vm2 down' on_a vm2 --disk disk0=/dev/va/vm2
exec 3>&-
check_equal "and no store is made for it" "$(lvs --noheadings -o lv_name va | xargs)" "vm1 vm2"
check_fails "a group has to have room" 15 'has no room for /dev/vb/vm2-store: it needs .* and' \
	on_b vm2 --disk disk0=/dev/vb/vm2:$((168 << 20))
check_fails "the disk comes under its tracker, before the peer has one" 21 '/dev/vb/vm2 cannot be used: No such file' \
	on_a vm2 --disk disk0=/dev/va/vm2
check_equal "which is active" "$(cbtctl list --json | jq -r '.trackers[] | .name + " " + .state' | sed 's/\.replica//')" "vm2-disk0 active"
check_equal "its store is new no more" "$(tags va/vm2-store)" ""
check_equal "and stands in the table" "$(<"$TMPDIR/a.trackers")" "vm2-disk0 /dev/va/vm2 /dev/va/vm2-store"
cbtctl deactivate --table "$TMPDIR/a.trackers"

# --- one that has its line, and a replica ---

quietly lvcreate -y -L 48M -n vm1-store va
quietly cbtctl format --force /dev/va/vm1 /dev/va/vm1-store
echo "home-disk0 /dev/va/vm1 /dev/va/vm1-store" >>"$TMPDIR/a.trackers"
size=$(blockdev --getsize64 /dev/va/vm1)
check "the replica's half is made" on_b vm1 --disk disk0=/dev/vb/vm1:"$size"
check_equal "of that size" "$(blockdev --getsize64 /dev/vb/vm1)" "$size"
check_equal "and is active, fenced" "$(cbtctl list --json | jq -r '.trackers[] | .name + " " + .state')" "vm1-disk0.replica active"
check_equal "nothing is new" "$(tags vb)" ""
check "the primary's half is made, and the disk sent" on_a vm1 --disk disk0=/dev/va/vm1
blockdev --flushbufs /dev/va/vm1 /dev/vb/vm1
check "the disks are identical" cmp /dev/va/vm1 /dev/vb/vm1
check "the VM's device is let go" test -b /dev/mapper/home-disk0
mkdir "$TMPDIR/mnt"
mount /dev/mapper/home-disk0 "$TMPDIR/mnt"
head -c 3M /dev/urandom >"$TMPDIR/mnt/file"
umount "$TMPDIR/mnt"
check "a delta follows" on a failback resume vm1
blockdev --flushbufs /dev/va/vm1 /dev/vb/vm1
check "the disks are identical" cmp /dev/va/vm1 /dev/vb/vm1
check "once more nothing is to be done there" eval "on_b vm1 --disk disk0=/dev/vb/vm1:$size --dry-run | grep -q 'has its tracker'"
check "nor here" eval "on_a vm1 --disk disk0=/dev/va/vm1 | grep -q '^VM vm1 is replicated to'"
stop_daemons
cbtctl deactivate --table "$TMPDIR/a.trackers"
cbtctl deactivate --table "$TMPDIR/b.trackers"
check "the stores are sound" eval "cbtctl store-check /dev/va/vm2-store && cbtctl store-check /dev/vb/vm1-store"
