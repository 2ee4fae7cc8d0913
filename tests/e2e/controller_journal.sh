#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A receiver that is cut at each step of a delta: with a journal it can be failed over, to the epoch
# before or to the one that came, bit for bit; without one it says that it cannot.
#
# e2e: timeout=600 long=3600
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"

requires mount umount
size=$MiB
daemon_options=(--call-timeout 5 --resume-for 0)
export FAILBACK_NO_IO_URING=1
two_hosts cuts

job_result()
{
	on "$1" failback jobs --json | jq -r 'select(.type == 106) | .result' | tail -n 1
}

idle()
{
	! on "$1" failback jobs --json | jq -e 'select(.state == 4)' >/dev/null
}

up a
up b
relate
write_on a vm1-disk0 3 2
check "a delta is received" on a failback resume vm1
wait_for 60 idle b || true
check_equal "with a journal" "$(job_result b | jq -c '[.mode, .reason]')" '["journal",null]'
check_equal "which is gone then" "$(ls "$TMPDIR/b.state" | grep -c journal)" 0
check "and the disks are identical" wait_for 60 cmp -s "$a0" "$b0"

# --- what is read while the VM writes is no state to run from ---

stop_daemon b
up b --receive-mode direct
rm "$TMPDIR/a.kernel/vm1-disk0/store"
write_on a vm1-disk0 9 2
check "a delta of a tracker without images is received" on a failback resume vm1
check_equal "in place, when that is set" "$(job_result b | jq -c '[.mode, .reason]')" '["direct","receive-mode is direct"]'
check_equal "the replica holds no instant of the VM's" "$(vm_property b Consistent)" false
stop_daemon a
check_fails "so it cannot be failed over to, and says how to go on" 17 'hold no instant.*failback resume vm1' \
	on b failback failover --force vm1
up a
check "prepared, the primary proves that both hold the same" on a failback prepare vm1
check "then it can" on b failback failover vm1
check "it is given back" on b failback revert vm1
check "and the primary goes on" on a failback resume vm1
check "with a delta from its disk" on a failback resume vm1
check_equal "it is no state to run from again" "$(vm_property b Consistent)" false
touch "$TMPDIR/a.kernel/vm1-disk0/store"
check "a delta from an image" on a failback resume vm1
check_equal "makes it one" "$(vm_property b Consistent)" true

# --- a record of before `apply` minded the journal: it names a file, and no epoch ---

# set_record <SQL> [<host> [<table>]]: of b, or that one, which is down
set_record()
{
	python3 -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1], isolation_level=None).execute(sys.argv[2])' \
		"$TMPDIR/${2:-b}.state/failback.db" "UPDATE ${3:-relationships} SET $1"
}
down
truncate -s 64K "$TMPDIR/b.state/$vm.journal"
set_record "journal = '$TMPDIR/b.state/$vm.journal', inconsistent = 1, instant = 1"
up b --receive-mode direct
check_fails "a journal that nothing was written to proves nothing of the disks" 17 'hold no instant' \
	on b failback failover --force vm1
check_equal "and is gone then" "$(ls "$TMPDIR/b.state" | grep -c journal)" 0
stop_daemon b
set_record "inconsistent = 0"
set_record 'last_replication_us = 9000000000000000' a
up a
write_on a vm1-disk0 15 1
check_equal "what is dirty has no age yet after a clock was set back" "$(vm_property a Lag)" 0
up b --receive-mode direct

# --- no room ---

mkdir "$TMPDIR/small"
mount -t tmpfs -o size=32m none "$TMPDIR/small"
cleanup_fn umount "$TMPDIR/small"
stop_daemon b
up b --journal-dir "$TMPDIR/small"
write_on a vm1-disk0 20 4
check "without room for a journal a delta is received all the same" on a failback resume vm1
check "in place, and the job says why" grep -q '"mode":"direct".*64 MiB to spare, finds only .*small' <(job_result b)
check_equal "and nothing is left there" "$(ls "$TMPDIR/small")" ""
check "and the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
mount -o remount,size=128m "$TMPDIR/small"
write_on a vm1-disk0 30 4
check "with room" on a failback resume vm1
check_equal "there is one again" "$(job_result b | jq -r .mode)" journal

truncate -s 160M "$TMPDIR/ext2"
if mkfs.ext2 -q "$TMPDIR/ext2" && mkdir "$TMPDIR/old" && mount -o loop "$TMPDIR/ext2" "$TMPDIR/old"; then
	cleanup_fn umount "$TMPDIR/old"
	stop_daemon b
	up b --journal-dir "$TMPDIR/old"
	write_on a vm1-disk0 33 2
	check "a delta comes where a file cannot be reserved" on a failback resume vm1
	check "in place, without every block of a journal being written" \
		grep -q '"mode":"direct".*cannot reserve room' <(job_result b)
	check_equal "and nothing is left there" "$(ls "$TMPDIR/old")" "lost+found"
else
	skip "a delta comes where a file cannot be reserved" "no ext2"
fi

# --- a delta that ends before anything of it is written ---

stop_daemon b
up b --receive-mode direct
write_on a vm1-disk0 35 2
check "a delta is received in place" on a failback resume vm1
cp "$TMPDIR/b.disk0" "$TMPDIR/kept"
mv "$TMPDIR/bin/failback-send" "$TMPDIR/bin/send.good"
printf '#!/bin/sh\nexit 9\n' >"$TMPDIR/send.bad"
chmod +x "$TMPDIR/send.bad"
cp "$TMPDIR/send.bad" "$TMPDIR/bin/failback-send"
write_on a vm1-disk0 36 2
check_fails "one whose sender dies at once is not" any '' on a failback resume vm1
mv "$TMPDIR/bin/send.good" "$TMPDIR/bin/failback-send"
stop_daemon a
wait_for 60 idle b || true
check_equal "the replica is as it was" "$(vm_property b Consistent)" true
check "and can be failed over to" on b failback failover --force vm1
check "and holds what it held" cmp "$b0" "$TMPDIR/kept"
check "it is given back" on b failback revert vm1
stop_daemon b
echo "another boot, $RANDOM" >"$TMPDIR/a.boot"
up a
up b
check "the primary is confirmed" wait_for 60 eval '[ "$(vm_property a MayRun)" = true ]'
check "and the next delta covers it" on a failback resume vm1
check "and the disks are identical" wait_for 60 cmp -s "$a0" "$b0"

# --- a delta that was acknowledged, and cut off before it was recorded ---

stop_daemon b
up b --receive-mode direct
base=$(vm_property a Base)
write_on a vm1-disk0 37 2
echo "3 failbackd both store_put_relationship" >"$TMPDIR/b.cut"
on a timeout 30 failback resume vm1 >/dev/null 2>&1 || true
check "a delta is acknowledged by a replica that dies then" test ! -e "$TMPDIR/b.cut" -a "$base" != "$(vm_property a Base)"
stop_daemon b
up b --receive-mode direct
check_equal "... and does not know that it is whole" "$(vm_property b Consistent)" false
mv "$TMPDIR/bin/failback-send" "$TMPDIR/bin/send.good"
cp "$TMPDIR/send.bad" "$TMPDIR/bin/failback-send"
write_on a vm1-disk0 38 2
check_fails "... until the next one begins, though its sender dies at once" any '' on a failback resume vm1
mv "$TMPDIR/bin/send.good" "$TMPDIR/bin/failback-send"
wait_for 60 idle b || true
check_equal "... whose base proves it" "$(vm_property b Consistent)" true
check "and the next delta covers that" on a failback resume vm1
wait_for 60 idle b || true
stop_daemon b
base=$(vm_property a Base)

# --- cuts ---

for ((i = 0; i < 6; i++)); do write_on a vm1-disk0 $((40 + i * 17)) $((i % 3 + 1)); done
stop_daemon a
save before

# holds: which epoch do the disks of b hold?
holds()
{
	if cmp -s "$b0" "$TMPDIR/saved.before/b.disk0"; then
		echo old
	elif cmp -s "$b0" "$TMPDIR/saved.before/a.disk0"; then
		echo new
	else
		echo neither
	fi
}

# fail_over: b, whose primary is dead; waits for what it settles by itself.
fail_over()
{
	wait_for 20 idle b || echo "still busy" >"$TMPDIR/out"
	on b timeout 30 failback failover --force vm1 >"$TMPDIR/out" 2>&1
}

# cut_receiver <stride> <program> <option>...: at each step of it, or in the short run at one of so many,
# from a random one on; counts in $old, $new, $refused and $bad.
cut_receiver()
{
	local stride program=$2 step reached=1 acknowledged

	stride=$(required "$1" 1)
	shift 2
	[ "$stride" -gt 1 ] && step=$((RANDOM % stride - stride + 1)) || step=0

	old=0 new=0 refused=0 bad=""
	while [ $reached = 1 ] && [ $step -lt 200 ]; do
		step=$((step + stride))
		restore before
		up b "$@"
		up a
		echo "$step $program" >"$TMPDIR/b.cut"
		on a timeout 30 failback resume vm1 >/dev/null 2>&1 || true
		if rm "$TMPDIR/b.cut" 2>/dev/null; then
			reached=0
		fi
		acknowledged=$([ "$(vm_property a Base)" = "$base" ] || echo ", acknowledged")
		down KILL
		up b "$@"
		if fail_over; then
			case $(holds)$acknowledged in
			old) old=$((old + 1)) ;;
			new*) new=$((new + 1)) ;;
			*) bad="$bad $step:$(holds)$acknowledged" ;;
			esac
		elif grep -q "hold no instant" "$TMPDIR/out"; then
			refused=$((refused + 1))
		else
			bad="$bad $step:$(tail -n 1 "$TMPDIR/out")"
		fi
		[ -z "$(ls "$TMPDIR"/b.state/*.journal 2>/dev/null)" ] || bad="$bad $step:left"
		stop_daemon b
	done
	diag "$program $*: $step steps, $old old, $new new, $refused refused"
}

cut_receiver 4 failbackd
check_equal "failbackd is cut at steps of receiving: the old epoch or the new one is there, this when it was acknowledged" "$bad, $refused" ", 0"
check "both occur" test $old -gt 0 -a $new -gt 0
cut_receiver 12 failback-receive
check_equal "so are it and its worker at the worker's steps" "$bad, $refused" ", 0"
check "both occur" test $old -gt 0 -a $new -gt 0
cut_receiver 12 failback-receive --receive-mode direct
check_equal "in place, what is neither cannot be failed over to" "$bad" ""
check "that occurs" test $refused -gt 0

# --- a journal that waits for its disks ---

down
restore before
up b
up a
echo "2 failback-receive both journal_file_commit" >"$TMPDIR/b.cut" # it is complete, and nothing is applied
on a timeout 30 failback resume vm1 >/dev/null 2>&1 || true
down KILL
mv "$b0" "$b0.away"
up b
wait_for 60 idle b || true
truncate -s $size "$TMPDIR/b.other"
relationship 2 3 a "$(disk disk0 $size "$TMPDIR/b.other" vm1-disk0)" >"$TMPDIR/other.json"
check_fails "while a complete delta waits for its disk, the replica gets no other one" 16 'goes there first.*failback remove vm1' \
	on b failback apply "$TMPDIR/other.json"
mv "$b0.away" "$b0"
check_fails "nor when it is back" 16 'goes there first' on b failback apply "$TMPDIR/other.json"
wait_for 60 idle b || true
check_equal "but it is settled then" "$(holds)" new
check "and another disk is taken" on b failback apply "$TMPDIR/other.json"
check "which nothing was written to" cmp -n $size "$TMPDIR/b.other" /dev/zero
check_equal "and which holds no instant" "$(vm_property b Consistent)" false
stop_daemon b

# --- a disk that was said to have grown, on one host only ---

# leave_complete_here: a journal that was acknowledged, of which nothing is applied; both are down
leave_complete_here()
{
	restore before
	up b
	up a
	echo "2 failback-receive both journal_file_commit" >"$TMPDIR/b.cut"
	on a timeout 30 failback resume vm1 >/dev/null 2>&1 || true
	down KILL
}
leave_complete_here
set_record "size_bytes = size_bytes / 2" b disks # the journal is of the whole
up b
wait_for 60 idle b || true
check_equal "a journal is applied to its disks, whatever the record says of their size" "$(holds)" new
up a
check_fails "no delta comes to a disk of another size" 15 'has 524288 bytes on this host and 1048576 on the peer.*failback apply' \
	on a failback resume vm1
down

# --- a journal one of whose entries is damaged ---

leave_complete_here
dd if=/dev/urandom of="$TMPDIR/b.state/$vm.journal" bs=4K seek=17 count=1 conv=notrunc status=none
cp "$b0" "$TMPDIR/b.was"
up b
wait_for 60 idle b || true
check "nothing of a damaged journal is written" cmp "$b0" "$TMPDIR/b.was"
up a
check_fails "a delta ends with the reason" 10 'cannot be applied.*entry 0 of the journal is damaged' on a failback resume vm1
on a failback resume vm1 >/dev/null 2>&1 || true # for this one it is tried again, and the primary does not wait here
wait_for 60 idle b || true
check_fails "... and so does the next" 10 'cannot be applied.*entry 0 of the journal is damaged' on a failback resume vm1
check "it is kept" test -s "$TMPDIR/b.state/$vm.journal"
on a failback suspend vm1 >/dev/null
check "all of the disk does without it" on a failback resync vm1
check "... and the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
no_journal() { ! ls "$TMPDIR/b.state" | grep -q journal; } # a delta of an instant follows by itself
check "... and it is gone" wait_for 60 no_journal
down

# --- a journal on a file system that is mounted later than the daemon starts ---

late=$TMPDIR/late
# leave_complete: a journal there that was acknowledged; both are down
leave_complete()
{
	restore before
	up b --journal-dir "$late"
	up a
	echo "2 failback-receive both journal_file_commit" >"$TMPDIR/b.cut"
	on a timeout 30 failback resume vm1 >/dev/null 2>&1 || true
	down KILL
}
unmounted() { mv "$late" "$late.away" && mkdir "$late"; }
mounted() { rmdir "$late" && mv "$late.away" "$late"; }

mkdir "$late"
leave_complete
check "a cut leaves a complete journal elsewhere, and a mark beside it" test -s "$late/$vm.journal" -a -s "$late/$vm.journal.here"
rm "$late/$vm.journal.here"
mv "$b0" "$b0.away"
up b --journal-dir "$late"
wait_for 60 idle b || true
check "where a version before made no mark, it is made at the start" test -s "$late/$vm.journal.here"
stop_daemon b
mv "$b0.away" "$b0"
cp "$TMPDIR/b.state/failback.db" "$TMPDIR/good.db"
set_record "base = 'nonsense'"
up b --journal-dir "$late"
check "a VM whose record cannot be read keeps its journal" test -s "$late/$vm.journal"
stop_daemon b
rm -f "$TMPDIR"/b.state/failback.db-*
cat "$TMPDIR/good.db" >"$TMPDIR/b.state/failback.db"
unmounted
up b --journal-dir "$late"
wait_for 60 idle b || true
check_fails "where it is not mounted yet, a failover says so" 21 'is not there: is its file system mounted' \
	on b failback failover --force vm1
check "... and so does the VM" grep -q 'is its file system mounted' <(vm_property b LastError)
mounted
check "once it is, nothing is lost" fail_over
check_equal "... of what was acknowledged" "$(holds)" new
check_equal "... and no file is left" "$(ls -A "$late")" ""
stop_daemon b

leave_complete
unmounted
up b --journal-dir "$late"
up a
check_fails "no delta comes before it" 10 'is its file system mounted' on a failback resume vm1
on a failback suspend vm1 >/dev/null
check "but all of the disk does, if it is lost" on a failback resync vm1
check "... and the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
# a delta of an instant follows by itself
settled() { idle a && idle b && [ "$(vm_property b Consistent)" = true ] && [ -z "$(ls -A "$late")" ]; }
check "... and an instant of the VM" wait_for 60 settled
check_equal "... which both know" "$(vm_property b Base)" "$(vm_property a Base)"
stop_daemon b
mounted
up b --journal-dir "$late"
check_equal "what is mounted then is not wanted any more" "$(ls -A "$late")" ""
check "... and nothing of it is written" cmp "$a0" "$b0"
down

# an older one, from before the disks came whole, in the place of one that was acknowledged
leave_complete
unmounted
up b --journal-dir "$late"
up a
on a failback suspend vm1 >/dev/null
on a failback resync vm1 >/dev/null
wait_for 60 settled || true
write_on a vm1-disk0 60 4
echo "2 failback-receive both journal_file_commit" >"$TMPDIR/b.cut"
on a timeout 30 failback resume vm1 >/dev/null 2>&1 || true
down KILL
check "another complete journal is left where it was not mounted" test -s "$late/$vm.journal"
mv "$late" "$late.below"
mv "$late.away" "$late"
cp "$b0" "$TMPDIR/b.was"
up b --journal-dir "$late"
wait_for 60 idle b || true
check_fails "an older one in its place is not taken for it" 21 'is not there: is its file system mounted, as it was then' \
	on b failback failover --force vm1
check "... and nothing of it is written" cmp "$b0" "$TMPDIR/b.was"
stop_daemon b
mv "$late" "$late.away"
mv "$late.below" "$late"
up b --journal-dir "$late"
check "where the right one is, the VM is failed over" fail_over
check "... with all that was acknowledged" cmp "$a0" "$b0"
down
rm -r "$late.away"

# --- a journal that is gone, or damaged in both of its headers ---

for way in "b.state rm" "late rm" "b.state dd if=/dev/urandom bs=64K count=1 conv=notrunc status=none of"; do
	dir=$TMPDIR/${way%% *} harm=${way#* }
	down
	restore before
	up b --journal-dir "$dir"
	up a
	echo "15 failback-receive" >"$TMPDIR/b.cut"
	on a timeout 30 failback resume vm1 >/dev/null 2>&1 || true
	down KILL
	journal=$(echo "$dir"/*.journal)
	case $harm in
	rm) check "a cut leaves a journal" rm "$journal" ;;
	*) check "a cut leaves a journal, which is damaged" $harm="$journal" ;;
	esac
	up b --journal-dir "$dir"
	wait_for 60 idle b || true
	check_fails "without it, nobody knows what the disks hold" 17 'hold no instant' on b failback failover --force vm1
	up a
	check_fails "no delta replaces it" 17 'resynchronisation' on a failback resume vm1
done
check "all of the disk does" on a failback resync vm1
check "and the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
down

# --- two disks, which each host has in an order of its own ---

rm -rf "$TMPDIR"/[ab].state "$TMPDIR"/[ab].kernel/*
make_disk a 1; a1=$loop
make_disk b 1; b1=$loop
FAKE_KERNEL=$TMPDIR/a.kernel make_tracker vm1-disk0 "$a0"
FAKE_KERNEL=$TMPDIR/a.kernel make_tracker vm1-disk1 "$a1"
FAKE_KERNEL=$TMPDIR/b.kernel make_tracker vm1-disk0.replica "$b0"
FAKE_KERNEL=$TMPDIR/b.kernel make_tracker vm1-disk1.replica "$b1"
relationship 1 3 b "$(disk disk0 $size "$a0" vm1-disk0)" "$(disk disk1 $size "$a1" vm1-disk1)" >"$TMPDIR/a.json"
relationship 2 3 a "$(disk disk1 $size "$b1" vm1-disk1)" "$(disk disk0 $size "$b0" vm1-disk0)" >"$TMPDIR/b.json"
up a
up b
on a failback apply "$TMPDIR/a.json" >/dev/null
on b failback apply "$TMPDIR/b.json" >/dev/null
write_on a vm1-disk0 3 2
write_on a vm1-disk1 5 1
echo "2 failback-receive both journal_file_commit" >"$TMPDIR/b.cut" # it is complete, and nothing is applied
on a timeout 30 failback resume vm1 >/dev/null 2>&1 || true
check "a cut leaves a journal of both" test ! -e "$TMPDIR/b.cut" -a -e "$TMPDIR/b.state/$vm.journal"
stop_daemon b
up b
check "which is settled" wait_for 60 eval '[ ! -e "$TMPDIR/b.state/$vm.journal" ]'
check "each disk has its own" eval 'cmp "$a0" "$b0" && cmp "$a1" "$b1"'
check_equal "and nobody has anything to tell" "$(vm_property b LastError)" '""'
