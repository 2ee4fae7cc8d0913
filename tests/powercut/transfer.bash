# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# A recorded run of transfers through a journal, for tests/e2e/transfer-cuts.sh and scripts/check-flushes. Both
# source tests/lib.sh and powercut.bash first.

# transfer_run <directory> <rounds> <seed>: leaves <directory>/log and <directory>/out.
transfer_run()
{
	local dir=$1 rc=0
	mkdir "$dir" "$dir/first"

	# as tests/e2e/transfer_cuts.py has the disks; the journal has room for a delta of all of them
	"$top/tests/e2e/transfer_cuts.py" begin --seed "$3" "$dir/first"
	powercut_start "$dir" "target0:2M:$dir/first/target0" "target1:1M:$dir/first/target1" journal:5M
	timeout "$transfer_timeout" "$top/scripts/vm" --kernel 6.1 --timeout $((transfer_timeout - 10)) \
		"${powercut_vm[@]}" -- "$top/tests/powercut/guest-transfer.sh" "$2" "$3" >"$dir/out" 2>&1 || rc=$?
	powercut_stop
	[ "$rc" = 0 ] || cat "$dir/out"
	return $rc
}
transfer_timeout=${CHECK_LONG:+1500}
transfer_timeout=${transfer_timeout:-280}

# transfer_check <directory> <seed of the run> <first cut> <number of cuts> [<option of powercut>]...: the replica
# after each cut, and once it goes on.
transfer_check()
{
	local dir=$1 seed=$2 first=$3 cuts=$4
	shift 4

	mkdir -p "$dir/sources"
	"$top/build/tests/powercut/powercut" check --seed "$first" --cuts "$cuts" --fresh "$@" "$dir/log" "$dir/cut" \
		-- "$top/tests/e2e/transfer_cuts.py" cut --seed "$seed" "$dir/sources"
}
