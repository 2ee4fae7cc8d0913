# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Sourced by the tests of the transfer workers, after lib.sh.

requires python3 jq

vm=5a1e7a3c-91c1-4a59-9a52-3f6d0c1b2a01
epoch=5a1e7a3c-91c1-4a59-9a52-3f6d0c1b2a02
base=5a1e7a3c-91c1-4a59-9a52-3f6d0c1b2a03

# make_plan <file> <disk>...: disks as disk_plan prints them.
make_plan()
{
	local file=$1
	shift
	printf '%s\n' "$@" | jq -s --arg vm $vm --arg epoch $epoch --arg base $base \
		'{version: 1, vm: $vm, epoch: $epoch, base: $base, disks: .}' >"$file"
}

# disk_plan <path> <size> [<source as JSON>]
disk_plan()
{
	jq -nc --arg path "$1" --argjson size "$2" --argjson source "${3:-null}" \
		--arg name "disk${4:-0}" \
		'{name: $name, size: $size, path: $path} + if $source then {source: $source} else {} end'
}

# with <plan> <jq filter>: a changed copy; prints its name.
with()
{
	local changed=$TMPDIR/changed-$RANDOM$RANDOM.json

	jq "$2" "$1" >"$changed"
	echo "$changed"
}

# transfer <sender's plan> <receiver's plan> [<option of transfer.py>]...: results in
# $send_status, $send_report, $receive_status, $receive_report.
# shellcheck disable=SC2034 # they are for the tests
transfer()
{
	local out

	out=$("$top/tests/e2e/transfer.py" "$@")
	read -r _ send_status send_report < <(grep '^send ' <<<"$out")
	read -r _ receive_status receive_report < <(grep '^receive ' <<<"$out")
}

send_get() { jq -r ".$1" <<<"$send_report"; }
receive_get() { jq -r ".$1" <<<"$receive_report"; }

# check_done <claim>: both sides ended well and agree on the digest.
check_done()
{
	if [ "$send_status$receive_status" = 00 ] &&
		[ "$(send_get event)$(receive_get event)" = donedone ] &&
		[ "$(send_get digest)" = "$(receive_get digest)" ]; then
		ok "$1"
	else
		not_ok "$1"
		diag "send $send_status $send_report"
		diag "receive $receive_status $receive_report"
	fi
}

# check_failed <claim> <side> <status> <extended regex on code and text>: status as
# for check_fails.
check_failed()
{
	local status=${2}_status report=${2}_report

	status=${!status}
	if { [ "$status" = "$3" ] || { [ "$3" = any ] && [ "$status" != 0 ]; }; } &&
		[ "$(jq -r .event <<<"${!report}")" = failed ] &&
		jq -r '"\(.code) \(.text)"' <<<"${!report}" | grep -qE -- "$4"; then
		ok "$1"
	else
		not_ok "$1"
		diag "expected $2 to end with $3 and /$4/"
		diag "send $send_status $send_report"
		diag "receive $receive_status $receive_report"
	fi
}
