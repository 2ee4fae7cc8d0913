#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Journal mode: what is acknowledged is in the journal, whole, before a disk is touched; a
# broken transfer is gone on with; a power cut at any moment leaves one epoch or the other.
#
# e2e: timeout=300 long=7200
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/transfer.bash"
requires gcc

MiB=$((1 << 20))
size=$((16 * MiB))
source=$TMPDIR/source before=$TMPDIR/before target=$TMPDIR/target journal=$TMPDIR/journal
head -c $size /dev/urandom >"$source"
dd if=/dev/zero of="$source" bs=64K seek=3 count=9 conv=notrunc status=none
head -c $size /dev/urandom >"$before"
make_plan "$TMPDIR/s" "$(disk_plan "$source" $size '{"all": true}')"
make_plan "$TMPDIR/direct" "$(disk_plan "$target" $size)"
jq --arg j "$journal" '.journal = {path: $j, mark_interval: 1048576}' "$TMPDIR/direct" >"$TMPDIR/r"

fresh() { rm -f "$journal"; cp "$before" "$target"; }
apply() { failback-receive --apply <"$TMPDIR/r"; }

for engine in io_uring threads; do
	unset FAILBACK_NO_IO_URING
	[ $engine = io_uring ] || export FAILBACK_NO_IO_URING=1
	fresh
	transfer "$TMPDIR/s" "$TMPDIR/r"
	check_done "$engine: a delta arrives through a journal"
	check "$engine: the disks are equal" cmp "$source" "$target"
done
unset FAILBACK_NO_IO_URING
check_equal "nothing is left to apply" "$(apply | jq -r .epoch)" "$epoch"

# --- a broken transfer ---

for at in 3000000 12000000; do
	fresh
	transfer "$TMPDIR/s" "$TMPDIR/r" --cut-mark $at
	check "cut at a mark before byte $at: the disk is what it was" cmp "$before" "$target"
	transfer "$TMPDIR/s" "$TMPDIR/r"
	check_done "cut at a mark before byte $at: the next transfer ends well"
	check "cut at a mark before byte $at: the disks are equal" cmp "$source" "$target"
	sent=$(($(send_get bytes_data) + $(send_get bytes_zero)))
	check "cut at a mark before byte $at: what was marked is not sent again ($sent)" \
		test "$sent" -le $((size - MiB))
done

fresh
transfer "$TMPDIR/s" "$TMPDIR/r" --kill receive --at 9000000
check_failed "receiver killed: the sender says so" send 19 '^32777 '
transfer "$TMPDIR/s" "$TMPDIR/r"
check_done "receiver killed: the next transfer ends well"
check "receiver killed: the disks are equal" cmp "$source" "$target"

fresh
transfer "$TMPDIR/s" "$TMPDIR/r" --cut-mark 9000000
dd if=/dev/urandom of="$journal" bs=4K seek=17 count=1 conv=notrunc status=none
transfer "$TMPDIR/s" "$TMPDIR/r"
check_failed "what was damaged since is found before it is acknowledged" receive 10 '^32768 entry [0-9]+ of the journal is damaged'
check_failed "... and the sender hears it" send 10 '^32768 the peer: entry [0-9]+ of the journal is damaged'
check "... the disk is what it was" cmp "$before" "$target"
transfer "$TMPDIR/s" "$TMPDIR/r"
check_done "... the next transfer starts anew"
check "... and the disks are equal" cmp "$source" "$target"

# --- the acknowledgement is lost: what has arrived is not sent again ---

fresh
transfer "$TMPDIR/s" "$TMPDIR/r" --lose-durable
check_failed "acknowledgement lost: the sender does not take it for done" send 19 '^32777 '
transfer "$TMPDIR/s" "$TMPDIR/r"
check_done "acknowledgement lost: the sender gets it the next time"
check_equal "acknowledgement lost: no data is sent for it" "$(send_get bytes_data)" 0
check "acknowledgement lost: the disks are equal" cmp "$source" "$target"

# --- ... and the sender gave that epoch up: the next delta says so, the plan need not know ---

next=5a1e7a3c-91c1-4a59-9a52-3f6d0c1b2a98
transfer "$(with "$TMPDIR/s" ".epoch = \"$next\"")" "$(with "$TMPDIR/r" ".epoch = \"$next\"")"
check_failed "a delta that does not know of the epoch that arrived is refused" receive 17 "^32775 .*expects $epoch"
transfer "$(with "$TMPDIR/s" ".epoch = \"$next\" | .aborted = [\"$epoch\"]")" \
	"$(with "$TMPDIR/r" ".epoch = \"$next\"")"
check_done "a delta that covers the epoch that arrived is taken"
check_equal "... and brings the disks to its own" "$(apply | jq -r .epoch)" "$next"

# --- another delta ---

fresh
transfer "$TMPDIR/s" "$TMPDIR/r" --cut 9000000
other=5a1e7a3c-91c1-4a59-9a52-3f6d0c1b2a99
transfer "$(with "$TMPDIR/s" ".epoch = \"$other\"")" "$(with "$TMPDIR/r" ".epoch = \"$other\"")"
check_done "an incomplete delta is dropped for another epoch"
check "... which arrives whole" cmp "$source" "$target"

fresh
transfer "$TMPDIR/s" "$TMPDIR/r" --cut 9000000
head -c $((size / 2)) "$source" >"$TMPDIR/half"
echo "0 $((size / 2))" >"$TMPDIR/extents"
transfer "$(with "$TMPDIR/s" ".disks[0].source = {extents: \"$TMPDIR/extents\"}")" "$TMPDIR/r"
check_done "the same epoch with other extents starts anew"
check "... and changes these only" cmp <(head -c $((size / 2)) "$source"; tail -c $((size / 2)) "$before") "$target"

# --- refusals ---

fresh
head -c 65536 /dev/urandom >"$journal"
transfer "$TMPDIR/s" "$TMPDIR/r"
check_failed "what is no journal is not written over" receive any 'holds something else'
check "... the disk is what it was" cmp "$before" "$target"

if [ "$(id -u)" = 0 ]; then
	fresh
	mkdir "$TMPDIR/small"
	mount -t tmpfs -o size=8M none "$TMPDIR/small"
	cleanup_fn umount "$TMPDIR/small"
	transfer "$TMPDIR/s" "$(with "$TMPDIR/r" ".journal.path = \"$TMPDIR/small/journal\"")"
	check_failed "no room for the journal: the receiver says how much is needed" receive any 'no room: 1[0-9] MiB'
	check_failed "no room for the journal: the sender hears it" send any 'the peer: .*no room'
	check_equal "no room for the journal: nothing was sent" "$(jq -r '.bytes_data // 0' <<<"$send_report")" 0
fi

fresh
transfer "$TMPDIR/s" "$TMPDIR/r" --cut 9000000
exec 8<>"$journal"
flock 8
transfer "$TMPDIR/s" "$TMPDIR/r"
check_failed "a journal in use is refused" receive 16 'used by another transfer'
exec 8>&-

# --- one that is given as a descriptor has its room ---

fresh
truncate -s $((8 * MiB)) "$journal"
exec 8<>"$journal"
given=$(with "$TMPDIR/r" '.journal = {fd: 8}')
transfer "$TMPDIR/s" "$given" --inherit 8
check_failed "a delta larger than the journal that was given is refused" receive any 'larger than announced: .* 8 MiB, 1[0-9] are'
check_equal "... which does not grow" "$(stat -c %s "$journal")" $((8 * MiB))
check "... and the disk is what it was" cmp "$before" "$target"
truncate -s $((20 * MiB)) "$journal"
transfer "$TMPDIR/s" "$given" --inherit 8
check_done "one that fits arrives"
check "... whole" cmp "$source" "$target"
exec 8>&-

# --- a power cut at any moment ---

# Every write and flush of the journal and the disk is recorded (sync engine, so that all of
# them go through libc), and disks are made of what may have survived a cut: each write that
# was not flushed is there, absent or torn.
gcc -shared -fPIC -O1 -o "$TMPDIR/recorder.so" "$top/tests/e2e/recorder.c"
size=$((4 * MiB))
head -c $size /dev/urandom >"$source"
dd if=/dev/zero of="$source" bs=64K seek=3 count=9 conv=notrunc status=none
head -c $size /dev/urandom >"$before"
make_plan "$TMPDIR/s" "$(disk_plan "$source" $size '{"all": true}')"
make_plan "$TMPDIR/direct" "$(disk_plan "$target" $size)"
jq --arg j "$journal" '.journal = {path: $j, mark_interval: 524288}' "$TMPDIR/direct" >"$TMPDIR/r"

# record <receiver's plan> <path>...: a transfer, into $TMPDIR/log
record()
{
	local plan=$1 files
	shift
	files=$(IFS=: && echo "$*")

	fresh
	rm -f "$TMPDIR/log"
	FAILBACK_NO_IO_URING=1 RECORDER_PRELOAD=$TMPDIR/recorder.so RECORDER_LOG=$TMPDIR/log RECORDER_FILES=$files \
		transfer "$TMPDIR/s" "$plan"
	check_done "a recorded transfer ends well"
}

# survives <rounds> <receiver's plan> [<option of cuts.py>]...
survives()
{
	local rounds=$1 plan=$2
	shift 2

	python3 "$top/tests/e2e/cuts.py" --seed "$seed" --rounds "$rounds" --log "$TMPDIR/log" --target "$target" \
		--before "$before" --after "$source" --send "$TMPDIR/s" --receive "$plan" "$@"
}

seed=$(new_seed)
record "$TMPDIR/r" "$journal" "$target"
check "a power cut at any moment leaves the disk of one epoch or the other" \
	survives "$(required 150 5000)" "$TMPDIR/r" --journal "$journal"
record "$TMPDIR/direct" "$target"
check "one at any moment of a transfer without a journal loses nothing that was acknowledged" \
	survives "$(required 100 1000)" "$TMPDIR/direct"
