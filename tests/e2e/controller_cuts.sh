#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Either host is cut at each step of a failover, of its cancelling and of a reverse: at no moment do
# both hosts show the VM its devices, and the command, repeated, completes.
#
# e2e: timeout=900
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"

size=$MiB
daemon_options=(--call-timeout 5 --second-ms 20)
two_hosts cuts

# faces <host>: the VM would find its disk there
faces()
{
	[ -e "$TMPDIR/$1.kernel/vm1-disk0" ]
}

both_face()
{
	faces a && faces b && faces a
}

# watch <file> <command>...: leaves the file as soon as the command succeeds, for the whole rest of the test.
watch()
{
	until "${@:2}"; do
		sleep 0.005
	done
	: >"$1"
}
watch "$TMPDIR/both" both_face &
cleanup_fn stop_process $!

# reboot <host>: its power is cut; its disk is then as `cbtctl activate` leaves it
reboot()
{
	stop_daemon "$1" KILL
	echo "another boot of $1, $RANDOM" >"$TMPDIR/$1.boot"
	! faces "$1" || mv "$TMPDIR/$1.kernel"/vm1-disk0{,.replica}
}

# the start: a is the primary, b its replica, both have a base
up a
up b
relate
check "a delta gives both a base" on a failback resume vm1
check "the primary is prepared" on a failback prepare vm1
down
save prepared
up a
up b
check "the replica is failed over" on b failback failover vm1
write_on b vm1-disk0 5 7
down
save failed-over

# cut_everywhere <claim> <saved state> <host to be cut> <host of the command> <roles after it> <command>...:
# the command's steps on that host are cut one by one, until it is through without a cut.
cut_everywhere()
{
	local claim=$1 state=$2 cut=$3 host=$4 roles=$5 step=0 bad="" other
	shift 5

	other=$([ "$cut" = a ] && echo b || echo a)
	while :; do
		step=$((step + 1))
		restore "$state"
		up "$other"
		up "$cut"
		echo $step >"$TMPDIR/$cut.cut"
		on "$host" timeout 30 failback "$@" vm1 >"$TMPDIR/out" 2>&1 || true
		if rm "$TMPDIR/$cut.cut" 2>/dev/null; then # it was never reached
			[ "$(role a), $(role b)" = "$roles" ] || bad="$bad uncut:$(role a),$(role b)"
			down
			break
		fi
		stop_daemon "$cut"
		up "$cut"
		wait_for 60 eval 'on '"$host"' timeout 30 failback '"$*"' vm1 >"$TMPDIR/out" 2>&1 ||
			[ "$(role a), $(role b)" = "'"$roles"'" ]' ||
			bad="$bad $step:$(tail -n 1 "$TMPDIR/out")"
		[ "$(role a), $(role b)" = "$roles" ] || bad="$bad $step:$(role a),$(role b)"
		down
		[ $step -lt 60 ] || break
	done
	check_equal "$claim" "$bad" ""
	diag "$((step - 1)) steps"
}

cut_everywhere "the caller of a reverse is cut at every step" failed-over b b "2 3, 1 3" reverse
cut_everywhere "the old primary is cut at every step of a reverse" failed-over a b "2 3, 1 3" reverse
cut_everywhere "the replica is cut at every step of a failover" prepared b b "1 4, 2 5" failover
cut_everywhere "the primary is cut at every step of a failover" prepared a b "1 4, 2 5" failover
cut_everywhere "a prepared primary is cut at every step of going on" prepared a a "1 3, 2 3" resume
cut_everywhere "its replica is cut at every step of that" prepared b a "1 3, 2 3" resume
cut_everywhere "the replica is cut at every step of a commit" failed-over b b "1 4, 2 6" commit

# --- a failover that is final ---

restore failed-over
up a
up b
check "a failover is made final" on b failback commit vm1
check_equal "which is a state of its own" "$(role a), $(role b)" "1 4, 2 6"
check_fails "it cannot be given up any more" 17 'Replica in state 6 .* revert needs' on b failback revert vm1
check_equal "and goes on" "$(role a), $(role b), $(vm_property b MayRun)" "1 4, 2 6, true"
check "with its disk" faces b
reboot b
stop_daemon a
up b
check "after a boot it waits for its peer, too" \
	wait_for 60 eval 'on b failback status | grep -q "Held since the boot.*failback start --force vm1"'
check_fails "its disk is not there" any '' faces b
up a
check "when the peer confirms it, the disk comes" wait_for 60 faces b
check "it is reversed" on b failback reverse vm1
check_equal "the roles are swapped" "$(role a), $(role b)" "2 3, 1 3"
check "and the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
down

# --- a boot: nothing faces the VM until the peer has confirmed ---

restore failed-over
up a
up b
check "a reverse completes" on b failback reverse vm1
reboot b
mv "$TMPDIR/b.kernel"/vm1-disk0{.replica,} # by the option `start` of its tracker
stop_daemon a
up b
check_equal "after a boot, with the peer away, the VM's disk is not there" "$(faces b || echo none)" none
check "and status says why, and how to go on" \
	wait_for 60 eval 'on b failback status | grep -q "Held since the boot.*failback start --force vm1"'
check_equal "it is not for the VM to run" "$(vm_property b MayRun)" false
up a
check "when the peer confirms it, the disk comes" wait_for 60 faces b

stop_daemon a
reboot b
up b --guard-policy start --guard-timeout 3
check "with guard-policy start, it comes after guard-timeout without the peer" wait_for 60 faces b
up a

# the classic disaster: the primary is cut, failed over, and comes back
reboot b
watch "$TMPDIR/stale" faces b &
cleanup_fn stop_process $!
check_fails "with the primary dead, a failover needs --force, and says so" 19 'failback failover --force vm1' \
	on a failback failover vm1
check_equal "nothing has changed then" "$(role a)" "2 3"
check "the VM is failed over by force" on a failback failover --force vm1
check "its disk is there" faces a
kill -STOP "${daemon_pid[a]}"
up b --guard-policy start --guard-timeout 3
check_fails "its disk does not appear, though guard-timeout passes: the peer is being asked" any '' \
	wait_for 3 faces b
kill -CONT "${daemon_pid[a]}"
check "the old primary is told when it is back" wait_for 60 eval 'vm_property b LastError | grep -q "allows no confirm"'
check_fails "its disk does not appear, though guard-timeout passes: the peer is not silent" any '' \
	wait_for 6 faces b
stop_daemon a
stop_daemon b
up b --guard-policy start --guard-timeout 3
check_fails "nor when failbackd was started anew, and the peer is silent by then: what it said is kept" any '' \
	wait_for 3 faces b
reboot b
up b --guard-policy start --guard-timeout 3
check_fails "nor after another boot" any '' wait_for 3 faces b
check "how to go on without the peer is told" eval 'on b failback status | grep -q "Held since the boot.*failback start --force vm1"'
up a
check "the old primary is told again" wait_for 60 eval 'vm_property b LastError | grep -q "allows no confirm"'

FAKE_KERNEL=$TMPDIR/b.kernel
echo "3 2" >>"$FAKE_KERNEL/vm1-disk0.replica/active"
plan=$(on a failback plan --json vm1)
check_equal "the plan says what is sent, why, and what is lost" \
	"$(jq -c '[.disks[0].reason, .disks[0].method, .lost_bytes, .needs_consent]' <<<"$plan")" \
	'["not-prepared","two-sided",8192,true]'
check_fails "a reverse that overwrites the old primary's writes needs consent" 17 'overwrite 8 KiB' \
	on a failback reverse vm1
check_fails "another plan's consent is none" 17 'does not hold any more' \
	on a failback reverse --consent 0123456789abcdef vm1
check_equal "nothing has changed" "$(role a), $(role b)" "2 5, 1 3"

# the old primary agrees, and cannot write that down
if mkdir "$TMPDIR/full" && mount -t tmpfs -o size=512k tmpfs "$TMPDIR/full" 2>/dev/null; then
	cleanup_fn umount "$TMPDIR/full"
	stop_daemon b
	cp -a "$TMPDIR"/b.state/. "$TMPDIR/full"
	mount --bind "$TMPDIR/full" "$TMPDIR/b.state"
	cleanup_fn eval "stop_daemons; ! mountpoint -q $TMPDIR/b.state || umount $TMPDIR/b.state"
	up b
	dd if=/dev/zero of="$TMPDIR/b.state/fill" bs=4k status=none 2>/dev/null || true
	check_fails "a reverse that the old primary cannot write down fails" any 'full; make room' \
		on a failback reverse --consent "$(jq -r .digest <<<"$plan")" vm1
	check_equal "... and its disk does not appear" "$(faces b || echo none)" none
	rm "$TMPDIR/b.state/fill"
else
	skip "a reverse that the old primary cannot write down fails" "no tmpfs"
fi

write_on a vm1-disk0 9 3
check "with consent it goes" on a failback reverse --consent "$(jq -r .digest <<<"$plan")" vm1
check_equal "the roles are swapped" "$(role a), $(role b)" "1 3, 2 3"
check "and the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
check "from its power cut on, the old primary never showed the VM its disk" test ! -e "$TMPDIR/stale"
check "at no moment did both hosts show the VM its disk" test ! -e "$TMPDIR/both"
