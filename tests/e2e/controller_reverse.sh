#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The whole way of a reverse between two hosts, on loop devices, with the kernel module
# replaced by files (fake_kernel.c): real daemons, real workers, real connections.
#
# e2e: timeout=240
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"

build
export FAKE_KERNEL=$TMPDIR/kernel
mkdir "$FAKE_KERNEL"

make_disk a 0; a0=$loop
make_disk a 1; a1=$loop
make_disk b 0; b0=$loop
make_disk b 1; b1=$loop
make_tracker vm1-disk0 "$b0"
make_tracker vm1-disk1 "$b1"

relationship 1 4 b "$(disk disk0 $size "$a0" "")" "$(disk disk1 $size "$a1" "")" >"$TMPDIR/a.json"
relationship 2 5 a "$(disk disk0 $size "$b0" vm1-disk0)" "$(disk disk1 $size "$b1" vm1-disk1)" >"$TMPDIR/b.json"
start_bus a
start_bus b
start_daemon a
start_daemon b
on a failback apply "$TMPDIR/a.json" >/dev/null
on b failback apply "$TMPDIR/b.json" >/dev/null

same_disks()
{
	wait_for 60 cmp -s "$a0" "$b0" && wait_for 10 cmp -s "$a1" "$b1"
}

# check_job_fails <claim> <code> <regex>: of $job on b.
check_job_fails()
{
	wait_for 30 job_ends b "$job" || diag "the job does not end"
	if [ "$(job_property b "$job" ErrorCode)" = "$2" ] &&
		job_property b "$job" ErrorDescription | grep -qE -- "$3"; then
		ok "$1"
	else
		not_ok "$1"
		diag "$(job_property b "$job" ErrorCode) $(job_property b "$job" ErrorDescription)"
	fi
}

reverse=(ReverseReplicationRelationship os $vm_path)

# --- what only the peer can tell ---

stop_daemon a
start_job b "${reverse[@]}" ""
check_job_fails "a peer that does not listen is 32777" 32777 'cannot connect: .* running there\?"$'
start_job b "${reverse[@]}" '{"RecoveryConnectionPoint": "192.0.2.1"}'
check_job_fails "a peer that needs TLS is 32779 without a certificate, and how to make one is said" 32779 'failback host init'
start_daemon a

python3 - "$port" <<-'PYTHON' &
import socket, sys, time
s = socket.create_server(("127.0.0.9", int(sys.argv[1])))
time.sleep(60)
PYTHON
deaf=$!
cleanup_fn stop_process $deaf
listens()
{
	(: <>"/dev/tcp/127.0.0.9/$port") 2>/dev/null
}
wait_for 60 listens || bail "nobody listens"
stop_daemon b
start_daemon b --call-timeout 1
start_job b "${reverse[@]}" '{"RecoveryConnectionPoint": "127.0.0.9"}'
check_job_fails "a peer that does not answer is 32772" 32772 'took the call and does not answer'
start_job b "${reverse[@]}" '{"RecoveryConnectionPoint": "127.0.0.9", "RecoveryServerPortNumber": 1}'
check_job_fails "the port of the settings is used" 32777 '127.0.0.9:1:'
stop_daemon b
start_daemon b

exec {held}<>"$a1"
start_job b "${reverse[@]}" ""
check_job_fails "a disk that is open on the peer is 32774 and names who" 32774 'disk1.*has it open'
exec {held}>&-
losetup -d "$a1"
losetup "$a1" --sizelimit $((8 * MiB)) "$TMPDIR/a.disk1"
start_job b "${reverse[@]}" ""
check_job_fails "a disk that is too small on the peer is 32773 and names both sizes" 32773 "$((8 * MiB)).*$size"
losetup -d "$a1"
losetup "$a1" "$TMPDIR/a.disk1"
check_equal "none of that changed a role" "$(role a), $(role b)" "1 4, 2 5"

# a third host that claims to be the replica
jq --arg peer "127.0.0.2:$port" '.relationships[0].peer = $peer' "$TMPDIR/b.json" >"$TMPDIR/c.json"
stop_daemon b
address[c]=127.0.0.5
start_bus c
start_daemon c
on c failback apply "$TMPDIR/c.json" >/dev/null
check_fails "a host that is not the peer is 32769, and learns nothing" 11 'no relationship for VM' \
	on c failback reverse vm1
stop_daemon c
start_daemon b
check_equal "and changes nothing" "$(role a)" "1 4"

# --- the way ---

write_tracked vm1-disk0 10 300
write_tracked vm1-disk0 4000 1
write_tracked vm1-disk1 0 5
check_equal "the dirty bytes are shown" "$(vm_property b DirtyBytes)" $((306 * 4096))
check "a reverse from the command line succeeds" on b failback reverse vm1
check_equal "the roles are swapped" "$(role a), $(role b)" "2 3, 1 3"
check "the disks are identical" same_disks
check_equal "the epoch is committed" "$(cut -d' ' -f2 "$FAKE_KERNEL"/vm1-disk?/ended | sort -u)" committed
check_equal "both hosts have the same base" "$(vm_property a Base)" "$(vm_property b Base)"
check_equal "nothing is dirty" "$(vm_property b DirtyBytes)" 0
check_equal "health is OK on both" "$(vm_property a ReplicationHealth)$(vm_property b ReplicationHealth)" 11
jobs=$(on b failback jobs --json | jq -c 'select(.state == 7) | [.type, .bytes_total]' | paste -sd' ')
check_equal "it made a job 104 and a job 105 with the bytes of the delta" "$jobs" "[104,0] [105,$((306 * 4096))]"
check "the peer has a job 106" grep -q '"type":106' <(on a failback jobs --json)
check_refused "reversing again is 32775 now" b 32775 'Primary in state 3' "${reverse[@]}" ""

# terminal <columns> <command>...: what the command writes to a terminal of that width
terminal()
{
	script -qec "stty cols $1; ${*:2}" /dev/null </dev/null | tr '\r' '\n' | sed 's/\x1b\[K//'
}
write_tracked vm1-disk1 77 20
on b terminal 90 failback resume vm1 >"$TMPDIR/terminal"
check_equal "resume sends what is dirty, and a terminal shows it as a bar that is not cut" \
	"$(grep -E '^.{89}$' "$TMPDIR/terminal" | tail -n 1 | tr -s '#')" \
	"sending a delta: completed  [#]  100 %  80 KiB of 80 KiB"
check "the disks are identical again" same_disks

# --- what goes wrong on the way ---

write_tracked vm1-disk0 100 50
stop_daemon a
start_job b RequestReplicationStateChange oq $vm_path 3
check_job_fails "a delta to an unreachable peer is 32777 and says how to go on" 32777 \
	'running there\? Nothing is lost: .*failback resume'
check_equal "it is a warning" "$(vm_property b ReplicationHealth)" 2
check_equal "no epoch stays frozen" "$(ls "$FAKE_KERNEL"/*/frozen 2>/dev/null)" ""
start_daemon a

# a receiver that dies: before its first byte, and while it writes; the sender is not to go on with it
stop_daemon b
start_daemon b --resume-for 0
mv "$TMPDIR/bin/failback-receive" "$TMPDIR/bin/receive.good"
printf '#!/bin/sh\nexit 3\n' >"$TMPDIR/bin/failback-receive"
chmod +x "$TMPDIR/bin/failback-receive"
start_job b RequestReplicationStateChange oq $vm_path 3
check_job_fails "a receiver that dies fails the delta" 32777 'Nothing is lost'
wait_for 60 test "$(vm_property a ReplicationHealth)" = 2 || true
check_equal "the receiver's disks are what they were before" "$(vm_property a Consistent)" true
check "the receiver says that its worker ended without a verdict" grep -q 'without a verdict' "$TMPDIR/a.log"
mv "$TMPDIR/bin/receive.good" "$TMPDIR/bin/failback-receive"
check "the next delta covers it" on b failback resume vm1
check "and the disks are identical" same_disks

# what the VM writes meanwhile is the next delta's
mv "$TMPDIR/bin/failback-send" "$TMPDIR/bin/send.good"
cat >"$TMPDIR/bin/failback-send" <<-SH
	#!/bin/sh
	dd if=/dev/urandom of="$b0" bs=4k seek=700 count=3 conv=fsync,notrunc status=none
	echo "700 3" >>"$FAKE_KERNEL/vm1-disk0/active"
	ls "$FAKE_KERNEL/.images" | wc -l >"$TMPDIR/images"
	exec "$TMPDIR/bin/send.good" "\$@"
SH
chmod +x "$TMPDIR/bin/failback-send"
write_tracked vm1-disk0 699 5
cp "$TMPDIR/b.disk0" "$TMPDIR/frozen"
check "a delta is sent while the VM overwrites it" on b failback resume vm1
check_equal "from the images of both disks" "$(<"$TMPDIR/images")" 2
check "the receiver holds what the disk held at the freeze" wait_for 60 cmp -s "$a0" "$TMPDIR/frozen"
check_equal "what was written since is dirty" "$(vm_property b DirtyBytes)" $((3 * 4096))
check_equal "no image is left" "$(ls "$FAKE_KERNEL/.images")" ""
mv "$TMPDIR/bin/send.good" "$TMPDIR/bin/failback-send"
check "the next delta brings it" on b failback resume vm1
check "and the disks are identical" same_disks

# an acknowledgement that is lost: the receiver has the delta, the sender does not know
mv "$TMPDIR/bin/failback-send" "$TMPDIR/bin/send.good"
printf '#!/bin/sh\n"%s" "$@"\nexit 9\n' "$TMPDIR/bin/send.good" >"$TMPDIR/bin/failback-send"
chmod +x "$TMPDIR/bin/failback-send"
write_tracked vm1-disk0 200 5
before=$(vm_property b Base)
start_job b RequestReplicationStateChange oq $vm_path 3
check_job_fails "a sender that ends badly after its last word has not sent" 32768 'without a verdict'
check_equal "its epoch is no base" "$(vm_property b Base)" "$before"
peer_moved_on()
{
	[ "$(vm_property a Base)" != "$before" ]
}
check "the receiver holds it" wait_for 60 peer_moved_on
check_equal "and its blocks are dirty still" "$(vm_property b DirtyBytes)" $((5 * 4096))
mv "$TMPDIR/bin/send.good" "$TMPDIR/bin/failback-send"
write_tracked vm1-disk0 300 5
check "the next delta is accepted all the same" on b failback resume vm1
check "and the disks are identical then" same_disks

# a sender that never ends, to be interrupted
mv "$TMPDIR/bin/failback-send" "$TMPDIR/bin/send.good"
printf '#!/bin/sh\nexec sleep 60\n' >"$TMPDIR/bin/failback-send"
chmod +x "$TMPDIR/bin/failback-send"
write_tracked vm1-disk0 500 5
start_job b RequestReplicationStateChange oq $vm_path 3
running=$job
sends()
{
	[ "$(job_property b "$running" JobStatus)" = '"sending (plain)"' ]
}
wait_for 60 sends || bail "it does not send"
check_refused "a second job on the VM is 32774" b 32774 'has a job.*failback terminate vm1' RequestReplicationStateChange oq $vm_path 3
check_equal "a running job can be terminated" \
	"$(on b busctl call org.failback1 "$running" org.failback1.ConcreteJob RequestStateChange qt 4 0)" "u 0"
wait_for 60 job_ends b "$running" || true
check_equal "and is terminated then" "$(job_property b "$running" JobState)" 8
check_equal "its epoch is merged back" "$(vm_property b DirtyBytes)" $((5 * 4096))

receives_nothing()
{
	! on a failback jobs --json | jq -e 'select(.type == 106 and .state == 4)' >/dev/null
}
wait_for 60 receives_nothing || diag "the peer still receives"
start_job b RequestReplicationStateChange oq $vm_path 3
running=$job
wait_for 60 sends || bail "it does not send"
check "so it is from the command line" on b failback terminate vm1
check_equal "with the same end" "$(job_property b "$running" JobState)" 8
check_fails "where no job runs, that is 32775" 17 'No job runs' on b failback terminate vm1
wait_for 60 receives_nothing || diag "the peer still receives"
start_job b RequestReplicationStateChange oq $vm_path 3
running=$job
wait_for 60 sends || bail "it does not send"
stop_daemon b KILL
wait_for 60 receives_nothing || diag "the peer still receives"
check "a killed daemon leaves an epoch frozen" test -e "$FAKE_KERNEL/vm1-disk0/frozen"
check_equal "and its images" "$(ls "$FAKE_KERNEL/.images" | wc -l)" 2
start_daemon b
check "its next start ends that epoch" test ! -e "$FAKE_KERNEL/vm1-disk0/frozen"
check_equal "and removes its images" "$(ls "$FAKE_KERNEL/.images")" ""
check "and says what became of the delta" grep -q 'failbackd ended.*failback resume vm1' <(on b failback status)
history=$(call b GetJobHistory u 1 | sed 's/^s "//; s/"$//; s/\\"/"/g')
check_equal "and settles the job in the history" "$(jq -c '.[0] | [.JobType, .JobState, .ErrorCode]' <<<"$history")" \
	"[105,10,32768]"
mv "$TMPDIR/bin/send.good" "$TMPDIR/bin/failback-send"
check "a delta succeeds afterwards" on b failback resume vm1
check "and the disks are identical still" same_disks

# killed before the peer has answered: the epoch was recorded before it was frozen
write_tracked vm1-disk0 550 5
kill -STOP "${daemon_pid[a]}"
start_job b RequestReplicationStateChange oq $vm_path 3
wait_for 60 test -e "$FAKE_KERNEL/vm1-disk0/frozen" || bail "nothing is frozen"
stop_daemon b KILL
kill -CONT "${daemon_pid[a]}"
start_daemon b
check "an epoch that no peer has heard of is ended, too" test ! -e "$FAKE_KERNEL/vm1-disk0/frozen"
wait_for 60 receives_nothing || diag "the peer still receives"

# a stopped daemon ends its jobs first
write_tracked vm1-disk0 600 5
mv "$TMPDIR/bin/failback-send" "$TMPDIR/bin/send.good"
printf '#!/bin/sh\nexec sleep 60\n' >"$TMPDIR/bin/failback-send"
chmod +x "$TMPDIR/bin/failback-send"
start_job b RequestReplicationStateChange oq $vm_path 3
running=$job
wait_for 60 sends || bail "it does not send"
stop_daemon b
check "a stopped daemon leaves no epoch frozen" test ! -e "$FAKE_KERNEL/vm1-disk0/frozen"
mv "$TMPDIR/bin/send.good" "$TMPDIR/bin/failback-send"
start_daemon b
wait_for 60 receives_nothing || diag "the peer still receives"

# --- prepare ---

: >"$FAKE_KERNEL/vm1-disk1/open"
check_refused "preparing while a disk is open is 32774 and names it" b 32774 'disk1.*is open' \
	RequestReplicationStateChange oq $vm_path 4
rm "$FAKE_KERNEL/vm1-disk1/open"
check "prepare succeeds with the VM off" on b failback prepare vm1
check_equal "and ends in state 4" "$(role b)" "1 4"
check "with identical disks" same_disks
check_equal "resume cancels it" "$(on b failback resume vm1 --json >/dev/null && role b)" "1 3"

# --- writes behind the back of a prepared failover ---

check "prepare again" on b failback prepare vm1
stop_daemon a
rm -r "$TMPDIR/a.state"
start_daemon a
relationship 2 5 b "$(disk disk0 $size "$a0" twin0)" "$(disk disk1 $size "$a1" twin1)" |
	jq --argjson base "$(vm_property b Base)" '.relationships[0].base = $base' >"$TMPDIR/home.json"
make_tracker twin0 "$a0"
make_tracker twin1 "$a1"
on a failback apply "$TMPDIR/home.json" >/dev/null
check "a prepared VM's devices are not there under their names" test ! -e "$FAKE_KERNEL/vm1-disk1"
echo "9 1" >>"$FAKE_KERNEL/vm1-disk1.replica/active"
check_fails "an old primary that was written to after its last delta is not overwritten unasked" 17 \
	'overwrite 4 KiB that only the old primary has .the old primary was written to' on a failback reverse vm1
check_equal "and stays what it was" "$(role a), $(role b)" "2 5, 1 4"
check_fails "it cannot go on while the other host has taken over" 17 'allows no resume' on b failback resume vm1
check "the other host gives it up" on a failback revert vm1
check "then it goes on" on b failback resume vm1
check "a delta sends the write" on b failback resume vm1
check "and the disks are identical" same_disks

# --- trackers that go away, or are not what they were ---

mv "$TMPDIR/bin/failback-send" "$TMPDIR/bin/send.good"
printf '#!/bin/sh\nexec sleep 60\n' >"$TMPDIR/bin/failback-send"
chmod +x "$TMPDIR/bin/failback-send"
start_job b RequestReplicationStateChange oq $vm_path 3
running=$job
wait_for 60 sends || bail "it does not send"
mv "$FAKE_KERNEL/vm1-disk0" "$TMPDIR/gone"
on b busctl call org.failback1 "$running" org.failback1.ConcreteJob RequestStateChange qt 4 0 >/dev/null
wait_for 60 job_ends b "$running" || diag "the job does not end"
check "a tracker that is gone does not keep the others frozen" test ! -e "$FAKE_KERNEL/vm1-disk1/frozen"
mv "$TMPDIR/gone" "$FAKE_KERNEL/vm1-disk0"
cat "$FAKE_KERNEL/vm1-disk0/frozen" >>"$FAKE_KERNEL/vm1-disk0/active"
rm "$FAKE_KERNEL/vm1-disk0/frozen"
mv "$TMPDIR/bin/send.good" "$TMPDIR/bin/failback-send"
wait_for 60 receives_nothing || diag "the peer still receives"
check "and the next delta goes" on b failback resume vm1

base=$(vm_property b Base)
: >"$FAKE_KERNEL/vm1-disk0/renewed"
start_job b RequestReplicationStateChange oq $vm_path 3
check_job_fails "a tracker that is started anew just before the freeze is 32775" 32775 'resynchronisation'
rm "$FAKE_KERNEL/vm1-disk0/renewed"
check_equal "no epoch stays frozen for it" "$(ls "$FAKE_KERNEL"/*/frozen 2>/dev/null)" ""
check_equal "and the base stays what the peer holds" "$(vm_property b Base)" "$base"

cat /proc/sys/kernel/random/uuid >"$FAKE_KERNEL/vm1-disk0/uuid"
rm "$FAKE_KERNEL/vm1-disk0/base"
check_refused "a tracker that was started anew is 32775: its map proves nothing" b 32775 'resynchronisation' \
	RequestReplicationStateChange oq $vm_path 3

jq '.relationships[0].disks[0].tracker = "other"' "$TMPDIR/b.json" >"$TMPDIR/other.json"
on b failback apply "$TMPDIR/other.json" >/dev/null
on b failback apply "$TMPDIR/b.json" >/dev/null
check_refused "also after another name was tried for it" b 32775 'resynchronisation' \
	RequestReplicationStateChange oq $vm_path 3
jq 'del(.relationships[0].disks[0])' "$TMPDIR/b.json" >"$TMPDIR/fewer.json"
on b failback apply "$TMPDIR/fewer.json" >/dev/null
on b failback apply "$TMPDIR/b.json" >/dev/null
check_refused "also after the disk was taken out and put in again" b 32775 'resynchronisation' \
	RequestReplicationStateChange oq $vm_path 3
on b failback export >"$TMPDIR/export.json"
stop_daemon b
mv "$TMPDIR/b.state" "$TMPDIR/b.lost"
start_daemon b
on b failback apply "$TMPDIR/export.json" >/dev/null
check_refused "also after the relationship was made anew" b 32775 'resynchronisation' \
	RequestReplicationStateChange oq $vm_path 3
cp "$FAKE_KERNEL/vm1-disk1/base" "$FAKE_KERNEL/vm1-disk0/base"
check "a tracker that knows the base is believed then" on b failback resume vm1
check "and the disks are identical" same_disks

# --- a crash between the two halves of the swap ---

stop_daemon a
stop_daemon b
rm -r "$TMPDIR/a.state" "$TMPDIR/b.state"
start_daemon a
start_daemon b
jq '.relationships[0] += {mode: 2, state: 3}' "$TMPDIR/a.json" >"$TMPDIR/half.json"
on a failback apply "$TMPDIR/half.json" >/dev/null
on b failback apply "$TMPDIR/b.json" >/dev/null
check "a reverse that stopped half-way is completed by repeating it" on b failback reverse vm1
check_equal "then the roles are swapped" "$(role a), $(role b)" "2 3, 1 3"

# --- the other condition ---

stop_daemon a
stop_daemon b
rm -r "$TMPDIR/a.state" "$TMPDIR/b.state"
start_daemon a
start_daemon b
jq '.relationships[0] += {mode: 2, state: 2}' "$TMPDIR/a.json" >"$TMPDIR/waiting.json"
on a failback apply "$TMPDIR/waiting.json" >/dev/null
on b failback apply "$TMPDIR/b.json" >/dev/null
dd if=/dev/urandom of="$a0" bs=1M count=2 seek=3 conv=notrunc,fsync status=none
plan=$(on b failback plan --json vm1 | jq -c '[.needs_consent, .disks[0].method, .disks[0].reason]')
check_equal "of a peer in state 2 nobody knows what its disks hold" "$plan" '[false,"compare","unknown-contents"]'
check "so all of them are compared" on b failback reverse vm1
check_equal "then both replicate" "$(role a), $(role b)" "2 3, 1 3"
check "and the disks are identical" same_disks

# --- a delta that no repetition will deliver ---

# host_a_holds <base>: a is a replica whose disks hold that epoch
host_a_holds()
{
	stop_daemon a
	rm -r "$TMPDIR/a.state"
	start_daemon a
	jq --arg base "$1" '.relationships[0] += {mode: 2, state: 3, base: $base}' "$TMPDIR/a.json" >"$TMPDIR/base.json"
	on a failback apply "$TMPDIR/base.json" >/dev/null
}
stop_daemon b
rm -r "$TMPDIR/b.state"
start_daemon b
jq '.relationships[0] += {mode: 1, state: 3}' "$TMPDIR/b.json" >"$TMPDIR/primary.json"
on b failback apply "$TMPDIR/primary.json" >/dev/null
host_a_holds ""
check "a first delta gives both a base" on b failback resume vm1
base=$(vm_property b Base | tr -d '"')
host_a_holds "$(cat /proc/sys/kernel/random/uuid)"
start_job b RequestReplicationStateChange oq $vm_path 3
check_job_fails "a peer with another base is 32775, and repeating is not advised" 32775 'resynchronisation.*failback resync vm1` compares'
check_equal "that needs a resynchronisation" "$(role b)" "1 9"
host_a_holds "$base"
check "it goes on when the peer has the base" on b failback resume vm1
check_equal "and replicates again" "$(role b)" "1 3"

# --- home, as README.md says ---

write_tracked vm1-disk0 9 9
check "the last delta is sent" on b failback prepare vm1
make_tracker home-disk0.replica "$a0"
make_tracker home-disk1.replica "$a1"
jq '.relationships[0].disks[0].tracker = "home-disk0" | .relationships[0].disks[1].tracker = "home-disk1"' \
	"$TMPDIR/a.json" >"$TMPDIR/home.json"
on a failback apply "$TMPDIR/home.json" >/dev/null
check "the VM is failed over to its home" on a failback failover vm1
check "and has its devices there" test -e "$FAKE_KERNEL/home-disk0" -a -e "$FAKE_KERNEL/home-disk1"
write_tracked home-disk1 3 100
check "the other way is replicated" on a failback reverse vm1
check_equal "with exchanged roles" "$(role a), $(role b)" "1 3, 2 3"
check "and the disks are identical" same_disks
