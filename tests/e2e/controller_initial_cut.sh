#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The replica's failbackd is killed when an initial replication was acknowledged and is not recorded: the next
# delta proves that it arrived, and nothing is sent once more.
#
# e2e: timeout=120
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"

size=$MiB
daemon_options=(--call-timeout 5 --second-ms 1000 --replica-paths /dev) # no delta goes by itself
export FAILBACK_NO_IO_URING=1
two_hosts cuts
random_contents 1 | dd of="$b0" bs=1M conv=fsync status=none
jq -n --arg vm $vm --arg peer "${address[b]}:$port" --arg a "$a0" --arg b "$b0" '{vm: $vm, name: "vm1", peer: $peer,
	disks: [{name: "disk0", path: $a, tracker: "vm1-disk0", peer_path: $b}]}' >"$TMPDIR/create.json"
up a
up b
check "a relationship is created" on a failback create "$TMPDIR/create.json"
down
save created
for ((step = 1; step < 20; step++)); do
	restore created
	up a
	up b
	echo "$step failbackd both store_put_relationship" >"$TMPDIR/b.cut"
	on a timeout 30 failback initial vm1 >"$TMPDIR/out" 2>&1 || true
	[ ! -e "$TMPDIR/b.cut" ] || bail "b was never cut there"
	[ "$(role a)" != "1 3" ] || break
	down KILL
done
stop_daemon b
up b
check_equal "the initial replication is acknowledged by a replica that dies then" "$(role a), $(role b)" "1 3, 2 2"
check "all of it arrived" cmp "$a0" "$b0"
check_equal "... and does not know that it is whole" "$(vm_property b Consistent)" false
write_on a vm1-disk0 9 2
check "the next delta goes" on a failback resume vm1
check_equal "both replicate" "$(role a), $(role b), $(vm_property b Consistent)" "1 3, 2 3, true"
check "the disks are identical" wait_for 60 cmp -s "$a0" "$b0"
check_equal "nothing but it was sent" "$(on a failback jobs --json | jq -s 'map(select(.type == 105)) | last.bytes_total')" 8192
