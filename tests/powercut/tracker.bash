# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# A recorded run of a tracker, for tests/e2e/cut-tracker.sh and scripts/check-flushes. Both source
# tests/lib.sh and powercut.bash first.

# tracker_run <directory> <kernel> <rounds> <seed> <size of the disk> <size of a block> <flushes left out>:
# leaves <directory>/log and <directory>/out, where the guest says how many epochs were committed.
tracker_run()
{
	local dir=$1 rc=0
	mkdir "$dir"

	powercut_start "$dir" "origin:$5" store:64M "replica:$5"
	timeout "$tracker_timeout" "$top/scripts/vm" --kernel "$2" --timeout $((tracker_timeout - 10)) \
		"${powercut_vm[@]}" -- "$top/tests/powercut/guest-tracker.sh" "$3" "$4" "$6" "$7" \
		>"$dir/out" || rc=$?
	powercut_stop
	[ "$rc" = 0 ] || cat "$dir/out"
	return $rc
}
tracker_timeout=280
