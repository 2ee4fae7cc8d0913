# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Invariant I1 of a tracker in a virtual machine: each block in which its origin differs from the
# base is in its map. Sourced after tests/lib.sh.

# mapped <tracker>: blocks that its maps say may differ, one number a line, as comm wants them. An
# epoch that begins or ends after the first extent was printed ends the reading: it is read again.
mapped()
{
	wait_for 60 eval "cbtctl map $1 --both >$TMPDIR/extents" || bail "the map cannot be read"
	awk '/^[0-9]/ { for (i = 0; i < $2; i++) print $1 + i }' "$TMPDIR/extents" | sort
}

# differing <disk> <disk>: blocks in which they differ, in the same form
differing()
{
	sync
	echo 3 >/proc/sys/vm/drop_caches
	blockdev --flushbufs "$1" "$2"
	"$top/tests/differing.py" "$1" "$2" | sort
}

# check_covered <claim> <tracker> <origin> <base>: and something differs
check_covered()
{
	differing "$3" "$4" >"$TMPDIR/differing"
	mapped "$2" >"$TMPDIR/mapped"
	check_equal "$1" "$(comm -23 "$TMPDIR/differing" "$TMPDIR/mapped" | wc -l)" 0
	check "... of those that differ" test -s "$TMPDIR/differing"
	diag "differing $(wc -l <"$TMPDIR/differing"), mapped $(wc -l <"$TMPDIR/mapped")," \
		"excess $(comm -13 "$TMPDIR/differing" "$TMPDIR/mapped" | wc -l)"
}
