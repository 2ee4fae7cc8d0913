#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What is done to a tracked device, and to the module, at the worst moment: removed, replaced,
# renamed, suspended, or its origin failing, while epochs are frozen, dumps run and writes are in
# flight.
#
# vm: disk=256M timeout=240 quick=6.12
# vm-allow: blk_update_request|I/O error, dev dm-|Buffer I/O error on dev dm-
. "$(dirname "$0")/../lib.sh"
requires fio python3
insmod_cbt

# A cbt target over a slice of the disk, which can be made to fail.
nr_slices=50
slice=$(($(blockdev --getsz /dev/vda) / nr_slices / 8 * 8))
concise=
for ((i = 0; i < nr_slices; i++)); do
	concise+="slice$i,,,rw,0 $slice linear /dev/vda $((i * slice));"
done
dmsetup create --concise "${concise%;}"
dmsetup mknodes
cleanup_fn dmsetup remove --retry $(seq -f slice%.0f 0 $((nr_slices - 1)))

track()
{
	dmsetup create "$1" --table "0 $slice cbt /dev/mapper/$2 -"
	dmsetup mknodes "$1"
}

new_uuid()
{
	cat /proc/sys/kernel/random/uuid
}

# stalled <module-holding dump>: a dump that was begun and is never read to its end.
stalled_dump()
{
	exec python3 - "$1" <<-'PYTHON'
	import socket, struct, sys, time
	s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
	def attr(kind, data):
	    return struct.pack("HH", len(data) + 4, kind) + data + bytes(-len(data) % 4)
	def ask(family, flags, command, body):
	    message = struct.pack("BBH", command, 1, 0) + body
	    s.send(struct.pack("IHHII", 16 + len(message), family, flags, 1, 0) + message)
	ask(16, 1, 3, attr(2, b"dm_cbt\0"))
	family = struct.unpack_from("H", s.recv(8192).split(struct.pack("HH", 6, 1), 1)[1])[0]
	selector = attr(2 | 0x8000, attr(3, sys.argv[1].encode() + b"\0"))
	ask(family, 0x301, 5, selector + attr(4, struct.pack("I", 1)))
	print("asked", flush=True)
	time.sleep(1000)
	PYTHON
}

start_stalled_dump()
{
	: >"$TMPDIR/asked"
	stalled_dump "$1" >"$TMPDIR/asked" &
	stalled=$!
	wait_for 20 grep -q asked "$TMPDIR/asked" || bail "the dump did not begin"
}

stop_stalled_dump()
{
	kill "$stalled"
	wait "$stalled" 2>/dev/null || true
}

# --- the module ---

track t slice0
check_fails "the module is not removed while a device uses it" any 'in use' rmmod dm_cbt
dd if=/dev/zero of=/dev/mapper/t bs=64k count=4 oflag=direct status=none
start_stalled_dump t
check "a device is removed under a dump that nobody reads" timeout 20 dmsetup remove --retry t
check_fails "the module is not removed under a dump that nobody reads" any 'in use' rmmod dm_cbt
stop_stalled_dump
python3 -c 'import socket, time
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16); print("open", flush=True); time.sleep(1000)' >"$TMPDIR/open" &
holder=$!
wait_for 20 grep -q open "$TMPDIR/open" || bail "no socket"
check "the module is removed under an idle socket" rmmod dm_cbt
insmod "$(cbt_module)"
kill "$holder"

# --- removal while an epoch is frozen ---

track t slice0
dd if=/dev/zero of=/dev/mapper/t bs=64k count=4 oflag=direct status=none
cbtctl freeze --epoch "$(new_uuid)" t >/dev/null
before=$(dmsetup status t | cut -d' ' -f4)
check "a device is removed while its epoch is frozen" dmsetup remove --retry t
track t slice0
check_equal "the next tracker of the origin is another one, with nothing frozen" \
	"$(dmsetup status t | cut -d' ' -f4,11)" "$(dmsetup status t | cut -d' ' -f4) -"
[ "$(dmsetup status t | cut -d' ' -f4)" != "$before" ] || not_ok "the UUID was used again"

# --- a table replaced, renamed and suspended under load, with epochs going on ---

uuid=$(dmsetup status t | cut -d' ' -f4)
toggle()
{
	local epoch

	while [ ! -e "$TMPDIR/stop" ]; do
		epoch=$(</proc/sys/kernel/random/uuid)
		timeout 20 cbtctl freeze --epoch "$epoch" "$uuid" >/dev/null 2>"$TMPDIR/freeze.err" ||
			grep -q 'in time' "$TMPDIR/freeze.err" || return 1
		timeout 20 cbtctl abort --epoch "$epoch" "$uuid" >/dev/null 2>&1 || true
	done
}
fio --name=load --filename=/dev/mapper/t --direct=1 --ioengine=libaio --iodepth=16 --rw=randwrite \
	--bs=4k --size=4m --time_based --runtime=1000 >"$TMPDIR/fio" 2>&1 &
load=$!
under_load()
{
	[ "$(dmsetup status t | cut -d' ' -f10)" -gt 100 ]
}
wait_for 300 under_load || bail "fio does not write: $(<"$TMPDIR/fio")"
toggle &
toggler=$!
name=t
for ((i = 0; i < 6; i++)); do
	dmsetup reload $name --table "0 $slice cbt /dev/mapper/slice0 -"
	dmsetup suspend $([ $((i % 2)) = 0 ] || echo --noflush) $name
	dmsetup resume $name
	dmsetup rename $name t$i
	name=t$i
done
touch "$TMPDIR/stop"
if wait "$toggler"; then
	ok "freezes go on while tables are replaced and devices suspended and renamed"
else
	not_ok "freezes go on while tables are replaced and devices suspended and renamed"
	diag <"$TMPDIR/freeze.err"
fi
check_equal "the tracker is still the same" "$(dmsetup status $name | cut -d' ' -f4)" "$uuid"
if kill -0 "$load"; then
	ok "and the writes go on"
else
	not_ok "and the writes go on"
	diag <"$TMPDIR/fio"
fi

# --- an origin that fails ---

dmsetup suspend --noflush slice0
dmsetup reload slice0 --table "0 $slice error"
dmsetup resume slice0
wait "$load" || true
epoch=$(new_uuid)
check "with an origin that fails, writes fail and a freeze works" \
	timeout 20 cbtctl freeze --epoch "$epoch" "$name"
check "and an abort" cbtctl abort --epoch "$epoch" "$name"
if dd if=/dev/zero of=/dev/mapper/$name bs=4k count=1 oflag=direct status=none 2>/dev/null; then
	not_ok "a write to the failing origin fails"
else
	ok "a write to the failing origin fails"
fi
dmsetup suspend slice0
dmsetup reload slice0 --table "0 $slice linear /dev/vda 0"
dmsetup resume slice0
check "a write after the origin came back works" \
	dd if=/dev/zero of=/dev/mapper/$name bs=4k count=1 oflag=direct status=none
# an origin that hangs: writes in flight do not end
dmsetup suspend slice0
dd if=/dev/zero of=/dev/mapper/$name bs=4k count=1 oflag=direct status=none &
hung=$!
in_flight()
{
	[ "$(awk '{ print $9 }' "/sys/dev/block/$(dmsetup info -c --noheadings -o major,minor $name)/stat")" -gt 0 ]
}
wait_for 20 in_flight || bail "no write in flight"
check_fails "a freeze over an origin that hangs times out" any 'in time' \
	timeout 20 cbtctl freeze --epoch "$(new_uuid)" $name
dmsetup resume slice0
if wait "$hung"; then
	ok "and the write that hung ends well"
else
	not_ok "and the write that hung ends well"
fi
check "and the next freeze works" cbtctl freeze --epoch "$(new_uuid)" $name
dmsetup remove --retry $name

# --- many ---

concise=
names=
for ((i = 0; i < nr_slices; i++)); do
	concise+="m$i,,,rw,0 $slice cbt /dev/mapper/slice$i -;"
	names+=" m$i"
done
dmsetup create --concise "${concise%;}"
dmsetup mknodes
for ((i = 0; i < nr_slices; i++)); do
	dd if=/dev/zero of=/dev/mapper/m$i bs=4k count=2 oflag=direct status=none &
done
epoch=$(new_uuid)
# shellcheck disable=SC2086 # a list
check "50 trackers are frozen together while they are written" cbtctl freeze --epoch "$epoch" $names
check_equal "all hold the epoch" "$(dmsetup status --target cbt | awk '$12 ~ /^[0-9]+$/' | wc -l)" $nr_slices
wait $(jobs -p)
# shellcheck disable=SC2086
check "and commit it together" cbtctl commit --epoch "$epoch" $names
# shellcheck disable=SC2086
dmsetup remove --retry $names
