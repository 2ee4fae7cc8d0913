#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The units under a systemd of their own, in their sandboxes: trackers are made, VMs' names appear,
# and what the daemon and its workers do with disks, journals and images is not kept from them.
#
# vm: disk=64M disk=32M disk=64M timeout=400 mem=1536
. "$(dirname "$0")/../lib.sh"
requires root dmsetup jq unshare busctl

# --- outside: a systemd in namespaces, which runs this file again as a service ---

if [ "${1:-}" != inside ]; then
	insmod_cbt
	make -C "$top" --no-print-directory install SETUP= prefix=/usr/local >"$TMPDIR/install.log" 2>&1 || bail "$(<"$TMPDIR/install.log")"
	mkdir -p /sys/fs/cgroup/test/systemd /etc/failback
	printf '%s\n' "vm1-disk0 /dev/vda /dev/vdb" "free /dev/vdc - start" >/etc/failback/trackers
	cbtctl format /dev/vda /dev/vdb >/dev/null
	cat >/etc/systemd/system/failback-test.service <<-UNIT
	[Unit]
	After=failbackd.service failback-activate.service dbus.service
	Wants=failbackd.service failback-activate.service dbus.service
	[Service]
	Type=oneshot
	Environment=TMPDIR=$TMPDIR FAILBACK_CACHE=$FAILBACK_CACHE PATH=$PATH
	WorkingDirectory=$top
	ExecStart=/bin/bash $0 inside
	StandardOutput=file:$TMPDIR/points
	StandardError=file:$TMPDIR/points
	ExecStopPost=/bin/systemctl --no-block exit
	UNIT
	# shellcheck disable=SC2016 # expanded by the other shell
	timeout 300 unshare --pid --mount --fork --kill-child bash -c '
		echo $$ >/sys/fs/cgroup/test/systemd/cgroup.procs
		exec unshare --cgroup bash -c "
			mount -t proc proc /proc
			mount -t cgroup2 cgroup2 /sys/fs/cgroup
			mount -t tmpfs -o mode=755 run /run
			exec env -i container=failback PATH=$PATH /lib/systemd/systemd --system --unit=failback-test.service --log-target=console --show-status=0"
	' >"$TMPDIR/systemd.log" 2>&1 || true
	sed 's/^1\.\.[0-9]*$//' "$TMPDIR/points"
	test_points=$(grep -cE '^(not )?ok ' "$TMPDIR/points" || true)
	test_failures=$(grep -cE '^not ok ' "$TMPDIR/points" || true)
	[ "$test_points" -gt 0 ] && grep -q '^1\.\.' "$TMPDIR/points" || {
		tail -n 30 "$TMPDIR/systemd.log" | diag
		bail "systemd did not run the test to its end"
	}
	exit 0
fi

# --- inside ---

. "$top/tests/e2e/controller.bash"
sandboxed() { DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/dbus/system_bus_socket failback "$@"; }
unit_log() { journalctl -u "$1" --no-pager 2>/dev/null | tail -n 20 | diag; }

check "the trackers are activated" systemctl is-active --quiet failback-activate
check "failbackd runs" systemctl is-active --quiet failbackd
check_equal "as the units say" "$(systemctl show -p ExecStart failbackd | grep -o '/usr/local/sbin/failbackd' | head -n 1)" /usr/local/sbin/failbackd
check_equal "the devices are there, one of them fenced" "$(dmsetup ls | cut -f1 | sort | paste -sd' ')" "free vm1-disk0.replica"
check_fails "its sandbox keeps it from mounting" 1 '' grep -q "CapEff:.*ffff" "/proc/$(systemctl show -p MainPID --value failbackd)/status"
check_equal "and from new privileges" "$(grep NoNewPrivs "/proc/$(systemctl show -p MainPID --value failbackd)/status" | cut -f2)" 1

# the other host, out of any sandbox
address[b]=127.0.0.3
size=$(blockdev --getsize64 /dev/vda)
port=7407
start_bus b
printf '[failbackd]\nplain = %s\n' "$plain" >/etc/failback/failbackd.conf
truncate -s "$size" "$TMPDIR/replica"
replica=$(losetup --find --show "$TMPDIR/replica")
cleanup_fn losetup -d "$replica"
systemctl restart failbackd
check "failbackd takes its settings and starts again" wait_for 30 sandboxed status
# 0.0.0.0 has the port, so b listens on its own address with another one
port=7408
start_daemon b --replica-paths /dev
jq -n --arg vm $vm --arg peer "127.0.0.3:7408" --arg b "$replica" '{vm: $vm, name: "vm1", peer: $peer,
	disks: [{name: "disk0", path: "/dev/vda", tracker: "vm1-disk0", peer_path: $b}]}' >"$TMPDIR/create.json"
check "a relationship is created" sandboxed create "$TMPDIR/create.json"
check "and the VM's device appears" wait_for 30 test -e /dev/mapper/vm1-disk0
check "all of the disk is sent, out of the sandbox" sandboxed initial vm1
dd if=/dev/urandom of=/dev/mapper/vm1-disk0 bs=64k count=20 seek=3 oflag=direct status=none
check "a delta is sent, from an image" sandboxed resume vm1
check "the last one, too" sandboxed prepare vm1
check "and arrives" cmp /dev/vda "$replica"
systemctl stop failbackd
check_equal "stopping it leaves the trackers" "$(dmsetup ls | cut -f1 | sort | paste -sd' ')" "free vm1-disk0.replica"
systemctl stop failback-activate
check_equal "stopping them leaves none" "$(dmsetup ls)" "No devices found"
check "in order" cbtctl store-check /dev/vdb
[ "$test_failures" = 0 ] || { unit_log failbackd; unit_log failback-activate; }
