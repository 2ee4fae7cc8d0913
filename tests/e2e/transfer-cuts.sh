#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Whatever is killed during a transfer, and wherever the power is cut, the target holds one epoch or the other,
# and the same command again makes it equal to the frozen image. See tests/e2e/transfer_cuts.py.
#
# e2e: timeout=600 long=10800
. "$(dirname "$0")/../lib.sh"
. "$top/tests/powercut/powercut.bash"
. "$top/tests/powercut/transfer.bash"
requires nbdkit qemu-system-x86_64 python3

seed=$(new_seed)
diag "seed=$seed"

# --- sender, receiver, both or the link, at each type of record and anywhere ---

rounds=$(required 150 5000)
mkdir "$TMPDIR/kill"
if "$top/tests/e2e/transfer_cuts.py" kill --seed "$seed" --rounds "$rounds" "$TMPDIR/kill" >"$TMPDIR/out" 2>&1; then
	ok "$rounds transfers that are killed leave one epoch or the other, and go on"
else
	not_ok "$rounds transfers that are killed leave one epoch or the other, and go on"
fi
diag <"$TMPDIR/out"

# A few with sanitizers; what filters the receiver's system calls denies those that look for leaks.
rounds=$(required 15 500)
if PATH="$top/build/san/bin:$PATH" ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=abort_on_error=1 \
	"$top/tests/e2e/transfer_cuts.py" kill --seed "$((seed + 1))" --rounds "$rounds" "$TMPDIR/kill" >"$TMPDIR/out" 2>&1; then
	ok "so do $rounds with sanitizers"
else
	not_ok "so do $rounds with sanitizers"
fi
diag <"$TMPDIR/out"

# --- the power of the replica's host, whose disks record everything in one order ---

cuts=$(required 150 5000)
deltas=$(required 8 80)
check "$deltas deltas are recorded until the cut" transfer_run "$TMPDIR/run" "$deltas" "$seed"
[ "$test_failures" = 0 ] || bail "there is nothing to cut"
diag "$(<"$TMPDIR/run/out")"
if transfer_check "$TMPDIR/run" "$seed" "$seed" "$cuts" >"$TMPDIR/out" 2>&1; then
	ok "$cuts power cuts leave one epoch or the other, and replication goes on"
else
	not_ok "$cuts power cuts leave one epoch or the other, and replication goes on"
fi
diag <"$TMPDIR/out"

# notices <promise of a disk that it does not keep>
notices()
{
	check_fails "$1 would be noticed" 1 'wrong after the cut' \
		transfer_check "$TMPDIR/run" "$seed" "$seed" 500 --ignore "$1"
}
notices flush:journal
notices flush:target0
notices flush:target1
if [ -n "${CHECK_LONG:-}" ]; then
	check "each flush of the receiver is needed" "$top/scripts/check-flushes" receiver
fi
