# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Helpers for shell tests. A test starts with
#
#	#!/bin/bash
#	# SPDX-License-Identifier: GPL-2.0-or-later
#	# What this file is about.
#	#
#	# vm: disk=1G timeout=120		(tests/vm only, see scripts/run-tests)
#	. "$(dirname "$0")/../lib.sh"
#
# and calls `ok`, `not_ok` or `check` once per claim. It runs under `set -euo
# pipefail`: a command that fails where nobody looked ends the test as failed. The
# plan is printed at the end. $TMPDIR is the test's own, empty and removed later.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# what was built comes first
PATH=$top/build/bin:$PATH
: "${TMPDIR:=/tmp}"

test_points=0
test_failures=0
test_done=
test_cleanups=()

# ok <claim>: the claim holds.
ok()
{
	test_points=$((test_points + 1))
	echo "ok $test_points - $*"
}

# not_ok <claim>: it does not; the test goes on.
not_ok()
{
	test_points=$((test_points + 1))
	test_failures=$((test_failures + 1))
	echo "not ok $test_points - $*"
}

# skip <claim> <reason>: it cannot be tested here.
skip()
{
	test_points=$((test_points + 1))
	echo "ok $test_points - $1 # SKIP $2"
}

# diag <text>: for whoever reads a failure. Also reads stdin when given none.
diag()
{
	if [ $# -gt 0 ]; then
		echo "# ${*//$'\n'/$'\n# '}"
	else
		sed 's/^/# /'
	fi
}

# check <claim> <command>...: ok when the command succeeds; shows its output when
# not.
check()
{
	local claim=$1 out rc=0
	shift

	out=$("$@" 2>&1) || rc=$?
	if [ "$rc" = 0 ]; then
		ok "$claim"
	else
		not_ok "$claim"
		diag "exit status $rc: $*"
		diag "$out"
	fi
}

# check_equal <claim> <got> <expected>
check_equal()
{
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1"
		diag "got:      $2"
		diag "expected: $3"
	fi
}

# check_fails <claim> <status> <extended regex> <command>...: the command ends with
# this status ("any": any but 0) and what it prints matches.
check_fails()
{
	local claim=$1 status=$2 regex=$3 out rc=0
	shift 3

	out=$("$@" 2>&1) || rc=$?
	if { [ "$rc" = "$status" ] || { [ "$status" = any ] && [ "$rc" != 0 ]; }; } &&
		grep -qE -- "$regex" <<<"$out"; then
		ok "$claim"
	else
		not_ok "$claim"
		diag "exit status $rc, expected $status with /$regex/: $*"
		diag "$out"
	fi
}

# bail <reason>: the rest makes no sense; the test fails.
bail()
{
	diag "$*"
	exit 1
}

# skip_all <reason>: nothing of this file can be tested here.
skip_all()
{
	echo "1..0 # SKIP $*"
	test_done=1
	exit 0
}

# requires <what>...: skip the whole file when one is missing. What is a command
# in PATH, "root", "loop" (a loop device can be set up) or a path.
requires()
{
	local what

	for what in "$@"; do
		case $what in
		root) [ "$(id -u)" = 0 ] || skip_all "not root" ;;
		loop)
			losetup -f >/dev/null 2>&1 || skip_all "no loop devices"
			;;
		/*) [ -e "$what" ] || skip_all "no $what" ;;
		*)
			command -v "$what" >/dev/null || skip_all "no $what"
			;;
		esac
	done
}

# cleanup_fn <command>...: run at the end, whatever happens; last in, first out.
cleanup_fn()
{
	test_cleanups+=("$(printf '%q ' "$@")")
}

# wait_for <seconds> <command>...: until the command succeeds; false when the time
# is up first. Use this, not sleep.
wait_for()
{
	local deadline=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
	shift

	until "$@"; do
		[ "${EPOCHREALTIME/[.,]/}" -lt "$deadline" ] || return 1
		sleep 0.05
	done
}

# required <check> <long>: how often a seeded test goes round: <long> times in `make
# check-long`, an eighth of <check> on the debug kernel. tests/count.h is the same in C.
required()
{
	if [ -n "${CHECK_LONG:-}" ]; then
		echo "$2"
	elif [ -n "${CHECK_SHORT:-}" ]; then
		echo $((($1 + 7) / 8))
	else
		echo "$1"
	fi
}

# new_seed: a number, or the one of a run to be repeated, from CHECK_SEED.
new_seed()
{
	echo "${CHECK_SEED:-$((RANDOM << 30 ^ RANDOM << 15 ^ RANDOM))}"
}

# check_count <claim> <seed> <done> <required>: ok when enough was done; says what to
# repeat a failure with.
check_count()
{
	diag "seed=$2 done=$3/required=$4"
	if [ "$3" -ge "$4" ]; then
		ok "$1"
	else
		not_ok "$1: only $3 of $4"
	fi
}

# cbt_module [faults]: path of dm-cbt.ko for the running kernel.
cbt_module()
{
	local short _ release

	while read -r short release _; do
		if [ "$release" = "$(uname -r)" ]; then
			echo "$top/build/kmod-$short${1:+-$1}/dm-cbt.ko"
			return
		fi
	done < <("$top/scripts/kernels" --all)
	return 1
}

# insmod_cbt [faults] [parameter=value]...: load the module, or the flavour that
# injects faults; it is removed at the end.
insmod_cbt()
{
	local flavour=

	if [ "${1:-}" = faults ]; then
		flavour=faults
		shift
	fi
	modprobe -a dm-mod libcrc32c
	# an emulated disk on a busy machine may stand still for longer than the default allows
	insmod "$(cbt_module $flavour)" copy_stall_ms=5000 "$@"
	cleanup_fn rmmod dm_cbt
}

# unit_capabilities: what systemd leaves failbackd, and so its workers, as setpriv takes it
unit_capabilities()
{
	sed -nE '/^CapabilityBoundingSet=/{s///; y/ABCDEFGHIJKLMNOPQRSTUVWXYZ /abcdefghijklmnopqrstuvwxyz,/; s/cap_/+/g; s/^/-all,/p}' \
		"$top/user/systemd/failbackd.service.in" | grep .
}

# loop_file <path> <size>: make a sparse file and print the loop device on it. In a
# subshell as it is mostly called, cleanup_fn is lost: detach with
# `cleanup_fn losetup -d "$dev"`.
loop_file()
{
	truncate -s "$2" "$1"
	losetup --find --show "$1"
}

test_end()
{
	local rc=$? i

	trap - EXIT
	set +e
	for ((i = ${#test_cleanups[@]} - 1; i >= 0; i--)); do
		if ! eval "${test_cleanups[i]}"; then
			diag "clean-up failed: ${test_cleanups[i]}"
			[ "$rc" != 0 ] || rc=1
		fi
	done
	[ -n "$test_done" ] || [ "$rc" != 0 ] || echo "1..$test_points"
	[ "$rc" != 0 ] || [ "$test_failures" = 0 ] || rc=1
	exit "$rc"
}
trap test_end EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
# name the line that ended a test
trap 'echo "# ${BASH_SOURCE[0]##*/}:$LINENO: exit status $?: $BASH_COMMAND"' ERR
