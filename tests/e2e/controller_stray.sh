#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the map of a replica holds beyond the delta stays there, and is told, however the delta comes;
# and what a crash left frozen there is ended.
#
# e2e: timeout=120
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"

export FAILBACK_NO_IO_URING=1
two_hosts cuts
replica=$TMPDIR/b.kernel/vm1-disk0.replica

# receives <claim> <first block> <number>: a delta, until the replica has recorded it
receives()
{
	write_on a vm1-disk0 "$2" "$3"
	check "$1" on a failback resume vm1
	wait_for 60 eval '[ "$(vm_property a Base)" = "$(vm_property b Base)" ] && job_is_over'
}
job_is_over() { ! on b failback jobs --json | jq -e 'select(.state == 4)' >/dev/null; }
told() { vm_property b LastError; }

up a
for mode in journal direct; do
	up b --receive-mode $mode
	relate
	receives "$mode: a delta comes" 10 4
	check_equal "... and nobody has anything to tell" "$(told), $(vm_property b DirtyBytes)" '"", 0'
	# with a delta that covers some of it
	echo "77 2" >>"$replica/active"
	echo "20 1" >>"$replica/active"
	receives "$mode: another comes, after somebody else wrote there" 20 2
	check "... which is told, in bytes" grep -q 'Something but failbackd wrote to the replica: 8 KiB' <(told)
	check_equal "... as a warning" "$(vm_property b ReplicationHealth)" 2
	check_equal "... and is in the map" "$(grep -c '^77 2$' "$replica/active")" 1
	receives "$mode: the next tells it again" 30 1
	check "... for as long as it is there" grep -q '8 KiB' <(told)
	check "all is sent anew" on a failback suspend vm1
	check "... with success" on a failback resync vm1
	wait_for 60 job_is_over
	check_equal "... and nobody has anything to tell" "$(told), $(vm_property b DirtyBytes)" '"", 0'
	stop_daemon b
done

# --- a crash between the freeze of what was received and its end ---

up b --receive-mode direct
base=$(vm_property b Base | tr -d '"')
echo "5 1" >"$replica/frozen"
echo "$base" >"$replica/epoch"
sed -i "/^$base /d" "$replica/ended"
receives "a delta comes where the one before is still frozen" 40 1
check_equal "... which is merged back" "$(grep "^$base" "$replica/ended")" "$base aborted"
check "... since nobody knows any more which blocks were its own" grep -q '4 KiB that no delta covers.*cut off' <(told)
check_equal "... and they are in the map" "$(grep -c '^5 1$' "$replica/active")" 1
echo "5 1" >"$replica/frozen"
other=11111111-0000-4000-8000-000000000000
echo $other >"$replica/epoch"
receives "a delta comes where one is frozen that never arrived" 5 1
check_equal "... which is aborted" "$(grep "^$other" "$replica/ended")" "$other aborted"
check_equal "... and covered by this one" "$(told), $(vm_property b DirtyBytes)" '"", 0'

# --- a crash between a journal that was applied and its record ---

stop_daemon b
up b
echo "77 2" >>"$replica/active"
write_on a vm1-disk0 50 1
echo "4 failback-receive both journal_file_commit" >"$TMPDIR/b.cut"
check "a delta arrives" on a failback resume vm1
check "... and the replica dies when it is on its disk" wait_for 60 test ! -e "$TMPDIR/b.cut"
stop_daemon b
up b
check "... and records it later" wait_for 60 eval '[ "$(vm_property a Base)" = "$(vm_property b Base)" ] && job_is_over'
check "... and tells of what is not known whose it is" grep -q 'cut off as it recorded a delta: 8 KiB, on disk disk0,' <(told)
check_equal "... which was ended without a mark for each range" "$(tail -n 1 "$replica/ended")" "$(vm_property b Base | tr -d '"') aborted"
check_equal "... which is in the map" "$(grep -c '^77 2$' "$replica/active")" 1
