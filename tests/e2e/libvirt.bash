# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Sourced by the tests of vm-driver = libvirt, after lib.sh: libvirt itself, with its test driver, whose
# domains have states and no guests.

requires libvirtd virsh

domain=11111111-2222-4333-8444-555555555555
declare -A libvirt_uri=() libvirt_pid=()

# start_libvirt <name>: a libvirtd of its own, at ${libvirt_uri[name]}, that keeps what its domains did.
start_libvirt()
{
	local dir=$TMPDIR/$1.libvirt line

	mkdir -p "$dir/drivers"
	printf '%s\n' "unix_sock_dir = \"$dir\"" 'unix_sock_rw_perms = "0700"' 'auth_unix_rw = "none"' >"$dir/conf"
	# without the drivers that are modules, it leaves this machine alone
	HOME=$dir XDG_RUNTIME_DIR=$dir LIBVIRT_DRIVER_DIR=$dir/drivers libvirtd -f "$dir/conf" -p "$dir/pid" 2>"$dir/log" &
	libvirt_pid[$1]=$!
	libvirt_uri[$1]="test+unix:///default?socket=$dir/libvirt-sock"
	cleanup_fn stop_libvirt "$1"
	wait_for 30 virsh -q -c "${libvirt_uri[$1]}" uri >/dev/null 2>&1 || bail "no libvirtd: $(<"$dir/log")"
	hold_libvirt "$1"
}

# The states last as long as there is a connection. What it answers says that there is one.
hold_libvirt()
{
	local dir=$TMPDIR/$1.libvirt fd

	mkfifo "$dir/hold"
	virsh -q -c "${libvirt_uri[$1]}" <"$dir/hold" >"$dir/held" 2>&1 &
	cleanup_fn stop_process_of $!
	exec {fd}>"$dir/hold"
	echo uri >&"$fd"
	wait_for 30 test -s "$dir/held" || bail "no connection to libvirtd: $(<"$dir/log")"
}

stop_process_of()
{
	kill "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

# stop_libvirt <name>
stop_libvirt()
{
	kill -s CONT "${libvirt_pid[$1]}" 2>/dev/null || true
	stop_process_of "${libvirt_pid[$1]}"
}

# on_libvirt <name> <command of virsh>...
on_libvirt()
{
	virsh -q -c "${libvirt_uri[$1]}" "${@:2}"
}

# domain_xml [<element>...]: a domain with the UUID $domain.
domain_xml()
{
	cat <<-XML
	<domain type="test" xmlns:test="http://libvirt.org/schemas/domain/test/1.0">
	  <name>vm1</name><uuid>$domain</uuid><memory>8192</memory><os><type>hvm</type></os>$*
	</domain>
	XML
}

# node_with <file> [<element>...]: a libvirt in each process that is given test://<file>, with that one domain.
node_with()
{
	{ echo "<node>"; domain_xml "${@:2}"; echo "</node>"; } >"$1"
}

# define_domain <name>: shut off.
define_domain()
{
	domain_xml >"$TMPDIR/domain.xml"
	on_libvirt "$1" define "$TMPDIR/domain.xml" >/dev/null
}

# domain_state <name>
domain_state()
{
	on_libvirt "$1" domstate $domain | head -n 1
}
