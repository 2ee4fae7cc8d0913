#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The guest's half of tests/e2e/two-hosts.sh: a host of VMs that does what it is told. It is cut off
# and started again on what its disks then hold.
#
#	guest-host.sh <directory that both see> <port of failbackd>
#
# Its disks are those of powercut_start: root, where failbackd keeps all that it has, origin and store.
# What stands in <directory>/do is run; <directory>/out and then <directory>/done, the status, are
# what came of it.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/powercut.bash"

test_done=1 # this is no test: no plan
share=$1 port=$2
powercut_attach
root=$TMPDIR/root
origin=$(powercut_device origin) store=$(powercut_device store) tracker=vm1-disk0
[ -n "$(blkid -s TYPE "$(powercut_device root)")" ] || mkfs.ext4 -q "$(powercut_device root)"
mkdir "$root"
mount "$(powercut_device root)" "$root"
for directory in /etc/failback /var/lib/failback; do
	mkdir -p "$directory" "$root$directory"
	mount --bind "$root$directory" "$directory"
done
mkdir -p /run/dbus
cp "$top/user/systemd/org.failback1.conf" /etc/dbus-1/system.d/
dbus-daemon --system --fork --nopidfile

# make_disk [<VM>]: once in the life of the disk; with a file system and something on it
make_disk()
{
	if [ -n "${1:-}" ]; then
		mkdir "$TMPDIR/tree"
		head -c 64M /dev/urandom >"$TMPDIR/tree/used"
		mkfs.ext4 -q -b 4096 -d "$TMPDIR/tree" "$origin"
		rm -r "$TMPDIR/tree"
	fi
	cbtctl format "$origin" "$store" >/dev/null
}

# install: once in the life of this host's root; prints its fingerprint
install()
{
	printf '[failbackd]\nlisten = 10.0.2.15:%s\nreplica-paths = /dev\n' "$port" >/etc/failback/failbackd.conf
	echo "$tracker $origin $store" >/etc/failback/trackers
	failback host init | grep -o -m 1 'sha256:[0-9a-f]*'
}

# start: as the units do, at each boot
start()
{
	insmod_cbt copy_stall_ms=60000 # a busy machine, which emulates this one
	cbtctl activate
	setsid failbackd >>"$share/failbackd.log" 2>&1 &
	daemon=$!
	wait_for 60 answers || { tail "$share/failbackd.log"; return 1; }
}
# autostart: what starts VMs by itself, which opens the disk as soon as it is there, for as long as $share/autostart
# is; leaves $share/autostarted when it could. Before start, as whoever enabled it at boot.
autostart()
{
	: >"$share/autostart"
	python3 - "$share" /dev/mapper/$tracker <<-'PYTHON' &
		import os, sys, time
		share, disk = sys.argv[1:]
		while os.path.exists(share + "/autostart"):
		    try:
		        os.close(os.open(disk, os.O_RDWR))
		        open(share + "/autostarted", "w").close()
		    except OSError:
		        time.sleep(0.01)
	PYTHON
}
stop()
{
	kill "$daemon"
	wait "$daemon" || return
	cbtctl deactivate
}
answers() { failback status >/dev/null 2>&1; }

# start_vm: a file system with a database, which is written to until $share/stop is there; prints how
# many rows it had
start_vm()
{
	local rows

	mkdir -p "$TMPDIR/vm"
	mount /dev/mapper/$tracker "$TMPDIR/vm"
	sqlite3 "$TMPDIR/vm/db" 'PRAGMA journal_mode=WAL;
		CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY, what BLOB);' >/dev/null
	rows=$(sqlite3 "$TMPDIR/vm/db" 'SELECT count(*) FROM log;')
	echo "$rows" | tee "$share/rows"
	rm -f "$share/stop"
	write_rows "$rows" &
}
write_rows()
{
	local row=$1

	while [ ! -e "$share/stop" ]; do
		row=$((row + 1))
		sqlite3 "$TMPDIR/vm/db" "PRAGMA synchronous=FULL; INSERT INTO log VALUES ($row, randomblob(10000));"
		echo $row >"$share/rows.new"
		mv "$share/rows.new" "$share/rows"
	done
	umount "$TMPDIR/vm"
	: >"$share/stopped"
}
stop_vm()
{
	rm -f "$share/stopped"
	: >"$share/stop"
	wait_for 60 test -e "$share/stopped"
}

: >"$share/up"
until [ -e "$share/halt" ]; do
	if [ ! -e "$share/do" ]; then
		sleep 0.1
		continue
	fi
	mv "$share/do" "$share/doing"
	rc=0
	# not in a subshell: what it starts is ours
	{ eval "$(<"$share/doing")"; } >"$share/out" 2>&1 </dev/null || rc=$?
	echo $rc >"$share/done.new"
	mv "$share/done.new" "$share/done"
done
