#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Deltas between two failbackds over several connections, plain and with TLS: they arrive as over one, one that breaks
# breaks the delta, which goes on; who is not awaited does not join; an old peer gets one.
#
# e2e: timeout=300
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"
requires ss

daemon_options=(--call-timeout 3 --second-ms 50)
two_hosts cuts

# workers say with how many connections they are started
for name in send receive; do
	mv "$TMPDIR/bin/failback-$name" "$TMPDIR/bin/failback-$name.good"
	cat >"$TMPDIR/bin/failback-$name" <<-SH
	#!/bin/bash
	printf '%s\n' "\$@" | grep -c connection >"$TMPDIR/$name.connections"
	exec -a failback-$name "$TMPDIR/bin/failback-$name.good" "\$@"
	SH
	chmod +x "$TMPDIR/bin/failback-$name"
done

# check_delta <claim> <connections>
check_delta()
{
	: >"$TMPDIR/send.connections"
	write_on a vm1-disk0 $((RANDOM % 1000)) 2500
	check "$1: a delta is sent" on a failback resume vm1
	check "$1: and arrives" wait_for 60 cmp -s "$a0" "$b0"
	check_equal "$1: over as many connections as are set" \
		"$(cat "$TMPDIR/send.connections" "$TMPDIR/receive.connections" | paste -sd" ")" "$2 $2"
}

jobs_of() { on "$1" failback jobs --json; }
idle() { [ -z "$(jobs_of "$1" | jq 'select(.state == 4) | .id')" ]; }
last_error() { on "$1" failback status --json | jq -r '.last_error'; }
last_job() { jobs_of "$1" | jq -s "map(select(.type == $2)) | max_by(.start_us) | .$3"; }

up a
up b
relate
echo '{"ReplicationInterval": 900}' >"$TMPDIR/interval.json"
on a failback settings --settings "$TMPDIR/interval.json" vm1 >/dev/null
check "a delta gives both a base" on a failback resume vm1
check_delta "by default" 1
for nr in 2 4 8; do
	stop_daemon a
	up a --connections $nr
	check_delta "plain, $nr" $nr
done
check_fails "more are refused, and the setting is named" any 'connections' \
	"$failbackd" --connections 9 --state-dir "$TMPDIR/none"

# --- an old peer ---

# peer_of_a <address>
peer_of_a()
{
	relationship 1 3 b "$(disk disk0 $size "$a0" vm1-disk0)" | jq --arg peer "$1" '.relationships[0].peer = $peer' >"$TMPDIR/peer.json"
	on a failback apply "$TMPDIR/peer.json" >/dev/null
}
: >"$TMPDIR/old"
"$top/tests/e2e/join.py" old "127.0.0.9:$port" "${address[b]}:$port" "${address[a]}" >"$TMPDIR/old" 2>&1 &
old_pid=$!
cleanup_fn stop_process $old_pid
wait_for 60 grep -q ready "$TMPDIR/old"
peer_of_a "127.0.0.9:$port"
check_delta "a peer of an earlier version" 1
check_equal "it is asked once for more" "$(grep -c refused "$TMPDIR/old")" 1
peer_of_a "${address[b]}:$port"
stop_process $old_pid

# --- who joins ---

# join <trial>...: as a, with another delta than it has
join()
{
	local before
	before=$(sha256sum <"$b0")

	"$top/tests/e2e/join.py" peer "${address[b]}:$port" "${address[a]}" $vm disk0 $size "$@" >"$TMPDIR/join" 2>&1 || diag <"$TMPDIR/join"
	wait_for 20 idle b || bail "b does not end"
	check_equal "the replica is as it was" "$(sha256sum <"$b0")" "$before"
}

# said <claim> <regex on a line of join.py>
said()
{
	check "$1" grep -qE "^$2" "$TMPDIR/join" || diag <"$TMPDIR/join"
}

join wrong none zero three garbage other mute two
said "a replica takes as many connections as it was asked for" 'offer: 4096 3'
said "another token is refused" 'wrong: 32769 No delta waits for a further connection with this token'
said "so is none" 'none: 327(73|76) '
said "a number that is the first connection's" 'zero: 32773 Connection 0 cannot join 3'
said "a number that there is not" 'three: 32773 Connection 3 cannot join 3'
said "what is no call" 'garbage: closed'
said "another host that knows the token" 'other: 32769 This host has no relationship'
said "one that says nothing is closed after call-timeout" 'mute: closed'
said "and the others are not waited for any longer" 'two: 32769 No delta waits'
check_equal "which the job says" "$(last_job b 106 text)" \
	'"Of the 3 connections that the delta was to come over, 1 came within 3 s; see max-connections and call-timeout in failbackd.conf."'
stop_daemon b
daemon_options=(--call-timeout 20 --second-ms 50) # from here on nobody is to be late, however slow the machine
up b
join wrong two two one one
said "after wrong ones a right one joins" 'two: 4096'
said "but not twice" 'two: 32774 Connection 2 of the delta is there already'
said "and when all are there, the token is void" 'one: 32769 No delta waits'
check_equal "it opened one connection" "$(grep -c '^one: 4096' "$TMPDIR/join")" 1
join one leave
job_failed() { [ "$(last_job b 106 state)" = 10 ]; }
check "a peer that leaves before all are there ends the job" wait_for 60 job_failed

# --- TLS: another key that is known at the same address ---

# new_key <name>: in the settings of $TMPDIR/<name>.conf
new_key()
{
	printf '[failbackd]\ntls-certificate = %s.pem\ntls-key = %s.key\n' "$TMPDIR/$1" "$TMPDIR/$1" >"$TMPDIR/$1.conf"
	failback host init --config "$TMPDIR/$1.conf" --json | jq -r .fingerprint
}
stop_daemon a
stop_daemon b
a_key=$(new_key a)
b_key=$(new_key b)
c_key=$(new_key c)
printf '%s\n' "${address[a]} $a_key" "${address[a]} $c_key" >"$TMPDIR/b.peers"
printf '%s\n' "${address[b]} $b_key" "127.0.0.9 $b_key" "127.0.0.9 $c_key" >"$TMPDIR/a.peers"
plain=""
daemon_options+=(--tls-kernel 0)
up b
up a --connections 4
check_delta "TLS, 4" 4

IDENTITY=$TMPDIR/a OTHER=$TMPDIR/c join key two one
said "another key does not join, even with the token" 'key: 32769 A further connection of a delta has to come from the peer that sends it'
said "whose place is left to the right one" 'one: 4096'
IDENTITY=$TMPDIR/a "$top/tests/e2e/join.py" faces "127.0.0.9:$port" "${address[b]}:$port" "$TMPDIR/b" "$TMPDIR/c" "${address[a]}" >"$TMPDIR/faces" 2>&1 &
faces_pid=$!
cleanup_fn stop_process $faces_pid
wait_for 60 grep -q ready "$TMPDIR/faces"
peer_of_a "127.0.0.9:$port"
write_on a vm1-disk0 0 1
check_fails "a peer with another key on a further connection is sent nothing" 11 'showed another key on connection 1 of the delta' \
	on a timeout 60 failback resume vm1
wait $faces_pid || diag <"$TMPDIR/faces"
check "nor is it told the token" grep -q silent "$TMPDIR/faces"
wait_for 20 idle b || bail "b does not end"
peer_of_a "${address[b]}:$port"
check_delta "the right one" 4

# --- strangers who connect and say nothing ---

mkfifo "$TMPDIR/hold"
python3 - "${address[b]}" "$port" "$TMPDIR/hold" >"$TMPDIR/strangers" <<-'PYTHON' &
	import socket, sys
	crowd = [socket.create_connection((sys.argv[1], int(sys.argv[2])), source_address=("127.0.0.77", 0)) for _ in range(40)]
	print("ready", flush=True)
	open(sys.argv[3]).read()
PYTHON
strangers=$!
exec 8>"$TMPDIR/hold"
wait_for 20 grep -q ready "$TMPDIR/strangers" || bail "nobody connects"
check_delta "while strangers hold more than all connections, a peer" 4
check "... which the log says" grep -q 'More connect than prove who they are' "$TMPDIR/b.log"
exec 8>&-
wait $strangers || true

# --- one breaks ---

# relays: the processes that make the records of a's connections to b
relays()
{
	ss -Htnp "dst ${address[b]} and dport = :$port and src ${address[a]}" | grep -o '"failback-tls",pid=[0-9]*' | grep -o '[0-9]*$'
}
stop_daemon a
up a --connections 4 --send-rate $((2 * MiB))
has_four() { [ "$(relays | wc -l)" = 4 ]; }
sends() { [ "$(jobs_of a | jq -r 'select(.state == 4) | .status')" = "sending (tls: user, 4 connections)" ]; }
half() { [ "$(jobs_of a | jq -s 'map(select(.state == 4)) | .[0].bytes_done // 0')" -gt $((3 * MiB)) ]; }
write_on a vm1-disk0 0 3072
cp "$TMPDIR/a.disk0" "$TMPDIR/frozen.expected"
cp "$TMPDIR/b.disk0" "$TMPDIR/b.before"
on a timeout 60 failback resume vm1 >"$TMPDIR/out" 2>&1 &
pid=$!
check "four connections carry a delta" wait_for 20 has_four
check "the job says so" wait_for 20 sends
third=$(relays | sed -n 3p)
wait_for 20 half || bail "it does not go on"
kill -KILL "$third"
check "one of them ends: the replica is what it was" cmp "$TMPDIR/b.disk0" "$TMPDIR/b.before"
write_on a vm1-disk0 7 1 # it is not in the image any more
rc=0
wait $pid || rc=$?
check_equal "one of them ends: the delta goes on, and ends well" $rc 0
[ $rc = 0 ] || diag <"$TMPDIR/out"
check "and arrives as it was frozen" wait_for 60 cmp -s "$b0" "$TMPDIR/frozen.expected"
check_equal "gone on with where the journal had it" "$(last_job b 106 'result | fromjson.resumed')" true
check_delta "the next one" 4
