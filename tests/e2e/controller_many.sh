#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Many relationships, and many disks of one: whose turn it is, what status costs, and one instant of all.
#
# e2e: timeout=360
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"

export FAILBACK_NO_IO_URING=1
# An interval of 30 s lasts 0.6 s. Who waits for a peer goes on waiting: with its connection lost, it would
# leave its place to others.
daemon_options=(--call-timeout 60 --second-ms 20)
two_hosts
mkdir "$TMPDIR/a.disks" "$TMPDIR/b.disks"
up a
up b

detach_all()
{
	local file

	stop_daemons
	for file in "$TMPDIR"/[ab].disks/*; do
		losetup -j "$file" | cut -d: -f1 | xargs -r losetup -d
	done
}
cleanup_fn detach_all

# disks_of <host> <nr> <number>: as JSON, on sparse loop devices
disks_of()
{
	local host=$1 nr=$2 count=$3 i loop
	for ((i = 0; i < count; i++)); do
		truncate -s $size "$TMPDIR/$host.disks/$nr.$i"
		loop=$(losetup --find --show "$TMPDIR/$host.disks/$nr.$i")
		FAKE_KERNEL=$TMPDIR/$host.kernel make_tracker "vm$nr-$i$([ "$host" = a ] || echo .replica)" "$loop"
		disk "disk$i" $size "$loop" "vm$nr-$i"
	done
}
uuid_of()
{
	printf '00000000-0000-4000-8000-%012d' "$1"
}
# half <host> <peer> <mode> <nr> <disks>
half()
{
	disks_of "$1" "$4" "$5" | jq -s --arg vm "$(uuid_of "$4")" --arg name "vm$4" --arg peer "${address[$2]}:$port" \
		--argjson mode "$3" '{vm: $vm, name: $name, peer: $peer, mode: $mode, state: 3,
		settings: {ReplicationInterval: 30}, disks: .}'
}
halves()
{
	local host=$1 nr
	half "$@" 100 24
	for ((nr = 1; nr <= 20; nr++)); do half "$@" $nr 1; done
}
for host in a b; do
	halves $host $([ $host = a ] && echo "b 1" || echo "a 2") | jq -s '{version: 1, relationships: .}' >"$TMPDIR/many.json"
	on $host failback apply "$TMPDIR/many.json" >/dev/null
done
all_sent()
{
	[ "$(on a failback status --json | jq -s 'map(select(.last_replication_us > 0)) | length')" = 21 ]
}
kill -STOP "${daemon_pid[b]}" # who sends then waits for it
nr_running()
{
	on a failback jobs --json | jq -s 'map(select(.type == 105 and .state < 7)) | length'
}
check "three transfers go at once" wait_for 20 eval '[ "$(nr_running)" = 3 ]'

# what status costs: one call, however many there are, and none of the peer
on a busctl --json=short monitor org.failback1 >"$TMPDIR/calls" 2>"$TMPDIR/monitor" &
monitor=$!
listens()
{
	on a busctl call org.failback1 /org/failback1/service org.freedesktop.DBus.Peer Ping
	grep -q '"member":"Ping"' "$TMPDIR/calls"
}
wait_for 60 listens || bail "no monitor: $(cat "$TMPDIR/monitor")"
for ((i = 0; i < 9; i++)); do
	start=${EPOCHREALTIME/[.,]/}
	on a timeout 60 failback status >"$TMPDIR/status" || break
	echo $((${EPOCHREALTIME/[.,]/} - start))
done >"$TMPDIR/times"
check_equal "status has one line for each, though the peer is silent" "$(grep -c '^vm[0-9]* ' "$TMPDIR/status")" 21
diag "status of 21 relationships with 44 disks: $(sort -n "$TMPDIR/times" | sed -n 5p) us, the median of $(wc -l <"$TMPDIR/times")"
calls_seen()
{
	[ "$(jq -s 'map(select(.type == "method_call" and .member == "GetManagedObjects")) | length' "$TMPDIR/calls")" = 9 ]
}
check "... in one call" wait_for 20 calls_seen
stop_process $monitor
check_equal "... and no other" "$(jq -s 'map(select(.type == "method_call" and .destination == "org.failback1" and
	.member != "Ping" and .member != "GetManagedObjects") | .member) | unique' "$TMPDIR/calls")" "[]"
kill -CONT "${daemon_pid[b]}"

check "21 relationships replicate by themselves" wait_for 60 all_sent
went_twice()
{
	on a failback log --json | jq -s 'map(select(.JobType == 105 and .EndTime > 0)) | group_by(.vm) |
		map(length) | length == 21 and min >= 2' | grep -q true
}
check "... again and again" wait_for 60 went_twice
on a failback log --json >"$TMPDIR/log"
# waits: from the history of who sent, what is wrong with the waits, and the longest one
waits()
{
	python3 - "$TMPDIR/log" <<-'PYTHON'
	import collections, json, sys
	text, at, sent = open(sys.argv[1]).read(), 0, []
	while text[at:].strip():
	    at += len(text[at:]) - len(text[at:].lstrip())
	    job, at = json.JSONDecoder().raw_decode(text, at)
	    if job["JobType"] == 105 and job["EndTime"]:
	        sent.append((job["StartTime"], job["EndTime"], job["vm"]))
	sent.sort()
	INTERVAL, TICK = 30 * 20000, 250000 # of 20 ms, on a machine that has more to do than this
	wrong, longest, last = 0, 0, {}
	at_once = max(sum(s <= start < e for s, e, _ in sent) for start, _, _ in sent)
	for start, end, vm in sent:
	    if vm in last:
	        due = max(last[vm][0] + INTERVAL, last[vm][1])
	        before = [(s, e, v) for s, e, v in sent if s < start and e > due and v != vm]
	        twice = [v for v, n in collections.Counter(v for s, _, v in before if s >= due).items() if n > 1]
	        # a tick passes before a place that is free is taken
	        bound = sum(e - s for s, e, _ in before) + TICK * (len(before) + 1)
	        longest = max(longest, start - due)
	        if twice or start - due > bound + INTERVAL:
	            wrong += 1
	            print("# %s waited %d us, at most %d; before it went twice: %s" % (vm, start - due, bound, twice), file=sys.stderr)
	    last[vm] = (start, end)
	print(wrong, at_once, longest)
	PYTHON
}
read -r wrong at_once longest < <(waits)
diag "the longest wait beyond the interval of 600 ms: $((longest / 1000)) ms"
check_equal "no one waits longer than its interval and the transfers before it" "$wrong" 0
check_equal "never more than three transfers go at once" "$at_once" 3

# --- one VM of 24 disks ---

stop_daemon a
daemon_options=(--second-ms 1000)
up a --send-rate $((2 * MiB))
echo '{"ReplicationInterval": 900}' >"$TMPDIR/interval.json"
check "one of them is to wait longer" wait_for 60 on a failback settings --settings "$TMPDIR/interval.json" vm100
FAKE_KERNEL=$TMPDIR/a.kernel
write_all()
{
	local i

	for ((i = 0; i < 24; i++)); do write_tracked vm100-$i $((i * 3 + $1)) "$2"; done
}
frozen()
{
	[ "$(ls "$FAKE_KERNEL"/vm100-*/frozen 2>/dev/null | wc -l)" = 24 ]
}
one_base()
{
	[ "$(cat "$TMPDIR"/[ab].kernel/vm100-*/base | sort -u | wc -l)" = 1 ]
}
# check_one_instant <command>...: a delta of 6 MiB, of disks that are written to once they are frozen
check_one_instant()
{
	local pid

	write_all 0 64
	rm -rf "$TMPDIR/instant"
	mkdir "$TMPDIR/instant"
	cp --sparse=always "$TMPDIR"/a.disks/100.* "$TMPDIR/instant"
	on a failback resume vm100 >"$TMPDIR/out" 2>&1 &
	pid=$!
	check "24 disks are frozen together" wait_for 20 frozen
	write_all 7 2
	"$@"
	wait $pid
	check_equal "... and go in one delta" $? 0
	check_equal "... with one base" "$(cat "$FAKE_KERNEL"/vm100-*/base | sort -u | wc -l)" 1
	check "... on both hosts" wait_for 60 one_base
	check "what was written since is in none of them" eval 'for ((i = 0; i < 24; i++)); do cmp "$TMPDIR/instant/100.$i" "$TMPDIR/b.disks/100.$i" || exit 1; done'
}
receiver()
{
	pgrep -P "${daemon_pid[b]}" -x failback-receiv
}
kill_receiver()
{
	check "a receiver runs" wait_for 20 receiver
	kill -KILL "$(receiver)"
}
check_one_instant true
check_one_instant kill_receiver

# --- more than 256 VMs ---

stop_daemon a
up a --second-ms 20
# their trackers are not there, which each of them is told when its time comes
jq -n --arg peer "${address[b]}:$port" '{version: 1, relationships: [range(300) | {vm: "00000000-0000-4000-8000-\(1000000000 + .)00",
	name: "many\(.)", peer: $peer, mode: 1, state: 3, settings: {ReplicationInterval: 30},
	disks: [{name: "disk0", size: 4096, tracker: "many\(.)-disk0"}]}]}' >"$TMPDIR/many.json"
check "300 more are applied" on a failback apply "$TMPDIR/many.json"
check "the last one's time comes, too" wait_for 20 grep -q 'VM many299: no delta was started' "$TMPDIR/a.log"
