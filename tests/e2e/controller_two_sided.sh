#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An unplanned failover: the primary holds writes that never arrived, the replica holds others since.
# The reverse sends what either map says, and nothing else, whatever is cut on the way.
#
# e2e: timeout=600 long=3600
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"

# The last block is a part of one.
size=$((10 * MiB + 512))
daemon_options=(--call-timeout 5 --second-ms 20)
two_hosts cuts

plan_of()
{
	on b failback plan --json vm1 | jq -c '[.disks[0].method, .disks[0].reason, .cost_bytes, .lost_bytes]'
}

digest()
{
	on b failback plan --json vm1 | jq -r .digest
}

both_replicate()
{
	[ "$(role a 2>/dev/null), $(role b 2>/dev/null)" = "2 3, 1 3" ]
}

# comparison: of the delta: bytes of disk that were compared, of the hashes for that, and of data; "": none was
comparison()
{
	on b failback jobs --json | jq -c 'select(.type == 105 and .result) |
		.result | fromjson | [.bytes_compared, .bytes_hashes, .bytes_sent]'
}

up a
up b
relate
write_on a vm1-disk0 500 5
check "a delta gives both a base" on a failback resume vm1
down
save based

# fail_over: a dies with 100 blocks that never arrived; b, failed over by force, writes 100 others
fail_over()
{
	local i

	for ((i = 0; i < 100; i++)); do write_on a vm1-disk0 $((i * 4)) 1; done
	up b
	on b failback failover --force vm1 >/dev/null || bail "no failover"
	for ((i = 0; i < 100; i++)); do write_on b vm1-disk0 $((i * 4 + 50)) 1; done
	echo "another boot, $RANDOM" >"$TMPDIR/a.boot"
}
fail_over
stop_daemon b
save failed-over

up a
up b
check_equal "the old primary stands by" "$(vm_property a MayRun)" false
check_equal "the plan is two-sided, and says what it costs and what is lost" "$(plan_of)" \
	"[\"two-sided\",\"not-prepared\",$((200 * 4096)),$((100 * 4096))]"
check_equal "a plan is a job of its own, and no reverse" \
	"$(on b failback jobs --json | jq -r 'select(.name | test("revers")).name' | sort -u)" "planning a reverse"
check "with consent it is reversed" on b failback reverse --consent "$(digest)" vm1
check "both replicate" wait_for 20 both_replicate
check "the disks are identical" cmp "$a0" "$b0"
sent=$(on b failback jobs --json | jq -s 'map(select(.type == 105))[0].bytes_total')
check_equal "what either had written was sent, and nothing else" "$sent" $((200 * 4096))
check_equal "... and nothing was compared" "$(comparison)" ""

# The old primary's map after a crash: the whole first region, by guess.
down
restore failed-over
tracker=$(echo "$TMPDIR/a.kernel"/vm1-disk0*)
echo "0 1024" >>"$tracker/active"
echo "0 1" >"$tracker/suspect"
up a
up b
check_equal "what the old primary has by guess counts in the plan" "$(plan_of)" \
	"[\"two-sided\",\"not-prepared\",$((1124 * 4096)),$((1024 * 4096))]"
check "... it is reversed" on b failback reverse --consent "$(digest)" vm1
check "... the disks are identical" wait_for 20 cmp -s "$a0" "$b0"
check_equal "... hashes of what it has by guess were sent, and of that only what differs" "$(comparison)" \
	"[$((1024 * 4096)),$((1024 * 16)),$((200 * 4096))]"

# --- cuts: a repeated reverse completes it ---

# repeat_reverse: once. Where the roles were swapped before the cut, what is left is a delta.
repeat_reverse()
{
	if [[ $(role b) = 2* ]]; then
		on b timeout 60 failback reverse --consent "$consent" vm1 >"$TMPDIR/out" 2>&1
	else
		on b timeout 60 failback resume vm1 >"$TMPDIR/out" 2>&1
	fi
}

# cut_everywhere <claim> <host>: at its steps, from the question for the plan on; in the short run at
# every fifth, from a random one on
cut_everywhere()
{
	local claim=$1 cut=$2 stride step other bad="" reached=1 nr=0

	other=$([ "$cut" = a ] && echo b || echo a)
	stride=$(required 5 1)
	[ "$stride" -gt 1 ] && step=$((RANDOM % stride - stride + 1)) || step=0
	while [ $reached = 1 ] && [ $step -lt 200 ]; do
		step=$((step + stride))
		restore failed-over
		up "$other"
		up "$cut"
		consent=$(digest)
		echo $step >"$TMPDIR/$cut.cut"
		on b timeout 30 failback reverse --consent "$consent" vm1 >"$TMPDIR/out" 2>&1 || true
		wait_for 3 both_replicate || true
		if rm "$TMPDIR/$cut.cut" 2>/dev/null; then
			reached=0
		else
			nr=$((nr + 1))
			stop_daemon "$cut"
			up "$cut"
			repeat_reverse || bad="$bad $step:$(tail -n 1 "$TMPDIR/out")"
		fi
		both_replicate || bad="$bad $step:$(role a),$(role b):$(tail -n 1 "$TMPDIR/out")"
		cmp -s "$a0" "$b0" || bad="$bad $step:differ"
		down
	done
	check_equal "$claim" "$bad" ""
	check "it was cut" test $nr -gt 0
	diag "$nr cuts up to step $step"
}
down
cut_everywhere "the new primary is cut at steps of a two-sided reverse" b
cut_everywhere "the old primary is cut at steps of it" a

# --- what else there may be ---

# lose_map <host>: its tracker's store is made anew
lose_map()
{
	local tracker
	tracker=$(echo "$TMPDIR/$1.kernel"/vm1-disk0*)
	cat /proc/sys/kernel/random/uuid >"$tracker/uuid"
	rm -f "$tracker/active" "$tracker/base"
}

# check_compared <whose map is lost> <plan>: the disks are hashed, and what differs is sent
check_compared()
{
	up a
	up b
	check_equal "when the map of $1 is lost, the plan is to compare" "$(plan_of)" "$2"
	check "it is reversed" on b failback reverse --consent "$(digest)" vm1
	check "both replicate" wait_for 20 both_replicate
	check "the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
	check_equal "what differs was sent, and nothing else" \
		"$(on b failback jobs --json | jq -s 'map(select(.type == 105).bytes_total) | max')" $((200 * 4096))
	check_equal "... after a hash of each 4 KiB of the disk" "$(comparison)" \
		"[$size,$(((size + 4095) / 4096 * 16)),$((200 * 4096))]"
	down
}
restore failed-over
lose_map a
check_compared "the old primary" "[\"compare\",\"peer-map-lost\",$size,null]"
restore failed-over
lose_map b
check_compared "the new primary" "[\"compare\",\"map-lost\",$size,$((100 * 4096))]"

restore failed-over
lose_map a
dd if=/dev/zero of="$a0" bs=512 count=$((size / 512)) conv=fsync,notrunc status=none
dd if=/dev/zero of="$b0" bs=1M seek=2 count=4 conv=fsync,notrunc status=none
up a
up b
check_equal "to a blank disk all is sent" "$(plan_of)" "[\"full\",\"blank\",$size,null]"
check "... which the plan says to people, too" eval 'on b failback plan vm1 | grep -q "^disk0  *full .* blank "'
check "it is reversed" on b failback reverse --consent "$(digest)" vm1
check "both replicate" wait_for 20 both_replicate
check "the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
sent=$(on b failback jobs --json | jq -s 'map(select(.type == 105).bytes_sent) | max')
check "... without its zeroes" test "$sent" -gt $((size - 5 * MiB)) -a "$sent" -lt $((size - 3 * MiB))
down

# a map that is lost when the roles are swapped, and nothing has arrived yet

# check_resynchronised <whose map is lost>
check_resynchronised()
{
	check_fails "when the map of $1 is lost then, a delta says how to go on" 17 'Nothing is lost: `failback resync vm1`|needed \(`failback resync vm1`\)' \
		on b failback resume vm1
	check "... which goes" on b failback resync vm1
	check "... and both replicate" wait_for 20 both_replicate
	check "... and the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
	down
}
restore failed-over
up a
up b
mv "$TMPDIR/bin/failback-send" "$TMPDIR/bin/send.good"
printf '#!/bin/sh\nexit 9\n' >"$TMPDIR/bin/failback-send"
chmod +x "$TMPDIR/bin/failback-send"
on b failback reverse --consent "$(digest)" vm1 >/dev/null 2>&1 || true
down
lose_map b
mv "$TMPDIR/bin/send.good" "$TMPDIR/bin/failback-send"
up a
up b
check_resynchronised "the new primary"

restore failed-over
up a
up b
consent=$(digest)
echo "5 failbackd both conn_call" >"$TMPDIR/b.cut" # before it asks for the map
on b timeout 30 failback reverse --consent "$consent" vm1 >/dev/null 2>&1 || true
check "the new primary dies before it has the other's map" wait_for 60 test ! -e "$TMPDIR/b.cut"
down KILL
lose_map a
up a
up b
check_resynchronised "the old primary"

# an acknowledgement that was lost before the failover: b holds an epoch that a aborted into its map
restore based
up a
up b
mv "$TMPDIR/bin/failback-send" "$TMPDIR/bin/send.good"
printf '#!/bin/sh\n"%s" "$@"\nexit 9\n' "$TMPDIR/bin/send.good" >"$TMPDIR/bin/failback-send"
chmod +x "$TMPDIR/bin/failback-send"
write_on a vm1-disk0 505 3
before=$(vm_property b Base)
on a failback resume vm1 >/dev/null 2>&1 || true
check "the replica holds what its primary does not know of" wait_for 60 eval '[ "$(vm_property b Base)" != "$before" ]'
mv "$TMPDIR/bin/send.good" "$TMPDIR/bin/failback-send"
down
fail_over
up a
check_equal "that is two-sided too" "$(plan_of)" "[\"two-sided\",\"not-prepared\",$((203 * 4096)),$((103 * 4096))]"
check "and reversed" on b failback reverse --consent "$(digest)" vm1
check "both replicate" wait_for 20 both_replicate
check "the disks are identical" cmp "$a0" "$b0"
down

# --- a map of several pages, to the last sector ---

restore based
for ((i = 0; i < 1100; i++)); do write_on a vm1-disk0 $((i * 2)) 1; done
dd if=/dev/urandom of="$a0" bs=512 seek=$((size / 512 - 1)) count=1 conv=fsync,notrunc status=none
echo "$((size / 4096)) 1" >>"$TMPDIR/a.kernel/vm1-disk0/active"
up b
on b failback failover --force vm1 >/dev/null || bail "no failover"
write_on b vm1-disk0 1 1
echo "another boot, $RANDOM" >"$TMPDIR/a.boot"
up a
check "a map of more than one page, and of the last part of a block, is taken over" \
	on b failback reverse --consent "$(digest)" vm1
check "both replicate" wait_for 30 both_replicate
check "the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
down

# --- what the plan says of a failover that was prepared ---

restore based
up a
up b
on a failback prepare vm1 >/dev/null || bail "it is not prepared"
on b failback failover vm1 >/dev/null || bail "no failover"
write_on b vm1-disk0 7 3
check_equal "a planned failover is reversed with a delta" "$(plan_of)" "[\"delta\",\"planned\",$((3 * 4096)),0]"
write_on a vm1-disk0.replica 20 2
check_equal "unless the old primary was written to" "$(plan_of)" "[\"two-sided\",\"written\",$((5 * 4096)),$((2 * 4096))]"
check "with consent it is reversed" on b failback reverse --consent "$(digest)" vm1
check "the disks are identical" wait_for 20 cmp -s "$a0" "$b0"
down

# --- a database that is put back from a backup names an older epoch ---

restore based
up a
up b
write_on a vm1-disk0 505 3
on a failback resume vm1 >/dev/null || bail "no delta"
down
rm -r "$TMPDIR/b.state"
cp -a "$TMPDIR/saved.based/b.state" "$TMPDIR"
fail_over
up a
check_equal "where the hosts name no epoch that both held, the disks are compared" "$(plan_of)" "[\"compare\",\"other-base\",$size,null]"
check "with consent it is reversed" on b failback reverse --consent "$(digest)" vm1
check "both replicate" wait_for 20 both_replicate
check "the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
