#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The controller without its kernel module: what it shows on D-Bus, what it refuses and
# how, what it remembers, and what a stranger at its port can do.
#
# e2e: timeout=120
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/controller.bash"

[ ! -d /sys/module/dm_cbt ] || skip_all "the module is loaded"

truncate -s 1M "$TMPDIR/a.disk" "$TMPDIR/b.disk"
relationship 1 4 b "$(disk disk0 1048576 "$TMPDIR/a.disk" vm1-disk0)" >"$TMPDIR/a.json"
relationship 2 5 a "$(disk disk0 1048576 "$TMPDIR/b.disk" vm1-disk0)" >"$TMPDIR/b.json"
start_bus a
start_bus b
start_daemon a
start_daemon b

# --- apply and export ---

check_equal "apply adds a relationship" "$(on a failback apply --json "$TMPDIR/a.json" | jq .changed)" true
check_equal "applying it again changes nothing" \
	"$(on a failback apply --json "$TMPDIR/a.json" | jq .changed)" false
on b failback apply "$TMPDIR/b.json" >/dev/null
on b failback export >"$TMPDIR/export.json"
check_equal "what export prints can be applied" \
	"$(on b failback apply --json "$TMPDIR/export.json" | jq .changed)" false
jq '.relationships[0].mode = 1 | .relationships[0].state = 3' "$TMPDIR/b.json" >"$TMPDIR/role.json"
on b failback apply "$TMPDIR/role.json" >/dev/null
check_equal "apply does not change the role of a known relationship" "$(role b)" "2 5"
jq '.relationships[0].disks[0].pth = "/x"' "$TMPDIR/b.json" >"$TMPDIR/typo.json"
check_fails "apply refuses a member that it does not know, by name" 15 '"pth"' \
	on b failback apply "$TMPDIR/typo.json"
jq '.relationships[0].disks[0].size = "1M"' "$TMPDIR/b.json" >"$TMPDIR/type.json"
check_fails "apply refuses a member of a wrong type" 18 '"size"' on b failback apply "$TMPDIR/type.json"
jq '.relationships += [.relationships[0]]' "$TMPDIR/b.json" >"$TMPDIR/twice.json"
check_fails "apply refuses two relationships of one VM" 15 'one VM' on b failback apply "$TMPDIR/twice.json"
echo '{"version": 2, "relationships": []}' >"$TMPDIR/version.json"
check_fails "apply refuses another version" 12 'version' on b failback apply "$TMPDIR/version.json"
printf '{"version": 1' >"$TMPDIR/cut.json"
check_fails "apply refuses half a file" 18 'JSON' on b failback apply "$TMPDIR/cut.json"

# --- what D-Bus shows ---

xml=$(on b busctl call org.failback1 /org/failback1/service org.freedesktop.DBus.Introspectable Introspect |
	sed 's/^s "//; s/"$//; s/\\n/\n/g; s/\\"/"/g')
arguments()
{
	sed -n '/ReverseReplicationRelationship/,/<\/method>/p' <<<"$xml" |
		sed -n 's/.*<arg type="\(.\)" name="\([A-Za-z]*\)" direction="\(in\|out\)".*/\3 \1 \2/p' | paste -sd,
}
check_equal "introspection shows the method with two inputs and two outputs, by name" "$(arguments)" \
	"in o ComputerSystem,in s ReplicationSettingData,out u ReturnValue,out o Job"
check_equal "a VM is found by name" "$(call b GetComputerSystem s vm1)" "o \"$vm_path\""
check_equal "a VM is found by UUID" "$(call b GetComputerSystem s $vm)" "o \"$vm_path\""
check_equal "the state has its name" "$(vm_property b ReplicationStateName)" '"Recovered"'
check_equal "failed over and not reversed is a warning" "$(vm_property b ReplicationHealth)" 2

# --- refusals, in the order in which they are checked ---

reverse=(ReverseReplicationRelationship os)
check_refused "an unknown VM is 32773" b 32773 'no VM' "${reverse[@]}" \
	/org/failback1/computersystem/00000000_0000_4000_8000_000000000000 ""
check_refused "a path that names no VM is 32773" b 32773 'no VM' "${reverse[@]}" /nonsense ""
check_refused "text that is neither XML nor JSON is 32776" b 32776 'neither' "${reverse[@]}" $vm_path nonsense
check_refused "an instance of another class is 32776" b 32776 'Msvm_ReplicationSettingData' \
	"${reverse[@]}" $vm_path '<INSTANCE CLASSNAME="Msvm_Other"></INSTANCE>'
check_refused "a document type declaration is 32776" b 32776 'document type' "${reverse[@]}" $vm_path \
	'<!DOCTYPE a [<!ENTITY b "c">]><INSTANCE CLASSNAME="Msvm_ReplicationSettingData"></INSTANCE>'
check_refused "a value of another type is 32776" b 32776 'ReplicationInterval' "${reverse[@]}" $vm_path \
	'{"ReplicationInterval": "300"}'
check_refused "an interval that is not offered is 32773" b 32773 '30, 300, 900' "${reverse[@]}" $vm_path \
	'{"ReplicationInterval": 60}'
check_refused "an unknown property is 32773, by name" b 32773 'NoSuchThing' "${reverse[@]}" $vm_path \
	'{"NoSuchThing": 1}'
check_refused "an unknown disk is 32773, by name" b 32773 'disk7' "${reverse[@]}" $vm_path \
	'{"IncludedDisks": ["disk7"]}'
check_refused "authentication that this version lacks is 32770" b 32770 'AuthenticationType 2' \
	"${reverse[@]}" $vm_path '{"AuthenticationType": 2}'
check_refused "a wrong role is 32775 and names both roles" a 32775 \
	'Primary in state 4 .* needs Replica in state 5 .* or Replica in state 6' "${reverse[@]}" $vm_path ""
rm "$TMPDIR/b.disk"
check_refused "a missing disk is 32779" b 32779 'b.disk' "${reverse[@]}" $vm_path ""
truncate -s 1M "$TMPDIR/b.disk"
check_refused "a module that is not loaded is 32777 and says what to load" b 32777 'modprobe dm-cbt' \
	"${reverse[@]}" $vm_path ""
check_refused "round-tripped CIM-XML gets as far as empty settings" b 32777 'dm-cbt' "${reverse[@]}" $vm_path \
	'<INSTANCE CLASSNAME="Msvm_ReplicationSettingData"><PROPERTY NAME="__PATH" CLASSORIGIN="___SYSTEM" TYPE="string"><VALUE>x</VALUE></PROPERTY><PROPERTY NAME="Caption" TYPE="string"><VALUE>Replication Settings</VALUE></PROPERTY><PROPERTY NAME="RecoveryConnectionPoint" TYPE="string"><VALUE>127.0.0.2</VALUE></PROPERTY><PROPERTY NAME="ReplicationInterval" TYPE="uint16"><VALUE>30</VALUE></PROPERTY></INSTANCE>'
check_refused "a requested state that does not exist is 32770" b 32770 'RequestedState 99' \
	RequestReplicationStateChange oq $vm_path 99
check_equal "refusals change no role" "$(role a), $(role b)" "1 4, 2 5"

as_nobody()
{
	DBUS_SYSTEM_BUS_ADDRESS=unix:path=$TMPDIR/b.bus setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}
# shellcheck disable=SC2086 # three words
answer=$(as_nobody busctl call $service "${reverse[@]}" $vm_path "")
check_equal "who is not root is answered 32769" "${answer% *}" "uo 32769"
check_equal "who is not root may read" "$(as_nobody busctl get-property org.failback1 $vm_path \
	org.failback1.ReplicationRelationship ReplicationState)" "q 5"
# shellcheck disable=SC2086
check_equal "who is not root cannot apply" "$(as_nobody busctl call $service ApplyRelationships s '{}' |
	cut -d' ' -f1-3)" "ubs 32769 false"
stop_daemon b
start_daemon b --group nogroup
# shellcheck disable=SC2086
answer=$(as_nobody busctl call $service "${reverse[@]}" $vm_path "")
check_equal "who is in the group gets past that" "${answer% *}" "uo 32777"
check_fails "failbackd says that it needs root" 11 'as root' setpriv --reuid=65534 --regid=65534 --clear-groups \
	"$failbackd" --state-dir "$TMPDIR"

# --- jobs ---

job=$(call b "${reverse[@]}" $vm_path "" | sed 's/.*"\(.*\)"/\1/')
check_equal "a refusal's job is of type 104" "$(job_property b "$job" JobType)" 104
error=$(on b busctl call org.failback1 "$job" org.failback1.ConcreteJob GetError)
check "GetError is an Msvm_Error with NAME first" grep -q 'Msvm_Error.*PROPERTY NAME=' <<<"$error"
check_equal "a job that has ended cannot be terminated" \
	"$(on b busctl call org.failback1 "$job" org.failback1.ConcreteJob RequestStateChange qt 4 0)" "u 4097"
check_equal "a time-out for that is not supported" \
	"$(on b busctl call org.failback1 "$job" org.failback1.ConcreteJob RequestStateChange qt 4 1000)" "u 4098"

# --- the command line ---

check_fails "failback ends with the code less 32758" 19 'dm-cbt' on b failback reverse vm1
check_fails "failback names an unknown VM" 15 '"vm2"' on b failback status vm2
check_fails "failback without a command is wrong usage" 2 'no command' failback
check_fails "failback refuses an option of another command" 2 'no-wait' failback status --no-wait
check_fails "failback says that failbackd does not run" 19 'does not run|Cannot connect.*is D-Bus running' \
	env DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent failback status
check_equal "status --json prints one object a VM" "$(on b failback status --json | jq -c '[.schema, .name, .state]')" \
	'[1,"vm1",5]'

# --- memory ---

stop_daemon b KILL
start_daemon b
check "it does not say of a job before its start that none ran" \
	grep -q 'since failbackd was started' <(on b failback jobs)
check_equal "a killed daemon remembers" "$(role b) $(vm_property b Peer)" "2 5 \"127.0.0.2:$port\""
check_fails "a second failbackd on the bus is refused" any 'another failbackd|database' \
	on b "$failbackd" --state-dir "$TMPDIR/second.state" --listen 127.0.0.4:$port

# a full state directory
stop_daemon b
mkdir "$TMPDIR/full"
if mount -t tmpfs -o size=512k tmpfs "$TMPDIR/full" 2>/dev/null; then
	cleanup_fn umount "$TMPDIR/full"
	cp -a "$TMPDIR/b.state" "$TMPDIR/b.saved"
	mount --bind "$TMPDIR/full" "$TMPDIR/b.state"
	cleanup_fn eval "! mountpoint -q $TMPDIR/b.state || umount $TMPDIR/b.state"
	cp -a "$TMPDIR"/b.saved/. "$TMPDIR/b.state"
	start_daemon b
	dd if=/dev/zero of="$TMPDIR/b.state/fill" bs=4k status=none 2>/dev/null || true
	jq '.relationships[0].name = "other"' "$TMPDIR/b.json" >"$TMPDIR/other.json"
	check_fails "a full state directory is 32768 and says to make room" 10 'full; make room' \
		on b failback apply "$TMPDIR/other.json"
	check_equal "nothing was changed" "$(vm_property b ElementName)" '"vm1"'
	stop_daemon b
	rm "$TMPDIR/b.state/fill"
	python3 - "$TMPDIR/b.state/failback.db" <<-'PYTHON'
	import sqlite3, sys
	db = sqlite3.connect(sys.argv[1], isolation_level=None)
	db.execute("PRAGMA locking_mode = EXCLUSIVE")
	db.execute("INSERT INTO jobs VALUES (?, ?, 105, 4, 0, '', 1, 0, 0, 0, 0)",
		   ("99999999-2222-4333-8444-555555555555", "11111111-2222-4333-8444-555555555555"))
	PYTHON
	dd if=/dev/zero of="$TMPDIR/b.state/fill" bs=4k status=none 2>/dev/null || true
	start_daemon b
	check "failbackd starts with a full state directory, too, and says what it cannot record" \
		grep -q 'jobs did not end.*cannot be recorded.*full; make room' "$TMPDIR/b.log"
	rm "$TMPDIR/b.state/fill"
	check "with room it works" on b failback apply "$TMPDIR/other.json"
	stop_daemon b
	umount "$TMPDIR/b.state"
fi
start_daemon b
check_fails "the database of a running failbackd is 32774" 16 'another failbackd running' \
	on b "$failbackd" --state-dir "$TMPDIR/b.state" --listen 127.0.0.4:$port
stop_daemon b
start_daemon b --listen 192.0.2.77:$port
check "an address that no interface has yet is listened on, and said" grep -q 'no interface has 192.0.2.77:.*yet' "$TMPDIR/b.log"
stop_daemon b
start_daemon b
mkdir "$TMPDIR/bad.state"
head -c 8192 /dev/urandom >"$TMPDIR/bad.state/failback.db"
check_fails "a database that cannot be read is 32771 and says what to do" 13 'move it away' \
	on b "$failbackd" --state-dir "$TMPDIR/bad.state" --listen 127.0.0.4:$port

# --- strangers ---

talk()
{
	python3 - "$@" "$port" <<-'PYTHON'
	import os, socket, struct, sys
	what, port = sys.argv[1], int(sys.argv[2])
	def connect():
	    s = socket.create_connection(("127.0.0.3", port), timeout=5, source_address=("127.0.0.2", 0))
	    return s
	def ends(s):
	    try:
	        return s.recv(1) == b""
	    except ConnectionResetError:
	        return True
	head = lambda body: struct.pack("<IHHHHIQQ", 0x31746263, 1, 0, 0, 0, body, 0, 0)
	s = connect()
	if what == "garbage":
	    s.sendall(os.urandom(4096))
	elif what == "huge":
	    s.sendall(head(0xffffffff))
	elif what == "check":
	    s.sendall(head(8) + b"{\"a\": 1}")
	elif what == "half":
	    s.sendall(head(60000) + b"{")
	    s.settimeout(20)
	sys.exit(0 if ends(s) else 1)
	PYTHON
}
check "random bytes are turned away" talk garbage
check "a record that claims 4 GiB is turned away" talk huge
check "a record with a wrong check is turned away" talk check
stop_daemon b
start_daemon b --call-timeout 1
check "who does not finish is turned away in time" talk half
stop_daemon b
start_daemon b --max-connections 2
crowd()
{
	python3 - "$port" <<-'PYTHON'
	import socket, sys
	address = ("127.0.0.3", int(sys.argv[1]))
	first = [socket.create_connection(address, timeout=5) for _ in range(2)]
	third = socket.create_connection(address, timeout=5)
	third.settimeout(5)
	try:
	    sys.exit(0 if third.recv(1) == b"" else 1)
	except ConnectionResetError:
	    sys.exit(0)
	PYTHON
}
check "who comes when it is full is turned away at once" crowd
check "all that does not keep it from working" on b failback status
check "each was logged with its address" grep -q 'Peer 127.0.0.2' "$TMPDIR/b.log"
