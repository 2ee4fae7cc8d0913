#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# With vm-driver = libvirt, a VM is shut down before its last delta and started after its failover, by libvirt.
#
# e2e: timeout=180
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"
. "$(dirname "$0")/controller_fake.bash"
# shellcheck source=tests/e2e/libvirt.bash
. "$(dirname "$0")/libvirt.bash"

check_fails "a command beside libvirt is refused" 2 'With vm-driver = libvirt, vm-stop is not for use' \
	failbackd --vm-driver libvirt --vm-stop "/bin/true %n"
check_fails "so is a driver that there is not" 2 'vm-driver must be exec or libvirt, not "virsh"' failbackd --vm-driver virsh

size=$MiB
daemon_options=(--call-timeout 5 --vm-timeout 60 --vm-driver libvirt)
two_hosts
ln -s "$top/build/bin/failback-libvirt" "$TMPDIR/bin/"
start_libvirt a
start_libvirt b
check_equal "the VM's UUID is that of its domain" "$vm" "$domain"

# up_at <host> <URI> [<option>...]
up_at() { up "$1" --libvirt-uri "${@:2}"; }
again_at() { stop_daemon "$1"; up_at "$@"; }

# finds <claim> <host that is asked> <here|peer> <regex>: of what `failback ready` looks at, libvirt is not well, there
finds()
{
	on "$2" failback ready vm1 --json >"$TMPDIR/ready" || true
	check "$1" jq -e --arg where "$3" --arg regex "$4" \
		'.points | any(.where == $where and .name == "hypervisor" and (.text | test($regex)))' "$TMPDIR/ready"
}

# --- a libvirt in which the domain's state is that of a file, whatever is done ---

node_with "$TMPDIR/runs.xml" "<test:runstate>1</test:runstate>"
node_with "$TMPDIR/off.xml" "<test:runstate>5</test:runstate>"
up_at a "test://$TMPDIR/runs.xml" --vm-timeout 5
up_at b "${libvirt_uri[b]}"
relate
check "a delta gives both a base" on a failback resume vm1
# no_definition: as if none had come (controller_definition.sh has what follows when one does)
no_definition() { rm -f "$TMPDIR/b.state/$vm.definition"; }
no_definition
finds "a libvirt that does not know the VM is found before it is to start it" a peer 'VM vm1: .*knows no domain'
check_fails "a VM that does not go down keeps a failover from being prepared" 14 'still runs after 5 s' on a failback prepare vm1
check_equal "and nothing has changed" "$(role a)" "1 3"
node_with "$TMPDIR/saved.xml" "<test:runstate>5</test:runstate><test:hasmanagedsave>1</test:hasmanagedsave>"
again_at a "test://$TMPDIR/saved.xml"
check_fails "so does one whose memory is saved" 17 "VM vm1: Domain $vm is saved, not shut down" on a failback prepare vm1
check_equal "and the VM is replicated as before" "$(role a)" "1 3"
again_at a "test://$TMPDIR/off.xml"
check "one that is off does not" on a failback prepare vm1
check_equal "and its host is prepared" "$(role a)" "1 4"
check "which is taken back" on a failback resume vm1

# --- a libvirtd on each host ---

define_domain a
on_libvirt a start $vm >/dev/null
again_at a "${libvirt_uri[a]}" --vm-timeout 5
on_libvirt a suspend $vm >/dev/null
check_fails "a VM that is paused keeps a failover from being prepared" 17 "VM vm1: Domain $vm is paused, .*virsh resume" on a failback prepare vm1
check_equal "its state and its host's are the same" "$(domain_state a), $(role a)" "paused, 1 3"
on_libvirt a resume $vm >/dev/null
kill -s STOP "${libvirt_pid[a]}"
check_fails "a libvirt that hangs is not waited for longer" 14 '"failback-libvirt running" did not end within 5 s' on a failback prepare vm1
finds "and is found before" b peer '"failback-libvirt ready" did not end within 5 s .call-timeout.'
nobody_asks() { ! pgrep -f "failback-libvirt (running|ready) ${libvirt_uri[a]//[?+]/.}" >/dev/null; }
check "nor does anyone ask it any more" wait_for 5 nobody_asks
check "the daemon answers" on a failback status
kill -s CONT "${libvirt_pid[a]}"
again_at a "${libvirt_uri[a]}"
check_equal "the VM runs on" "$(domain_state a)" running
check "a VM is shut down when its failover is prepared" on a failback prepare vm1
check_equal "libvirt says that it is" "$(domain_state a)" "shut off"
check_equal "and its host is prepared" "$(role a)" "1 4"

no_definition
check_fails "a VM that the other libvirt does not know is not started, and why is said" 21 \
	"failed over and may run here, but it was not started: .*knows no domain $vm, .*virsh define" on b failback failover vm1
check_equal "it is failed over all the same" "$(role b)" "2 5"
check "it is given back" on b failback revert vm1
define_domain b
check "the failover starts one that it knows" on b failback failover vm1
check_equal "it runs there" "$(domain_state b)" running
check_equal "in its place" "$(role b)" "2 5"

check "it is given back once more" on b failback revert vm1
check "the primary goes on" on a failback resume vm1
check "both libvirts know the VM, and all else is well" on a failback ready vm1
check_equal "of each of them it is said" "$(on b failback ready vm1 --json | jq -c '[.points[] | select(.name == "hypervisor") | .where]')" \
	'["here","peer"]'

# --- a boot, after which the VM is held until b has been asked ---

# boot_a: its domain is off, and its daemon starts; ends when the VM is released.
boot_a()
{
	on_libvirt a destroy $vm >/dev/null 2>&1 || true
	stop_daemon a
	echo "boot $RANDOM of a" >"$TMPDIR/a.boot"
	up_at a "${libvirt_uri[a]}"
	wait_for 30 may_run
}
may_run() { [ "$(vm_property a MayRun)" = true ]; }
runs_at_a() { [ "$(domain_state a)" = running ]; }
boot_a
check_fails "a VM that is not to start with its host is not started" any '' wait_for 2 runs_at_a
on_libvirt a autostart $vm >/dev/null
boot_a
check "one that is, is started when it is released" wait_for 30 runs_at_a
stop_daemon b
on_libvirt a destroy $vm >/dev/null
stop_daemon a
echo "boot without b" >"$TMPDIR/a.boot"
up_at a "${libvirt_uri[a]}" --guard-policy start --guard-timeout 1
check "also by a policy that does without the peer" wait_for 30 runs_at_a
up_at b "${libvirt_uri[b]}"
kill -s STOP "${libvirt_pid[a]}"
stop_daemon a
echo "boot without libvirt" >"$TMPDIR/a.boot"
up_at a "${libvirt_uri[a]}" --vm-timeout 3
wait_for 30 may_run
check_fails "while a VM is being started, nobody gives it away" 16 'VM vm1 is just being started' on a failback prepare vm1
not_started() { vm_property a LastError | grep -q 'was held, and may run here, but it was not started: .*did not end within 3 s'; }
check "that it cannot be started is told" wait_for 30 not_started
check_equal "... as a warning" "$(vm_property a ReplicationHealth)" 2
kill -s CONT "${libvirt_pid[a]}"
wait_for 60 runs_at_a || bail "libvirt forgot what it was asked"
on_libvirt a destroy $vm >/dev/null
stop_daemon a
echo "boot before libvirt" >"$TMPDIR/a.boot"
mv "$TMPDIR/a.libvirt/libvirt-sock" "$TMPDIR/a.libvirt/away"
up_at a "${libvirt_uri[a]}" --second-ms 200
wait_for 30 may_run
not_reached() { vm_property a LastError | grep -q 'it was not started: .*Libvirt does not answer'; }
check "so is that libvirt is not there" wait_for 30 not_reached
mv "$TMPDIR/a.libvirt/away" "$TMPDIR/a.libvirt/libvirt-sock"
check "when it is, the VM is started" wait_for 60 runs_at_a

stop_libvirt a
check_fails "a libvirt that is not there keeps a failover from being prepared" 19 'VM vm1: Libvirt does not answer at ' on a failback prepare vm1
check_equal "and nothing has changed, either" "$(role a)" "1 3"
stop_daemon a
rm "$TMPDIR/bin/failback-libvirt"
up_at a "${libvirt_uri[a]}"
check_fails "so does a program that is missing" 21 'Cannot run .*/failback-libvirt: No such file' on a failback prepare vm1
check_equal "and the VM is replicated as before, still" "$(role a)" "1 3"
