#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Split brain: a replica is failed over by force while its primary lives. The first contact is refused, both
# hosts show what each has done, and only the operator's choice of the loser ends it.
#
# e2e: timeout=240
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"

size=$MiB
daemon_options=(--call-timeout 5 --second-ms 1000) # no delta goes by itself
two_hosts

# faces <host>: the VM would find its disk there
faces()
{
	[ -e "$TMPDIR/$1.kernel/vm1-disk0" ]
}

up a
up b
relate
check "a delta gives both a base" on a failback resume vm1
base=$(vm_property a Base | tr -d '"')
kill -STOP "${daemon_pid[a]}"
check "a replica is failed over by force while its primary lives" on b failback failover --force vm1
kill -CONT "${daemon_pid[a]}"
check "both show the VM its disk, as the operator wanted" eval 'faces a && faces b'
write_on a vm1-disk0 10 2
write_on b vm1-disk0 20 5
down
save split
up a
up b
check_equal "nothing is known of it yet" "$(on a failback status --json | jq -c .split_brain)" null

# histories <host>: of both, by term: [host, mode, state, base, bytes written]
histories()
{
	on "$1" failback status --json | jq -c '.split_brain | map([.mode, .state, .base, .written_bytes])'
}
hosts()
{
	on "$1" failback status --json | jq -c '.split_brain | map(.host)'
}

# --- at the first contact, whoever makes it ---

check_fails "a delta of the primary is refused" 17 'Split brain.*8 KiB written.*20 KiB|Split brain.*20 KiB written.*8 KiB' \
	on a failback resume vm1
ours="[1,8,\"$base\",8192]" theirs="[2,5,\"$base\",20480]"
check_equal "the primary shows both histories" "$(histories a)" "[$ours,$theirs]"
check_equal "and so does the replica that refused it" "$(histories b)" "[$theirs,[1,3,\"$base\",8192]]"
check_equal "by host" "$(hosts b)" "[\"this host\",\"${address[a]}:$port\"]"
since()
{
	on "$1" failback status --json | jq "$2"
}
check "since when each may run the VM" eval '[ "$(since a ".split_brain[0].since_us < .split_brain[1].since_us and .split_brain[0].since_us > 0")" = true ]'
on b failback status >"$TMPDIR/out"
check "status prints them as a table" grep -qE 'this host +Replica +Recovered .* 20 KiB' "$TMPDIR/out"
check "and says how to choose" grep -q 'failback yield vm1.*failback revert vm1' "$TMPDIR/out"
check_equal "the replica's health is critical" "$(vm_property b ReplicationHealth)" 3
down
restore split
up a
up b
check_fails "a reverse of the replica is refused" 17 'Split brain.*yield' on b failback reverse vm1
check_equal "both know of it" "$(on a failback status --json | jq '.split_brain | length') $(on b failback status --json | jq '.split_brain | length')" "2 2"
check_equal "nothing has changed" "$(role a), $(role b)" "1 3, 2 5"

# --- the primary loses ---

: >"$TMPDIR/a.kernel/vm1-disk0/open"
check_fails "who yields has the VM shut down first" 16 'is open' on a failback yield vm1
given_up() { grep -oE '[0-9]+ KiB written .* given up' "$TMPDIR/out" | sed 's/written.*held the same/.../'; }
on a failback yield vm1 >"$TMPDIR/out" 2>/dev/null || true
check_equal "... and is told what would be given up, not that it is" "$(given_up)" "8 KiB ... would be given up"
rm "$TMPDIR/a.kernel/vm1-disk0/open"
check "the primary is chosen as the loser" eval 'on a failback yield vm1 >"$TMPDIR/out"'
check_equal "... and told what it gives up" "$(given_up)" $'8 KiB ... would be given up\n8 KiB ... are given up'
check_equal "the VM does not find its disk there any more" "$(faces a || echo none)" none
check_equal "there is one host then" "$(on a failback status --json | jq -c .split_brain)" null
check_fails "it cannot go on while the VM is failed over" 17 'allows no resume' on a failback resume vm1
check_fails "nor send all of its disks" 17 'yielded' on a failback resync vm1
plan=$(on b failback plan --json vm1)
check_equal "the winner's plan says what is lost" "$(jq .lost_bytes <<<"$plan")" 8192
check "the winner reverses" on b failback reverse --consent "$(jq -r .digest <<<"$plan")" vm1
check_equal "and the roles are settled" "$(role a), $(role b)" "2 3, 1 3"
check "and the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
check_equal "and nobody speaks of it any more" "$(on b failback status --json | jq -c '[.split_brain, .last_error]')" '[null,""]'
down

# --- the replica loses ---

restore split
up a
up b
on a failback resume vm1 >/dev/null 2>&1 || true
cp "$TMPDIR/a.disk0" "$TMPDIR/kept"
check "the replica is chosen as the loser" eval 'on b failback revert --json vm1 >"$TMPDIR/out"'
check_equal "... and programs are told what it gives up" \
	"$(jq -c '[.would_give_up_bytes, .given_up_bytes] | select(any)' "$TMPDIR/out")" $'[20480,null]\n[null,20480]'
check_equal "the VM does not find its disk there any more" "$(faces b || echo none)" none
check_equal "there is one host then" "$(on b failback status --json | jq -c .split_brain)" null
check_fails "no delta makes it equal" 17 'resync' on a failback resume vm1
check "a comparison does" on a failback resync vm1
check "the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
check "and nothing of the winner's is lost" cmp "$a0" "$TMPDIR/kept"
check_equal "and the roles are settled" "$(role a), $(role b)" "1 3, 2 3"

# --- both of them lose ---

down
restore split
up a
up b
on a failback resume vm1 >/dev/null 2>&1 || true
cp "$TMPDIR/a.disk0" "$TMPDIR/kept"
check "the primary yields" on a failback yield vm1
check "and the replica is reverted" on b failback revert vm1
check_equal "the VM does not find its disk anywhere" "$(faces a || faces b || echo none)" none
check_fails "who has yielded sends nothing, and is told how to go on" 17 'yielded.*failback resume vm1' on a failback resync vm1
check "it goes on, with the word of its peer" on a failback resume vm1
check "... and shows the VM its disk" faces a
check "a comparison makes both equal" on a failback resync vm1
check "the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
check "and nothing that the primary had is lost" cmp "$a0" "$TMPDIR/kept"
check_equal "and the roles are settled" "$(role a), $(role b)" "1 3, 2 3"

# --- neither ever had a base ---

down
rm -rf "$TMPDIR"/[ab].state "$TMPDIR"/[ab].kernel/*
FAKE_KERNEL=$TMPDIR/a.kernel make_tracker vm1-disk0 "$a0"
FAKE_KERNEL=$TMPDIR/b.kernel make_tracker vm1-disk0.replica "$b0"
up a
up b
relate
kill -STOP "${daemon_pid[a]}"
on b failback failover --force vm1 >/dev/null || bail "no failover"
kill -CONT "${daemon_pid[a]}"
write_on b vm1-disk0 20 5
check "a replica that was written to is given back" on b failback revert vm1
write_on a vm1-disk0 30 1
check_fails "no delta goes onto that" 17 'resync' on a failback resume vm1
check "a comparison makes it equal" on a failback resync vm1
check "the disks are identical" wait_for 60 cmp -s "$a0" "$b0"

# --- a primary that was held after a boot gives its word, and stays in its state ---

# give_word: where the peer listens is not known there, so that it does not ask by itself before it is asked
give_word()
{
	relationship 1 3 b "$(disk disk0 $size "$a0" vm1-disk0)" | jq ".relationships[0].peer |= sub(\":.*\"; \":1\")" >"$TMPDIR/nowhere.json"
	on a failback apply "$TMPDIR/nowhere.json" >/dev/null
	stop_daemon a KILL
	echo "another boot, $RANDOM" >"$TMPDIR/a.boot"
	up a
	on b failback failover --force vm1 >/dev/null || bail "no failover"
	on a failback apply "$TMPDIR/a.json" >/dev/null
}
# after a comparison, and after a resumption, one may be on its way by itself
wait_for 20 on a failback resume vm1 >/dev/null 2>&1 || bail "no delta"
give_word
check_equal "it has given its word" "$(role a), $(vm_property a MayRun), $(faces b && echo failed over)" "1 3, false, failed over"
check_fails "nothing is sent then" 17 'given to its peer.*failback resume vm1' on a failback prepare vm1
check_fails "it does not go on while the VM is failed over" 17 'allows no resume' on a failback resume vm1
check "when that is reverted" on b failback revert vm1
check "it goes on, with the word of its peer" on a failback resume vm1
check "... and shows the VM its disk" faces a
check "... and sends" wait_for 20 on a failback resume vm1
give_word
stop_daemon b
check_fails "when the peer is dead, it does not go on, and the way is told" 19 'If the peer is dead, and the VM does not run there: .failback start --force vm1' \
	on a failback resume vm1
check "when the peer is dead, it is started by force" on a failback start --force vm1
check_equal "... in its state" "$(role a), $(vm_property a MayRun), $(faces a && echo shown)" "1 3, true, shown"
