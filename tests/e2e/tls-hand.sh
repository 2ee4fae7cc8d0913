#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A transfer by hand over TLS, with the identities and peers of two hosts; and who is refused.
#
# e2e: timeout=240
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/e2e/hand.bash
. "$(dirname "$0")/hand.bash"
requires jq cmp setpriv

MiB=$((1 << 20))
size=$((4 * MiB))
source=$TMPDIR/source target=$TMPDIR/target before=$TMPDIR/before
yes 'what nobody else may read' | head -c $size >"$source" || true
head -c $size /dev/urandom >"$before"

for host in a b c; do
	printf '[failbackd]\ntls-kernel = 0\ntls-certificate = %s\ntls-key = %s\ntls-peers = %s\n' \
		"$TMPDIR/$host.pem" "$TMPDIR/$host.key" "$TMPDIR/$host.peers" >"$TMPDIR/$host.conf"
done
check_fails "without a certificate a network is not sent to, and how to make one is said" 21 'failback host init' \
	failback send "$source" --all --to 192.0.2.1 --config "$TMPDIR/a.conf"
check_fails "nor received from" 21 'failback host init' failback receive "$target" --listen 0.0.0.0 --config "$TMPDIR/b.conf"
a_key=$(failback host init --config "$TMPDIR/a.conf" --json | jq -r .fingerprint)
b_key=$(failback host init --config "$TMPDIR/b.conf" --json | jq -r .fingerprint)
pins()
{
	echo "127.0.0.1 $b_key" >"$TMPDIR/a.peers"
	echo "127.0.0.1 $a_key" >"$TMPDIR/b.peers"
}
pins
tls_a=(--tls --config "$TMPDIR/a.conf")
tls_b="--tls --config $TMPDIR/b.conf"

# --- the way ---

cp "$before" "$target"
transfer_by_hand "$tls_b --json" "$source" --all --json "${tls_a[@]}"
check_both "a disk goes over TLS" "0 0"
check "and arrives" cmp "$source" "$target"
check_equal "both say what protected it" \
	"$(jq -r 'select(.event == "done").protection' "$TMPDIR/send" "$TMPDIR/receive" | paste -sd' ')" "tls: user tls: user"
cp "$before" "$target"
transfer_by_hand "$tls_b --journal $TMPDIR/journal" "$source" --all --compare "${tls_a[@]}"
check_both "so does what differs, through a journal" "0 0"
check "and the disks are equal" cmp "$source" "$target"
check "people are told too" grep -q 'tls: user)' "$TMPDIR/send" "$TMPDIR/receive"
FAILBACK_NO_IO_URING=1 transfer_by_hand "$tls_b" "$source" --all "${tls_a[@]}"
check_both "so do threads" "0 0"
for nr in 2 4 8; do
	cp "$before" "$target"
	transfer_by_hand "$tls_b --json" "$source" --all --json --connections $nr "${tls_a[@]}"
	check_both "so does a disk over $nr connections" "0 0"
	check "over $nr it arrives as it is" cmp "$source" "$target"
	check_equal "each with TLS of its own" \
		"$(jq -r 'select(.event == "done") | "\(.protection) \(.connections)"' "$TMPDIR/send" "$TMPDIR/receive" | uniq)" "tls: user $nr"
done
transfer_by_hand "" "$source" --all --json
check_equal "loopback does without, unasked" "$(jq -r 'select(.event == "done").protection' "$TMPDIR/send")" plain

cat >"$TMPDIR/tap.py" <<'PYTHON'
import select, socket, sys
listen, to = [(host, int(port)) for host, port in (at.split(":") for at in sys.argv[1:3])]
with socket.create_server(listen) as listener, open(sys.argv[3], "wb") as out:
    print("ready", flush=True)
    near, _ = listener.accept()
    far = socket.create_connection(to)
    peers = {near: far, far: near}
    while peers:
        for source in select.select(list(peers), [], [])[0]:
            data = source.recv(65536)
            out.write(data)
            if data:
                peers[source].sendall(data)
                continue
            try:
                peers[source].shutdown(socket.SHUT_WR)
            except OSError:
                pass
            del peers[source]
PYTHON

if [ "$(id -u)" = 0 ]; then
	hand_receiver=(setpriv --bounding-set "$(unit_capabilities)" --no-new-privs failback)
	cp "$before" "$target"
	transfer_by_hand "$tls_b" "$source" --all "${tls_a[@]}"
	check_both "with the capabilities that the unit leaves it the process that makes the records can give them up" "0 0"
	check "and make them" cmp "$source" "$target"
	hand_receiver=(failback)
else
	skip "with the capabilities that the unit leaves it the process that makes the records can give them up" "needs root"
fi

# tapped <receiver's options> <sender's option>...: what crosses the wire, in $TMPDIR/wire
tapped()
{
	local wire=127.0.0.1:$(free_port) options
	read -ra options <<<"$1"
	shift

	start_receive "$target" "${options[@]}"
	# what the last one said is gone before this one is waited for
	: >"$TMPDIR/tap"
	python3 "$TMPDIR/tap.py" "$wire" "$at" "$TMPDIR/wire" >"$TMPDIR/tap" &
	tap=$!
	wait_for 60 grep -q ready "$TMPDIR/tap"
	send_status=0
	failback send "$source" --all --compress off --to "$wire" "$@" >"$TMPDIR/send" 2>&1 || send_status=$?
	end_receive
	wait $tap
}
tapped ""
check_both "a wire is tapped" "0 0"
check "which shows the disk" grep -aq 'what nobody else may read' "$TMPDIR/wire"
tapped "$tls_b" "${tls_a[@]}"
check_both "a wire with TLS is tapped" "0 0"
check_fails "which shows nothing of it" 1 '^$' grep -aq 'what nobody else may read' "$TMPDIR/wire"

# --- who is refused ---

cp "$before" "$target"
echo "127.0.0.1 $a_key" >"$TMPDIR/a.peers"
transfer_by_hand "$tls_b" "$source" --all "${tls_a[@]}"
check_equal "a receiver with another key than the known one is refused" "$send_status $((receive_status != 0))" "11 1"
check "which the sender says" grep -q "$b_key" "$TMPDIR/send"
pins
echo "127.0.0.1 $b_key" >"$TMPDIR/b.peers"
transfer_by_hand "$tls_b" "$source" --all "${tls_a[@]}"
check_both "so is a sender" "11 11"
check "which the receiver says" grep -q "$a_key" "$TMPDIR/receive"
pins
: >"$TMPDIR/b.peers"
transfer_by_hand "$tls_b" "$source" --all "${tls_a[@]}"
check "a sender that nobody knows is refused" [ "$receive_status" != 0 ]
pins
transfer_by_hand "$tls_b" "$source" --all
check "who does not speak TLS is told so by the receiver" grep -qE 'does not speak TLS' "$TMPDIR/receive"
check_equal "and is not received" "$((receive_status != 0)) $((send_status != 0))" "1 1"
transfer_by_hand "" "$source" --all "${tls_a[@]}"
check_equal "nor does who speaks it send to who does not" "$((receive_status != 0)) $((send_status != 0))" "1 1"

# a host that may connect, and is not the one whose transfer it is
c_key=$(failback host init --config "$TMPDIR/c.conf" --json | jq -r .fingerprint)
echo "127.0.0.1 $c_key" >>"$TMPDIR/b.peers"
start_receive "$target" --tls --config "$TMPDIR/b.conf"
IDENTITY=$TMPDIR/a OTHER=$TMPDIR/c "$top/tests/e2e/join.py" hand "$at" $size key two one >"$TMPDIR/join" 2>&1 || diag <"$TMPDIR/join"
end_receive
check "another key that is known does not join a transfer, even with its token" grep -q '^key: closed' "$TMPDIR/join"
check "the receiver says why" grep -q 'A connection was turned away: .*the same peer as the first' "$TMPDIR/receive"
check "and goes on with the right one" grep -q '^one: 4096' "$TMPDIR/join"
echo "127.0.0.1 $c_key" >>"$TMPDIR/a.peers"
wire=127.0.0.1:$(free_port)
start_receive "$target"
: >"$TMPDIR/faces"
"$top/tests/e2e/join.py" faces "$wire" "$at" "$TMPDIR/b" "$TMPDIR/c" >"$TMPDIR/faces" 2>&1 &
faces=$!
cleanup_fn eval "kill $faces 2>/dev/null || true"
wait_for 60 grep -q ready "$TMPDIR/faces"
check_fails "a receiver with another key on a further connection is sent nothing" 11 'the same peer as the first' \
	failback send "$source" --all --connections 3 --to "$wire" "${tls_a[@]}"
wait $faces || diag <"$TMPDIR/faces"
check "nor is it told the token" grep -q silent "$TMPDIR/faces"
end_receive
pins
check "the disk is as it was" cmp "$before" "$target"
check_fails "one cannot have it both ways" 15 'exclude each other' failback send "$source" --all --to 127.0.0.1 --plain --tls
