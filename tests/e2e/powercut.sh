#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The disks of tests/powercut keep what they promise and lose the rest: ext4 survives every cut, and
# one that ignores flushes is found out.
#
# e2e: timeout=180 long=3600
. "$(dirname "$0")/../lib.sh"
. "$top/tests/powercut/powercut.bash"
requires nbdkit qemu-system-x86_64 debugfs e2fsck

powercut=$top/build/tests/powercut/powercut
seed=$(new_seed)
cuts=$(required 30 1000)
files=$(required 60 400)

powercut_start "$TMPDIR" ext4:64M raw:1T
check "a guest runs on the disks until the cut" timeout 170 "$top/scripts/vm" --kernel 6.1 --timeout 160 \
	"${powercut_vm[@]}" -- "$top/tests/powercut/guest-ext4.sh" "$files"
powercut_stop
"$powercut" print "$TMPDIR/log" >"$TMPDIR/records"
diag "$(wc -l <"$TMPDIR/records") records"

# disk=1 is raw
logged() { grep -qE "$1" "$TMPDIR/records"; }
trimmed() { awk -F'[ +]' '/ trim disk=1/ { sum += $5 } END { exit sum < 2 ^ 40 }' "$TMPDIR/records"; }
check "FUA reaches the disks" logged ' write disk=1 .* fua'
check "flushes reach the disks" logged ' flush disk=1'
check "a discard of 1 TiB reaches the disks" trimmed
check "the guest's marks are in the log" logged " mark synced $((files - 1))\$"

mkdir "$TMPDIR/cut"
check "what was synced is there after each of $cuts cuts, seed $seed" \
	"$powercut" check --seed "$seed" --cuts "$cuts" --fresh "$TMPDIR/log" "$TMPDIR/cut" \
	-- "$top/tests/powercut/check-ext4"
check_fails "a disk that ignores flushes is found out" 1 'missing or wrong|broken' \
	"$powercut" check --seed "$seed" --cuts "$cuts" --fresh --ignore flush:ext4 "$TMPDIR/log" "$TMPDIR/cut" \
	-- "$top/tests/powercut/check-ext4"
check_fails "and so is one that ignores FUA" 1 'missing or wrong|broken' \
	"$powercut" check --seed "$seed" --cuts "$cuts" --fresh --ignore fua:ext4 "$TMPDIR/log" "$TMPDIR/cut" \
	-- "$top/tests/powercut/check-ext4"
check "one cut is built again from its seed" \
	"$powercut" cut --seed "$seed" "$TMPDIR/log" "$TMPDIR/again"
mkdir "$TMPDIR/second"
powercut_start "$TMPDIR/second" "ext4:64M:$TMPDIR/again/ext4"
powercut_stop
"$powercut" cut "$TMPDIR/second/log" "$TMPDIR/second/cut"
check "what a cut left can be served again" cmp "$TMPDIR/again/ext4" "$TMPDIR/second/cut/ext4"
check_fails "a file that is no log is refused" 2 'this is no log' \
	"$powercut" check /etc/hostname "$TMPDIR/cut" -- true
