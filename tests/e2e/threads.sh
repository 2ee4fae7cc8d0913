#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Where io_uring is refused, threads do the same: a transfer by hand under a seccomp filter on both
# sides, and faults of the disks that end in the same sentences.
#
# e2e: timeout=240
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/e2e/hand.bash
. "$(dirname "$0")/hand.bash"
requires gcc pkg-config jq cmp

# shellcheck disable=SC2046 # options
gcc -O1 -Wall -o "$TMPDIR/deny_io_uring" "$top/tests/e2e/deny_io_uring.c" $(pkg-config --cflags --libs libseccomp)
deny=$TMPDIR/deny_io_uring

MiB=$((1 << 20))
size=$((8 * MiB))
source=$TMPDIR/source target=$TMPDIR/target before=$TMPDIR/before
head -c $size /dev/urandom >"$source"
dd if=/dev/zero of="$source" bs=64K seek=3 count=9 conv=notrunc status=none
head -c $size /dev/urandom >"$before"

engines()
{
	jq -r 'select(.event == "done").engine' "$TMPDIR/send" "$TMPDIR/receive" | paste -sd' '
}

cp "$before" "$target"
hand_receiver=("$deny" failback) hand_sender=("$deny" failback)
transfer_by_hand --json "$source" --json --all
check_both "a disk goes from host to host where io_uring is refused" "0 0"
check "and arrives" cmp "$source" "$target"
check_equal "both report what they used instead" "$(engines)" "threads threads"
cp "$before" "$target"
transfer_by_hand "--journal $TMPDIR/journal --json" "$source" --json --all
check_both "so does one through a journal" "0 0"
check "and that arrives" cmp "$source" "$target"
check_equal "written by threads too" "$(engines)" "threads threads"
cp "$before" "$target"
transfer_by_hand "" "$source" --all --compare
check_both "so does one of what differs" "0 0"
check "and the disks are equal" cmp "$source" "$target"
check "people are told too" grep -q '(threads, plain)' "$TMPDIR/send" "$TMPDIR/receive"

cp "$before" "$target"
hand_receiver=(failback)
transfer_by_hand --json "$source" --json --all
check_both "threads here and io_uring there understand each other" "0 0"
check "and the disk arrives" cmp "$source" "$target"
check_equal "each reports its own" "$(engines)" "threads io_uring"

# --- faults ---

# A file that may grow to 4 MiB only: writes behind that fail.
limited()
{
	trap '' XFSZ
	ulimit -f 4096
	exec "$@"
}

for engine in threads io_uring; do
	hand_sender=(failback) hand_receiver=(limited failback)
	[ $engine = io_uring ] || hand_receiver=(limited "$deny" failback)
	truncate -s $size "$target"
	transfer_by_hand "" "$source" --all
	check_both "$engine: a target that cannot be written ends both" "10 10"
	check "$engine: the receiver says where" grep -qE 'annot write disk disk0 at byte [0-9]+: File too large' "$TMPDIR/receive"
	check "$engine: the sender hears it" grep -qE 'The peer: cannot write disk disk0 at byte [0-9]+: File too large' "$TMPDIR/send"
done

if [ "$(id -u)" != 0 ] || ! losetup -f >/dev/null 2>&1; then
	skip "a source that cannot be read ends both" "needs root and loop devices"
	exit 0
fi
cp "$source" "$TMPDIR/short"
bad=$(losetup --find --show --read-only "$TMPDIR/short")
cleanup_fn losetup -d "$bad"
truncate -s $((size / 2)) "$TMPDIR/short"
for engine in threads io_uring; do
	hand_receiver=(failback) hand_sender=(failback)
	[ $engine = io_uring ] || hand_sender=("$deny" failback)
	cp "$before" "$target"
	transfer_by_hand "--journal $TMPDIR/journal" "$bad" --all
	check_both "$engine: a source that cannot be read ends both" "10 10"
	check "$engine: the sender says where" grep -qE 'annot read disk disk0 at byte [0-9]+: Input/output error' "$TMPDIR/send"
	check "$engine: the receiver hears it" grep -qE 'The peer: cannot read disk disk0 at byte [0-9]+: Input/output error' "$TMPDIR/receive"
	check "$engine: the target is as it was" cmp "$before" "$target"
done
