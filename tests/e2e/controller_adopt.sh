#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The root of a host is lost, its disks and stores are not: what the stores' labels say.
#
# e2e: timeout=180
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"

size=$((4 * MiB))
daemon_options=(--call-timeout 5 --second-ms 20)
two_hosts

# label <host> <tracker> <key>...: what it says, read as lib/store_label.h has it; checked by its CRC32C
label()
{
	python3 - "$TMPDIR/$1.kernel/$2/label" "${@:3}" <<-'PYTHON'
	import struct, sys, uuid
	data = open(sys.argv[1], "rb").read()
	crc = ~0 & 0xffffffff
	for byte in data[:12] + bytes(4) + data[16:]:
	    crc ^= byte
	    for _ in range(8):
	        crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
	magic, version, used, check = struct.unpack_from("<8sHHI", data)
	names = "term written size mode state flags disk disks".split()
	label = dict(zip(names, struct.unpack_from("<QQQBBHHH", data, 32)))
	label["vm"] = str(uuid.UUID(bytes=data[16:32]))
	at = 96
	for name in "disk_name name peer settings path".split():
	    label[name] = data[at + 1:at + 1 + data[at]].decode()
	    at += 1 + data[at]
	if (magic, version, used, check, len(data)) != (b"failback", 1, at, ~crc & 0xffffffff, 512):
	    sys.exit("no label")
	print(*(label[key] for key in sys.argv[2:]))
	PYTHON
}

# labels_set <host> <tracker>: how often
labels_set()
{
	wc -l <"$TMPDIR/$1.kernel/$2/labelled"
}

# --- labels ---

up a
up b
relate
check_equal "the store of a primary's disk says whose it is" \
	"$(label a vm1-disk0 vm name disk_name disk disks size mode state peer path)" \
	"$vm vm1 disk0 0 1 $size 1 3 ${address[b]}:$port $a0"
check_equal "and so does that of the replica's" "$(label b vm1-disk0.replica vm disk_name mode state peer path)" \
	"$vm disk0 2 3 ${address[a]}:$port $b0"
before=$(labels_set a vm1-disk0),$(labels_set b vm1-disk0.replica)
for nr in 1 2 3; do
	write_on a vm1-disk0 $nr 1
	on a failback resume vm1 >/dev/null || bail "no delta"
done
check_equal "no delta writes a label" "$(labels_set a vm1-disk0),$(labels_set b vm1-disk0.replica)" "$before"

# change <ReplicationInterval>: a setting of a's
change()
{
	echo "{\"ReplicationInterval\": $1}" >"$TMPDIR/settings"
	on a failback settings vm1 --settings "$TMPDIR/settings" >/dev/null
}
check "a setting is changed" change 30
check_equal "and is in the label" "$(label a vm1-disk0 settings)" '{"ReplicationInterval":30}'
before=$(labels_set a vm1-disk0)
stop_daemon a
up a
check_equal "a label that is right is not written at a start" "$(labels_set a vm1-disk0)" "$before"

complaints()
{
	grep -c 'the label on the store of disk disk0 cannot be written' "$TMPDIR/a.log" || true
}
touch "$TMPDIR/a.kernel/vm1-disk0/unlabelled"
check "a label that cannot be written fails nothing" change 900
check "nor the second time" change 300
check_equal "and is logged once" "$(complaints)" 1
rm "$TMPDIR/a.kernel/vm1-disk0/unlabelled"
on a failback resume vm1 >/dev/null || bail "no delta"
check_equal "it is written when it can be" "$(label a vm1-disk0 settings)" '{"ReplicationInterval":300}'

rm "$TMPDIR/a.kernel/vm1-disk0/label"
stop_daemon a
up a
check_equal "a tracker that came while failbackd was down is labelled at its start" "$(label a vm1-disk0 name)" vm1
stop_daemon a
mv "$TMPDIR/a.kernel/vm1-disk0" "$TMPDIR/away"
rm "$TMPDIR/away/label"
up a
mv "$TMPDIR/away" "$TMPDIR/a.kernel/vm1-disk0"
on a failback resume vm1 >/dev/null || bail "no delta"
check_equal "one that comes later, with the next change" "$(label a vm1-disk0 name)" vm1

check "a planned failover is prepared" on a failback prepare vm1
check_equal "the label says that the VM may not run there any more" "$(label a vm1-disk0.replica state flags)" "4 1"
check "and goes on" on a failback resume vm1
check_equal "... that it may" "$(label a vm1-disk0 state flags)" "3 0"
