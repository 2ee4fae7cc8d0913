#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What is refused before a byte is written: plans that do not agree, targets that are
# not fit, plans that are wrong. Each with its own sentence and code.
#
# e2e: timeout=300
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/transfer.bash"

size=$((1 << 20))
source=$TMPDIR/source target=$TMPDIR/target before=$TMPDIR/before
head -c $size /dev/urandom >"$source"
head -c $size /dev/urandom >"$before"
cp "$before" "$target"
make_plan "$TMPDIR/s" "$(disk_plan "$source" $size '{"all": true}')"
make_plan "$TMPDIR/r" "$(disk_plan "$target" $size)"

unchanged()
{
	check "${1:-} changes nothing" cmp "$before" "$target"
}

# --- two plans that do not agree ---

other=00000000-0000-4000-8000-000000000001

# disagree <claim> <jq filter for the sender> <regex>
disagree()
{
	transfer "$(with "$TMPDIR/s" "$2")" "$TMPDIR/r"
	check_failed "another $1: the receiver refuses" receive 17 "^32775 $3"
	check_failed "another $1: the sender hears it" send 17 "^32775 the peer: $3"
	unchanged "another $1"
}

disagree vm ".vm = \"$other\"" "the sender's virtual machine is $other, the receiver expects $vm"
disagree epoch ".epoch = \"$other\"" "the sender's epoch is $other, the receiver expects $epoch"
disagree base ".base = \"$other\"" "the sender's base is $other, the receiver expects $base"
disagree "base (none)" ".base = null" "the sender's base is none, the receiver expects $base"
disagree size ".disks[0].size = $((size - 512))" "the sender's disk disk0 has $((size - 512)) bytes"
disagree "disk name" '.disks[0].name = "sda"' "disk 0 of the sender is sda, the receiver expects disk0"

# --- targets ---

# target_refused <claim> <path> <status> <code and regex>
target_refused()
{
	transfer "$TMPDIR/s" "$(with "$TMPDIR/r" ".disks[0].path = \"$2\"")"
	check_failed "$1: the receiver refuses" receive "$3" "$4"
	check_failed "$1: the sender hears it" send "$3" "${4/ / the peer: }"
}

target_refused "a target that is missing" "$TMPDIR/none" 21 "^32779 disk disk0: $TMPDIR/none does not exist"
target_refused "a directory" "$TMPDIR" 15 "^32773 disk disk0: $TMPDIR is a directory"
target_refused "a character device" /dev/null 15 "^32773 disk disk0: /dev/null is neither"
truncate -s $((size - 512)) "$TMPDIR/small"
target_refused "a target that is too small" "$TMPDIR/small" 15 \
	"^32773 disk disk0: $TMPDIR/small has $((size - 512)) bytes, fewer than the $size of the plan"

exec 8<"$target"
flock 8
target_refused "a file that another transfer has" "$target" 16 "^32774 disk disk0: $target is in use by another transfer"
(sleep 2 && flock --unlock 8) &
transfer "$TMPDIR/s" "$TMPDIR/r"
check_done "one that it lets go of soon is waited for"
exec 8<&-
cp "$before" "$target"

# --- sources ---

transfer "$(with "$TMPDIR/s" ".disks[0].path = \"$TMPDIR/none\"")" "$TMPDIR/r"
check_failed "a source that is missing: the sender refuses" send 21 "^32779 disk disk0: "
check_failed "a source that is missing: the receiver hears it" receive 21 "^32779 the peer: "
printf '0 512\n256 512\n' >"$TMPDIR/extents"
transfer "$(with "$TMPDIR/s" ".disks[0].source = {extents: \"$TMPDIR/extents\"}")" "$TMPDIR/r"
check_failed "a wrong extent: its line is named" send 15 "^32773 line 2 of $TMPDIR/extents is not aligned"
printf '%d 1024\n' $((size - 512)) >"$TMPDIR/extents"
transfer "$(with "$TMPDIR/s" ".disks[0].source = {extents: \"$TMPDIR/extents\"}")" "$TMPDIR/r"
check_failed "an extent beyond the disk is refused" send 15 "^32773 the last extent in .* ends beyond"
transfer "$(with "$TMPDIR/s" '.disks[0].source = {tracker: "failback-none"}')" "$TMPDIR/r"
check_failed "a tracker that is not there is refused" send any '^(32777|32779) '
unchanged "a wrong source"

# --- plans; exit status 2, and the peer is told ---

# plan_refused <jq filter> <regex>
plan_refused()
{
	transfer "$(with "$TMPDIR/s" "$1")" "$TMPDIR/r"
	check_failed "plan with $1 is refused" send 2 "$2"
}

plan_refused '.version = 2' '^32773 plan is of another version'
plan_refused 'del(.vm)' '^32773 plan lacks "vm"'
plan_refused '.vm = "x"' '^32776 plan: "vm" must be a UUID'
plan_refused '.vm = "00000000-0000-0000-0000-000000000000"' '^32776 plan: "vm" must be a UUID'
plan_refused '.epoch = null' '^32773 plan lacks "epoch"'
plan_refused '.base = 5' '^32776 plan: "base" must be a string'
plan_refused 'del(.base)' '^32773 plan lacks "base"'
plan_refused '.extra = 1' '^32773 plan has an unknown member "extra"'
plan_refused '.rate = 65535' '^32773 plan has a "rate" below 65536'
plan_refused '.compress = 1' '^32776 plan: "compress" must be'
plan_refused '.disks = []' '^32773 plan: "disks" may have 1 to 256'
plan_refused '.disks = {}' '^32776 plan: "disks" must be an array'
plan_refused '.disks[0] = 1' '^32776 plan: disks\[0\] must be an object'
plan_refused '.disks[0].size = "1"' '^32776 plan: disks\[0\]: "size" must be a whole number'
plan_refused '.disks[0].size = 1000' '^32773 plan: disks\[0\] needs .* a multiple of 512'
plan_refused '.disks[0].size = 0' '^32773 plan: disks\[0\] needs .* a multiple of 512'
plan_refused '.disks[0].fd = 3' '^32773 plan: disks\[0\] must have one of path and fd'
plan_refused 'del(.disks[0].path)' '^32773 plan: disks\[0\] must have one of path and fd'
plan_refused '.disks[0].path = ""' '^32773 plan: disks\[0\]: "path" is empty'
plan_refused '.disks[0].name = ""' '^32773 plan: disks\[0\] needs a name'
plan_refused '.disks[0].sise = 1' '^32773 plan: disks\[0\] has an unknown member "sise"'
plan_refused 'del(.disks[0].source)' '^32773 plan: disks\[0\] lacks "source"'
plan_refused '.disks[0].source = 1' '^32776 plan: disks\[0\].source must be an object'
plan_refused '.disks[0].source = {}' '^32773 plan: disks\[0\]\.source must have exactly one'
plan_refused '.disks[0].source = {all: false}' '^32773 plan: disks\[0\]\.source has an "all" that is not true'
plan_refused '.disks[0].source = {map: "x"}' '^32773 plan: disks\[0\]\.source has an unknown member "map"'
plan_refused '.disks[0].source.guessed = []' '^32773 plan: disks\[0\]\.source has "guessed", which only'
plan_refused '.disks[0].source = {tracker: "x", guessed: [0]}' '"guessed" of other than pairs'
plan_refused '.disks[0].source = {tracker: "x", guessed: [4096, 4096, 0, 512]}' '"guessed" that is not ascending'
plan_refused '[.]' '^32776 plan is not a JSON object'
check_failed "the receiver hears of a plan that is refused" receive any "^3277[36] the peer: plan "
transfer "$TMPDIR/s" "$(with "$TMPDIR/r" '.disks[0].source = {all: true}')"
check_failed "a receiver takes no source" receive 2 '^32773 plan: disks\[0\] has an unknown member "source"'
unchanged "a wrong plan"
check_fails "a wrong command line is refused" 2 '^usage: failback-send' failback-send
check_fails "so is one that is no number" 2 '^usage: failback-receive' failback-receive --connection x

# --- block devices in use ---

if [ "$(id -u)" != 0 ] || ! losetup -f >/dev/null 2>&1; then
	skip "a block device in use is refused" "needs root and loop devices"
	exit 0
fi
dev=$(losetup --find --show "$target")
cleanup_fn losetup -d "$dev"
exec 8<"$dev"
python3 - "$dev" >"$TMPDIR/claimed" <<'PYTHON' &
import os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_EXCL)
print("claimed", flush=True)
time.sleep(100)
PYTHON
claimer=$!
cleanup_fn eval "kill $claimer 2>/dev/null || true"
wait_for 60 grep -q claimed "$TMPDIR/claimed"
target_refused "a device that someone claimed" "$dev" 16 "^32774 disk disk0: $dev is in use: python3 .PID [0-9]+. has it open for writing"
kill $claimer
wait $claimer 2>/dev/null || true
exec 8<&-

ro=$(losetup --find --show --read-only "$before")
cleanup_fn losetup -d "$ro"
target_refused "a read-only device" "$ro" 11 "^32769 disk disk0: $ro is read-only"
unchanged "a device in use"

mkfs.ext4 -q -O ^has_journal "$dev"
mkdir "$TMPDIR/mnt"
if mount "$dev" "$TMPDIR/mnt"; then
	target_refused "a device that is mounted" "$dev" 16 "^32774 disk disk0: $dev is in use: it is mounted on $TMPDIR/mnt"
	umount "$TMPDIR/mnt"
else
	skip "a device that is mounted: the receiver refuses" "cannot mount"
fi
if dmsetup create "failback-e2e-$$" --table "0 $((size / 512)) linear $dev 0" 2>/dev/null; then
	target_refused "a device that is mapped" "$dev" 16 \
		"^32774 disk disk0: $dev is in use: device failback-e2e-$$ is built on it"
	dmsetup remove --retry "failback-e2e-$$"
else
	skip "a device that is mapped: the receiver refuses" "no device-mapper"
fi
transfer "$TMPDIR/s" "$(with "$TMPDIR/r" ".disks[0].path = \"$dev\"")"
check_done "the same device is taken once it is free"
check "and becomes equal" cmp "$source" "$dev"
