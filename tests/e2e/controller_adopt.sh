#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The root of a host is lost, its disks and stores are not: what the stores' labels say, and that
# `failback adopt` makes of them what they prove, and no more.
#
# e2e: timeout=300
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"

size=$((4 * MiB))
daemon_options=(--call-timeout 5) # no delta goes by itself
two_hosts

# label <host> <tracker> <key>...: what it says, read as lib/store_label.h has it; checked by its CRC32C
label()
{
	python3 - "$TMPDIR/$1.kernel/$2/label" "${@:3}" <<-'PYTHON'
	import struct, sys, uuid
	data = open(sys.argv[1], "rb").read()
	crc = ~0 & 0xffffffff
	for byte in data[:12] + bytes(4) + data[16:]:
	    crc ^= byte
	    for _ in range(8):
	        crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
	magic, version, used, check = struct.unpack_from("<8sHHI", data)
	names = "term written size mode state flags disk disks".split()
	label = dict(zip(names, struct.unpack_from("<QQQBBHHH", data, 32)))
	label["vm"] = str(uuid.UUID(bytes=data[16:32]))
	at = 96
	for name in "disk_name name peer settings path".split():
	    label[name] = data[at + 1:at + 1 + data[at]].decode()
	    at += 1 + data[at]
	if (magic, version, used, check, len(data)) != (b"failback", 1, at, ~crc & 0xffffffff, 512):
	    sys.exit("no label")
	print(*(label[key] for key in sys.argv[2:]))
	PYTHON
}

# labels_set <host> <tracker>: how often
labels_set()
{
	wc -l <"$TMPDIR/$1.kernel/$2/labelled"
}

# --- labels ---

up a
up b
relate
check_equal "the store of a primary's disk says whose it is" \
	"$(label a vm1-disk0 vm name disk_name disk disks size mode state peer path)" \
	"$vm vm1 disk0 0 1 $size 1 3 ${address[b]}:$port $a0"
check_equal "and so does that of the replica's" "$(label b vm1-disk0.replica vm disk_name mode state peer path)" \
	"$vm disk0 2 3 ${address[a]}:$port $b0"
before=$(labels_set a vm1-disk0),$(labels_set b vm1-disk0.replica)
for nr in 1 2 3; do
	write_on a vm1-disk0 $nr 1
	on a failback resume vm1 >/dev/null || bail "no delta"
done
check_equal "no delta writes a label" "$(labels_set a vm1-disk0),$(labels_set b vm1-disk0.replica)" "$before"

# change <ReplicationInterval>: a setting of a's
change()
{
	echo "{\"ReplicationInterval\": $1}" >"$TMPDIR/settings"
	on a failback settings vm1 --settings "$TMPDIR/settings" >/dev/null
}
check "a setting is changed" change 30
check_equal "and is in the label" "$(label a vm1-disk0 settings)" '{"ReplicationInterval":30}'
before=$(labels_set a vm1-disk0)
stop_daemon a
up a
check_equal "a label that is right is not written at a start" "$(labels_set a vm1-disk0)" "$before"

complaints()
{
	grep -c 'the label on the store of disk disk0 cannot be written' "$TMPDIR/a.log" || true
}
touch "$TMPDIR/a.kernel/vm1-disk0/unlabelled"
check "a label that cannot be written fails nothing" change 900
check "nor the second time" change 300
check_equal "and is logged once" "$(complaints)" 1
rm "$TMPDIR/a.kernel/vm1-disk0/unlabelled"
on a failback resume vm1 >/dev/null || bail "no delta"
check_equal "it is written when it can be" "$(label a vm1-disk0 settings)" '{"ReplicationInterval":300}'

rm "$TMPDIR/a.kernel/vm1-disk0/label"
stop_daemon a
up a
check_equal "a tracker that came while failbackd was down is labelled at its start" "$(label a vm1-disk0 name)" vm1
stop_daemon a
mv "$TMPDIR/a.kernel/vm1-disk0" "$TMPDIR/away"
rm "$TMPDIR/away/label"
up a
mv "$TMPDIR/away" "$TMPDIR/a.kernel/vm1-disk0"
on a failback resume vm1 >/dev/null || bail "no delta"
check_equal "one that comes later, with the next change" "$(label a vm1-disk0 name)" vm1

check "a planned failover is prepared" on a failback prepare vm1
check_equal "the label says that the VM may not run there any more" "$(label a vm1-disk0.replica state flags)" "4 1"
check "and goes on" on a failback resume vm1
check_equal "... that it may" "$(label a vm1-disk0 state flags)" "3 0"

# --- the root of the primary is lost ---

# lose_root <host>: its daemon is not running
lose_root()
{
	rm -rf "$TMPDIR/$1.state"
	echo "reinstalled, $RANDOM" >"$TMPDIR/$1.boot"
}

plan_of()
{
	on b failback plan --json vm1 | jq -c '[.disks[0].method, .disks[0].reason, .cost_bytes, .lost_bytes]'
}

consent()
{
	on b failback plan --json vm1 | jq -r .digest
}

both_replicate()
{
	[ "$(role a 2>/dev/null), $(role b 2>/dev/null)" = "2 3, 1 3" ]
}

# has_step <regex>: the report of the last adopt has it
has_step()
{
	grep -qE -- "^    - .*$1" "$TMPDIR/adopted"
}

adopt()
{
	on "$1" failback adopt "${@:2}" >"$TMPDIR/adopted"
}
write_on a vm1-disk0 10 3
on a failback resume vm1 >/dev/null || bail "no delta"
for ((nr = 0; nr < 20; nr++)); do write_on a vm1-disk0 $((nr * 4)) 1; done
down
save replicating
up b
on b failback failover --force vm1 >/dev/null || bail "no failover"
for ((nr = 0; nr < 20; nr++)); do write_on b vm1-disk0 $((nr * 4 + 50)) 1; done
stop_daemon b
save failed-over
lose_root a
up a
up b
check_equal "without its database the old primary knows nothing" "$(on a failback status --json)" ""
check "it is adopted" adopt a
check "that is said" grep -q '^vm1: adopted as Primary in state 3' "$TMPDIR/adopted"
check "and that its peer has to agree" has_step "may not run here until ${address[b]}:$port confirms"
check_equal "it is a primary again" "$(role a)" "1 3"
check_equal "with its settings" "$(on a failback settings vm1 | jq -c .ReplicationInterval)" 300
held()
{
	vm_property a LastError | grep -q 'Held since the boot.*Recovered'
}
check "which asks the peer that has failed over" wait_for 60 held
check_equal "and does not face the VM" "$(vm_property a MayRun)" false
check "nor is its device there" test ! -e "$TMPDIR/a.kernel/vm1-disk0"
check "adopting it again" adopt a
check "... says that it is known" grep -q '^vm1: has a relationship here already' "$TMPDIR/adopted"
check_equal "... and changes nothing" "$(call a AdoptRelationships s '' | cut -d' ' -f1-3)" 'ubss 0 false'
check_equal "the reverse is two-sided, as if nothing had been lost" "$(plan_of)" \
	"[\"two-sided\",\"not-prepared\",$((40 * 4096)),$((20 * 4096))]"
check "it is reversed" on b failback reverse --consent "$(consent)" vm1
check "both replicate" wait_for 20 both_replicate
check "the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
check_equal "what either had written was sent, and nothing else" \
	"$(on b failback jobs --json | jq -s 'map(select(.type == 105))[0].bytes_total')" $((40 * 4096))
check_equal "and the labels have it so" "$(label a vm1-disk0.replica mode state), $(label b vm1-disk0 mode state)" "2 3, 1 3"
down

# --- a primary whose peer is silent, and one whose peer has not failed over ---

# beside it, another VM, which was not adopted, shows when the guard's time is over
make_disk a 1; a1=$loop
vm2=/org/failback1/computersystem/22222222_2222_4333_8444_555555555555
vm2_may_run()
{
	[ "$(vm_path=$vm2 vm_property a MayRun)" = true ]
}
restore replicating
lose_root a
FAKE_KERNEL=$TMPDIR/a.kernel make_tracker vm2-disk0 "$a1"
up a
relationship 1 3 b "$(disk disk0 $size "$a1" vm2-disk0)" | sed "s/$vm/22222222${vm#11111111}/; s/vm1\"/vm2\"/" >"$TMPDIR/vm2.json"
check "a relationship is made anew" on a failback apply "$TMPDIR/vm2.json"
check "another is adopted beside it, while its peer is silent" adopt a
stop_daemon a
echo "another boot, $RANDOM" >"$TMPDIR/a.boot"
up a --guard-policy start --guard-timeout 3 --second-ms 50
check "when guard-policy starts the one" wait_for 20 vm2_may_run
check_equal "... the adopted one stays away, not having heard its peer" "$(vm_property a MayRun)" false
write_on a vm1-disk0.replica 100 1
up b
may_run()
{
	[ "$(vm_property a MayRun)" = true ]
}
check "its peer, which has not failed over, lets it go on" wait_for 60 may_run
check "and its device is there again" test -e "$TMPDIR/a.kernel/vm1-disk0"
# the schedule may have begun one
check "a delta goes" wait_for 20 on a failback resume vm1
check_equal "of what was written since the base, and nothing else" \
	"$(on a failback jobs --json | jq -s 'map(select(.type == 105).bytes_total) | max')" $((21 * 4096))
check "the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
down

# --- the replica ---

restore replicating
lose_root b
up a
up b
check "a replica is adopted" adopt b
check_equal "it is one" "$(role b)" "2 3"
check_equal "and holds an instant" "$(vm_property b Consistent)" true
check "the next delta goes" on a failback resume vm1
check "the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
down

restore replicating
lose_root b
write_on b vm1-disk0.replica 200 1
up a
up b
touch "$TMPDIR/b.state/$vm.journal"
check_fails "what a journal may hold is not given up unasked" 17 'may hold a delta that is not on the disks' adopt b
rm "$TMPDIR/b.state/$vm.journal"
check "a replica that was written to is adopted" adopt b
check "with the word that it has to be compared" has_step 'failback resync vm1'
check_equal "it holds no instant" "$(vm_property b Consistent)" false
check_fails "no delta goes onto that" 17 'resync' on a failback resume vm1
check "a comparison does" on a failback resync vm1
check "the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
down

restore failed-over
lose_root b
echo "another boot, $RANDOM" >"$TMPDIR/a.boot"
up a
up b
check "a failed-over replica is adopted" adopt b
check "the old primary lets it go on" wait_for 60 eval '[ "$(vm_property b MayRun)" = true ]'
check_equal "its map is what it was" "$(plan_of)" \
	"[\"two-sided\",\"not-prepared\",$((40 * 4096)),$((20 * 4096))]"
down

# --- what is not adopted ---

restore replicating
lose_root a
up a
# shellcheck disable=SC2086 # three words
check_equal "who is not root adopts nothing" "$(DBUS_SYSTEM_BUS_ADDRESS=unix:path=$TMPDIR/a.bus setpriv --reuid=65534 --regid=65534 \
	--clear-groups busctl call $service AdoptRelationships s '' | cut -d' ' -f1-3)" "ubss 32769 false"
check_fails "a VM of which no store tells is not known" 15 "that it is VM \"other\"'s" on a failback adopt other
touch "$TMPDIR/a.kernel/vm1-disk0/open"
check_fails "a VM that runs is not adopted" 16 'shut the VM down' on a failback adopt
check_equal "and nothing has changed" "$(on a failback status --json)$(ls "$TMPDIR/a.kernel" | tr '\n' ' ')" "vm1-disk0 "
rm "$TMPDIR/a.kernel/vm1-disk0/open"

echo "vm1-disk0 $a0 - start" >"$TMPDIR/a.trackers"
check_fails "nor is one that the table shows from the boot on" 17 "in $TMPDIR/a.trackers says .start., .*take that word out" on a failback adopt
check_equal "and nothing has changed" "$(on a failback status --json)$(ls "$TMPDIR/a.kernel" | tr '\n' ' ')" "vm1-disk0 "
rm "$TMPDIR/a.trackers"

cp -a "$TMPDIR/a.kernel/vm1-disk0" "$TMPDIR/a.kernel/copy"
check_fails "nor is a disk that two stores claim" 15 'one must be a copy' on a failback adopt
check_equal "and the report is the same for programs" \
	"$(on a failback adopt --json 2>/dev/null | jq -c 'select(.outcome) | [.name, .vm, .outcome, .schema]')" \
	"[\"vm1\",\"$vm\",\"refused\",1]"
rm -r "$TMPDIR/a.kernel/copy"

sed 's/vm2-disk0/other/; s/'"${a1//\//\\/}"'/'"${a0//\//\\/}"'/' "$TMPDIR/vm2.json" >"$TMPDIR/other.json"
on a failback apply "$TMPDIR/other.json" >/dev/null || bail "not applied"
check_fails "nor one that another VM has" 15 "disk disk0 of VM vm2 has it" on a failback adopt vm1
on a failback remove vm2 >/dev/null || bail "not removed"

cp "$TMPDIR/a.kernel/vm1-disk0/label" "$TMPDIR/label"
printf x | dd of="$TMPDIR/a.kernel/vm1-disk0/label" bs=1 seek=100 conv=notrunc status=none
check_fails "a label that is damaged is refused by the tracker's name" 13 'store of tracker vm1-disk0 is damaged' on a failback adopt
cp "$TMPDIR/label" "$TMPDIR/a.kernel/vm1-disk0/label"
check "what it says when it is whole is adopted, by name" adopt a vm1
check "a relationship is removed" on a failback remove vm1
check "and its store tells of none any more" adopt a
check_equal "... says the report" "$(head -n 1 "$TMPDIR/adopted")" "No store of a tracker here says whose it is."
stop_daemon a

# --- two disks ---

restore replicating
FAKE_KERNEL=$TMPDIR/a.kernel make_tracker vm1-disk1 "$a1"
up a
relationship 1 3 b "$(disk disk0 $size "$a0" vm1-disk0)" "$(disk disk1 $size "$a1" vm1-disk1)" >"$TMPDIR/two.json"
check "the VM gets another disk" on a failback apply "$TMPDIR/two.json"
check_equal "both labels say so" "$(label a vm1-disk0 disk disks), $(label a vm1-disk1 disk disks)" "0 2, 1 2"
stop_daemon a
lose_root a
mv "$TMPDIR/a.kernel/vm1-disk1" "$TMPDIR/away"
up a
check_fails "a disk is missing: nothing is adopted" 21 '2 disks, and only 1 of their trackers' on a failback adopt
check_equal "and nothing has changed" "$(on a failback status --json)" ""
mv "$TMPDIR/away" "$TMPDIR/a.kernel/vm1-disk1"
check "when it is there, they are" adopt a
check_equal "both, in order" "$(on a failback export | jq -c '[.relationships[0].disks[] | [.name, .tracker, .path]]')" \
	"[[\"disk0\",\"vm1-disk0\",\"$a0\"],[\"disk1\",\"vm1-disk1\",\"$a1\"]]"
check "a disk is taken from the VM" on a failback apply "$TMPDIR/a.json"
check_fails "and its store does not tell of it any more" any 'no label' label a vm1-disk1.replica disk
stop_daemon a

# --- somebody else wants the disk first ---

restore replicating
lose_root b
up a
up b --replica-paths /dev
make_disk a 2
jq -n --arg peer "${address[b]}:$port" --arg a "$loop" --arg b "$b0" '{name: "vm2", peer: $peer, disks: [{name: "disk0",
	path: $a, tracker: "vm2-disk0", peer_path: $b, peer_tracker: "vm1-disk0"}]}' >"$TMPDIR/create.json"
check_fails "a disk whose store says that it is another VM's is no peer's to take" 15 "another VM's: .failback adopt" \
	on a failback create "$TMPDIR/create.json"
relationship 2 3 a "$(disk disk0 $size "$b0" vm1-disk0)" | jq '.relationships[0].vm = "22222222-2222-4333-8444-555555555555"' >"$TMPDIR/other.json"
check_fails "... nor that of who applies it" 15 "it is VM vm1's" on b failback apply "$TMPDIR/other.json"
check "... and it is adopted afterwards" adopt b
down

# --- the host's identity is lost with its root ---

restore replicating
plain=127.0.0.1
make_keys()
{
	printf 'tls-certificate = %s\ntls-key = %s\ntls-peers = %s\n' "$TMPDIR/$1.pem" "$TMPDIR/$1.key" "$TMPDIR/$1.peers" >"$TMPDIR/$1.conf"
	sed -i '1i[failbackd]' "$TMPDIR/$1.conf"
	failback host init --config "$TMPDIR/$1.conf" --json | jq -r .fingerprint
}
key=$(make_keys b)
echo "${address[b]} $key" >"$TMPDIR/a.peers"
up a
check "the label keeps the key of the peer" on a failback apply "$TMPDIR/a.json"
stop_daemon a
lose_root a
rm "$TMPDIR/a.peers"
up a
check "a host that has lost its identity adopts" adopt a
check "and is told to make one" has_step 'failback host init'
check "and to have its peer learn it" has_step "On ${address[b]}: .failback host pair --replace"
check "and how its peer was known" has_step "By the store, its key was $key: compare it"
stop_daemon a
