# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Clean Debian 12 machines in QEMU (scripts/debian-image), for tests that source this after lib.sh. There are
# two, `primary` and `replica`, 192.0.2.1 and 192.0.2.2, with nothing but each other on their network, an empty
# disk /dev/vdb, and /srv/test, which is $TMPDIR/HOST here.

declare -A debian_address=([primary]=192.0.2.1 [replica]=192.0.2.2)
declare -A debian_pid=()
debian_ports=($((20000 + RANDOM % 10000)) $((30000 + RANDOM % 10000)))

# debian_on <host>: power
debian_on()
{
	local host=$1 here=0 there=1 append

	[ "$host" = primary ] || here=1 there=0
	rm -f "$TMPDIR/$host"/{boot,state}
	append="root=/dev/vda console=ttyS0 quiet mitigations=off net.ifnames=0 panic=-1"
	setpriv --pdeathsig KILL qemu-system-x86_64 -name "$host" -nodefaults -no-user-config -display none \
		-machine q35,accel=tcg -cpu max -smp 1 -m 1280 \
		-kernel "$debian_image/vmlinuz" -initrd "$debian_image/initrd.img" -append "$append" \
		-chardev "file,id=console,path=$TMPDIR/$host.console,append=on" -serial chardev:console \
		-drive "if=none,id=system,file=$TMPDIR/$host.qcow2,cache=unsafe" -device virtio-blk-pci,drive=system \
		-drive "if=none,id=data,format=raw,file=$TMPDIR/$host.data,cache=writeback,discard=unmap" \
		-device virtio-blk-pci,drive=data \
		-object rng-random,id=rng,filename=/dev/urandom -device virtio-rng-pci,rng=rng \
		-virtfs "local,path=$TMPDIR/$host,mount_tag=test,security_model=none" \
		-netdev "dgram,id=net,local.type=inet,local.host=127.0.0.1,local.port=${debian_ports[here]},remote.type=inet,remote.host=127.0.0.1,remote.port=${debian_ports[there]}" \
		-device "virtio-net-pci,netdev=net,mac=52:54:00:00:02:0$((here + 1)),romfile=" \
		</dev/null >"$TMPDIR/$host.qemu" 2>&1 &
	debian_pid[$host]=$!
}

# debian_off <host>: its power is gone
debian_off()
{
	kill -KILL "${debian_pid[$1]}" 2>/dev/null || true
	wait "${debian_pid[$1]}" 2>/dev/null || true
	debian_pid[$1]=
}

debian_lives() { kill -0 "${debian_pid[$1]}" 2>/dev/null || bail "$1 died: $(cat "$TMPDIR/$1.qemu")"; }
debian_booted() { debian_lives "$1" && [ -s "$TMPDIR/$1/state" ]; }

# debian_up <host>...: until they have booted
debian_up()
{
	local host

	for host in "$@"; do
		wait_for 900 debian_booted "$host" || bail "$host does not boot: $(tail -n 20 "$TMPDIR/$host.console")"
	done
}

debian_ended() { debian_lives "$1" && [ -e "$TMPDIR/$1/$2.status" ]; }

# debian_run <host> <command>: as root, in /srv/test. Prints what it prints, and ends as it does.
debian_run()
{
	local host=$1 name

	name=$(date +%s%N)
	printf 'cd /srv/test\n%s\n' "$2" >"$TMPDIR/$host/$name.new"
	mv "$TMPDIR/$host/$name.new" "$TMPDIR/$host/$name.job"
	wait_for 3600 debian_ended "$host" "$name" || bail "$host does not end: $2"
	cat "$TMPDIR/$host/$name.out"
	return "$(<"$TMPDIR/$host/$name.status")"
}

# debian_type <host> <line>: the same at a terminal, where each question is answered with yes
debian_type()
{
	debian_run "$1" "printf 'yes\nyes\n' | DEBIAN_FRONTEND=noninteractive script -qec $(printf %q "$2") /dev/null | tr -d '\r'; exit \${PIPESTATUS[1]}"
}

# debian_reboot <host>: as an operator does
debian_reboot()
{
	local old

	old=$(<"$TMPDIR/$1/boot")
	rm "$TMPDIR/$1/state"
	# the command has ended by then
	debian_run "$1" 'systemd-run --quiet --on-active=2 systemctl reboot'
	debian_is_new() { debian_lives "$1" && [ -s "$TMPDIR/$1/state" ] && [ "$(<"$TMPDIR/$1/boot")" != "$old" ]; }
	wait_for 900 debian_is_new "$1" || bail "$1 does not come back: $(tail -n 20 "$TMPDIR/$1.console")"
}

debian_end() { for host in "${!debian_pid[@]}"; do [ -z "${debian_pid[$host]}" ] || debian_off "$host"; done; }

# debian_pair: both, booted, with their names and addresses
debian_pair()
{
	local host

	debian_image=$("$top/scripts/debian-image") || bail "there is no image of a Debian machine"
	cleanup_fn debian_end
	for host in primary replica; do
		qemu-img create -q -f qcow2 -b "$debian_image/disk.img" -F raw "$TMPDIR/$host.qcow2"
		truncate -s 2G "$TMPDIR/$host.data"
		mkdir "$TMPDIR/$host"
		debian_on "$host"
	done
	debian_up primary replica
	for host in primary replica; do
		debian_run "$host" "hostnamectl hostname $host
			printf 'auto eth0\niface eth0 inet static\naddress ${debian_address[$host]}/24\n' >/etc/network/interfaces.d/eth0
			ifup eth0" || bail "$host has no network"
	done
}
