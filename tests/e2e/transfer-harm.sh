#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What goes wrong on the way: damage, a dead or silent peer, a signal. Both sides end,
# say why, and nobody takes the delta for done.
#
# e2e: timeout=600
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/transfer.bash"
requires gcc

size=$((32 << 20))
source=$TMPDIR/source target=$TMPDIR/target
head -c $size /dev/urandom >"$source"
make_plan "$TMPDIR/s" "$(disk_plan "$source" $size '{"all": true}')"
make_plan "$TMPDIR/r" "$(disk_plan "$target" $size)"

fresh_target()
{
	rm -f "$target"
	truncate -s $size "$target"
}

# --- damage; where, is told by the byte: BEGIN is 32 + 72 + 64 bytes ---

damage='32768 .*(damaged|magic number|type|flags|disk|extents|body|record)'
for at in 0 4 6 20 40 100 160 170 200 300 1000000 20000000; do
	fresh_target
	transfer "$TMPDIR/s" "$TMPDIR/r" --flip $at
	check_failed "byte $at damaged: the receiver refuses" receive 10 "^$damage"
	check_failed "byte $at damaged: the sender hears it" send 10 "^32768 the peer: "
done

# A record that is refused is not written: its check comes first.
fresh_target
transfer "$TMPDIR/s" "$TMPDIR/r" --flip 300
check "a first record that is damaged leaves the target as it was" cmp -n $size "$target" /dev/zero

# --- a peer that dies, at the greeting, early, late ---

for at in 0 100 160 1000000 20000000; do
	fresh_target
	transfer "$TMPDIR/s" "$TMPDIR/r" --kill send --at $at
	check_failed "sender killed at byte $at: the receiver says so" receive 19 \
		'^32777 the peer closed the connection'
	fresh_target
	transfer "$TMPDIR/s" "$TMPDIR/r" --kill receive --at $at
	check_failed "receiver killed at byte $at: the sender says so" send 19 \
		'^32777 the (peer|receiver) closed the connection'
	fresh_target
	transfer "$TMPDIR/s" "$TMPDIR/r" --cut $at
	check_failed "cut at byte $at: the sender says so" send 19 '^32777 '
	check_failed "cut at byte $at: so does the receiver" receive 19 '^32777 '
done

# --- silence ---

export FAILBACK_IDLE_TIMEOUT_MS=1500
for engine in io_uring threads; do
	unset FAILBACK_NO_IO_URING
	[ $engine = io_uring ] || export FAILBACK_NO_IO_URING=1
	for at in 0 160 10000000; do
		fresh_target
		transfer "$TMPDIR/s" "$TMPDIR/r" --stall $at
		# who gives up first is chance; the other is told or sees the connection end
		check_failed "$engine: silence from byte $at on: the receiver ends" receive any \
			'^(32772 waited 2 s for|32777 )'
		check_failed "$engine: silence from byte $at on: the sender ends" send any \
			'^(32772 waited 2 s for|32772 the peer: waited|32777 )'
		check "$engine: silence from byte $at on: one of them gave up waiting" \
			grep -q 'waited 2 s' <<<"$send_report$receive_report"
	done
done
unset FAILBACK_NO_IO_URING FAILBACK_IDLE_TIMEOUT_MS

# --- a signal ---

fresh_target
transfer "$TMPDIR/s" "$TMPDIR/r" --kill send-term --at 2000000
check_failed "SIGTERM ends the sender" send 19 '^32777 the transfer was stopped'
check_failed "and the receiver hears it" receive 19 '^32777 the peer: the transfer was stopped'
fresh_target
transfer "$TMPDIR/s" "$TMPDIR/r" --kill receive-term --at 2000000
check_failed "SIGTERM ends the receiver" receive 19 '^32777 the transfer was stopped'
check_failed "and the sender hears it" send 19 '^32777 the peer: the transfer was stopped'

# --- disks that fail ---

if [ "$(id -u)" = 0 ] && mkdir "$TMPDIR/full" && mount -t tmpfs -o size=8M tmpfs "$TMPDIR/full"; then
	cleanup_fn umount "$TMPDIR/full"
	truncate -s $size "$TMPDIR/full/target"
	transfer "$TMPDIR/s" "$(with "$TMPDIR/r" ".disks[0].path = \"$TMPDIR/full/target\"")"
	check_failed "a target that cannot be written ends the receiver" receive 10 \
		'^32768 cannot write disk disk0 at byte [0-9]+: No space left on device'
	check_failed "and the sender hears it" send 10 '^32768 the peer: cannot write disk disk0'
else
	skip "a target that cannot be written ends the receiver" "cannot mount"
fi
if [ "$(id -u)" = 0 ] && losetup -f >/dev/null 2>&1; then
	truncate -s $size "$TMPDIR/short"
	dev=$(losetup --find --show --read-only "$TMPDIR/short")
	cleanup_fn losetup -d "$dev"
	truncate -s $((size / 2)) "$TMPDIR/short"
	fresh_target
	transfer "$(with "$TMPDIR/s" ".disks[0].path = \"$dev\"")" "$TMPDIR/r"
	check_failed "a source that cannot be read ends the sender" send 10 \
		'^32768 cannot read disk disk0 at byte [0-9]+: Input/output error'
	check_failed "and the receiver hears it" receive 10 '^32768 the peer: cannot read disk disk0'
else
	skip "a source that cannot be read ends the sender" "needs root and loop devices"
fi

# --- a disk that takes writes, and then cannot keep them ---

cat >"$TMPDIR/flush.c" <<-'C'
	#include <errno.h>
	int fdatasync(int fd)
	{
		(void)fd;
		errno = EIO;
		return -1;
	}
C
gcc -shared -fPIC -o "$TMPDIR/flush.so" "$TMPDIR/flush.c"
fresh_target
export FAILBACK_NO_IO_URING=1 LD_PRELOAD=$TMPDIR/flush.so
transfer "$TMPDIR/s" "$TMPDIR/r"
unset FAILBACK_NO_IO_URING LD_PRELOAD
check_failed "a flush that fails ends the receiver" receive 10 '^32768 cannot flush disk disk0: Input/output error'
check_failed "and the sender hears that instead of an acknowledgement" send 10 '^32768 the peer: cannot flush'

# --- the same delta, once the cause is gone ---

fresh_target

transfer "$TMPDIR/s" "$TMPDIR/r"
check_done "after all that the delta arrives on the last target"
check "and is whole" cmp "$source" "$target"
