#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# With vm-driver = libvirt the VM's definition goes with its disks: what a failover starts is the domain, NVRAM and
# TPM of the epoch that the disks hold, whatever was cut off, and never keeps a delta from being sent.
#
# e2e: timeout=300
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"
# shellcheck source=tests/e2e/libvirt.bash
. "$(dirname "$0")/libvirt.bash"

size=$MiB
daemon_options=(--call-timeout 5 --vm-timeout 60 --vm-driver libvirt --ready-interval 0)
two_hosts
for host in a b; do
	start_libvirt $host
	make_files $host
done
# each libvirt's files are its own
cat >"$TMPDIR/bin/failback-libvirt" <<SH
#!/bin/sh
case \$2 in *a.libvirt*) host=a ;; *) host=b ;; esac
while [ -e "$TMPDIR/hold.\$1" ]; do sleep 0.1; done
exec unshare -m sh -c 'mount --bind "\$0" /var/lib && exec "\$@"' "$TMPDIR/\$host.lib" "$top/build/bin/failback-libvirt" "\$@"
SH
chmod +x "$TMPDIR/bin/failback-libvirt"

current=$TMPDIR/b.state/$vm.definition
pending=$current.pending
# up_at <host> [<option>...]
up_at() { up "$1" --libvirt-uri "${libvirt_uri[$1]}" "${@:2}"; }
again_at() { stop_daemon "$1"; up_at "$@"; }
# epoch_of <file>: that the definition came with.
epoch_of() { head -n 1 "$1" 2>/dev/null; }
base() { vm_property b Base | tr -d '"'; }
# in_place: the one that goes with the disks has its name, once the delta's journal was applied, and no other is there.
in_place() { [ "$(epoch_of "$current")" = "$(base)" ] && [ ! -e "$pending" ]; }
# change_files <text>: of the VM, where it runs
change_files()
{
	echo "$1" >"${nvram[a]}"
	put_tpm a "$1"
}
# files_are <text>: on b
files_are() { [ "$(cat "${nvram[b]}" "${tpm[b]}")" = "$1"$'\n'"$1" ]; }
# points <host> <name>: where it is looked at, and what is wrong
points()
{
	on "$1" failback ready vm1 --json >"$TMPDIR/ready" 2>&1 || true
	jq -r --arg name "$2" '.points[] | select(.name == $name) | .where + " " + .text' "$TMPDIR/ready"
}
# finds <claim> <host> <name> <regex>
finds()
{
	points "$2" "$3" >"$TMPDIR/points"
	check "$1" grep -qE -- "$4" "$TMPDIR/points" || diag "$(cat "$TMPDIR/points")"
}
# fail_over: by force, of what b has; a is down
fail_over() { on b failback failover --force vm1; }
give_back() { on_libvirt b destroy $vm >/dev/null && on b failback revert vm1 >/dev/null; }
goes() { on a failback resume vm1 >"$TMPDIR/goes" 2>&1; }

# say <offset> <size> <data>: of another epoch, as a, which is down; prints the reply's code and text
say()
{
	FROM=${address[a]} "$top/tests/e2e/hostile.py" call "${address[b]}" $port \
		"{\"call\": \"definition\", \"version\": 4, \"vm\": \"$vm\", \"epoch\": \"22222222-2222-4333-8444-555555555555\", \"size\": $2, \"offset\": $1, \"data\": \"$3\"}" |
		jq -r '"\(.code) \(.text)"'
}

define_machine a
change_files one
up_at a
up_at b
relate
finds "without a definition a VM that libvirt does not know is not ready" b hypervisor 'here .*knows no domain'

# --- with each delta ---

check "a delta goes" goes
check "with it comes the VM's definition, and no other" wait_for 30 in_place
check_equal "for root alone" "$(stat -c '%a %U' "$current")" "600 root"
check_equal "with it the VM could be started" "$(points b hypervisor)" $'here \npeer '
check_equal "and the primary says that it reached its replica" "$(points a definition)" 'here '

# --- what does not arrive ---

change_files two
on b failback suspend vm1 >/dev/null
check_fails "a delta that the replica refuses" 17 'is Replica in state 7' on a failback resume vm1
check_equal "leaves the definition that goes with the disks" "$(epoch_of "$current")" "$(base)"
check "beside the one that was to come with it" test "$(epoch_of "$pending")" != "$(base)"
on b failback resume vm1 >/dev/null
stop_daemon a
check "the replica, failed over, is started though its libvirt did not know it" fail_over
check_equal "it runs" "$(domain_state b)" running
check "with the NVRAM and the TPM that go with its disks" files_are one
give_back
on_libvirt b desc $vm --config "of this host" >/dev/null
up_at a
wait_for 30 goes || bail "no delta goes"
check "the next delta brings the next definition" wait_for 30 in_place

# --- which one goes with the disks follows from the record ---

cp "$current" "$TMPDIR/two"
change_files three
check "a delta goes on" goes
wait_for 30 in_place
mv "$current" "$pending"
cp "$TMPDIR/two" "$current"
again_at b
stop_daemon a
check "cut off before it was put in its place" fail_over
check "a definition is found all the same" files_are three
check_equal "while the VM may run here, none is taken from elsewhere" "$(say 0 3 AAAA)" "32775 VM vm1 is no replica here: its definition is this host's."
check_equal "the domain is as it was defined here" "$(on_libvirt b desc $vm)" "of this host"
give_back
up_at a
wait_for 30 goes || bail "no delta goes"
check "and is put in its place, before another comes" wait_for 30 in_place

# --- a planned failover: the last word is the VM's that was shut down ---

on_libvirt a start $vm >/dev/null
change_files four
check "the VM is shut down" on a failback prepare vm1
check "and started" on b failback failover vm1
check "with what it left" files_are four
check "the other way round" on b failback reverse vm1
comes_to_a() { [ "$(epoch_of "$TMPDIR/a.state/$vm.definition")" = "$(vm_property a Base | tr -d '"')" ]; }
check "the definition goes, too" wait_for 30 comes_to_a
check_equal "and the one that came before is gone" "$(ls "$TMPDIR/b.state" | grep -c definition)" 0
echo five >"${nvram[b]}"
put_tpm b five
check "the VM is shut down there" on b failback prepare vm1
check "and comes home" on a failback failover vm1
check_equal "with what it left there" "$(cat "${nvram[a]}" "${tpm[a]}" | xargs)" "five five"
check "for good" on a failback reverse vm1

# --- what goes wrong with it is not the delta's fault ---

# warnings: so many of them, in a's log
warnings() { grep -c 'its definition does not reach the replica' "$TMPDIR/a.log" || true; }
check_equal "up to here nothing went wrong" "$(warnings)" 0
mv "${nvram[a]}" "$TMPDIR/nvram"
ln -s /etc/passwd "${nvram[a]}"
check "without a definition a delta goes" goes
check "and another" goes
check_equal "which is said once" "$(warnings)" 1
finds "and by failback ready" a definition "here The VM's definition does not reach its replica: VM vm1: Cannot read .*it is a link"
check "what came before is kept" test -s "$current"
rm "${nvram[a]}"
mv "$TMPDIR/nvram" "${nvram[a]}"
check "when it is mended, it goes" goes
check_equal "and is well" "$(points a definition)" 'here '
head -c 300000 /dev/urandom >"${nvram[a]}"
check "what needs several messages" goes
stop_daemon a
fail_over >/dev/null
check "arrives too" cmp -s "${nvram[a]}" "${nvram[b]}"
give_back
up_at a
wait_for 30 goes || bail "no delta goes"
kill -s STOP "${libvirt_pid[a]}"
check "a libvirt that hangs does not keep a delta back" goes
kill -s CONT "${libvirt_pid[a]}"
finds "why is said" a definition '"failback-libvirt dump" did not end within 3 s'
check "the next one takes it along" goes
check_equal "and all is well" "$(points a definition)" 'here '

# --- what another host may not say of this one ---

on_libvirt b undefine --nvram $vm >/dev/null 2>&1 || on_libvirt b undefine $vm >/dev/null
define_machine a "<serial type='file'><source path='/etc/cron.d/x'/></serial>"
check "a definition that the replica cannot have goes along" goes
finds "which is found before it is needed" a hypervisor 'peer VM vm1: .*type="file" in <serial>, .*by hand'
stop_daemon a
check_fails "it is not started" 12 'failed over and may run here, but it was not started: .*in <serial>' fail_over
check_equal "nor defined" "$(on_libvirt b list --all --name | grep vm1)" ""
on b failback revert vm1 >/dev/null
define_machine a
up_at a
wait_for 30 goes || bail "no delta goes"

# --- a start that is cut off ---

# cut_off <verb>: b's failover, when that has been begun
cut_off()
{
	touch "$TMPDIR/hold.$1"
	fail_over >"$TMPDIR/failing" 2>&1 &
	wait_for 30 pgrep -f "failback-libvirt $1" >/dev/null || bail "there is no $1: $(xargs <"$TMPDIR/failing")"
	stop_daemon b KILL
	pkill -KILL -f "failback-libvirt $1" || true
	rm "$TMPDIR/hold.$1"
	up_at b
}
# older: b's NVRAM is one of before
older()
{
	echo older >"${nvram[b]}"
	touch -d '1 hour ago' "${nvram[b]}"
}
forget() { on_libvirt b destroy $vm >/dev/null 2>&1 || true; on_libvirt b undefine $vm >/dev/null; }

owed=$current.owed used=$current.used
came() { cmp -s "${nvram[a]}" "${nvram[b]}"; }
# next_delta: that brings a definition, with a up
next_delta()
{
	[ -n "${daemon_pid[a]}" ] || up_at a
	wait_for 30 goes || bail "no delta goes"
	wait_for 30 in_place
	stop_daemon a
}

wait_for 30 in_place
stop_daemon a
if on_libvirt b list --all --uuid | grep -q $vm; then forget; fi
cut_off define
check_equal "a failover that is cut off at the VM's definition is one" "$(role b)" "2 5"
check_equal "... the VM is not there" "$(on_libvirt b list --all --uuid | grep -c $vm)" 0
check "... and is started by an order" on b failback start --force vm1
check_equal "... it runs" "$(domain_state b)" running
check "... from what came" came
on_libvirt b destroy $vm >/dev/null
echo own >"${nvram[b]}"
check "started by an order again" on b failback start --force vm1
check_equal "... it keeps what it wrote" "$(domain_state b) $(<"${nvram[b]}")" "running own"
give_back
check "a revert gives the definition back to the replica's disks" fail_over
check "... which is used again" came
give_back

next_delta
older
cut_off start
echo "boot 2 of b" >"$TMPDIR/b.boot"
again_at b
check_equal "after a boot, and cut off later" "$(vm_property b MayRun)" false
check "... it is released by an order, and started" on b failback start --force vm1
check_equal "... it runs" "$(domain_state b)" running
check "... from what came" came
give_back

next_delta
cut_off define
sleep 0.1
echo "by hand" >"${nvram[b]}"
on_libvirt b start $vm >/dev/null
on_libvirt b destroy $vm >/dev/null
check "what ran by hand since, is started by an order" on b failback start --force vm1
check_equal "... from what it wrote" "$(<"${nvram[b]}")" "by hand"
check "... what came is not owed any more" test ! -e "$owed" -a -e "$used"
give_back

next_delta
older
mv "$current" "$pending"
cp "$TMPDIR/two" "$current"
cut_off define
up_at a
on a failback yield vm1 >/dev/null
check "the other way round, before the VM was defined" on b failback reverse vm1
check "... deltas go" on b failback resume vm1
finds "... and it is known that its definition does not" b definition 'here .*does not reach its replica: What came here .* was not used yet'
check "it is started then" on b failback start --force vm1
check_equal "... it runs" "$(domain_state b)" running
check "... from what came" came
check "the next delta takes its definition along" on b failback resume vm1
check "... to the other host" wait_for 30 comes_to_a
check_equal "... and nothing of before is left" "$(ls "$TMPDIR/b.state" | grep -c definition)" 0
check "... and it comes home" eval 'on b failback prepare vm1 && on a failback failover vm1 && on a failback reverse vm1'

next_delta
cut_off define
on_libvirt a destroy $vm >/dev/null
up_at a
on a failback yield vm1 >/dev/null
on b failback reverse vm1 >/dev/null
: >"$TMPDIR/b.kernel/vm1-disk0/open"
echo "by hand" >"${nvram[b]}"
check "what was started by hand sends its definition" on b failback resume vm1
rm "$TMPDIR/b.kernel/vm1-disk0/open"
check "... as it is" wait_for 30 comes_to_a
check "... and it comes home" eval 'on b failback prepare vm1 && on a failback failover vm1'
check_equal "... with that" "$(<"${nvram[a]}")" "by hand"
on a failback reverse vm1 >/dev/null

# --- a stranger's words ---

stop_daemon a
wait_for 30 in_place
cp "$current" "$TMPDIR/before"
check_equal "a piece that follows nothing is refused" "$(say 3 6 AAAA)" "32773 A piece of a definition does not follow what came before it."
check_equal "so is one that is longer than the whole" "$(say 0 2 AAAA)" "32773 A piece of a definition does not follow what came before it."
check_equal "and one that is none" "$(say 0 6 '*')" "32773 A piece of a definition does not follow what came before it."
check_equal "and an empty one" "$(say 0 6 '')" "32773 A piece of a definition does not follow what came before it."
check "a definition that is too long is not begun" eval '[[ $(say 0 16777217 AAAA) == "32773 A definition of 16777217 bytes is not taken"* ]]'
check_equal "one that is garbage waits for its epoch" "$(say 0 3 AAAA) $(epoch_of "$pending")" "0  22222222-2222-4333-8444-555555555555"
check "what goes with the disks is as it was" cmp -s "$current" "$TMPDIR/before"
up_at a
wait_for 30 goes || bail "no delta goes"
check "the next delta takes its place" wait_for 30 in_place

# --- an older peer ---

python3 - "$failbackd" "$TMPDIR/bin/old" <<'PYTHON'
import os, sys
data = open(sys.argv[1], "rb").read()
# the linker has one word be the end of the other
open(sys.argv[2], "wb").write(data.replace(b"definition\0", b"definitely\0"))
os.chmod(sys.argv[2], 0o755)
PYTHON
stop_daemon b
failbackd=$TMPDIR/bin/old up_at b
check "a peer of an older version gets deltas as before" goes
check "and another" goes
check_equal "it is asked once" "$(grep -c 'knows of no definitions' "$TMPDIR/a.log")" 1
check_equal "which is no trouble" "$(warnings)" 2
again_at b

# --- the end ---

check "the relationship ends" on b failback remove vm1
check_equal "and with it what came" "$(ls "$TMPDIR/b.state" | grep -c definition)" 0
