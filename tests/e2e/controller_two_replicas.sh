#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An unplanned reverse is cut off when the old primary has become the replica, and its caller then gives the
# failover up: both hosts are replicas, and there is a way on from that, whose disks hold what they held.
#
# e2e: timeout=300
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"

size=$MiB
daemon_options=(--call-timeout 5 --second-ms 20)
two_hosts cuts

up a
up b
relate
check "a delta gives both a base" on a failback resume vm1
check "the primary suspends" on a failback suspend vm1
write_on a vm1-disk0 30 2
down
echo "another boot of a" >"$TMPDIR/a.boot"
up b
check "the replica is failed over by force" on b failback failover --force vm1
down
save failed-over

# interrupted <blocks that b writes>: b is cut at that step of its reverse at which a alone has recorded it
step=1
interrupted()
{
	local digest tries

	for ((tries = 0; tries < 40; tries++)); do
		restore failed-over
		[ "$1" = 0 ] || write_on b vm1-disk0 5 "$1"
		up a
		up b
		digest=$(on b failback plan --json vm1 | jq -r .digest)
		echo $step >"$TMPDIR/b.cut"
		on b timeout 30 failback reverse --consent "$digest" vm1 >"$TMPDIR/out" 2>&1 || true
		stop_daemon b
		rm -f "$TMPDIR/b.cut"
		up b
		case "$(role a), $(role b)" in
		"2 2, 2 5") return ;;
		*", 2 5") step=$((step + 1)) ;;
		*) step=$((step - 1)) ;; # what is not the reverse's has steps as well
		esac
		down
	done
	bail "never cut there"
}

interrupted 7
check_equal "the reverse is cut off" "$(role a), $(role b)" "2 2, 2 5"
cp "$TMPDIR/a.disk0" "$TMPDIR/kept"
check "its caller gives the failover up" on b failback revert vm1
check_equal "both hosts are replicas then" "$(role a), $(role b)" "2 2, 2 2"
for force in "" --force; do
	check_fails "who gave up what it wrote is not failed over${force:+ by force} where the peer has its own" 17 \
		'hold nothing to run from.*failback failover vm1. *)' on b failback failover $force vm1
done
down
save replicas
up a
check_fails "the other one waits for its peer's word" 19 'failback failover --force vm1' on a failback failover vm1
check "or is failed over by force" on a failback failover --force vm1
down
restore replicas
up b
check_fails "... which the first one is not" 17 'hold nothing to run from' on b failback failover --force vm1
up a
check "the other one is failed over" on a failback failover vm1
check_equal "its peer agreed, and stays a replica" "$(role a), $(role b)" "2 5, 2 2"
check "and its disk is there" test -e "$TMPDIR/a.kernel/vm1-disk0"
check_fails "nothing flows back onto it" 17 '' on b failback resync vm1
check "it is given up as well" on a failback revert vm1
check_equal "so that neither has anything better" "$(role a), $(role b)" "2 2, 2 2"
check "even so there is a way on" on a failback failover vm1
check_equal "all of the peer's disk is compared" "$(on a failback plan --json vm1 | jq -c '[.disks[0].method, .disks[0].reason]')" \
	'["compare","unknown-contents"]'
check "it is reversed" on a failback reverse vm1
check "and replicates again" wait_for 60 eval '[ "$(role a), $(role b)" = "1 3, 2 3" ]'
check "the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
check "and nothing that the old primary held is lost" cmp "$a0" "$TMPDIR/kept"
write_on a vm1-disk0 40 1
check "a delta goes" on a failback resume vm1
check "the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
down

# --- nothing was written by the caller, so that its disks hold the base ---

interrupted 0
cp "$TMPDIR/a.disk0" "$TMPDIR/kept"
check "its caller gives the failover up, unwritten" on b failback revert vm1
check_equal "it is as before the failover" "$(role a), $(role b)" "2 2, 2 3"
down
save base
up a
up b
plan_of_a() { on a failback plan --json vm1 | jq -c '[.disks[0].method, .disks[0].reason, .cost_bytes]'; }
check "the old primary is failed over" on a failback failover vm1
check_equal "its map still says what the base lacks" "$(plan_of_a)" '["delta","planned",8192]'
check "it is reversed" on a failback reverse vm1
check "the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
check "and nothing that it held is lost" cmp "$a0" "$TMPDIR/kept"
down
restore base
tracker=$(echo "$TMPDIR/a.kernel"/vm1-disk0*)
cat /proc/sys/kernel/random/uuid >"$tracker/uuid"
rm -f "$tracker/active" "$tracker/base"
: >"$tracker/active"
up a
up b
check "the old primary is failed over, though its map was lost since" on a failback failover vm1
check_equal "the new map proves nothing" "$(plan_of_a)" "[\"compare\",\"map-lost\",$size]"
check "nor that nothing was written, when it is given up" on a failback revert vm1
check_equal "so nobody takes its disks for the base" "$(role a)" "2 2"
check "its peer is failed over" on b failback failover vm1
check "and reversed" on b failback reverse vm1
check "and the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
