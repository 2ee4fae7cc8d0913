#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The demo would notice one lost bit: with the module that drops the bit of block 0, the ext4
# superblock, it says that the disks differ. Without, that they do not.
#
# e2e: timeout=600
. "$(dirname "$0")/../lib.sh"
requires root qemu-system-x86_64

# demo <option>...: sets $rc and $last, the last line
demo()
{
	rc=0
	"$top/scripts/demo" "$@" >"$TMPDIR/out" 2>&1 || rc=$?
	last=$(tail -n 1 "$TMPDIR/out")
	diag "$last"
}

demo --kernel 6.12
if [ "$rc" = 0 ] && [[ $last =~ ^demo:\ identical=yes\ disk=65536\ changed=[0-9]+\ sent=[0-9]+\ seconds=[0-9.]+$ ]]; then
	ok "a reverse while the disk is in use ends with identical disks"
else
	not_ok "a reverse while the disk is in use ends with identical disks"
	diag <"$TMPDIR/out"
fi

demo --kernel 6.1 --drop-block 0
if [ "$rc" = 1 ] && [[ $last == "demo: identical=no "* ]]; then
	ok "one lost bit makes the demo end with identical=no and status 1"
else
	not_ok "one lost bit makes the demo end with identical=no and status 1"
	diag <"$TMPDIR/out"
fi
