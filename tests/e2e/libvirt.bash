# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Sourced by the tests of vm-driver = libvirt, after lib.sh: libvirt itself, with its test driver, whose
# domains have states and no guests.

requires libvirtd virsh unshare

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

# with_files <name> <command>...: with $TMPDIR/<name>.lib as /var/lib, where libvirt keeps NVRAM and TPMs.
with_files()
{
	unshare -m sh -c 'mount --bind "$0" /var/lib && exec "$@"' "$TMPDIR/$1.lib" "${@:2}"
}

# make_files <name>: of a libvirt that was just installed; sets ${nvram[name]} and ${tpm[name]}, as they are seen from here.
declare -A nvram=() tpm=()
make_files()
{
	nvram[$1]=$TMPDIR/$1.lib/libvirt/qemu/nvram/vm1_VARS.fd
	tpm[$1]=$TMPDIR/$1.lib/libvirt/swtpm/$domain/tpm2/tpm2-00.permall
	mkdir -p "${nvram[$1]%/*}"
}

# put_tpm <name> <text>
put_tpm()
{
	mkdir -p "${tpm[$1]%/*}"
	echo "$2" >"${tpm[$1]}"
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

# machine_xml [<device>...]: the same with a disk, NVRAM, a TPM and a screen, as a peer may define it.
machine_xml()
{
	domain_xml "<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>" \
		"<nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'>/var/lib/libvirt/qemu/nvram/vm1_VARS.fd</nvram></os>" \
		"<devices><disk type='block' device='disk'><source dev='/dev/mapper/vm1-disk0'/><target dev='vda' bus='virtio'/></disk>" \
		"<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm><graphics type='vnc' passwd='secret'/>$*</devices>" |
		sed 's,</os><loader,<loader,'
}

# define_machine <name> [<device>...]
define_machine()
{
	machine_xml "${@:2}" >"$TMPDIR/machine.xml"
	on_libvirt "$1" define "$TMPDIR/machine.xml" >/dev/null
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
