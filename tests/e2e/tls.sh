#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# TLS between two hosts: the whole way over it, and who is refused, on both sides with a sentence, once
# in the log, and without any change. Disks and trackers are those of controller_fake.bash.
#
# e2e: timeout=240
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"

build
export FAKE_KERNEL=$TMPDIR/kernel
mkdir "$FAKE_KERNEL"
# shellcheck disable=SC2046
gcc -std=gnu11 -Wall -I"$top/tests" -o "$TMPDIR/make_certificates" "$top/tests/e2e/make_certificates.c" \
	$(pkg-config --cflags --libs gnutls)
mkdir "$TMPDIR/certificates"
"$TMPDIR/make_certificates" "$TMPDIR/certificates"

plain=""
make_disk a 0; a0=$loop
make_disk b 0; b0=$loop
make_tracker vm1-disk0 "$b0"
relationship 1 4 b "$(disk disk0 $size "$a0" "")" >"$TMPDIR/a.json"
relationship 2 5 a "$(disk disk0 $size "$b0" vm1-disk0)" >"$TMPDIR/b.json"
start_bus a
start_bus b

# --- identities ---

# host_init <host> [<option>...]: as JSON
host_init()
{
	local host=$1
	shift
	printf '[failbackd]\ntls-certificate = %s.pem\ntls-key = %s.key\n' "$TMPDIR/$host" "$TMPDIR/$host" \
		>"$TMPDIR/$host.conf"
	failback host init --config "$TMPDIR/$host.conf" --json "$@"
}
start_daemon a
on a failback apply "$TMPDIR/a.json" >/dev/null
check_fails "without a certificate nothing is sent, and how to make one is said" 21 'failback host init' \
	on a failback test-connection vm1
check "and so does the log when failbackd starts" grep -q 'only peers in the setting plain' "$TMPDIR/a.log"
a_key=$(host_init a | jq -r .fingerprint)
b_key=$(host_init b | jq -r .fingerprint)
check_equal "host init makes an identity" "$(host_init a | jq -c '[.fingerprint, .changed]')" "[\"$a_key\",false]"
check_equal "whose key is for its owner alone" "$(stat -c %a "$TMPDIR/a.key")" 600
before=$(sha256sum <"$TMPDIR/a.pem")
cp "$TMPDIR/a.key" "$TMPDIR/a.key.away" && cp "$TMPDIR/a.pem" "$TMPDIR/a.pem.away" && rm "$TMPDIR/a.key"
check_equal "host init makes another key where that is gone" "$(host_init a | jq -c '[.fingerprint != "'"$a_key"'", .changed]')" '[true,true]'
mv "$TMPDIR/a.key.away" "$TMPDIR/a.key" && mv "$TMPDIR/a.pem.away" "$TMPDIR/a.pem"
check_equal "host init --force renews it, and the key stays" \
	"$(host_init a --force | jq -c '[.fingerprint, .changed]')" "[\"$a_key\",true]"
check "with another certificate" [ "$(sha256sum <"$TMPDIR/a.pem")" != "$before" ]

# --- the way ---

pins()
{
	echo "127.0.0.2 $a_key" >"$TMPDIR/b.peers"
	printf '%s\n' "127.0.0.3 $b_key" "127.0.0.9 $b_key" >"$TMPDIR/a.peers"
}
pins
start_daemon b --tls-kernel 0
on b failback apply "$TMPDIR/b.json" >/dev/null
check "both sides know each other by their keys, without starting anew" on a failback test-connection vm1
on b failback test-connection vm1 --json >"$TMPDIR/test"
check_equal "test-connection shows what protects the connection, and the peer's key" \
	"$(jq -r '.protection + " " + .fingerprint' "$TMPDIR/test")" "tls: user $a_key"
check "and so does the log" grep -q 'made with tls: user' "$TMPDIR/b.log"

write_tracked vm1-disk0 10 300
write_tracked vm1-disk0 4000 1
check "a reverse goes over TLS" on b failback reverse vm1
check_equal "the roles are swapped" "$(role a), $(role b)" "2 3, 1 3"
check "the disks are identical" cmp "$a0" "$b0"

# a sender that never ends, to be looked at
mv "$TMPDIR/bin/failback-send" "$TMPDIR/send"
printf '#!/bin/sh\nexec sleep 60\n' >"$TMPDIR/bin/failback-send"
chmod +x "$TMPDIR/bin/failback-send"
write_tracked vm1-disk0 500 5
start_job b RequestReplicationStateChange oq $vm_path 3
sends() { [ "$(job_property b "$job" JobStatus)" = '"sending (tls: user)"' ]; }
check "the job says how the delta is sent" wait_for 60 sends
on b failback terminate vm1
mv "$TMPDIR/send" "$TMPDIR/bin/failback-send"

# --- who is refused ---

# refused <claim> <exit status> <regex that a says> <regex in b's log>: b refuses a, twice, and says so once
refused()
{
	local claim=$1 status=$2 said=$3 logged=$4 from before

	from=$(wc -l <"$TMPDIR/b.log")
	before="$(role b) $(on b failback export | sha256sum)"
	check_fails "$claim: the caller is told" "$status" "$said" on a failback test-connection vm1
	on a failback test-connection vm1 >/dev/null 2>&1 || true
	check_equal "$claim: logged once" "$(tail -n +$((from + 1)) "$TMPDIR/b.log" | grep -cE -- "$logged")" 1
	check_equal "$claim: nothing changed" "$(role b) $(on b failback export | sha256sum)" "$before"
}

echo "# nobody" >"$TMPDIR/b.peers"
refused "an unknown peer" 11 "refuses this host's certificate \\($a_key" \
	"allow it with the line \"127.0.0.2 $a_key\" in $TMPDIR/b.peers"
pins
check "with that line it is allowed" on a failback test-connection vm1

# a_shows <certificate>: instead of its own, pinned at b
a_shows()
{
	cp "$TMPDIR/certificates/$1.key" "$TMPDIR/a.key"
	cp "$TMPDIR/certificates/$1.pem" "$TMPDIR/a.pem"
	echo "127.0.0.2 $(host_init a | jq -r .fingerprint)" >"$TMPDIR/b.peers"
}
mkdir "$TMPDIR/own"
cp "$TMPDIR"/a.{key,pem} "$TMPDIR/own"
a_shows expired
refused "an expired certificate" 11 "because of its times" "expired at .* host init --force"
a_shows tomorrow
refused "a certificate of tomorrow" 11 "because of its times" "not valid before"

a_shows named
refused_name() { printf '127.0.0.2 name:%s\n' "$1" >"$TMPDIR/b.peers"; }
refused_name other.example
stop_daemon b
start_daemon b --tls-ca "$TMPDIR/certificates/ca.pem"
refused "a wrong name" 11 "refuses this host" "has a certificate for a.example, not for other.example"
refused_name a.example
check "the right name of a CA is taken" on a failback test-connection vm1
cp "$TMPDIR"/own/* "$TMPDIR/"
pins
refused_name a.example
refused "a right name that no CA vouches for" 11 "refuses this host" "certificate for CN=.*, not for a.example"
pins

# --- one side without TLS ---

stop_daemon a
plain=127.0.0.3 start_daemon a
refused "a plain caller" 11 'it speaks TLS: .* setting plain' 'Peer 127.0.0.2:[0-9]* does not speak TLS'
stop_daemon a
stop_daemon b
start_daemon a
plain=127.0.0.2 start_daemon b
refused "a caller with TLS where none is wanted" 19 'closed the connection instead of a TLS handshake' \
	'Peer 127.0.0.2:[0-9]*: it speaks TLS'
stop_daemon b
start_daemon b

# --- a session that is heard, and said again ---

cat >"$TMPDIR/wire.py" <<'PYTHON'
"""record FILE: one conversation of a's with b through 127.0.0.9; replay FILE: a's half of it, to b."""
import select, socket, sys
what, path, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
b = lambda: socket.create_connection(("127.0.0.3", port), timeout=10, source_address=("127.0.0.2", 0))
if what == "record":
    with socket.create_server(("127.0.0.9", port)) as server:
        a, _ = server.accept()
    ends, said = {a: b()}, {}
    ends[ends[a]] = a
    open_ends = set(ends)
    while open_ends:
        for end in select.select(open_ends, [], [], 20)[0]:
            data = end.recv(65536)
            said[end] = said.get(end, b"") + data
            if data:
                ends[end].sendall(data)
            else:
                open_ends.remove(end)
                ends[end].shutdown(socket.SHUT_WR)
    with open(path, "wb") as file:
        file.write(said[a])
    with open(path + ".answer", "wb") as file:
        file.write(said[ends[a]])
else:
    end = b()
    with open(path, "rb") as file:
        end.sendall(file.read())
    try:
        while end.recv(65536):
            pass
    except ConnectionResetError:
        pass
PYTHON
python3 "$TMPDIR/wire.py" record "$TMPDIR/session" $port &
recorder=$!
cleanup_fn stop_process $recorder
listens() { ss -Hltn "src 127.0.0.9:$port" | grep -q .; }
wait_for 60 listens || bail "nobody listens"
start_job a TestReplicationConnection osq $vm_path 127.0.0.9 0
wait_for 20 job_ends a "$job" || bail "the test does not end"
check_equal "a conversation can be passed on" "$(job_property a "$job" ErrorCode)" 0
wait "$recorder" || bail "it does not end on both sides"
check "nothing of it can be read on the way" eval \
	"[ -s '$TMPDIR/session' ] && ! grep -qaE 'cbt1|call|vm1|$vm' '$TMPDIR/session' '$TMPDIR/session.answer'"
from=$(wc -l <"$TMPDIR/b.log")
before=$(on b failback export | sha256sum)
python3 "$TMPDIR/wire.py" replay "$TMPDIR/session" $port
python3 "$TMPDIR/wire.py" replay "$TMPDIR/session" $port
check_equal "a session that is said again is refused, and logged once" \
	"$(tail -n +$((from + 1)) "$TMPDIR/b.log" | grep -c 'the TLS handshake failed')" 1
check_equal "and changes nothing" "$(on b failback export | sha256sum)" "$before"
check "the peer itself is let in as before" on a failback test-connection vm1
check "and a delta still goes over TLS" on b failback resume vm1
