#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The guest's half of tests/e2e/cut-tracker.sh.
#
#	guest-tracker.sh <rounds> <seed> <block size> <flushes that the module leaves out>
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/powercut.bash"

powercut_attach
modprobe -a dm-mod libcrc32c
insmod "$(cbt_module faults)" skip_flush="$4"
origin=$(powercut_device origin) store=$(powercut_device store)
# the least log, so that there is a checkpoint every few transactions
uuid=$(cbtctl format --log-size 64K --block-size "$3" "$origin" "$store")
powercut_mark begin
"$top/build/tests/vm/cut_tracker" "$origin" "$store" "$(powercut_device replica)" \
	"$(powercut_device control)" "$uuid" "$1" "$2"
powercut_mark cut
