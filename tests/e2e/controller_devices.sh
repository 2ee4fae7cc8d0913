#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Devices and trackers that come late, are missing, or began anew: the fence follows them, what is not
# recorded is told, and a disaster finds a way without them.
#
# e2e: timeout=240
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"

size=$MiB
daemon_options=(--call-timeout 5 --second-ms 50)
two_hosts

faces() { [ -e "$TMPDIR/$1.kernel/vm1-disk0" ]; }
hidden() { [ -e "$TMPDIR/$1.kernel/vm1-disk0.replica" ]; }
move() { mv "$TMPDIR/$1.kernel/$2" "$TMPDIR/$1.kernel/$3"; }
is_state() { [ "$(role "$1")" = "$2" ]; }
is_health() { [ "$(vm_property "$1" ReplicationHealth)" = "$2" ]; }
# write_unseen <host>: past its tracker
write_unseen()
{
	local -n disk=${1}0

	dd if=/dev/urandom of="$disk" bs=4k seek=30 count=3 conv=fsync,notrunc status=none
}

up a
up b
relate
check "a delta gives both a base" on a failback resume vm1
check_fails "where all is well, nothing is said of the fence" any '' grep 'run here, but:' "$TMPDIR/a.log" "$TMPDIR/b.log"

# --- the fence follows devices that come ---

move b vm1-disk0.replica vm1-disk0
check "a device that comes into sight where the VM may not run is hidden" wait_for 20 hidden b
move a vm1-disk0 vm1-disk0.replica
check "one that comes hidden where it may is shown" wait_for 20 faces a
stop_daemon a
up a --second-ms 1000
wait_for 30 is_health a 1
move a vm1-disk0 vm1-disk0.replica
on a failback start --force vm1 >"$TMPDIR/out"
check "and by who starts the VM, at once" faces a
touch "$TMPDIR/a.kernel/deaf"
check_fails "who cannot do that says so" 19 'does not answer' on a failback start --force vm1
rm "$TMPDIR/a.kernel/deaf"
stop_daemon a
up a

# --- what is not recorded ---

touch "$TMPDIR/a.kernel/vm1-disk0/linear"
check "a VM without its tracker is Critical" wait_for 20 is_health a 3
check "which says why" grep -q 'is not recorded.*has no tracker vm1-disk0: put' <(vm_property a LastError)
rm "$TMPDIR/a.kernel/vm1-disk0/linear"
check "and no more when the tracker is back" wait_for 20 is_health a 1
check_equal "nothing is left of it" "$(vm_property a LastError)" '""'
mv "$TMPDIR/a.kernel" "$TMPDIR/a.kernel.away"
check "so is one without the module" wait_for 20 is_health a 3
check "... which says what to load" grep -q 'is not recorded.*modprobe dm-cbt' <(vm_property a LastError)
mv "$TMPDIR/a.kernel.away" "$TMPDIR/a.kernel"
check "... and no more when that is back" wait_for 20 is_health a 1

# --- a disaster, and the replica has no tracker ---

down
save good
up b
touch "$TMPDIR/b.kernel/vm1-disk0.replica/linear"
check_fails "a failover wants the tracker, by the name that it has to have there" 19 'has no tracker vm1-disk0.replica: put' \
	on b failback failover vm1
check "by force it goes without" on b failback failover --force vm1
check "the VM finds its disk" faces b
check "and what it writes is known not to be recorded" wait_for 20 is_health b 3
write_unseen b
rm "$TMPDIR/b.kernel/vm1-disk0/linear"
check "a tracker that comes then is seen" wait_for 20 is_health b 2
stop_daemon b
save untracked
up b
check "who gives that up" on b failback revert vm1
check_equal "is taken to have written" "$(role b)" "2 2"
stop_daemon b
restore untracked
echo "another boot of a" >"$TMPDIR/a.boot"
up a
up b
on b failback plan --json vm1 >"$TMPDIR/plan"
check_equal "the way home compares the disk" "$(jq -r '.disks[0] | "\(.method) \(.reason)"' "$TMPDIR/plan")" "compare map-lost"
check "and is gone" on b failback reverse --consent "$(jq -r .digest "$TMPDIR/plan")" vm1
check "so that both hold the same" cmp "$a0" "$b0"
down

# --- a map that began anew says nothing ---

restore good
up b
check "the VM is failed over with its tracker" on b failback failover --force vm1
stop_daemon b
save over
up b
check "who wrote nothing gives it up" on b failback revert vm1
check_equal "and is the replica that it was" "$(role b)" "2 3"
stop_daemon b
restore over
write_unseen b
cat /proc/sys/kernel/random/uuid >"$TMPDIR/b.kernel/vm1-disk0/uuid"
up b
check "whose map began anew meanwhile" on b failback revert vm1
check_equal "is taken to have written" "$(role b)" "2 2"
stop_daemon b

# --- who answers is not the primary any more ---

restore good
up a
up b
on a failback remove vm1 >"$TMPDIR/out"
check_fails "a host that lost the VM refuses, and the way on is named" 11 'has lost the VM for good: stop failbackd there' \
	on b failback failover --force vm1
stop_daemon a
check "which is one" on b failback failover --force vm1
stop_daemon b

restore good
plain=127.0.0.9
up b
check_fails "who cannot ask, for a fault of his own, is told of it" any 'host init|identity|certificate|key' on b failback failover vm1
check "and may go on by force" on b failback failover --force vm1
stop_daemon b

# --- a state directory that is full ---

restore good
mkdir "$TMPDIR/full"
if ! mount -t tmpfs -o size=512k tmpfs "$TMPDIR/full" 2>/dev/null; then
	skip "a change that cannot be recorded is told" "no tmpfs"
	exit 0
fi
cleanup_fn umount "$TMPDIR/full"
cp -a "$TMPDIR"/a.state/. "$TMPDIR/full"
rm -r "$TMPDIR/a.state"
mkdir "$TMPDIR/a.state"
mount --bind "$TMPDIR/full" "$TMPDIR/a.state"
cleanup_fn eval "stop_daemons; umount $TMPDIR/a.state"
up a
dd if=/dev/zero of="$TMPDIR/a.state/fill" bs=4k status=none 2>/dev/null || true
check_fails "a change that cannot be recorded is refused" 10 'full; make room' on a failback suspend vm1
check "who looks later sees it, too" grep -q 'full; make room' <(vm_property a LastError)
check_equal "... as a warning" "$(vm_property a ReplicationHealth)" 2
rm "$TMPDIR/a.state/fill"
check "with room it works" on a failback suspend vm1
check_fails "... and nothing of it is told any more" any '' grep -q 'make room' <(vm_property a LastError)
