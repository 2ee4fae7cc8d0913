#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A disk goes from one host to another by hand: `failback send` to `failback receive`.
#
# e2e: timeout=240
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/e2e/fake.bash
. "$(dirname "$0")/fake.bash"
# shellcheck source=tests/e2e/hand.bash
. "$(dirname "$0")/hand.bash"
requires python3 jq cmp

MiB=$((1 << 20))
size=$((8 * MiB))
source=$TMPDIR/source target=$TMPDIR/target before=$TMPDIR/before
head -c $size /dev/urandom >"$source"
head -c $size /dev/urandom >"$before"

# --- what is sent ---

cp "$before" "$target"
transfer_by_hand "" "$source" --all
check_both "a whole disk is sent by hand" "0 0"
check "the disks are equal" cmp "$source" "$target"
check "the sender says how much" grep -q 'Sending .*: done. 8 MiB covered, 8 MiB of it crossed the wire, in' "$TMPDIR/send"
check "so does the receiver" grep -q '^Receiving .*: done. 8 MiB covered' "$TMPDIR/receive"

cp "$before" "$target"
printf '4096 8192\n1048576 65536\n' >"$TMPDIR/extents"
cp "$before" "$TMPDIR/want"
dd if="$source" of="$TMPDIR/want" bs=4K skip=1 seek=1 count=2 conv=notrunc status=none
dd if="$source" of="$TMPDIR/want" bs=64K skip=16 seek=16 count=1 conv=notrunc status=none
transfer_by_hand --json "$source" --json --extents "$TMPDIR/extents"
check_both "extents of a file are sent" "0 0"
check "they, and nothing else, are changed" cmp "$TMPDIR/want" "$target"
check_equal "a program reads how it went, from both" \
	"$(jq -r 'select(.event == "done") | "\(.schema) \(.bytes_total) \(.bytes_sent)"' "$TMPDIR/send" "$TMPDIR/receive" | uniq)" \
	"1 73728 73728"
check_equal "and where it listens" "$(jq -r 'select(.event == "listening").address' "$TMPDIR/receive")" "$at"

cp "$before" "$target"
transfer_by_hand "" "$source" --extents - <"$TMPDIR/extents"
check_both "extents of the standard input are sent" "0 0"
check "and nothing else" cmp "$TMPDIR/want" "$target"

# --- a limit ---

cp "$before" "$target"
transfer_by_hand "" "$source" --all --json --rate 4M
check_both "a disk is sent at a rate" "0 0"
check "and arrives" cmp "$source" "$target"
# 8 MiB, of which the first tenth of a second and a record may go at once
check "not faster than that" jq -se 'map(select(.event == "done"))[0].seconds > 1.7' "$TMPDIR/send"
check "nor much slower" jq -se 'map(select(.event == "done"))[0].seconds < 6' "$TMPDIR/send"

# --- journal ---

epoch=5a1e7a3c-91c1-4a59-9a52-3f6d0c1b2a09
cp "$before" "$target"
transfer_by_hand "--journal $TMPDIR/journal" "$source" --all --epoch $epoch
check_both "a disk goes through a journal" "0 0"
check "and arrives" cmp "$source" "$target"
transfer_by_hand "--journal $TMPDIR/journal --json" "$source" --all --epoch $epoch --json
check_both "a transfer that both have ended is gone on with" "0 0"
check_equal "and sends nothing twice" "$(jq -r 'select(.event == "done").bytes_sent' "$TMPDIR/send")" 0

# --- comparison ---

cp "$before" "$target"
cp "$before" "$TMPDIR/near"
printf 'x' | dd of="$TMPDIR/near" bs=1 seek=70000 conv=notrunc status=none
transfer_by_hand "" "$TMPDIR/near" --all --compare
check_both "a disk is compared by hand" "0 0"
check "and 4 KiB of it are sent" grep -q ': done. 4 KiB covered, 4 KiB of it crossed the wire' "$TMPDIR/send"
check "which makes the disks equal" cmp "$TMPDIR/near" "$target"

# verify_by_hand <disk>: against $target; as transfer_by_hand.
verify_by_hand()
{
	at=127.0.0.1:$(free_port)
	failback verify "$target" --listen "$at" >"$TMPDIR/receive" 2>&1 &
	receiver=$!
	wait_for 60 grep -q "${at##*:}" "$TMPDIR/receive" || bail "the receiver does not listen: $(<"$TMPDIR/receive")"
	send_status=0
	failback verify "$1" --to "$at" >"$TMPDIR/send" 2>"$TMPDIR/send.err" || send_status=$?
	end_receive
}
verify_by_hand "$TMPDIR/near"
check_both "disks that are equal verify" "0 0"
check_equal "and nothing is printed of them" "$(<"$TMPDIR/send")" ""
verify_by_hand "$before"
check_both "disks that differ are told by the exit status" "1 0"
check_equal "and where they do, as extents" "$(<"$TMPDIR/send")" "69632 4096"
mv "$TMPDIR/send" "$TMPDIR/differing"
transfer_by_hand "" "$before" --extents "$TMPDIR/differing"
check_both "which send takes" "0 0"
check "and mends" cmp "$before" "$target"
check_fails "verify is told on which side it is" 15 'Give --listen ADDRESS on one host' failback verify "$before"

# --- refusals ---

# refused <claim> <status> <regex> <command>...: and the target is unchanged.
cp "$before" "$target"
refused()
{
	check_fails "$@"
	cmp -s "$before" "$target" || bail "$1: the target has changed"
}

port=$(free_port)
refused "nobody listens: send says so" 19 "^failback: Nobody listens on 127.0.0.1:$port\.$" failback send "$source" --all --to 127.0.0.1:$port
refused "a sender is told to say what to send" 15 'Say what to send: --all' failback send "$source" --to 127.0.0.1
refused "one thing at a time" 15 'Say what to send: --all' failback send "$source" --all --extents /dev/null --to 127.0.0.1
refused "a sender is told to say where to" 15 'Give --to ADDRESS' failback send "$source" --all
refused "a receiver is told to say where to wait" 15 'Give --listen ADDRESS' failback receive "$target"
refused "names are not addresses" 15 'is not a numeric address' failback send "$source" --all --to localhost
refused "a source that is not there" 21 'no-such cannot be used: No such file' failback send "$TMPDIR/no-such" --all --to 127.0.0.1
refused "a target that is not there" 21 'no-such cannot be used: No such file' failback receive "$TMPDIR/no-such" --listen 127.0.0.1
refused "a source that is a directory" 15 'is neither a block device nor a regular file' failback send "$TMPDIR" --all --to 127.0.0.1
refused "a way to compress that is none" 15 '.--compress is auto or off, not x' failback send "$source" --all --compress x --to 127.0.0.1
refused "a rate that is none" 15 '.--rate is a size like 500K or 20M, and at least 64K, not 4' failback send "$source" --all --rate 4 --to 127.0.0.1
refused "an epoch that is no UUID" 15 'x is no UUID' failback send "$source" --all --epoch x --to 127.0.0.1
head -c 1000 /dev/zero >"$TMPDIR/odd"
refused "a source of an odd size" 15 'has 1000 bytes: a disk has a multiple of 512' failback send "$TMPDIR/odd" --all --to 127.0.0.1
refused "an option of another command" 2 'failback send. has no option .--journal' failback send "$source" --journal x

start_receive "$target"
refused "a port in use: receive says so" 16 "Cannot listen on $at: another program does" failback receive "$TMPDIR/want" --listen "$at"
truncate -s $((9 * MiB)) "$TMPDIR/larger"
refused "a target that is too small: send says so" 15 "The receiver: Disk disk0 .* is too small: it has $size bytes, $((9 * MiB)) are needed" \
	failback send "$TMPDIR/larger" --all --to "$at"
end_receive
check_equal "and so does receive" "$receive_status $(grep -c 'is too small' "$TMPDIR/receive")" "15 1"

echo "0 4096x" >"$TMPDIR/bad"
transfer_by_hand "" "$source" --extents "$TMPDIR/bad"
check_both "extents that are none are refused on both sides" "15 15"
check "with the line on both" grep -q 'line 1 of .*bad' "$TMPDIR/send" "$TMPDIR/receive"
echo "0 $((size + 4096))" >"$TMPDIR/bad"
transfer_by_hand "" "$source" --extents "$TMPDIR/bad"
check_both "extents beyond the disk too" "15 15"
check "the target has not changed by all this" cmp "$before" "$target"

start_receive "$target"
python3 -c "import socket; socket.create_connection(('127.0.0.1', ${at##*:})).sendall(b'GET / HTTP/1.0\r\n\r\n' + bytes(99))"
end_receive
check "who speaks another protocol is told apart" grep -q 'does not start with the magic number' "$TMPDIR/receive"

# the sender is stopped while it waits for its extents: opening the pipe tells that it does. They come
# all the same, or nothing would be left to be stopped.
mkfifo "$TMPDIR/slow"
start_receive "$target"
failback send "$source" --extents "$TMPDIR/slow" --to "$at" >"$TMPDIR/send" 2>&1 &
sender=$!
exec 7>"$TMPDIR/slow"
kill $sender
echo "0 $(stat -c %s "$source")" >&7
exec 7>&-
send_status=0
wait $sender || send_status=$?
end_receive
check_both "a sender that is stopped ends both as failed" "10 10"
check "the receiver knows why" grep -q 'The peer: the transfer was terminated' "$TMPDIR/receive"

# --- block devices, and trackers ---

if [ "$(id -u)" != 0 ] || ! losetup -f >/dev/null 2>&1; then
	skip "block devices by hand" "needs root and loop devices"
	exit 0
fi
from=$(losetup --find --show "$source")
cleanup_fn losetup -d "$from"
onto=$(losetup --find --show "$target")
cleanup_fn losetup -d "$onto"
target=$onto
transfer_by_hand "" "$from" --all
check_both "a loop device goes to a loop device" "0 0"
check "and they are equal" cmp "$from" "$onto"

mkfs.ext4 -q -O ^has_journal "$onto"
mkdir "$TMPDIR/mnt"
if mount "$onto" "$TMPDIR/mnt"; then
	check_fails "a target that is mounted is refused, by name" 16 \
		"Disk disk0 \($onto\) is in use: it is mounted on $TMPDIR/mnt" failback receive "$onto" --listen 127.0.0.1
	umount "$TMPDIR/mnt"
else
	skip "a target that is mounted is refused, by name" "cannot mount"
fi

export FAKE_KERNEL=$TMPDIR/kernel
mkdir "$FAKE_KERNEL" "$TMPDIR/bin"
link_fake "$TMPDIR/bin" failback
PATH=$TMPDIR/bin:$PATH
make_tracker vm1-disk0 "$from"
check_fails "a tracker without a frozen epoch has nothing to send" 17 'has no frozen epoch: .cbtctl freeze vm1-disk0' \
	failback send vm1-disk0 --tracker --to 127.0.0.1
echo $epoch >"$FAKE_KERNEL/vm1-disk0/epoch"
cp "$source" "$FAKE_KERNEL/vm1-disk0/image"
printf '1 2\n256 16\n' >"$FAKE_KERNEL/vm1-disk0/frozen"
check_fails "a tracker's epoch is its own" 15 'it has an epoch' failback send vm1-disk0 --tracker --epoch $epoch --to 127.0.0.1
cp "$before" "$TMPDIR/base"
cp "$before" "$onto"
cp "$before" "$TMPDIR/want"
dd if="$source" of="$TMPDIR/want" bs=4K skip=1 seek=1 count=2 conv=notrunc status=none
dd if="$source" of="$TMPDIR/want" bs=64K skip=16 seek=16 count=1 conv=notrunc status=none
transfer_by_hand "" vm1-disk0 --tracker
check_both "what a tracker's frozen epoch changed is sent" "0 0"
check "it, and nothing else, is changed" cmp "$TMPDIR/want" "$onto"
cp "$before" "$onto"
echo "0 1" >"$FAKE_KERNEL/vm1-disk0/suspect"
dd if="$source" of="$onto" bs=64K skip=16 seek=16 count=1 conv=notrunc,fsync status=none
transfer_by_hand "" vm1-disk0 --tracker
check_both "what a tracker has only by guess is compared first" "0 0"
check "and sent where it differs" grep -q ': done. 8 KiB covered' "$TMPDIR/send"
check "which gives the same disk" cmp "$TMPDIR/want" "$onto"
check_equal "the image is gone" "$(ls "$FAKE_KERNEL/.images")" ""
check_equal "and the epoch is still frozen: who got it commits it" "$(<"$FAKE_KERNEL/vm1-disk0/epoch")" $epoch
