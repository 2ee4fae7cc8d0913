#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Who receives has given up its rights, and the system calls that it does not need, before it reads what
# a peer sends; and receives all the same.
#
# e2e: timeout=120
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/e2e/hand.bash
. "$(dirname "$0")/hand.bash"
requires cmp pgrep setpriv

MiB=$((1 << 20))
size=$((4 * MiB))
source=$TMPDIR/source target=$TMPDIR/target before=$TMPDIR/before
head -c $size /dev/urandom >"$source"
head -c $size /dev/urandom >"$before"
user=$(id -u failback 2>/dev/null || echo 65534)
[ "$(id -u)" = 0 ] || user=$(id -u)

# of_all_threads <pid> <field>: the values of that field of their status, each once
of_all_threads()
{
	sed -n "s/^$2:\t//p" /proc/"$1"/task/*/status | sort -u | paste -sd'|' | tr '\t' ' '
}
is_confined()
{
	[ "$(of_all_threads "$(pgrep -P $receiver)" Seccomp)" = 2 ]
}

for engine in io_uring threads; do
	unset FAILBACK_NO_IO_URING
	[ $engine = io_uring ] || export FAILBACK_NO_IO_URING=1
	cp "$before" "$target"
	rm -f "$TMPDIR/slow" "$TMPDIR/journal"
	mkfifo "$TMPDIR/slow"
	# the sender waits for its extents: the receiver waits for the sender
	start_receive "$target" --journal "$TMPDIR/journal"
	failback send "$source" --extents "$TMPDIR/slow" --to "$at" >"$TMPDIR/send" 2>&1 &
	sender=$!
	exec 7>"$TMPDIR/slow"
	check "$engine: a receiver's system calls are filtered, in every thread" wait_for 60 is_confined
	worker=$(pgrep -P $receiver)
	check_equal "$engine: it is nobody's" "$(of_all_threads "$worker" Uid)" "$user $user $user $user"
	check_equal "$engine: it has no groups" "$(of_all_threads "$worker" Groups | tr -d ' ')" "$([ "$(id -u)" = 0 ] || id -G | tr -d ' ')"
	check_equal "$engine: it has no capabilities" \
		"$(of_all_threads "$worker" CapEff) $(of_all_threads "$worker" CapPrm)" "0000000000000000 0000000000000000"
	check_equal "$engine: and gets none" "$(of_all_threads "$worker" NoNewPrivs)" 1
	echo "0 $size" >&7
	exec 7>&-
	send_status=0
	wait $sender || send_status=$?
	end_receive
	check_both "$engine: it receives all the same" "0 0"
	check "$engine: and writes the disk" cmp "$source" "$target"
done
unset FAILBACK_NO_IO_URING

# --- under the unit ---

if [ "$(id -u)" = 0 ]; then
	hand_receiver=(setpriv --bounding-set "$(unit_capabilities)" --no-new-privs failback)
	cp "$before" "$target"
	transfer_by_hand "" "$source" --all
	check_both "with the capabilities that the unit leaves a worker it can give them up" "0 0"
	check "and receive" cmp "$source" "$target"
	hand_receiver=(failback)
else
	skip "with the capabilities that the unit leaves a worker it can give them up" "needs root"
fi

start_receive "$target"
check_equal "who only waits for a sender is as it was" "$(of_all_threads $receiver Seccomp)" \
	"$(sed -n 's/^Seccomp:\t//p' /proc/self/status)"
kill $receiver
end_receive
