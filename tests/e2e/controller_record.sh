#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the record does not say: a delta that arrived while the database was full, an epoch that somebody else
# committed, and those that no record names.
#
# e2e: timeout=180
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"

size=$MiB
daemon_options=(--call-timeout 5 --second-ms 50)
two_hosts
up a
up b
relate
check "a delta gives both a base" on a failback resume vm1
down

# --- a delta that arrives in place, and a full database ---

# b's worker waits while this is there
mkdir "$TMPDIR/slow"
cat >"$TMPDIR/slow/failback-receive" <<-SH
	#!/bin/sh
	while [ -e $TMPDIR/wait ]; do sleep 0.1; done
	exec $TMPDIR/bin/failback-receive "\$@"
SH
chmod 755 "$TMPDIR/slow/failback-receive"
cp "$TMPDIR/bin/failback-send" "$TMPDIR/slow"

receives() { [ "$(vm_property b Consistent)" = false ]; }
not_recorded() { grep -q 'that a delta arrived cannot be recorded yet.*full; make room' "$TMPDIR/b.log"; }
recorded() { [ "$(vm_property b Consistent)" = true ] && [ "$(vm_property b Base)" = "$(vm_property a Base)" ]; }

mkdir "$TMPDIR/full"
if mount -t tmpfs -o size=512k tmpfs "$TMPDIR/full" 2>/dev/null; then
	cleanup_fn umount "$TMPDIR/full"
	cp -a "$TMPDIR"/b.state/. "$TMPDIR/full"
	mount --bind "$TMPDIR/full" "$TMPDIR/b.state"
	cleanup_fn eval "stop_daemons; ! mountpoint -q $TMPDIR/b.state || umount $TMPDIR/b.state"
	touch "$TMPDIR/wait"
	up a
	up b --receive-mode direct --libexec-dir "$TMPDIR/slow"
	write_on a vm1-disk0 20 3
	on a failback resume vm1 >"$TMPDIR/resumed" 2>&1 &
	resume=$!
	check "a delta is received in place" wait_for 20 receives
	dd if=/dev/zero of="$TMPDIR/b.state/fill" bs=4k status=none 2>/dev/null || true
	rm "$TMPDIR/wait"
	resume_status=0
	wait $resume || resume_status=$?
	check_equal "the sender is told that it arrived" "$resume_status" 0
	check "that it did cannot be recorded" wait_for 20 not_recorded
	check "the job goes on meanwhile" grep -q 'recording that it arrived' <(on b failback jobs)
	check_fails "another delta is refused at once" any 'has a job already' on a timeout 20 failback resume vm1
	check_fails "... and cannot be ended" any 'cannot be' on b failback terminate vm1
	sleep 5
	check "said once, however often it is tried" [ "$(grep -c 'a delta arrived cannot be recorded yet' "$TMPDIR/b.log")" = 1 ]
	rm "$TMPDIR/b.state/fill"
	check "it is when there is room" wait_for 20 recorded
	down
	cp -a "$TMPDIR/full/." "$TMPDIR/b.kept"
	umount "$TMPDIR/b.state"
	cp -a "$TMPDIR/b.kept/." "$TMPDIR/b.state"
else
	skip "a delta that arrives while the database is full" "no tmpfs"
fi

# --- an epoch that the record does not know the end of ---

epoch=99999999-2222-4333-8444-555555555555
write_on a vm1-disk0 30 3
echo "$epoch committed" >>"$TMPDIR/a.kernel/vm1-disk0/ended"
: >"$TMPDIR/a.kernel/vm1-disk0/active"
python3 - "$TMPDIR/a.state/failback.db" <<-PYTHON
	import sqlite3, sys
	sqlite3.connect(sys.argv[1], isolation_level=None).execute("UPDATE relationships SET epoch = '$epoch', epoch_durable = 0")
PYTHON
up a
up b
check_fails "after an epoch that somebody else committed no delta goes" any 'failback resync vm1' on a failback resume vm1
check "... which the log explains" grep -q 'was committed, and not by failbackd' "$TMPDIR/a.log"
check "all is compared" on a failback resync vm1
check "... and the disks are the same" cmp "$a0" "$b0"
down

write_on a vm1-disk0 40 3
mv "$TMPDIR/a.kernel/vm1-disk0/active" "$TMPDIR/a.kernel/vm1-disk0/frozen"
: >"$TMPDIR/a.kernel/vm1-disk0/active"
echo 88888888-2222-4333-8444-555555555555 >"$TMPDIR/a.kernel/vm1-disk0/epoch"
up a
up b
check_fails "an epoch that no record names, somebody may be reading" 16 'cbtctl abort --epoch 88888888-2222-4333-8444-555555555555 vm1-disk0' \
	on a failback resume vm1
check_equal "... which status says, as a warning" \
	"$(vm_property a ReplicationHealth) $(vm_property a LastError | grep -c 'cbtctl abort --epoch 88888888')" "2 1"
down
cat "$TMPDIR/a.kernel/vm1-disk0/frozen" >>"$TMPDIR/a.kernel/vm1-disk0/active"
rm "$TMPDIR/a.kernel/vm1-disk0/frozen"
up a
up b
check "when it has ended, its blocks are sent" on a failback prepare vm1
check "... so that the disks are the same" cmp "$a0" "$b0"
stop_daemon b
echo "5 2" >"$TMPDIR/b.kernel/vm1-disk0.replica/frozen"
echo 77777777-2222-4333-8444-555555555555 >"$TMPDIR/b.kernel/vm1-disk0.replica/epoch"
up b
check "a replica that is failed over merges what a delta left" on b failback failover vm1
check_fails "... and nothing is frozen" any '' test -e "$TMPDIR/b.kernel/vm1-disk0/frozen"
check "so that the way back is open" on b failback reverse vm1

# --- a record that may be there or not ---

ended() { ! kill -0 "${daemon_pid[b]}" 2>/dev/null; }
touch "$TMPDIR/b.kernel/noflush"
check_fails "a record that cannot be flushed is no success" any '' on b failback suspend vm1
check "failbackd ends, for nobody knows whether it is there" wait_for 20 ended
check "... which the log says" grep -q 'whether its record changed is not known' "$TMPDIR/b.log"
rm "$TMPDIR/b.kernel/noflush"
stop_daemon b
up b
check "the next one knows it, and goes on" on b failback status
