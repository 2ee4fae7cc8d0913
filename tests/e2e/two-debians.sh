#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What README says under "Two hosts" is done, line by line, on two clean Debian machines: installed, paired,
# protected, failed over and home again, through reboots, and removed.
#
# e2e: timeout=60 long=10800
. "$(dirname "$0")/../lib.sh"
. "$top/tests/debian/debian.bash"
[ -n "${CHECK_LONG:-}" ] || skip_all "it takes an hour or two: make check-long"
requires root qemu-system-x86_64 qemu-img

# lines_of <heading>: what is to be typed, PROMPT# COMMAND, without comments
lines_of()
{
	awk -v heading="$1" '/^#/ { inside = $0 == heading } inside && /^    (both|primary|replica)# / { sub(/^ +/, ""); sub(/ +# .*/, ""); print }' \
		"$top/README.md"
}
# told <host> <command>: what it prints is in $TMPDIR/told
told() { debian_run "$@" >"$TMPDIR/told" 2>&1 || { diag "$(tail -n 30 "$TMPDIR/told")"; return 1; }; }
typed() { debian_type "$@" >"$TMPDIR/told" 2>&1 || { diag "$(tail -n 30 "$TMPDIR/told")"; return 1; }; }
on() { debian_run "$1" "$2" 2>/dev/null; }
is() { [ "$(on "$1" "$2")" = "$3" ]; }

# --- the machines ---

# what `make check` was called with is not for the packages
unset MAKEFLAGS MFLAGS MAKELEVEL

check "the packages are built" eval 'make -C "$top" deb >"$TMPDIR/deb" 2>&1 || { diag "$(tail -n 20 "$TMPDIR/deb")"; false; }'
debian_pair
for host in primary replica; do
	cp "$top"/build/deb/failback_*.deb "$top"/build/deb/failback-dkms_*.deb "$TMPDIR/$host/"
	check "$host is a clean machine" is $host 'cat state' running
	told $host 'vgcreate vg /dev/vdb' || bail "no volume group"
	touch "$TMPDIR/$host/before"
done
told primary 'lvcreate -y -L 192M -n vm1 vg && mkfs.ext4 -q /dev/vg/vm1' || bail "no disk"

# the VM: it writes to its disk, and that all the time
vm_starts()
{
	told "$1" 'systemd-run --quiet --unit=vm1 bash -c "while dd if=/dev/urandom of=/dev/mapper/vm1-disk0 bs=4k count=16 seek=\$((20000 + RANDOM % 10000)) oflag=direct conv=notrunc status=none; do sleep 0.3; done"'
}
vm_stops() { told "$1" 'systemctl stop vm1'; }
vm_writes() { is "$1" 'systemctl is-active vm1' active; }
sum() { on "$1" 'dd if=/dev/vg/vm1 bs=1M iflag=direct status=none | sha256sum | cut -c1-64'; }
other() { [ "$1" = primary ] && echo replica || echo primary; }
replicates() { is "$1" "failback status --json vm1 | grep -o '\"state\": *[0-9]*' | grep -o '[0-9]*\$'" 3; }

# --- reboots ---

# comes_back <host>: where the VM may run it gets its device again, where not it does not, and deltas go
comes_back()
{
	debian_reboot "$1"
	check "$1 comes back, and nothing of it has failed" is "$1" 'cat state' running
	check "... the primary's VM has its device" wait_for 180 is primary 'ls /dev/mapper' $'control\nvg-vm1\nvg-vm1--store\nvm1-disk0'
	check "... which the replica does not show" wait_for 180 is replica 'ls /dev/mapper' $'control\nvg-vm1\nvg-vm1--store\nvm1-disk0.replica'
	check "... and a delta goes" wait_for 180 told primary 'failback resume vm1'
}

# --- line by line ---

# before, after <host> <command>: what an operator does besides
before()
{
	case $2 in
	"failback prepare vm1") vm_stops "$1" || bail "the VM does not stop" ;;
	"failback remove vm1") vm_stops primary || true ;;
	esac
}
after()
{
	case $2 in
	"failback protect vm1 --to 192.0.2.2 --disk disk0=/dev/vg/vm1")
		vm_starts primary || bail "the VM does not start"
		;;
	"failback status")
		comes_back primary
		vm_starts primary
		comes_back replica
		;;
	"failback prepare vm1") sums=$(sum "$1") ;;
	"failback failover vm1")
		check_equal "... the disk is here as it was there" "$(sum "$1")" "$sums"
		vm_starts "$1" || bail "the VM does not start"
		;;
	"failback reverse vm1")
		check "... the VM writes" vm_writes "$1"
		check "... and is replicated the other way" replicates "$(other "$1")"
		check "... a delta goes" told "$1" 'failback resume vm1'
		;;
	esac
}

# run_line <host> <command>
run_line()
{
	local printed

	if [[ $2 == *" ..." ]]; then
		printed=$(grep -oE "${2% ...} .*" "$TMPDIR/told") || bail "nothing has printed '$2'"
		set -- "$1" "$printed"
	fi
	before "$@"
	check "$1# $2" typed "$@"
	[ $test_failures = 0 ] || bail "the next line stands on this one"
	after "$@"
}

# run_both <command>: at the same time
run_both()
{
	local other rc=0

	before both "$1"
	debian_type replica "$1" >"$TMPDIR/there" 2>&1 &
	other=$!
	check "primary# $1" typed primary "$1"
	wait $other || rc=$?
	check_equal "replica# $1" "$rc" 0
	[ $rc = 0 ] || diag "$(tail -n 30 "$TMPDIR/there")"
	[ $test_failures = 0 ] || bail "the next line stands on this one"
}

lines_of "## Installing" >"$TMPDIR/lines"
lines_of "### Two hosts" >>"$TMPDIR/lines"
check_equal "README has so many lines to type" "$(wc -l <"$TMPDIR/lines")" 23
while IFS= read -r line <&3; do
	case ${line%%#*} in
	both) run_both "${line#*# }" ;;
	*) run_line "${line%%#*}" "${line#*# }" ;;
	esac
done 3<"$TMPDIR/lines"

# --- what is left ---

check "the VM's disk is what it was" is primary 'blkid -o value -s TYPE /dev/vg/vm1' ext4
for host in primary replica; do
	check_equal "no mapped device but LVM's is left on $host" "$(on $host 'ls /dev/mapper')" $'control\nvg-vm1\nvg-vm1--store'
	check_equal "nor a file, but of what is replicated" \
		"$(on $host 'find / -xdev -newer /srv/test/before ! -type d \( -path "*failback*" -o -name "*cbt*" \) | sort | xargs')" \
		"/var/lib/failback/failback.db"
	check_equal "nor the module" "$(on $host 'lsmod | grep -c dm_cbt; dkms status')" 0
done
