#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Jobs as a client on D-Bus sees them come, go on and go; and what is left of those that are ended
# before their time, on both hosts.
#
# e2e: timeout=180
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"

daemon_options=(--call-timeout 10)
export FAILBACK_NO_IO_URING=1
two_hosts
up a --job-retention 3
up b
relate
echo '{"ReplicationInterval": 900}' >"$TMPDIR/interval.json"
on a failback settings --settings "$TMPDIR/interval.json" vm1 >/dev/null

# --- signals ---

on a busctl --json=short monitor org.failback1 >"$TMPDIR/signals" 2>"$TMPDIR/monitor" &
cleanup_fn stop_process $!
listens()
{
	on a busctl call org.failback1 /org/failback1/service org.freedesktop.DBus.Peer Ping
	grep -q '"member":"Ping"' "$TMPDIR/signals"
}
wait_for 60 listens || bail "no monitor: $(cat "$TMPDIR/monitor")"
# signalled <member> <filter>: has there been such a signal that the filter takes?
signalled()
{
	jq -es --arg member "$1" --arg job "$job" --arg vm $vm_path \
		"any(.[]; .type == \"signal\" and .member == \$member and ($2))" "$TMPDIR/signals" >/dev/null
}
# check_signalled <claim> <member> <filter>
check_signalled()
{
	check "$1" wait_for 20 signalled "$2" "$3"
}
write_on a vm1-disk0 0 256
start_job a RequestReplicationStateChange oq $vm_path 3
check_equal "what ends is to be looked at for as long as it is told" "$(job_property a "$job" TimeBeforeRemoval)" 3000000
check_signalled "a job that begins is announced" InterfacesAdded \
	'.payload.data[0] == $job and (.payload.data[1] | has("org.failback1.ConcreteJob"))'
check_signalled "its end is a change of its properties" PropertiesChanged \
	'.path == $job and .payload.data[1].JobState.data == 7 and .payload.data[1].PercentComplete.data == 100'
check_signalled "... and its going a signal of the service" JobRemoved \
	'.path == "/org/failback1/service" and .payload.data == [$job, 0, ""]'
check_signalled "what it changed of the VM is announced" PropertiesChanged \
	'.path == $vm and .payload.data[1].LastReplicationTime.data > 0 and .payload.data[1].Base.data != ""'
check_signalled "when its time is up its object goes" InterfacesRemoved \
	'.payload.data[0] == $job and (.payload.data[1] | index("org.failback1.ConcreteJob"))'
check "... which nobody finds any more" eval "! job_property a '$job' JobState 2>/dev/null"
check_equal "... but in the history" "$(on a failback log --json |
	jq --arg id "${job##*/}" 'select((.InstanceID | gsub("-"; "_")) == $id) | .JobState')" 7

# --- one that failed ---

# fails_to <address>: a delta, whose error names where nobody is
fails_to()
{
	on a failback settings --settings <(echo "{\"RecoveryConnectionPoint\": \"$1\"}") vm1 >/dev/null
	check_fails "nobody is at $1" 19 "$1" on a failback resume vm1
}
on a failback watch >"$TMPDIR/watched" &
cleanup_fn stop_process $!
fails_to 127.0.0.4
check_signalled "a job that failed goes with its code and its sentence" JobRemoved \
	'.payload.data[1] == 32777 and (.payload.data[2] | test("127.0.0.4"))'
check "who watches is shown the error" wait_for 20 grep -q '^vm1: .*127\.0\.0\.4' "$TMPDIR/watched"
fails_to 127.0.0.5
check "... and the next one, which is as long" wait_for 20 grep -q '^vm1: .*127\.0\.0\.5' "$TMPDIR/watched"
on a failback settings --settings <(echo "{\"RecoveryConnectionPoint\": \"${address[b]}\"}") vm1 >/dev/null
check "it goes on where somebody is" on a failback resume vm1

# --- a receiving job, ended by the replica ---

same_disks()
{
	cmp -s "$a0" "$b0"
}
# the object of the job that receives on b; it may not be there
received()
{
	on b failback jobs --json | jq -rs 'map(select(.type == 106 and .state < 7))[0].job // empty | "/org/failback1/job/" + gsub("-"; "_")'
}
receives()
{
	[ -n "$(received)" ]
}
ends_with()
{
	job_ends "$1" "$job" && [ "$(job_property "$1" "$job" JobState)" = "$2" ]
}
# check_terminated <claim> <host>: $job there
check_terminated()
{
	check_equal "$1" "$(on "$2" busctl call org.failback1 "$job" org.failback1.ConcreteJob RequestStateChange qt 4 0)" "u 0"
	check "... as terminated" wait_for 60 ends_with "$2" 8
}
# check_receiving_terminated: a delta of 12 MiB, which takes some seconds; $TMPDIR/last is what b had before
check_receiving_terminated()
{
	check "both hold the same" wait_for 60 same_disks
	cp "$TMPDIR/a.disk0" "$TMPDIR/last"
	write_on a vm1-disk0 0 3072
	start_job a RequestReplicationStateChange oq $vm_path 3
	sending=$job
	wait_for 60 receives || bail "nothing is received"
	job=$(received)
	check_terminated "a job that receives is ended" b
	check "the sender's ends, too" wait_for 60 job_ends a "$sending"
	check_equal "... with what to do" "$(job_property a "$sending" ErrorDescription | grep -c 'terminated.*failback resume vm1')" 1
	check_equal "... and all of it is dirty still" "$(vm_property a DirtyBytes)" $((12 * MiB))
	check "the replica holds what it held" cmp "$b0" "$TMPDIR/last"
	check_equal "... which is an instant of the VM" "$(vm_property b Consistent)" true
}
stop_daemon a
up a --send-rate $((2 * MiB))
check_receiving_terminated
check "the next delta brings it" on a failback resume vm1
check_receiving_terminated
stop_daemon a
check "the replica can be failed over to by force" on b failback failover --force vm1
check "... to what it holds" cmp "$b0" "$TMPDIR/last"

# --- a reverse, whose peer does not answer ---

echo "another boot of a" >"$TMPDIR/a.boot"
up a
kill -STOP "${daemon_pid[a]}"
start_job b ReverseReplicationRelationship os $vm_path ""
check_equal "a reverse begins" "$(job_property b "$job" JobType) $(job_property b "$job" Cancellable)" "104 true"
check_terminated "... and is ended while the peer does not answer" b
kill -CONT "${daemon_pid[a]}"
check_equal "nothing has changed" "$(role a), $(role b)" "1 3, 2 5"
check_equal "and one host may run the VM" "$(vm_property a MayRun), $(vm_property b MayRun)" "false, true"
write_on b vm1-disk0 100 5
digest=$(on b failback plan --json vm1 | jq -r .digest)
check "it is repeated" on b failback reverse --consent "$digest" vm1
check "and both are identical" wait_for 60 same_disks
check_equal "with their roles swapped" "$(role a), $(role b)" "2 3, 1 3"

# --- the end ---

check "a relationship is removed" wait_for 60 eval 'on a failback remove vm1 2>"$TMPDIR/removed"'
check_equal "... of a VM that does not run here, which needs no care" "$(<"$TMPDIR/removed")" ""
check_signalled "... and its object" InterfacesRemoved \
	'.payload.data[0] == $vm and (.payload.data[1] | index("org.failback1.ReplicationRelationship"))'
wait_for 60 eval 'on b failback remove vm1 2>"$TMPDIR/removed"' || bail "$(<"$TMPDIR/removed")"
check "where the VM runs, it is told what gives its devices their names from then on" \
	grep -q 'Where VM vm1 runs on, .*write `start` behind the lines of its disks in /etc/failback/trackers' "$TMPDIR/removed"
