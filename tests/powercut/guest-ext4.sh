#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The guest's half of tests/e2e/powercut.sh: files on ext4, each noted in the log once fsync() came back.
#
#	guest-ext4.sh <number of files>
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/powercut.bash"

powercut_attach
disk=$(powercut_device ext4)
raw=$(powercut_device raw)

# FUA, FLUSH and trims, so that the log can be searched for them
dd if=/dev/urandom of="$raw" bs=4k count=3 oflag=direct,dsync status=none
blkdiscard -o 1M -l 4G "$raw"
blkdiscard "$raw"

mkfs.ext4 -q -b 4096 -O ^metadata_csum "$disk"
modprobe ext4
mkdir "$TMPDIR/mnt"
mount "$disk" "$TMPDIR/mnt"
sync -f "$TMPDIR/mnt"
powercut_mark begin
python3 - "$TMPDIR/mnt" "$(powercut_device control)" "$1" <<'PY'
import mmap, os, sys
directory, control, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
control = os.open(control, os.O_WRONLY | os.O_DIRECT)
page = mmap.mmap(-1, 4096)
for i in range(number):
    file = os.open(f"{directory}/{i}", os.O_WRONLY | os.O_CREAT)
    os.write(file, f"file {i}\n".encode() * (1 + i * 37 % 2000))
    os.fsync(file)
    os.close(file)
    page.seek(0)
    page.write(f"synced {i}".encode() + bytes(64))
    os.writev(control, [memoryview(page)[:512]])
PY
powercut_mark cut
