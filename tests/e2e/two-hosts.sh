#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Two hosts, each a machine of its own with the module, a store and failbackd, and a VM with a
# database: the primary's power is cut while the VM writes, it is failed over, the primary comes back,
# the replication is reversed, and the VM goes home again. What the replica holds after each delta is
# an instant of the VM's.
#
# e2e: timeout=900 long=1800
. "$(dirname "$0")/../lib.sh"
. "$top/tests/powercut/powercut.bash"
. "$top/tests/powercut/hosts.bash"
requires nbdkit qemu-system-x86_64 sqlite3 debugfs jq

seed=$(new_seed)
diag "seed=$seed"
kernel=6.1
: "${root:=kept}" # lost: the old primary comes back with its disk and its store only
deltas=$(required 3 20)

# --- what a replica holds ---

# rows_of <image>: of the database in a file system that was cut off; false when either is broken
rows_of()
{
	local copy=$TMPDIR/instant

	rm -rf "$copy"
	mkdir "$copy"
	cp --sparse=always "$1" "$copy/image"
	e2fsck -fp "$copy/image" >"$copy/fsck" 2>&1 || [ $? = 1 ] || { cat "$copy/fsck"; return 1; }
	e2fsck -fn "$copy/image" >"$copy/fsck" 2>&1 || { cat "$copy/fsck"; return 1; }
	debugfs -R "dump /db $copy/db" "$copy/image" 2>/dev/null
	debugfs -R "dump /db-wal $copy/db-wal" "$copy/image" 2>/dev/null
	[ "$(sqlite3 "$copy/db" 'PRAGMA integrity_check;')" = ok ] || { echo "the database is broken"; return 1; }
	sqlite3 "$copy/db" 'SELECT count(*) FROM log;'
}

# send_deltas <host> <other> <name> <array>: while the VM writes; keeps what the other one holds after
# each, and in the array how many rows were durable before it
send_deltas()
{
	local -n before=$4
	local i

	wait_for 120 writes "$1" $(($(rows "$1") + 3)) || bail "the VM does not write on $1"
	for ((i = 1; i <= deltas; i++)); do
		before[i]=$(rows "$1")
		at "$1" "failback resume vm1" >"$TMPDIR/out" || bail "delta $i of $1: $(<"$TMPDIR/out")"
		keep "$2" "$3$i"
	done
	ok "$deltas deltas are sent while the VM writes on $1"
}

# --- deltas while the VM writes ---

hosts_pair
at a start_vm >/dev/null
send_deltas a b delta durable
check "the VM could fail over, and come home" at a "failback ready vm1"
check "the kernel makes the records of TLS" grep -q 'tls: kernel' <(at a "failback test-connection vm1")
wait_for 60 writes a $(($(rows a) + 3)) || bail "the VM does not write any more"

# never_started <host>: its autostart found no disk
never_started() { [ -e "$TMPDIR/$1/share/autostart" ] && [ ! -e "$TMPDIR/$1/share/autostarted" ]; }
# stop_autostart <host>: once it has found the VM's disk, which it may now
stop_autostart()
{
	wait_for 60 test -e "$TMPDIR/$1/share/autostarted" && rm "$TMPDIR/$1/share/autostart"
}

# --- the disaster ---

rows_at_cut=$(rows a)
power_cut a "$TMPDIR/cut"
check "the VM is failed over by force" at b "failback failover --force vm1"
rows=$(at b start_vm)
diag "rows: ${durable[$deltas]} durable at the last delta, $rows there, $rows_at_cut at the cut"
check "it goes on with what the last delta had" test "${durable[$deltas]}" -le "$rows" -a "$rows" -lt "$rows_at_cut"
wait_for 60 writes b $(($(rows b) + 3)) || bail "the VM does not write on b"
at b stop_vm

boot a "$TMPDIR/cut"
booted a
[ $root != lost ] || fingerprint_a=$(at a install)
at a autostart
check "the old primary is back" at a start
if [ $root = lost ]; then
	check "it adopts the relationship from the store" at a "failback adopt"
	check "... and knows its peer again" at a "failback host pair 10.0.2.2:${port[b]} --fingerprint $fingerprint_b"
	check "... which learns its new key" at b "failback host pair --replace 10.0.2.2:${port[a]} --fingerprint $fingerprint_a"
fi
check_equal "... and keeps the VM's device from it" "$(devices a)" vm1-disk0.replica

# --- the reverse ---

# sum <JSON lines of jobs> <field>: of the deltas that were sent
sum() { jq -s "[.[] | select(.type == 105) | .$2] | add // 0" <<<"$1"; }
# map_bytes <host>: lines OFFSET LENGTH of what its map says
map_bytes() { at "$1" 'cbtctl map --bytes "$(dmsetup ls | grep -o "^vm1[^[:space:]]*")"'; }
# union: of such lines, how many bytes
union() { sort -n | awk '{ e = $1 + $2; if ($1 > end) end = $1; if (e > end) { n += e - end; end = e } } END { print n + 0 }'; }

either=$( (map_bytes a; map_bytes b) | union)
jobs_before=$(at b "failback jobs --json")
keep b reverse
plan=$(at b "failback plan --json vm1")
check_equal "the plan is of what either map says" "$(jq -r '.disks[0].method' <<<"$plan")" two-sided
digest=$(jq -r .digest <<<"$plan")
check "the replication is reversed" at b "failback reverse --consent $digest vm1"
check "... and a delta follows" at b "failback wait vm1 --state 3 --timeout 60"
check "nothing could start the VM on the old primary meanwhile" never_started a
jobs=$(at b "failback jobs --json")
sent=$(($(sum "$jobs" bytes_sent) - $(sum "$jobs_before" bytes_sent)))
# what was hashed, because the power cut left it to a guess
compared() { jq -s "[.[] | select(.type == 105) | .result // empty | fromjson | .$2] | add // 0" <<<"$1"; }
suspect=$(compared "$jobs" bytes_compared) hashes=$(compared "$jobs" bytes_hashes)
at b start_vm >/dev/null
send_deltas b a back durable_back

# --- home ---

at b stop_vm
rows_at_end=$(rows b)
check "the VM is prepared" at b "failback prepare vm1"
check "... failed over to its home" at a "failback failover vm1"
check "... where something could start it" stop_autostart a
check "... and reversed there" at a "failback reverse vm1"
check_equal "its device is there" "$(devices a), $(devices b)" "vm1-disk0, vm1-disk0.replica"
keep a home
keep b home
check_equal "all rows came home" "$(at a start_vm)" "$rows_at_end"
wait_for 60 writes a $((rows_at_end + 3)) || bail "the VM does not write at home"
check "its file system is in order" at a 'stop_vm; e2fsck -fn /dev/mapper/vm1-disk0'
check "what it writes at home is sent" at a "failback resume vm1"
keep a home_again
keep b home_again

# --- a primary that was shut down in order, and failed over meanwhile ---

second_round=${CHECK_LONG:+$root} # it takes some minutes
if [ "$second_round" = kept ]; then
	rows_at_end=$(at a start_vm)
	wait_for 60 writes a $((rows_at_end + 3)) || bail "the VM does not write any more at home"
	at a stop_vm
fi
status=0
check "its host is shut down in order" at a stop
halted a || status=$?
power_cut a "$TMPDIR/a.end"
if [ "$second_round" = kept ]; then
	check "the VM is failed over by force" at b "failback failover --force vm1"
	check_equal "... to what the last delta had" "$(at b start_vm)" "$rows_at_end"
	wait_for 60 writes b $((rows_at_end + 3)) || bail "the VM does not write on b"
	at b stop_vm
	boot a "$TMPDIR/a.end"
	booted a
	at a autostart
	check "its old host is back" at a start
	digest=$(at b "failback plan --json vm1" | jq -r .digest)
	check "the replication is reversed" at b "failback reverse --consent $digest vm1"
	check "... and a delta follows" at b "failback wait vm1 --state 3 --timeout 60"
	check "nothing could start the VM on its old host meanwhile" never_started a
	rm "$TMPDIR/a/share/autostart"
	check "its old host stops" at a stop
	halted a || status=$?
fi

# --- what the disks held meanwhile ---

check "the other host stops in order, too" at b stop
halted b || status=$?
check_equal "... and their kernels had nothing to say" $status 0
power_cut b "$TMPDIR/b.end"
for when in home home_again; do
	check "the disks were identical then ($when)" cmp "$TMPDIR/a.end/base.$when" "$TMPDIR/b.end/base.$when"
done
# instants <host> <name> <rows that were durable before each>...: what it held was an instant of the VM's
instants()
{
	local host=$1 name=$2 i=0 durable found
	shift 2
	for durable; do
		i=$((i + 1))
		found=$(rows_of "$TMPDIR/$host.end/base.$name$i") || { echo "$name$i: $found"; return 1; }
		echo "$name$i: $found rows, $durable durable before"
		[ "$found" -ge "$durable" ] || return 1
	done
}
check "the replica held an instant of the VM's after each delta" instants b delta "${durable[@]}"
check "... and the old primary after each one home" instants a back "${durable_back[@]}"

# What crossed the wire after the power cut, beside what differed, and what either map says.
differed=$("$top/scripts/verify-disks" "$TMPDIR/cut/origin" "$TMPDIR/b.end/base.reverse" 2>/dev/null || true)
differed=${differed##*differing=}
diag "sent $sent bytes; $differed differed, the maps say $either; $hashes bytes of hashes for $suspect"
ratio() { awk "BEGIN { printf \"%.5f\", $1 / $2 }"; }
merge() { "$top/scripts/bench-merge" "$1" "value=$2" unit=ratio kernel=$kernel "command=tests/e2e/two-hosts.sh" "seed=$seed"; }
[ $root = kept ] || exit 0
merge T11 "$(ratio "$sent" "$differed")"
merge T12 "$(ratio "$sent" "$either")"
[ "$suspect" = 0 ] || merge T11h "$(ratio "$hashes" "$suspect")"
check "what differed was sent, and hardly anything else" test "$sent" -gt 0 -a "$sent" -le $((differed * 21 / 20))
