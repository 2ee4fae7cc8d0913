#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# failback protect: a VM on logical volumes gets stores, trackers, a replica and a relationship, in one
# command on each host; one that was cut off is completed by the same command; nothing that was there
# before is written to.
#
# e2e: timeout=400
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"
. "$(dirname "$0")/lvm.bash"

fake_lvm
build cuts
link_fake "$TMPDIR/bin" failback
ga=fba$$ gb=fbb$$
size=$((4 * MiB))
make_group $ga $((100 * MiB))
make_group $gb $((100 * MiB))
make_volume $ga vm1 $size
make_volume $ga vm1-log $size
random_contents 1 | dd of=/dev/$ga/vm1 bs=1M conv=fsync status=none
random_contents 2 | dd of=/dev/$ga/vm1-log bs=1M conv=fsync status=none
# what was there before a new volume
truncate -s 16M "$TMPDIR/old-store" "$TMPDIR/old-disk"
cbtctl format "$TMPDIR/old-disk" "$TMPDIR/old-store" >/dev/null
cp "$TMPDIR/old-store" "$FAKE_LVM/.stale"

export FAKE_KERNEL FAKE_CUT
daemon_options=(--second-ms 20)
for host in a b; do
	mkdir "$TMPDIR/$host.kernel"
	start_bus $host
	echo "boot of $host" >"$TMPDIR/$host.boot"
done
up a
up b --replica-paths /dev/$gb
printf '[failbackd]\nreplica-paths = /dev/%s\n' $gb >"$TMPDIR/b.conf"
printf '[failbackd]\n' >"$TMPDIR/none.conf"

# run <host> <argument>...: failback of that host.
run()
{
	local host=$1
	shift
	FAKE_KERNEL=$TMPDIR/$host.kernel FAKE_CUT=$TMPDIR/cut on "$host" "$TMPDIR/bin/failback" "$@"
}
disk0=(--disk disk0=/dev/$ga/vm1)
disks=("${disk0[@]}" --disk log=/dev/$ga/vm1-log)
on_a() { run a protect vm1 --to "${address[b]}:$port" --peer-vg $gb --table "$TMPDIR/a.trackers" "$@"; }
on_b() { run b protect vm1 --replica --table "$TMPDIR/b.trackers" --config "$TMPDIR/b.conf" "$@"; }
replica0=(--disk disk0=/dev/$gb/vm1:$size)
replicas=("${replica0[@]}" --disk log=/dev/$gb/vm1-log:$size)

# state: all of LVM, tables, trackers and volumes, so that nothing can have changed unseen.
state()
{
	(cd "$FAKE_LVM" && find . -type f ! -name .broken ! -name .stale -printf '%p %s %T@\n' | sort)
	cat "$TMPDIR"/[ab].trackers 2>/dev/null || true
	ls -d "$TMPDIR"/[ab].kernel/* 2>/dev/null || true
}
# unchanged <claim> <command>...
unchanged()
{
	local claim=$1 before
	shift
	before=$(state)
	"$@"
	check_equal "$claim" "$(state)" "$before"
}
# refused <claim> <status> <regex> <command>...: and nothing has changed.
refused() { unchanged "... and nothing has changed" check_fails "$@"; }

# --- wrong usage ---

refused "a VM is protected to a host" 15 'Say which host' run a protect vm1 "${disk0[@]}"
refused "disks have to be named" 15 'Name the disks' on_a
refused "as volumes" 15 'does not name a logical volume' on_a --disk disk0=/dev/loop0
refused "with names" 15 'expected NAME=/dev/VG/LV' on_a --disk /dev/$ga/vm1
refused "each its own" 15 'Two disks are named disk0' on_a "${disk0[@]}" --disk disk0=/dev/$ga/vm1-log
refused "and each once" 15 'are both' on_a "${disk0[@]}" --disk disk1=/dev/$ga/vm1
refused "sizes are for the replica" 15 'a size is for --replica only' on_a --disk disk0=/dev/$ga/vm1:$size
refused "which needs them" 15 'expected NAME=/dev/VG/LV:SIZE' on_b --disk disk0=/dev/$gb/vm1
refused "what is said on the primary is not said there" 15 'given where the VM runs' on_b "${replica0[@]}" --uuid $vm
refused "a UUID is one" 15 'is no UUID' on_a "${disk0[@]}" --uuid x
refused "a name that no tracker can have is refused" 15 "can be no tracker's name" \
	run a protect "my vm" --to "${address[b]}:$port" "${disk0[@]}"
long=$(printf 'v%.0s' {1..65})
refused "... or no VM" 15 'No VM can be named' run a protect "$long" --to "${address[b]}:$port" "${disk0[@]}"
refused "... on the replica, too" 15 'No VM can be named' run b protect "$long" --replica --config "$TMPDIR/b.conf" "${replica0[@]}"
refused "a volume that is not there is named" 21 "no volume nosuch in volume group $ga" on_a --disk disk0=/dev/$ga/nosuch
refused "and a group" 21 'no volume group nosuch' on_a --disk disk0=/dev/nosuch/vm1
refused "stores need room" 15 "Volume group fbs.* has no room for /dev/fbs[0-9]*/vm1-store" eval "
	make_group fbs$$ $((2 * MiB)); on_a ${disks[*]} --vg fbs$$; rc=\$?; rm -r $FAKE_LVM/fbs$$; exit \$rc"
mv "$TMPDIR/a.kernel" "$TMPDIR/a.away"
refused "without the module nothing is begun" 19 'dm-cbt is not loaded' on_a "${disk0[@]}"
mv "$TMPDIR/a.away" "$TMPDIR/a.kernel"
exec 3<>/dev/$ga/vm1-log
refused "a disk that is in use cannot get under a tracker, and what to do is said" 16 \
	'in use: .*shut VM vm1 down, repeat this, and let it use /dev/mapper/vm1-log' on_a "${disks[@]}"
exec 3>&-

# --- the primary's half ---

unchanged "a dry run changes nothing" eval 'on_a "${disks[@]}" --dry-run >"$TMPDIR/dry"'
command="failback protect vm1 --replica --disk disk0=/dev/$gb/vm1:$size --disk log=/dev/$gb/vm1-log:$size"
check_equal "and says all that would be done" "$(sed "s#$TMPDIR#T#" "$TMPDIR/dry")" "$(
	for name in disk0 log; do
		lv=vm1
		[ $name = disk0 ] || lv=vm1-log
		echo "$name: would make /dev/$ga/$lv-store, 13 MiB"
		echo "$name: would format /dev/$ga/$lv-store"
		echo "$name: would add to T/a.trackers: vm1-$name /dev/$ga/$lv /dev/$ga/$lv-store"
		echo "$name: would activate tracker vm1-$name"
	done
	echo "VM vm1: would create the relationship with ${address[b]}:$port, and begin the initial replication"
	printf 'On %s:%s, as root, unless it is done already:\n\n    %s\n' "${address[b]}" "$port" "$command"
)"
check_equal "for programs, too" "$(on_a "${disks[@]}" --dry-run --json |
	jq -c '[.dry_run, .peer_command, (.disks[] | .tracker, .bytes, (.steps | length))]')" \
	"[true,\"$command\",\"vm1-disk0\",$size,4,\"vm1-log\",$size,4]"
echo '  Volume group is locked' >"$FAKE_LVM/.broken"
refused "what LVM refuses is said" 10 'lvcreate failed with status 5: Volume group is locked' on_a "${disks[@]}"
rm "$FAKE_LVM/.broken"
check_fails "without the peer's half the disks are made ready, and the command for it is given" 21 \
	"    $command" on_a "${disks[@]}"
check_equal "stores are there and new no more" "$(cat "$FAKE_LVM/$ga"/*-store.tags)" ""
check_equal "trackers stand in the table" "$(<"$TMPDIR/a.trackers")" \
	"vm1-disk0 /dev/$ga/vm1 /dev/$ga/vm1-store
vm1-log /dev/$ga/vm1-log /dev/$ga/vm1-log-store"
check_equal "and are active" "$(ls "$TMPDIR/a.kernel" | sed 's/\.replica$//')" $'vm1-disk0\nvm1-log'
check_equal "what the store's place held before counts for nothing" \
	"$(cbtctl store-dump /dev/$ga/vm1-store --json | jq -c '[.store.size_bytes, .store.generation]')" "[$size,1]"
check_fails "a second time it is the same" 21 "^failback: .*Disk .*/vm1 cannot be used: No such file" on_a "${disks[@]}"
check_equal "and nothing is made" "$(grep -c lvcreate "$FAKE_LVM/.log")" 4

exec 3<>/dev/$ga/vm1
refused "nor is anything replicated of which a VM writes the volume itself" 16 \
	'written below its tracker, .* it: .*has it open for writing. Shut VM vm1 down' on_a "${disks[@]}"
exec 3>&-
mv "$TMPDIR/a.kernel" "$TMPDIR/a.away"
mkdir "$TMPDIR/a.kernel"
exec 3<>/dev/$ga/vm1
refused "nor is a tracker put back under a VM that uses the volume itself" 16 'in use: .*shut VM vm1 down' on_a "${disks[@]}"
exec 3>&-
rmdir "$TMPDIR/a.kernel"
mv "$TMPDIR/a.away" "$TMPDIR/a.kernel"

# --- the replica's half ---

refused "a host lets no peer name what it did not say so of" 17 "add /dev/$gb to .replica-paths." \
	on_b "${replicas[@]}" --config "$TMPDIR/none.conf"
make_group fbx$$ $((100 * MiB)) $((3 * MiB))
refused "a size that cannot be had exactly is refused" 15 'has extents of 3 MiB' on_b --disk disk0=/dev/fbx$$/vm1:$size
make_volume $gb vm1 $((5 * MiB))
refused "a volume of another size is refused" 16 "/dev/$gb/vm1 is there already and has $((5 * MiB)) bytes, where $size" on_b "${replicas[@]}"
remove_volume $gb vm1
: >"$FAKE_LVM/.stale"
make_volume $gb vm1 $size
mkfs.ext4 -q /dev/$gb/vm1
refused "one that holds a file system is refused" 16 'holds a file system \(ext4\)' on_b "${replicas[@]}"
wipefs -aq /dev/$gb/vm1
refused "one that holds something is refused" 16 'holds something' on_b "${replicas[@]}"
dd if=/dev/zero of=/dev/$gb/vm1 bs=1M count=4 conv=fsync status=none
exec 3<>/dev/$gb/vm1
refused "one that is in use is refused" 16 'A replica needs a volume that nothing else uses' on_b "${replicas[@]}"
exec 3>&-
make_volume $gb vm1-store $((13 * MiB))
refused "nothing is written to a store's place that was not made for it" 16 "/dev/$gb/vm1-store is there already, was not made" on_b "${replicas[@]}"
cbtctl format "$TMPDIR/old-disk" /dev/$gb/vm1-store >/dev/null
refused "nor to the store of another disk" 16 "/dev/$gb/vm1-store is there already, was not made" on_b "${replicas[@]}"
uuid=$(cbtctl format --force /dev/$gb/vm1 /dev/$gb/vm1-store)
echo "vm1-disk0 /dev/$gb/other -" >"$TMPDIR/b.trackers"
refused "a name that another disk's tracker has is refused" 16 "stands in .*b.trackers for another disk" on_b "${replicas[@]}"
echo "other /dev/$gb/vm1 -" >"$TMPDIR/b.trackers"
refused "a volume that is another VM's is refused" 16 'as tracker other' on_b "${replicas[@]}"
echo "vm1-disk0 /dev/$gb/vm1 -" >"$TMPDIR/b.trackers"
refused "so is a tracker without a store" 17 'has no store' on_b "${replicas[@]}"
echo "vm1-disk0 /dev/$gb/vm1 /dev/$gb/nosuch" >"$TMPDIR/b.trackers"
refused "and one whose store is gone" 21 '/dev/.*/nosuch in .*, which is not there' on_b "${replicas[@]}"
printf '# ours' >"$TMPDIR/b.trackers"
cp "$TMPDIR/old-store" "$FAKE_LVM/.stale"
unchanged "a dry run changes nothing" eval 'on_b "${replicas[@]}" --dry-run >"$TMPDIR/dry"'
check "and says that one disk lacks less" test "$(grep -c '^disk0: would' "$TMPDIR/dry")" = 2
check "what the other host printed makes the replica's half" eval "run b ${command#failback } --table $TMPDIR/b.trackers --config $TMPDIR/b.conf"
check_equal "a volume and a store that were there and fit are kept" "$(cbtctl store-dump /dev/$gb/vm1-store --json | jq -r .store.uuid)" "$uuid"
check_equal "what stood in the table stays" "$(head -n 1 "$TMPDIR/b.trackers")" "# ours"
check_equal "trackers are active, fenced" "$(ls "$TMPDIR/b.kernel")" $'vm1-disk0.replica\nvm1-log.replica'
check_equal "nothing is new any more" "$(cat "$FAKE_LVM/$gb"/*.tags)" ""
refused "the store of a disk that is under a tracker is no disk" 16 "/vm1-log-store is the store of tracker vm1-log in" \
	on_b --disk disk1=/dev/$gb/vm1-log-store:$((13 * MiB))

# --- the two ---

check "the same command on the primary completes it" on_a "${disks[@]}"
check_equal "both replicate" "$(run a status --json vm1 | jq -c '[.mode, .state]') $(run b status --json vm1 | jq -c '[.mode, .state]')" "[1,3] [2,3]"
check "and the disks are identical" eval "wait_for 10 cmp -s /dev/$ga/vm1 /dev/$gb/vm1 && cmp -s /dev/$ga/vm1-log /dev/$gb/vm1-log"
check_equal "the VM has its devices" "$(ls "$TMPDIR/a.kernel")" $'vm1-disk0\nvm1-log'
again() { on_a "${disks[@]}" | grep -q '^VM vm1 is replicated to'; }
check "once more, it is said that it is so" again
before=$(sha256sum "$FAKE_LVM/.log")
on_b "${replicas[@]}" >/dev/null
check_equal "and nothing is made, on the replica neither" "$(sha256sum "$FAKE_LVM/.log")" "$before"
check_fails "to another host it goes not" 17 'is replicated to .* already' run a protect vm1 --to 127.0.0.9 --table "$TMPDIR/a.trackers" "${disks[@]}"
check_fails "nor with other disks" 17 'with other disks' on_a "${disk0[@]}"
sed -i.whole '$s/$/ start/' "$TMPDIR/a.trackers"
check_fails "nor where a line of the table shows the disk from the boot on" 17 'says .start., .*take that word out' on_a "${disks[@]}"
mv "$TMPDIR/a.trackers.whole" "$TMPDIR/a.trackers"
check_fails "nor from the replica" 17 'it is protected from the host where it runs' \
	run b protect vm1 --to "${address[a]}:$port" --table "$TMPDIR/b.trackers" "${replicas[@]%:*}"

# --- cut off anywhere ---

# afresh: as before the first command, but for what the VM's disks hold.
afresh()
{
	run a remove vm1 >/dev/null 2>&1 || true
	run b remove vm1 >/dev/null 2>&1 || true
	rm -rf "$TMPDIR"/[ab].kernel/* "$TMPDIR"/[ab].trackers
	for volume in $ga/vm1-store $ga/vm1-log-store $gb/vm1 $gb/vm1-log $gb/vm1-store $gb/vm1-log-store; do
		[ ! -e "$FAKE_LVM/$volume" ] || remove_volume ${volume%/*} ${volume#*/}
	done
}
# vm_is_free <host>: no job runs on it.
idle() { [ "$(run "$1" jobs --json | jq -s 'map(select(.vm != null and .state < 7)) | length')" = 0 ]; }
replicates() { [ "$(run a status --json vm1 | jq -c '[.mode, .state]') $(run b status --json vm1 | jq -c '[.mode, .state]')" = "[1,3] [2,3]" ]; }
whole()
{
	[ "$(grep -c . "$TMPDIR/$1.trackers") $(cat "$FAKE_LVM/$2"/*.tags)" = "1 " ] &&
		"$REAL_CBTCTL" store-check /dev/$2/vm1-store >/dev/null && ls "$TMPDIR/$1.kernel" | grep -q '^vm1-disk0'
}

# after each step but the first two, which only look; before it is after the one before
failed=
for ((at = 6; ; at += 2)); do
	afresh
	echo "$at failback alone" >"$TMPDIR/cut"
	on_b "${replica0[@]}" >/dev/null 2>&1 || true
	[ ! -e "$TMPDIR/cut" ] || break
	on_b "${replica0[@]}" >"$TMPDIR/out" 2>&1 && whole b $gb || failed+=" $at: $(<"$TMPDIR/out")"
done
check_equal "the replica's half is completed after each cut" "$failed" ""
check "of which there were enough" test $at -gt 18

failed=
for ((at = 6; ; at += 2)); do
	wait_for 10 idle a
	afresh
	on_b "${replica0[@]}" >/dev/null
	echo "$at failback alone" >"$TMPDIR/cut"
	on_a "${disk0[@]}" >/dev/null 2>&1 || true
	[ ! -e "$TMPDIR/cut" ] || break
	wait_for 10 idle a
	on_a "${disk0[@]}" >"$TMPDIR/out" 2>&1 && whole a $ga && wait_for 10 replicates &&
		wait_for 10 cmp -s /dev/$ga/vm1 /dev/$gb/vm1 || failed+=" $at: $(<"$TMPDIR/out")"
done
check_equal "so is the primary's, up to the replication" "$failed" ""
check "of which there were enough, too" test $at -gt 18

# the peer's half is there, and this host does not know it
rm -f "$TMPDIR/cut"
wait_for 10 idle a
afresh
on_b "${replica0[@]}" >/dev/null
echo "1 failback alone client_act" >"$TMPDIR/cut"
on_a "${disk0[@]}" >/dev/null 2>&1 || true
run a remove vm1
check "a peer that has its half already is no obstacle" on_a "${disk0[@]}"
check "both replicate" replicates
afresh
on_b "${replica0[@]}" >/dev/null
check "a VM gets the UUID that libvirt knows it by" on_a "${disk0[@]}" --uuid $vm
check_equal "on both hosts" "$(run a export | jq -r '.relationships[].vm') $(run b export | jq -r '.relationships[].vm')" "$vm $vm"
rm -rf "$FAKE_LVM/fbx$$"
