#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Invariant I1: after a power cut at any moment the map that the store gives back covers every block
# in which the origin differs from what the receiver holds. A run of the module on disks that record
# is cut many times; see tests/vm/cut_tracker.c for what runs and tests/powercut/check_tracker.c for
# what is checked.
#
# e2e: timeout=400 long=7200
. "$(dirname "$0")/../lib.sh"
. "$top/tests/powercut/powercut.bash"
. "$top/tests/powercut/tracker.bash"
requires nbdkit qemu-system-x86_64

check_tracker=$top/build/tests/powercut/check_tracker
seed=$(new_seed)
cuts=$(required 200 5000)
rounds=$(required 8 60)
again=$(required 3 7)
if [ -n "${CHECK_LONG:-}" ]; then
	tracker_timeout=1500
	runs=(6.1,5G,4K 6.12,5G,4K 6.1,1T,64K 6.12,1T,64K)
else
	runs=(6.1,5G,4K)
fi

committed() { [ "$(sed -n 's/^commits=\([0-9]*\) .*/\1/p' "$1/out")" -ge $((rounds / 4)) ]; }

# Cuts of a directory's log are right; tells what they hit.
survives()
{
	local claim=$1 dir=$2

	check "$claim, seed $seed" "$check_tracker" --seed "$seed" --cuts "$cuts" "$dir/log"
}

# notices <claim> <directory> <promise of a disk that it does not keep>
notices()
{
	check_fails "$1" 1 'not dirty|was committed|cannot be opened|fingerprint' \
		"$check_tracker" --seed "$seed" --cuts 200 --ignore "$3" "$2/log"
}

# The map that the module finds after some cuts is the one that was checked.
module_agrees()
{
	local dir=$1 kernel=$2 size=$3 disks=() i

	mkdir "$dir/again"
	for ((i = 0; i < again; i++)); do
		"$top/build/tests/powercut/powercut" cut --seed $((seed + i)) "$dir/log" "$dir/cut$i"
		"$check_tracker" --map --seed $((seed + i)) "$dir/log" | sed "s/^/map $i /"
		disks+=("origin$i:$size:$dir/cut$i/origin" "store$i:64M:$dir/cut$i/store")
	done >"$dir/expected"
	powercut_start "$dir/again" "${disks[@]}"
	timeout 280 "$top/scripts/vm" --kernel "$kernel" --timeout 270 "${powercut_vm[@]}" -- \
		"$top/tests/powercut/guest-tracker-again.sh" >"$dir/again/out"
	powercut_stop
	diff <(grep '^map ' "$dir/again/out") "$dir/expected"
}

for run in "${runs[@]}"; do
	IFS=, read -r kernel size block <<<"$run"
	dir=$TMPDIR/$kernel-$size
	check "a tracker of $size runs on $kernel until the cut" \
		tracker_run "$dir" "$kernel" "$rounds" "$seed" "$size" "$block" 0
	[ "$test_failures" = 0 ] || bail "there is nothing to cut: $(<"$dir/out")"
	check "... and epochs were committed" committed "$dir"
	survives "the map covers what differs after each of $cuts cuts" "$dir"
	notices "a store that ignores FUA would be noticed" "$dir" fua:store
	notices "... and one that ignores flushes" "$dir" flush:store
	notices "... and an origin that ignores flushes" "$dir" flush:origin
	check "the module finds the same map after $again of them" module_agrees "$dir" "$kernel" "$size"
	rm -r "$dir"
done
if [ -n "${CHECK_LONG:-}" ]; then
	check "each flush of the module is needed" "$top/scripts/check-flushes" module
fi
