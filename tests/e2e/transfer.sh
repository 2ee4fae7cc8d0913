#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A delta goes from disks to disks: contents, zeroes, holes, both engines, files and
# loop devices, in time that is proportional to the delta.
#
# e2e: timeout=300
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/transfer.bash"
requires gcc

MiB=$((1 << 20))

# random_extents <disk bytes> <number> <unit>: ascending, some adjacent.
random_extents()
{
	awk -v size="$1" -v nr="$2" -v unit="$3" -v seed="$seed" 'BEGIN {
		srand(seed)
		step = int(size / unit / nr)
		for (i = 0; i < nr; i++)
			print (i * step + int(rand() * step / 2)) * unit, (1 + int(rand() * step / 2)) * unit
	}'
}

# expected <before> <source> <extents> <result>: what a target must become.
expected()
{
	python3 - "$@" <<-'PYTHON'
	import sys
	before, source, extents, result = sys.argv[1:]
	disk = bytearray(open(before, "rb").read())
	data = open(source, "rb").read()
	for line in open(extents):
	    offset, length = map(int, line.split())
	    disk[offset:offset + length] = data[offset:offset + length]
	open(result, "wb").write(disk)
	PYTHON
}

# make_pair <bytes>: $source with data and zeroes, $before of other contents.
make_pair()
{
	head -c "$1" /dev/urandom >"$source"
	# zeroes: a long run, and single blocks
	dd if=/dev/zero of="$source" bs=64K seek=3 count=9 conv=notrunc status=none
	dd if=/dev/zero of="$source" bs=4K seek=5 count=1 conv=notrunc status=none
	head -c "$1" /dev/urandom >"$before"
}

seed=${SEED:-$RANDOM}
diag "seed=$seed"
source=$TMPDIR/source before=$TMPDIR/before target=$TMPDIR/target
extents=$TMPDIR/extents want=$TMPDIR/want
extents_json=$(jq -nc --arg f "$extents" '{extents: $f}')

size=$((16 * MiB))
make_pair $size
make_plan "$TMPDIR/s" "$(disk_plan "$source" $size "$extents_json")"
make_plan "$TMPDIR/r" "$(disk_plan "$target" $size)"

for engine in io_uring threads; do
	unset FAILBACK_NO_IO_URING
	[ $engine = io_uring ] || export FAILBACK_NO_IO_URING=1
	for unit in 512 4096 65536; do
		random_extents $size 40 $unit >"$extents"
		expected "$before" "$source" "$extents" "$want"
		cp "$before" "$target"
		transfer "$TMPDIR/s" "$TMPDIR/r"
		check_done "$engine: extents in units of $unit arrive"
		check "$engine: exactly the extents in units of $unit are changed" cmp "$want" "$target"
	done
	# where the kernel refuses io_uring, both runs are those of the fallback
	if [ $engine = threads ]; then
		check_equal "the fallback is reported" "$(send_get engine) $(receive_get engine)" "threads threads"
	fi
	cp "$before" "$target"
	transfer "$(with "$TMPDIR/s" '.disks[0].source = {all: true}')" "$TMPDIR/r" --unix
	check_done "$engine: a whole disk arrives over a socket pair"
	check "$engine: the disks are equal" cmp "$source" "$target"
done
unset FAILBACK_NO_IO_URING

check_equal "zeroes are counted and do not travel" \
	"$(($(send_get bytes_data) + $(send_get bytes_zero))) $(send_get bytes_sent)" \
	"$size $((size - 9 * 65536))"

# --- a target that can neither deallocate nor zero a range ---

cat >"$TMPDIR/refuse.c" <<-'C'
	#include <errno.h>
	int fallocate(int fd, int mode, long offset, long length)
	{
		(void)fd, (void)mode, (void)offset, (void)length;
		errno = EOPNOTSUPP;
		return -1;
	}
	int fallocate64(int fd, int mode, long offset, long length) __attribute__((alias("fallocate")));
C
gcc -shared -fPIC -o "$TMPDIR/refuse.so" "$TMPDIR/refuse.c"
dd if=/dev/zero of="$source" bs=1M seek=2 count=5 conv=notrunc status=none
cp "$before" "$target"
export FAILBACK_NO_IO_URING=1 LD_PRELOAD=$TMPDIR/refuse.so
transfer "$(with "$TMPDIR/s" '.disks[0].source = {all: true}')" "$TMPDIR/r"
unset FAILBACK_NO_IO_URING LD_PRELOAD
check_done "zeroes arrive on a target that knows no fallocate"
check "and are written" cmp "$source" "$target"

# END comes while the first way is being refused: what is tried next still comes before the flush
sed -i 's/errno = EOPNOTSUPP/usleep(200000);\n&/; s/^#include.*/&\n#include <unistd.h>/' "$TMPDIR/refuse.c"
gcc -shared -fPIC -o "$TMPDIR/refuse.so" "$TMPDIR/refuse.c"
echo "$((3 * MiB)) 65536" >"$extents"
expected "$before" "$source" "$extents" "$want"
cp "$before" "$target"
export FAILBACK_NO_IO_URING=1 LD_PRELOAD=$TMPDIR/refuse.so
transfer "$TMPDIR/s" "$TMPDIR/r"
unset FAILBACK_NO_IO_URING LD_PRELOAD
check_done "a delta of zeroes is acknowledged"
check "and not before they are written" cmp "$want" "$target"

# --- nothing to send, and an odd size ---

: >"$extents"
cp "$before" "$target"
transfer "$TMPDIR/s" "$TMPDIR/r"
check_done "an empty delta is acknowledged"
check "an empty delta changes nothing" cmp "$before" "$target"

odd=$((5 * MiB + 512))
truncate -s $odd "$source" "$target"
transfer "$(with "$TMPDIR/s" ".disks[0].size = $odd | .disks[0].source = {all: true}")" \
	"$(with "$TMPDIR/r" ".disks[0].size = $odd")"
check_done "a disk whose size is no multiple of 4096 arrives"
check "to its last sector" cmp "$source" "$target"

# --- several disks ---

for i in 0 1 2; do
	head -c $((3 * MiB)) /dev/urandom >"$TMPDIR/source$i"
	truncate -s $((3 * MiB)) "$TMPDIR/target$i"
done
make_plan "$TMPDIR/s3" "$(disk_plan "$TMPDIR/source0" $((3 * MiB)) '{"all": true}' 0)" \
	"$(disk_plan "$TMPDIR/source1" $((3 * MiB)) "$extents_json" 1)" \
	"$(disk_plan "$TMPDIR/source2" $((3 * MiB)) '{"all": true}' 2)"
make_plan "$TMPDIR/r3" "$(disk_plan "$TMPDIR/target0" $((3 * MiB)) null 0)" \
	"$(disk_plan "$TMPDIR/target1" $((3 * MiB)) null 1)" \
	"$(disk_plan "$TMPDIR/target2" $((3 * MiB)) null 2)"
transfer "$TMPDIR/s3" "$TMPDIR/r3"
check_done "three disks arrive, one of them with nothing to send"
check "the first is equal" cmp "$TMPDIR/source0" "$TMPDIR/target0"
check "the last is equal" cmp "$TMPDIR/source2" "$TMPDIR/target2"

# --- time in proportion to the delta ---

huge=$((64 << 30))
truncate -s $huge "$TMPDIR/huge-source" "$TMPDIR/huge-target"
for ((i = 0; i < 64; i++)); do
	echo "$((i << 30)) 65536"
	printf 'block %d' "$i" |
		dd of="$TMPDIR/huge-source" bs=64K seek=$((i << 14)) conv=notrunc status=none
done >"$extents"
transfer "$(with "$TMPDIR/s" ".disks[0] += {size: $huge, path: \"$TMPDIR/huge-source\"}")" \
	"$(with "$TMPDIR/r" ".disks[0] += {size: $huge, path: \"$TMPDIR/huge-target\"}")"
check_done "a delta of 4 MiB on a disk of 64 GiB arrives"
check_equal "its last block is there" \
	"$(dd if="$TMPDIR/huge-target" bs=64K skip=$((63 << 14)) count=1 status=none | tr -d '\0')" "block 63"
check "in less than 10 seconds" jq -e '.seconds < 10' <<<"$send_report"
check "without making the target less sparse than 8 MiB" \
	test "$(($(stat -c %b "$TMPDIR/huge-target") * 512))" -lt $((8 * MiB))

# --- block devices ---

if [ "$(id -u)" != 0 ] || ! losetup -f >/dev/null 2>&1; then
	skip "a delta goes between loop devices" "needs root and loop devices"
	exit 0
fi
make_pair $size
cp "$before" "$target"
random_extents $size 100 4096 >"$extents"
expected "$before" "$source" "$extents" "$want"
source_dev=$(losetup --find --show --read-only "$source")
cleanup_fn losetup -d "$source_dev"
target_dev=$(losetup --find --show "$target")
cleanup_fn losetup -d "$target_dev"
transfer "$(with "$TMPDIR/s" ".disks[0].path = \"$source_dev\"")" \
	"$(with "$TMPDIR/r" ".disks[0].path = \"$target_dev\"")"
check_done "a delta goes between loop devices"
check "exactly the extents are changed on the device" cmp "$want" "$target_dev"
check_equal "with direct I/O" "$(send_get direct) $(receive_get direct)" "true true"
