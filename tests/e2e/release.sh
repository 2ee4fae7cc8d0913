#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A tracker need not keep what the receiver holds for good: it is told while the transfer goes on.
#
# e2e: timeout=120
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/transfer.bash"
# shellcheck source=tests/e2e/fake.bash
. "$(dirname "$0")/fake.bash"
requires root loop

MiB=$((1 << 20))
size=$((8 * MiB))
export FAKE_KERNEL=$TMPDIR/kernel
mkdir "$FAKE_KERNEL" "$TMPDIR/bin"
link_fake "$TMPDIR/bin" failback-send
PATH=$TMPDIR/bin:$PATH

head -c $size /dev/urandom >"$TMPDIR/source"
truncate -s $size "$TMPDIR/target"
origin=$(losetup --find --show "$TMPDIR/source")
cleanup_fn losetup -d "$origin"
make_tracker vm1-disk0 "$origin"
tracker=$FAKE_KERNEL/vm1-disk0
echo $epoch >"$tracker/epoch"
printf '0 1024\n1100 700\n' >"$tracker/frozen"
frozen=1724

make_plan "$TMPDIR/s" "$(disk_plan "$origin" $size '{"tracker": "vm1-disk0"}')"
make_plan "$TMPDIR/r" "$(disk_plan "$TMPDIR/target" $size)"
journal=$(with "$TMPDIR/r" ".journal = {path: \"$TMPDIR/journal\", mark_interval: 600064}")

# released: how many blocks, or what is wrong with them.
released()
{
	python3 - "$tracker" <<-'PYTHON'
	import os, sys
	def blocks(name):
	    path = f"{sys.argv[1]}/{name}"
	    lines = open(path).read().split("\n")[:-1] if os.path.exists(path) else []
	    return [b for line in lines for first, nr in [map(int, line.split())] for b in range(first, first + nr)]
	got, frozen = blocks("released"), set(blocks("frozen"))
	if got != sorted(set(got)):
	    print("a block twice, or out of order")
	elif not frozen.issuperset(got):
	    print("a block that is not frozen")
	else:
	    print(len(got))
	PYTHON
}

transfer "$TMPDIR/s" "$journal"
check_done "a tracker's delta goes through a journal"
nr=$(released)
diag "released: $nr of $frozen blocks"
check "what was marked on the way is released, each block once" test "$nr" -gt $((frozen - 400)) -a "$nr" -le $frozen

rm "$tracker/released" "$TMPDIR/journal"
transfer "$TMPDIR/s" "$journal" --kill receive --at $((4 * MiB)) --when "$tracker/released"
check_failed "the receiver is killed on the way" send any '^32777 '
nr=$(released)
diag "released: $nr of $frozen blocks"
transfer "$TMPDIR/s" "$journal"
check_done "and the transfer is gone on with"
check "some blocks were released before" test "$nr" -gt 0
check "... and none that had to be sent again" \
	test $((nr * 4096)) -le $(($(send_get bytes_total) - $(send_get bytes_sent)))

rm -f "$tracker/released"
transfer "$TMPDIR/s" "$TMPDIR/r"
check_done "in direct mode it arrives too"
check_equal "and nothing is released before its end" "$(released)" 0

rm "$TMPDIR/journal"
truncate -s 0 "$TMPDIR/target"
truncate -s $size "$TMPDIR/target"
echo "0 2" >"$tracker/suspect"
transfer "$TMPDIR/s" "$journal"
check_done "a delta that has to be compared arrives"
check_equal "and stays readable: nothing is released" "$(released)" 0
