# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Sourced by the tests of transfers by hand, after lib.sh. $target is what receives.

requires python3

# what runs on the two sides
hand_sender=(failback) hand_receiver=(failback)

free_port()
{
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# start_receive <target> [<option>]...: waits until it listens on $at; its output in $TMPDIR/receive.
start_receive()
{
	at=127.0.0.1:$(free_port)
	"${hand_receiver[@]}" receive --listen "$at" "$@" >"$TMPDIR/receive" 2>&1 &
	receiver=$!
	wait_for 60 grep -q "${at##*:}" "$TMPDIR/receive" || bail "the receiver does not listen: $(<"$TMPDIR/receive")"
}

# end_receive: its exit status in $receive_status. It waits for ever for a sender that never came.
end_receive()
{
	wait_for 60 eval "! kill -0 $receiver 2>/dev/null" || kill $receiver
	receive_status=0
	wait $receiver || receive_status=$?
}

# transfer_by_hand <receiver's options> <send's operand and options>...: $receive_status, $send_status;
# outputs in $TMPDIR/receive and $TMPDIR/send.
transfer_by_hand()
{
	local options
	read -ra options <<<"$1"
	shift

	start_receive "$target" "${options[@]}"
	send_status=0
	"${hand_sender[@]}" send --to "$at" "$@" >"$TMPDIR/send" 2>&1 || send_status=$?
	end_receive
}

check_both()
{
	if [ "$send_status $receive_status" = "$2" ]; then
		ok "$1"
	else
		not_ok "$1"
		diag "send $send_status, receive $receive_status, expected $2"
		diag <"$TMPDIR/send"
		diag <"$TMPDIR/receive"
	fi
}
