# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For tests of what a power cut leaves, in two halves: a script in tests/e2e, which starts the disks and
# a virtual machine on them and afterwards cuts the recorded run many times, and the script that
# runs in the guest. Both source tests/lib.sh first.

# --- on the host ---

# powercut_start <directory> <name>:<size>[:<contents>] ...: serves these disks and one named control,
# with the log in <directory>/log; sets powercut_vm to the arguments of scripts/vm that a guest needs
# to attach them. It does so by its own NBD client: QEMU's disks turn FUA into flushes.
powercut_start()
{
	local dir=$1 disk arguments=() names= port attempt
	shift

	for disk; do
		arguments+=("disk=$disk")
		names+="${disk%%:*} "
	done
	for attempt in 1 2 3 4 5; do
		port=$((20000 + RANDOM % 12000))
		rm -f "$dir/pid"
		nbdkit -f -t 32 -i 127.0.0.1 -p "$port" -P "$dir/pid" "$top/build/tests/powercut/server.so" \
			"log=$dir/log" "${arguments[@]}" >"$dir/server.out" 2>&1 &
		powercut_server=$!
		if wait_for 20 powercut_up_or_dead "$dir/pid" && [ -s "$dir/pid" ]; then
			powercut_vm=(--net host --env "POWERCUT=$port ${names}control")
			cleanup_fn powercut_stop
			return
		fi
		powercut_stop
		grep -q 'in use' "$dir/server.out" || break
	done
	bail "the disks are not served ($attempt): $(<"$dir/server.out")"
}

powercut_up_or_dead() { [ -s "$1" ] || ! kill -0 "$powercut_server" 2>/dev/null; }

# powercut_stop: as a power cut does it, if nothing did before.
powercut_stop()
{
	[ -n "${powercut_server:-}" ] || return 0
	kill -KILL "$powercut_server" 2>/dev/null || true
	wait "$powercut_server" 2>/dev/null || true
	powercut_server=
}

# --- in the guest ---

# powercut_attach: the disks as /dev/nbd0 and on, in the order in which powercut_start named them.
powercut_attach()
{
	local port name index=0

	modprobe nbd nbds_max=16 max_part=0
	read -r port powercut_names <<<"$POWERCUT"
	for name in $powercut_names; do
		nbd-client -b 512 -N "$name" 10.0.2.2 "$port" "/dev/nbd$index" >"$TMPDIR/nbd-client" 2>&1 ||
			bail "disk $name: $(<"$TMPDIR/nbd-client")"
		index=$((index + 1))
	done
}

# powercut_device <name>
powercut_device()
{
	local name index=0

	for name in $powercut_names; do
		if [ "$name" = "$1" ]; then
			echo "/dev/nbd$index"
			return
		fi
		index=$((index + 1))
	done
	return 1
}

# powercut_mark <text>: into the log, after all that was answered and before all that is asked for
# later. "begin": no cut falls before it. "base NAME DISK": what DISK holds now is kept as NAME.
# "cut": nothing is served any more.
powercut_mark()
{
	printf '%s\0' "$*" | dd of="$(powercut_device control)" bs=512 count=1 iflag=fullblock conv=sync \
		oflag=direct status=none 2>/dev/null || [ "$*" = cut ]
}
