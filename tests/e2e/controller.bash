# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Sourced by the tests of the controller, after lib.sh: two hosts on one machine, a on
# 127.0.0.2 and b on 127.0.0.3, each with its own bus, state directory and failbackd.

requires root busctl dbus-daemon jq python3 setpriv

service="org.failback1 /org/failback1/service org.failback1.ReplicationService"
vm=11111111-2222-4333-8444-555555555555
vm_path=/org/failback1/computersystem/${vm//-/_}
# below those that connections are made from, which have the hosts' addresses, too
port=$((20000 + RANDOM % 12000))
declare -A address=([a]=127.0.0.2 [b]=127.0.0.3) daemon_pid=()
failbackd=failbackd
capabilities=$(unit_capabilities)
# the peers that are spoken to without TLS
plain="127.0.0.1 127.0.0.2 127.0.0.3 127.0.0.4 127.0.0.5 127.0.0.9"

# on <host> <command>...: with that host's bus as the system bus.
on()
{
	local host=$1
	shift
	DBUS_SYSTEM_BUS_ADDRESS=unix:path=$TMPDIR/$host.bus "$@"
}

# start_bus <host>
start_bus()
{
	local host=$1 policy=$top/user/systemd/org.failback1.conf pid

	cat >"$TMPDIR/$host.bus.conf" <<-XML
	<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
	 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
	<busconfig>
	  <type>system</type>
	  <listen>unix:path=$TMPDIR/$host.bus</listen>
	  <auth>EXTERNAL</auth>
	  <policy context="default">
	    <allow user="*"/>
	    <deny own="*"/>
	    <deny send_type="method_call"/>
	    <allow send_destination="org.freedesktop.DBus"/>
	    <allow send_type="signal"/>
	    <allow send_requested_reply="true" send_type="method_return"/>
	    <allow send_requested_reply="true" send_type="error"/>
	    <allow receive_type="method_call"/>
	    <allow receive_type="method_return"/>
	    <allow receive_type="error"/>
	    <allow receive_type="signal"/>
	  </policy>
	  <include>$policy</include>
	</busconfig>
	XML
	chmod 755 "$TMPDIR"
	dbus-daemon --config-file="$TMPDIR/$host.bus.conf" --nofork --nopidfile 2>"$TMPDIR/$host.bus.log" &
	pid=$!
	cleanup_fn stop_process $pid
	wait_for 60 test -S "$TMPDIR/$host.bus" || bail "no bus: $(cat "$TMPDIR/$host.bus.log")"
}

# stop_process <pid> [<signal>]: and wait until it is gone.
stop_process()
{
	kill -s "${2:-TERM}" "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

# start_daemon <host> [<option>...]
start_daemon()
{
	local host=$1
	shift
	# not with `on`: the process ID must be its own, not that of a subshell
	# with what the unit leaves it: it must do for all of this
	env DBUS_SYSTEM_BUS_ADDRESS="unix:path=$TMPDIR/$host.bus" setpriv --bounding-set "$capabilities" --no-new-privs "$failbackd" --state-dir "$TMPDIR/$host.state" --listen "${address[$host]}:$port" \
		--plain "$plain" --tls-certificate "$TMPDIR/$host.pem" --tls-key "$TMPDIR/$host.key" --tls-peers "$TMPDIR/$host.peers" \
		--tracker-table "$TMPDIR/$host.trackers" "$@" \
		2>>"$TMPDIR/$host.log" &
	daemon_pid[$host]=$!
	running()
	{
		kill -0 "${daemon_pid[$host]}" || bail "failbackd on $host ended: $(cat "$TMPDIR/$host.log")"
		on "$host" busctl call $service ExportRelationships >/dev/null 2>&1
	}
	wait_for 60 running ||
		bail "failbackd on $host does not answer: $(cat "$TMPDIR/$host.log")"
}

# stop_daemon <host> [<signal>]
stop_daemon()
{
	stop_process "${daemon_pid[$1]}" "${2:-TERM}"
	daemon_pid[$1]=
}

stop_daemons()
{
	local host

	for host in "${!daemon_pid[@]}"; do
		[ -z "${daemon_pid[$host]}" ] || stop_daemon "$host"
	done
}

cleanup_fn stop_daemons

# relationship <mode> <state> <peer host> <disk as JSON>...: the text for apply.
relationship()
{
	local mode=$1 state=$2 peer=${address[$3]}:$port
	shift 3
	printf '%s\n' "$@" | jq -s --arg vm $vm --arg peer "$peer" --argjson mode "$mode" \
		--argjson state "$state" '{version: 1, relationships: [{vm: $vm, name: "vm1", peer: $peer,
		mode: $mode, state: $state, disks: .}]}'
}

# disk <name> <size> <path> <tracker>
disk()
{
	jq -nc --arg name "$1" --argjson size "$2" --arg path "$3" --arg tracker "$4" \
		'{name: $name, size: $size, path: $path, tracker: $tracker}'
}

# call <host> <method> <signature> <argument>...: the answer of the service, as busctl prints it.
call()
{
	local host=$1
	shift
	# shellcheck disable=SC2086 # three words
	on "$host" busctl call $service "$@"
}

# job_property <host> <job> <property>: its value.
job_property()
{
	on "$1" busctl get-property org.failback1 "$2" org.failback1.ConcreteJob "$3" | cut -d' ' -f2-
}

vm_property()
{
	on "$1" busctl get-property org.failback1 "$vm_path" org.failback1.ReplicationRelationship "$2" |
		cut -d' ' -f2-
}

# role <host>: "mode state"
role()
{
	echo "$(vm_property "$1" ReplicationMode) $(vm_property "$1" ReplicationState)"
}

# check_refused <claim> <host> <code> <regex of the sentence> <method> <signature> <argument>...: the method
# answers that code at once, with a job that ended with it.
check_refused()
{
	local claim=$1 host=$2 code=$3 regex=$4 answer job
	shift 4

	answer=$(call "$host" "$@" 2>&1) || true
	job=$(sed -n 's/^uo [0-9]* "\(.*\)"$/\1/p' <<<"$answer")
	if [ "${answer% *}" = "uo $code" ] && [ "$(job_property "$host" "$job" JobState)" = 10 ] &&
		[ "$(job_property "$host" "$job" ErrorCode)" = "$code" ] &&
		job_property "$host" "$job" ErrorDescription | grep -qE -- "$regex"; then
		ok "$claim"
	else
		not_ok "$claim"
		diag "answer: $answer, expected $code with /$regex/"
		[ -z "$job" ] || diag "$(job_property "$host" "$job" ErrorDescription)"
	fi
}
