#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `failback ready`: whatever would keep a VM from failing over, or from coming home, is found before that
# is needed, on both hosts and from both, by hand and by itself.
#
# e2e: timeout=300
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"

size=$MiB
plain=""
daemon_options=(--call-timeout 5 --second-ms 1000 --ready-interval 0) # nothing goes by itself
# shellcheck disable=SC2046
gcc -std=gnu11 -Wall -I"$top/tests" -o "$TMPDIR/make_certificates" "$top/tests/e2e/make_certificates.c" \
	$(pkg-config --cflags --libs gnutls)
mkdir "$TMPDIR/certificates"
"$TMPDIR/make_certificates" "$TMPDIR/certificates"
for host in a b; do
	printf '[failbackd]\ntls-certificate = %s.pem\ntls-key = %s.key\n' "$TMPDIR/$host" "$TMPDIR/$host" >"$TMPDIR/$host.conf"
	failback host init --config "$TMPDIR/$host.conf" >/dev/null
done
# pin <host> <address of it> <host that lets it in>
pin() { echo "$2 $(failback host show --config "$TMPDIR/$1.conf" --json 2>/dev/null | jq -r .fingerprint)" >"$TMPDIR/$3.peers"; }
pins() { pin a 127.0.0.2 b; pin b 127.0.0.3 a; }
pins
two_hosts
up a
up b
relate

# finds <claim> <host that is asked> <here|peer> <point> <regex>: that point, and no other, does not hold
finds()
{
	local rc=0 wrong

	on "$2" failback ready vm1 --json >"$TMPDIR/ready" 2>&1 || rc=$?
	wrong=$(jq -r '.points[] | select(.ok | not) | "\(.where) \(.name): \(.text)"' "$TMPDIR/ready" || true)
	if [ "$rc" = 1 ] && [ "$(jq .ready "$TMPDIR/ready")" = false ] && [ "$(wc -l <<<"$wrong")" = 1 ] &&
		grep -qE -- "^$3 $4: .*$5" <<<"$wrong"; then
		ok "$1"
	else
		not_ok "$1"
		diag "exit status $rc: $wrong"
		diag "$(cat "$TMPDIR/ready")"
	fi
}
is_ready() { on "$1" failback ready vm1; }

# --- a sound one ---

# both_find <claim> <here: that host> <point> <regex>: asked there it is here, asked on the other it is the peer's
both_find()
{
	local other=b

	[ "$2" = a ] || other=a
	finds "$1" "$2" here "$3" "$4"
	finds "$1: and its peer is told so" "$other" peer "$3" "$4"
}

on a failback ready vm1 --json >"$TMPDIR/ready" || true
check_equal "a VM of which nothing was replicated yet is not ready, on both hosts" \
	"$(jq -c '[.points[] | select(.ok | not) | .where + " " + .name]' "$TMPDIR/ready")" '["here base","peer base"]'
on a failback resume vm1 >/dev/null
check "a VM that replicates is ready, says its primary" is_ready a
check "and says its replica" is_ready b
on a failback ready vm1 --json >"$TMPDIR/ready"
own='"state","health","base","disks","trackers","sizes","stores","maps","certificate","journal"'
check_equal "all that was looked at is said" "$(jq -c '[.points[] | select(.ok) | select(.where == "here") | .name]' "$TMPDIR/ready")" \
	"[$own,\"connection\",\"roles\",\"equal disks\",\"common base\"]"
check_equal "of the peer too, and that it reaches this host" \
	"$(jq -c '[.points[] | select(.ok) | select(.where == "peer") | .name]' "$TMPDIR/ready")" "[$own,\"way back\"]"
check "people read it as lines" eval "on a failback ready vm1 | grep -q '^  peer  way back     ok\$'"

# --- the module, trackers, disks ---

for host in a b; do
	mv "$TMPDIR/$host.kernel" "$TMPDIR/away"
	both_find "the module is not loaded on $host" $host trackers 'modprobe dm-cbt'
	mv "$TMPDIR/away" "$TMPDIR/$host.kernel"
done
mv "$TMPDIR/b.kernel/vm1-disk0.replica" "$TMPDIR/away"
both_find "the replica's tracker is not there" b trackers 'has no tracker vm1-disk0'
mv "$TMPDIR/away" "$TMPDIR/b.kernel/vm1-disk0.replica"
rm "$TMPDIR/b.kernel/vm1-disk0.replica/store"
both_find "the replica's tracker has no store" b stores 'has no store'
: >"$TMPDIR/b.kernel/vm1-disk0.replica/store"
cp "$TMPDIR/a.kernel/vm1-disk0/uuid" "$TMPDIR/own-uuid"
cat /proc/sys/kernel/random/uuid >"$TMPDIR/a.kernel/vm1-disk0/uuid"
both_find "the primary's tracker is another one than that of the base" a maps 'does not reach back'
cp "$TMPDIR/own-uuid" "$TMPDIR/a.kernel/vm1-disk0/uuid"
exec 3<>"$a0"
both_find "the primary's disk is written below its tracker" a disks 'written below its tracker'
exec 3>&-
mv "$a0" "$a0.away"
on b failback ready vm1 --json >"$TMPDIR/ready" || true
mv "$a0.away" "$a0"
check "a disk that is not there is found" \
	jq -e '.points[] | select(.where == "peer" and .name == "disks" and (.ok | not))' "$TMPDIR/ready"

# --- the relationship ---

on b failback suspend vm1 >/dev/null
on a failback ready vm1 --json >"$TMPDIR/ready" || true
check "a replica that is suspended is found, with its state" eval "jq -r '.points[] | select(.where == \"peer\" and .name == \"state\").text' \
	'$TMPDIR/ready' | grep -q 'Replica in state 7 (Suspended)'"
on b failback resume vm1 >/dev/null
check "when it goes on, all is well" is_ready a

# --- the hosts ---

echo "# nobody" >"$TMPDIR/b.peers"
finds "a peer that does not let this host in is found" a here connection "refuses this host's certificate"
pins
cp "$TMPDIR/a.pem" "$TMPDIR/a.key" "$TMPDIR/certificates"
cp "$TMPDIR/certificates/ending.pem" "$TMPDIR/a.pem"
cp "$TMPDIR/certificates/ending.key" "$TMPDIR/a.key"
pins
both_find "a certificate that ends soon is found" a certificate 'certificate expires at .* renew it on that host before'
cp "$TMPDIR/certificates"/a.{pem,key} "$TMPDIR"
pins
stop_daemon b
up b --journal-dir "$TMPDIR/none"
both_find "no room for a journal is found" b journal 'would be received in place, .*none: No such file'
stop_daemon b
up b --vm-running '/bin/ls /none'
both_find "a command that cannot tell whether the VM runs is found" b hypervisor '"/bin/ls /none" ended with status 2'
stop_daemon b
up b --vm-running /bin/false
check "one that says that it does not is well" is_ready a
stop_daemon b
up b --vm-running /bin/true
check "so is one that says that it does" is_ready b
stop_daemon b
finds "a peer that is down is found" a here connection 'cannot connect'
up b

# answers_nobody <port>: what takes connections there, and says nothing
answers_nobody()
{
	python3 -c 'import socket, sys, time
server = socket.create_server(("127.0.0.2", int(sys.argv[1])))
time.sleep(60)' "$1" &
	cleanup_fn stop_process $!
	listens() { ss -Hltn "src 127.0.0.2:$1" | grep -q .; }
	wait_for 60 listens "$1" || bail "nobody listens"
}
# b_knows_a_at <port>
b_knows_a_at()
{
	on b failback export | jq --arg peer "127.0.0.2:$1" '.relationships[0].peer = $peer' >"$TMPDIR/moved.json"
	on b failback apply "$TMPDIR/moved.json" >/dev/null
}
b_knows_a_at $((port + 1))
finds "a peer that cannot reach this host, where it thinks that it is, is found" a peer 'way back' "127.0.0.2:$((port + 1)): cannot connect"
b_knows_a_at "$port"
check "and is well when it knows the address" is_ready a

python3 - "$failbackd" "$TMPDIR/bin/old" <<'PYTHON'
import os, sys
data = open(sys.argv[1], "rb").read()
for before in b"\0", b"-libvirt ": # the linker has one word be the end of the other
    data = data.replace(before + b"ready\0", before + b"reads\0")
open(sys.argv[2], "wb").write(data)
os.chmod(sys.argv[2], 0o755)
PYTHON
stop_daemon b
failbackd=$TMPDIR/bin/old up b
finds "a peer of an older version is told as that" a here connection 'another version of Failback'
check "which replicates all the same" on a failback resume vm1
stop_daemon b
up b

# --- by itself ---

stop_daemon a
up a --ready-interval 10
health_is() { [ "$(vm_property a ReplicationHealth)" = "$1" ] && vm_property a LastError | grep -qE -- "$2"; }
check_equal "the replication is well" "$(vm_property a ReplicationHealth)" 1
kill -STOP "${daemon_pid[b]}"
asks_by_itself() { ss -Htn state established "src 127.0.0.2 and dst ${address[b]}:$port" | grep -q .; }
check "it is asked by itself" wait_for 20 asks_by_itself
check "what an operator wants meanwhile does not wait for that" on a failback suspend vm1
kill -CONT "${daemon_pid[b]}"
check "nor is it a job" eval "! on a failback jobs --json | jq -r .name | grep -q readiness"
on a failback resume vm1 >/dev/null
check "the replication goes on" wait_for 20 health_is 1 '^""$'
: >"$TMPDIR/b.kernel/vm1-disk0.replica/lost"
check "what is wrong is found by itself, and is a Warning with its sentence" \
	wait_for 20 health_is 2 'failback ready vm1.: On the peer: The store of tracker'
check "which the log has, too" grep -q 'VM vm1: .failback ready vm1.: On the peer' "$TMPDIR/a.log"
check "a delta that goes well does not end it" on a failback resume vm1
check "it stays" health_is 2 'On the peer: The store of tracker'
stop_daemon b
on a failback resume vm1 >/dev/null 2>&1 || true
check "what is worse is not hidden by it" eval "! vm_property a LastError | grep -q 'failback ready'"
up b
rm "$TMPDIR/b.kernel/vm1-disk0.replica/lost"
goes_on() { on a failback resume vm1 >/dev/null 2>&1; }
wait_for 20 goes_on || bail "no delta goes"
check "when it is mended, the next time ends the Warning" wait_for 20 health_is 1 '^""$'

# --- a relationship that goes meanwhile ---

stop_daemon a
up a
answers_nobody $((port + 1))
b_knows_a_at $((port + 1))
on a failback ready vm1 --json >"$TMPDIR/ready" 2>&1 &
asking=$!
asked() { ss -Htn "src 127.0.0.3 and dst 127.0.0.2:$((port + 1))" | grep -q .; }
wait_for 60 asked || bail "b does not call back"
on b failback remove vm1 >/dev/null
wait $asking || true
check_equal "a relationship that is removed while it is asked about ends the question" \
	"$(jq -r '.points[] | select(.name == "way back").text' "$TMPDIR/ready")" "The relationship was removed."
check "and failbackd goes on" on b failback status
