#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Data that shrinks travels packed, and arrives as it was; what does not shrink travels as it is; and
# what only pretends to be packed is refused.
#
# e2e: timeout=240
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/transfer.bash"
# shellcheck source=tests/e2e/hand.bash
. "$(dirname "$0")/hand.bash"
requires cmp

MiB=$((1 << 20))
size=$((6 * MiB))
source=$TMPDIR/source target=$TMPDIR/target before=$TMPDIR/before noise=$TMPDIR/noise
seq -f 'line %.0f of what shrinks well' 250000 >"$source"
truncate -s $size "$source"
# some zeroes, and some that does not shrink
dd if=/dev/zero of="$source" bs=64K seek=3 count=9 conv=notrunc status=none
dd if=/dev/urandom of="$source" bs=64K seek=40 count=3 conv=notrunc status=none
head -c $size /dev/urandom >"$before"
head -c $size /dev/urandom >"$noise"
make_plan "$TMPDIR/plain" "$(disk_plan "$source" $size '{"all": true}')"
jq '.compress = true' "$TMPDIR/plain" >"$TMPDIR/s"
make_plan "$TMPDIR/r" "$(disk_plan "$target" $size)"
data=$((size - 9 * 65536))

cp "$before" "$target"
transfer "$TMPDIR/plain" "$TMPDIR/r"
check_done "a disk is sent as it is where nobody asked for more"
check_equal "and all of it travels" "$(send_get bytes_sent) $(receive_get bytes_sent)" "$data $data"

for engine in io_uring threads; do
	unset FAILBACK_NO_IO_URING
	[ $engine = io_uring ] || export FAILBACK_NO_IO_URING=1
	cp "$before" "$target"
	transfer "$TMPDIR/s" "$TMPDIR/r"
	check_done "$engine: a disk that shrinks is packed"
	check "$engine: and arrives as it was" cmp "$source" "$target"
	check_equal "$engine: all of it counts as data" "$(send_get bytes_data) $(receive_get bytes_data)" "$data $data"
	check "$engine: a third of it, at most, travels" test "$(send_get bytes_sent)" -lt $((data / 3))
	check_equal "$engine: both say the same" "$(send_get bytes_sent)" "$(receive_get bytes_sent)"
done
unset FAILBACK_NO_IO_URING

cp "$before" "$target"
transfer "$(with "$TMPDIR/s" ".disks[0].path = \"$noise\"")" "$TMPDIR/r"
check_done "a disk that does not shrink arrives"
check "as it was" cmp "$noise" "$target"
check_equal "and travels as it is" "$(send_get bytes_sent)" $size

cp "$before" "$target"
transfer "$(with "$TMPDIR/s" '.disks[0].source.compare = true')" "$TMPDIR/r"
check_done "what differs is packed too"
check "and makes the disks equal" cmp "$source" "$target"
check "with less than there is" test "$(send_get bytes_sent)" -lt $((data / 3))

journal=$(with "$TMPDIR/r" ".journal = {path: \"$TMPDIR/journal\", mark_interval: 524288}")
cp "$before" "$target"
transfer "$TMPDIR/s" "$journal" --cut-mark 300000
check_failed "a packed delta that breaks off is not done" send any '^32777 '
check "and leaves the disk as it was" cmp "$before" "$target"
transfer "$TMPDIR/s" "$journal"
check_done "it is gone on with, through the journal"
check "and arrives as it was" cmp "$source" "$target"
check "without what was there already" test "$(send_get bytes_data)" -lt "$data"

cp "$before" "$target"
for byte in 20 60 300 30000; do
	rm -f "$TMPDIR/journal"
	transfer "$TMPDIR/s" "$journal" --flip $byte
	check_failed "a bit that flips in byte $byte of a packed delta is noticed" receive any '^327(68|77) '
done
check "and the disk is as it was" cmp "$before" "$target"

# --- what is not what it says ---

cat >"$TMPDIR/packed.py" <<'PYTHON'
import json, socket, subprocess, sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import hostile
plan, what = sys.argv[2:]
whole = hostile.frame(b"x" * 8192)
body = {"more": hostile.frame(b"x" * 8704), "less": hostile.frame(b"x" * 7680), "bomb": hostile.frame(bytes(64 << 20)),
        "cut": whole[:-1], "behind": whole + b"x", "noise": b"x" * 40, "whole": whole}[what]
near, far = socket.socketpair()
with open(plan, "rb") as text:
    worker = subprocess.Popen(["failback-receive", "--connection", str(far.fileno())], stdin=text, stdout=subprocess.PIPE,
                              pass_fds=[far.fileno()], text=True)
far.close()
near.sendall(hostile.record(hostile.BEGIN, hostile.right_begin(json.load(open(plan)), 8192)) +
             hostile.record(hostile.DATA, body, 1, [(4096, 8192)], flags=hostile.PACKED))
near.shutdown(socket.SHUT_WR)
print(worker.communicate(timeout=60)[0].splitlines()[-1])
sys.exit(worker.returncode)
PYTHON
make_plan "$TMPDIR/hostile" "$(disk_plan "$target" $size)"
for what in more less bomb cut behind noise; do
	check_fails "a packed body is refused that holds $what" 10 \
		'record 1 of the peer .DATA. has a packed body that does not become what its extents ask for' \
		python3 "$TMPDIR/packed.py" "$top/tests/e2e" "$TMPDIR/hostile" $what
done
check "the disk is as it was" cmp "$before" "$target"
check_fails "a sound one of such a sender is taken" any 'closed the connection before the delta was whole' \
	python3 "$TMPDIR/packed.py" "$top/tests/e2e" "$TMPDIR/hostile" whole
check_fails "a receiver is not asked to compress" 2 'has a member "compress"|compress' \
	failback-receive --connection 0 < <(jq '.compress = true' "$TMPDIR/hostile")

# --- by hand ---

sent()
{
	jq -r 'select(.event == "done").bytes_sent' "$TMPDIR/send"
}
cp "$before" "$target"
transfer_by_hand "" "$source" --all --json
check_both "by hand a disk is packed where that pays, unasked" "0 0"
check "and arrives as it was" cmp "$source" "$target"
check "with less than there is" test "$(sent)" -lt $((data / 3))
transfer_by_hand "" "$source" --all --json --compress off
check_both "--compress off is heard" "0 0"
check_equal "and sends it as it is" "$(sent)" $data
