#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Tables that are loaded, swapped and removed in orders that nobody planned, and a store that is away
# for a while: no history goes on over writes that nobody saw (invariants I1, I2), no two trackers
# have one store, and no refusal leaves the device suspended.
#
# vm: disk=512M disk=64M timeout=400 quick=6.12
# vm-allow: blk_update_request|I/O error, dev dm-|Buffer I/O error on dev|cannot start
. "$(dirname "$0")/../lib.sh"
requires jq

insmod_cbt
modprobe -a dm-delay dm-flakey
cleanup_fn eval 'for d in image t t2 upper v store origin disk disk2; do dmsetup remove --retry $d 2>/dev/null || true; done'

small=262144 large=1048576 # sectors
capacity=393216 # what the store has room for, up to the end of a leaf
dmsetup create disk --table "0 $small linear /dev/vda 0"
dmsetup create origin --table "0 $small linear /dev/vda 0"
dmsetup create store --table "0 $(blockdev --getsz /dev/vdb) linear /dev/vdb 0"
dmsetup mknodes
cbt="0 $small cbt /dev/mapper/origin /dev/mapper/store"

# swap <device> <table>
swap()
{
	dmsetup load "$1" --table "$2" && dmsetup resume "$1" && dmsetup mknodes
}

format() { cbtctl format --force --capacity "$((capacity / 2))K" /dev/mapper/origin /dev/mapper/store >/dev/null; }

# start: a tracker t with a base, and nothing dirty
start()
{
	local epoch

	format
	dmsetup create t --table "$cbt"
	dmsetup mknodes
	write_block t 1000
	epoch=$(cbtctl freeze t)
	cbtctl commit --epoch "$epoch" t >/dev/null
}

write_block() { dd if=/dev/urandom of=/dev/mapper/"$1" bs=4k count=1 seek="$2" oflag=direct status=none; }
# is_dirty <block>: one range may hold it and others
is_dirty() { cbtctl map t | awk -v b="$1" '$1 <= b && b < $1 + $2 { found = 1 } END { exit !found }'; }
tracker() { cbtctl show t --json | jq -r ".tracker$1"; }
said() { dmesg | grep -qE "$1"; }

# refused <claim> <regex> <command>...: and the kernel log says why
refused()
{
	local claim=$1 why=$2
	shift 2
	dmesg --clear
	check_fails "$claim" any . "$@"
	check "... and the log says why" said "$why"
}

goes_on() { check "$1" timeout 20 dd if=/dev/zero of=/dev/mapper/t bs=4k count=1 oflag=direct status=none; }

# --- one store, one tracker ---

format
swap origin "0 $small delay /dev/mapper/disk 0 0 /dev/mapper/disk 0 0 /dev/mapper/disk 0 8000"
dmsetup create t --table "$cbt"
dmsetup mknodes
write_block t 10
dmsetup remove t &
removal=$!
wait_for 30 eval '! dmsetup info t >/dev/null 2>&1'
refused "a store is not given away while its tracker is stopping" 'being removed: try again' \
	dmsetup create t2 --table "$cbt"
dmsetup remove t2 2>/dev/null || true
wait $removal
check "... and is when it has stopped" dmsetup create t --table "$cbt"
check_equal "... with what it knew" "$(cbtctl map t | grep -c '^10 1')" 1
dmsetup remove t
swap origin "0 $small linear /dev/vda 0"

# --- writes past the tracker ---

start
swap t "0 $small linear /dev/mapper/origin 0"
write_block t 20000
swap t "$cbt"
check_equal "a device that was given another table meanwhile begins a generation" \
	"$(tracker .generation)" 2
check_equal "... without a base" "$(tracker .base)" null
swap t "$cbt"
check_equal "... but not when it goes from one of ours to the next" "$(tracker .generation)" 2
dmsetup remove t

# trusts_nothing <claim>: a tracker whose store could not be told that it was left
trusts_nothing()
{
	swap store "0 $(blockdev --getsz /dev/vdb) linear /dev/vdb 0"
	swap t "$cbt"
	check_equal "$1 begins a generation" "$(tracker .generation)" 2
	check_equal "... without a base" "$(tracker .base)" null
	dmsetup remove t
}

start
check_equal "a tracker has a base" "$([ "$(tracker .base)" = null ] || echo one)" one
dmsetup suspend --nolockfs store
dmsetup load t --table "0 $small linear /dev/mapper/origin 0"
dmsetup resume t &
swapping=$!
wait_for 60 eval 'dmsetup table t 2>/dev/null | grep -q linear'
write_block t 20000
# long enough for everybody to give the store up
sleep 12
dmsetup load store --table "0 $(blockdev --getsz /dev/vdb) error"
dmsetup resume store
wait $swapping
trusts_nothing "a device that was given another table while the store hung, and then failed,"

start
swap store "0 $(blockdev --getsz /dev/vdb) error"
check_fails "a store fails, and no write needs it" any . timeout 20 cbtctl label t --set anything
swap t "0 $small linear /dev/mapper/origin 0"
write_block t 20000
trusts_nothing "a device that was given another table right then"

# --- a store that comes back ---

start
swap store "0 $(blockdev --getsz /dev/vdb) error"
write_block t 20000
check "without its store the tracker is lost" wait_for 20 eval '[ "$(tracker .state)" = lost ]'
cbtctl map t >/dev/null 2>"$TMPDIR/stderr"
check "... and whoever reads its map is warned" grep -q 'warning: t is lost' "$TMPDIR/stderr"
swap store "0 $(blockdev --getsz /dev/vdb) linear /dev/vdb 0"
write_block t 30000
check "it can be bypassed when the store is back" cbtctl bypass t
check "... and restored" cbtctl restore t /dev/mapper/store
check_equal "... which begins a generation" "$(tracker .generation)" 2
dmsetup remove t

start
swap store "0 $(blockdev --getsz /dev/vdb) error"
write_block t 20000
check "it is lost again" wait_for 20 eval '[ "$(tracker .state)" = lost ]'
swap store "0 $(blockdev --getsz /dev/vdb) linear /dev/vdb 0"
dmsetup remove t
rmmod dm_cbt
insmod "$(cbt_module)"
dmsetup create t --table "$cbt"
check_equal "one that is removed when the store is back begins a generation, too" \
	"$(tracker .generation)" 2

# --- growth that is refused ---

epoch=$(cbtctl freeze t)
swap origin "0 $((small + 8192)) linear /dev/vda 0"
refused "a larger table is refused while an epoch is frozen" 'commit or abort it first' \
	dmsetup load t --table "0 $((small + 8192)) cbt /dev/mapper/origin /dev/mapper/store"
goes_on "... and the device goes on"
cbtctl abort --epoch "$epoch" t >/dev/null
swap origin "0 $large linear /dev/vda 0"
refused "a larger table is refused when the store has no room" 'larger than what the store' \
	dmsetup load t --table "0 $large cbt /dev/mapper/origin /dev/mapper/store"
goes_on "... and the device goes on, too"
swap origin "0 $capacity linear /dev/vda 0"
check "it grows as far as the store has room" \
	swap t "0 $capacity cbt /dev/mapper/origin /dev/mapper/store"
goes_on "... and goes on"
check_equal "... as a generation" "$(tracker .generation)" 3
dmsetup remove t

# freezes_before_growth: an epoch, between the load of the larger table and its resume
freezes_before_growth()
{
	swap origin "0 $small linear /dev/vda 0"
	start
	swap origin "0 $capacity linear /dev/vda 0"
	dmsetup load t --table "0 $capacity cbt /dev/mapper/origin /dev/mapper/store"
	write_block t 1400
	epoch=$(cbtctl freeze t)
}

freezes_before_growth
dmsetup create image --readonly --table "0 $small cbt-image $(tracker .uuid) $epoch"
dmsetup mknodes
exec 8</dev/mapper/image
write_block t 1500
check "a device grows though an epoch was frozen since its table was loaded, and its image is open" \
	timeout 20 dmsetup resume t
goes_on "... and goes on"
check_fails "... the image is read no more" any 'Input/output error' \
	dd if=/dev/fd/8 of=/dev/null bs=4k count=1 skip=1400 status=none
exec 8<&-
dmsetup remove image
check_fails "... the epoch is aborted" any 'aborted' cbtctl commit --epoch "$epoch" t
check_equal "... it is a generation" "$(tracker .generation)" 2
check "... what was frozen is dirty" is_dirty 1400
check "... and what was written since" is_dirty 1500
dmsetup remove t

store_sectors=$(blockdev --getsz /dev/vdb)
committing() { [ "$(tracker .state)" = committing ]; }

# commits_slowly <command>...: by which the store becomes slow, when the epoch is frozen
commits_slowly()
{
	freezes_before_growth
	"$@"
	cbtctl commit --epoch "$epoch" t >"$TMPDIR/commit" 2>&1 &
	commit=$!
	wait_for 60 committing || bail "$(cbtctl show t)"
}

# each write by less than what a store is given up for
commits_slowly swap store "0 $store_sectors delay /dev/vdb 0 0 /dev/vdb 0 2000"
timeout 60 dmsetup resume t >"$TMPDIR/growth" 2>&1 &
growth=$!
rc=0
wait $growth || rc=$?
check_equal "a device grows while an epoch is being committed" "$rc $(<"$TMPDIR/growth")" "0 "
goes_on "... and goes on"
rc=0
wait $commit || rc=$?
check_equal "... the epoch is committed" "$rc $(<"$TMPDIR/commit")" "0 "
check_equal "... and is the base" "$(tracker .base)" "$epoch"
check_fails "... what was sent is clean" any '' is_dirty 1400
check "... what was added is dirty" is_dirty $((small / 8))
swap store "0 $store_sectors linear /dev/vdb 0"
dmsetup remove t
dmsetup create t --table "0 $capacity cbt /dev/mapper/origin /dev/mapper/store"
check "... in the store, too" is_dirty $((small / 8))
check_fails "... as is what is clean" any '' is_dirty 1400
dmsetup remove t

commits_slowly dmsetup suspend --nolockfs store
dmsetup load store --table "0 $store_sectors error"
dmsetup resume store
rc=0
wait $commit || rc=$?
check "a commit fails with its store" test $rc != 0
check "... and says so" grep -q 'the store failed' "$TMPDIR/commit"
check "a device grows over that" timeout 60 dmsetup resume t
goes_on "... and goes on"
check_equal "... lost" "$(tracker .state)" lost
check "... what was frozen is dirty" is_dirty 1400
check "... and what was added" is_dirty $((small / 8))
check_fails "... and how the commit ended is not known any more" any 'does not know the epoch' \
	cbtctl commit --epoch "$epoch" t
dmsetup remove t
swap store "0 $store_sectors linear /dev/vdb 0"

# the superblock can't be written, and all else can
swap origin "0 $small linear /dev/vda 0"
start
swap origin "0 $capacity linear /dev/vda 0"
dmsetup load store <<END
0 128 flakey /dev/vdb 0 0 3600 1 error_writes
128 $((store_sectors - 128)) linear /dev/vdb 128
END
dmsetup resume store
check "the device goes on, larger, when the store does not note it" \
	timeout 60 bash -c "dmsetup load t --table '0 $capacity cbt /dev/mapper/origin /dev/mapper/store' && dmsetup resume t"
goes_on "... and is written"
check_equal "... lost" "$(tracker .state)" lost
dmsetup remove t
swap store "0 $store_sectors linear /dev/vdb 0"
check_equal "... which the store does not know" "$(cbtctl store-dump /dev/mapper/store --json | jq -r .store.generation)" 1
dmsetup create t --table "0 $capacity cbt /dev/mapper/origin /dev/mapper/store"
check_equal "... and is not believed" "$(tracker .base)" null
check_equal "... under a number that the grown one did not have" "$(tracker .generation)" 3
dmsetup remove t

# --- the table that is resumed counts ---

swap origin "0 $small linear /dev/vda 0"
dmsetup create t --notable
dmsetup load t --table "0 $small cbt /dev/mapper/origin - 2 block_size 8"
dmsetup load t --table "0 $small cbt /dev/mapper/origin - 2 block_size 64"
dmsetup resume t
check_equal "of two tables the block size of the second is taken" "$(dmsetup status t | cut -d' ' -f8)" 64
dmsetup remove t

# --- a store that is made of the device itself ---

start
dmsetup remove t
dmsetup create v --table "0 $small linear /dev/mapper/origin 0"
dmsetup mknodes
dmsetup create upper --table "0 $(blockdev --getsz /dev/vdb) linear /dev/mapper/v 0"
dmsetup mknodes
dd if=/dev/mapper/store of=/dev/mapper/upper bs=1M oflag=direct status=none
dmsetup load v --table "0 $small cbt /dev/mapper/origin /dev/mapper/upper"
refused "a store that is made of the device itself is refused, though late" 'made of the device itself' \
	timeout 60 dmsetup resume v
swap v "0 $small linear /dev/mapper/origin 0"
dmsetup remove upper
dmsetup remove v

# --- a map that is read over a restart ---

nr_leaves=64 nr_runs=400 # more than the sockets and the pipe hold
dmsetup create disk2 --table "0 $((nr_leaves * small)) zero"
dmsetup mknodes
cbtctl format --force /dev/mapper/disk2 /dev/mapper/store >/dev/null
dmsetup create t --table "0 $((nr_leaves * small)) cbt /dev/mapper/disk2 /dev/mapper/store"
for ((i = 0; i < nr_leaves; i++)); do
	seq -f '%.0f+1' $((i * 32768)) 2 $((i * 32768 + 2 * nr_runs - 1))
done | xargs -n 4000 cbtctl mark t >/dev/null
mkfifo "$TMPDIR/pipe"
cbtctl map t >"$TMPDIR/pipe" 2>"$TMPDIR/stderr" &
reader=$!
exec 8<"$TMPDIR/pipe"
read -r _ <&8
cbtctl bypass t
cbtctl restore t /dev/mapper/store
cat <&8 >"$TMPDIR/map"
exec 8<&-
rc=0
wait $reader || rc=$?
check "a map that is read while its tracker is started anew is not taken for whole" test $rc != 0
check "... and the reason is said" grep -q 'start again' "$TMPDIR/stderr"
diag "$(wc -l <"$TMPDIR/map") of $((nr_leaves * nr_runs)) extents"

dmsetup remove t

# --- a table that is loaded while the tracker starts ---

format
dmsetup create t --notable
dmsetup load t --table "$cbt"
dmsetup suspend --nolockfs store # the start waits for it, 5 s
dmesg --clear
dmsetup resume t 2>/dev/null &
resuming=$!
load_is_refused() { ! dmsetup load t --table "$cbt" 2>/dev/null; }
check "a table that is loaded while the tracker starts is refused" wait_for 4 load_is_refused
check "... and the log says why" said 'is being started'
rc=0
wait $resuming || rc=$?
check "the start gives the store up" test $rc != 0
dmsetup resume store
swap t "$cbt"
check_equal "and is none the worse for it" "$(tracker .state)" active

# --- hibernation ---

if grep -qw disk /sys/power/state 2>/dev/null; then
	dmesg --clear
	check_fails "hibernation is refused while there is a tracker" any busy bash -c 'echo disk >/sys/power/state'
	check "... and the log says why" said 'no hibernation'
	dmsetup remove t
	dmsetup create t --notable
	dmsetup reload t --table "0 $small cbt /dev/mapper/origin -"
	check_fails "... also one in RAM, of a table that is only loaded" any busy bash -c 'echo disk >/sys/power/state'
	dmsetup remove t
	exec 9</dev/snapshot # as who hibernates does
	refused "no tracker comes into being while the host hibernates" 'being hibernated' \
		dmsetup create t --table "0 $small cbt /dev/mapper/origin -"
	exec 9<&-
	check "... and one does when that is over" dmsetup create t --table "0 $small cbt /dev/mapper/origin -"
else
	skip "hibernation is refused while there is a tracker" "this kernel has none"
fi
dmsetup remove t
