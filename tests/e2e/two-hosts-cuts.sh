#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Two hosts, each a machine of its own: the power of either one is cut at some moment of a reverse after an
# unplanned failover, from its first check to the end of the two-sided delta. The host comes back, and the same
# command completes.
#
# e2e: timeout=900 long=7200
. "$(dirname "$0")/../lib.sh"
. "$top/tests/powercut/powercut.bash"
. "$top/tests/powercut/hosts.bash"
requires nbdkit qemu-system-x86_64 sqlite3 jq

seed=$(new_seed)
diag "seed=$seed"
RANDOM=$seed
kernel=6.12
root=kept
cuts=$(required 1 40)

# --- until the old primary is back ---

hosts_pair
at a start_vm >/dev/null
wait_for 60 writes a 3 || bail "the VM does not write on a"
check "a delta is sent" at a "failback resume vm1"
wait_for 60 writes a $(($(rows a) + 3)) || bail "the VM does not write any more on a"
power_cut a "$TMPDIR/before.a"
check "the VM is failed over by force" at b "failback failover --force vm1"
check "it goes on" at b start_vm
wait_for 60 writes b $(($(rows b) + 3)) || bail "the VM does not write on b"
at b stop_vm
power_cut b "$TMPDIR/before.b"

back()
{
	boot a "$TMPDIR/before.a"
	boot b "$TMPDIR/before.b"
	for host in a b; do
		booted $host
		at $host start >"$TMPDIR/out" || bail "$host does not start: $(<"$TMPDIR/out")"
	done
	# the old primary has heard of the failover, which is part of what a consent is to
	wait_for 120 confirmed || bail "the hosts do not find each other: $(at b "failback status vm1")"
	digest=$(at b "failback plan --json vm1" | jq -r .digest)
}

confirmed() { at b "failback status --json vm1" | jq -e .may_run >"$TMPDIR/out"; }

# --- reverses ---

# faces <host>: the VM would find its disk there
faces() { devices "$1" | grep -qx vm1-disk0; }
# phase: what the reverse, or its delta, was doing when it was heard of last
phase()
{
	grep '^{' "$TMPDIR/b/share/out" | tail -n 1 | jq -r '"\(.name): \(.status)"' 2>/dev/null || echo "before its first word"
}

sees_peer() { confirmed && at b "failback test-connection vm1" >"$TMPDIR/out"; }

# complete: the reverse, once more; what had swapped the roles before the cut has but a delta to send. A host that is
# still busy, or not there yet, says so by 14, 16 or 19, and is asked again; nothing else is a reason for that.
complete()
{
	local command='failback reverse --consent "$(failback plan --json vm1 | jq -r .digest)" vm1' rc

	[ "$(at b 'failback status --json vm1' | jq .mode)" = 2 ] || command='failback resume vm1'
	for ((asked = 1; asked <= 10; asked++)); do
		rc=0
		at b "$command" >"$TMPDIR/out" || rc=$?
		case $rc in
		14 | 16 | 19) diag "not yet ($rc): $(tail -n 1 "$TMPDIR/out")" ;;
		*) return $rc ;;
		esac
	done
	return 1
}

reversed() { [ "$(at b 'failback status --json vm1' | jq -r '"\(.mode) \(.state)"')" = "1 3" ]; }

# ends_well: a reverse and its delta; both hosts are off afterwards. Not in a subshell: it waits for them.
ends_well()
{
	reversed || { echo "it does not replicate: $(at b 'failback status vm1; tail -n 20 $share/failbackd.log')"; return 1; }
	[ "$(devices a), $(devices b)" = "vm1-disk0.replica, vm1-disk0" ] || { echo "$(devices a), $(devices b)"; return 1; }
	keep a end
	keep b end
	for host in a b; do
		at $host stop && halted $host || return
		rm -rf "$TMPDIR/end.$host"
		power_cut $host "$TMPDIR/end.$host"
	done
	cmp "$TMPDIR/end.a/base.end" "$TMPDIR/end.b/base.end"
}

back
begin=${EPOCHREALTIME/./}
check "a reverse that nothing disturbs completes" at b "failback reverse --consent $digest vm1 && failback wait vm1 --state 3 --timeout 60"
whole=$((${EPOCHREALTIME/./} - begin))
ends_well >"$TMPDIR/end" 2>&1 || bail "it did not end well: $(<"$TMPDIR/end")"

bad=0
for ((i = 0; i < cuts; i++)); do
	victim=$( (((seed + i) % 2)) && echo a || echo b)
	after=$(((RANDOM << 15 | RANDOM) % whole))
	back
	tell b "failback reverse --json --consent $digest vm1 && failback wait vm1 --state 3 --timeout 60"
	sleep "$((after / 1000000)).$(printf %06d $((after % 1000000)))"
	rm -rf "$TMPDIR/after"
	cut_in=$(phase)
	power_cut $victim "$TMPDIR/after"
	boot $victim "$TMPDIR/after"
	booted $victim
	at $victim start >"$TMPDIR/out" || bail "$victim does not start again: $(<"$TMPDIR/out")"
	[ $victim = b ] || diag "$(answered b)"
	if faces a && faces b; then
		diag "cut $i, of $victim after $after us: both show the VM its disk"
		bad=$((bad + 1))
	fi
	wait_for 120 sees_peer || bail "the hosts do not find each other: $(at b "failback status vm1")"
	: >"$TMPDIR/end"
	if complete && ends_well >"$TMPDIR/end" 2>&1; then
		diag "$victim was cut after $after of $whole us ($cut_in): asked $asked times"
	else
		diag "cut $i, of $victim after $after us ($cut_in): $(cat "$TMPDIR/out" "$TMPDIR/end")"
		bad=$((bad + 1))
		switch_off a
		switch_off b
	fi
done
check_count "after each power cut the same command completes" "$seed" $((cuts - bad)) "$cuts"
