#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# cbtctl against the module: what it says, in which form, and with which exit status.
#
# vm: disk=64M disk=1G disk=1M timeout=300 quick=6.12
. "$(dirname "$0")/../lib.sh"
requires root dmsetup jq

nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

# track <name> <device> [<option> <value>...]
track()
{
	local name=$1 dev=$2
	shift 2

	dmsetup create "$name" --table \
		"0 $(blockdev --getsz "$dev") cbt $dev -${1:+ $# $*}"
	cleanup_fn dmsetup remove "$name"
	dmsetup mknodes "$name"
}

# write_blocks <name> <first> <number>: of 4 KiB.
write_blocks()
{
	dd if=/dev/urandom of="/dev/mapper/$1" bs=4k seek="$2" count="$3" oflag=direct \
		status=none
}

# field <jq expression> <command>...: of what cbtctl --json prints.
field() { cbtctl "${@:2}" --json | jq -r "$1"; }

new_uuid() { cat /proc/sys/kernel/random/uuid; }

# one_sentence <command>...: nothing on stdout, one line on stderr.
one_sentence()
{
	local out err

	err=$(mktemp)
	out=$("$@" 2>"$err") || true
	diag "$(<"$err")"
	[ -z "$out" ] && [ "$(wc -l <"$err")" = 1 ] && grep -q '^cbtctl' "$err"
}

### without the module

modprobe -r dm_cbt 2>/dev/null || true
check_fails "without the module, what to load is said" 19 \
	'^cbtctl: dm-cbt is not loaded: modprobe dm-cbt' cbtctl list
check "... in one sentence, and not on stdout" one_sentence cbtctl list --json

insmod_cbt

### list and show

check_equal "without trackers the list is its titles" \
	"$(cbtctl list)" "NAME  SIZE  BLOCK  DIRTY  FROZEN  STATE  UUID"
check_equal "... and an empty array" "$(cbtctl list --json)" '{"schema":1,"trackers":[]}'

track vm2 /dev/vdb block_size 128
track vm1 /dev/vda
uuid=$(field .tracker.uuid show vm1)

check_equal "the list is sorted by name" \
	"$(cbtctl list | awk '{ print $1 }' | xargs)" "NAME vm1 vm2"
check_equal "the list shows sizes for people" \
	"$(cbtctl list | awk '$1 == "vm2" { print $2, $3, $4, $5, $6, $7, $8, $9 }')" \
	"1 GiB 64 KiB 0 B - volatile"
check_equal "list --json has the exact figures" \
	"$(field '.trackers[] | select(.name == "vm2") | [.size_bytes, .block_bytes] | join(" ")' \
		list)" "1073741824 65536"
check_equal "a tracker can be named by its UUID" "$(field .tracker.name show "$uuid")" vm1
check_equal "... in upper case, too" "$(field .tracker.name show "${uuid^^}")" vm1
check_equal "show tells the origin" "$(field .tracker.origin_path show vm1)" /dev/vda
check_equal "... and the mapped device" \
	"$(field .tracker.device show vm1)" "$(dmsetup info -c --noheadings -o major,minor vm1)"
check_equal "a new tracker is in its first epoch" \
	"$(field '.tracker | [.generation, .epoch, .dirty.blocks, .frozen, .base] | tojson' show vm1)" \
	"[1,1,0,null,null]"
check_equal "show lines up its labels" \
	"$(cbtctl show vm1 | grep -c '^[A-Z][A-Za-z]*  *[^ ]')" "$(cbtctl show vm1 | wc -l)"

### map

check_equal "an empty map has no extents" "$(cbtctl map vm1)" ""
check_equal "... and is whole JSON" \
	"$(field '[.unit, .extents, .ranges, .blocks, .bytes] | tojson' map vm1)" '["blocks",[],0,0,0]'

write_blocks vm1 3 2
write_blocks vm1 100 1
write_blocks vm1 16383 1
extents=$'3 2\n100 1\n16383 1'
check_equal "the extents are those written" "$(cbtctl map vm1)" "$extents"
check_equal "--active shows the same" "$(cbtctl map --active vm1)" "$extents"
check_equal "--bytes shows them in bytes" "$(cbtctl map vm1 --bytes)" \
	$'12288 8192\n409600 4096\n67104768 4096'
check_equal "--start leaves out what is before it" "$(cbtctl map vm1 --start 4)" \
	$'4 1\n100 1\n16383 1'
check_equal "--start past the end shows nothing" "$(cbtctl map vm1 --start 99999999999)" ""
check_equal "--json streams the extents" \
	"$(field '[.which, .unit, .extents, .ranges, .blocks, .bytes] | tojson' map vm1)" \
	'["both","blocks",[[3,2],[100,1],[16383,1]],3,4,16384]'
check_equal "--json --bytes, too" "$(field '.extents[0] | tojson' map vm1 --bytes)" "[12288,8192]"
check_equal "--totals sums up" "$(cbtctl map --totals vm1)" \
	$'Ranges  3\nBlocks  4\nSize    16 KiB, 16384 bytes\nShare   0.02 % of 64 MiB'
check_equal "--json --totals has no extents" \
	"$(field '[.extents, .ranges, .blocks, .bytes] | tojson' map --totals vm1)" '[null,3,4,16384]'
check_equal "show counts the dirty blocks" "$(field .tracker.dirty.blocks show vm1)" 4
check_fails "without a frozen epoch there is no frozen map" 17 \
	'cannot read the map of vm1: no epoch is frozen; .cbtctl show. ' cbtctl map --frozen vm1
check "... and no part of one" one_sentence cbtctl map --frozen vm1 --json
check_fails "the active map goes with no epoch" 15 'vm1: .*epoch' \
	cbtctl map --active --epoch "$(new_uuid)" vm1
check_fails "a full disk is noticed" 10 'No space left' bash -c 'cbtctl map vm1 >/dev/full'
check_fails "... with --json, too" 10 'No space left' bash -c 'cbtctl map vm1 --json >/dev/full'
check_fails "a closed standard output is noticed" 10 'Bad file descriptor' \
	bash -c 'cbtctl map vm1 >&-'

# every second 4 KiB block of 16 MiB
fio --name=holes --filename=/dev/mapper/vm1 --offset=16m --size=16m --bs=4k --rw=write:4k \
	--direct=1 --ioengine=psync --output=/dev/null
check_equal "every second block is an extent of its own" \
	"$(cbtctl map vm1 --start 4096 | awk '$1 < 8192 && $2 == 1' | wc -l)" 2048
check_fails "a reader that went away is noticed" 10 'Broken pipe' \
	bash -c 'exec 3> >(exit 0); wait $!; cbtctl map vm1 --json >&3'

### freeze, commit, abort

epoch=$(cbtctl freeze vm1)
check "freeze makes an epoch and prints its UUID" \
	grep -qE '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' <<<"$epoch"
check_equal "show tells the frozen epoch" \
	"$(field '.tracker | [.epoch, .frozen.epoch, .frozen.uuid, .dirty.blocks] | tojson' show vm1)" \
	"[2,1,\"$epoch\",0]"
check_equal "the frozen map is the one that was active" \
	"$(cbtctl map --frozen --epoch "$epoch" vm1 | head -n 3)" $'3 2\n100 1\n4096 1'
write_blocks vm1 5 1
check_equal "the active map collects what comes after" "$(cbtctl map --active vm1)" "5 1"
check_equal "both are one" "$(cbtctl map vm1 | head -n 1)" "3 3"
check_fails "another epoch is not the frozen one" 17 'vm1: ' \
	cbtctl map --frozen --epoch "$(new_uuid)" vm1
check_equal "freezing it again changes nothing" "$(cbtctl freeze --epoch "$epoch" vm1)" "$epoch"
check_fails "a second epoch is refused" 16 \
	'^cbtctl: cannot freeze vm1: another epoch is frozen' cbtctl freeze vm1
check_fails "... for several trackers the one is named" 16 \
	'^cbtctl: cannot freeze vm2 and 1 other: vm1: another epoch' cbtctl freeze vm2 vm1
check_equal "... and none is frozen" "$(field .tracker.frozen show vm2)" null

check_equal "abort says nothing" "$(cbtctl abort --epoch "$epoch" vm1)" ""
check_equal "... and merges the epoch back" \
	"$(field '.tracker | [.frozen, .dirty.blocks] | tojson' show vm1)" "[null,2053]"
check "... and may be repeated" cbtctl abort --epoch "$epoch" vm1
check_fails "an aborted epoch is not committed" 17 'cannot commit vm1: ' \
	cbtctl commit --epoch "$epoch" vm1
check_fails "an epoch that was never frozen is not known" 17 'cannot commit vm1: ' \
	cbtctl commit --epoch "$(new_uuid)" vm1

epoch=$(new_uuid)
check_equal "several trackers are frozen as one, in the order asked" \
	"$(field '[.epoch, .trackers[].name, .trackers[].frozen.uuid] | join(" ")' \
		freeze --epoch "$epoch" vm2 vm1)" "$epoch vm2 vm1 $epoch $epoch"
check_equal "commit makes it the base of all" \
	"$(field '[.trackers[].base] | join(" ")' commit --epoch "$epoch" vm1 vm2)" "$epoch $epoch"
check "... and may be repeated" cbtctl commit --epoch "$epoch" vm1 vm2
check_fails "a committed epoch is not aborted" 17 'cannot abort vm1: ' \
	cbtctl abort --epoch "$epoch" vm1
check_fails "its UUID is not used again" 17 'cannot freeze vm1: ' \
	cbtctl freeze --epoch "$epoch" vm1
check_fails "a tracker cannot be named twice" 15 'named twice' cbtctl freeze vm1 vm1
check_fails "a freeze whose UUID cannot be printed says that it is done" 10 \
	'the freeze of epoch [-0-9a-f]{36} is done, but' bash -c 'cbtctl freeze vm2 >/dev/full'
cbtctl abort --epoch "$(field .tracker.frozen.uuid show vm2)" vm2

### refusals

check_fails "an unknown tracker is refused" 15 \
	'^cbtctl: cannot look up vm3: no such tracker; .cbtctl list. shows' cbtctl show vm3
check_fails "... by UUID, too" 15 'no such tracker' cbtctl show "$(new_uuid)"
check_fails "... among others it is named" 15 \
	'^cbtctl: cannot freeze vm1 and 1 other: vm3: no such tracker' cbtctl freeze vm1 vm3
check_equal "... and the others are not frozen" "$(field .tracker.frozen show vm1)" null
check_fails "a name that is too long is no tracker's" 15 'vm1|characters' \
	cbtctl show "$(printf 'x%.0s' {1..200})"
check_fails "more than 256 trackers are refused" 2 '257 trackers are named, 256 can be' \
	cbtctl freeze vm{1..257}
for command in "list" "show vm1" "map vm1" "freeze vm1" "commit --epoch $epoch vm1" \
	"abort --epoch $epoch vm1"; do
	# shellcheck disable=SC2086 # a list
	check_fails "${command%% *} needs root" 11 \
		'cannot .*: CAP_SYS_ADMIN is needed; run it as root' nobody cbtctl $command
done

### usage

check_fails "no command is wrong usage" 2 'no command is given' cbtctl
check_fails "an unknown command is, too" 2 "no command 'lst'" cbtctl lst
check_fails "an option of another command is" 2 "unrecognized option '--epoch" \
	cbtctl list --epoch "$epoch"
check_fails "a commit without its epoch is" 2 'must be given with --epoch' cbtctl commit vm1
check_fails "an epoch that is no UUID is" 2 "'1234' is not the UUID" cbtctl freeze --epoch 1234 vm1
check_fails "the nil UUID is" 2 'is not the UUID' \
	cbtctl freeze --epoch 00000000-0000-0000-0000-000000000000 vm1
check_fails "a start that is no number is" 2 "'0x5' is not the number" cbtctl map --start 0x5 vm1
check_fails "a start beyond 64 bits is" 2 'is not the number' \
	cbtctl map --start 18446744073709551616 vm1
check_fails "a map of no tracker is" 2 'no tracker is named' cbtctl map
for command in list show map freeze commit abort; do
	check_fails "$command --help shows its usage" 0 "^Usage: cbtctl $command " \
		cbtctl "$command" --help
done
check_fails "--version says one" 0 '^cbtctl [0-9]' cbtctl --version

### as many as one instant takes

origins=(o{1..256})
many=(a-name-that-is-long-{1..256}-"$(printf 'x%.0s' {1..90})")
cleanup_fn dmsetup remove "${origins[@]}"
dmsetup create --concise "$(for i in "${!origins[@]}"; do
	echo -n "${origins[i]},,,rw,0 8 linear /dev/vdc $((i * 8));"
done)"
dmsetup mknodes
cleanup_fn dmsetup remove "${many[@]}"
dmsetup create --concise "$(for i in "${!many[@]}"; do
	echo -n "${many[i]},,,rw,0 8 cbt /dev/mapper/${origins[i]} -;"
done)"
check_equal "256 trackers are listed" "$(field '.trackers | length' list)" 258
epoch=$(cbtctl freeze "${many[@]}")
check_equal "256 trackers are frozen in one instant" \
	"$(field "[.trackers[] | select(.frozen.uuid == \"$epoch\")] | length" list)" 256
check "... and committed" cbtctl commit --epoch "$epoch" "${many[@]}"

### an interrupted map

# A map that changes its epoch while it is read is refused, however the two meet.
for _ in {1..10}; do
	cbtctl map vm1 --start 1 >"$TMPDIR/map" 2>"$TMPDIR/said" &
	epoch=$(cbtctl freeze vm1)
	rc=0
	wait $! || rc=$?
	case $rc in
	0 | 17) ;;
	*) break ;;
	esac
	cbtctl abort --epoch "$epoch" vm1
done
check_equal "a map that meets a freeze is whole, or refused as such" "$((rc == 0 || rc == 17))" 1
