#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the demo says before it boots anything.
. "$(dirname "$0")/../lib.sh"

mkdir "$TMPDIR/tree"
cp -a "$top/scripts" "$TMPDIR/tree/"
check_fails "without the module it says how to build it" 1 'no build/kmod-6.12/dm-cbt.ko: .*make all' \
	"$TMPDIR/tree/scripts/demo" --kernel 6.12
check_fails "with a fault to inject it wants that flavour" 1 'no build/kmod-6.1-faults/dm-cbt.ko' \
	"$TMPDIR/tree/scripts/demo" --drop-block 0
check_fails "a kernel that is not there is named" 1 'kernel 4.9 is not prepared' \
	"$TMPDIR/tree/scripts/demo" --kernel 4.9
check_fails "an unknown option is wrong usage" 2 'usage: scripts/demo' "$TMPDIR/tree/scripts/demo" --nosuch 1
