#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Trackers at boot: made under the fenced name, put back where they were, and replaced by a linear
# device where the module or the store is missing, after which no map is taken for complete.
#
# vm: disk=64M disk=32M disk=64M timeout=300 quick=6.12
# vm-allow: blk_update_request|I/O error, dev|Buffer I/O error on dev|cannot start
. "$(dirname "$0")/../lib.sh"
requires root dmsetup jq udevadm /lib/systemd/systemd-udevd

table=$TMPDIR/trackers
notes=$TMPDIR/untracked
activate() { cbtctl activate --table "$table" --notes "$notes" "$@"; }
deactivate() { cbtctl deactivate --table "$table"; }
field() { cbtctl show vm1-disk0.replica --json | jq -r ".tracker.$1"; }
target() { dmsetup table "$1" | cut -d' ' -f3; }
load() { insmod "$(cbt_module)"; }

modprobe -a dm-mod libcrc32c
cbtctl format /dev/vda /dev/vdb >/dev/null
ln -s /dev/vdb "$TMPDIR/store"
echo "vm1-disk0 /dev/vda $TMPDIR/store" >"$table"
cleanup_fn eval "rmmod dm_cbt 2>/dev/null || true"

# --- with all there ---

load
check "a tracker is activated" activate
check_equal "under the fenced name only" "$(dmsetup ls | cut -f1)" vm1-disk0.replica
check_equal "for root alone" "$(stat -Lc %a /dev/mapper/vm1-disk0.replica)" 600
generation=$(field generation)
check "a second time nothing happens" activate
check_equal "to its map either" "$(field generation) $(field state)" "$generation active"
exec 3</dev/mapper/vm1-disk0.replica
check_fails "what is open is not deactivated" 16 'vm1-disk0.replica is open' deactivate
exec 3<&-
check "what is not, is" deactivate
check_equal "and nothing is left" "$(dmsetup ls | cut -f1)" "No devices found"
check "its store is in order" cbtctl store-check "$TMPDIR/store"
activate
check_equal "the map goes on after a boot" "$(field generation)" "$generation"

# --- without the module ---

deactivate
rmmod dm_cbt
check_fails "without the module the disk is there, and it is said" 10 'vm1-disk0: dm-cbt is not loaded' activate
check_equal "as a linear device, fenced" "$(target vm1-disk0.replica)" linear
check "a second time it stays" eval "! activate 2>/dev/null && [ $(target vm1-disk0.replica) = linear ]"
check "nothing has to be noted beside the store" test ! -e "$notes/vm1-disk0"
dmsetup rename vm1-disk0.replica vm1-disk0
dmsetup mknodes
exec 3<>/dev/mapper/vm1-disk0
load
check "with the module the tracker is put back under its user" activate
exec 3>&-
check_equal "by the name that the device has by now" "$(dmsetup ls | cut -f1) $(target vm1-disk0)" "vm1-disk0 cbt"
dmsetup rename vm1-disk0 vm1-disk0.replica
dmsetup mknodes
check_equal "in a new generation without base" "$(field generation) $(field base)" "$((generation + 1)) null"

# --- without the store ---

generation=$(field generation)
deactivate
rm "$TMPDIR/store"
check_fails "without the store the disk is there, too" 10 "$TMPDIR/store" activate
check_equal "as a linear device" "$(target vm1-disk0.replica)" linear
check "and a note waits for the store" test -e "$notes/vm1-disk0"
deactivate
ln -s /dev/vdb "$TMPDIR/store"
check "when the store is back it is tracked" activate
check_equal "in a new generation, although nothing was written" "$(field generation)" $((generation + 1))
check "the note is gone" test ! -e "$notes/vm1-disk0"

deactivate
rm "$TMPDIR/store"
generation=$((generation + 1))
check_fails "where nothing can be noted either" 10 'nothing can be noted in /proc/nosuch' \
	cbtctl activate --table "$table" --notes /proc/nosuch
check_equal "the disk stays away" "$(dmsetup ls | cut -f1)" "No devices found"
(until [ -e "$TMPDIR/waits" ]; do :; done && ln -s /dev/vdb "$TMPDIR/store") &
touch "$TMPDIR/waits"
check "a store that comes late is waited for" activate --wait 30
check_equal "and its map goes on" "$(field generation)" $generation
deactivate

# --- a store that fails under its tracker ---

store_sectors=$(blockdev --getsz /dev/vdb)
good="0 $store_sectors linear /dev/vdb 0"
set_store() { dmsetup load store --table "$1" && dmsetup resume store; }

dmsetup create store --table "$good"
dmsetup mknodes
ln -sf /dev/mapper/store "$TMPDIR/store"
activate
generation=$(field generation)
set_store "0 $store_sectors error"
dd if=/dev/urandom of=/dev/mapper/vm1-disk0.replica bs=4k count=1 seek=7000 oflag=direct status=none
is_lost() { [ "$(field state)" = lost ]; }
check "a tracker whose store fails is lost" wait_for 20 is_lost
check_fails "... which cannot be mended while it fails, and that is said" 10 'vm1-disk0: .*cannot be read' activate
check_equal "... the disk is there" "$(target vm1-disk0.replica)" linear
set_store "$good"
check "... and is tracked when the store is back" activate
check_equal "... in a new generation" "$([ "$(field generation)" -gt "$generation" ] && field state)" active
set_store "0 $store_sectors error"
dd if=/dev/urandom of=/dev/mapper/vm1-disk0.replica bs=4k count=1 seek=7000 oflag=direct status=none
check "it is lost again" wait_for 20 is_lost
set_store "$good"
generation=$(field generation)
check "what is lost is put back at once when its store is good" activate
check_equal "... in a new generation, too" "$([ "$(field generation)" -gt "$generation" ] && field state)" active
deactivate

# --- a store that hangs ---

echo "later /dev/vdc -" >>"$table"
dmsetup suspend --nolockfs store
check_fails "a store that hangs is given up" 10 '1 of 2 disks are not tracked' timeout 60 cbtctl activate --table "$table" --notes "$notes"
check_equal "... its disk is there" "$(target vm1-disk0.replica)" linear
check "... a note waits for it" test -e "$notes/vm1-disk0"
check_equal "... and the disk of the next line is tracked" "$(target later.replica)" cbt
check_fails "... asked again, too" 10 'does not answer' timeout 60 cbtctl activate --table "$table" --notes "$notes"
dmsetup resume store
check "when it answers it is tracked" wait_for 20 activate
check_equal "... in a new generation" "$([ "$(field generation)" -gt "$generation" ] && field base)" null
check "... and the note is gone" test ! -e "$notes/vm1-disk0"
dmsetup suspend --nolockfs store
dd if=/dev/urandom of=/dev/mapper/vm1-disk0.replica bs=4k count=1 seek=9000 oflag=direct status=none
check "a tracker whose store hangs is lost" wait_for 30 is_lost
check_fails "... which is told" 10 'is lost, and its store .* does not answer' timeout 60 cbtctl activate --table "$table" --notes "$notes"
check_fails "... as often as it is asked" 10 '1 of 2 disks' timeout 60 cbtctl activate --table "$table" --notes "$notes"
check "... and noted" test -e "$notes/vm1-disk0"
check_equal "... its device is there" "$(target vm1-disk0.replica)" cbt
dmsetup resume store
generation=$(field generation)
check "when it answers it is tracked again" wait_for 20 activate
check_equal "... in a new generation" "$([ "$(field generation)" -gt "$generation" ] && field base)" null
check "... and the note is gone" test ! -e "$notes/vm1-disk0"
deactivate
dmsetup remove store
ln -sf /dev/vdb "$TMPDIR/store"
sed -i /later/d "$table"

# --- a line that says later that the VM may see its device ---

activate
echo "vm1-disk0 /dev/vda $TMPDIR/store start" >"$table"
generation=$(field generation)
exec 3</dev/mapper/vm1-disk0.replica
check "a device whose line got the word start is not shown while somebody has it open" activate
check_equal "... as a transfer" "$(dmsetup ls | cut -f1)" vm1-disk0.replica
exec 3<&-
check "else it is" activate
check_equal "... by its name, and with its map" "$(dmsetup ls | cut -f1) $(cbtctl show vm1-disk0 --json | jq -r .tracker.generation)" \
	"vm1-disk0 $generation"
check "... once" activate
deactivate
echo "vm1-disk0 /dev/vda $TMPDIR/store" >"$table"

# --- a table that is wrong, and others ---

echo "vm1-disk0 /dev/vda" >"$TMPDIR/wrong"
check_fails "a line that is wrong is named" 18 'wrong, line 1: expected NAME ORIGIN STORE' \
	cbtctl activate --table "$TMPDIR/wrong"
check_fails "so is a tracker that does not stand there" 15 "do not stand in $table" activate vm2
echo "nosuch /dev/nosuch -" >"$TMPDIR/wrong"
check_fails "an origin that is not there is named" 10 'nosuch: .*/dev/nosuch' \
	cbtctl activate --table "$TMPDIR/wrong" --notes "$notes"
check_equal "and nothing stands for it" "$(dmsetup ls | cut -f1)" "No devices found"

# --- udev ---

mkfs.ext4 -q -U 11111111-2222-4333-8444-555555555555 /dev/vdc
printf '%s\n' "vm1-disk0 /dev/vda $TMPDIR/store" "free /dev/vdc - start" >"$table"
mkdir -p /run/udev/rules.d
cp "$top/user/udev/56-failback.rules" /run/udev/rules.d/
/lib/systemd/systemd-udevd --daemon
cleanup_fn udevadm control --exit
unset DM_DISABLE_UDEV
udevadm trigger --subsystem-match=block --action=add
udevadm settle
link=/dev/disk/by-uuid/11111111-2222-4333-8444-555555555555
check_equal "udev finds a file system on a disk" "$(readlink -f $link)" /dev/vdc
check "with udev, too, trackers are activated" activate
udevadm settle
check_equal "one that starts has the VM's name at once" "$(target free)" cbt
check_equal "the file system is not looked for on its tracker" "$(readlink -f $link)" /dev/vdc
check "nor after an event" eval "udevadm trigger --action=change --settle /sys/block/$(basename "$(readlink -f /dev/mapper/free)") && [ $(readlink -f $link) = /dev/vdc ]"
check_equal "the VM's device is for group disk" "$(stat -Lc '%a %G' /dev/mapper/free)" "660 disk"
check_equal "the fenced one for root alone" "$(stat -Lc '%a %G' /dev/mapper/vm1-disk0.replica)" "600 root"
dmsetup rename vm1-disk0.replica vm1-disk0
check_equal "the VM's name gives it to the group" "$(stat -Lc '%a %G' /dev/mapper/vm1-disk0)" "660 disk"
chown nobody /dev/mapper/vm1-disk0
udevadm trigger --action=change --settle "/sys/block/$(basename "$(readlink -f /dev/mapper/vm1-disk0)")"
check_equal "and leaves it to whoever takes it from there" "$(stat -Lc '%a %U' /dev/mapper/vm1-disk0)" "660 nobody"
deactivate
dmsetup create hand.replica --table "0 $(blockdev --getsz /dev/vdc) cbt /dev/vdc -"
check_equal "one made by hand is fenced as well" "$(stat -Lc '%a %G' /dev/mapper/hand.replica)" "600 root"
check_equal "and its file system left alone" "$(readlink -f $link)" /dev/vdc
dmsetup remove hand.replica
