# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Sourced by tests of two hosts, each a machine of its own whose power can be cut, after lib.sh and
# powercut.bash. What runs in them is guest-host.sh. The test says $seed, $kernel and in $root
# whether a host that comes back has its root, kept, or not, lost.

base_port=$((10000 + RANDOM % 9000))
declare -A port=([a]=$base_port [b]=$((base_port + 1))) server=() guest=()

# --- machines ---

# boot <host> <directory of contents, empty: new disks>: its power is there until power_cut
boot()
{
	local host=$1 contents=$2 dir=$TMPDIR/$1 disk disks=()
	local -A size=([root]=256M [origin]=192M [store]=128M)

	rm -rf "$dir"
	mkdir "$dir"
	for disk in origin store root; do
		[ $disk/$root != root/lost ] || contents=
		disks+=("$disk:${size[$disk]}${contents:+:$contents/$disk}")
	done
	powercut_start "$dir" "${disks[@]}"
	server[$host]=$powercut_server
	powercut_server=
	mkdir "$dir/share"
	"$top/scripts/vm" --kernel $kernel --timeout 1700 --share "$dir/share" --net "host:${port[$host]}" \
		"${powercut_vm[@]:2}" -- "$top/tests/powercut/guest-host.sh" "$dir/share" "${port[$host]}" \
		>"$dir/console" 2>&1 </dev/null &
	guest[$host]=$!
}

is_up() { [ -e "$TMPDIR/$1/share/up" ] || ! kill -0 "${guest[$1]}" 2>/dev/null; }
booted()
{
	wait_for 120 is_up "$1" && [ -e "$TMPDIR/$1/share/up" ] || bail "host $1 is not up: $(<"$TMPDIR/$1/console")"
}

# at <host> <command>: there; prints what it prints
at()
{
	tell "$@"
	answered "$1"
}

# tell <host> <command>: to begin with it
tell()
{
	local share=$TMPDIR/$1/share
	shift
	rm -f "$share/done"
	echo "$*" >"$share/do.new"
	mv "$share/do.new" "$share/do"
}

# answered <host>: as at, of what it was told
answered()
{
	local share=$TMPDIR/$1/share

	wait_for 240 test -e "$share/done" || { echo "no answer within 240 s"; return 124; }
	cat "$share/out"
	return "$(<"$share/done")"
}

# halted <host>: it goes by itself, and scripts/vm says whether all was well
halted()
{
	local rc=0

	: >"$TMPDIR/$1/share/halt"
	wait "${guest[$1]}" || rc=$?
	guest[$1]=
	[ $rc = 0 ] || cat "$TMPDIR/$1/console"
	return $rc
}

# power_cut <host> <directory>: leaves there what its disks hold then
power_cut()
{
	kill -KILL "${server[$1]}"
	wait "${server[$1]}" 2>/dev/null || true
	switch_off "$1"
	"$top/build/tests/powercut/powercut" cut --end --seed "$seed" "$TMPDIR/$1/log" "$2"
}

switch_off()
{
	if [ -n "${guest[$1]:-}" ]; then
		kill -TERM "${guest[$1]}" 2>/dev/null || true
		wait "${guest[$1]}" 2>/dev/null || true
		guest[$1]=
	fi
	[ -z "${server[$1]:-}" ] || kill -KILL "${server[$1]}" 2>/dev/null || true
}
cleanup_fn eval 'switch_off a; switch_off b'

# keep <host> <name>: what its disk holds now, as base.<name> beside what it holds after a power cut
keep() { at "$1" "powercut_mark base $2 origin"; }

# devices <host>: the names of those that are the VM's
devices() { at "$1" dmsetup ls | sed -n 's/^\(vm1[^\t]*\).*/\1/p'; }

# rows <host>, writes <host> <rows>: that its VM has written
rows() { cat "$TMPDIR/$1/share/rows"; }
writes() { [ "$(rows "$1")" -ge "$2" ]; }

# --- two hosts ---

# hosts_pair: both are new, and a's VM is replicated to b; sets fingerprint_a and fingerprint_b
hosts_pair()
{
	local host

	boot a ""
	boot b ""
	booted a
	booted b
	fingerprint_a=$(at a "make_disk vm; install")
	fingerprint_b=$(at b "make_disk; install")
	for host in a b; do
		at $host start >"$TMPDIR/out" || bail "$host does not start: $(<"$TMPDIR/out")"
	done
	check "a lets b in" at a "failback host pair 10.0.2.2:${port[b]} --fingerprint $fingerprint_b"
	check "b lets a in" at b "failback host pair 10.0.2.2:${port[a]} --fingerprint $fingerprint_a"
	jq -n --arg peer "10.0.2.2:${port[b]}" '{name: "vm1", peer: $peer,
		disks: [{name: "disk0", path: "/dev/nbd0", tracker: "vm1-disk0", peer_tracker: "vm1-disk0"}]}' >"$TMPDIR/a/share/create"
	check "a relationship is created" at a "failback create $TMPDIR/a/share/create"
	check "the VM is sent" at a "failback initial vm1"

	check_equal "the VM's device is there on its primary only" "$(devices a), $(devices b)" \
		"vm1-disk0, vm1-disk0.replica"
}
