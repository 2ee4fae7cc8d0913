#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Takes up what cuts left: disks originN and storeN become trackers. Prints a line "map N START LENGTH"
# for each run of dirty blocks.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/powercut.bash"

powercut_attach
modprobe -a dm-mod libcrc32c
insmod "$(cbt_module)"
for name in $powercut_names; do
	[[ $name == store* ]] || continue
	number=${name#store}
	origin=$(powercut_device "origin$number")
	dmsetup create "cut$number" \
		--table "0 $(blockdev --getsz "$origin") cbt $origin $(powercut_device "$name")"
	cbtctl map "cut$number" | sed "s/^/map $number /"
	dmsetup status "cut$number" | sed "s/^/status $number /"
	dmsetup remove "cut$number"
done
