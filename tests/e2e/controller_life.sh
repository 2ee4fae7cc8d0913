#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The life of relationships: created, sent in full, kept up by themselves, suspended, resynchronised,
# removed. Many of them, and many disks: controller_many.sh.
#
# e2e: timeout=300
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"

size=$MiB
daemon_options=(--second-ms 20 --replica-paths /dev) # an interval of 30 s lasts 0.6 s
two_hosts
random_contents 1 | dd of="$b0" bs=1M conv=fsync status=none
up a
up b --replica-paths "$TMPDIR"

# --- create ---

jq -n --arg vm $vm --arg peer "${address[b]}:$port" --arg a "$a0" --arg b "$b0" '{vm: $vm, name: "vm1", peer: $peer,
	disks: [{name: "disk0", path: $a, tracker: "vm1-disk0", peer_path: $b}]}' >"$TMPDIR/create.json"
check_fails "a peer does not let its disks be named where it did not say so" 11 'replica-paths' \
	on a failback create "$TMPDIR/create.json"
check_equal "nothing is left of that" "$(on a failback status --json)" ""
stop_daemon b
up b
check "a relationship is created, with the peer's half" on a failback create "$TMPDIR/create.json"
check_equal "both wait for the initial replication" "$(role a), $(role b)" "1 1, 2 2"
check "the answer to the peer's half may be lost: the primary's is made anew" eval "on a failback remove vm1 && on a failback create $TMPDIR/create.json"
check_equal "the size is that of the disk" "$(on b failback export | jq '.relationships[0].disks[0].size')" $size
check_fails "a second one for the VM is refused" 17 'already' on a failback create "$TMPDIR/create.json"

make_disk a 1; a1=$loop
make_disk b 1; b1=$loop
make_disk b 2; b2=$loop

# the primary's half alone is made anew, and is not what the peer has
check "the primary's half is removed" on a failback remove vm1
# create_changed <what jq makes of it>
create_changed()
{
	jq --arg a "$a1" --arg b "$b1" "$1" "$TMPDIR/create.json" >"$TMPDIR/changed.json"
	on a failback create "$TMPDIR/changed.json"
}
other='VM "vm[12]" is on that host already, with other disks or another name, .*: .failback remove. it there first'
check_fails "it is not made with another disk of the peer's" 17 "$other" create_changed '.disks[0].peer_path = $b'
check_fails "... nor with another tracker" 17 "$other" create_changed '.disks[0].peer_tracker = "other"'
check_fails "... nor with a disk that has another name" 17 "$other" create_changed '.disks[0].name = "other"'
check_fails "... or size" 17 "$other" create_changed '.disks[0].size = 4096'
check_fails "... nor with one more" 17 "$other" \
	create_changed '.disks += [{name: "disk1", path: $a, tracker: "vm1-disk1", peer_path: $b}]'
check_fails "... nor under another name" 17 "$other" create_changed '.name = "vm2"'
check_equal "... the peer has what it had, and this host nothing" \
	"$(on b failback export | jq -c '.relationships[] | [.name, .disks]')$(on a failback status --json)" \
	"$(jq -nc --argjson disk "$(disk disk0 $size "$b0" vm1-disk0)" '["vm1", [$disk]]')"
for path in "$b1" "$b0"; do
	relationship 2 2 a "$(disk disk0 $size "$path" vm1-disk0)" >"$TMPDIR/b.json"
	on b failback apply "$TMPDIR/b.json" >/dev/null
done
check_fails "... nor where the peer's half was changed since" 17 "$other" on a failback create "$TMPDIR/create.json"
on b failback remove vm1
check "when it was removed there it is made" on a failback create "$TMPDIR/create.json"

# of two disks, and what each host is to have as their trackers
# create_second <tracker> <peer's tracker> [<name> [<peer's disk>]]
create_second()
{
	jq -n --arg peer "${address[b]}:$port" --arg a "$a1" --arg b "${4:-$b1}" --arg tracker "$1" --arg peer_tracker "$2" \
		--arg name "${3:-vm2}" '{name: $name, peer: $peer, disks: [{name: "disk0", path: $a, tracker: $tracker, peer_path: $b,
		peer_tracker: $peer_tracker}]}' >"$TMPDIR/second.json"
	on a failback create "$TMPDIR/second.json"
}
rule='at most 64 letters, digits and characters of #.-.:=@_, and begins with neither'
check_fails "a name that a program would take for an option is refused, with the rule" 15 "$rule" create_second vm2-disk0 vm2-disk0 -vm2
check_fails "... one that a shell would take apart" 15 "$rule" create_second vm2-disk0 vm2-disk0 'vm2; reboot'
check_fails "... one that no sentence would show whole" 15 "$rule" create_second vm2-disk0 vm2-disk0 "$(printf 'v%.0s' {1..65})"
relationship 2 3 a "$(disk disk0 $size "$b1" vm2-disk0)" | jq '.relationships[0] +=
	{vm: "22222222-2222-4333-8444-555555555555", name: "vm2 "}' >"$TMPDIR/named.json"
check_fails "... of who applies it" 15 "$rule" on b failback apply "$TMPDIR/named.json"
# peer_creates <name>: what a host that is let in, and asks for what it likes, is told
peer_creates()
{
	FROM=${address[a]} "$top/tests/e2e/hostile.py" call "${address[b]}" "$port" "$(jq -nc --arg name "$1" --argjson port "$port" \
		--argjson version "$(sed -n 's/^#define CALLS_VERSION *//p' "$top/user/daemon/calls.h")" \
		--argjson disk "$(disk disk0 $size "$b1" vm2-disk0)" '{call: "create", version: $version,
		vm: "22222222-2222-4333-8444-555555555555", name: $name, port: $port, disks: [$disk]}')" | jq -c '[.code, .text]'
}
check "... of a peer" grep -q "^.32773,.*$rule" <(peer_creates $'-x\e[2J')
check_equal "... which gets the VM under a proper one" "$(peer_creates vm2)" '[0,""]'
on b failback remove vm2

echo "vm2-disk0 /dev/nosuch - start" >"$TMPDIR/a.trackers"
echo "any $b1 - start" >"$TMPDIR/b.trackers"
check_fails "a disk that its line of the table shows from the boot on is refused" 17 \
	"^failback: The line of tracker vm2-disk0 in $TMPDIR/a.trackers says .start., .*take that word out" create_second vm2-disk0 vm2-disk0
rm "$TMPDIR/a.trackers"
check_fails "... by the peer" 17 "refuses: The line of tracker any in $TMPDIR/b.trackers says .start.," create_second vm2-disk0 vm2-disk0
sed -i 's/vm2 "/vm2"/' "$TMPDIR/named.json"
check_fails "... of who applies it" 17 "$TMPDIR/b.trackers says .start.," on b failback apply "$TMPDIR/named.json"
echo "vm1-disk0 $b0 - start" >"$TMPDIR/b.trackers"
on b failback export >"$TMPDIR/b.json"
check "what is there already is left as it is" on b failback apply "$TMPDIR/b.json"
jq --arg b "$b1" '.relationships[0].disks[0].path = $b' "$TMPDIR/b.json" >"$TMPDIR/other.json"
check_fails "... but for other disks" 17 "$TMPDIR/b.trackers says .start.," on b failback apply "$TMPDIR/other.json"
rm "$TMPDIR/b.trackers"

FAKE_KERNEL=$TMPDIR/b.kernel make_tracker other "$b0"
check_fails "another VM's tracker is refused" 15 'disk0 of VM vm1 has it' create_second vm1-disk0 vm2-disk0
check_fails "... on the peer, too" 15 'disk0 of VM vm1 has it' create_second vm2-disk0 vm1-disk0
check_fails "a mapped device that is no tracker of the disk is refused" 15 'not the tracker of disk disk0' \
	create_second vm2-disk0 other
check "... and it stays in sight" test -e "$TMPDIR/b.kernel/other"
check_fails "what can be no name of a mapped device is refused" 15 "must not have a '/'" \
	create_second vm2-disk0 ../../tmp/other
check_fails "a name that the fence gives is refused" 15 'Give the name without it' create_second vm2-disk0 vm1-disk0.replica
check_fails "... here, too" 15 'Give the name without it' create_second vm1-disk0.replica vm2-disk0
relationship 2 3 a "$(disk disk0 $size "$b1" vm2-disk0.replica)" >"$TMPDIR/second.json"
check_fails "... and of who applies it" 15 'Give the name without it' on b failback apply "$TMPDIR/second.json"
check_fails "a disk that another VM of the same peer has is refused, and how to free it is told" 15 'failback remove vm1` there' \
	create_second vm2-disk0 vm2-disk0 vm2 "$b0"
relationship 2 3 a "$(disk disk0 $size "$b2" secret-disk0)" | jq '.relationships[0] +=
	{vm: "33333333-2222-4333-8444-555555555555", name: "secret", peer: "127.0.0.9"}' >"$TMPDIR/second.json"
on b failback apply "$TMPDIR/second.json" >/dev/null
check_fails "of another peer's VM, nothing is told" 15 "path $b2: it is another VM's on that host, whose log names it" \
	create_second vm2-disk0 vm2-disk0 vm2 "$b2"
check "... but in the log" grep -q "path $b2: disk disk0 of VM secret has it" "$TMPDIR/b.log"
check_fails "a name that another VM has there is refused" 15 'another VM named secret' create_second vm2-disk0 vm2-disk0 secret
on b failback remove secret
check_equal "nothing is left of these" "$(on a failback status --json | wc -l), $(on b failback status --json | wc -l)" "1, 1"
relationship 2 3 a "$(disk disk0 $size "$b1" vm2-disk0)" "$(disk disk1 $size /dev/zero other)" |
	jq '.relationships[0] += {vm: "22222222-2222-4333-8444-555555555555", name: "vm2"}' >"$TMPDIR/second.json"
FAKE_KERNEL=$TMPDIR/b.kernel make_tracker vm2-disk0.replica "$b1"
: >"$TMPDIR/b.kernel/other/open"
check "of a replica, whose second disk is open" on b failback apply "$TMPDIR/second.json"
check "... the first stays out of sight" test -e "$TMPDIR/b.kernel/vm2-disk0.replica"
check "... and the second is told" grep -q 'must not run here, but: Disk disk1 .* is open' "$TMPDIR/b.log"
jq '.relationships[0].disks[1].path = .relationships[0].disks[0].path' "$TMPDIR/second.json" >"$TMPDIR/twice.json"
check_fails "one disk twice is refused" 15 'disk0 of VM vm2 has it' on b failback apply "$TMPDIR/twice.json"
jq '.relationships += .relationships' "$TMPDIR/second.json" >"$TMPDIR/twice.json"
check_fails "one VM twice is refused, and as that" 15 'Two relationships are for one VM: "vm2" and "vm2"' on b failback apply "$TMPDIR/twice.json"
check "the second VM is removed" on b failback remove vm2
rm -r "$TMPDIR/b.kernel/vm2-disk0.replica" "$TMPDIR/b.kernel/other"

# a name that nothing has yet
check "a tracker may come later" create_second vm2-disk0 later
stop_daemon a
echo "another boot of a" >"$TMPDIR/a.boot"
FAKE_KERNEL=$TMPDIR/b.kernel make_tracker later "$b2"
up a
check "the peer confirms, after a boot" wait_for 60 grep -q 'VM vm2: the peer confirms' "$TMPDIR/a.log"
check "... and takes no other disk's device away by that" test -e "$TMPDIR/b.kernel/later"
wait_for 60 on a failback remove vm2
wait_for 60 on b failback remove vm2
rm -r "$TMPDIR/b.kernel/later"

check_fails "what was never sent cannot be failed over to" 17 'hold nothing to run from' on b failback failover vm1
check_fails "no delta goes before the initial replication" 17 'Primary in state 1' on a failback resume vm1

# --- the initial replication, and deltas by themselves ---

echo '{"ReplicationInterval": 30}' >"$TMPDIR/interval.json"
check "settings are changed" on a failback settings --settings "$TMPDIR/interval.json" vm1
check_equal "and shown" "$(on a failback settings vm1 | jq .ReplicationInterval)" 30
kill -STOP "${daemon_pid[b]}"
check "it begins" on a failback initial vm1 --no-wait
on a failback initial vm1 >"$TMPDIR/out" &
follower=$!
wait_for 60 test -s "$TMPDIR/out" # it has the job
kill -CONT "${daemon_pid[b]}"
rc=0
wait $follower || rc=$?
check_equal "who asks once more is told when all of the disk is sent" $rc 0
check_equal "both replicate" "$(role a), $(role b)" "1 3, 2 3"
check "and the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
same_disks()
{
	cmp -s "$a0" "$b0"
}
write_on a vm1-disk0 7 16 # enough to say how fast it goes
check "a delta goes by itself" wait_for 20 same_disks
before=$(vm_property a Base)
delta_went()
{
	[ "$(vm_property a Base)" != "$before" ]
}
check "and again, though nothing was written" wait_for 20 delta_went

# --- suspend ---

check "a primary is suspended, between two deltas" wait_for 60 on a failback suspend vm1
check_equal "its state says so" "$(role a) $(vm_property a ReplicationHealth)" "1 7 2"
write_on a vm1-disk0 20 5
figures()
{
	on a failback status --json vm1 | jq -c "$1"
}
check_equal "what is dirty is what was written" "$(figures .dirty_bytes)" $((5 * 4096))
lag=$(figures .lag_us)
check "the lag grows while nothing is sent" eval '[ "$lag" -gt 0 ] && [ "$(figures .lag_us)" -gt "$lag" ]'
check "how long it would take is a number, after a delta" eval 'figures .seconds_to_catch_up | grep -qx "[0-9]*"'
check_equal "the peer is what it said" "$(figures '[.peer_mode, .peer_state, .peer_state_name]')" '[2,3,"Replicating"]'
check "and the table has all of that" grep -qE "^vm1 .* ${address[b]}:$port \(Replica 3\) +20 KiB +[0-9.]+ [a-z]+ +[0-9.]+ [a-z]+ " \
	<(on a failback status)
before=$(vm_property a Base)
if wait_for 2 delta_went; then not_ok "nothing is sent while it is suspended"; else ok "nothing is sent while it is suspended"; fi
check "it is resumed" on a failback resume vm1
check "and what was written meanwhile is sent" same_disks
check_equal "nothing is dirty then, and nothing behind" "$(figures '[.dirty_bytes, .lag_us]')" "[0,0]"
check "a primary is suspended once more" wait_for 60 on a failback suspend vm1
write_on a vm1-disk0 30 5
: >"$TMPDIR/a.kernel/vm1-disk0/broken"
before=$(vm_property a Base)
check "an epoch that breaks once all of it has arrived is what the replica has" on a failback resume vm1
check "... and the next delta's base" delta_went
check "... it does not stay frozen" wait_for 20 test ! -e "$TMPDIR/a.kernel/vm1-disk0/frozen"
rm "$TMPDIR/a.kernel/vm1-disk0/broken"
check "... and the next delta goes" on a failback resume vm1
check "... to identical disks" same_disks
check "a replica is suspended" wait_for 60 on b failback suspend vm1
write_on a vm1-disk0 40 5
check_fails "it takes no delta then, and says what it is" 17 'Suspended' on a failback resume vm1
check "it is resumed" on b failback resume vm1
check "the primary goes on by itself" wait_for 20 same_disks
check "and is well again" on a failback wait vm1 --state 3 --timeout 60

# --- resynchronise ---

check_fails "what is known to be equal is not sent in full" 17 'needs' on a failback resync vm1
dd if=/dev/urandom of="$b0" bs=4k seek=100 count=3 conv=notrunc,fsync status=none
cat /proc/sys/kernel/random/uuid >"$TMPDIR/a.kernel/vm1-disk0/uuid"
rm -f "$TMPDIR/a.kernel/vm1-disk0/base"
check "a map that was lost is noticed by itself" on a failback wait vm1 --state 9 --timeout 60
check "and says how to go on" grep -q 'failback resync vm1' <(on a failback status)
stop_daemon b
stop_daemon a
echo "a third boot of a" >"$TMPDIR/a.boot"
up a
held() { on a failback status | grep -q 'Held since the boot'; }
check "the VM is held after a boot, without the peer" wait_for 60 held
up b
check "... until the peer confirms" wait_for 60 eval '[ "$(vm_property a MayRun)" = true ]'
check_equal "... which makes nothing well that was not" "$(role a) $(vm_property a ReplicationHealth)" "1 9 3"
check "... and how to go on is still said" grep -q 'failback resync vm1' <(vm_property a LastError)
mv "$b0" "$b0.away"
check_fails "a resynchronisation that the peer refuses fails" any . on a failback resync vm1
mv "$b0.away" "$b0"
before=$(on a failback jobs --json | jq -s 'map(.bytes_sent) | add')
check "and what sends next compares the disks, though no resynchronisation was asked for" \
	on a failback resume vm1
check "and only what differs is sent" test "$(on a failback jobs --json | jq -s 'map(.bytes_sent) | add')" -le $((before + 64 * 4096))
check "then a delta from an image makes the replica one that can be failed over to" \
	wait_for 20 eval '[ "$(vm_property b Consistent)" = true ]'
check "and the disks are identical" same_disks
check_equal "both replicate again" "$(role a), $(role b)" "1 3, 2 3"

# --- what the tools show ---

check_equal "wait ends with 14 when its time is up" "$(on a failback wait vm1 --state 5 --timeout 0 >/dev/null 2>&1 || echo $?)" 14
connection_is_tested()
{
	on a failback test-connection vm1 2>&1 | grep -q 'answers: it is Replica in state 3'
}
check "the connection is tested" wait_for 60 connection_is_tested
check_fails "start says that it needs --force" 2 'give --force' on a failback start vm1
statistics()
{
	on "$1" failback status --json vm1 | jq -c "$2"
}
check_equal "statistics count what was sent" \
	"$(statistics a '.statistics | [.ReplicationSuccessCount > 5, .MaxReplicationSize, .NetworkFailureCount, .ReplicationHealth]')" "[true,$size,0,1]"
check_equal "and as failed what the suspended replica refused" "$(statistics a '.statistics.ReplicationFailureCount > 0')" true
check_equal "and what was received" "$(statistics b '.statistics | [.ReplicationSuccessCount > 5, has("PendingReplicationSize")]')" '[true,false]'
check_equal "anyone may ask" "$(call a GetReplicationStatistics o $vm_path | cut -c1-7)" 'uso 0 "'
on a timeout 5 failback watch --json >"$TMPDIR/watched" || true
check_equal "watch prints objects with a schema" "$(jq -s 'map(.schema) | unique | .[0]' "$TMPDIR/watched")" 1
check "the log has what ran" grep -q 'resynchronising: ' <(on a failback log)

# --- a peer of another version ---

mkdir -p "$TMPDIR/later/daemon" "$TMPDIR/later/bin"
sed 's/^#define CALLS_VERSION .*/#define CALLS_VERSION 99/' "$top/user/daemon/calls.h" >"$TMPDIR/later/daemon/calls.h"
# shellcheck disable=SC2046 # a list
gcc -std=gnu11 -D_GNU_SOURCE -I"$TMPDIR/later" -I"$top/user" -I"$top/uapi" $(pkg-config --cflags json-c libsystemd) \
	-c -o "$TMPDIR/later/calls.o" "$top/user/daemon/calls.c"
fake_objects=("$TMPDIR/later/calls.o")
link_fake "$TMPDIR/later/bin" failbackd
failbackd=$TMPDIR/later/bin/failbackd
stop_daemon b
up b
failbackd=$TMPDIR/bin/failbackd
check "a peer of another version keeps no delta from being sent later" on a failback wait vm1 --state 8 --timeout 60
check "... and status says what to do" grep -q 'same version of Failback.*Nothing is lost' <(on a failback status)
check_fails "... and so does who asks for one" 12 'when that is mended, `failback resume vm1`' on a failback resume vm1
stop_daemon b
up b
check "it goes on by itself when they are of one version" on a failback wait vm1 --state 3 --timeout 60

# --- another disk under a replica ---

truncate -s $size "$TMPDIR/b.other"
check "nothing goes by itself from here on" wait_for 60 on a failback suspend vm1

# sql <host> <statement>: into its database, while it is down
sql()
{
	python3 -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1], isolation_level=None).execute(sys.argv[2])' \
		"$TMPDIR/$1.state/failback.db" "$2"
}
stop_daemon b
sql b "UPDATE relationships SET name = 'my ' || char(27) || '[2Jvm', last_error = 'Some trouble.'"
up b
on b failback status >"$TMPDIR/out"
check "a VM with a name of before there was a rule is there" grep -qxF 'my ?[2Jvm: Some trouble.' "$TMPDIR/out"
check_equal "... and its escapes do not reach the terminal" "$(grep -c $'\e' "$TMPDIR/out")" 0
on b failback export >"$TMPDIR/b.json"
check "... what is exported of it can be applied" on b failback apply "$TMPDIR/b.json"
jq '.relationships[0].settings.ReplicationInterval = 300' "$TMPDIR/b.json" >"$TMPDIR/other.json"
check "... and changed" on b failback apply "$TMPDIR/other.json"
jq '.relationships[0].name = "my other"' "$TMPDIR/b.json" >"$TMPDIR/other.json"
check_fails "... but for its name, to another such one" 15 "$rule" on b failback apply "$TMPDIR/other.json"
relationship 2 3 a "$(disk disk0 $size "$TMPDIR/b.other" vm1-disk0)" >"$TMPDIR/other.json"
check "a replica is given another disk" on b failback apply "$TMPDIR/other.json"
check_equal "... which holds no instant of the VM" "$(vm_property b Consistent)" false
write_on a vm1-disk0 3 1
check_fails "... and takes no delta" 17 'resync' on a failback resume vm1
check "it is compared" on a failback resync vm1
check "... and identical then" wait_for 60 cmp -s "$a0" "$TMPDIR/b.other"
wait_for 20 eval '[ "$(vm_property b Consistent)" = true ]'
ln -s "$TMPDIR/b.other" "$TMPDIR/b.link"
relationship 2 3 a "$(disk disk0 $size "$TMPDIR/b.link" vm1-disk0)" >"$TMPDIR/other.json"
check "another name of the same disk is none" wait_for 60 on b failback apply "$TMPDIR/other.json"
check_equal "... and it stays as it is" "$(vm_property b Consistent)" true
relationship 2 3 a "$(disk disk0 $size "$b2" vm1-disk0)" >"$TMPDIR/other.json"
before=$(sha256sum <"$b2")
check "a replica gets the path of a disk that its tracker is not over" wait_for 60 on b failback apply "$TMPDIR/other.json"
check_fails "... takes no delta" 17 'resync' on a failback resume vm1
check_fails "... is not written to around the tracker" 15 'not the tracker of disk disk0' on a failback resync vm1
check_equal "... and holds what it held" "$(sha256sum <"$b2")" "$before"
relationship 1 5 b "$(disk disk0 $size "$b0" vm1-disk0)" >"$TMPDIR/other.json"
check_fails "a role that there is none of is refused" 15 'never in state 5' on b failback apply "$TMPDIR/other.json"

# --- remove ---

stop_daemon a
sql a "CREATE TRIGGER stays BEFORE DELETE ON relationships BEGIN SELECT RAISE(ABORT, 'it stays'); END"
up a
check_fails "what the database does not let go is not removed" any 'it stays' on a failback remove vm1
check_equal "... the VM is there" "$(on a failback status --json | jq -r .name)" vm1
check "... and the history says so" grep -q 'removing a relationship: failed: .*it stays' <(on a failback log)
stop_daemon a
sql a "DROP TRIGGER stays"
up a
check "a relationship is removed" wait_for 60 on a failback remove vm1
check_equal "... says the history" "$(on a failback log | tail -n 1 | grep -o 'removing.*')" "removing a relationship: completed"
check_equal "only here" "$(on a failback status --json | wc -l), $(on b failback status --json | wc -l)" "0, 1"
check "and on the other side" on b failback remove vm1

# --- another disk under a replica that has no base yet ---

relationship 2 3 a "$(disk disk0 $size "$b0" vm1-disk0)" >"$TMPDIR/b.json"
on b failback apply "$TMPDIR/b.json" >/dev/null
relationship 2 3 a "$(disk disk0 $size "$TMPDIR/b.other" vm1-disk0)" >"$TMPDIR/other.json"
check "a replica is given another disk before its first delta" on b failback apply "$TMPDIR/other.json"
relationship 1 3 b "$(disk disk0 $size "$a0" vm1-disk0)" >"$TMPDIR/a.json"
on a failback apply "$TMPDIR/a.json" >/dev/null
check_fails "... and takes no delta" 17 'resync' on a failback resume vm1
wait_for 60 on a failback remove vm1
wait_for 60 on b failback remove vm1
