#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A delta over several connections arrives as over one, whatever becomes of one of them; who may join a transfer
# by hand, and who is turned away.
#
# e2e: timeout=400
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/transfer.bash"
# shellcheck source=tests/e2e/hand.bash
. "$(dirname "$0")/hand.bash"
requires cmp gcc

MiB=$((1 << 20))
size=$((16 * MiB))
source=$TMPDIR/source before=$TMPDIR/before target=$TMPDIR/target journal=$TMPDIR/journal
# zeroes in every second record of the sender's, and a long run
head -c $size /dev/urandom >"$source"
for ((i = 0; i < 32; i++)); do
	dd if=/dev/zero of="$source" bs=64K seek=$((i * 8 + 3)) count=2 conv=notrunc status=none
done
dd if=/dev/zero of="$source" bs=1M seek=9 count=2 conv=notrunc status=none
head -c $size /dev/urandom >"$before"
make_plan "$TMPDIR/s" "$(disk_plan "$source" $size '{"all": true}')"
make_plan "$TMPDIR/direct" "$(disk_plan "$target" $size)"
jq --arg j "$journal" '.journal = {path: $j, mark_interval: 1048576}' "$TMPDIR/direct" >"$TMPDIR/journaled"

fresh() { rm -f "$journal"; cp "$before" "$target"; }

# --- the same as over one ---

for engine in io_uring threads; do
	unset FAILBACK_NO_IO_URING
	[ $engine = io_uring ] || export FAILBACK_NO_IO_URING=1
	for mode in direct journaled; do
		digests=()
		for nr in 1 2 3 4 8; do
			fresh
			transfer "$TMPDIR/s" "$TMPDIR/$mode" --connections $nr
			check_done "$engine, $mode: a delta arrives over $nr connections"
			check "$engine, $mode, $nr connections: the disks are equal" cmp "$source" "$target"
			digests+=("$(send_get digest) $(send_get records) $(send_get bytes_sent)")
		done
		check_equal "$engine, $mode: the same records, however many connections" \
			"$(printf '%s\n' "${digests[@]}" | sort -u | wc -l)" 1
	done
	fresh
	transfer "$(with "$TMPDIR/s" '.compress = true')" "$TMPDIR/journaled" --connections 4
	check_done "$engine: packed too"
	check "$engine: packed, the disks are equal" cmp "$source" "$target"
	cp "$source" "$target"
	dd if="$before" of="$target" bs=64K seek=30 skip=30 count=40 conv=notrunc status=none
	transfer "$(with "$TMPDIR/s" '.disks[0].source.compare = true')" "$TMPDIR/direct" --connections 4
	check_done "$engine: so does what differs"
	check "$engine: and the disks are equal" cmp "$source" "$target"
	transfer "$(with "$TMPDIR/s" '.verify = true | .disks[0].source.compare = true')" \
		"$(with "$TMPDIR/direct" '.verify = true')" --connections 4
	check_done "$engine: and a comparison that is all there is"
	fresh
	transfer "$(with "$TMPDIR/s" '.rate = 4194304')" "$TMPDIR/direct" --connections 4
	check_done "$engine: the limit is that of all connections together"
	check "$engine: and is kept" jq -e '.seconds > 1.8' <<<"$send_report"
done
unset FAILBACK_NO_IO_URING

make_plan "$TMPDIR/s1" "$(disk_plan "$source" 512 '{"all": true}')"
make_plan "$TMPDIR/r1" "$(disk_plan "$target" 512)"
transfer "$TMPDIR/s1" "$TMPDIR/r1" --connections 8
check_done "more connections than records are none too many"
fresh
transfer "$TMPDIR/s" "$TMPDIR/journaled" --connections 3 --swap
check_failed "connections in another order are noticed" receive any '^32768 '
check "and the disk is as it was" cmp "$before" "$target"
check_fails "a worker takes eight connections and no more" 2 'usage' \
	failback-send --connection={3,3,3,3,3,3,3,3,3} </dev/null

# --- one of them is harmed: all is as when the one connection of a delta is ---

resumed=0 # a busy machine may not have marked anything when it is cut
for on in 0 1 3; do
	fresh
	transfer "$TMPDIR/s" "$TMPDIR/journaled" --connections 4 --on $on --cut 2000000
	check_failed "connection $on of 4 is cut: the sender says so" send 19 '^32777 '
	check_failed "connection $on of 4 is cut: so does the receiver" receive 19 '^32777 '
	check "connection $on of 4 is cut: the disk is what it was" cmp "$before" "$target"
	# with another number of connections
	transfer "$TMPDIR/s" "$TMPDIR/journaled" --connections $((on + 1))
	check_done "connection $on of 4 is cut: the next transfer ends well"
	check "connection $on of 4 is cut: the disks are equal" cmp "$source" "$target"
	sent=$(($(send_get bytes_data) + $(send_get bytes_zero)))
	[ "$sent" -gt $((size - MiB)) ] || resumed=$((resumed + 1))

	fresh
	transfer "$TMPDIR/s" "$TMPDIR/journaled" --connections 4 --on $on --flip 1500000
	check_failed "a bit flips on connection $on of 4: the receiver refuses" receive 10 '^32768 .*damaged'
	check_failed "a bit flips on connection $on of 4: the sender hears it" send 10 '^32768 the peer: .*damaged'
	check "a bit flips on connection $on of 4: the disk is what it was" cmp "$before" "$target"
done
check "what was marked before a cut is not sent again ($resumed of 3 had marks)" test $resumed -ge 1

export FAILBACK_IDLE_TIMEOUT_MS=1500
for engine in io_uring threads; do
	unset FAILBACK_NO_IO_URING
	[ $engine = io_uring ] || export FAILBACK_NO_IO_URING=1
	fresh
	transfer "$TMPDIR/s" "$TMPDIR/journaled" --connections 4 --on 2 --stall 1000000
	check_failed "$engine: one that falls silent ends the receiver" receive any '^(32772 waited 2 s for|32777 )'
	check_failed "$engine: and the sender" send any '^(32772 waited 2 s for|32772 the peer: waited|32777 )'
	check "$engine: since one of them gave up waiting" grep -q 'waited 2 s' <<<"$send_report$receive_report"
done
unset FAILBACK_NO_IO_URING FAILBACK_IDLE_TIMEOUT_MS

fresh
transfer "$TMPDIR/s" "$TMPDIR/journaled" --connections 4 --on 1 --kill send-term --at 1000000
check_failed "SIGTERM ends the sender" send 19 '^32777 the transfer was stopped'
check_failed "and the receiver hears it" receive 19 '^32777 the peer: the transfer was stopped'
transfer "$TMPDIR/s" "$TMPDIR/journaled" --connections 4 --on 1 --kill receive --at 1000000
check_failed "receiver killed: the sender says so" send 19 '^32777 '
transfer "$TMPDIR/s" "$TMPDIR/journaled" --connections 4 --lose-durable
check_failed "acknowledgement lost: the sender does not take it for done" send 19 '^32777 '
transfer "$TMPDIR/s" "$TMPDIR/journaled" --connections 2
check_done "acknowledgement lost: the sender gets it the next time"
check "and the disks are equal" cmp "$source" "$target"

# --- one that ends while the disks are flushed: nothing more was to come over it ---

# flush_library <what fdatasync() does with the disk>: $TMPDIR/flush.so
flush_library()
{
	printf '%s\n' '#include <errno.h>' '#include <sys/stat.h>' '#include <unistd.h>' \
		"static int flush_disk(int fd) { $1 }" 'int fdatasync(int fd) { struct stat st;' \
		"return !fstat(fd, &st) && st.st_size == $size ? flush_disk(fd) : fsync(fd); }" >"$TMPDIR/flush.c"
	gcc -shared -fPIC -o "$TMPDIR/flush.so" "$TMPDIR/flush.c"
}

# transfer_flushed_slowly <connection> <sender's plan> <receiver's plan>: that one of three ends during the flush
transfer_flushed_slowly()
{
	local on=$1
	shift

	flush_library '(void)!write(2, "flushing\n", 9); sleep(1); return fsync(fd);'
	: >"$TMPDIR/flushing"
	RECORDER_PRELOAD=$TMPDIR/flush.so transfer "$@" --connections 3 --on "$on" --cut-when "$TMPDIR/flushing" \
		2>"$TMPDIR/flushing"
	check "the disk is flushed" grep -q flushing "$TMPDIR/flushing"
}

export FAILBACK_NO_IO_URING=1
slowly=$(with "$TMPDIR/s" '.rate = 16777216') # the disk is faster: in the end all connections are received from
for on in 1 2; do
	for mode in direct journaled; do
		fresh
		transfer_flushed_slowly $on "$slowly" "$TMPDIR/$mode"
		check_done "$mode: connection $on, which ends during the last flush, does no harm"
		check "$mode: the disks are equal" cmp "$source" "$target"
	done
	fresh
	flush_library 'errno = EIO; return -1;'
	RECORDER_PRELOAD=$TMPDIR/flush.so transfer "$TMPDIR/s" "$TMPDIR/journaled"
	check_failed "a delta stands whole in the journal" receive 10 '^32768 cannot flush disk disk0'
	transfer_flushed_slowly $on "$(with "$TMPDIR/s" '.disks[0].source.compare = true')" "$TMPDIR/journaled"
	check_done "connection $on, which ends while that is applied, does no harm"
	check "the disks are equal" cmp "$source" "$target"
done
unset FAILBACK_NO_IO_URING

# --- by hand ---

for nr in 1 2 4 8; do
	fresh
	transfer_by_hand "--json" "$source" --all --json --connections $nr
	check_both "a disk is sent by hand over $nr connections" "0 0"
	check "$nr connections: the disks are equal" cmp "$source" "$target"
	check_equal "both say that there were $nr" \
		"$(jq -r 'select(.event == "done").connections' "$TMPDIR/send" "$TMPDIR/receive" | paste -sd' ')" "$nr $nr"
done
fresh
transfer_by_hand "--journal $journal" "$source" --all --connections 3 --compress off
check_both "through a journal" "0 0"
check "people are told too" grep -q ', 3 connections)' "$TMPDIR/send" "$TMPDIR/receive"
for wrong in 0 9 10 x '' -1; do
	check_fails "--connections $wrong is refused" 15 'from 1 to 8' failback send "$source" --all --to 127.0.0.1 --connections "$wrong"
done

# join <trial>...: of join.py, into $TMPDIR/join; the receiver's words in $TMPDIR/receive
join()
{
	fresh
	start_receive "$target" --journal "$journal"
	"$top/tests/e2e/join.py" hand "$at" $size "$@" >"$TMPDIR/join" 2>&1 || diag <"$TMPDIR/join"
	end_receive
}

# said <claim> <line of join.py>
said()
{
	if grep -qE "^$2" "$TMPDIR/join"; then
		ok "$1"
	else
		not_ok "$1"
		diag <"$TMPDIR/join"
		diag <"$TMPDIR/receive"
	fi
}

join wrong none zero three garbage other two two one one
said "a receiver says how many connections it takes" 'offer: 4096 3'
said "another token is refused" 'wrong: 32769 No delta waits for a further connection with this token'
said "so is none" 'none: 327(73|76) '
said "a number that is the first connection's is refused" 'zero: 32773 Connection 0 cannot join 3'
said "a number that there is not is refused" 'three: 32773 Connection 3 cannot join 3'
said "what is no call is turned away" 'garbage: closed'
said "so is another host that knows the token" 'other: closed'
said "after all these the right one joins" 'two: 4096'
said "but not twice" 'two: 32774 Connection 2 of the delta is there already'
said "and the last" 'one: 4096'
check_equal "who joins when all are there finds nobody" "$(grep -c '^one: 4096' "$TMPDIR/join")" 1
check "the receiver says whom it turned away" grep -q 'A connection was turned away: .*the same peer as the first' "$TMPDIR/receive"
check_equal "it ends when the sender does" "$receive_status" 19
check "and the disk is as it was" cmp "$before" "$target"

join half one two
said "one that falls silent loses its place" 'half: closed'
said "to who joins rightly" 'two: 4096'
join silent silent silent silent silent silent one two
said "those that say nothing hold nobody up" 'one: 4096'
start_receive "$target"
exec {silent}<>"/dev/tcp/${at/:/\/}"
check "nor does one that came before the sender" failback send "$source" --all --to "$at" --connections 2
exec {silent}>&-
end_receive
check_equal "which the receiver does not notice" "$receive_status" 0
fresh
join one leave
check "a sender that leaves before all are there is not waited for" grep -q 'The sender left before all connections' "$TMPDIR/receive"
check_equal "and ends the receiver" "$receive_status" 19

# a receiver of an earlier version
fresh
start_receive "$target"
old=127.0.0.1:$(free_port)
: >"$TMPDIR/old"
"$top/tests/e2e/join.py" old "$old" "$at" >"$TMPDIR/old" 2>&1 &
old_pid=$!
cleanup_fn eval "kill $old_pid 2>/dev/null || true"
wait_for 60 grep -q ready "$TMPDIR/old"
check_fails "a receiver that knows of one connection only is told from others" 15 \
	'knows of one connection only: leave --connections out: .*unknown member' failback send "$source" --all --to "$old" --connections 4
end_receive
start_receive "$target"
kill $old_pid
wait $old_pid || true
: >"$TMPDIR/old"
"$top/tests/e2e/join.py" old "$old" "$at" >"$TMPDIR/old" 2>&1 &
old_pid=$!
cleanup_fn eval "kill $old_pid 2>/dev/null || true"
wait_for 60 grep -q ready "$TMPDIR/old"
check "and gets a disk over one" failback send "$source" --all --to "$old"
end_receive
check "as it is" cmp "$source" "$target"
