#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Disks that differ nobody knows where: hashes are compared first, and only what differs is sent.
#
# e2e: timeout=300
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/transfer.bash"

MiB=$((1 << 20))
size=$((128 * MiB))
source=$TMPDIR/source target=$TMPDIR/target before=$TMPDIR/before
seed=$(new_seed)
diag "seed=$seed"

# A sparse-ish disk of which a part differs: 64 extents of 64 KiB, and some single bytes.
truncate -s $size "$before"
dd if=/dev/urandom of="$before" bs=1M count=48 seek=16 conv=notrunc status=none
cp "$before" "$source"
python3 - "$source" "$seed" <<'PYTHON'
import os, random, sys
path, seed = sys.argv[1:]
rng = random.Random(int(seed))
with open(path, "r+b") as disk:
    for i in range(64):
        disk.seek((i * 32 + rng.randrange(16)) * 65536)
        disk.write(rng.randbytes(65536))
    for i in range(64):
        disk.seek(i * 2097152 + 1114112 + rng.randrange(900000))
        disk.write(b"x")
PYTHON
# what of it any sender has to send: the pieces of 4 KiB that differ
differing=$(python3 - "$source" "$before" <<'PYTHON'
import sys
a, b = (open(path, "rb").read() for path in sys.argv[1:])
print(sum(4096 for at in range(0, len(a), 4096) if a[at:at + 4096] != b[at:at + 4096]))
PYTHON
)

make_plan "$TMPDIR/s" "$(disk_plan "$source" $size '{"all": true, "compare": true}')"
make_plan "$TMPDIR/r" "$(disk_plan "$target" $size)"

for engine in io_uring threads; do
	unset FAILBACK_NO_IO_URING
	[ $engine = io_uring ] || export FAILBACK_NO_IO_URING=1
	cp "$before" "$target"
	transfer "$TMPDIR/s" "$TMPDIR/r"
	check_done "$engine: a disk is compared and sent in one transfer"
	check "$engine: the disks are equal" cmp "$source" "$target"
	check_equal "$engine: only what differs is sent" "$(send_get bytes_total)" "$differing"
	check_equal "$engine: all was compared, on both sides" "$(send_get bytes_compared) $(receive_get bytes_compared)" "$size $size"
	check "$engine: hashes are no more than 0.4 % of what they are of" \
		test $(($(send_get bytes_hashes) * 1000)) -le $((size * 4))
done
unset FAILBACK_NO_IO_URING
transfer "$TMPDIR/s" "$TMPDIR/r"
check_done "disks that are equal are compared"
check_equal "and nothing is sent" "$(send_get bytes_total) $(send_get bytes_sent)" "0 0"

# --- some extents only ---

cp "$before" "$target"
printf '%s\n' "512 1024" "65536 4096" "$((2 * MiB)) $((8 * MiB + 512))" "$((size - 512)) 512" >"$TMPDIR/extents"
cp "$before" "$TMPDIR/want"
while read -r offset length; do
	dd if="$source" of="$TMPDIR/want" bs=512 skip=$((offset / 512)) seek=$((offset / 512)) count=$((length / 512)) \
		conv=notrunc status=none
done <"$TMPDIR/extents"
extents_json=$(jq -nc --arg f "$TMPDIR/extents" '{extents: $f, compare: true}')
transfer "$(with "$TMPDIR/s" ".disks[0].source = $extents_json")" "$TMPDIR/r"
check_done "extents are compared and sent"
check "nothing outside of them is touched" cmp "$TMPDIR/want" "$target"
check_equal "nothing outside of them is looked at" "$(send_get bytes_compared)" $((512 + 1024 + 4096 + 8 * MiB + 512))

# --- journal ---

cp "$before" "$target"
journal=$(with "$TMPDIR/r" ".journal = {path: \"$TMPDIR/journal\", mark_interval: 524288}")
transfer "$TMPDIR/s" "$journal" --cut-mark $((4 * MiB))
check_failed "a connection that breaks behind a comparison ends the transfer" send any '^32777 '
check "the journalled target is as it was" cmp "$before" "$target"
transfer "$TMPDIR/s" "$journal"
check_done "it is compared again, and gone on with"
check "and the disks are equal" cmp "$source" "$target"
check "what the journal held already is not sent again" \
	test "$(send_get bytes_sent)" -lt "$differing"

cp "$before" "$target"
rm "$TMPDIR/journal"
transfer "$TMPDIR/s" "$journal" --lose-durable
check "an acknowledgement that is lost: the disk has it" cmp "$source" "$target"
transfer "$TMPDIR/s" "$journal"
check_done "the next comparison finds the disk as it is then"
check_equal "and sends nothing" "$(send_get bytes_sent)" 0

# --- verify ---

cp "$before" "$target"
chmod 400 "$target"
verify_s=$(with "$TMPDIR/s" '.verify = true')
verify_r=$(with "$TMPDIR/r" '.verify = true')
transfer "$verify_s" "$verify_r"
check_done "disks are verified"
check_equal "the sender knows how much differs" "$(send_get bytes_total)" "$differing"
check "nothing is written" cmp "$before" "$target"
chmod 600 "$target"
transfer "$verify_s" "$TMPDIR/r"
check_failed "who is to be written to is not verified" receive 17 '^32775 the sender wants to verify, the receiver expects to be sent to'
transfer "$TMPDIR/s" "$verify_r"
check_failed "who is to be verified is not written to" receive 17 '^32775 the sender wants to send, the receiver expects to be verified'
transfer "$(with "$TMPDIR/s" '.disks[0].source = {all: true}')" "$verify_r"
check_failed "nor without a comparison" receive any 'BEGIN where COMPARE is due'
transfer "$(with "$verify_s" ".epoch = \"$base\"")" "$verify_r"
check_failed "another epoch is not compared" receive 17 '^32775 the sender.s epoch is'
transfer "$verify_s" "$(with "$verify_r" ".journal = {path: \"$TMPDIR/journal\"}")"
check_failed "to verify needs no journal" receive 2 'has a "journal" and "verify"'
check "after all this the target is as it was" cmp "$before" "$target"

# --- harm ---

cp "$before" "$target"
for byte in 40 100 5000 300000; do
	transfer "$TMPDIR/s" "$TMPDIR/r" --flip $byte
	check_failed "a bit that flips in byte $byte is noticed" receive any '^327(68|77) '
done
check "and the target is as it was" cmp "$before" "$target"
truncate -s $((size - 4096)) "$TMPDIR/short"
transfer "$(with "$verify_s" ".disks[0].path = \"$TMPDIR/short\" | .disks[0].size = $((size - 4096))")" \
	"$(with "$verify_r" ".disks[0].size = $((size - 8192))")"
check_failed "hashes of beyond the receiver's disk are refused" receive any 'more bytes than its disks have'
