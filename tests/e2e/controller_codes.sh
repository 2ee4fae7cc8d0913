#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every return code of ReverseReplicationRelationship, once each, as a D-Bus client gets it: from the
# method where this host can tell, from its job where the peer has to. Each text names what to do.
#
# e2e: timeout=120
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"
requires sqlite3

size=$MiB
build
export FAKE_KERNEL=$TMPDIR/kernel
mkdir "$FAKE_KERNEL"
make_disk a 0; a0=$loop
make_disk b 0; b0=$loop
make_tracker vm1-disk0 "$b0"
relationship 1 4 b "$(disk disk0 $size "$a0" "")" >"$TMPDIR/a.json"
relationship 2 5 a "$(disk disk0 $size "$b0" vm1-disk0)" >"$TMPDIR/b.json"
start_bus a
start_bus b
start_daemon a
start_daemon b --call-timeout 1
on a failback apply "$TMPDIR/a.json" >/dev/null
on b failback apply "$TMPDIR/b.json" >/dev/null
reverse=(ReverseReplicationRelationship os $vm_path)

# check_job <claim> <code> <regex> [<setting data>]: the method answers 4096, its job ends with the code
check_job()
{
	start_job b "${reverse[@]}" "${4:-}"
	wait_for 20 job_ends b "$job" || diag "the job does not end"
	if [ "$(job_property b "$job" ErrorCode)" = "$2" ] &&
		job_property b "$job" ErrorDescription | grep -qE -- "$3"; then
		ok "$1"
	else
		not_ok "$1"
		diag "$(job_property b "$job" ErrorCode) $(job_property b "$job" ErrorDescription)"
	fi
}

# 32768: failed
if mkdir "$TMPDIR/full" && mount -t tmpfs -o size=512k tmpfs "$TMPDIR/full" 2>/dev/null; then
	cleanup_fn umount "$TMPDIR/full"
	stop_daemon b
	cp -a "$TMPDIR/b.state" "$TMPDIR/b.saved"
	cp -a "$TMPDIR"/b.saved/. "$TMPDIR/full"
	rm -r "$TMPDIR/b.state"
	mkdir "$TMPDIR/b.state"
	mount --bind "$TMPDIR/full" "$TMPDIR/b.state"
	cleanup_fn eval "stop_daemons; ! mountpoint -q $TMPDIR/b.state || umount $TMPDIR/b.state"
	start_daemon b --call-timeout 1
	dd if=/dev/zero of="$TMPDIR/b.state/fill" bs=4k status=none 2>/dev/null || true
	check_refused "32768: a full state directory" b 32768 'full; make room' "${reverse[@]}" ""
	rm "$TMPDIR/b.state/fill"
else
	skip "32768: a full state directory" "no tmpfs"
fi

# 32769: access denied
# shellcheck disable=SC2086 # three words
answer=$(DBUS_SYSTEM_BUS_ADDRESS=unix:path=$TMPDIR/b.bus setpriv --reuid=65534 --regid=65534 --clear-groups \
	busctl call $service "${reverse[@]}" "")
check_equal "32769: who is not allowed" "${answer% *}" "uo 32769"
refused=${answer##* }
check "and the text names the setting" \
	grep -q 'group.*failbackd.conf' <(job_property b "${refused//\"/}" ErrorDescription)

check_refused "32770: authentication that this version lacks" b 32770 'leave it out' "${reverse[@]}" \
	'{"AuthenticationType": 1}'

# 32771: status unknown
stop_daemon b
cp "$TMPDIR/b.state/failback.db" "$TMPDIR/good.db"
sqlite3 "$TMPDIR/b.state/failback.db" "UPDATE relationships SET base = 'nonsense'"
start_daemon b --call-timeout 1
check_refused "32771: a record that cannot be read" b 32771 'failback remove vm1' "${reverse[@]}" ""
check_equal "its state is Unknown" "$(vm_property b ReplicationStateName)" '"Unknown"'
stop_daemon b
rm -f "$TMPDIR"/b.state/failback.db-*
cat "$TMPDIR/good.db" >"$TMPDIR/b.state/failback.db"
start_daemon b --call-timeout 1

# 32772: time-out
python3 - "$port" <<-'PYTHON' &
import socket, sys, time
s = socket.create_server(("127.0.0.9", int(sys.argv[1])))
time.sleep(60)
PYTHON
cleanup_fn stop_process $!
listens()
{
	(: <>"/dev/tcp/127.0.0.9/$port") 2>/dev/null
}
wait_for 60 listens || bail "nobody listens"
check_job "32772: a peer that answers too late" 32772 'does not answer; (is it up|look after)' '{"RecoveryConnectionPoint": "127.0.0.9"}'

check_refused "32773: a property that does not exist" b 32773 'NoSuchThing.*leave it out, or correct its name' "${reverse[@]}" '{"NoSuchThing": 1}'

exec {held}<>"$a0"
check_job "32774: a disk that is open on the old primary" 32774 'has it open.*Stop that, and repeat it'
exec {held}>&-
check_refused "32775: a wrong role names both, and what is needed" a 32775 \
	'Primary in state 4 .* needs Replica in state 5' "${reverse[@]}" ""
check_refused "32776: another class" b 32776 'Msvm_ReplicationSettingData' "${reverse[@]}" \
	'<INSTANCE CLASSNAME="Msvm_Other"></INSTANCE>'
mv "$FAKE_KERNEL" "$TMPDIR/unloaded"
check_refused "32777: a module that is not loaded" b 32777 'modprobe dm-cbt' "${reverse[@]}" ""
mv "$TMPDIR/unloaded" "$FAKE_KERNEL"
touch "$FAKE_KERNEL/enomem"
check_refused "32778: no memory in the kernel" b 32778 'Out of memory: make some free on this host' "${reverse[@]}" ""
rm "$FAKE_KERNEL/enomem"
mv "$b0" "$b0.away"
check_refused "32779: a disk that is missing" b 32779 'loop.*Attach it to this host, or correct its path' "${reverse[@]}" ""
mv "$b0.away" "$b0"
check_equal "refusals change no role" "$(role a), $(role b)" "1 4, 2 5"

# 4096, and 0
start_job b "${reverse[@]}" ""
check_equal "4096: the job is of type 104" "$(job_property b "$job" JobType)" 104
wait_for 20 job_ends b "$job" || diag "the job does not end"
check_equal "and completes" "$(job_property b "$job" JobState) $(job_property b "$job" ErrorCode)" "7 0"
check_equal "the roles are swapped" "$(role a), $(role b)" "2 3, 1 3"
follow=$(job_property b "$job" FollowUpJob | tr -d '"')
wait_for 20 job_ends b "$follow" || diag "the delta does not end"
answer=$(call b RequestReplicationStateChange oq $vm_path 7)
check_equal "0: what is done at once" "${answer% *}" "uo 0"

# --- a wrong command line, which is found before anybody is asked ---

# without_bus <command>...
without_bus() { DBUS_SYSTEM_BUS_ADDRESS=unix:path=$TMPDIR/no-bus "$@"; }
check_fails "wait needs a state" 2 'needs --state and a number' without_bus failback wait vm1
check_fails "... which is a number" 2 'must be 0 to 21, not "x"' without_bus failback wait vm1 --state x
check_fails "... and a time-out is one" 2 'timeout must be' without_bus failback wait vm1 --state 3 --timeout soon
check_fails "start needs --force" 2 'give --force' without_bus failback start vm1
for command in "create $TMPDIR/none" "apply $TMPDIR/none" "settings --settings $TMPDIR/none vm1" \
	"plan --settings $TMPDIR/none vm1" "reverse --settings $TMPDIR/none vm1"; do
	# shellcheck disable=SC2086 # words
	check_fails "failback ${command%% *} looks into its file first" 21 'none: No such file' without_bus failback $command
done
check_fails "what is right fails only then" 19 'cannot be asked|connect' without_bus failback wait vm1 --state 3
