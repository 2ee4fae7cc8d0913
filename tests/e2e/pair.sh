#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Two hosts get to know each other: nobody is let in before the key was compared, and whatever may be wrong
# has a sentence of its own.
#
# e2e: timeout=120
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"

# shellcheck disable=SC2046
gcc -std=gnu11 -Wall -I"$top/tests" -o "$TMPDIR/make_certificates" "$top/tests/e2e/make_certificates.c" \
	$(pkg-config --cflags --libs gnutls)
mkdir "$TMPDIR/certificates"
"$TMPDIR/make_certificates" "$TMPDIR/certificates"

plain=""
for host in a b; do
	cat >"$TMPDIR/$host.conf" <<-END
	[failbackd]
	listen = ${address[$host]}:$port
	tls-certificate = $TMPDIR/$host.pem
	tls-key = $TMPDIR/$host.key
	tls-peers = $TMPDIR/$host/peers
	call-timeout = 2
	END
done

# pair <host> <peer> [<option>...]
pair()
{
	local host=$1 peer=$2
	shift 2
	failback host pair "$peer" --config "$TMPDIR/$host.conf" "$@" </dev/null
}
# at_terminal <host> <peer> <answer> [<option>...]: the same, with somebody who answers
at_terminal()
{
	python3 - "$3" failback host pair "$2" --config "$TMPDIR/$1.conf" "${@:4}" <<'PYTHON'
import os, pty, select, sys, time
pid, fd = pty.fork()
if not pid:
    os.execvp(sys.argv[2], sys.argv[2:])
said, asked, deadline = b"", False, time.monotonic() + 20
while time.monotonic() < deadline and select.select([fd], [], [], 20)[0]:
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    said += data
    if b"type yes: " in said and not asked:
        asked = True
        os.write(fd, sys.argv[1].encode() + b"\n")
print(said.decode().replace("\r", ""))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PYTHON
}
a_at_b="${address[b]}:$port" b_at_a="${address[a]}:$port"

# --- what has to be there ---

check_fails "a host without a certificate is told how to make one" 21 'failback host init' \
	pair a "$a_at_b" --fingerprint "sha256:$(printf '00%.0s' {1..32})"
a_key=$(failback host init --config "$TMPDIR/a.conf" --json | jq -r .fingerprint)
b_key=$(failback host init --config "$TMPDIR/b.conf" --json | jq -r .fingerprint)
check_equal "host show prints the key" "$(failback host show --config "$TMPDIR/b.conf" --json | jq -r .fingerprint)" "$b_key"
check_fails "host alone is no command" 2 "there is no command 'host'" failback host
check_fails "nor is it with a word that is none" 2 "there is no command 'host pear'" failback host pear

check_fails "nobody listens: where to look is said" 19 'Nobody listens on .*Is failbackd running there' \
	pair a "$a_at_b" --fingerprint "$b_key"

# other <what it does with a connection, in Python>: something else than failbackd at b's address
other()
{
	python3 - "$port" "$1" <<'PYTHON' &
import socket, sys
with socket.create_server(("127.0.0.3", int(sys.argv[1]))) as server:
    end, _ = server.accept()
    end.settimeout(10)
    exec(sys.argv[2])
PYTHON
	cleanup_fn stop_process $!
	listens() { ss -Hltn "src ${address[b]}:$port" | grep -q .; }
	wait_for 60 listens || bail "nobody listens"
}
is_other() { check_fails "$1 is not taken for failbackd" "$2" "What listens on $a_at_b is not failbackd.*$3" pair a "$a_at_b" --fingerprint "$b_key"; }
other 'end.recv(65536); end.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"); end.recv(65536)'
is_other "what answers in another language" 19 'does not speak TLS'
other 'end.recv(65536)'
is_other "what hangs up" 19 'closed the connection'
other 'end.recv(65536); end.recv(1)'
is_other "what says nothing" 19 'does not go on'

# --- the way ---

start_bus a
start_bus b
start_daemon a --tls-peers "$TMPDIR/a/peers"
start_daemon b --tls-peers "$TMPDIR/b/peers"

nobody() { [ ! -e "$TMPDIR/$1/peers" ]; }
check_fails "without a terminal and without --fingerprint nothing is done" 15 'Nobody can be asked' pair a "$a_at_b"
check_fails "what is no fingerprint is refused as that" 15 'not sha256: and 64 hex digits' pair a "$a_at_b" --fingerprint abc
check_fails "a key that is not the one of --fingerprint is refused" 11 "shows the key $b_key, not the one" \
	pair a "$a_at_b" --fingerprint "$a_key"
check_fails "so is one that nobody says yes to" 11 'Nothing was changed' at_terminal a "$a_at_b" y
check_fails "the question shows both keys" 11 "$a_key" at_terminal a "$a_at_b" no
check "until then nobody is let in" nobody a
check_fails "a host is not paired with itself" 15 'shows the key of this host' pair a "$b_at_a" --fingerprint "$a_key"

answer=$(at_terminal a "$a_at_b" yes) || bail "no pair: $answer"
check_equal "after a yes the peer is let in, with one line" "$(cat "$TMPDIR/a/peers")" "127.0.0.3 $b_key"
check "the question showed the key of the peer" grep -qF "$b_key" <<<"$answer"
next=$(sed -n 's/^ *failback host pair \(.*\)/\1/p' <<<"$answer")
check_equal "what is to be run on the other host is said" "$next" "$b_at_a --fingerprint $a_key"

printf '# the other one\n192.0.2.9 name:other.example' >"$TMPDIR/b.before"
mkdir -p "$TMPDIR/b"
cp "$TMPDIR/b.before" "$TMPDIR/b/peers"
# shellcheck disable=SC2086 # three words
answer=$(failback host pair --config "$TMPDIR/b.conf" $next </dev/null)
check "run there, it says that the two are paired" grep -q 'the two are paired' <<<"$answer"
check_equal "comments and other peers stay" "$(cat "$TMPDIR/b/peers")" \
	"$(cat "$TMPDIR/b.before"; echo; echo "127.0.0.2 $a_key")"
before=$(stat -c %i:%Y "$TMPDIR/b/peers")
check_equal "done again, nothing changes" \
	"$(pair b "$b_at_a" --fingerprint "$a_key" --json | jq -c '[.fingerprint, .own_fingerprint, .changed, .paired]')" \
	"[\"$a_key\",\"$b_key\",false,true]"
check_equal "nor is the file written" "$(stat -c %i:%Y "$TMPDIR/b/peers")" "$before"
check_fails "one that is let in is still compared with --fingerprint" 11 'not the one of --fingerprint' \
	pair b "$b_at_a" --fingerprint "$b_key"

# --- a key that changed ---

rm "$TMPDIR/b.pem" "$TMPDIR/b.key"
new_key=$(failback host init --config "$TMPDIR/b.conf" --json | jq -r .fingerprint)
before=$(cat "$TMPDIR/a/peers")
check_fails "a peer that is known by another key is refused, and what to do is said" 11 \
	'127.0.0.3 is known by another key .*Was it installed anew.*--replace' pair a "$a_at_b" --fingerprint "$new_key"
check_fails "--replace alone lets nobody in" 15 'Nobody can be asked' pair a "$a_at_b" --replace
check_equal "the old key stays" "$(cat "$TMPDIR/a/peers")" "$before"
check "with --replace it is let in" pair a "$a_at_b" --replace --fingerprint "$new_key"
check_equal "and the old key is not any more" "$(cat "$TMPDIR/a/peers")" "127.0.0.3 $new_key"

# --- certificates that end ---

# b_shows <certificate>
b_shows()
{
	cp "$TMPDIR/certificates/$1.key" "$TMPDIR/b.key"
	cp "$TMPDIR/certificates/$1.pem" "$TMPDIR/b.pem"
	b_key=$(failback host show --config "$TMPDIR/b.conf" --json 2>/dev/null | jq -r .fingerprint)
}
b_shows ending
pair a "$a_at_b" --replace --fingerprint "$b_key" >"$TMPDIR/out" 2>&1
check "a peer whose certificate ends soon is paired with, with a warning" \
	grep -q 'warning: The certificate of peer 127.0.0.3 expires at .*renew it there' "$TMPDIR/out"
failback host show --config "$TMPDIR/b.conf" >"$TMPDIR/out" 2>&1
check "its own host shows the warning too" grep -q "warning: This host's certificate expires at .*renew it here" "$TMPDIR/out"
stop_daemon b
start_daemon b --tls-peers "$TMPDIR/b/peers"
check "and logs it when failbackd starts" grep -q "This host's certificate expires at" "$TMPDIR/b.log"
b_shows expired
check_fails "a peer whose certificate has ended is not paired with" 11 \
	'The certificate of peer 127.0.0.3 expired at .*renew it there' pair a "$a_at_b" --replace --fingerprint "$b_key"
check_fails "nor does a host whose own has ended go on" 11 "This host's certificate expired at .*renew it here" \
	pair b "$b_at_a" --fingerprint "$a_key"

# --- without TLS ---

echo "plain = 127.0.0.3" >>"$TMPDIR/a.conf"
check_fails "a peer of the setting plain has no key that counts" 17 'The setting plain names 127.0.0.3' \
	pair a "$a_at_b" --fingerprint "$b_key"
